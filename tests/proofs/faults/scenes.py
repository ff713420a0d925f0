"""What is asked, of which GitLab, through which queue: the scenes in which schedules play."""

import json
from collections.abc import Iterable
from typing import NamedTuple

from shared.contract import marks
from shared.contract.ai_flow import AUTO, MERGE_REQUEST
from shared.gitlab.values import Pipeline
from shared.incoming.event import Branches, Event
from shared.installation.settings import Settings
from shared.outcome.reasons import Reason
from shared.outgoing.replies import Understood, started
from shared.runs import store
from shared.runs.command import Options
from shared.runs.detect import request
from shared.runs.record import ATTEMPTS, LEASE, SETTLE, Record, State
from shared.runs.request import RunRequest, TrackRequest, from_json
from shared.runs.store import KEPT
from tests import DATA
from tests.proofs.faults.catalogue import Point, Schedule
from tests.proofs.faults.gitlab import RUNNER, GitLab
from tests.proofs.faults.journey import (
    ELSEWHERE,
    LOCAL,
    QUEUES,
    SETTINGS,
    SQS,
    TASKS,
    End,
    Journey,
    Queue,
)
from tests.proofs.faults.model import Doubled, Trouble
from tests.support.fakes import NOTE, NOW, run

_VERSION_1 = json.loads((DATA / "records-version-1.json").read_text())["scenes"]
_LONG_TEXT = "\N{BROOM}" * 6_000  # 72,000 bytes of JSON, soon read
_DIFF = NOTE._replace(
    kind=MERGE_REQUEST,
    iid=3,
    branches=Branches("feature", "main", 7, "a" * 40),
    position={"new_path": "app.py", "new_line": 1},
)


def _asked(event: Event, text: str) -> RunRequest:
    """Return a request as it leaves the queue."""
    found = from_json(request(event, text, "gitlab.com").to_json())
    assert isinstance(found, RunRequest)
    return found


SHORT = run()
LONG, LONG_IN_DIFF = _asked(NOTE, _LONG_TEXT), _asked(_DIFF, _LONG_TEXT)
# An earlier run of the thread, whose pipeline a command or an event is about.
FORMER, LOOK = run(NOTE._replace(note_id=100)), TrackRequest(7, 1, "success")
LOOK_ELSEWHERE = TrackRequest(RUNNER, 1, "success")
# What nobody asked for, for a commit, for an older one, and for a pipeline that failed.
UNASKED, OLDER, REPAIR = (
    run(_DIFF._replace(note_id=0, position=None, name=AUTO, occasion=occasion, branches=branches))
    for occasion, branches in (
        ("pushed", _DIFF.branches),
        ("opened", Branches("feature", "main", 7, "b" * 40)),
        ("failed", _DIFF.branches),
    )
)


class Scene(NamedTuple):
    """A request, what GitLab makes of it, the queue, and how often that offers it."""

    name: str
    run: RunRequest | TrackRequest = SHORT
    forbids: bool = False
    knows: bool = True
    former: str = ""  # what became of an earlier run's pipeline
    version_1: str = ""  # what an earlier version had stored of the run
    full: bool = False  # the thread has had as many runs as it may
    settings: tuple[Settings, ...] = (SETTINGS,)  # of one attempt after the other
    home: int = 7  # the project of the former run's pipeline
    queue: Queue = LOCAL
    attempts: int = ATTEMPTS
    replayed_after: float = 3600.0

    def __str__(self) -> str:
        return f"{self.name}, {self.queue.name}, {self.attempts} attempts"


