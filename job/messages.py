"""Every sentence that a person reads from the job.

They are English; `speak` puts those of another language in their place, of a file beside this one.
`{names}` in braces are filled in where a message is used. What an input may look like is said
beside its pattern in `job/inputs.py`; what Claude is told stands in `job/prompts.py`.
"""

from __future__ import annotations

from typing import NamedTuple

from shared.contract import ai_flow


class Explanation(NamedTuple):
    """Why the job failed, and what to change."""

    sentence: str
    cure: str


INPUT_INVALID = Explanation(
    "The component's input `{name}` is not usable: {expected}.",
    "Correct it in the include.",
)
VARIABLE_MISSING = Explanation(
    "The CI/CD variable {name} is not set, so {purpose}.",
    "A maintainer sets it under Settings > CI/CD > Variables; a protected one reaches protected "
    "branches only.",
)
IDENTITY_TOKEN_MISSING = Explanation(
    "GitLab handed the job no identity token ({name}).",
    "Include the component unchanged: its id_tokens asks for it; GitLab 15.7 or later.",
)
REQUEST_MISSING = Explanation(
    "The pipeline carries no request: neither TRIGGER_PAYLOAD with ai_flow nor AI_FLOW_INPUT.",
    "Write a comment that mentions Claude, or fill in AI_FLOW_INPUT where you start the pipeline "
    "by hand.",
)
REQUEST_INVALID = Explanation(
    "The request is not one this job understands: {what}.",
    "Bring the component and the trigger function to the same major version.",
)
REQUEST_UNREADABLE = Explanation(
    "The job could not read what was asked (HTTP {status}): it was asked internally, so the "
    "pipeline was told ids only.",
    "Check that the comment is still there; the user of the token in {name} must see confidential "
    "issues and internal notes, as a Developer does.",
)
REQUEST_CHANGED = Explanation(
    "What was asked is no longer what it was when the pipeline was created, or not that person's.",
    "Ask again in a new comment.",
)
PROMPT_FILE_MISSING = Explanation(
    "The default branch has no file {name}.",
    "Add it, or remove the input prompt_file.",
)
TOOL_MISSING = Explanation(
    "The job's image has no {name}.",
    "Choose an image that has git, Python 3.9 and npm or the claude command.",
)
RUNNER_NOT_PRIVATE = Explanation(
    "The runner project is not private: its log would show others what a project asks.",
    "Set its visibility to private (Settings > General > Visibility).",
)
RUNNER_CHECKED_OUT = Explanation(
    "A checkout is in the place of the asking project's.",
    "Set GIT_STRATEGY to empty in the runner project's job.",
)
RUNNER_TOKEN_MISSING = Explanation(
    "The CI/CD variable {name} has no value for the environment claude/{id}.",
    "A maintainer of the runner project sets it under Settings > CI/CD > Variables, with that "
    "environment as its scope and a token of project {id} as its value.",
)
RUNNER_TOKEN_OTHER = Explanation(
    "GitLab shows the token in {name} no project {id}.",
    "Give the variable whose scope is the environment claude/{id} a token of that project.",
)
INSTALL_FAILED = Explanation(
    "The npm package {name} {version} could not be installed.",
    "The job's log has npm's words; with no way to the npm registry, use an image that brings the "
    "claude command.",
)
UNPROTECTED = Explanation(
    "The include allows commands or MCP servers, and on this runner they could read the job's "
    "tokens.",
    "Run the job as root (the usual Docker image), or on a kernel with Landlock or user "
    "namespaces, or leave out mcp_config and the commands in allowed_tools; the input "
    "`unprotected_commands: true` accepts the risk.",
)
TOKEN_REJECTED = Explanation(
    "GitLab does not accept the token in {name}.",
    "It needs the scopes api and write_repository, must not have expired, and its user must be a "
    "Developer here.",
)
GITLAB_REFUSED = Explanation(
    "GitLab refused to {what} (HTTP {status}).",
    "The job's log has GitLab's own message.",
)
GITLAB_UNAVAILABLE = Explanation(
    "GitLab did not answer.", "Retry the job; its log has the cause, such as a certificate."
)
NOT_FETCHED = Explanation(
    "The branch `{branch}` could not be fetched.",
    "Check that it still exists and that the token in {name} may read the repository.",
)
NO_DIFF = Explanation(
    "The merge request's diff could not be had, so nothing was reviewed.",
    "Rebase the branch on its target, or let the job clone more (GIT_DEPTH), and ask again.",
)
PUSH_REJECTED = Explanation(
    "GitLab did not take the push to `{branch}`.",
    "The artifacts have the changes. The token in {name} needs write_repository and a user who may "
    "push there.",
)
PUSH_RULE = Explanation(
    "GitLab did not take the push to `{branch}`: {words}.",
    "A push rule or a hook of the project, its group or this GitLab asks for that. The artifacts "
    "have the changes.",
)
PUSH_UNSIGNED = Explanation(
    "GitLab did not take the push to `{branch}`: the project rejects unsigned commits.",
    "A maintainer gives the job an SSH key that signs them, with the component's input "
    "signing_key_variable. The artifacts have the changes.",
)
PUSH_PROTECTED = Explanation(
    "GitLab did not take the push to `{branch}`: the branch is protected.",
    "Let the user of the token in {name} push there (Settings > Repository > Protected branches), "
    "or name another branch_prefix. The artifacts have the changes.",
)
PUSH_SECRET = Explanation(
    "GitLab did not take the push to `{branch}`: it found a secret in the changes.",
    "The job's log has the file and the line, the artifacts have the changes. Ask for them without "
    "the secret.",
)
PUSH_SIZE = Explanation(
    "GitLab did not take the push to `{branch}`: a file or the repository would be too large.",
    "The job's log has GitLab's limit, the artifacts have the changes. Ask for less, use Git LFS, "
    "or raise the limit.",
)
PUSH_READ_ONLY = Explanation(
    "GitLab did not take the push to `{branch}`: this GitLab or the project is read-only.",
    "Retry the job when maintenance is over; an archived project has to be unarchived. The "
    "artifacts have the changes.",
)
NO_MERGE_REQUEST = Explanation(
    "The changes were pushed to `{branch}`, but GitLab did not open a merge request (HTTP "
    "{status}).",
    "[Open it by hand]({url}); the job's log has GitLab's own message.",
)
MERGE_REQUEST_CLOSED = Explanation(
    "The merge request is {state}, so nothing was pushed.",
    "Ask again, and the changes go to a branch of their own. Those of this run are in the job's "
    "artifacts: changes.patch.",
)
FORK = Explanation(
    "The merge request comes from another project, whose code must not meet this project's "
    "secrets.",
    "Push the branch to this project and open the merge request from there.",
)
FORK_READ_ONLY = Explanation(
    "The merge request comes from a fork: Claude reads its diff and changes nothing there.",
    "Ask for a review or an explanation; for changes push the branch to this project and open the "
    "merge request from there.",
)
BRANCH_MOVED = Explanation(
    "The branch has moved on since you asked.",
    "Look at the new commits, then ask again; the input `branch_moved: continue` goes on "
    "regardless.",
)
REPAIRS_SPENT = Explanation(
    "The pipeline of this merge request has had its {most} tries to be repaired, so Claude was not "
    "started.",
    "Look at what the tries changed, then ask with words of your own, such as what to change: that "
    "is no further try. Or raise the component's input repair_tries.",
)
PIPELINE_UNREADABLE = Explanation(
    "GitLab did not show the pipeline of this merge request ({status}), so there is nothing to "
    "repair it by.",
    "The job's token needs to read merge requests, pipelines and jobs; and CI/CD must be on.",
)
PIPELINE_MISSING = Explanation(
    "The commit {commit} of this merge request has no pipeline, so there is nothing to repair.",
    "Start one and ask again when it has ended.",
)
PIPELINE_OF_BEFORE = Explanation(
    "The latest pipeline of this merge request, {pipeline}, is of an earlier commit than {commit}.",
    "Start one for this commit and ask again when it has ended.",
)
PIPELINE_RUNS = Explanation(
    "The pipeline {pipeline} of this merge request has not ended.",
    "Ask again when it has.",
)
NOTHING_FAILED = Explanation(
    "No job failed in the pipeline {pipeline} of this merge request (it is `{status}`), so there "
    "is nothing to repair.",
    "If something is missing, say what.",
)
NOT_THE_CODE = Explanation(
    "What failed in the pipeline {pipeline} of this merge request is not the code: GitLab says "
    "`{reasons}`. No change was made.",
    "Retry the failed jobs. If they fail so again, whoever looks after the runners and the "
    "project's CI/CD settings can help.",
)
PUSHED_MEANWHILE = Explanation(
    "Somebody pushed to `{branch}` while Claude worked, so nothing was pushed.",
    "Ask again. The changes are in the job's artifacts.",
)
DELETED_MEANWHILE = Explanation(
    "Somebody deleted `{branch}` while Claude worked, so nothing was pushed.",
    "Ask again. The changes are in the job's artifacts.",
)
NOT_SIGNED_IN = Explanation(
    "The model provider did not accept the job's identity.",
    "{why}Check the key, or the role and its policy, as the set-up page of provider `{provider}` "
    "has them.",
)
MODEL_UNKNOWN = Explanation(
    "The provider does not know the model.",
    "Check the inputs model and region; on Bedrock the id's prefix, such as eu., has to fit the "
    "region.",
)
MODEL_NOT_ALLOWED = Explanation(
    "The account or the role may not use this model.",
    "Ask for access to the model in its region, and let the role call it: the set-up page of "
    "provider `{provider}` has the policy.",
)
MODEL_PROFILE = Explanation(
    "Bedrock serves this model by an inference profile only.",
    "Give the model's id its prefix in the input model, such as eu. or us.",
)
REGION_NOT_SERVED = Explanation(
    "The provider does not serve the model in this region or country.",
    "Choose another region in the input region.",
)
NO_CREDIT = Explanation(
    "The account at the model provider has no credit left, or has reached its spend limit.",
    "Its owner tops it up or raises the limit; then ask again.",
)
ACCOUNT_DISABLED = Explanation(
    "The model provider has disabled the account.",
    "Its owner asks the provider.",
)
PROMPT_TOO_LONG = Explanation(
    "What Claude was to read is too long for the model.",
    "Ask for less at once, in a new issue or merge request if this one is long; `resume: false` "
    "sends less.",
)
PROVIDER_OFF = Explanation(
    "The provider's API is switched off in the cloud project.",
    "Switch it on: the job's log has the link.",
)
PROVIDER_UNREACHABLE = Explanation(
    "The model provider could not be reached.",
    "Check the runner's way to it: proxy, certificates, firewall. Then retry the job.",
)
QUOTA = Explanation(
    "The provider's quota for this model and region is used up.",
    "Ask again later, or have the quota raised.",
)
RATE_LIMITED = Explanation(
    "The provider's rate limit is used up (429).",
    "Ask again later, or raise the limit.",
)
OVERLOADED = Explanation(
    "The provider is overloaded or out of order ({status}).",
    "Ask again later.",
)
API_REFUSED = Explanation(
    "The provider refused the call ({status}){words}.",
    "The job's log has its message.",
)
MAX_TURNS = Explanation(
    "Claude stopped at the limit of {limit} turns.",
    "Ask for less at once, or raise the limit: the comment's own, else the input max_turns.",
)
MAX_BUDGET = Explanation(
    "Claude stopped at the limit of ${limit}.",
    "Ask for less at once, or raise the input max_budget_usd and, if set, BUDGET_PER_RUN.",
)
CLAUDE_FAILED = Explanation(
    "Claude Code ended without a result (exit code {status}).",
    "The job's log says more.",
)
CLAUDE_KILLED = Explanation(
    "Claude Code was killed (exit code {status}), most likely as the runner had too little memory.",
    "Give the runner's jobs more memory, or ask for less at once.",
)
TIME_LIMIT = Explanation(
    "Claude was stopped at the time limit of {limit} minutes.",
    "Ask for less at once, or raise the limit: the comment's own, else the input timeout_minutes.",
)
CANCELED = Explanation("The job was canceled.", "")
CANCELED_PUSHING = Explanation(
    "The job was canceled while it pushed to `{branch}`.",
    "Look there for what arrived.",
)
DEFECT = Explanation(
    "The job met a defect of its own ({name}).",
    "Please report the end of the job's log.",
)

