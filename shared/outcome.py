"""Every way a delivery or a run can end: the only list, shown in answers, replies, logs, docs. It decides nothing."""

from enum import Enum, StrEnum
from typing import Self


class Outcome(StrEnum):
    """What became of a delivery or a run."""

    QUEUED = "queued"
    TRIGGERED = "triggered"
    IGNORED = "ignored"
    REFUSED = "refused"
    ERROR = "error"


class Reason(Enum):
    """Why it ended so: an outcome, a sentence for the person who asked, and what to change."""

    outcome: Outcome
    sentence: str
    cure: str

    def __new__(cls, outcome: Outcome, sentence: str, cure: str = "") -> Self:
        """Give each member its own number as value; the columns become attributes."""
        member = object.__new__(cls)
        member._value_ = len(cls.__members__)
        member.outcome, member.sentence, member.cure = outcome, sentence, cure
        return member

    def __str__(self) -> str:
        """Return the name as answers and logs show it, such as `no_mention`."""
        return self.name.lower()

    # Answers of `receive`.
    QUEUED = Outcome.QUEUED, "The mention is stored; the run starts within seconds."
    NO_MENTION = (
        Outcome.IGNORED,
        "The text does not address the trigger phrase.",
        "Write the trigger phrase as plain text: code, quotes, links and hidden text do not count.",
    )
    EVENT_NOT_SERVED = (
        Outcome.IGNORED,
        "This kind of event starts nothing.",
        "In the webhook's settings tick Comments and Confidential comments; other events can stay off.",
    )
    TARGET_NOT_SERVED = (
        Outcome.IGNORED,
        "Only comments on issues, work items and merge requests are served.",
        "Ask in an issue or a merge request.",
    )
    MALFORMED = (
        Outcome.IGNORED,
        "The body is not an event as GitLab sends it.",
        "Remove the webhook's custom template, if it has one.",
    )
    SYSTEM_NOTE = Outcome.IGNORED, "GitLab itself wrote this note."
    EDITED_NOTE = Outcome.IGNORED, "An edited comment starts nothing.", "Write a new comment."
    OWN_NOTE = Outcome.IGNORED, "This note is one of our own replies."
    PROJECT_NOT_ALLOWED = (
        Outcome.IGNORED,
        "This installation does not serve the project.",
        "Add the project to ALLOWED_PROJECTS.",
    )
    CONFIDENTIAL_OFF = (
        Outcome.IGNORED,
        "This installation does not serve internal notes and confidential issues.",
        "Set SERVE_CONFIDENTIAL to true.",
    )
    DISABLED = Outcome.IGNORED, "The installation is switched off.", "Set ENABLED to true."
    DEFECT = (
        Outcome.IGNORED,
        "The delivery met a defect of this software.",
        "Report the log line; until it is mended, write the comment differently.",
    )
    METHOD_NOT_ALLOWED = Outcome.REFUSED, "Deliveries are POST requests.", "Use the URL as a GitLab webhook."
    BODY_TOO_LARGE = Outcome.REFUSED, "The body is larger than GitLab sends (25 MiB)."
    UNSIGNED = (
        Outcome.REFUSED,
        "The delivery carries neither a signature nor a secret token.",
        "Set the signing token or the secret token in the webhook's settings.",
    )
    SIGNATURE_MISSING = (
        Outcome.REFUSED,
        "A signing token is configured, but the delivery has no complete signature.",
        "Set the signing token in the webhook's settings (GitLab 19.0 or later), or configure secret tokens only.",
    )
    SIGNATURE_STALE = (
        Outcome.REFUSED,
        "The signature's time is more than 300 seconds away from ours.",
        "Check GitLab's clock; an old delivery can be sent again with Resend.",
    )
    SIGNATURE_WRONG = (
        Outcome.REFUSED,
        "No configured signing token made this signature.",
        "Copy the webhook's signing token into WEBHOOK_SECRETS.",
    )
    TOKEN_WRONG = (
        Outcome.REFUSED,
        "The secret token is not one of the configured ones.",
        "Copy the webhook's secret token into WEBHOOK_SECRETS.",
    )
    SECRETS_UNAVAILABLE = (
        Outcome.ERROR,
        "The secrets could not be read, so nothing can be verified or sent.",
        "Check that the secret exists, holds the documented JSON and may be read by the function.",
    )
    QUEUE_UNAVAILABLE = (
        Outcome.ERROR,
        "The queue did not take the run request, so nothing was stored.",
        "Check the queue and the function's right to write to it; then use Resend.",
    )

    # Ends of a run.
    TRIGGERED = Outcome.TRIGGERED, "The pipeline has started."
    DUPLICATE = Outcome.IGNORED, "This mention has already had its run."
    BUSY = Outcome.ERROR, "Another worker is on this run."
    BOT_AUTHOR = (
        Outcome.IGNORED,
        "A bot wrote the comment.",
        "Bots that may ask are named in ALLOWED_BOTS.",
    )
    NOT_A_MEMBER = (
        Outcome.REFUSED,
        "Only members of this project may ask.",
        "A maintainer can add you to the project.",
    )
    MEMBERSHIP_INACTIVE = (
        Outcome.REFUSED,
        "Your membership of this project is not active.",
        "A maintainer can renew or approve it.",
    )
    ROLE_TOO_LOW = (
        Outcome.REFUSED,
        "Your role in this project is below the one required.",
        "A maintainer can raise it; the installation sets the bar with MINIMUM_ROLE.",
    )
    USER_NOT_ACTIVE = Outcome.REFUSED, "Your GitLab account is not active.", "An administrator can activate it."
    EXTERNAL_USER = (
        Outcome.REFUSED,
        "External users may not ask.",
        "An administrator can make the account an internal one.",
    )
    FORK_MERGE_REQUEST = (
        Outcome.REFUSED,
        "Merge requests from forks are not served: their code must not meet this project's secrets.",
        "Push the branch to this project and open the merge request from there.",
    )
    NOTE_CHANGED = (
        Outcome.REFUSED,
        "The comment changed after it was sent, so it was not run.",
        "Write a new comment.",
    )
    USER_LIMIT = (
        Outcome.REFUSED,
        "You have started as many runs this hour as the installation allows.",
        "Ask again next hour; RUNS_PER_USER_PER_HOUR sets the limit.",
    )
    THREAD_LIMIT = (
        Outcome.REFUSED,
        "This thread has started as many runs within ten minutes as the installation allows.",
        "Ask again in ten minutes; RUNS_PER_THREAD sets the limit.",
    )
    DAY_LIMIT = (
        Outcome.REFUSED,
        "The installation has started as many runs today as it allows.",
        "Ask again tomorrow; RUNS_PER_DAY sets the limit.",
    )
    OVER_LIMIT = Outcome.IGNORED, "The limit was reached, and that has been said already.", "Ask again later."
    MODEL_RETIRED = (
        Outcome.REFUSED,
        "The model this installation names has been retired by its provider.",
        "Set MODEL to one that still answers.",
    )
    UNCERTAIN = (
        Outcome.ERROR,
        "GitLab did not say whether the pipeline started, and our token may not look.",
        "Look under Build > Pipelines, and ask again if there is none.",
    )
    DEAD_LETTER = (
        Outcome.ERROR,
        "We tried for as long as we may, and GitLab or a part of this installation did not work.",
        "An operator can replay the run; or ask again.",
    )
    HOOK_DISABLED = (
        Outcome.ERROR,
        "GitLab has switched a webhook of the project off.",
        "Mend what its recent events show, then test it in Settings > Webhooks; until then comments are polled.",
    )
    TRIGGER_TOKEN_MISSING = (
        Outcome.ERROR,
        "No pipeline trigger token is configured for this project.",
        "A maintainer can create one (Settings > CI/CD > Pipeline trigger tokens) and add it to GITLAB_SECRETS.",
    )
    TRIGGER_TOKEN_REJECTED = (
        Outcome.ERROR,
        "GitLab does not know the pipeline trigger token for this project.",
        "Check in GITLAB_SECRETS that the token belongs to this project and that its owner is still a member.",
    )
    API_TOKEN_REJECTED = (
        Outcome.ERROR,
        "GitLab does not accept the API token.",
        "Check that api_token in GITLAB_SECRETS has not expired, has the scope api and belongs to a project member.",
    )
    REF_NOT_FOUND = (
        Outcome.ERROR,
        "The branch to run on does not exist.",
        "Restore the branch, or set PIPELINE_REF to default.",
    )
    REF_NOT_PERMITTED = (
        Outcome.ERROR,
        "The owner of the pipeline trigger token may not run pipelines on this branch.",
        "Let the owner's role merge or push to the protected branch.",
    )
    WORKFLOW_RULES = (
        Outcome.ERROR,
        "The project's workflow:rules exclude triggered pipelines.",
        'Add a rule for $CI_PIPELINE_SOURCE == "trigger" to workflow:rules.',
    )
    NO_JOB = (
        Outcome.ERROR,
        "No job of the project matches a triggered pipeline.",
        'Give the job a rule for $CI_PIPELINE_SOURCE == "trigger", or include the claude component.',
    )
    VARIABLES_FORBIDDEN = (
        Outcome.ERROR,
        "The project forbids pipeline variables, and no job of it runs without them.",
        "Include the claude component, or lower Settings > CI/CD > Variables > Minimum role to use pipeline variables.",
    )
    CI_CONFIG_INVALID = (
        Outcome.ERROR,
        "The project's CI/CD configuration is not valid.",
        "Check it under Build > Pipeline editor > Validate.",
    )
    GITLAB_REFUSED = (
        Outcome.ERROR,
        "GitLab refused to create the pipeline.",
        "Run a pipeline by hand (Build > Pipelines > New pipeline) to see GitLab's own message.",
    )
    PIPELINE_RATE_LIMIT = Outcome.ERROR, "GitLab limits how many pipelines start per minute; we try again."
    GITLAB_REDIRECTS = (
        Outcome.ERROR,
        "GitLab answers with a redirect, which is not followed.",
        "Set GITLAB_URL to the address GitLab redirects to.",
    )
    GITLAB_UNAVAILABLE = Outcome.ERROR, "GitLab did not answer; we try again."


class TriggerError(Exception):
    """The one error tree: each error is a `Reason`, so that every way out has a name, a sentence and a cure."""

    def __init__(self, reason: Reason) -> None:
        """Carry the reason; the message holds nothing that came from outside."""
        super().__init__(f"{reason}: {reason.sentence} {reason.cure}".rstrip())
        self.reason = reason


class Stop(TriggerError):
    """This delivery or run ends here; trying again would change nothing."""


class Retry(TriggerError):
    """What went wrong heals: the same request is to be tried again after `after` seconds."""

    def __init__(self, reason: Reason, after: float = 0.0) -> None:
        """Carry the reason and the wait in seconds (0: the platform's own back-off)."""
        super().__init__(reason)
        self.after = after
