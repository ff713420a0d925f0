"""The one record of a run: its request, lease, steps, pipeline, reply and end.

Whoever works on a run holds its lease: every step is written down by compare-and-set before the
next is taken, so that an attempt that was overtaken finds out, and one that died can be continued.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Any, NamedTuple

from shared.gitlab.values import Pipeline
from shared.outcome.reasons import Reason, Retry, Stop
from shared.runs.command import Options
from shared.runs.request import RunRequest, Unread, from_object, read
from shared.runs.shapes import ShapeError, check_version, fits, read_object
from shared.runs.store import KEPT, Queue, Records, dead_letter, remove_dead_letter

VERSION = 2
LEASE = 120.0  # seconds one attempt may take: above the time limits of all its calls together
# Seconds until a call that may have reached GitLab has surely ended there: its workers stop at 60.
SETTLE = 75.0
_HEARD = 60.0  # seconds in which every replica of GitLab's has heard of what is new
ABANDONED = 3 * 3600.0  # seconds without an attempt after which no queue holds the request any more
ATTEMPTS = 13  # how often a queue offers a request: with the pauses, for two hours

_REASONS = frozenset({"", *map(str, Reason)})

Log = Callable[[str, Mapping[str, object]], None]


class State(StrEnum):
    """Where a run stands."""

    CLAIMED = "claimed"
    WAITING = "waiting"
    TRIGGERING = "triggering"
    TRIGGERED = "triggered"
    FINISHED = "finished"
    REFUSED = "refused"
    DEAD = "dead"


ENDED = frozenset({State.FINISHED, State.REFUSED, State.DEAD})


class RecordError(ValueError):
    """A stored record that this version cannot read."""


class Record(NamedTuple):
    """What is stored of a run; times in Unix seconds.

    `repeats` is the former request that a `retry` carries out, in the name of who repeats it.
    `since` is the start of a trigger call whose end is not known, `until` the end of the lease, or
    the turn that a run waits for. By the `nonce` GitLab's pipeline is known to be ours. `home` is
    the project that the trigger call goes to, 0 for the one that asks; `award_id` that of our 👀,
    0 where it is not known; `reserved` when its money was held (`shared.runs.budgets`), 0 where no
    budget asked for that.
    """

    request: RunRequest
    state: State
    until: float
    expires: int
    attempt: int = 1
    repeats: RunRequest | None = None
    options: Options = Options()
    since: float = 0.0
    pipeline: Pipeline | None = None
    reply_id: int = 0
    reason: str = ""
    hint: str = ""
    nonce: str = ""
    home: int = 0
    award_id: int = 0
    reserved: float = 0.0

    @property
    def key(self) -> str:
        """Where the record is kept."""
        return key_of(self.request.id)

    @property
    def carried_out(self) -> RunRequest:
        """The request that the pipeline is for."""
        return self.repeats or self.request

    @property
    def runs_in(self) -> int:
        """The id of the project that its pipeline is in."""
        return self.home or self.request.event.project_id

    def to_json(self) -> str:
        """Return the record as JSON of the current version.

        Without `home`, `award_id` and `reserved` where they say nothing, as before there were such.
        """
        requests = {
            "request": json.loads(self.request.to_json()),
            "repeats": json.loads(self.repeats.to_json()) if self.repeats else None,
        }
        fields = {"version": VERSION} | self._asdict() | requests
        for later in ("home", "award_id", "reserved"):
            if not fields[later]:
                del fields[later]
        return json.dumps(fields)

    @classmethod
    def from_json(cls, text: str) -> "Record":
        """Read a record of the current version; raise RecordError for anything else."""
        return _read(_json(text))

    def taken(self, request: RunRequest, now: float) -> "Record":
        """Return the record with the lease of one more attempt.

        A request that an earlier attempt has confirmed stays so.
        """
        known = self.request._replace(replay=request.replay) if self.nonce else request
        state = State.CLAIMED if self.state is State.WAITING else self.state
        return self._replace(
            request=known, state=state, until=now + LEASE, attempt=self.attempt + 1
        )

    def waiting(self, turn: float) -> "Record":
        """Return the record of a run that waits for its turn; nobody works on it until then."""
        return self._replace(state=State.WAITING, until=turn)

    def is_news(self, now: float) -> bool:
        """Tell whether a replica of GitLab's may not have heard yet of what the run is about."""
        return now < self.expires - KEPT + _HEARD

    def waits(self, now: float) -> bool:
        """Tell whether the run's turn is still to come."""
        return self.state is State.WAITING and self.until > now

    def contested(self, request: RunRequest) -> bool:
        """Tell whether a run was refused for what this request does not claim.

        A forged delivery, or one that was overtaken by an edit, must not stand for the true one;
        nor may what the policy did not start for one person or occasion, for another; and a commit
        that was not the head may be it again.
        """
        changed = self.reason == str(Reason.NOTE_CHANGED)
        over = self.pipeline or self.reason == str(Reason.CANCELLED)
        by_policy = self.request.event.by_policy and not over
        open_again = self.state is State.REFUSED and (changed or by_policy)
        returned = by_policy and self.reason == str(Reason.SUPERSEDED)
        return open_again and (returned or self.request.claims != request.claims)

    def understood(
        self, request: RunRequest, options: Options, carried_out: RunRequest
    ) -> "Record":
        """Return the record once GitLab has confirmed the request and its text was read."""
        repeats = None if carried_out == request else carried_out
        return self._replace(request=request, options=options, repeats=repeats)

    def triggering(self, now: float) -> "Record":
        """Return the record as it must be stored before the trigger call leaves.

        The lease holds until GitLab has settled: nobody may call again before.
        """
        until = max(self.until, now + SETTLE)
        return self._replace(state=State.TRIGGERING, since=now, until=until)

    def not_triggered(self) -> "Record":
        """Return the record after GitLab said that no pipeline was created."""
        return self._replace(state=State.CLAIMED, since=0.0)

    def triggered(self, pipeline: Pipeline) -> "Record":
        """Return the record once the pipeline is known: from here on nothing is triggered again."""
        return self._replace(state=State.TRIGGERED, pipeline=pipeline)

    def decided(self, why: Stop) -> "Record":
        """Return the record as it must be stored before a refusal is told.

        What a thread was told stays true, whatever a later attempt finds.
        """
        return self._replace(reason=str(why.reason), hint=why.hint)

    def ended(self, state: State, reason: Reason) -> "Record":
        """Return the record of a run that is over."""
        return self._replace(state=state, reason=str(reason), until=0.0)

    def released(self, now: float) -> "Record":
        """Return the record with the lease given back.

        If the trigger call's result is unknown, the lease holds until SETTLE has passed. A turn
        stays as it is.
        """
        if self.state is State.WAITING:
            return self
        waits = self.state is State.TRIGGERING
        return self._replace(until=self.since + SETTLE if waits else now)

    def revived(self, request: RunRequest) -> "Record":
        """Return the record of a run that is over reopened, at the step it had reached."""
        state = State.CLAIMED
        if self.pipeline:
            state = State.TRIGGERED
        elif self.since:
            state = State.TRIGGERING
        until = self.since + SETTLE if state is State.TRIGGERING else 0.0
        attempt = self.attempt + 1
        return self._replace(
            request=request, state=state, reason="", hint="", attempt=attempt, until=until
        )


