"""Every way the job can fail, each with its exit code; the sentences stand in `job/messages.py`."""

from __future__ import annotations

from enum import Enum, IntEnum

from job import messages


class ExitCode(IntEnum):
    """What the job ends with if not with 0; `docs/job.md` has the same table."""

    CLAUDE = 1  # Claude did not finish
    SETTINGS = 2  # of the project, of the include, or of the image
    GITLAB = 3  # GitLab said no
    CHANGED = 4  # the merge request, its branch or its pipeline is not what it was asked for
    TIME = 5
    DEFECT = 70  # ours: EX_SOFTWARE of sysexits.h


class Reason(Enum):
    """Why the job failed: `code`, a `sentence` for the person who asked, and the `cure`."""

    INPUT_INVALID = ExitCode.SETTINGS, messages.INPUT_INVALID
    VARIABLE_MISSING = ExitCode.SETTINGS, messages.VARIABLE_MISSING
    IDENTITY_TOKEN_MISSING = ExitCode.SETTINGS, messages.IDENTITY_TOKEN_MISSING
    REQUEST_MISSING = ExitCode.SETTINGS, messages.REQUEST_MISSING
    REQUEST_INVALID = ExitCode.SETTINGS, messages.REQUEST_INVALID
    PROMPT_FILE_MISSING = ExitCode.SETTINGS, messages.PROMPT_FILE_MISSING
    TOOL_MISSING = ExitCode.SETTINGS, messages.TOOL_MISSING
    INSTALL_FAILED = ExitCode.SETTINGS, messages.INSTALL_FAILED
    RUNNER_NOT_PRIVATE = ExitCode.SETTINGS, messages.RUNNER_NOT_PRIVATE
    RUNNER_CHECKED_OUT = ExitCode.SETTINGS, messages.RUNNER_CHECKED_OUT
    RUNNER_TOKEN_MISSING = ExitCode.SETTINGS, messages.RUNNER_TOKEN_MISSING
    RUNNER_TOKEN_OTHER = ExitCode.SETTINGS, messages.RUNNER_TOKEN_OTHER
    UNPROTECTED = ExitCode.SETTINGS, messages.UNPROTECTED

    TOKEN_REJECTED = ExitCode.GITLAB, messages.TOKEN_REJECTED
    REQUEST_UNREADABLE = ExitCode.GITLAB, messages.REQUEST_UNREADABLE
    GITLAB_REFUSED = ExitCode.GITLAB, messages.GITLAB_REFUSED
    GITLAB_UNAVAILABLE = ExitCode.GITLAB, messages.GITLAB_UNAVAILABLE
    NOT_FETCHED = ExitCode.GITLAB, messages.NOT_FETCHED
    NO_DIFF = ExitCode.GITLAB, messages.NO_DIFF
    PIPELINE_UNREADABLE = ExitCode.GITLAB, messages.PIPELINE_UNREADABLE
    PUSH_REJECTED = ExitCode.GITLAB, messages.PUSH_REJECTED
    PUSH_RULE = ExitCode.GITLAB, messages.PUSH_RULE
    PUSH_UNSIGNED = ExitCode.GITLAB, messages.PUSH_UNSIGNED
    PUSH_PROTECTED = ExitCode.GITLAB, messages.PUSH_PROTECTED
    PUSH_SECRET = ExitCode.GITLAB, messages.PUSH_SECRET
    PUSH_SIZE = ExitCode.GITLAB, messages.PUSH_SIZE
    PUSH_READ_ONLY = ExitCode.GITLAB, messages.PUSH_READ_ONLY
    NO_MERGE_REQUEST = ExitCode.GITLAB, messages.NO_MERGE_REQUEST

    MERGE_REQUEST_CLOSED = ExitCode.CHANGED, messages.MERGE_REQUEST_CLOSED
    REQUEST_CHANGED = ExitCode.CHANGED, messages.REQUEST_CHANGED
    DELETED_MEANWHILE = ExitCode.CHANGED, messages.DELETED_MEANWHILE
    FORK = ExitCode.CHANGED, messages.FORK
    FORK_READ_ONLY = ExitCode.CHANGED, messages.FORK_READ_ONLY
    BRANCH_MOVED = ExitCode.CHANGED, messages.BRANCH_MOVED
    PUSHED_MEANWHILE = ExitCode.CHANGED, messages.PUSHED_MEANWHILE
    REPAIRS_SPENT = ExitCode.CHANGED, messages.REPAIRS_SPENT
    PIPELINE_MISSING = ExitCode.CHANGED, messages.PIPELINE_MISSING
    PIPELINE_OF_BEFORE = ExitCode.CHANGED, messages.PIPELINE_OF_BEFORE
    PIPELINE_RUNS = ExitCode.CHANGED, messages.PIPELINE_RUNS
    NOTHING_FAILED = ExitCode.CHANGED, messages.NOTHING_FAILED
    NOT_THE_CODE = ExitCode.CHANGED, messages.NOT_THE_CODE

    NOT_SIGNED_IN = ExitCode.CLAUDE, messages.NOT_SIGNED_IN
    MODEL_UNKNOWN = ExitCode.CLAUDE, messages.MODEL_UNKNOWN
    MODEL_NOT_ALLOWED = ExitCode.CLAUDE, messages.MODEL_NOT_ALLOWED
    MODEL_PROFILE = ExitCode.CLAUDE, messages.MODEL_PROFILE
    REGION_NOT_SERVED = ExitCode.CLAUDE, messages.REGION_NOT_SERVED
    NO_CREDIT = ExitCode.CLAUDE, messages.NO_CREDIT
    ACCOUNT_DISABLED = ExitCode.CLAUDE, messages.ACCOUNT_DISABLED
    PROMPT_TOO_LONG = ExitCode.CLAUDE, messages.PROMPT_TOO_LONG
    PROVIDER_OFF = ExitCode.CLAUDE, messages.PROVIDER_OFF
    PROVIDER_UNREACHABLE = ExitCode.CLAUDE, messages.PROVIDER_UNREACHABLE
    QUOTA = ExitCode.CLAUDE, messages.QUOTA
    RATE_LIMITED = ExitCode.CLAUDE, messages.RATE_LIMITED
    OVERLOADED = ExitCode.CLAUDE, messages.OVERLOADED
    API_REFUSED = ExitCode.CLAUDE, messages.API_REFUSED
    MAX_TURNS = ExitCode.CLAUDE, messages.MAX_TURNS
    MAX_BUDGET = ExitCode.CLAUDE, messages.MAX_BUDGET
    CLAUDE_KILLED = ExitCode.CLAUDE, messages.CLAUDE_KILLED
    CLAUDE_FAILED = ExitCode.CLAUDE, messages.CLAUDE_FAILED

    TIME_LIMIT = ExitCode.TIME, messages.TIME_LIMIT
    CANCELED = ExitCode.TIME, messages.CANCELED
    CANCELED_PUSHING = ExitCode.TIME, messages.CANCELED_PUSHING

    DEFECT = ExitCode.DEFECT, messages.DEFECT

    def __init__(self, code: ExitCode, _: messages.Explanation) -> None:
        """Keep the code; the words are those of the language that is spoken by then."""
        self.code = code

    @property
    def sentence(self) -> str:
        """What happened, for the person who asked."""
        return messages.explanation(self.name).sentence

    @property
    def cure(self) -> str:
        """What to change, and who can."""
        return messages.explanation(self.name).cure


class Failure(Exception):
    """The one error of the job: a reason and what fills its blanks.

    A value is a text of ours, a name, a number of GitLab's, or a sentence of GitLab's or a
    provider's as code; never what somebody wrote.
    """

    def __init__(self, reason: Reason, **values: object) -> None:
        """Fill in the blanks of the reason's sentence and cure."""
        self.reason, self.code = reason, reason.code
        whole = messages.WITH_CURE.format(sentence=reason.sentence, cure=reason.cure)
        self.text = whole.rstrip().format(**values)
        super().__init__(f"{reason.name.lower()}: {self.text}")
