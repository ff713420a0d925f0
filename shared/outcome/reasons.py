"""Every way a delivery or a run can end: the one list for answers, replies, logs and docs."""
# ruff: noqa: PIE796  (outcomes repeat; each reason has a number of its own)

from enum import Enum, StrEnum
from typing import Self

from shared.outcome import messages


class Outcome(StrEnum):
    """What became of a delivery or a run."""

    QUEUED = "queued"
    TRIGGERED = "triggered"
    ANSWERED = "answered"
    IGNORED = "ignored"
    REFUSED = "refused"
    ERROR = "error"


class Reason(Enum):
    """Why it ended so: an outcome, and a sentence and a cure from `shared/outcome/messages.py`.

    >>> str(Reason.NO_JOB), Reason.NO_JOB.outcome, Reason.NO_JOB.sentence
    ('no_job', <Outcome.ERROR: 'error'>, 'No job of the project matches a triggered pipeline.')
    """

    outcome: Outcome

    def __new__(cls, outcome: Outcome) -> Self:
        """Give each member its own number as value: outcomes repeat."""
        member = object.__new__(cls)
        member._value_ = len(cls.__members__)
        member.outcome = outcome
        return member

    @property
    def sentence(self) -> str:
        """What happened, for the person who asked."""
        return messages.REASONS[self.name][0]

    @property
    def cure(self) -> str:
        """What to change, and who can; empty where nothing is to be done."""
        return messages.REASONS[self.name][1]

    def __str__(self) -> str:
        """Return the name as answers and logs show it, such as `no_mention`."""
        return self.name.lower()

    # Answers of `receive`.
    QUEUED = Outcome.QUEUED
    NO_MENTION = Outcome.IGNORED
    EVENT_NOT_SERVED = Outcome.IGNORED
    TARGET_UNKNOWN = Outcome.IGNORED
    NOTHING_NEW = Outcome.IGNORED
    NOT_OUR_PIPELINE = Outcome.IGNORED
    MALFORMED = Outcome.IGNORED
    SYSTEM_NOTE = Outcome.IGNORED
    EDITED_NOTE = Outcome.IGNORED
    OWN_NOTE = Outcome.IGNORED
    PROJECT_NOT_ALLOWED = Outcome.IGNORED
    TOKEN_NOT_FOR_PROJECT = Outcome.IGNORED
    CONFIDENTIAL_OFF = Outcome.IGNORED
    DISABLED = Outcome.IGNORED
    DEFECT = Outcome.IGNORED
    METHOD_NOT_ALLOWED = Outcome.REFUSED
    BODY_TOO_LARGE = Outcome.REFUSED
    UNSIGNED = Outcome.REFUSED
    SIGNATURE_MISSING = Outcome.REFUSED
    SIGNATURE_STALE = Outcome.REFUSED
    SIGNATURE_WRONG = Outcome.REFUSED
    TOKEN_WRONG = Outcome.REFUSED
    SECRETS_UNAVAILABLE = Outcome.ERROR
    QUEUE_UNAVAILABLE = Outcome.ERROR

    # Ends of a run.
    TRIGGERED = Outcome.TRIGGERED
    ANSWERED = Outcome.ANSWERED
    TRACKED = Outcome.ANSWERED
    WAITING = Outcome.QUEUED
    PACED = Outcome.QUEUED
    CANCELLED = Outcome.ANSWERED
    DUPLICATE = Outcome.IGNORED
    BUSY = Outcome.ERROR
    PROJECT_NOT_SEEN = Outcome.IGNORED
    THREAD_GONE = Outcome.IGNORED
    BOT_AUTHOR = Outcome.IGNORED
    NOT_A_MEMBER = Outcome.REFUSED
    KNOWN_STRANGER = Outcome.IGNORED
    MEMBERSHIP_INACTIVE = Outcome.REFUSED
    ROLE_TOO_LOW = Outcome.REFUSED
    USER_NOT_ACTIVE = Outcome.REFUSED
    EXTERNAL_USER = Outcome.REFUSED
    TARGET_NOT_SERVED = Outcome.REFUSED
    FORK_MERGE_REQUEST = Outcome.REFUSED
    FORK_READ_ONLY = Outcome.REFUSED
    NOTE_CHANGED = Outcome.REFUSED
    USER_LIMIT = Outcome.REFUSED
    THREAD_LIMIT = Outcome.REFUSED
    PROJECT_LIMIT = Outcome.REFUSED
    DAY_LIMIT = Outcome.REFUSED
    BUDGET_USER = Outcome.REFUSED
    BUDGET_PROJECT = Outcome.REFUSED
    BUDGET_INSTALLATION = Outcome.REFUSED
    COMMAND_LIMIT = Outcome.REFUSED
    OVER_LIMIT = Outcome.IGNORED
    NOT_BY_POLICY = Outcome.IGNORED
    SUPERSEDED = Outcome.IGNORED
    NOTHING_TO_REPAIR = Outcome.IGNORED
    AUTO_LIMIT = Outcome.REFUSED
    AUTO_UNREADABLE = Outcome.REFUSED
    OPTION_UNKNOWN = Outcome.REFUSED
    OPTION_VALUE = Outcome.REFUSED
    MODEL_NOT_OFFERED = Outcome.REFUSED
    NOTHING_TO_RETRY = Outcome.REFUSED
    MODEL_RETIRED = Outcome.REFUSED
    MODEL_RETIRES = Outcome.IGNORED
    UNCERTAIN = Outcome.ERROR
    DEAD_LETTER = Outcome.ERROR
    RECORD_UNREADABLE = Outcome.ERROR
    REQUEST_UNREADABLE = Outcome.ERROR
    HOOK_DISABLED = Outcome.ERROR
    HOOKS_UNSEEN = Outcome.IGNORED
    TRIGGER_TOKEN_MISSING = Outcome.ERROR
    TRIGGER_TOKEN_REJECTED = Outcome.ERROR
    API_TOKEN_REJECTED = Outcome.ERROR
    REF_NOT_FOUND = Outcome.ERROR
    REPOSITORY_EMPTY = Outcome.ERROR
    REF_NOT_PERMITTED = Outcome.ERROR
    WORKFLOW_RULES = Outcome.ERROR
    NO_JOB = Outcome.ERROR
    RUNNER_NOT_SEEN = Outcome.ERROR
    RUNNER_NOT_PRIVATE = Outcome.ERROR
    RUNNER_ASKS = Outcome.IGNORED
    VARIABLES_FORBIDDEN = Outcome.ERROR
    CI_CONFIG_INVALID = Outcome.ERROR
    CI_DISABLED = Outcome.ERROR
    IDENTITY_NOT_VERIFIED = Outcome.ERROR
    PIPELINE_LIMIT = Outcome.ERROR
    EXTERNAL_VALIDATION = Outcome.ERROR
    PIPELINE_FAILED_AT_ONCE = Outcome.ERROR
    GITLAB_REFUSED = Outcome.ERROR
    PIPELINE_RATE_LIMIT = Outcome.ERROR
    GITLAB_REDIRECTS = Outcome.ERROR
    GITLAB_UNAVAILABLE = Outcome.ERROR

    # What the operator's doctor finds beside these, before it keeps a run from starting.
    SETTING_WRONG = Outcome.ERROR
    PART_BROKEN = Outcome.ERROR
    VERSION_TOO_OLD = Outcome.ERROR
    BOT_RIGHTS = Outcome.ERROR
    TOKEN_EXPIRES = Outcome.ERROR
    HOOK_MISSING = Outcome.ERROR
    HOOK_INCOMPLETE = Outcome.ERROR
    HOOK_UNANSWERED = Outcome.ERROR
    CI_SWITCHED_OFF = Outcome.ERROR
    JOB_VARIABLE = Outcome.ERROR
    NO_RUNNER = Outcome.ERROR


class TriggerError(Exception):
    """The root of our errors: each carries a `Reason`, and so has a name, a sentence and a cure."""

    def __init__(self, reason: Reason) -> None:
        """Carry the reason."""
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        """Say what happened and what to do; it holds nothing that came from outside."""
        return f"{self.reason}: {self.reason.sentence} {self.reason.cure}".rstrip()


class Stop(TriggerError):
    """This delivery or run ends here; trying again would change nothing."""

    def __init__(self, reason: Reason, hint: str = "") -> None:
        """Carry the reason, and a hint of our own words and the installation's.

        Nothing a person wrote may stand in it.
        """
        super().__init__(reason)
        self.hint = hint


class Retry(TriggerError):
    """What went wrong heals: the same request is to be tried again after `after` seconds."""

    def __init__(self, reason: Reason, after: float = 0.0) -> None:
        """Carry the reason and the wait in seconds (0: the platform's own back-off)."""
        super().__init__(reason)
        self.after = after
