"""What the core needs from the world, as protocols. Adapters only translate; `tests/test_ports.py` holds them to it."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

from shared.access import Member, User
from shared.event import Branches, NoteEvent
from shared.run import RunRequest
from shared.secret import Cached, GitLabSecrets, Secret
from shared.settings import Settings


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


class Project(NamedTuple):
    """A project."""

    id: int
    path: str
    default_branch: str
    public: bool


class Comment(NamedTuple):
    """A comment as GitLab tells it later: when it was written, whether it was changed since, and what it says."""

    created_at: float
    edited: bool
    note: NoteEvent


class Hook(NamedTuple):
    """A webhook, and whether GitLab has switched it off."""

    id: int
    disabled: bool


class GitLab(Protocol):
    """The one GitLab of the installation. Every call has a time limit, follows no redirect, raises GitLabError."""

    def user(self, user_id: int) -> User | None:
        """Return the user; None when GitLab says there is none."""

    def own_id(self) -> int:
        """Return the id of the user whose token this installation uses."""

    def member(self, project_id: int, user_id: int) -> Member | None:
        """Return the user's effective membership, inherited ones included; None when GitLab says there is none."""

    def note_text(self, note: NoteEvent) -> str:
        """Return the note's text as it is now."""

    def award(self, note: NoteEvent, emoji: str) -> None:
        """Put an emoji on the note; one that is there already is fine."""

    def reply(self, note: NoteEvent, body: str) -> None:
        """Answer in the note's discussion, internally where the note is internal."""

    def replied(self, note: NoteEvent, text: str) -> bool:
        """Tell whether the note's discussion holds a note that contains the text."""

    def trigger(self, project_id: int, token: Secret, body: Mapping[str, object]) -> Pipeline:
        """Call the pipeline trigger API with the token and the body."""

    def find_pipeline(self, project_id: int, run_id: str, since: float) -> Pipeline | None:
        """Return the triggered pipeline that carries the run id, among those created after `since` (Unix seconds).

        403 says that our token may not read the variables by which it would be known.
        """

    def project(self, project_id: str) -> Project | None:
        """Return a project by its id or path; None when GitLab shows none."""

    def comments(self, project: Project, since: float) -> Iterator[Comment]:
        """Yield the comments on issues and merge requests since the day of `since` (Unix seconds), oldest first."""

    def branches(self, note: NoteEvent) -> Branches:
        """Return the branches of the note's merge request."""

    def hooks(self, project_id: int) -> list[Hook]:
        """Return the project's webhooks for comments; 403 where our token may not see them."""

    def failed_deliveries(self, project_id: int, hook_id: int, since: float) -> Iterator[bytes]:
        """Yield the bodies of a webhook's failed deliveries since `since` (Unix seconds), newest first."""


class Queue(Protocol):
    """Carries run requests to `dispatch`: at least once, one thread's requests in order."""

    def put(self, run: RunRequest) -> None:
        """Store the request durably; a second one of the same run may be dropped. Any exception: not stored."""


class Records(Protocol):
    """A durable table of texts, changed by compare-and-set; a version is the store's own, None: no record."""

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


class World(NamedTuple):
    """What the use cases behind the queue work with: one per platform, made by its handlers."""

    settings: Settings
    secrets: Cached[GitLabSecrets]
    records: Records
    gitlab: GitLab
    now: Callable[[], float]
    log: Log
