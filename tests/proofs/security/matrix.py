"""Who may start a run: every combination of what GitLab may say, through `dispatch`.

The right end of a cell is said here in one expression (`yes`), without a look at
`shared.runs.access`.
"""

import itertools
import multiprocessing
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

from shared.dispatch import dispatch
from shared.gitlab.values import GitLabError, Member, User
from shared.outcome.reasons import Retry
from shared.runs.request import RunRequest
from tests.proofs.security import journeys
from tests.support import fakes

ROLES = (None, 5, 10, 15, 20, 25, 30, 40, 50, 60)
MINIMA = {"developer": 30, "maintainer": 40}
USER_STATES = ("active", "blocked", "deactivated", "banned")
MEMBER_STATES = ("active", "blocked")
MEMBERSHIPS = ("active", "awaiting", "created")
# NOW is 2026-02-02 in UTC: a membership ends as its day begins.
EXPIRIES = (None, "2026-02-01", "2026-02-02", "2026-02-03")
HUMAN, BOT, ALLOWED_BOT, OURSELVES = "human", "bot", "allowed bot", "ourselves"
WHO = (HUMAN, BOT, ALLOWED_BOT, OURSELVES)
OPENED, ASSIGNED = "issue opened with a mention", "review asked for"
EVENTS = ("issue", "work item", "merge request", "fork's merge request", OPENED, ASSIGNED)
VISIBILITIES = (0, 10, 20)  # private, internal, public
NO, BROKEN = "404", "broken"
ANSWERS: dict[str, GitLabError | None] = {
    "200": None,
    NO: None,
    "401": GitLabError(401),
    "403": GitLabError(403),
    "404 project": GitLabError(404, "404 Project Not Found"),
    "429": GitLabError(429, after=9),
    "500": GitLabError(500),
    "302": GitLabError(302),
    "time-out or broken answer": GitLabError(0),
}
OWN_ID, AUTHOR, BOT_NAME = 99, 42, "renovate"


class Cell(NamedTuple):
    """One combination; the defaults are a developer's who may."""

    event: str = "issue"
    visibility: int = 0
    internal: bool = False
    role: int | None = 30
    minimum: str = "developer"
    user_state: str = "active"
    member_state: str = "active"
    membership: str = "active"
    expires: str | None = None
    who: str = HUMAN
    external: bool = False
    user: str = "200"
    member: str = "200"
    own_id: str = "200"

    @property
    def yes(self) -> bool:
        """Tell whether everything GitLab says is a clear yes."""
        # Who asks by what they do, as any bot, must not be ourselves.
        asked = self.who in (ALLOWED_BOT, OURSELVES) or self.event in (OPENED, ASSIGNED)
        return (
            self.user == self.member == "200"
            and (self.own_id == "200" or not asked)
            and self.who in (HUMAN, ALLOWED_BOT)
            and not self.external
            and (self.user_state, self.member_state, self.membership)
            == ("active", "active", "active")
            and self.expires in (None, "2026-02-03")
            and self.role is not None
            and self.role >= MINIMA[self.minimum]
            and self.event != "fork's merge request"
        )


class Seen(NamedTuple):
    """How many cells, how many of them a yes, and those that ended otherwise."""

    cells: int
    allowed: int
    wrong: tuple[str, ...]


