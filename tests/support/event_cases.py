"""How each case of data/events.json comes about on the GitLab stand-in, and what becomes of it; it
delivers nothing.
"""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from tests.support.gitlab import diffs, vintages
from tests.support.gitlab.records import Record
from tests.support.gitlab.server import Delivery, Fault, GitLab

PROJECT, PUBLIC, OURS_ONLY, NO_VARIABLES, NO_BRANCH, ARCHIVED = 7, 8, 9, 10, 11, 12
OURS = 99
ADA, ABBOT, REPORTER, STRANGER, BLOCKED, RENOVATE, *BOTS = range(42, 51)
API_TOKEN = "glpat-canary-api-token"
TRIGGER_TOKENS = {str(each): f"glptt-canary-{each}" for each in range(PROJECT, ARCHIVED + 1)}
SETTINGS = {
    "ALLOWED_BOTS": "renovate-bot",
    "AUTO": "fix: failed",
    "RUNS_PER_THREAD": "0",
    "RUNS_PER_USER_PER_HOUR": "0",
    "RUNS_PER_DAY": "0",
}
ASKING = "@claude fix it"
# Other ends are the reason that the reply tells.
RUN, NOTHING, NO_ENTRY = "run", "nothing", "no_entry_sign"
ALL, NEWEST = vintages.VINTAGES, ("19",)


def seed(gitlab: GitLab) -> None:
    """People and projects."""
    names = [
        "ada",
        "abbot-smith",
        "rae",
        "eve",
        "bea",
        "renovate-bot",
        "project_42_bot_0a1b2c",
        "group_7_bot_9f",
    ]
    for number, name in enumerate([*names, "service_account_group_1_abc"], ADA):
        gitlab.user(
            number, name, bot=number >= RENOVATE, state="blocked" if number == BLOCKED else "active"
        )
    gitlab.users[ABBOT].name = "Abbot-Smith"
    gitlab.user(OURS, "claude", bot=True)
    gitlab.api_token(API_TOKEN, OURS)
    for project in range(PROJECT, ARCHIVED + 1):
        gitlab.project(
            project, f"group/app-{project}", visibility="public" if project == PUBLIC else "private"
        )
        for user in (ADA, ABBOT, BLOCKED, RENOVATE, *BOTS):
            gitlab.member(project, user, 30)
        gitlab.member(project, REPORTER, 20)
        gitlab.member(project, OURS, 40)
        gitlab.trigger_token(TRIGGER_TOKENS[str(project)], project, OURS)
    for project, job in ((OURS_ONLY, "ours"), (NO_VARIABLES, "theirs")):
        gitlab.projects[project].variables_role, gitlab.projects[project].ci = "no_one_allowed", job
    del gitlab.projects[NO_BRANCH].branches["main"]
    writes = ("notes/*/award_emoji", "discussions/*/notes", "trigger/pipeline")
    for call in (f"POST /api/v4/projects/{ARCHIVED}/*{each}" for each in writes):
        gitlab.fault(call, *[Fault.status(403)] * 20)


