"""The claim that one attempt holds, and each step it writes down; another attempt can take it over meanwhile."""

from contextlib import suppress

from shared.outcome.reasons import Reason, Retry
from shared.runs.record import ENDED, Claim, claim_key, new_claim
from shared.runs.request import RunRequest
from shared.services import Services


class Held:
    """The claim this attempt holds, and its version in the store."""

    def __init__(self, run: RunRequest, world: Services) -> None:
        """Take the claim; raise Retry(BUSY) while another attempt has it."""
        self._records, self._now = world.records, world.now
        now = world.now()
        text, self._version = self._records.read(claim_key(run.id))
        stored = Claim.from_json(text) if text else None
        self.claim = stored or new_claim(run.id, now)
        if stored is None or stored.state not in ENDED:
            if stored is not None and stored.until > now:
                raise Retry(Reason.BUSY, after=stored.until - now)
            self.write(stored.take(now) if stored else self.claim)

    def check(self) -> None:
        """Raise Retry(BUSY) when another attempt has taken the claim meanwhile."""
        if self._records.read(self.claim.key)[1] != self._version:
            raise Retry(Reason.BUSY)

    def write(self, claim: Claim) -> None:
        """Store the next step; raise Retry(BUSY) when another attempt has taken the claim meanwhile."""
        version = self._records.write(claim.key, claim.to_json(), self._version, claim.expires)
        if version is None:
            raise Retry(Reason.BUSY)
        self.claim, self._version = claim, version

    def release(self) -> None:
        """Let the next attempt begin when it may; a claim already lost to another attempt stays theirs."""
        with suppress(Retry):
            self.write(self.claim.released(self._now()))