_ASKED = (
    Scene("a mention"),
    Scene("a long mention, variables forbidden", run=LONG, forbids=True),
    Scene("a stranger's mention", knows=False),
    Scene("a mention in a diff", run=_asked(_DIFF, "fix it")),
    Scene("a call for help", run=run(instruction="")),
    Scene("a call to stop", run=run(instruction="stop"), former="running"),
    Scene("the end of a pipeline", run=LOOK, former="success"),
)
# With 13 attempts faults heal; with 1 to 3 the run meets its queue's end in every state.
SCENES = tuple(
    asked._replace(queue=queue, attempts=attempts, replayed_after=after)
    for asked in _ASKED
    for queue in QUEUES
    for attempts, after in ((ATTEMPTS, 3600.0), (1, 1.0), (2, 1.0), (3, 3600.0))
)
_RUNNER = Scene("", settings=(ELSEWHERE,), home=RUNNER)
_OTHERS = (
    _RUNNER._replace(name="a mention, with a runner project"),
    _RUNNER._replace(
        name="a mention in a diff, with a runner project", run=_asked(_DIFF, "fix it")
    ),
    _RUNNER._replace(name="one that forbids variables", forbids=True),
    _RUNNER._replace(
        name="a call to stop, with a runner project", run=run(instruction="stop"), former="running"
    ),
    _RUNNER._replace(
        name="the end of a runner project's pipeline", run=LOOK_ELSEWHERE, former="success"
    ),
    Scene("a mention on the way over, and back", settings=(SETTINGS, ELSEWHERE)),
    Scene("a mention on the way back, and over", settings=(ELSEWHERE, SETTINGS)),
    Scene(
        "a call to stop on the way back",
        run=run(instruction="stop"),
        former="running",
        home=RUNNER,
    ),
    Scene(
        "the end of a pipeline on the way back", run=LOOK_ELSEWHERE, former="success", home=RUNNER
    ),
    Scene("a start by policy, while an older one runs", run=UNASKED, former="running"),
    Scene("a repair by policy", run=REPAIR),
    Scene("a mention over a limit", full=True),
    Scene("a mention after its thread's limit, in a diff", run=_asked(_DIFF, "fix it"), full=True),
    *(
        Scene(f"a mention of version 1, {each}", version_1=each)
        for each in (
            "claimed: killed before the trigger call",
            "triggering: the call's end is unknown",
            "triggered: killed before the reply",
            "dead before its pipeline",
        )
    ),
)
SCENES += tuple(
    other._replace(queue=queue, attempts=attempts)
    for other in _OTHERS
    for queue, attempts in ((LOCAL, ATTEMPTS), (SQS, 2), (TASKS, ATTEMPTS))
)
# Each pair is played on a queue that is patient and on one that is not.
PAIRED = (
    Scene("a long mention in a diff", run=LONG_IN_DIFF, queue=SQS),
    Scene("a mention", queue=TASKS, attempts=2, replayed_after=1.0),
)


class Played(NamedTuple):
    """A schedule's end, and how many of its faults were met."""

    end: End
    met: int
    left: int
    story: tuple[str, ...]


class _Seen:
    def __init__(self, gitlab: GitLab, run: RunRequest | TrackRequest) -> None:
        self._gitlab, self._run = gitlab, run

    def pipelines(self) -> int:
        return int(self._run.id in self._gitlab.pipelines)

    def replies(self) -> list[str]:
        return self._gitlab.replies


def play(scene: Scene, points: Iterable[Point]) -> Played:
    """Play a schedule in a scene to its end."""
    schedule = Schedule()
    made: list[GitLab] = []

    def gitlab(trouble: Trouble) -> GitLab:
        text = f"@claude {_LONG_TEXT}"
        made.append(GitLab(trouble, text, forbids=scene.forbids, knows=scene.knows))
        made[0].hears(scene.run)
        return made[0]

    journey = Journey(
        scene.run,
        schedule,
        gitlab,
        queue=scene.queue,
        attempts=scene.attempts,
        replayed_after=scene.replayed_after,
        settings=scene.settings,
    )
    if scene.former:
        _begin(journey, made[0], scene)
    if scene.version_1:
        _begin_in_version_1(journey, made[0], scene.version_1)
    if scene.full:
        turns = json.dumps({f"{number:08}": int(NOW) for number in range(6)})
        journey.records.stored[f"turns/thread/{scene.run.thread}/0"] = turns, 1
    for point in points:
        schedule.add(point)
    try:
        journey.carry()
        end = (
            _followed(journey, made[0])
            if isinstance(scene.run, TrackRequest)
            else journey.judge(_Seen(made[0], scene.run))
        )
    except Doubled:
        end = End("doubled", ("doubled: pipelines",))
    wrong = [f"concealed from the job: {sorted(lacks)}" for lacks in made[0].concealed]
    if scene.run is UNASKED and end.word.endswith("triggered"):
        wrong += _not_superseded(journey, made[0])
    if scene.former == "running" and end.word.endswith("answered"):
        wrong += _not_stopped(journey, made[0])
    return Played(
        end._replace(wrong=(*end.wrong, *wrong)),
        len(schedule.met),
        journey.left,
        tuple(schedule.met),
    )