class Scene:
    """One case in one vintage: things with numbers of their own, and the deliveries they cause."""

    _numbers = itertools.count(100)

    def __init__(self, gitlab: GitLab, vintage: str) -> None:
        self.gitlab, self.vintage = gitlab, vintage

    def on(self, kind: str = "issue", project: int = PROJECT, **fields: Any) -> Record:
        """Make an issue or merge request."""
        number = next(self._numbers)
        if kind == "issue":
            return self.gitlab.issue(project, number, author_id=ADA, **fields)
        branch: dict[str, Any] = {
            "source_branch": f"feature-{number}",
            "diffs": [diffs.file("app.py", lines=9)],
            "author_id": ADA,
        }
        return self.gitlab.merge_request(project, number, **branch | fields)

    def note(
        self, on: Record | None = None, text: str = ASKING, author: int = ADA, **fields: Any
    ) -> Record:
        """Write a comment."""
        on = on or self.on()
        return self.gitlab.note(
            on["project_id"], on["noteable_type"], on["iid"], author_id=author, body=text, **fields
        )

    def sent(self, *records: Record, **more: Any) -> list[Delivery]:
        """Return the deliveries of notes."""
        return [self.gitlab.note_hook(record, vintage=self.vintage, **more) for record in records]

    def said(self, on: Record | None = None, **fields: Any) -> list[Delivery]:
        """Return the delivery of a comment."""
        return self.sent(self.note(on, **fields))

    def opened(self, **fields: Any) -> list[Delivery]:
        """Return the delivery of an issue that was opened."""
        return [self.gitlab.issue_hook(self.on(**fields), vintage=self.vintage)]

    def edited(self, before: Record, **change: Any) -> list[Delivery]:
        """Return the delivery of a change to an issue."""
        issue = self.on(**before)
        edit = self.gitlab.edit_issue(PROJECT, issue["iid"], user_id=ADA, **change)
        return [self.gitlab.issue_hook(issue, edit=edit, vintage=self.vintage)]

    def reviewed(self, *, again: bool = False, arrays: bool = True) -> list[Delivery]:
        """Return the delivery of a review asked of Claude, or asked again."""
        found = self.on("merge_request", reviewers=[OURS] if again else [])
        if again:
            edit = self.gitlab.request_review(PROJECT, found["iid"], OURS, user_id=ADA)
        else:
            edit = self.gitlab.edit_merge_request(
                PROJECT, found["iid"], user_id=ADA, reviewers=[OURS]
            )
        return [
            self.gitlab.merge_request_hook(found, edit=edit, arrays=arrays, vintage=self.vintage)
        ]

    def otherwise(self, *changes: tuple[str, object], text: str = ASKING) -> list[Delivery]:
        """Return the delivery of a comment with parts of its body changed (`a.b`), or left out
        (Ellipsis).
        """
        [(headers, body)] = self.said(text=text)
        payload = json.loads(body)
        for path, value in changes:
            *parents, name = path.split(".")
            block = payload[parents[0]] if parents else payload
            block.pop(name, None)
            block |= {} if value is ... else {name: value}
        return [(headers, json.dumps(payload).encode())]

    def body(self, event: str, payload: object) -> list[Delivery]:
        """Return a delivery with a body of our own."""
        [(headers, _)] = self.said(text="hello")
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        return [(headers | {"X-Gitlab-Event": event}, data)]


class Play(NamedTuple):
    """What happens, the reason in each answer of the front end, the end of the run, and the
    vintages that send it.
    """

    make: Callable[[Scene], list[Delivery]]
    answered: str = "queued"
    end: str = RUN
    vintages: tuple[str, ...] = ALL


def _each(answered: str, makes: Iterable[Callable[[Scene], list[Delivery]]]) -> list[Play]:
    return [Play(make, answered, NOTHING, NEWEST) for make in makes]


def _twice(scene: Scene) -> list[Delivery]:
    return scene.said() * 2


def _two_hooks(scene: Scene) -> list[Delivery]:
    return scene.sent(*[scene.note()] * 2)


def _same_number(scene: Scene) -> list[Delivery]:
    number = 70 + ALL.index(scene.vintage)
    issue = scene.on(description=ASKING)
    issue["id"] = number
    return [scene.gitlab.issue_hook(issue, vintage=scene.vintage), *scene.said(note_id=number)]


def _two_mentions(scene: Scene) -> list[Delivery]:
    on = scene.on("merge_request")
    return [*scene.said(on), *scene.said(on, text="@claude and the tests")]


def _reply_in_a_thread(scene: Scene) -> list[Delivery]:
    on = scene.on("merge_request")
    first = scene.note(on, text="Why is this so?", thread=True)
    return scene.said(on, discussion_id=first["discussion_id"])


def _merged(scene: Scene) -> list[Delivery]:
    on = scene.on("merge_request", state="merged")
    del scene.gitlab.projects[PROJECT].branches[on["source_branch"]]
    return scene.said(on)


def _commit(scene: Scene) -> list[Delivery]:
    return scene.said(scene.gitlab.known_commit(PROJECT, f"{next(scene._numbers):040x}"))


def _snippet(scene: Scene) -> list[Delivery]:
    return scene.said(scene.gitlab.snippet(PROJECT, next(scene._numbers), author_id=ADA))


def _own_answer(scene: Scene) -> list[Delivery]:
    text = f"> {ASKING}\n\n@claude did not start. Only members may ask.\n\n<!-- gitlab-claude-trigger run={'ab' * 16} -->"
    return scene.said(text=text, author=OURS)