# A failure as it is told.
WITH_CURE = "{sentence} {cure}"

# What fills the blanks above: `words` of PUSH_RULE,
HOOK_DECLINED = "a hook declined it"
# `why` of NOT_SIGNED_IN,
WHY_AUDIENCE = (
    "It expects another audience than the token's, which the job's log has: set the input audience "
    "or the provider's list accordingly."
)
WHY_ISSUER = "It knows no identity provider for the token's issuer, which the job's log has."
WHY_KEYS = "It cannot read this GitLab's public keys (/oauth/discovery/keys) over the internet."
WHY_TRUST = (
    "The conditions of its role, pool or rule do not fit the token: compare them with aud, iss and "
    "sub in the job's log."
)
WHY_BINDING = (
    "It knows the token, but the service account lets it in no further: roles/iam."
    "workloadIdentityUser is missing, or the account."
)
WHY_POOL = "GCP_WORKLOAD_IDENTITY_PROVIDER names no provider."
WHY_API_OFF = "An API of the cloud project is switched off; the job's log has the link."
WHY_DURATION = "Its role has a shorter maximum session than timeout_minutes: change one of them."
WHY_EXPIRED = "The token has expired: retry the job."
# `what` of REQUEST_INVALID and of GITLAB_REFUSED,
NO_JSON = "TRIGGER_PAYLOAD holds no JSON object"
OTHER_VERSION = "ai_flow is not of version {versions}"
NO_THREAD_OR_TIME = "it was asked internally, without an issue, merge request or pipeline's time"
NO_RUN_ID = "its id is no run id"
OTHER_PROJECT = "it is for another project"
SHOW_MERGE_REQUEST = "show the merge request"
UPDATE_MERGE_REQUEST = "update the merge request"
# `purpose` of VARIABLE_MISSING,
NO_ANSWER = "nothing can be pushed or answered"
NO_SIGNATURE = "no commit can be signed"
NO_CLAUDE_API = "Claude cannot be called"
NO_EXCHANGE = "GitLab's identity token cannot be exchanged for a Claude API token"
NO_BEDROCK = "Amazon Bedrock cannot be called"
NO_VERTEX = "Vertex AI cannot be called"
NO_CLAUDE_AWS = "Claude Platform on AWS cannot be called"
NO_FOUNDRY = "Microsoft Foundry cannot be called"
NO_MCP_TOKEN = "the GitLab MCP server has no token of its own (scope read_api)"  # noqa: S105
NO_MCP_VARIABLE = "the team's MCP server cannot sign in"
# `expected` of INPUT_INVALID, besides those of `job/inputs.py`,
MODEL_EXPECTED = "{provider} needs a full model id"
AWS_REGION_EXPECTED = "this provider needs an AWS region"
LOCATION_EXPECTED = "vertex needs a location such as global or eu"
KEY_EXPECTED = (
    "git could not sign; the variable has to hold an SSH private key without a passphrase, the "
    "image git 2.34, openssh-client and an entry in /etc/passwd for the job's user; the job's log "
    "has git's words"
)
KEY_SHARED = (
    "the input environment or mcp_variables names the same variable, so that Claude's commands or "
    "servers would see it"
)
KEY_OPEN = "on this runner nothing keeps Claude from that key"
# and `name` of TOOL_MISSING.
CLONE = "clone of the project (GIT_STRATEGY: none)"
CLAUDE_COMMAND = "claude command, and the input claude_version is empty"

