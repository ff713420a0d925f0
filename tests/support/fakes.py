"""Hand-written fakes of the ports: they keep what they were told, and misbehave on request."""

import base64
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from typing import Any

from shared.gitlab.values import (
    Diff,
    File,
    GitLabError,
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
from shared.incoming.delivery import Delivery
from shared.incoming.event import Branches, Event
from shared.installation.secrets import Cached, GitLabSecrets, Secret, WebhookSecrets
from shared.installation.settings import Settings
from shared.runs.confirm import Confirmed
from shared.runs.detect import request
from shared.runs.record import Record, key_of
from shared.runs.request import RunRequest, TrackRequest
from shared.services import Services

NOW = 1_770_000_000.0
SIGNING_TOKEN = "whsec_" + base64.b64encode(b"canary-signing-key-of-32-bytes!!").decode()
SECRET_TOKEN = "canary-secret-token"
API_TOKEN = "glpat-canary-api-token"
TRIGGER_TOKEN = "glptt-canary-trigger-token"
WEBHOOK_SECRETS = json.dumps({"signing_tokens": [SIGNING_TOKEN]})
GITLAB_SECRETS = json.dumps({"api_token": API_TOKEN, "trigger_tokens": {"*": TRIGGER_TOKEN}})

NOTE = Event(
    project_id=7,
    project_path="group/app",
    default_branch="main",
    kind="issue",
    iid=5,
    branches=None,
    note_id=101,
    discussion_id="d" * 40,
    internal=False,
    public=False,
    author_id=42,
    author="ada",
    texts=("@claude fix it",),
    position=None,
    before=("",),
    at=NOW,
)


class Clock:
    """A clock that moves when told."""

    def __init__(self, time: float = NOW) -> None:
        self.time = time

    def __call__(self) -> float:
        return self.time


class Queue:
    """A queue in a list."""

    def __init__(self) -> None:
        self.runs: list[RunRequest] = []
        self.tracks: list[TrackRequest] = []
        self.error: Exception | None = None

    def put(self, request: RunRequest | TrackRequest) -> None:
        if self.error:
            raise self.error
        if isinstance(request, TrackRequest):
            self.tracks.append(request)
        else:
            self.runs.append(request)


class Records:
    """Records in a dictionary; `before_write` is called with each run's record to be written."""

    def __init__(self) -> None:
        self.stored: dict[str, tuple[str, int]] = {}
        self.before_write: Callable[[Record], None] = lambda _: None

    def read(self, key: str) -> tuple[str | None, object]:
        return self.stored.get(key, (None, None))

    def write(self, key: str, text: str, version: object, expires: int) -> object:  # noqa: ARG002
        if key.startswith("run/"):
            self.before_write(Record.from_json(text))
        if self.stored.get(key, (None, None))[1] != version:
            return None
        following = self.stored[key][1] + 1 if key in self.stored else 1
        self.stored[key] = text, following
        return following

    def delete(self, key: str) -> None:
        self.stored.pop(key, None)

    def listed(self, index: str, most: int) -> list[tuple[str, str]]:
        entries = sorted(each for each in self.stored.items() if each[0].startswith(f"{index}//"))
        return [(key, text) for key, (text, _) in entries[:most]]

    def run(self, run_id: str) -> Record | None:
        text, _ = self.read(key_of(run_id))
        return Record.from_json(text) if text else None


class GitLab:
    """A GitLab where user 42 is a developer of project 7; `faults[method]` are raised in turn."""

    def __init__(self) -> None:
        self.users = {42: User(42, "ada", bot=False, state="active")}
        self.members = {(7, 42): Member(42, 30, "active", "active", None)}
        self.text = "@claude fix it"
        self.said: dict[int, str] = {}  # what other notes than that say
        self.wrote: dict[int, Note] = {}  # notes that are not as their deliveries tell
        self.until = ""  # when our token expires
        self.awards: list[str] = []
        self.replies: list[str] = []  # reply number n has the id n + 1
        self.thread: list[Note] = []
        self.changed: list[Diff] = []
        self.files: dict[tuple[int, str, str], str] = {}
        self.merged: dict[str, tuple[str, ...]] = {}  # a commit's parents
        self.of_branches: dict[str, list[int]] = {}  # their open merge requests
        self.described = Target("It breaks", "Since Monday.", "opened", ("bug",), (42, "ada"), None)
        self.branches: Branches | None = None  # where they are not as deliveries tell
        self.statuses: dict[int, Progress] = {}
        self.cancelled: list[int] = []
        self.triggered: list[Any] = []
        self.projects = [Project(7, "group/app", "main", public=False)]
        self.written: list[SweptNote] = []
        self.asked: list[
            tuple[Event, list[Event]]
        ] = []  # a target as it is, and what was asked by it
        self.webhooks: list[Hook] = []
        self.failed: list[bytes] = []
        self.retried: tuple[Job, ...] = ()
        self.faults: dict[str, list[Exception | None]] = {}

    def hears(self, asked: RunRequest | TrackRequest) -> None:
        """Have the comment of a request, if it is not there yet."""
        if isinstance(asked, RunRequest) and asked.instruction is not None:
            self.said.setdefault(asked.event.note_id, f"@claude {asked.instruction}")

    def _meet(self, method: str) -> None:
        waiting = self.faults.get(method)
        error = waiting.pop(0) if waiting else None
        if error:
            raise error

    def user(self, user_id: int) -> User | None:
        self._meet("user")
        return self.users.get(user_id)

    def within(self, seconds: float) -> None:
        pass

    def own_id(self) -> int:
        self._meet("own_id")
        return 99

    def token_ends(self) -> str:
        self._meet("token_ends")
        return self.until

    def member(self, project_id: int, user_id: int) -> Member | None:
        self._meet("member")
        return self.members.get((project_id, user_id))

    def note(self, event: Event) -> Note:
        self._meet("note")
        author, at = (event.author_id, event.author), event.at or NOW
        body = self.said.get(event.note_id, self.text)
        as_told = Note(event.note_id, author, at, at, internal=False, body=body)
        return self.wrote.get(event.note_id, as_told)

    def award(self, event: Event, emoji: str) -> int:  # noqa: ARG002
        self._meet("award")
        self.awards.append(emoji)
        return 1000 + len(self.awards)

    def withdraw(self, event: Event, emoji: str, award_id: int = 0) -> None:  # noqa: ARG002
        self._meet("withdraw")
        self.awards = [each for each in self.awards if each != emoji]

    def reply(self, event: Event, body: str) -> int:  # noqa: ARG002
        self._meet("reply")
        self.replies.append(body)
        return len(self.replies)

    def replied(self, event: Event, mark: str) -> Reply | None:  # noqa: ARG002
        self._meet("replied")
        found = (Reply(number, body) for number, body in enumerate(self.replies, 1) if mark in body)
        return next(found, None)

    def read_reply(self, event: Event, note_id: int) -> str | None:  # noqa: ARG002
        self._meet("read_reply")
        there = note_id <= len(self.replies) and self.replies[note_id - 1]
        return there or None  # one that was deleted is empty

    def edit_reply(self, event: Event, note_id: int, body: str) -> None:  # noqa: ARG002
        self._meet("edit_reply")
        self.replies[note_id - 1] = body

    def delete_reply(self, event: Event, note_id: int) -> None:  # noqa: ARG002
        self._meet("delete_reply")
        self.replies[note_id - 1] = ""

    def progress(
        self,
        project_id: int,  # noqa: ARG002
        pipeline_id: int,
        before: Progress | None = None,  # noqa: ARG002
    ) -> Progress | None:
        self._meet("progress")
        return self.statuses.get(pipeline_id)

    def jobs(self, project_id: int, pipeline_id: int, *, retried: bool = False) -> tuple[Job, ...]:
        progress = self.progress(project_id, pipeline_id)
        return (*(progress.jobs if progress else ()), *(self.retried if retried else ()))

    def cancel(self, project_id: int, pipeline_id: int) -> None:  # noqa: ARG002
        self._meet("cancel")
        self.cancelled.append(pipeline_id)
        self.moves(pipeline_id, "canceled")

    def moves(self, pipeline_id: int, status: str, failure_reason: str = "") -> None:
        """Let a pipeline and its one job have a status."""
        job = Job(
            10 * pipeline_id,
            status,
            failure_reason,
            f"https://gitlab.com/group/app/-/jobs/{10 * pipeline_id}",
        )
        self.statuses[pipeline_id] = Progress(status, 61, NOW, (job,))

    def newest_pipelines(self, project_id: int) -> Iterator[tuple[int, Progress]]:  # noqa: ARG002
        self._meet("newest_pipelines")
        for number in sorted(self.statuses, reverse=True):
            yield number, self.statuses[number]._replace(jobs=())

    def target(self, event: Event) -> Target:
        self._meet("target")
        there = self.branches or event.branches or Branches("feature", "main", 7, "abc")
        return self.described._replace(branches=there if event.kind == "merge_request" else None)

    def notes(self, event: Event) -> Iterator[Note]:  # noqa: ARG002
        self._meet("notes")
        yield from reversed(self.thread)

    def discussion(self, event: Event) -> list[int]:
        self._meet("discussion")
        return [event.note_id]

    def roles(self, project_id: int, user_ids: list[int]) -> dict[int, int]:
        self._meet("roles")
        members = ((user, self.members.get((project_id, user))) for user in user_ids)
        return {user: member.access_level for user, member in members if member}

    def diffs(self, event: Event) -> Iterator[Diff]:  # noqa: ARG002
        self._meet("diffs")
        yield from self.changed

    def file(self, project_id: int, path: str, ref: str) -> File | None:
        self._meet("file")
        text = self.files.get((project_id, path, ref))
        return None if text is None else File(text, f"blob of {text}")

    def parents(self, project_id: int, commit: str) -> tuple[str, ...]:  # noqa: ARG002
        self._meet("parents")
        return self.merged.get(commit, ())

    def open_of_branch(self, project_id: int, branch: str) -> list[int]:  # noqa: ARG002
        self._meet("open_of_branch")
        return self.of_branches.get(branch, [])

    def trigger(self, project_id: int, token: Secret, body: Mapping[str, Any]) -> Pipeline:
        try:
            self._meet("trigger")
        except GitLabError as error:
            if error.message == "acted":
                self.triggered.append((project_id, token.reveal(), body))
            raise
        self.triggered.append((project_id, token.reveal(), body))
        self.moves(len(self.triggered), "pending")
        return self._pipeline(len(self.triggered))

    def find_pipeline(self, project_id: int, mark: str, since: float) -> Pipeline | None:  # noqa: ARG002
        self._meet("find_pipeline")
        marked = [body["ai_flow"]["nonce"] for _, _, body in self.triggered]
        return self._pipeline(marked.index(mark) + 1) if mark in marked else None

    def project(self, project_id: str) -> Project | None:
        self._meet("project")
        return next(
            (each for each in self.projects if project_id in (str(each.id), each.path)), None
        )

    def active_projects(self, since: float) -> Iterator[tuple[int, float]]:
        self._meet("active_projects")
        for project in self.projects:
            times = [
                each.created_at for each in self.written if each.event.project_id == project.id
            ]
            if times and max(times) >= since:
                yield project.id, max(times)

    def comments(self, project: Project, since: float) -> Iterator[SweptNote]:  # noqa: ARG002
        self._meet("comments")
        yield from (comment for comment in self.written if comment.event.project_id == project.id)

    def changed_targets(self, project: Project, since: float) -> Iterator[Event]:  # noqa: ARG002
        self._meet("changed_targets")
        yield from (each for each, _ in self.asked if each.project_id == project.id)

    def askings(self, opened: Event, since: float) -> Iterator[Event]:  # noqa: ARG002
        self._meet("askings")
        yield from next(asked for each, asked in self.asked if each == opened)

    def hooks(self, project_id: int) -> list[Hook]:  # noqa: ARG002
        self._meet("hooks")
        return self.webhooks

    def failed_deliveries(self, project_id: int, hook_id: int, since: float) -> Iterator[bytes]:  # noqa: ARG002
        self._meet("failed_deliveries")
        yield from self.failed

    @staticmethod
    def _pipeline(number: int) -> Pipeline:
        return Pipeline(number, f"https://gitlab.com/group/app/-/pipelines/{number}")


class Log:
    """The lines written."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, Mapping[str, object]]] = []

    def __call__(self, severity: str, fields: Mapping[str, object]) -> None:
        self.lines.append((severity, fields))


def settings(**environment: str) -> Settings:
    return Settings.read(environment)


def services(
    gitlab: GitLab, records: Records, clock: Clock, log: Log, **environment: str
) -> Services:
    secrets = Cached(lambda: GITLAB_SECRETS, GitLabSecrets.parse, clock)
    return Services(settings(**environment), secrets, records, gitlab, clock, log)


def tokens(
    document: str = WEBHOOK_SECRETS, now: Callable[[], float] = lambda: NOW
) -> Cached[WebhookSecrets]:
    return Cached(lambda: document, WebhookSecrets.parse, now)


def confirmed(
    gitlab: GitLab, event: Event = NOTE, instruction: str = "fix it", *, unchanged: bool = True
) -> Confirmed:
    asked, target = run(event, instruction), gitlab.target(event)
    return Confirmed(asked, target, gitlab.notes(event), unchanged)


def run(event: Event = NOTE, instruction: str = "fix it") -> RunRequest:
    return request(event, instruction, "gitlab.com")


def payload(text: object = "@claude fix it", **changes: Any) -> dict[str, Any]:
    """Return a Note Hook's body as GitLab 19 sends it; `changes` go into object_attributes."""
    return {
        "object_kind": "note",
        "event_type": "note",
        "user": {"id": 42, "name": "Ada", "username": "ada"},
        "project_id": 7,
        "project": {"id": 7, "path_with_namespace": "group/app", "default_branch": "main"},
        "object_attributes": {
            "id": 101,
            "author_id": 42,
            "created_at": "2026-02-02 02:40:00 UTC",
            "note": text,
            "noteable_type": "Issue",
            "discussion_id": "d" * 40,
            "system": False,
            "action": "create",
            **changes,
        },
        "issue": {"id": 900, "iid": 5, "title": "It breaks"},
    }


def sign(body: bytes, now: float = NOW, webhook_id: str = "msg-1") -> dict[str, str]:
    """Return the headers of a delivery that GitLab signed with SIGNING_TOKEN."""
    key = base64.b64decode(SIGNING_TOKEN.removeprefix("whsec_"))
    digest = hmac.digest(key, f"{webhook_id}.{int(now)}.".encode() + body, sha256)
    return {
        "content-type": "application/json",
        "x-gitlab-event": "Note Hook",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def delivery(body: object = None, now: float = NOW) -> Delivery:
    data = (
        body
        if isinstance(body, bytes)
        else json.dumps(payload() if body is None else body).encode()
    )
    return Delivery("POST", sign(data, now), data)