def _body(event: str, payload: object) -> Callable[[Scene], list[Delivery]]:
    return lambda scene: scene.body(event, payload)


def _hooks_of_jobs(scene: Scene) -> list[Delivery]:
    pipeline = {
        "id": 4711,
        "source": "push",
        "status": "success",
        "variables": [],
        "name": "@claude",
    }
    return scene.body("Pipeline Hook", {"object_kind": "pipeline", "object_attributes": pipeline})


def _red(scene: Scene) -> list[Delivery]:
    on = scene.on("merge_request")
    made = scene.gitlab.pipeline(
        PROJECT, ref=on["source_branch"], sha=on["sha"], user_id=ADA, source="push"
    )
    scene.gitlab.job(made["id"], "unit")
    scene.gitlab.set_pipeline(made["id"], "failed", failure_reason="script_failure")
    return [scene.gitlab.pipeline_hook(made, vintage=scene.vintage)] * 2


_ACTION = "object_attributes.action"
_LINE = {"new_path": "app.py", "old_path": "app.py", "new_line": 4, "head_sha": "a" * 40}
_HOLDS = {"title": "A mention", "description": ASKING}
_EPIC = {
    "object_kind": "work_item",
    "object_attributes": {"type": "Epic", "action": "open", "description": ASKING},
}
_OTHERS = {
    "Push Hook": {"object_kind": "push", "commits": [{"message": ASKING}]},
    "Emoji Hook": {"object_kind": "emoji", "note": {"note": ASKING}},
    "Wiki Page Hook": {"object_kind": "wiki_page", "object_attributes": {"content": ASKING}},
}