class Lease:
    """The record of a run that one attempt works on, and its version in the store."""

    def __init__(self, request: RunRequest, records: Records, now: Callable[[], float]) -> None:
        """Take the lease.

        Raise Retry(BUSY) while another attempt has it, Retry(RECORD_UNREADABLE) where what is
        stored cannot be read: whether the run has had its pipeline is then not known.
        """
        self._records, self._now = records, now
        self._version: object = None
        self._found: Record | None = None
        at = now()
        new = Record(request, State.CLAIMED, until=at + LEASE, expires=int(at) + KEPT)
        with suppress(Retry):  # most runs are new: these cost one call instead of two
            self.write(new)
            return
        try:
            stored, self._version = _load(request.id, records, request)
        except RecordError as error:
            raise Retry(Reason.RECORD_UNREADABLE) from error
        self._found = stored
        if stored is None:
            self.write(new)
        elif stored.contested(request):
            again = stored.revived(request)
            self.write(again._replace(until=max(again.until, at + LEASE)))
        elif stored.waits(at):
            self.record = stored
        elif stored.state not in ENDED:
            if stored.until > at:
                raise Retry(Reason.BUSY, after=stored.until - at)
            self.write(stored.taken(request, at))
        else:
            self.record = stored

    def check(self) -> None:
        """Raise Retry(BUSY) when another attempt has taken the lease meanwhile."""
        if self._records.read(self.record.key)[1] != self._version:
            raise Retry(Reason.BUSY)

    def write(self, record: Record) -> None:
        """Store the next step; raise Retry(BUSY) when another attempt has taken the lease."""
        written = record.to_json()
        version = self._records.write(record.key, written, self._version, record.expires)
        if version is None:
            raise Retry(Reason.BUSY)
        self.record, self._version = record, version

    def revive(self, request: RunRequest) -> None:
        """Reopen a dead letter whose message came again, as a replay does.

        Raise Retry(BUSY) where its last trigger call may still reach GitLab.
        """
        again = self.record.revived(request._replace(replay=self.record.request.replay + 1))
        at = self._now()
        self.write(again._replace(until=max(again.until, at + LEASE)))
        if again.until > at:
            self.release()
            raise Retry(Reason.BUSY, after=again.until - at)

    def undo(self) -> None:
        """Leave the record as it was found, for a request that was not to be; then as nobody's."""
        with suppress(Retry):
            self.write(self._found or self.record._replace(until=0.0))

    def release(self) -> None:
        """Let the next attempt begin when it may; a lease that another one took stays theirs."""
        with suppress(Retry):
            self.write(self.record.released(self._now()))


