"""What the core needs from the world, as protocols. Adapters only translate; `tests/test_ports.py` holds them to it."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

from shared.access import Member, User
from shared.event import Branches, Event
from shared.run import RunRequest, TrackRequest
from shared.secret import Cached, GitLabSecrets, Secret
from shared.settings import Settings


class GitLabError(Exception):
    """GitLab did not do what was asked.

    `status` is its HTTP status, 0 where no answer came. `message` is GitLab's text, for comparing only: it is never
    shown. `after` is Retry-After in seconds. `unsure` says that GitLab may have acted all the same.
    """

    def __init__(
        self, status: int, message: str = "", *, after: float = 0.0, unsure: bool = False
    ) -> None:
        """Keep the answer; the exception's own text holds the status only."""
        super().__init__(f"GitLab answered {status}" if status else "GitLab did not answer")
        self.status, self.message, self.after, self.unsure = status, message, after, unsure


class Pipeline(NamedTuple):
    """A pipeline GitLab created."""

    id: int
    url: str


class Job(NamedTuple):
    """A job of a pipeline; `status` and `failure_reason` are GitLab's words."""

    id: int
    status: str
    failure_reason: str
    url: str


class Progress(NamedTuple):
    """Where a pipeline stands: GitLab's status, its duration in seconds, its creation in Unix seconds, its jobs."""

    status: str
    duration: int
    created_at: float
    jobs: tuple[Job, ...]

    @property
    def over(self) -> bool:
        """Tell whether it has come to its end, unless somebody starts it again."""
        return self.status in ("success", "failed", "canceled", "skipped")

    @property
    def failed(self) -> Job | None:
        """The first job that failed, if the pipeline did."""
        jobs = (job for job in self.jobs if job.status == "failed")
        return next(jobs, None) if self.status == "failed" else None


class Reply(NamedTuple):
    """A note of ours."""

    id: int
    body: str


class Target(NamedTuple):
    """An issue or merge request as GitLab tells it; `author` is (user id, user name)."""

    title: str
    description: str
    state: str
    labels: tuple[str, ...]
    author: tuple[int, str]
    branches: Branches | None


class Note(NamedTuple):
    """A comment of the thread; times in Unix seconds, `author` (user id, user name)."""

    id: int
    author: tuple[int, str]
    created_at: float
    updated_at: float
    internal: bool
    body: str


class Diff(NamedTuple):
    """A changed file of a merge request; `diff` is empty where GitLab shows none."""

    old_path: str
    new_path: str
    change: str
    diff: str


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
    event: Event


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

    def texts(self, event: Event) -> tuple[str, ...]:
        """Return the event's texts as they are now."""

    def award(self, event: Event, emoji: str) -> None:
        """Put an emoji on what was written; one that is there already is fine."""

    def withdraw(self, event: Event, emoji: str) -> None:
        """Take our emoji away; one that is not there is fine."""

    def reply(self, event: Event, body: str) -> int:
        """Answer in the event's discussion, internally where it is internal; return the note's id, 0 if not told."""

    def replied(self, event: Event, mark: str) -> Reply | None:
        """Return our own note in the event's discussion that holds the mark."""

    def read_reply(self, event: Event, note_id: int) -> str | None:
        """Return the text of a note; None when it is gone."""

    def edit_reply(self, event: Event, note_id: int, body: str) -> None:
        """Change a note of ours."""

    def trigger(self, project_id: int, token: Secret, body: Mapping[str, object]) -> Pipeline:
        """Call the pipeline trigger API with the token and the body."""

    def find_pipeline(self, project_id: int, run_id: str, since: float) -> Pipeline | None:
        """Return the triggered pipeline that carries the run id, among those created after `since` (Unix seconds).

        403 says that our token may not read the variables by which it would be known.
        """

    def progress(self, project_id: int, pipeline_id: int) -> Progress | None:
        """Return where a pipeline stands; None when it is gone."""

    def cancel(self, project_id: int, pipeline_id: int) -> None:
        """Cancel a pipeline; one that has ended is fine. 403 says that our token may not."""

    def target(self, event: Event) -> Target:
        """Return the event's issue or merge request."""

    def notes(self, event: Event) -> Iterator[Note]:
        """Yield the comments of the event's issue or merge request, newest first, without those GitLab wrote."""

    def discussion(self, event: Event) -> list[int]:
        """Return the ids of the notes of the event's discussion."""

    def roles(self, project_id: int, user_ids: list[int]) -> dict[int, int]:
        """Return the access level of each of these users that is a member."""

    def diffs(self, event: Event) -> Iterator[Diff]:
        """Yield the changed files of the event's merge request."""

    def project(self, project_id: str) -> Project | None:
        """Return a project by its id or path; None when GitLab shows none."""

    def comments(self, project: Project, since: float) -> Iterator[Comment]:
        """Yield the comments on issues and merge requests since the day of `since` (Unix seconds), oldest first."""

    def hooks(self, project_id: int) -> list[Hook]:
        """Return the project's webhooks for what may ask for a run; 403 where our token may not see them."""

    def failed_deliveries(self, project_id: int, hook_id: int, since: float) -> Iterator[bytes]:
        """Yield the bodies of a webhook's failed deliveries since `since` (Unix seconds), newest first."""


class Queue(Protocol):
    """Carries requests to `dispatch`: at least once, one thread's requests in order."""

    def put(self, request: RunRequest | TrackRequest) -> None:
        """Store the request durably; a second one of the same id may be dropped. Any exception: not stored."""


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