PLAYS: dict[str, list[Play]] = {
    "E001": [Play(lambda scene: scene.said(scene.on("merge_request")))],
    "E002": [Play(lambda scene: scene.said())],
    "E003": [Play(lambda scene: scene.otherwise((_ACTION, ...)))],
    "E004": [
        Play(lambda scene: scene.otherwise((_ACTION, "update")), "edited_note", NOTHING, ALL[1:])
    ],
    "E005": [
        Play(
            lambda scene: scene.sent(scene.note(), action="update"), "edited_note", NOTHING, ALL[1:]
        )
    ],
    "E006": [
        Play(
            lambda scene: scene.said(text="assigned to @claude", system=True),
            "system_note",
            NOTHING,
        ),
        Play(
            lambda scene: scene.said(text="mentioned in @claude", system=True),
            "system_note",
            NOTHING,
        ),
    ],
    "E007": [Play(lambda scene: scene.said(author=BOTS[0]), end=NOTHING)],
    "E008": [Play(lambda scene: scene.said(author=BOTS[1]), end=NOTHING)],
    "E009": [Play(lambda scene: scene.said(author=BOTS[2]), end=NOTHING)],
    "E010": [Play(lambda scene: scene.said(author=OURS), end=NOTHING)],
    "E011": [Play(_own_answer, "own_note", NOTHING)],
    "E012": [Play(lambda scene: scene.said(author=RENOVATE))],
    "E013": [Play(lambda scene: scene.said(author=ABBOT))],
    "E014": [
        Play(lambda scene: scene.said(author=REPORTER), end="role_too_low"),
        Play(
            lambda scene: scene.said(scene.on(project=PUBLIC), author=REPORTER), end="role_too_low"
        ),
        Play(lambda scene: scene.said(scene.on(project=PUBLIC), author=STRANGER), end=NO_ENTRY),
        Play(lambda scene: scene.said(author=STRANGER), end="not_a_member"),
    ],
    "E015": [Play(lambda scene: scene.said(scene.on("merge_request")))],
    "E016": [Play(lambda scene: scene.said(author=BLOCKED), end="user_not_active")],
    "E017": [
        Play(lambda scene: scene.said(internal=True)),
        Play(lambda scene: scene.said(scene.on(confidential=True))),
    ],
    "E018": [Play(_commit, end="target_not_served")],
    "E019": [Play(_snippet, end="target_not_served")],
    "E020": [
        Play(
            lambda scene: scene.otherwise(
                ("object_attributes.noteable_type", "Epic"), ("issue", ...)
            ),
            "target_unknown",
            NOTHING,
        ),
        *_each("target_unknown", [lambda scene: scene.body("Work Item Hook", _EPIC)]),
    ],
    "E021": [Play(lambda scene: scene.said(scene.on("merge_request"), position=_LINE))],
    "E022": [Play(_reply_in_a_thread)],
    "E023": [Play(lambda scene: scene.opened(description=ASKING))],
    "E024": [Play(lambda scene: scene.opened(title=ASKING))],
    "E025": [Play(lambda scene: scene.edited(_HOLDS, labels=["bug"]), "nothing_new", NOTHING)],
    "E026": [Play(lambda scene: scene.edited(_HOLDS, state="closed"), "nothing_new", NOTHING)],
    "E027": [Play(lambda scene: scene.opened(description=ASKING, issue_type="task"))],
    "E028": [Play(lambda scene: scene.edited({}, assignees=[OURS]))],
    "E029": [
        Play(
            lambda scene: scene.edited({"assignees": [OURS]}, assignees=[OURS, ABBOT]),
            "nothing_new",
            NOTHING,
        ),
    ],
    "E030": [Play(lambda scene: scene.reviewed())],
    "E031": [
        Play(lambda scene: scene.reviewed(again=True), vintages=NEWEST),
        Play(lambda scene: scene.reviewed(again=True, arrays=False), vintages=NEWEST),
    ],
    "E032": [Play(lambda scene: scene.edited({}, labels=["claude"]))],
    "E033": [
        Play(
            lambda scene: scene.edited({"labels": ["claude"]}, labels=["claude", "bug"]),
            "nothing_new",
            NOTHING,
        )
    ],
    "E034": [Play(_merged)],
    "E035": [
        Play(
            lambda scene: scene.said(scene.on("merge_request", source_project_id=47)),
            end="fork_merge_request",
        )
    ],
    "E036": [Play(lambda scene: scene.said(scene.on(project=ARCHIVED)), end=NOTHING)],
    "E037": [Play(_twice)],
    "E038": [Play(_two_hooks)],
    "E039": [Play(_same_number)],
    "E040": [Play(_two_mentions)],
    "E041": [Play(lambda scene: scene.said(text="@claude räum auf 🧹"))],
    "E042": [Play(lambda scene: scene.said(), vintages=NEWEST)],
    "E046": [Play(lambda scene: scene.said(), vintages=NEWEST)],
    "E049": [
        *_each("malformed", [lambda scene: scene.body("Note Hook", b"@claude is no JSON")]),
        *_each("malformed", [lambda scene: scene.body("Note Hook", ["@claude"])]),
        *_each("no_mention", [lambda scene: scene.otherwise(("object_attributes", None))]),
        *_each(
            "malformed",
            [lambda scene: scene.otherwise(("object_attributes.note", None), ("x", "@claude"))],
        ),
        *_each("malformed", [lambda scene: scene.otherwise(("object_attributes.id", None))]),
        Play(lambda scene: scene.otherwise(("user", ...)), vintages=NEWEST),
    ],
    "E050": [
        Play(lambda scene: scene.said(text="A sample note"), "no_mention", NOTHING),
        Play(lambda scene: scene.opened(title="A sample issue"), "no_mention", NOTHING),
    ],
    "E051": [
        *_each(
            "event_not_served",
            [_body(event, payload) for event, payload in _OTHERS.items()],
        ),
        *_each("not_our_pipeline", [_hooks_of_jobs]),
    ],
    "E052": [
        Play(lambda scene: scene.said(scene.on(project=NO_VARIABLES)), end="variables_forbidden"),
        Play(lambda scene: scene.said(scene.on(project=OURS_ONLY))),
    ],
    "E053": [Play(lambda scene: scene.said(scene.on(project=NO_BRANCH)), end="ref_not_found")],
    "E057": [Play(_red, end=NOTHING)],  # its answer names no run: GitLab has not been asked yet
}


def scenes(gitlab: GitLab, *, all_vintages: bool) -> Iterator[tuple[str, Play, list[Delivery]]]:
    """Yield case, play and deliveries, in each vintage or in one, another from play to play."""
    turns = itertools.count()
    for case, play in ((case, play) for case, plays in PLAYS.items() for play in plays):
        for vintage in (
            play.vintages if all_vintages else [play.vintages[next(turns) % len(play.vintages)]]
        ):
            yield case, play, play.make(Scene(gitlab, vintage))