class Answering(fakes.GitLab):
    """A GitLab that answers as the cell says."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.become(cell)

    def become(self, cell: Cell) -> None:
        """Answer as this cell says from now on."""
        author = OWN_ID if cell.who == OURSELVES else AUTHOR
        name = {BOT: "other-bot", ALLOWED_BOT: BOT_NAME, OURSELVES: "claude"}.get(cell.who, "ada")
        self.cell = cell
        self.described = self.described._replace(
            description="@claude fix it" if cell.event == OPENED else "x", reviewers=("claude",)
        )
        self.users = {
            author: User(
                author, name, bot=cell.who != HUMAN, state=cell.user_state, external=cell.external
            )
        }
        self.members = {}
        if cell.role is not None:
            self.members[7, author] = Member(
                author, cell.role, cell.member_state, cell.membership, cell.expires
            )

    def user(self, user_id: int) -> User | None:
        return super().user(user_id) if _answered(self.cell.user) else None

    def member(self, project_id: int, user_id: int) -> Member | None:
        return super().member(project_id, user_id) if _answered(self.cell.member) else None

    def own_id(self) -> int:
        return OWN_ID if _answered(self.cell.own_id) else 0


def _answered(answer: str) -> bool:
    if error := ANSWERS[answer]:
        raise error
    return answer != NO


def cells() -> Iterator[Cell]:
    """Yield the matrix: all that GitLab may say when it answers, then all ways to answer."""
    places = list(itertools.product(EVENTS, VISIBILITIES, (False, True)))
    states = itertools.product(
        ROLES, MINIMA, USER_STATES, MEMBER_STATES, MEMBERSHIPS, EXPIRIES, WHO, (False, True)
    )
    for number, state in enumerate(states):
        for place in places[number % 5 :: 5]:  # every state in at least seven of the 36 places
            yield Cell(*place, *state)  # type: ignore[arg-type]  # their columns, in their order
    answers = tuple(itertools.product(ANSWERS, ANSWERS, [name for name in ANSWERS if name != NO]))
    for event, role, who in itertools.product(EVENTS, (None, 20, 30), WHO):
        for user, member, own_id in answers:
            yield Cell(event, role=role, who=who, user=user, member=member, own_id=own_id)


def _payload(event: str, *, internal: bool) -> dict[str, Any]:
    about = {
        "iid": 3,
        "source_branch": "main",
        "target_branch": "main",
        "last_commit": {"id": "a" * 40},
    }
    about |= {"source_project_id": 8 if event.startswith("fork") else 7}
    if event not in (OPENED, ASSIGNED):
        kind = {"issue": "Issue", "work item": "WorkItem"}.get(event, "MergeRequest")
        return fakes.payload(noteable_type=kind, internal=internal) | {"merge_request": about}
    about |= {"id": 900, "title": "It breaks", "description": "x", "confidential": internal}
    payload = {
        name: value for name, value in fakes.payload().items() if name in ("user", "project")
    }
    if event == OPENED:
        opened = about | {"action": "open", "description": "@claude fix it"}
        return payload | {"object_kind": "issue", "object_attributes": opened}
    changes = {"reviewers": {"previous": [], "current": [{"username": "claude"}]}}
    changed = about | {"action": "update", "updated_at": "2026-02-02 02:40:00 UTC"}
    return payload | {
        "object_kind": "merge_request",
        "object_attributes": changed,
        "changes": changes,
    }


@cache
def request(event: str, visibility: int, internal: bool, author: int) -> RunRequest:
    """Return the request that `receive` puts into the queue for a delivery of this kind."""
    payload = _payload(event, internal=internal)
    payload["object_attributes"] |= {"author_id": author}
    payload["project"] |= {"visibility_level": visibility}
    payload["user"] |= {"id": author}
    answer, runs = journeys.received(payload)
    assert answer.status == 202, answer
    return runs[0]


@cache
def _settings(minimum: str) -> Any:
    return fakes.settings(MINIMUM_ROLE=minimum, ALLOWED_BOTS=f"{BOT_NAME},claude", RUNS_PER_DAY="0")


def triggers(cell: Cell) -> int:
    """Return how many pipelines the cell starts, in two attempts."""
    author = OWN_ID if cell.who == OURSELVES else AUTHOR
    gitlab, clock = Answering(cell), fakes.Clock()
    services = fakes.services(gitlab, fakes.Records(), clock, fakes.Log())._replace(
        settings=_settings(cell.minimum)
    )
    asked = request(cell.event, cell.visibility, cell.internal, author)
    gitlab.hears(asked)
    for _ in range(2):
        with suppress(Retry):
            dispatch(asked, services)
        clock.time += 600
    return len(gitlab.triggered)


def judge(some: list[Cell]) -> Seen:
    """Play cells; a yes must start exactly one pipeline, anything else none."""
    wrong = [f"{cell} → {started}" for cell in some if (started := triggers(cell)) != cell.yes]
    return Seen(len(some), sum(cell.yes for cell in some), tuple(wrong[:5]))


def run(every: int = 1, processes: int = 2) -> Seen:
    """Play every n-th cell of the matrix."""
    some = list(itertools.islice(cells(), 0, None, every))
    parts = [some[start : start + 2000] for start in range(0, len(some), 2000)]
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        seen = list(pool.imap_unordered(judge, parts))
    wrong = tuple(story for part in seen for story in part.wrong)
    return Seen(sum(part.cells for part in seen), sum(part.allowed for part in seen), wrong)
