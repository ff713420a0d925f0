"""What GitLab answers, as values, and the error where it did not do what was asked."""

from enum import StrEnum
from typing import NamedTuple

from shared.incoming.event import Branches, Event


class Cause(StrEnum):
    """What failed on the way to GitLab and back, in the words that logs show."""

    DNS = "dns: the name in GITLAB_URL is not known"
    TCP = "tcp: nobody takes connections at the address of GITLAB_URL"
    TLS = "tls: the certificate of GITLAB_URL is not trusted"
    PROXY = "proxy: the proxy did not pass the request on"
    TIMEOUT = "timeout: GitLab took too long to answer"
    BROKEN = "broken: the connection ended before GitLab had answered"
    NOT_GITLAB = "not_gitlab: what answered at GITLAB_URL is not GitLab's API"


FORBIDDEN, NOT_FOUND = 403, 404
_PASSES = (401, 408, 429)  # statuses below 500 after which the same call may succeed


class GitLabError(Exception):
    """GitLab did not do what was asked.

    `status` is its HTTP status, 0 where no answer came; `cause` then says why. `message` is
    GitLab's text, for comparing only: it is never shown. `after` is Retry-After in seconds.
    `unsure` says that GitLab may have acted all the same.
    """

    def __init__(
        self,
        status: int,
        message: str = "",
        *,
        after: float = 0.0,
        unsure: bool = False,
        cause: Cause = Cause.NOT_GITLAB,
    ) -> None:
        """Keep the answer; the exception's own text holds the status or the cause only."""
        super().__init__(f"GitLab answered {status}" if status else str(cause))
        self.status, self.message, self.after, self.unsure = status, message, after, unsure
        self.cause = cause

    @property
    def refused(self) -> bool:
        """Whether GitLab has said no, and would say it again."""
        return 400 <= self.status < 500 and self.status not in _PASSES  # noqa: PLR2004


class Pipeline(NamedTuple):
    """A pipeline GitLab created."""

    id: int
    url: str


class Job(NamedTuple):
    """A job of a pipeline; `status` and `failure_reason` are GitLab's words.

    `name` is the project's; `began` tells whether a runner has had it.
    """

    id: int
    status: str
    failure_reason: str
    url: str
    name: str = ""
    began: bool = True


DELETED = "deleted"  # our word for the status of a pipeline that is gone


class Progress(NamedTuple):
    """Where a pipeline stands: GitLab's word for it, and its jobs.

    `duration` is in seconds, `created_at` in Unix seconds. `url` is where it is by now, "" if not
    told. `source` and `ref` are what started it, and on what, in GitLab's words.
    """

    status: str
    duration: int
    created_at: float
    jobs: tuple[Job, ...]
    url: str = ""
    source: str = ""
    ref: str = ""

    @property
    def over(self) -> bool:
        """Tell whether it has come to its end, unless somebody starts it again."""
        return self.status in ("success", "failed", "canceled", "skipped", DELETED)

    @property
    def unlinked(self) -> "Progress":
        """The same without addresses."""
        return self._replace(url="", jobs=tuple(job._replace(url="") for job in self.jobs))

    @property
    def ours(self) -> tuple[Job, ...]:
        """Claude's jobs, by their names as the component gives them; all, if none is so named."""
        return tuple(job for job in self.jobs if _is_ours(job)) or self.jobs

    @property
    def only_ours_failed(self) -> bool:
        """Tell whether Claude's jobs are all that failed."""
        failed = [job for job in self.jobs if job.status == "failed"]
        return bool(failed) and all(_is_ours(job) for job in failed)

    @property
    def others(self) -> tuple[Job, ...]:
        """The jobs that run beside Claude's."""
        return tuple(job for job in self.jobs if job not in self.ours)

    @property
    def failed(self) -> Job | None:
        """The first job that failed, Claude's before others, if the pipeline did."""
        jobs = (job for job in (*self.ours, *self.others) if job.status == "failed")
        return next(jobs, None) if self.status == "failed" else None


def _is_ours(job: Job) -> bool:
    return "claude" in job.name.lower()


class HeadPipeline(NamedTuple):
    """The latest pipeline of a merge request; it may be of an older commit.

    `user` is who started it (user id, user name), `ended_at` in Unix seconds, 0 before its end.
    """

    id: int
    status: str
    sha: str
    ref: str
    user: tuple[int, str]
    ended_at: float = 0.0


class Reply(NamedTuple):
    """A note of ours."""

    id: int
    body: str


class Target(NamedTuple):
    """An issue or merge request as GitLab tells it.

    `author` is (user id, user name), `updated_at` in Unix seconds; `assignees` and `reviewers` are
    user names. `draft` and `pipeline` are a merge request's.
    """

    title: str
    description: str
    state: str
    labels: tuple[str, ...]
    author: tuple[int, str]
    branches: Branches | None
    confidential: bool = False
    updated_at: float = 0.0
    assignees: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    draft: bool = False
    pipeline: HeadPipeline | None = None


class File(NamedTuple):
    """A file of a repository; `blob` is the id of its content."""

    text: str
    blob: str


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
    """A project; `listed` says that our token's user is a member, whose lists hold it."""

    id: int
    path: str
    default_branch: str
    public: bool
    listed: bool = True


class SweptNote(NamedTuple):
    """A comment as it stands, and when it was written (Unix seconds)."""

    created_at: float
    event: Event


class Hook(NamedTuple):
    """A webhook, and whether GitLab has switched it off."""

    id: int
    disabled: bool


class User(NamedTuple):
    """A user as `GET /users/:id` tells it; `state` is GitLab's word for the account's."""

    id: int
    username: str
    bot: bool
    state: str
    external: bool = False


class Member(NamedTuple):
    """A membership as `GET /projects/:id/members/all/:user_id` tells it, inherited ones included.

    `access_level` is the effective one; `expires_at` is an ISO date or None.
    """

    user_id: int
    access_level: int
    state: str
    membership_state: str
    expires_at: str | None