def key_of(run_id: str) -> str:
    """Return where a run's record is kept."""
    return f"run/{run_id}"


def pause(attempt: int) -> float:
    """Return the seconds to wait after an attempt that failed.

    5, doubled each time, half an hour at most.
    """
    return min(5.0 * 2.0 ** min(attempt - 1, 10), 1800.0)


def load(run_id: str, records: Records, request: RunRequest | None = None) -> Record | None:
    """Return the record of a run, None where there is none; raise RecordError.

    `request` is the run's, where it is at hand: records of version 1 may lack it.
    """
    return _load(run_id, records, request)[0]


def load_all(run_ids: Iterable[str], records: Records, log: Log) -> Iterator[Record]:
    """Yield the records of runs; one that cannot be read is logged and left out."""
    for run_id in run_ids:
        try:
            record = load(run_id, records)
        except RecordError as error:
            log(
                "ERROR",
                {"reason": str(Reason.RECORD_UNREADABLE), "run": run_id, "error": str(error)},
            )
        else:
            if record:
                yield record


def replay(run_id: str, queue: Queue, records: Records, now: float) -> bool:
    """Put a dead letter into the queue again, to go on where it died.

    Tell whether there was one; raise RecordError where it cannot be read.
    """
    letter = dead_letter(run_id, records)
    if letter is None:
        return False
    record, version = _load(run_id, records)
    asked = record.request if record else read(run_id, letter.body) if letter.body else None
    if asked is None:
        return False
    if isinstance(asked, Unread):
        raise RecordError(asked.why)
    request = asked._replace(replay=asked.replay + 1) if isinstance(asked, RunRequest) else asked
    if record and record.state is State.DEAD and isinstance(request, RunRequest):
        records.write(record.key, record.revived(request).to_json(), version, record.expires)
    queue.put(request)
    remove_dead_letter(run_id, records, now)
    return True