def _begin(journey: Journey, gitlab: GitLab, scene: Scene) -> None:
    """Let an earlier run of the thread have its pipeline and its reply."""
    asked = OLDER if journey.run is UNASKED else FORMER
    pipeline = Pipeline(1, "https://gitlab.com/group/app/-/pipelines/1")
    gitlab.pipelines[asked.id], gitlab.statuses[1] = (pipeline, NOW), scene.former
    gitlab.homes[1] = scene.home
    gitlab.replies.append(started(asked.id, pipeline, Understood("mention", Options(), "@claude")))
    former = Record(asked, State.FINISHED, 0.0, int(NOW) + KEPT, pipeline=pipeline, reply_id=1)
    former = former._replace(home=scene.home if scene.home == RUNNER else 0)
    journey.records.stored[former.key] = former.to_json(), 1
    store.add_pipeline(asked, scene.home, pipeline.id, journey.records, NOW)


def _begin_in_version_1(journey: Journey, gitlab: GitLab, scene: str) -> None:
    """Let version 1 have stored what it did, and its lease and GitLab's doubts run out."""
    journey.records.stored |= {key: (text, 1) for key, text in _VERSION_1[scene].items()}
    if scene.startswith("trigger"):
        pipeline = Pipeline(1, "https://gitlab.com/group/app/-/pipelines/1")
        gitlab.pipelines[SHORT.id], gitlab.homes[1] = (pipeline, NOW), 7
    if scene.startswith("dead"):  # it has raised its alarm
        journey.log("ERROR", {"reason": str(Reason.DEAD_LETTER)})
    journey.clock.wait(LEASE + SETTLE)


def _not_stopped(journey: Journey, gitlab: GitLab) -> list[str]:
    """Say where the answer to a call to stop is not what became of the pipeline."""
    told = "".join(reply for reply in gitlab.replies if marks.of_run(journey.run.id) in reply)
    gone = {"progress: 404", "cancel: 403"} & set(journey.schedule.met)  # GitLab's own word for it
    if gitlab.statuses[1] != "canceled":
        return ["lost: runs on"] * (not gone or "Cancelled" in told)
    silent = journey.log.tells(error="reply")  # the thread took no reply: the log was told
    return ["lost: stopped and not told"] * ("Cancelled" not in told and not silent and not gone)


def _not_superseded(journey: Journey, gitlab: GitLab) -> list[str]:
    """Say where a newer commit's run left an older one's at work, or its reply in the thread."""
    met = set(journey.schedule.met)
    stays = any(marks.of_run(OLDER.id) in reply for reply in gitlab.replies)
    forbidden = {"replied: 404", "delete reply: 403", "delete reply: 404"} & met
    return [
        *(["lost: runs on"] * (gitlab.statuses[1] != "canceled" and "cancel: 403" not in met)),
        *(["lost: says what it will not do"] * (stays and not forbidden)),
    ]


def _followed(journey: Journey, gitlab: GitLab) -> End:
    """Judge whether the one reply says in the end what became of the pipeline."""
    met = set(journey.schedule.met)
    gone = {
        "progress: 404",
        "read reply: 404",
    } & met  # GitLab says that pipeline or reply are deleted
    says = [reply for reply in gitlab.replies if marks.of_run(FORMER.id) in reply]
    wrong = [
        *(["doubled: replies"] * (len(gitlab.replies) > 1)),
        *(["lost: reply not brought up to date"] * (not gone and "is queued" in says[0])),
        *(
            ["lost: followed for ever"]
            * any(store.live_pipelines(e, journey.records) for e in (7, RUNNER))
        ),
        *(["leaked"] * journey.leaked()),
    ]
    return End("followed", tuple(wrong))
