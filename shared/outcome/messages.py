"""Every sentence that the trigger writes in GitLab; the job's own stand in `job/messages.py`.

They are English; `speak` puts those of another language in their place, of a file beside this one.

`{names}` in braces are filled in by `shared/outgoing/replies.py`, with ids, numbers, links we made,
and words of this file.
"""

# Beside the reason of a refusal that is not about the project in which it is read.
IN_RUNNER = "This is about the runner project (RUNNER_PROJECT)."

# Beside the reason that a project's file for AUTO cannot be read.
AUTO_LINE = "Line {line} of `.gitlab/claude-auto.conf` is at fault."

# Why a delivery or a run ended so: the sentence, and what to change. The docs show this same table.
REASONS = {
    "QUEUED": ("The mention is stored; the run starts within seconds.", ""),
    "NO_MENTION": (
        "The text does not address the trigger phrase.",
        "Write the trigger phrase as plain text: code, quotes, links and hidden text do not count.",
    ),
    "EVENT_NOT_SERVED": (
        "This kind of event starts nothing.",
        (
            "Untick it in the webhook's settings. "
            "Served: both Comments, both Issues, Merge request and Pipeline events."
        ),
    ),
    "TARGET_UNKNOWN": (
        "Epics, designs and wikis are not served.",
        "Ask in an issue or a merge request.",
    ),
    "NOTHING_NEW": (
        (
            "The change adds no mention, no assignment, "
            "no review request and no label that starts a run."
        ),
        "Write a comment with the trigger phrase.",
    ),
    "NOT_OUR_PIPELINE": ("The pipeline was not started by us.", ""),
    "MALFORMED": (
        "The body is not an event as GitLab sends it.",
        "Remove the webhook's custom template, if it has one.",
    ),
    "SYSTEM_NOTE": ("GitLab itself wrote this note.", ""),
    "EDITED_NOTE": ("An edited comment starts nothing.", "Write a new comment."),
    "OWN_NOTE": ("This note is one of our own replies.", ""),
    "PROJECT_NOT_ALLOWED": (
        "This installation does not serve the project.",
        "Add the project to ALLOWED_PROJECTS.",
    ),
    "TOKEN_NOT_FOR_PROJECT": (
        "The webhook's token is not one for this project.",
        (
            "Name the project beside the token in WEBHOOK_SECRETS: by its id, or by its path where "
            "api_token can see it. If the name is there, somebody used another project's token."
        ),
    ),
    "CONFIDENTIAL_OFF": (
        "This installation does not serve internal notes and confidential issues.",
        "Set SERVE_CONFIDENTIAL to true.",
    ),
    "DISABLED": ("The installation is switched off.", "Set ENABLED to true."),
    "DEFECT": (
        "The delivery met a defect of this software.",
        "Report the log line; until it is mended, write the comment differently.",
    ),
    "METHOD_NOT_ALLOWED": ("Deliveries are POST requests.", "Use the URL as a GitLab webhook."),
    "BODY_TOO_LARGE": ("The body is larger than GitLab sends (25 MiB).", ""),
    "UNSIGNED": (
        "The delivery carries neither a signature nor a secret token.",
        "Set the signing token or the secret token in the webhook's settings.",
    ),
    "SIGNATURE_MISSING": (
        "A signing token is configured, but the delivery has no complete signature.",
        (
            "Set the signing token in the webhook's settings (GitLab 19.0 or later), "
            "or configure secret tokens only."
        ),
    ),
    "SIGNATURE_STALE": (
        "The signature's time is more than 300 seconds away from ours.",
        "Check GitLab's clock; an old delivery can be sent again with Resend.",
    ),
    "SIGNATURE_WRONG": (
        "No configured signing token made this signature.",
        "Copy the webhook's signing token into WEBHOOK_SECRETS.",
    ),
    "TOKEN_WRONG": (
        "The secret token is not one of the configured ones.",
        "Copy the webhook's secret token into WEBHOOK_SECRETS.",
    ),
    "SECRETS_UNAVAILABLE": (
        "The secrets could not be read, so nothing can be verified or sent.",
        "Check that the secret exists, holds the documented JSON and may be read by the function.",
    ),
    "QUEUE_UNAVAILABLE": (
        "The queue did not take the run request, so nothing was stored.",
        "Check the queue and the function's right to write to it; then use Resend.",
    ),
    "TRIGGERED": ("The pipeline has started.", ""),
    "ANSWERED": ("The question was answered in the thread; it needs no pipeline.", ""),
    "TRACKED": ("The reply tells where the pipeline stands.", ""),
    "WAITING": ("The run waits for its turn and starts by itself; the reply says when.", ""),
    "PACED": ("Many runs come late at once, so they start one after another.", ""),
    "CANCELLED": ("It was stopped before its turn came.", ""),
    "DUPLICATE": ("This mention has already had its run.", ""),
    "BUSY": ("Another worker is on this run.", ""),
    "PROJECT_NOT_SEEN": (
        "GitLab shows the API token's user no such project.",
        (
            "Make that user a member of the project. "
            "If it serves no such project, somebody who holds a webhook's token made it up."
        ),
    ),
    "THREAD_GONE": ("The comment, or what it stood on, was deleted: nobody can be told there.", ""),
    "BOT_AUTHOR": ("A bot wrote the comment.", "Bots that may ask are named in ALLOWED_BOTS."),
    "NOT_A_MEMBER": (
        "Only members of this project may ask.",
        "A maintainer can add you to the project.",
    ),
    "KNOWN_STRANGER": (
        "A moment ago the author was no member of this project, so GitLab was not asked again.",
        "A maintainer can add them to the project; we look again after ten minutes.",
    ),
    "MEMBERSHIP_INACTIVE": (
        "Your membership of this project is not active.",
        "A maintainer can renew or approve it.",
    ),
    "ROLE_TOO_LOW": (
        "Your role in this project is below the one required.",
        "A maintainer can raise it; the installation sets the bar with MINIMUM_ROLE.",
    ),
    "USER_NOT_ACTIVE": ("Your GitLab account is not active.", "An administrator can activate it."),
    "EXTERNAL_USER": (
        "External users may not ask.",
        "An administrator can make the account an internal one.",
    ),
    "TARGET_NOT_SERVED": (
        "Comments on commits and snippets start nothing.",
        "Ask in an issue or a merge request; it may link to the commit or the snippet.",
    ),
    "FORK_MERGE_REQUEST": (
        (
            "Merge requests from forks are not served: "
            "their code must not meet this project's secrets."
        ),
        (
            "Push the branch to this project and open the merge request from there. "
            "Whoever runs this installation can let Claude read forks' with FORKS=read-only."
        ),
    ),
    "FORK_READ_ONLY": (
        "Claude only reads merge requests from forks and changes nothing there.",
        (
            "Ask for a review or an explanation; for changes push the branch to this project and "
            "open the merge request from there."
        ),
    ),
    "NOTE_CHANGED": (
        "What was asked changed after it was sent, or is gone, so it was not run.",
        "Write a new comment.",
    ),
    "USER_LIMIT": (
        "You have started as many runs within an hour as the installation allows.",
        "Ask again later; RUNS_PER_USER_PER_HOUR sets the limit.",
    ),
    "THREAD_LIMIT": (
        "This thread has started as many runs within ten minutes as the installation allows.",
        "Ask again later; RUNS_PER_THREAD sets the limit.",
    ),
    "PROJECT_LIMIT": (
        "This project has started as many runs within a day as the installation allows.",
        "Ask again tomorrow; RUNS_PER_PROJECT_PER_DAY sets the limit.",
    ),
    "DAY_LIMIT": (
        "The installation has started as many runs within a day as it allows.",
        "Ask again tomorrow; RUNS_PER_DAY sets the limit.",
    ),
    "BUDGET_USER": (
        "Your budget for today has no room for another run.",
        "Whoever runs this installation can raise BUDGET_PER_USER_DAY.",
    ),
    "BUDGET_PROJECT": (
        "This project's budget for this month has no room for another run.",
        "Whoever runs this installation can raise BUDGET_PER_PROJECT_MONTH.",
    ),
    "BUDGET_INSTALLATION": (
        "The installation's budget for this month has no room for another run.",
        "Whoever runs it can raise BUDGET_PER_INSTALLATION_MONTH.",
    ),
    "COMMAND_LIMIT": (
        ("This thread has had as many answers to commands within ten minutes as we give."),
        "Ask again in ten minutes.",
    ),
    "OVER_LIMIT": ("The limit was reached, and that has been said already.", "Ask again later."),
    "NOT_BY_POLICY": (
        "Nobody asked, and the policy does not let this start by itself.",
        "Ask by the trigger phrase. What starts is said by AUTO and the project's file.",
    ),
    "SUPERSEDED": (
        (
            "Newer commits came, or the merge request is no longer open and ready, or the pipeline "
            "to repair is no longer its latest or has not failed any more."
        ),
        "",
    ),
    "NOTHING_TO_REPAIR": (
        "The failed pipeline is ours, or not that of the head of an open, ready merge request.",
        "",
    ),
    "AUTO_LIMIT": (
        "This merge request has had all the runs that may start by themselves.",
        "Ask by the trigger phrase; an operator can raise `runs` in AUTO.",
    ),
    "AUTO_UNREADABLE": (
        "The file that says what starts by itself here cannot be read, so nothing does.",
        "Whoever may push to the default branch can correct it.",
    ),
    "OPTION_UNKNOWN": (
        "There is no such option.",
        "The options are --model, --turns and --minutes; they come before the text.",
    ),
    "OPTION_VALUE": (
        "An option's value is missing or out of bounds.",
        "Give a whole number from 1 up to the installation's MAX_TURNS or MAX_MINUTES.",
    ),
    "MODEL_NOT_OFFERED": (
        "This installation does not offer that model.",
        "Name one that ALLOWED_MODELS lists, or leave --model out.",
    ),
    "NOTHING_TO_RETRY": ("This thread has no earlier run to repeat.", "Ask in words."),
    "MODEL_RETIRED": (
        "The model this installation names has been retired by its provider.",
        "Set MODEL to one that still answers.",
    ),
    "MODEL_RETIRES": (
        "The model this installation names answers for some weeks more only; the log says which.",
        "Set MODEL to a newer one.",
    ),
    "UNCERTAIN": (
        "GitLab did not say whether the pipeline started, and our token may not look.",
        "Look under Build > Pipelines, and ask again if there is none.",
    ),
    "DEAD_LETTER": (
        "We tried for as long as we may, and GitLab or a part of this installation did not work.",
        "An operator can replay the run; or ask again.",
    ),
    "RECORD_UNREADABLE": (
        "What is stored of a run cannot be read by this version, so the run is left as it is.",
        "Deploy the version that wrote it or a later one; or delete the record and ask again.",
    ),
    "REQUEST_UNREADABLE": (
        "The queue holds a message that this version cannot read; the log names it.",
        "Deploy the version that wrote it or a later one, then replay the dead letters.",
    ),
    "HOOKS_UNSEEN": (
        "Our token may not see a project's webhooks: when GitLab switches one off, nobody is told.",
        "Make the API token's user a Maintainer of the project, or look at its webhooks yourself.",
    ),
    "HOOK_DISABLED": (
        "GitLab has switched a webhook of the project off.",
        (
            "Mend what its recent events show, then test it in Settings > Webhooks; "
            "until then comments are polled."
        ),
    ),
    "TRIGGER_TOKEN_MISSING": (
        "No pipeline trigger token is configured for this project.",
        (
            "A maintainer can create one (Settings > CI/CD > Pipeline trigger tokens) and add it "
            "to GITLAB_SECRETS."
        ),
    ),
    "TRIGGER_TOKEN_REJECTED": (
        "GitLab does not know the pipeline trigger token for this project.",
        (
            "Check in GITLAB_SECRETS that the token belongs to this project and that its owner is "
            "still a member."
        ),
    ),
    "API_TOKEN_REJECTED": (
        "GitLab does not accept the API token.",
        (
            "Check that api_token in GITLAB_SECRETS has not expired, "
            "has the scope api and belongs to a project member."
        ),
    ),
    "REF_NOT_FOUND": (
        "The branch to run on does not exist.",
        (
            "Restore the branch, or set PIPELINE_REF to default; "
            "an empty repository needs a first commit."
        ),
    ),
    "REPOSITORY_EMPTY": (
        "The project's repository is empty: there is no branch to run on.",
        "Push a first commit, with the claude component in its .gitlab-ci.yml.",
    ),
    "REF_NOT_PERMITTED": (
        "The owner of the pipeline trigger token may not run pipelines on this branch.",
        (
            "Let the owner's role merge or push to the protected branch; "
            "in an archived project nobody may."
        ),
    ),
    "WORKFLOW_RULES": (
        "The project's workflow:rules exclude triggered pipelines.",
        'Add a rule for $CI_PIPELINE_SOURCE == "trigger" to workflow:rules.',
    ),
    "NO_JOB": (
        "No job of the project matches a triggered pipeline.",
        (
            'Give the job a rule for $CI_PIPELINE_SOURCE == "trigger", '
            "or include the claude component."
        ),
    ),
    "RUNNER_NOT_SEEN": (
        "GitLab shows the API token's user no runner project.",
        (
            "Check RUNNER_PROJECT, and make that user a member of the project that it names for "
            "this one."
        ),
    ),
    "RUNNER_NOT_PRIVATE": (
        "The runner project is not private: its logs would show others what this project asks.",
        "Set its visibility to private (Settings > General > Visibility).",
    ),
    "RUNNER_ASKS": (
        "A runner project runs the jobs of others and asks for none.",
        "Ask in another project; RUNNER_PROJECT names the runner projects.",
    ),
    "VARIABLES_FORBIDDEN": (
        "The project forbids pipeline variables, and no job of it runs without them.",
        (
            "Include the claude component, "
            "or lower Settings > CI/CD > Variables > Minimum role to use pipeline variables."
        ),
    ),
    "CI_CONFIG_INVALID": (
        "The project's CI/CD configuration is not valid.",
        "Check it under Build > Pipeline editor > Validate.",
    ),
    "CI_DISABLED": (
        "CI/CD is switched off in this project.",
        (
            "A maintainer switches it on under Settings > General > Visibility, project features, "
            "permissions."
        ),
    ),
    "IDENTITY_NOT_VERIFIED": (
        (
            "GitLab runs no pipelines for the owner of the pipeline trigger token, "
            "whose identity is not verified."
        ),
        (
            "That user signs in, opens Build > Pipelines and follows Verify my account; "
            "or let a verified user make the token."
        ),
    ),
    "PIPELINE_LIMIT": (
        "A limit of GitLab's on the size or the number of pipelines and jobs is reached.",
        "Wait until running pipelines have ended, or keep other jobs out of triggered pipelines.",
    ),
    "EXTERNAL_VALIDATION": (
        "The service that checks pipelines for this GitLab rejected the pipeline.",
        "Ask GitLab's administrator; on GitLab.com, its support.",
    ),
    "PIPELINE_FAILED_AT_ONCE": (
        "GitLab created the pipeline and failed it at once.",
        "Open it under Build > Pipelines: there it says why.",
    ),
    "GITLAB_REFUSED": (
        "GitLab refused to create the pipeline.",
        "Run a pipeline by hand (Build > Pipelines > New pipeline) to see GitLab's own message.",
    ),
    "PIPELINE_RATE_LIMIT": ("GitLab limits how many pipelines start per minute; we try again.", ""),
    "GITLAB_REDIRECTS": (
        "GitLab answers with a redirect, which is not followed.",
        "Set GITLAB_URL to the address GitLab redirects to.",
    ),
    "GITLAB_UNAVAILABLE": ("GitLab did not answer; we try again.", ""),
    "SETTING_WRONG": (
        "A setting is not what the functions can start with, or not what they run with.",
        "Correct the line of the settings file, then deploy.",
    ),
    "PART_BROKEN": ("A part of the installation is missing, off or open.", "Deploy again."),
    "VERSION_TOO_OLD": (
        "This GitLab is older than what the job needs.",
        "An administrator can update it to 17.0 or later.",
    ),
    "BOT_RIGHTS": (
        "The user of the API token may not do what it is there for.",
        "A maintainer can make it a Maintainer of the project; its token needs the scope api.",
    ),
    "TOKEN_EXPIRES": (
        "A token expires within 14 days.",
        "Whoever made it can rotate it; then store the new one.",
    ),
    "HOOK_MISSING": (
        "No webhook of the project reports to this installation.",
        "A maintainer can run setup, or add one in Settings > Webhooks.",
    ),
    "HOOK_INCOMPLETE": (
        "The webhook leaves out something that it should send.",
        "A maintainer can run setup, or edit it in Settings > Webhooks.",
    ),
    "HOOK_UNANSWERED": (
        "GitLab could not deliver to the webhook's URL.",
        "See its recent events; for a private address an administrator has to allow it.",
    ),
    "CI_SWITCHED_OFF": (
        "The project runs no pipelines.",
        "A maintainer can switch CI/CD on, or take the project out of the archive.",
    ),
    "JOB_VARIABLE": (
        "A CI/CD variable that the job needs is missing, or does not reach it.",
        "A maintainer can run setup, or correct it in Settings > CI/CD > Variables.",
    ),
    "NO_RUNNER": (
        "No runner is online for the project.",
        "A maintainer can enable one in Settings > CI/CD > Runners.",
    ),
}

