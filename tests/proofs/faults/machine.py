"""Hypothesis looks for an order of events, faults and kills that loses or doubles a run."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from shared.dispatch import dispatch
from shared.installation.secrets import Cached, GitLabSecrets
from shared.outcome.reasons import Reason, Retry
from shared.runs import store
from shared.runs.detect import request
from shared.runs.record import pause, replay
from shared.runs.request import RunRequest, TrackRequest, from_json
from shared.services import Services
from tests.proofs.faults.catalogue import POINTS, Schedule
from tests.proofs.faults.gitlab import GitLab
from tests.proofs.faults.journey import SETTINGS, ended
from tests.proofs.faults.model import Clock, Killed, Log, Records, StoreError, Trouble
from tests.support.fakes import GITLAB_SECRETS, NOTE

RUNS, ATTEMPTS, TROUBLES = 3, 4, 8  # few attempts, so that runs die
_TEXT = "\N{BROOM}" * 6_000  # 72,000 bytes of JSON, soon read


def _asked(number: int) -> RunRequest:
    """Return the request of a note: every third one is too long to travel."""
    text = "fix it" if number % 3 else _TEXT
    asked = request(NOTE._replace(note_id=number + 1), text, "gitlab.com")
    found = from_json(asked.to_json())
    assert isinstance(found, RunRequest)
    return found


class Mentions(RuleBasedStateMachine):
    """The claims, a queue and GitLab; nothing is lost or doubled, whatever comes when."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.schedule, self.log = Clock(), Schedule(), Log()
        self.trouble = Trouble(self.clock, self.schedule)
        self.records = Records(self.trouble)
        self.gitlab = GitLab(self.trouble, f"@claude {_TEXT}")
        secrets = Cached(lambda: GITLAB_SECRETS, GitLabSecrets.parse, self.clock)
        self.services = Services(SETTINGS, secrets, self.records, self.gitlab, self.clock, self.log)
        self.queue: dict[str, tuple[RunRequest, int, float]] = {}
        self.asked: dict[str, RunRequest] = {}
        self.died: set[str] = set()
        self.troubles = 0

    def put(self, run: RunRequest | TrackRequest) -> None:
        """Be the queue: a request that is there already stays as it is."""
        assert isinstance(run, RunRequest)
        self.queue.setdefault(run.id, (run, 0, self.clock()))

    @rule(number=st.integers(0, RUNS - 1))
    def deliver(self, number: int) -> None:
        run = _asked(number)
        self.asked[run.id] = run
        self.gitlab.hears(run)
        self.put(run)

    @precondition(lambda self: self.troubles < TROUBLES)
    @rule(point=st.sampled_from(POINTS))
    def trouble_ahead(self, point: Any) -> None:
        self.troubles += 1
        self.schedule.add(point)

    @precondition(lambda self: self.queue)
    @rule()
    def attempt(self) -> None:
        due = min(self.queue.values(), key=lambda each: each[2])
        self.clock.wait(max(0.0, due[2] - self.clock()))
        self._attempt(due[0])

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def two_workers_have_the_same(self, data: st.DataObject) -> None:
        run = self.asked[data.draw(st.sampled_from(sorted(self.asked)))]
        self.trouble.twin = lambda: self._once(run)
        try:
            self._once(run)
        finally:
            self.trouble.twin = lambda: None

    @rule(seconds=st.sampled_from((1.0, 20.0, 80.0, 130.0, 3600.0)))
    def time_passes(self, seconds: float) -> None:
        self.clock.wait(seconds)

    @rule()
    def the_process_is_killed(self) -> None:
        self.records.free(self.clock())
        self.queue = {
            key: (run, attempts, self.clock()) for key, (run, attempts, _) in self.queue.items()
        }

    @rule()
    def replay(self) -> None:
        try:
            for run_id in store.dead_letters(self.records):
                self.died.add(run_id)
                replay(run_id, self, self.records, self.clock())
        except (StoreError, Retry, Killed):
            pass

    @invariant()
    def nothing_is_said_twice(self) -> None:
        if not any(met.endswith("acts late") for met in self.schedule.met):
            marks = [reply.rpartition("<!--")[2] for reply in self.gitlab.replies]
            assert len(set(marks)) == len(marks)

    def teardown(self) -> None:
        """Let everything heal, serve and replay until all is quiet: each mention has ended."""
        self.schedule.heal()
        for _ in range(200):
            self.clock.wait(3600)
            for run, _, _ in list(self.queue.values()):
                self._attempt(run)
            self.replay()
            if not self.queue:
                break
        silent = self.log.tells(error="reply")
        for run_id in self.asked:
            replies = [reply for reply in self.gitlab.replies if run_id in reply]
            record = self.records.run(run_id)
            started = any("Claude is on it" in reply for reply in replies)
            refused = any("did not start" in reply for reply in replies)
            _, lost = ended(
                record,
                int(run_id in self.gitlab.pipelines),
                told=started or silent,
                refused=refused or silent,
            )
            assert not lost, (lost, record, self.schedule.met)
            assert not (started and refused) or run_id in self.died

    def _attempt(self, run: RunRequest) -> None:
        _, before, _ = self.queue[run.id]
        attempt = before + 1
        wait = pause(attempt)
        try:
            reason = dispatch(run, self.services, last=attempt >= ATTEMPTS)
        except Retry as error:
            wait = max(error.after, wait)
        except StoreError:
            pass
        except Killed:
            self.the_process_is_killed()
            wait = 0.0
        else:
            if reason is Reason.DEAD_LETTER:
                self.died.add(run.id)
            del self.queue[run.id]
            return
        self.queue[run.id] = run, attempt, self.clock() + wait

    def _once(self, run: RunRequest) -> None:
        """Let a worker have a request that the queue believes served."""
        try:
            dispatch(run, self.services)
        except (Retry, StoreError):
            self.put(run)
        except Killed:
            self.put(run)
            self.the_process_is_killed()


def run(examples: int = 800, steps: int = 50) -> int:
    """Play so many examples, always the same ones; return their number."""
    found = settings(
        max_examples=examples,
        stateful_step_count=steps,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Mentions, settings=found)
    return examples
