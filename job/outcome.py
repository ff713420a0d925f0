"""Every way the job can fail: exit code, sentence and cure, the only list; it decides nothing."""

from __future__ import annotations

from enum import Enum

CLAUDE, SETTINGS, GITLAB, CHANGED, TIME, DEFECT = 1, 2, 3, 4, 5, 70


class Ending(Enum):
    """How a job failed: its exit code, a sentence for the person who asked, and what to change."""

    # Settings of the project or of the include: exit code 2.
    INPUT_INVALID = (
        SETTINGS,
        "The component's input `{name}` is not usable: {expected}.",
        "Correct it in the include.",
    )
    VARIABLE_MISSING = (
        SETTINGS,
        "The CI/CD variable {name} is not set, so {purpose}.",
        "A maintainer sets it under Settings > CI/CD > Variables; a protected one reaches protected branches only.",
    )
    IDENTITY_TOKEN_MISSING = (
        SETTINGS,
        "GitLab handed the job no identity token ({name}).",
        "Include the component unchanged: its id_tokens asks for it; GitLab 15.7 or later.",
    )
    REQUEST_MISSING = (
        SETTINGS,
        "The pipeline carries no request: neither TRIGGER_PAYLOAD with ai_flow nor AI_FLOW_INPUT.",
        "Write a comment that mentions Claude, or fill in AI_FLOW_INPUT where you start the pipeline by hand.",
    )
    REQUEST_INVALID = (
        SETTINGS,
        "The request is not one this job understands: {what}.",
        "Bring the component and the trigger function to the same major version.",
    )
    PROMPT_FILE_MISSING = (
        SETTINGS,
        "The default branch has no file {name}.",
        "Add it, or remove the input prompt_file.",
    )
    TOOL_MISSING = (
        SETTINGS,
        "The job's image has no {name}.",
        "Choose an image that has git, Python 3.9 and npm or the claude command.",
    )
    INSTALL_FAILED = (
        SETTINGS,
        "The npm package {name} {version} could not be installed.",
        "The job's log has npm's words; with no way to the npm registry, use an image that brings the claude command.",
    )

    # GitLab said no: exit code 3.
    TOKEN_REJECTED = (
        GITLAB,
        "GitLab does not accept the token in {name}.",
        "It needs the scopes api and write_repository, must not have expired, and its user must be a Developer here.",
    )
    GITLAB_REFUSED = (
        GITLAB,
        "GitLab refused to {what} (HTTP {status}).",
        "The job's log has GitLab's own message.",
    )
    GITLAB_UNAVAILABLE = (GITLAB, "GitLab did not answer.", "Retry the job.")
    NOT_FETCHED = (
        GITLAB,
        "The branch could not be fetched.",
        "Check that the branch still exists and that the token in {name} may read the repository.",
    )
    PUSH_REJECTED = (
        GITLAB,
        "GitLab did not take the push to `{branch}`.",
        "The artifacts have the changes. The token in {name} needs write_repository and a user who may push there.",
    )

    # The world moved on: exit code 4.
    MERGE_REQUEST_CLOSED = (
        CHANGED,
        "The merge request is {state}, so nothing was pushed.",
        "Reopen it and ask again.",
    )
    FORK = (
        CHANGED,
        "The merge request comes from another project, whose code must not meet this project's secrets.",
        "Push the branch to this project and open the merge request from there.",
    )
    BRANCH_MOVED = (
        CHANGED,
        "The branch has moved on since you asked.",
        "Look at the new commits, then ask again; the input `branch_moved: continue` goes on regardless.",
    )
    PUSHED_MEANWHILE = (
        CHANGED,
        "Somebody pushed to `{branch}` while Claude worked, so nothing was pushed.",
        "Ask again. The changes are in the job's artifacts.",
    )

    # Claude did not finish: exit code 1.
    NOT_SIGNED_IN = (
        CLAUDE,
        "The model provider did not accept the job's identity.",
        "Check the key or the role for provider `{provider}`; its set-up page has a table for this.",
    )
    MODEL_UNKNOWN = (
        CLAUDE,
        "The provider does not know the model.",
        "Check the inputs model and region.",
    )
    RATE_LIMITED = (
        CLAUDE,
        "The provider's rate limit is used up (429).",
        "Ask again later, or raise the limit.",
    )
    OVERLOADED = (
        CLAUDE,
        "The provider is overloaded or out of order ({status}).",
        "Ask again later.",
    )
    API_REFUSED = (
        CLAUDE,
        "The provider refused the call ({status}).",
        "The job's log has its message.",
    )
    MAX_TURNS = (
        CLAUDE,
        "Claude stopped at the limit of {limit} turns.",
        "Ask for less at once, or raise the limit: the comment's own, else the input max_turns.",
    )
    MAX_BUDGET = (
        CLAUDE,
        "Claude stopped at the limit of ${limit}.",
        "Ask for less at once, or raise the input max_budget_usd.",
    )
    CLAUDE_FAILED = (
        CLAUDE,
        "Claude Code ended without a result (exit code {status}).",
        "The job's log says more.",
    )

    # Time: exit code 5.
    TIME_LIMIT = (
        TIME,
        "Claude was stopped at the time limit of {limit} minutes.",
        "Ask for less at once, or raise the limit: the comment's own, else the input timeout_minutes.",
    )
    CANCELED = (TIME, "The job was canceled.", "")

    # Ours: exit code 70 (sysexits' EX_SOFTWARE).
    DEFECT = (
        DEFECT,
        "The job met a defect of its own ({name}).",
        "Please report the end of the job's log.",
    )

    def __init__(self, code: int, sentence: str, cure: str) -> None:
        """Name the columns."""
        self.code, self.sentence, self.cure = code, sentence, cure


class Failure(Exception):
    """The one error: an ending with its blanks filled in; values are ours, GitLab's numbers or names, never prose."""

    def __init__(self, ending: Ending, **values: object) -> None:
        """Fill in the blanks of the ending's sentence and cure."""
        self.ending, self.code = ending, ending.code
        self.text = f"{ending.sentence} {ending.cure}".rstrip().format(**values)
        super().__init__(f"{ending.name.lower()}: {self.text}")