def end_waiting(record: Record, records: Records) -> bool:
    """End a run that waits for its turn; tell whether it did and nobody was faster."""
    found, version = _load(record.request.id, records)
    if found is None or found.state is not State.WAITING:
        return False
    ended = found.ended(State.REFUSED, Reason.CANCELLED).to_json()
    return records.write(found.key, ended, version, found.expires) is not None


def wake(run_id: str, queue: Queue, records: Records, now: float) -> bool:
    """Put a run whose turn has come into the queue; raise RecordError where it cannot be read.

    Tell whether it waits no more: an attempt may be about to write down that it does.
    """
    record, _ = _load(run_id, records)
    if record and record.state is State.WAITING and not record.waits(now):
        queue.put(record.request._replace(replay=record.request.replay + 1))
    return record is None or record.state is not State.CLAIMED or record.until < now - ABANDONED


def _load(
    run_id: str, records: Records, request: RunRequest | None = None
) -> tuple[Record | None, object]:
    text, version = records.read(key_of(run_id))
    if text is None:
        return None, version
    data = _json(text)
    if "version" not in data:
        try:
            data = _from_version_1(data, request, records)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            message = f"{type(error).__name__} in a record of version 1"
            raise RecordError(message) from None
    return _read(data), version


def _json(text: str) -> dict[str, Any]:
    try:
        return read_object(text)
    except ShapeError as error:
        raise RecordError(str(error)) from None


def _read(data: dict[str, Any]) -> Record:
    try:
        check_version(data, VERSION)
    except ShapeError as error:
        raise RecordError(str(error)) from None
    try:
        record = _record({name: value for name, value in data.items() if name != "version"})
    except (KeyError, TypeError, ValueError) as error:
        message = f"{type(error).__name__} in a record of version {VERSION}"
        raise RecordError(message) from None
    whole = fits(record, Record) and (record.state is not State.TRIGGERED or record.pipeline)
    if not whole or (record.state not in ENDED and record.reason not in _REASONS):
        message = f"a field of another type in a record of version {VERSION}"
        raise RecordError(message)
    return record


def _record(fields: dict[str, Any]) -> Record:
    pipeline, repeats = fields["pipeline"], fields["repeats"]
    return Record(
        **fields
        | {
            "request": _request(fields["request"]),
            "repeats": _request(repeats) if repeats else None,
            "state": State(fields["state"]),
            "options": Options(*fields["options"]),
            "pipeline": Pipeline(*pipeline) if pipeline else None,
        }
    )


def _request(data: dict[str, Any]) -> RunRequest:
    request = from_object(data) if isinstance(data, dict) else None
    if not isinstance(request, RunRequest):
        raise TypeError
    return request


def _from_version_1(
    data: dict[str, Any], request: RunRequest | None, records: Records
) -> dict[str, Any]:
    """Return a record of version 1 as one of version 2.

    Version 1 (0.1.0 before 2026-12) kept a claim under `run/…`; request, options, pipeline and
    reply of a run with a pipeline under `started/…`; the request of a dead letter under `dead/…`.
    """
    run_id = data["run"]
    started = json.loads(records.read(f"started/{run_id}")[0] or "{}")
    known = request.to_json() if request else records.read(f"dead/{run_id}")[0] or started["run"]
    carried_out = json.loads(started.get("run", known))
    same = carried_out | {"replay": 0} == json.loads(known) | {"replay": 0}
    pipeline = [data["pipeline_id"], data["pipeline_url"]] if data["pipeline_id"] else None
    kept = ("state", "until", "expires", "attempt", "since", "reason", "hint")
    return {name: data[name] for name in kept} | {
        "version": VERSION,
        "request": json.loads(known),
        "repeats": None if same else carried_out,
        "options": started.get("order", list(Options())),
        "pipeline": pipeline,
        "reply_id": started.get("reply_id", 0),
    }
