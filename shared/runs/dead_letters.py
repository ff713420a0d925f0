"""Dead letters: requests whose queue gave up on them, kept until somebody replays them. It carries none out."""

import json

from shared.runs.record import KEPT, Claim, State, claim_key
from shared.runs.request import RunRequest, from_json
from shared.runs.store import Queue, Records, change

_INDEX = "dead"


def keep(run: RunRequest, records: Records, now: float) -> None:
    """Keep the request of a run that ended without a result; keeping it twice is keeping it once."""
    _put(f"dead/{run.id}", run.to_json(), records, now)
    _index(records, now, add=run.id)


def kept(records: Records) -> list[str]:
    """Return the ids of the runs whose requests are kept."""
    text, _ = records.read(_INDEX)
    return list(json.loads(text)) if text else []


def replay(run_id: str, queue: Queue, records: Records, now: float) -> bool:
    """Put a kept request into the queue again, to go on where it died; tell whether there was one."""
    text, _ = records.read(f"dead/{run_id}")
    if not text or run_id not in kept(records):
        return False
    run = from_json(text)
    assert isinstance(run, RunRequest)  # noqa: S101  nothing else is kept
    run = run._replace(replay=run.replay + 1)
    claimed, version = records.read(claim_key(run_id))
    claim = Claim.from_json(claimed) if claimed else None
    if claim and claim.state is State.DEAD:
        revived = claim.revived()
        records.write(revived.key, revived.to_json(), version, revived.expires)
    queue.put(run)
    _put(f"dead/{run_id}", run.to_json(), records, now)
    _index(records, now, remove=run_id)
    return True


def _put(key: str, text: str, records: Records, now: float) -> None:
    stored, version = records.read(key)
    while stored != text and records.write(key, text, version, int(now) + KEPT) is None:
        stored, version = records.read(key)


def _index(records: Records, now: float, *, add: str = "", remove: str = "") -> None:
    def changed(before: list[str] | None) -> list[str]:
        return [run_id for run_id in before or [] if run_id not in (add, remove)] + [add] * bool(
            add
        )

    change(_INDEX, records, int(now) + KEPT, changed)
