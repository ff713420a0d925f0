"""What is asked internally, on every way to the trigger: each row is one request, with one word.

The word stands in all that is confidential: the question, title, description, label, an internal
comment beside it. `played` carries a row from GitLab's delivery, sweep or replay to the trigger call
and returns what people read of it who may not read the question. `tests/templates` goes on with the
job.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import combinations, product
from typing import Any, NamedTuple

from functions.gitlab import GitLab as Adapter
from shared.dispatch import dispatch
from shared.gitlab.values import GitLabError
from shared.installation.secrets import Cached, GitLabSecrets
from shared.outcome.reasons import Retry
from shared.receive import receive
from shared.runs.record import ATTEMPTS
from shared.runs.request import RunRequest
from shared.services import Services
from shared.sweep import replay, sweep
from tests.proofs.security import journeys
from tests.support import fakes
from tests.support.gitlab.records import Record
from tests.support.gitlab.server import GitLab as StandIn

ADA, OURS = 42, 99
ISSUE = 6
WORD = "CANARY"
VISIBILITIES = ("public", "internal", "private")
CHANGES = ("nothing", "made confidential", "edited", "deleted", "title", "project made public")
WAYS = ("hook", "sweep", "replay")
COMMANDS = ("status", "stop", "retry")
# Of the trigger function; the job's inputs say the same.
PROVIDERS = {
    "anthropic": {},
    "bedrock": {"MODEL_REGION": "eu-central-1", "MODEL": "eu.anthropic.claude-opus-5-5"},
    "vertex": {"MODEL_REGION": "europe-west1", "MODEL": "claude-opus-5-5"},
}


class Row(NamedTuple):
    """One request: of the project, the issue, the comment; what happens before it is carried out.

    `change` is one of CHANGES, `way` one of WAYS, `provider` one of PROVIDERS.
    """

    visibility: str
    confidential: bool
    internal: bool
    change: str
    way: str
    provider: str

    @property
    def secret(self) -> bool:
        """Whether the question is for some only, by GitLab's word when it is carried out."""
        return self.confidential or self.internal or self.change == "made confidential"

    @property
    def starts(self) -> bool:
        """Whether GitLab still says what was asked; a sweep hears of what stands there only."""
        return self.change != "deleted" and (self.change != "edited" or self.way == "sweep")


PLAIN = Row(
    "public", confidential=False, internal=False, change="nothing", way="hook", provider="anthropic"
)


def rows() -> Iterator[Row]:
    """Yield the whole table."""
    flags = (False, True)
    for each in product(VISIBILITIES, flags, flags, CHANGES, WAYS, PROVIDERS):
        yield Row(*each)


def covering(some: list[Row]) -> list[Row]:
    """Return rows among which each two values of two columns meet that meet in all of them."""
    chosen: list[Row] = []
    pairs = {row: set(combinations(enumerate(row), 2)) for row in some}
    missing = set[Any]().union(*pairs.values())
    while missing:
        best = max(some, key=lambda row: len(pairs[row] & missing))
        chosen.append(best)
        missing -= pairs[best]
    return chosen


class Played(NamedTuple):
    """What came of a row: its end, the trigger call's body, and outputs for others by name."""

    end: str
    body: dict[str, Any] | None
    outputs: dict[str, str]

    @property
    def leaks(self) -> list[str]:
        """The outputs that hold the word."""
        return [name for name, text in self.outputs.items() if WORD in text]


