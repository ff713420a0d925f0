"""What is asked, of which GitLab, through which queue: the settings in which schedules are played."""

from collections.abc import Iterable
from typing import NamedTuple

from shared.claim import ATTEMPTS
from shared.run import RunRequest, request
from tests.fakes import NOTE, run
from tests.faults.catalogue import Point, Schedule
from tests.faults.journey import LOCAL, QUEUES, SQS, TASKS, End, Journey, Queue
from tests.faults.model import Doubled, GitLab, Trouble

_LONG_TEXT = "x" * 70_000
LONG = RunRequest.from_json(request(NOTE, _LONG_TEXT, "gitlab.com").to_json())
SHORT = run()


class Scene(NamedTuple):
    """A request, what GitLab makes of it, the queue, and how often that offers it."""

    name: str
    run: RunRequest = SHORT
    forbids: bool = False
    knows: bool = True
    queue: Queue = LOCAL
    attempts: int = ATTEMPTS
    replayed_after: float = 3600.0

    def __str__(self) -> str:
        return f"{self.name}, {self.queue.name}, {self.attempts} attempts"


_ASKED = (
    Scene("a mention"),
    Scene("a long mention, variables forbidden", run=LONG, forbids=True),
    Scene("a stranger's mention", knows=False),
)
# With 13 attempts faults heal; with 1 to 3 the run meets its queue's end in every state.
SCENES = tuple(
    asked._replace(queue=queue, attempts=attempts, replayed_after=after)
    for asked in _ASKED
    for queue in QUEUES
    for attempts, after in ((ATTEMPTS, 3600.0), (1, 1.0), (2, 1.0), (3, 3600.0))
)
# Each pair is played on a queue that is patient and on one that is not.
PAIRED = (
    Scene("a long mention", run=LONG, queue=SQS),
    Scene("a mention", queue=TASKS, attempts=2, replayed_after=1.0),
)


class Played(NamedTuple):
    """A schedule's end, and how many of its faults were met."""

    end: End
    met: int
    left: int
    story: tuple[str, ...]


class _Seen:
    def __init__(self, gitlab: GitLab, run: RunRequest) -> None:
        self._gitlab, self._run = gitlab, run

    def pipelines(self) -> int:
        return int(self._run.id in self._gitlab.pipelines)

    def replies(self) -> list[str]:
        return self._gitlab.replies


def play(scene: Scene, points: Iterable[Point]) -> Played:
    """Play a schedule in a scene to its end."""
    schedule = Schedule(points)
    made: list[GitLab] = []

    def gitlab(trouble: Trouble) -> GitLab:
        text = f"@claude {_LONG_TEXT}"
        made.append(GitLab(trouble, text, forbids=scene.forbids, knows=scene.knows))
        return made[0]

    journey = Journey(
        scene.run,
        schedule,
        gitlab,
        queue=scene.queue,
        attempts=scene.attempts,
        replayed_after=scene.replayed_after,
    )
    try:
        journey.carry()
        end = journey.judge(_Seen(made[0], scene.run))
    except Doubled:
        end = End("doubled", ("doubled: pipelines",))
    return Played(end, len(schedule.met), journey.left, tuple(schedule.met))
