"""One mention's way through a queue that fails and is served again, and its end judged."""

import re
from collections.abc import Callable, Mapping
from itertools import cycle
from typing import NamedTuple, Protocol

from shared.contract import marks
from shared.dispatch import dispatch
from shared.gitlab.port import GitLab
from shared.installation.secrets import Cached, GitLabSecrets
from shared.installation.settings import Settings
from shared.leftovers import attend
from shared.outcome.reasons import Outcome, Reason, Retry
from shared.runs import store
from shared.runs.record import ATTEMPTS, ENDED, LEASE, Record, State, pause, replay
from shared.runs.request import RunRequest, TrackRequest
from shared.services import Services
from tests import ROOT
from tests.proofs.faults.catalogue import Schedule
from tests.proofs.faults.model import Clock, Killed, Log, Records, StoreError, Trouble
from tests.support import canaries
from tests.support.fakes import GITLAB_SECRETS

_LIMITS = {
    "RUNS_PER_THREAD": "6",
    "RUNS_PER_USER_PER_HOUR": "0",
    "RUNS_PER_DAY": "0",
    "AUTO": "review: pushed; fix: failed",
}
SETTINGS = Settings.read(_LIMITS)
ELSEWHERE = Settings.read(_LIMITS | {"RUNNER_PROJECT": "group/claude-runner"})
_NEEDLES = {spelling for secret in canaries.SECRETS for spelling in canaries.spellings(secret)}


def _configured(path: str, pattern: str) -> int:
    found = re.search(pattern, (ROOT / path).read_text())
    assert found, f"{path} does not say {pattern}"
    return int(found[1])


class Queue(NamedTuple):
    """How a queue behaves: after how long it offers a message again, and how it gives up."""

    name: str
    visibility: float
    heeds: bool  # the wait that dispatch asks for
    # how often it still offers a message after the attempt that dispatch takes for the last
    spare: int
    ends: str  # what becomes of it then


# As functions/local, template.yaml and deploy/bootstrap-gcp.sh (whose back-off is that of
# shared.runs.record.pause) set them.
LOCAL = Queue("local", 0.3, heeds=True, spare=1000, ends="")
SQS = Queue(
    "SQS",
    _configured("template.yaml", r"VisibilityTimeout: (\d+)"),
    heeds=True,
    spare=_configured("template.yaml", r"maxReceiveCount: (\d+)") - ATTEMPTS,
    ends="dead-letter queue",
)
TASKS = Queue(
    "Cloud Tasks",
    5.0,
    heeds=False,
    spare=_configured("deploy/bootstrap-gcp.sh", r"--max-attempts=(\d+)") - ATTEMPTS,
    ends="dropped",
)
QUEUES = (LOCAL, SQS, TASKS)


class Seen(Protocol):
    """What can be seen in GitLab of a run in the end."""

    def pipelines(self) -> int:
        """Return how many pipelines the run has."""

    def replies(self) -> list[str]:
        """Return what was written in the thread."""


class End(NamedTuple):
    """How a journey ended: a word, what is wrong, a reply said twice, a death unheard of.

    That is one whose worker was killed, so that only the queue's own dead letters tell.
    """

    word: str
    wrong: tuple[str, ...]
    twice: bool = False
    unheard: bool = False