# The one reply of a run, edited as the run moves on; a job of ours takes it over when it starts.
STATES = {
    "queued": "Claude is on it: {pipeline} is queued.",
    "stuck": (
        "Claude is on it, but no runner has taken {pipeline} yet. "
        "Is one online that matches the job's tags?"
    ),
    "waiting": "{pipeline} waits for an earlier run of this thread to end.",
    "manual": "{pipeline} waits for somebody to start its job by hand.",
    "running": "Claude is at work: {job}.",
    "success": "Claude has finished: {pipeline} took {duration}.",
    "failed": (
        "Claude could not finish. {cause} Its log: {job}. To try again, write `{phrase} retry`."
    ),
    "timed_out": (
        "Claude ran out of time: {job} reached its time limit. "
        "Ask for less at once, or raise the limit."
    ),
    "not_started": (
        "Claude did not start: {other} failed before it. "
        "When that is mended, write `{phrase} retry`."
    ),
    "beside": "Claude has finished. {pipeline} failed for another job: {other}.",
    "canceled": "Cancelled: {pipeline}.",
    "superseded": (
        "Cancelled before Claude began: {pipeline}. GitLab itself does so when newer commits reach "
        "the branch meanwhile. To start it again, write `{phrase} retry`."
    ),
    "skipped": "GitLab skipped {pipeline}: no job of it was to run.",
    "deleted": "Somebody deleted {pipeline}. To try again, write `{phrase} retry`.",
}
BESIDE = "In the same pipeline: {jobs}."
UNDERSTOOD = "Understood: {task}{options}. {to_stop}"
BY_POLICY = "Nobody asked: this installation starts {task} by itself (`AUTO`). {to_stop}"
TO_STOP = "To stop it, write `{phrase} stop` here."
OPTIONS = {"model": "model {}", "turns": "at most {} turns", "minutes": "at most {} minutes"}
JOB, PIPELINE = "job {}", "pipeline {}"
REFUSED = "Claude did not start. {sentence} {hint} {cure}"
# A run that a limit lets start later.
WAITS = "{sentence} Claude starts on this by itself at {time} UTC or soon after."

