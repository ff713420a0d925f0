"""A GitLab in memory, whose calls meet the faults of a schedule, and a job that may lack things."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from shared.contract.ai_flow import MERGE_REQUEST
from shared.gitlab.values import (
    Diff,
    File,
    GitLabError,
    HeadPipeline,
    Hook,
    Job,
    Member,
    Note,
    Pipeline,
    Progress,
    Project,
    Reply,
    SweptNote,
    Target,
    User,
)
from shared.incoming.event import Event
from shared.installation.secrets import Secret
from shared.outgoing.context import SECONDS
from shared.runs.request import RunRequest, TrackRequest
from tests.proofs.faults.catalogue import UNREAD
from tests.proofs.faults.model import Doubled, Trouble, Value
from tests.support.fakes import NOW

RUNNER = 70
_OTHERS = (900_001, 900_002)  # comments that ask for nothing


class GitLab:
    """A GitLab with one project and one thread; its scene says what it `forbids` and `knows`.

    Another project, RUNNER, runs jobs for it. A pipeline is there where it was triggered alone.
    """

    def __init__(
        self, trouble: Trouble, text: str, *, forbids: bool = False, knows: bool = True
    ) -> None:
        """Begin with a comment, which says the text, and nothing else."""
        self._call, self._text, self._forbids, self._knows = trouble.call, text, forbids, knows
        self._now = trouble.clock
        self._said: dict[int, str] = {}  # what other notes say
        self.pipelines: dict[str, tuple[Pipeline, float]] = {}
        self._marked: dict[str, str] = {}  # runs by the nonce of their pipeline
        self.statuses: dict[int, str] = {}
        self.homes: dict[int, int] = {}  # the project of each pipeline
        self.replies: list[str] = []  # reply number n has the id n + 1
        self.concealed: list[set[str]] = []  # what a job was not told that it lacks
        self._lacks: set[str] = set()
        self._gathering = 0.0

    def hears(self, run: RunRequest | TrackRequest) -> None:
        """Have the comment that a request was made of; one too long to travel is the text."""
        if isinstance(run, RunRequest) and run.instruction is not None:
            self._said[run.event.note_id] = f"@claude {run.instruction}"

    def within(self, seconds: float) -> None:
        """Take any time: the clock is a virtual one."""

    def user(self, user_id: int) -> User | None:
        return self._found("user", lambda: User(user_id, "ada", bot=False, state="active"))

    def own_id(self) -> int:
        return self._call("user", lambda: 99)

    def token_ends(self) -> str:
        raise NotImplementedError

    def member(self, project_id: int, user_id: int) -> Member | None:  # noqa: ARG002
        return self._found(
            "member", lambda: Member(user_id, 30, "active", "active", None) if self._knows else None
        )

    def note(self, event: Event) -> Note:
        said, author = self._said.get(event.note_id, self._text), (event.author_id, event.author)
        there = Note(event.note_id, author, event.at, event.at, internal=False, body=said)
        return self._call("note", lambda: there)

    def award(self, event: Event, emoji: str) -> int:  # noqa: ARG002
        try:
            return self._call("award", lambda: 1, writes=True)
        finally:
            self._gathering = self._now()

    def withdraw(self, event: Event, emoji: str, award_id: int = 0) -> None:  # noqa: ARG002
        self._call("withdraw", lambda: None, writes=True)

    def reply(self, event: Event, body: str) -> int:  # noqa: ARG002
        def write() -> int:
            self.replies.append(body)
            return len(self.replies)

        return self._call("reply", write, writes=True)

    def replied(self, event: Event, mark: str) -> Reply | None:  # noqa: ARG002
        def look() -> Reply | None:
            return next(
                (
                    Reply(number, body)
                    for number, body in enumerate(self.replies, 1)
                    if mark in body
                ),
                None,
            )

        return self._call("replied", look)

    def read_reply(self, event: Event, note_id: int) -> str | None:  # noqa: ARG002
        return self._found("read reply", lambda: self.replies[note_id - 1])

    def edit_reply(self, event: Event, note_id: int, body: str) -> None:  # noqa: ARG002
        def write() -> None:
            self.replies[note_id - 1] = body

        self._call("edit reply", write, writes=True)

    def delete_reply(self, event: Event, note_id: int) -> None:  # noqa: ARG002
        def write() -> None:
            self.replies[note_id - 1] = ""

        self._call("delete reply", write, writes=True)

    def progress(
        self,
        project_id: int,
        pipeline_id: int,
        before: Progress | None = None,  # noqa: ARG002
    ) -> Progress | None:
        def look() -> Progress | None:
            if project_id != self.homes.get(pipeline_id, project_id):
                return None
            status = self.statuses.get(pipeline_id, "pending")
            return Progress(status, 61, NOW, self._jobs_of(pipeline_id))

        return self._found("progress", look)

    def jobs(
        self,
        project_id: int,  # noqa: ARG002
        pipeline_id: int,
        *,
        retried: bool = False,  # noqa: ARG002
    ) -> tuple[Job, ...]:
        return self._call("jobs", lambda: self._jobs_of(pipeline_id))

    def _jobs_of(self, pipeline_id: int) -> tuple[Job, ...]:
        status = self.statuses.get(pipeline_id, "pending")
        return (Job(7, status, "", "https://gitlab.com/group/app/-/jobs/7"),)

    def newest_pipelines(self, project_id: int) -> Iterator[tuple[int, Progress]]:
        known = {
            number: Progress(word, 61, NOW, ())
            for number, word in self.statuses.items()
            if self.homes[number] == project_id
        }
        yield from self._call("progress", lambda: list(known.items()))

    def cancel(self, project_id: int, pipeline_id: int) -> None:
        if project_id != self.homes[pipeline_id]:
            raise GitLabError(404)
        self._call("cancel", lambda: self.statuses.update({pipeline_id: "canceled"}), writes=True)

    def target(self, event: Event) -> Target:
        self._lacks = set()
        there = Target("It breaks", "", "opened", (), (42, "ada"), event.branches)
        if event.branches:
            red = HeadPipeline(500, "failed", event.branches.sha, "feature", (42, "ada"), NOW)
            there = there._replace(pipeline=red)
        return self._call("target", lambda: there)

    def parents(self, project_id: int, commit: str) -> tuple[str, ...]:
        raise NotImplementedError

    def open_of_branch(self, project_id: int, branch: str) -> list[int]:
        raise NotImplementedError

    def notes(self, event: Event) -> Iterator[Note]:  # noqa: ARG002
        said = (
            Note(number, (43, "bob"), NOW - 9, NOW - 9, internal=False, body=f"{number}")
            for number in _OTHERS
        )
        yield from self._helps("notes", lambda: said)

    def discussion(self, event: Event) -> list[int]:
        return self._helps("discussion", lambda: [_OTHERS[0], event.note_id])

    def roles(self, project_id: int, user_ids: list[int]) -> dict[int, int]:  # noqa: ARG002
        return self._helps("roles", lambda: dict.fromkeys(user_ids, 30))

    def diffs(self, event: Event) -> Iterator[Diff]:  # noqa: ARG002
        yield from self._helps(
            "diffs", lambda: [Diff("app.py", "app.py", "modified", "@@ -1 +1 @@\n-a\n+b\n")]
        )

    def file(self, project_id: int, path: str, ref: str) -> File | None:  # noqa: ARG002
        return self._found("file", lambda: None)

    def trigger(self, project_id: int, token: Secret, body: Mapping[str, Any]) -> Pipeline:  # noqa: ARG002
        """Start a pipeline in this very project."""

        def create() -> Pipeline | None:
            if self._forbids and "variables" in body:
                return None
            run = body["ai_flow"]["id"]
            if run in self.pipelines:
                raise Doubled(run)
            number = len(self.pipelines) + 1
            pipeline = Pipeline(number, f"https://gitlab.com/group/app/-/pipelines/{number}")
            self.pipelines[run] = pipeline, self._now()
            self.homes[number] = project_id
            self._marked[body["ai_flow"]["nonce"]] = run
            return pipeline

        self._compare(body["ai_flow"]["context"])
        created = self._call("trigger", create, writes=True)
        if created is None:
            raise GitLabError(
                400, "{'base': ['Insufficient permissions to set pipeline variables']}"
            )
        return created

    def find_pipeline(self, project_id: int, mark: str, since: float) -> Pipeline | None:
        def look() -> Pipeline | None:
            run = self._marked.get(mark, mark)
            pipeline, created = self.pipelines.get(run, (None, 0.0))
            here = pipeline is not None and self.homes[pipeline.id] == project_id
            return pipeline if here and created >= since else None

        return self._call("find_pipeline", look)

    def project(self, project_id: str) -> Project | None:
        number = int(project_id) if project_id.isdigit() else RUNNER
        there = Project(number, "group/app", "main", public=False)
        return self._found("project", lambda: there)

    def active_projects(self, since: float) -> Iterator[tuple[int, float]]:
        raise NotImplementedError

    def comments(self, project: Project, since: float) -> Iterator[SweptNote]:
        raise NotImplementedError

    def changed_targets(self, project: Project, since: float) -> Iterator[Event]:
        raise NotImplementedError

    def askings(self, opened: Event, since: float) -> Iterator[Event]:
        raise NotImplementedError

    def hooks(self, project_id: int) -> list[Hook]:
        raise NotImplementedError

    def failed_deliveries(self, project_id: int, hook_id: int, since: float) -> Iterator[bytes]:
        raise NotImplementedError

    def _found(self, step: str, look: Callable[[], Value | None]) -> Value | None:
        try:
            return self._call(step, look)
        except GitLabError as error:
            if error.status == 404:
                return None  # as functions/gitlab/people.py reads it
            raise

    def _helps(self, step: str, look: Callable[[], Value]) -> Value:
        """Make a call whose failure the job has to be told of."""
        try:
            return self._call(step, look)
        except GitLabError:
            self._lacks.add(UNREAD[step])
            raise

    def _compare(self, context: Mapping[str, Any]) -> None:
        """Hold what the job is told to lack against what it lacks, more if time was short."""
        told = {*context["unread"]} - {"hunk"}
        hasty = self._now() - self._gathering <= SECONDS
        known = MERGE_REQUEST in context or told <= {*UNREAD.values()} - {UNREAD["diffs"]}
        if not known or self._lacks - told or (hasty and told - self._lacks):
            self.concealed.append(self._lacks ^ told)