# The reply.
WORKING = "Claude is at work: {job}."
BESIDE = "In the same pipeline: {jobs}."
MORE_TODOS = "- … and {count} more"
FINISHED = "Claude has finished."
FAILED = "Claude could not finish. {failure}"
NO_TEXT = "Claude gave no answer."
ANSWERED = "What Claude answered:"
MERGE_REQUEST = "**Merge request: {url}**"
PUSHED = "**Pushed to this merge request: {commit}**"
JOB = "Job: {job}."
JOB_NAME = "job {id}"
TURN, TURNS = "{count} turn", "{count} turns"
SECONDS, MINUTES = "{seconds} s", "{minutes} min {seconds} s"
DENIED = "not allowed: {tools}"
RAN = "Commands: {commands}."
RAN_WELL, RAN_BADLY, RAN_TOO_LONG = "✔", "exit {status}", "timed out"
MORE_RAN = "and {count} more"
CUT = "(cut here: the whole answer is in the job's artifacts)"

# Remarks below an answer.
REMARK_PUSH_SKIPPED_CI = (
    "CI configuration was changed, so the push started no pipeline: read it first."
)
REMARK_NO_NOTE = (
    "The commit has no git note, which the component's input `git_note` asks for: the job's log "
    "says why. The artifact statement.json has the same, as long as GitLab keeps it."
)
REMARK_BRANCH_MOVED = "The branch had moved on since you asked: this is about its head."
REMARK_MOVED_KEPT = (
    "Nothing was pushed: the branch had moved on since you asked. The changes are in the job's "
    "artifacts: changes.patch."
)
REMARK_TARGET_GONE = "The target branch `{target}` is gone: this was compared with `{default}`."
REMARK_TARGET_CHANGED = (
    "The target branch has been changed since you asked, from `{told}` to `{target}`: this is "
    "about what would go there."
)
REMARK_NO_DIFF = "Claude did not see the merge request's diff: it could not be had."
REMARK_DIFF_CUT = "Claude did not see all of the merge request's diff: it is too long."
REMARK_NO_LOGS = (
    "Claude got no logs and no test reports of the pipeline: more people can read this reply than "
    "those. Ask in an internal note, or let everybody read them (Settings > CI/CD > General "
    "pipelines)."
)
REMARK_NOT_PUSHED = (
    "Nothing was pushed: whoever may read this project's code would see what was asked internally. "
    "The changes are in the job's artifacts, for Developers: changes.patch. The component's input "
    "`confidential_changes: push` would push them."
)
REMARK_NOT_TO_LEAVE = (
    "Nothing was pushed: the changes would hold a secret of the job in {files}. The job's "
    "artifacts have them with the secret masked: changes.patch."
)
REMARK_UNREAD = "Claude did not see these files, only their names: {files}."
REMARK_UNRESOLVED = (
    "Nothing was pushed: conflicts with the target branch are left in {files}. What Claude changed "
    "is in the job's artifacts: changes.patch."
)
REMARK_LEFT = (
    "Not committed, and so not pushed: {files}. The job's artifacts have them: not-pushed.tar.gz."
)
# Below the answer of a review.
REVIEW_POSTED = "Findings on the lines of the merge request: {count}."
REVIEW_TOLD = "Findings that stand there already, and are not told again: {count}."
REVIEW_RESOLVED = "Threads of earlier reviews whose lines have changed, now resolved: {count}."
REVIEW_REST = "What stands on no line of the merge request:"
REVIEW_MOVED = (
    "The merge request is not at the commit that was reviewed any more, or not open: nothing was "
    "put on its lines."
)
REVIEW_REFUSED = "GitLab took no notes on the lines of the merge request ({status})."
REVIEW_OTHER_DRAFTS = (
    "Nothing was put on the lines of the merge request: the token's user has a review of their own "
    "pending there, which would be published with it."
)
REVIEW_LOOKED = "Looked at: {count} of {all} changed files, at {commit}."
REVIEW_NOT_LOOKED = "Not looked at: {files}."
REVIEW_LARGE = "too large for GitLab to show"
REVIEW_BINARY = "binary"
REVIEW_UNCHANGED = "GitLab shows no changed lines"
REVIEW_BEYOND = "beyond the part of the diff that Claude got"
REVIEW_SKIPPED = "left out by Claude"