# Beside the reason of a refusal for want of money, and in the answer to `budget`.
BUDGET_LEFT = (
    "{left} of {cap} is left, with {held} held for runs under way; a run takes up to {run}. {anew}"
)
BUDGET_ANEW = "It starts anew on {time} UTC."

# What was understood: by command, else by event.
TASKS = {
    "review": "a review",
    "fix": "a fix",
    "explain": "an explanation",
    "mention": "your request",
    "assign": "work on this",
    "assign_reviewer": "a review",
    "label": "work on this",
}
# What the job is asked where nobody wrote a text; PROMPTS replaces these.
PROMPTS = {
    "assign": "Work on this.",
    "assign_reviewer": "Review this merge request.",
    "label": "Work on this.",
}

# Why a job failed: GitLab's failure_reason (lib/gitlab: Enums::Ci::CommitStatus) in plain words.
CAUSES = {
    "script_failure": "The job's script failed.",
    "api_failure": "GitLab lost contact with the job.",
    "stuck_or_timeout_failure": (
        "No runner took the job, or it stopped answering. Check that one is online for it."
    ),
    "runner_system_failure": "The runner broke down.",
    "runner_unsupported": "The runner is too old for this job. Update it.",
    "missing_dependency_failure": "Something the job needs from an earlier job is gone.",
    "no_matching_runner": "No runner matches the job's tags. Register one or change the tags.",
    "ci_quota_exceeded": (
        "The project has used up its compute minutes. Buy more or bring a runner of your own."
    ),
    "user_blocked": "The owner of the trigger token is blocked. Create a token with another owner.",
    "builds_disabled": "CI/CD is switched off for this project.",
    "data_integrity_failure": "GitLab could not prepare the job.",
    "protected_environment_failure": (
        "The owner of the trigger token may not deploy to the job's environment."
    ),
    "config_error": (
        "The project's CI/CD configuration is not valid. See Build > Pipeline editor > Validate."
    ),
}
CAUSE_UNKNOWN = "The job failed, and GitLab gave no reason we know."