class _Down:
    """A GitLab that does not answer."""

    def within(self, _: float) -> None:
        """Wait as long as you like."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def fail(*_: object) -> Any:
            raise GitLabError(503)

        return fail


class Stage:
    """A row's installation: one GitLab, one project."""

    def __init__(self, server: StandIn, project: int, trigger_token: str) -> None:
        """Take the stand-in, in which Ada may ask in the project."""
        self._server, self._project = server, project
        tokens = {"api_token": fakes.API_TOKEN, "trigger_tokens": {str(project): trigger_token}}
        self._secrets = json.dumps(tokens)

    def play(self, row: Row) -> Played:
        """Ask, let happen what happens, carry out, and give the thread's commands in public."""
        server, log, queue = self._server, fakes.Log(), fakes.Queue()
        server.projects[self._project].visibility = (
            "private" if row.change == "project made public" else row.visibility
        )
        issue, note = self._asked(row)
        clock = fakes.Clock(server.clock())
        secrets = Cached(lambda: self._secrets, GitLabSecrets.parse, clock)
        environment = {"GITLAB_URL": server.url, "MODEL_PROVIDER": row.provider}
        limits = {"RUNS_PER_THREAD": "0", "RUNS_PER_USER_PER_HOUR": "0"}
        settings = journeys.settings(**environment, **limits, **PROVIDERS[row.provider])
        gitlab = Adapter(server.url, secrets)
        services = Services(settings, secrets, fakes.Records(), gitlab, clock, log)

        def delivered(said: Record) -> None:
            _, body = server.note_hook(said)
            told = fakes.delivery(body, clock())
            tokens = fakes.tokens(now=clock)
            receive(told, settings=settings, secrets=tokens, queue=queue, now=clock, log=log)

        if row.way != "sweep":
            delivered(note)
        if row.way == "replay":
            down = services._replace(gitlab=_Down())
            dispatch(queue.runs.pop(), down, last=True)
        title = issue["title"]
        self._change(row, issue, note)
        clock.time += 120.0
        if row.way == "sweep":
            sweep(services, queue, since=clock() - 3600.0)
        elif row.way == "replay":
            replay(services, queue)
        calls = len(server.calls)
        end = _carried_out(queue.runs, services)
        bodies = [call.json for call in server.calls[calls:] if _triggers(call)]
        said = self._public_notes(issue)
        issue["title"] = title  # what `retry` is asked with in view
        for command in () if issue["confidential"] else COMMANDS:
            body = f"@claude {command}"
            delivered(server.note(self._project, "issue", ISSUE, author_id=ADA, body=body))
            _carried_out(queue.runs, services)
        sent = [call.json | {"token": ""} for call in server.calls[calls:] if _triggers(call)]
        outputs = {
            "trigger": json.dumps(sent),
            "log": json.dumps(log.lines),
            "replies": said,
            "commands": self._public_notes(issue).removeprefix(said),
        }
        if row.secret and "/pipelines/" in outputs["commands"]:
            outputs["commands"] += f" name the run that is internal: {WORD}"
        return Played(end, bodies[-1] if bodies else None, outputs)

    def _asked(self, row: Row) -> tuple[Record, Record]:
        """Write the issue, an internal comment of somebody's, and the question."""
        server, project = self._server, self._project
        hidden = row.confidential or row.change == "made confidential"
        about = WORD if hidden else "greeting"
        issue = server.issue(
            project, ISSUE, title=f"The {about}", author_id=ADA, description=f"How the {about} goes"
        )
        issue.update(confidential=row.confidential, labels=[about])
        server.note(project, "issue", ISSUE, author_id=ADA, body=f"{WORD} note", internal=True)
        word = WORD if row.secret else "greeting"
        text = f"@claude close the {word}"
        note = server.note(project, "issue", ISSUE, author_id=ADA, body=text, internal=row.internal)
        return issue, note

    def _change(self, row: Row, issue: Record, note: Record) -> None:
        if row.change == "made confidential":
            issue["confidential"] = True
        elif row.change == "edited":
            # A sweep asks what stands there, for whoever may read it.
            word = WORD if row.secret or not row.starts else "greeting"
            when = self._server.clock() + (0.0 if row.starts else 5.0)
            note.update(body=f"@claude open the {word}", updated_at=when)
        elif row.change == "deleted":
            self._server.remove_note(note)
        elif row.change == "title":
            title = f"{WORD}, swapped"
            self._server.edit_issue(self._project, issue["iid"], user_id=ADA, title=title)
            issue["updated_at"] = self._server.clock() + 90.0
        elif row.change == "project made public":
            self._server.projects[self._project].visibility = row.visibility

    def _public_notes(self, issue: Record) -> str:
        """Return what of our own notes on the issue others read."""
        notes = [self._server.notes[each] for each in self._server.notes_on(issue)]
        shown = [
            note["body"]
            for note in notes
            if note["author_id"] != ADA and not (note["internal"] or issue["confidential"])
        ]
        return "\n".join(shown)


def _carried_out(runs: list[RunRequest], services: Services) -> str:
    """Carry out what waits, however often it has to come again; return the last end."""
    end = "nothing asked"
    while runs:
        run = runs.pop()
        for attempt in range(1, ATTEMPTS + 1):
            with suppress(Retry):
                end = str(dispatch(run, services, last=attempt == ATTEMPTS))
                break
            services.now.time += 60.0  # type: ignore[attr-defined]
    return end


def _triggers(call: Any) -> bool:
    return bool(call.path.endswith("/trigger/pipeline"))


class Seen(NamedTuple):
    """How many rows, how many of them started, and what leaked or ended otherwise."""

    rows: int
    started: int
    wrong: tuple[str, ...]


def run(some: list[Row]) -> Seen:
    """Play rows up to the trigger call, each in a project of its own."""
    started, wrong = 0, list[str]()
    with StandIn() as server:
        server.user(ADA, "ada")
        server.user(OURS, "claude", bot=True)
        server.api_token(fakes.API_TOKEN, OURS)
        for project, row in enumerate(some, 1):
            server.project(project, f"group/app-{project}")
            server.member(project, ADA, 30)
            server.member(project, OURS, 40)
            token = f"{fakes.TRIGGER_TOKEN}-{project}"
            server.trigger_token(token, project, OURS)
            played = Stage(server, project, token).play(row)
            started += played.body is not None
            wrong += [f"{row}: the word is in {name}" for name in played.leaks]
            if (played.body is not None) != row.starts:
                wrong.append(f"{row} ended as {played.end}")
    return Seen(len(some), started, tuple(wrong[:5]))
