"""The durable record that a run is being worked on or done: states, steps, and its text. It writes nothing itself."""

import json
from enum import StrEnum
from typing import NamedTuple

from shared.outcome.reasons import Reason, Stop

LEASE = 120.0  # seconds one attempt may take: above the time limits of all its calls together
SETTLE = 75.0  # seconds until a call that may have reached GitLab has surely ended there (its workers stop at 60)
ATTEMPTS = 13  # how often a queue offers a request: with the pauses, for two hours
KEPT = 31 * 24 * 3600  # seconds a claim is kept: longer than any delivery can be sent again


class State(StrEnum):
    """Where a run stands."""

    CLAIMED = "claimed"
    TRIGGERING = "triggering"
    TRIGGERED = "triggered"
    FINISHED = "finished"
    REFUSED = "refused"
    DEAD = "dead"


ENDED = frozenset({State.FINISHED, State.REFUSED, State.DEAD})


class Claim(NamedTuple):
    """A run's record; times in Unix seconds, `since` the start of a trigger call whose end is not known."""

    run: str
    state: State
    until: float
    expires: int
    attempt: int = 1
    since: float = 0.0
    pipeline_id: int = 0
    pipeline_url: str = ""
    reason: str = ""
    hint: str = ""

    @property
    def key(self) -> str:
        """Where the claim is kept."""
        return claim_key(self.run)

    def to_json(self) -> str:
        """Return the claim as JSON."""
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: str) -> "Claim":
        """Read what `to_json` wrote."""
        data = json.loads(text)
        return cls(**data | {"state": State(data["state"])})

    def take(self, now: float) -> "Claim":
        """Return the claim for one more attempt."""
        return self._replace(until=now + LEASE, attempt=self.attempt + 1)

    def triggering(self, now: float) -> "Claim":
        """Return the claim as it must be stored before the trigger call leaves, taken until GitLab has settled."""
        return self._replace(state=State.TRIGGERING, since=now, until=max(self.until, now + SETTLE))

    def not_triggered(self) -> "Claim":
        """Return the claim after GitLab said that no pipeline was created."""
        return self._replace(state=State.CLAIMED, since=0.0)

    def triggered(self, pipeline_id: int, pipeline_url: str) -> "Claim":
        """Return the claim once the pipeline is known: from here on nothing is triggered again."""
        return self._replace(
            state=State.TRIGGERED, pipeline_id=pipeline_id, pipeline_url=pipeline_url
        )

    def decided(self, why: Stop) -> "Claim":
        """Return the claim as it must be stored before a refusal is told: what a thread was told stays true."""
        return self._replace(reason=str(why.reason), hint=why.hint)

    def ended(self, state: State, reason: Reason) -> "Claim":
        """Return the claim of a run that is over."""
        return self._replace(state=state, reason=str(reason), until=0.0)

    def released(self, now: float) -> "Claim":
        """Return the claim for the next attempt; one that waits for GitLab to settle stays taken until then."""
        return self._replace(until=self.since + SETTLE if self.state is State.TRIGGERING else now)

    def revived(self) -> "Claim":
        """Return a dead claim as it was before it died, so that a replay goes on from there; GitLab settles first."""
        state = (
            State.TRIGGERED
            if self.pipeline_id
            else State.TRIGGERING
            if self.since
            else State.CLAIMED
        )
        until = self.since + SETTLE if state is State.TRIGGERING else 0.0
        return self._replace(state=state, reason="", hint="", attempt=self.attempt + 1, until=until)


def pause(attempt: int) -> float:
    """Return the seconds to wait after an attempt that failed: 5, doubled each time, half an hour at most."""
    return min(5.0 * 2.0 ** min(attempt - 1, 10), 1800.0)


def claim_key(run: str) -> str:
    """Return where a run's claim is kept."""
    return f"run/{run}"


def new_claim(run: str, now: float) -> Claim:
    """Return the first claim on a run."""
    return Claim(run=run, state=State.CLAIMED, until=now + LEASE, expires=int(now) + KEPT)