class Journey:
    """A request in a queue, workers that take it, an operator who replays it if it died."""

    def __init__(
        self,
        run: RunRequest | TrackRequest,
        schedule: Schedule,
        gitlab: Callable[[Trouble], GitLab],
        *,
        queue: Queue = LOCAL,
        attempts: int = ATTEMPTS,
        clock: Clock | None = None,
        replayed_after: float = 1.0,
        settings: tuple[Settings, ...] = (SETTINGS,),
    ) -> None:
        """Take the request, what goes wrong, a GitLab, a queue and how often that offers it.

        Of several settings each attempt has the next: somebody deploys others meanwhile.
        """
        self._settings = cycle(settings)
        self.run, self.queue = run, queue
        self.attempts, self.replayed_after = attempts, replayed_after
        self.clock, self.schedule, self.log = clock or Clock(), schedule, Log()
        self.trouble = Trouble(self.clock, schedule)
        self.trouble.twin = self._twin
        self.records, self.gitlab = Records(self.trouble), gitlab(self.trouble)
        self._waiting: list[RunRequest | TrackRequest] = [run]
        self._twins = False
        self.dead = self.dropped = self.unheard = self.untold = False
        self.tries = self.left = 0

    def put(self, run: RunRequest | TrackRequest) -> None:
        """Take the request again: the queue's side of a replay."""
        self._waiting.append(run)

    def carry(self) -> None:
        """Serve the queue until it is empty, replay what died, and serve that."""
        self._serve()
        self._wake()
        self.left = self.schedule.heal()
        for again in range(3):
            if store.dead_letters(self.records) or (self.dead and not again):
                self.dead = True
                self.clock.wait(max(self.replayed_after, again * 3600.0))
                self._tell()
                self.replay()
                self._serve()
        self._sweep()
        self._wake()
        self.clock.wait(300)  # what GitLab still does for those who have left

    def replay(self) -> None:
        """Do what the operator does: replay kept requests; send dead letters back."""
        kept = [
            replay(each, self, self.records, self.clock())
            for each in store.dead_letters(self.records)
        ]
        if not any(kept):
            self._waiting.append(self.run)

    def _tell(self) -> None:
        """Tell of dead letters, as shared/sweep.py does, once all is well and no lease is left."""
        self.unheard |= not store.dead_letters(self.records)
        attend(self._services(), self)
        if self.replayed_after > LEASE:
            self.untold |= bool(store.untold(self.records, 1))

    def _wake(self) -> None:
        """Let sweeps come by until nothing waits for its turn."""
        for _ in range(20):
            record = self.records.run(self.run.id)
            if record is None or record.state is not State.WAITING:
                return
            self.clock.wait(max(record.until - self.clock(), 300.0))
            try:
                attend(self._services(), self)
            except (Retry, StoreError):
                pass
            except Killed:
                if self.queue is LOCAL:
                    self.records.free(self.clock())
            self._serve()

    def _sweep(self) -> None:
        """Look after pipelines still followed, as shared/sweep.py does, once all is well."""
        if isinstance(self.run, TrackRequest):
            for pipeline_id in store.live_pipelines(self.run.project_id, self.records):
                dispatch(
                    TrackRequest(self.run.project_id, pipeline_id), self._services(), last=True
                )

    def _serve(self) -> None:
        while self._waiting:
            run = self._waiting.pop()
            attempt = 0
            while True:
                attempt += 1
                self.tries += 1
                assert self.tries < 200, "without end"
                wait = self._attempt(run, attempt)
                if wait is None:
                    break
                if attempt >= self.attempts + self.queue.spare:
                    self.dead |= self.queue.ends == "dead-letter queue"
                    self.dropped |= self.queue.ends == "dropped"
                    break
                self.clock.wait(wait)

    def _attempt(self, run: RunRequest | TrackRequest, attempt: int) -> float | None:
        """Let a worker have the request; return the seconds until it comes again, or None."""
        began = self.clock()
        try:
            reason = dispatch(run, self._services(), last=attempt >= self.attempts)
        except Retry as error:
            return max(error.after, pause(attempt)) if self.queue.heeds else pause(attempt)
        except StoreError:
            return pause(attempt)
        except Killed:
            if self.queue is LOCAL:
                self.records.free(self.clock())
            return max(0.0, began + self.queue.visibility - self.clock())
        self.dead |= reason is Reason.DEAD_LETTER
        return None

    def _twin(self) -> None:
        """Let another worker have the same request while the first is under way."""
        if self._twins:
            return
        self._twins = True
        try:
            dispatch(self.run, self._services())
        except (Retry, StoreError):
            pass
        except Killed:
            if self.queue is LOCAL:  # one process: its end is the other worker's end too
                raise
        finally:
            self._twins = False

    def _services(self) -> Services:
        def read() -> str:
            if self.schedule.meet("secrets").status is not None:
                raise StoreError
            return GITLAB_SECRETS

        secrets = Cached(read, GitLabSecrets.parse, self.clock)
        settings = next(self._settings)
        return Services(settings, secrets, self.records, self.gitlab, self.clock, self._write)

    def _write(self, severity: str, fields: Mapping[str, object]) -> None:
        if self.schedule.meet("log").status is not None:
            raise StoreError
        self.log(severity, fields)

    def judge(self, seen: Seen) -> End:
        """Say how it ended: as docs/reliability.md allows, or with something lost or doubled."""
        mark, pipelines = marks.of_run(self.run.id), seen.pipelines()
        replies = [reply for reply in seen.replies() if mark in reply]
        record = self.records.run(self.run.id)
        stopped = [reply for reply in replies if "Claude did not start" in reply]
        started = [reply for reply in replies if reply not in stopped]
        dead = [reply for reply in stopped if "We tried for as long as we may" in reply]
        refused = [reply for reply in stopped if reply not in dead]
        unasked = isinstance(self.run, RunRequest) and self.run.event.by_policy
        # The thread took no reply, or nobody had asked there: the log was told.
        silent = self.log.tells(error="reply") or unasked
        twice = len(replies) > 1
        # That a run waits stays true of the time it was said at, where GitLab wrote it late.
        waits = [reply for reply in started if "starts on this by itself" in reply]
        stays = waits if twice and self._late() else []
        wrong = [
            *(["doubled: pipelines"] * (pipelines > 1)),
            *(["doubled: replies"] * (twice and not self._late())),
            *(["contradicted"] * bool(len(started) > len(stays) and refused and not self.dead)),
            *(["leaked"] * self.leaked()),
            *(["no alarm"] * (self.dead and self.queue is not SQS and not self._alarmed())),
        ]
        word, lost = ended(
            record, pipelines, told=bool(started or silent), refused=bool(refused or silent)
        )
        if lost:
            wrong.append("lost: dropped by its queue" if self.dropped and not self.dead else lost)
        if self.untold and not silent:
            wrong.append("untold: a dead letter")
        return End(
            f"dead letter, then {word}" if self.dead else word,
            tuple(wrong),
            twice=twice,
            unheard=self.unheard,
        )

    def _late(self) -> bool:
        """Tell whether GitLab wrote a reply long after the call: that does no harm."""
        return any(
            met.startswith("reply: ") and met.endswith("acts late") for met in self.schedule.met
        )

    def leaked(self) -> bool:
        text = self.log.text()
        return any(needle in text for needle in _NEEDLES)

    def _alarmed(self) -> bool:
        return self.log.tells(severity="ERROR", reason=str(Reason.DEAD_LETTER))


def ended(record: Record | None, pipelines: int, *, told: bool, refused: bool) -> tuple[str, str]:
    """Return the end's name and, where the run is lost or nobody was told, how."""
    if record is None or record.state not in ENDED or record.state is State.DEAD:
        return "lost", f"lost: record {record and str(record.state)}"
    if record.state is State.FINISHED:
        word = "triggered" if record.reason == str(Reason.TRIGGERED) else "answered"
        if bool(pipelines) is (word == "answered"):
            return "lost", f"lost: {word} with {pipelines} pipelines"
        return (word, "") if told else ("untold", f"untold: {word}")
    reason = next(reason for reason in Reason if str(reason) == record.reason)
    if reason.outcome is Outcome.IGNORED:
        return "ignored", ""
    if pipelines and reason is not Reason.UNCERTAIN:
        return "lost", f"lost: {reason} with a pipeline"
    return ("told", "") if refused else ("untold", f"untold: {reason}")
