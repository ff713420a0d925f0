"""What the core needs from the world, as protocols. Adapters only translate; `tests/test_ports.py` holds them to it."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from shared.access import Member, User
from shared.event import NoteEvent
from shared.run import RunRequest
from shared.secret import Secret


class GitLabError(Exception):
    """GitLab did not do what was asked.

    `status` is its HTTP status, 0 where no answer came. `message` is GitLab's text, for comparing only: it is never
    shown. `after` is Retry-After in seconds. `unsure` says that GitLab may have acted all the same.
    """

    def __init__(self, status: int, message: str = "", *, after: float = 0.0, unsure: bool = False) -> None:
        """Keep the answer; the exception's own text holds the status only."""
        super().__init__(f"GitLab answered {status}" if status else "GitLab did not answer")
        self.status, self.message, self.after, self.unsure = status, message, after, unsure


class Pipeline(NamedTuple):
    """A pipeline GitLab created."""

    id: int
    url: str


class GitLab(Protocol):
    """The one GitLab of the installation. Every call has a time limit, follows no redirect, raises GitLabError."""

    def user(self, user_id: int) -> User | None:
        """Return the user; None when GitLab says there is none."""

    def member(self, project_id: int, user_id: int) -> Member | None:
        """Return the user's effective membership, inherited ones included; None when GitLab says there is none."""

    def note_text(self, note: NoteEvent) -> str:
        """Return the note's text as it is now."""

    def award(self, note: NoteEvent, emoji: str) -> None:
        """Put an emoji on the note; one that is there already is fine."""

    def reply(self, note: NoteEvent, body: str) -> None:
        """Answer in the note's discussion, internally where the note is internal."""

    def replied(self, note: NoteEvent, marker: str) -> bool:
        """Tell whether the note's discussion holds a note with the marker."""

    def trigger(self, project_id: int, token: Secret, body: Mapping[str, object]) -> Pipeline:
        """Call the pipeline trigger API with the token and the body."""

    def find_pipeline(self, project_id: int, run_id: str, since: float) -> Pipeline | None:
        """Return the triggered pipeline that carries the run id, among those created after `since` (Unix seconds)."""


class Queue(Protocol):
    """Carries run requests to `dispatch`: at least once, one thread's requests in order."""

    def put(self, run: RunRequest) -> None:
        """Store the request durably; a second one of the same run may be dropped. Any exception: not stored."""


class Records(Protocol):
    """A durable table of texts, changed by compare-and-set. A version is the store's own and opaque; None: no record."""

    def read(self, key: str) -> tuple[str | None, object]:
        """Return the record's text and its version, as of the last completed write."""

    def write(self, key: str, text: str, version: object, expires: int) -> object:
        """Store the text if the stored version is still the one given; return the new version, or None if not.

        `expires` (Unix seconds) is when the record may be forgotten. Two writes never store the same text in a row.
        """


class Log(Protocol):
    """Writes one structured line."""

    def __call__(self, severity: str, fields: Mapping[str, object]) -> None:
        """Write the fields with severity INFO, WARNING or ERROR."""