LEFT_IGNORED = "ignored by git"
LEFT_SUBMODULE = "in a submodule"
LEFT_NESTED = "in a repository of its own"
LEFT_FILTER = "has to go through the filter {name}, which the job does not run"
LEFT_LARGE = "larger than 100 MiB"
LEFT_AGENT = "the target branch's while Claude works"
LEFT_COMMIT = "a commit or stash that is not in the files"
LEFT_UNREAD = "git could not add it"
MORE_LEFT = "and {count} more"
REMARK_CASE = (
    "{files} differ only in case from other files: Windows and macOS can have only one of them."
)
REMARK_MERGED = "The target branch was merged into this one."
REMARK_CONTINUE = "Ask Claude here to `continue`, and it goes on from there."
REMARK_ANSWER = "Answer here with a mention of Claude, and it goes on from there."
REMARK_PATCH = "What it had changed by then is in the job's artifacts: changes.patch."

# The commit and the merge request.
CHANGES_FOR = "Changes for {target}"
PROJECT = "the project"
ASKED_FOR_IN = "Asked for in {target}."
STARTED_IN = "Started by policy in {target}: nobody asked."
DESCRIPTION = "Claude made these changes."

# The job's log, besides git's, npm's and GitLab's own words.
EXCHANGE_REFUSED = "GitLab's identity token was not exchanged: {error}"
CLAIMS = "GitLab's identity token has {claims}"
NO_HASH = "No hash of {name} {version} is known here: what the registry gives is taken."
PROTECTED = "What Claude starts {way}."
AS_USER = "runs as another user, who can read neither the job's processes nor its files"
AS_USER_CONFINED = f"{AS_USER}, and Landlock hides the rest"
IN_NAMESPACE = "runs in a user namespace in which the job's processes and files do not exist"
IN_LANDLOCK = "is confined by Landlock, which hides the job's processes and files"
UNREADABLE = "runs as the job's own user; the job's processes let nobody read them"
UNPROTECTED_WAY = "is not kept from the job's processes and files: nothing on this runner can do it"
OPEN_TO_BRANCHES = (
    "Warning: {name} reaches unprotected branches, where every Developer can print it. Make the "
    "variable protected, masked and hidden."
)
ABOVE_DEVELOPER = (
    "Warning: the user of {name} is above Developer here. The job needs no more, unless its reply "
    "is another user's."
)
SECTION_INSTALL, SECTION_BRANCH, SECTION_CLAUDE = "Claude Code", "Branch", "Claude at work"
NOT_STARTED = "Claude could not start. {failure}"
NO_NOTE = "The commit has no git note: {error}"
OWN_PUSH = "This pipeline is for what this job itself pushed. Nothing was done."
SUPERSEDED = "Newer commits have come, and nobody asked for this run. Nothing is said."
TAKEN = "This request has had its run in pipeline {pipeline}. Nothing was done."
REPLY_FAILED = "The reply could not be written. {error}"
RESTORED = "while Claude works, {path} is the target branch's"
CHECKED_OUT = "at {commit}"
UNCHANGED = "Nothing was changed."
NOT_PUSHED = "Nothing was pushed; the reply says why."
STEPS_ONLY = "This was asked internally, so this log names steps only; the artifacts have the rest."
ANOTHER_TOOL = "another tool"

_english = {name: words for name, words in globals().items() if name.isupper()}


def speak(language: str) -> None:
    """Let this file's names be the words of a language, one of LANGUAGES; "" is English too."""
    words = _english
    if language == ai_flow.CHINESE:
        from job import messages_zh_cn  # noqa: PLC0415  on first need

        words = vars(messages_zh_cn)
    globals().update({name: words[name] for name in _english})


def explanation(reason: str) -> Explanation:
    """Return why the job failed, by the reason's name."""
    return Explanation(*globals()[reason])