# Answers that need no pipeline.
HELP = """\
Write `{phrase}` and what you want, in a comment on an issue or a merge request, or in the title \
or description of a new one. These words count when they come first:

| write | what happens |
|---|---|
| `{phrase} review …` | reviews the merge request; say what to look at |
| `{phrase} fix …` | finds the cause and fixes it |
| `{phrase} explain …` | explains, and changes nothing |
| `{phrase} status` | lists this thread's runs |
| `{phrase} stop` | cancels this thread's runs |
| `{phrase} retry` | runs this thread's last request again |
{budget}| `{phrase} help` | shows this |

Options come before the text: {options}.
"""
HELP_BUDGET = "| `{phrase} budget` | tells what may be spent, and what was |\n"
HELP_OPTIONS = {
    "model": "`--model NAME` ({})",
    "turns": "`--turns N` (up to {})",
    "minutes": "`--minutes N` (up to {})",
}
STATE_NAMES = {
    "queued": "queued",
    "stuck": "queued, and no runner has taken it",
    "waiting": "waiting for an earlier run",
    "manual": "waiting for somebody to start it",
    "running": "running",
    "success": "done",
    "failed": "failed",
    "timed_out": "out of time",
    "not_started": "not started, as another job failed",
    "beside": "done, but another job failed",
    "canceled": "cancelled",
    "superseded": "cancelled before it began",
    "skipped": "skipped",
    "deleted": "deleted",
}
STATUS_NONE = "No run of this thread is known."
STATUS_LINE = "- {pipeline}: {state}"
STATUS_GONE = "deleted"
STOPPED = "Cancelled: {pipelines}."
STOPPED_WAITING = "What waited for its turn here will not start."
STOP_NONE = "Nothing is running in this thread."
STOP_FORBIDDEN = (
    "GitLab does not let our token cancel {pipelines}. "
    "A member who may run pipelines on that branch can."
)
BUDGET_NONE = "No budget is set here."
BUDGET_RUN = "A run may spend up to {run}."
BUDGET_HEAD = (
    "| budget | of | spent | held for runs under way | left | starts anew (UTC) |\n"
    "|---|---|---|---|---|---|"
)
BUDGET_ROW = "| {whose} | {cap} | {spent} | {held} | {left} | {time} |"
BUDGET_NAMES = {"BUDGET_USER": "yours today", "BUDGET_PROJECT": "this project's this month"}
BUDGET_FULL = "{sentence} {anew}"
BUDGET_ROOM = "The installation's budget for this month has room for a run."
DID_YOU_MEAN = "Did you mean `{}`?"
OFFERED = "Offered here: {}."
DURATION = "{minutes} min {seconds} s"

_english = {name: words for name, words in globals().items() if name.isupper()}


def speak(language: str) -> None:
    """Let this file's names be the words of a language, en or zh-CN, from now on.

    A process speaks one language: that of its installation. English costs no import.
    """
    words = _english
    if language == "zh-CN":
        from shared.outcome import messages_zh_cn  # noqa: PLC0415  on first need

        words = vars(messages_zh_cn)
    globals().update({name: words[name] for name in _english})
