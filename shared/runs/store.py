"""What outlives an attempt: queue and records as protocols, and the indexes over runs.

A record is one text under a key, changed by compare-and-set. What could grow without end is one
record an entry, `<index>//<entry>`, so that none is ever large and none is written by all:

| key | holds |
|---|---|
| `thread/<project>/<kind>/<iid>` | the thread's last runs that have a pipeline, or wait |
| `live/<project>//<pipeline>` | the run of a pipeline that is not known to have ended |
| `pipeline/<project>/<pipeline>` | the run of a pipeline, and what its reply said last |
| `asked/<project>/<kind>/<iid>` | the thread's last runs that a change asked for, and when |
| `dead//<run>` | a run whose request exhausted its attempts: a dead letter |
| `waits//<turn>-…-<run>` | a run that waits for its turn |
| `repair/<project>/<pipeline>` | the run that was last to repair somebody's pipeline |
| `auto-file/<project>` | which content of its file for AUTO cannot be read, and which run told |

`<project>` before a pipeline is the one that it runs in, elsewhere the one that asks.
`shared.runs.projects` has one more, over the projects. Before 2026-12 `live/<project>` and `dead`
were one record each; what still stands there is read.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from shared.incoming.event import Event
from shared.outcome.reasons import Reason, Retry
from shared.runs.request import RunRequest, TrackRequest

KEPT = 31 * 24 * 3600  # seconds a run is remembered: longer than any delivery can be sent again

_TRIES = 50  # compare-and-set attempts before the run waits for a quieter moment
_STRANGER = 600.0  # seconds
_OF_THREAD = 20  # runs remembered of a thread
_SAME_ASKING = 30.0  # seconds
_LISTED = 1000  # entries of an index looked at at once


class Queue(Protocol):
    """Carries requests to `dispatch`: at least once, one thread's requests in order."""

    def put(self, request: RunRequest | TrackRequest) -> None:
        """Store the request durably; a second one of the same id may be dropped.

        Any exception means that it was not stored.
        """


class Records(Protocol):
    """A durable table of texts, changed by compare-and-set.

    A version is the store's own; None stands for no record.
    """

    def read(self, key: str) -> tuple[str | None, object]:
        """Return the record's text and its version, as of the last completed write."""

    def write(self, key: str, text: str, version: object, expires: int) -> object:
        """Store the text if the stored version is still the one given.

        Return the new version, or None where another was faster. `expires` (Unix seconds) is when
        the record may be forgotten. Two writes never store the same text in a row.
        """

    def delete(self, key: str) -> None:
        """Forget a record; one that is not there is fine."""

    def listed(self, index: str, most: int) -> list[tuple[str, str]]:
        """Return keys and texts of the first records of an index, in the order of their keys.

        Those are the records whose key begins with the index and `//`. What was written within the
        last seconds may be missing.
        """


class DeadLetter(NamedTuple):
    """A run that was given up, when (Unix seconds), and whether its author has been told.

    `body` is the queue's message, where it could not be read or is no run's; `run_id` is then what
    the queue called it.
    """

    run_id: str
    at: float
    told: bool = True
    body: str = ""


class Followed(NamedTuple):
    """A pipeline of a run, and what its reply said last: GitLab's status, and our word for it.

    `ours` says that it was we who said it, and not a job of ours. `tries` is how often a runner has
    had the job, as far as budgets know.
    """

    run_id: str
    status: str = ""
    state: str = ""
    ours: bool = False
    tries: int = 0


def change(key: str, records: Records, expires: int, after: Callable[[Any], Any]) -> Any:  # noqa: ANN401  JSON
    """Store what `after` makes of a record's JSON (None: there is none), and return it.

    The same JSON again is not written. Raise Retry(BUSY) where others are faster 50 times.
    """
    for _ in range(_TRIES):
        text, version = records.read(key)
        changed = after(json.loads(text) if text else None)
        written = json.dumps(changed)
        if written == text or records.write(key, written, version, expires) is not None:
            return changed
    raise Retry(Reason.BUSY)


def add_pipeline(
    request: RunRequest, project_id: int, pipeline_id: int, records: Records, now: float
) -> None:
    """List a run that has a pipeline under its thread, and the pipeline as live in its project."""
    key = _live(project_id, pipeline_id)
    records.write(key, request.id, None, int(now) + KEPT)
    add_to_thread(request, records, now)


def add_to_thread(request: RunRequest, records: Records, now: float) -> None:
    """List a run under its thread, as the newest."""

    def with_run(ids: list[str] | None) -> list[str]:
        others = [each for each in ids or [] if each != request.id]
        return [*others, request.id][-_OF_THREAD:]

    change(f"thread/{request.thread}", records, int(now) + KEPT, with_run)


def end_pipeline(project_id: int, pipeline_id: int, records: Records, now: float) -> None:
    """Take a pipeline that has come to its end off the list of live ones."""
    records.delete(_live(project_id, pipeline_id))
    number, former = str(pipeline_id), f"live/{project_id}"
    if number in _read(former, records, {}):
        change(
            former,
            records,
            int(now) + KEPT,
            lambda live: {name: run for name, run in (live or {}).items() if name != number},
        )


def live_run(project_id: int, pipeline_id: int, records: Records) -> str | None:
    """Return the run of a pipeline that is not known to have ended, None for any other."""
    text, _ = records.read(_live(project_id, pipeline_id))
    former: dict[str, str] = {} if text else _read(f"live/{project_id}", records, {})
    return text or former.get(str(pipeline_id))


def follow(
    project_id: int, pipeline_id: int, followed: Followed, records: Records, now: float
) -> None:
    """Remember what was said of a pipeline, beyond its end: somebody may start it again by hand."""
    key = _pipeline(project_id, pipeline_id)
    fields = list(followed) if followed.tries else list(followed)[:-1]  # as before there were any
    change(key, records, int(now) + KEPT, lambda _: fields)


def followed(project_id: int, pipeline_id: int, records: Records) -> Followed | None:
    """Return whose a pipeline is, None where it is nobody's."""
    fields: list[Any] | None = _read(_pipeline(project_id, pipeline_id), records, None)
    if fields:
        return Followed(*fields)
    run_id = live_run(project_id, pipeline_id, records)  # nothing was said yet
    return Followed(run_id) if run_id else None


def first_asked(request: RunRequest, records: Records, now: float) -> bool:
    """Note what somebody asked by a change; tell whether no other run was asked for by the same.

    A delivery and GitLab's own notes, which a sweep reads, tell the time of one change a little
    differently: where one of two runs is known by a note, about the same time is the same change.
    """
    event = request.event
    at, by_note = event.at or now, f"|{event.name}|" in event.occasion

    def is_same(other: tuple[str, float, bool]) -> bool:
        return abs(other[1] - at) <= _SAME_ASKING and (other[2] or by_note)

    def noted(known: list[tuple[str, float, bool]] | None) -> list[tuple[str, float, bool]]:
        known = known or []
        if any(each[0] == request.id or is_same(each) for each in known):
            return known
        return [*known, (request.id, at, by_note)][-_OF_THREAD:]

    key = f"asked/{request.thread}"
    known = change(key, records, int(now) + KEPT, noted)
    return any(each[0] == request.id for each in known)


def live_pipelines(project_id: int, records: Records) -> dict[int, str]:
    """Return the run id of each pipeline that had not ended when it was last looked at.

    Oldest first, a thousand at most.
    """
    former: dict[str, str] = _read(f"live/{project_id}", records, {})
    live = {int(number): run_id for number, run_id in former.items()}
    live |= {int(_entry(key)): run for key, run in records.listed(f"live/{project_id}", _LISTED)}
    return dict(sorted(live.items()))


def runs_of_thread(thread: str, records: Records) -> list[str]:
    """Return the ids of a thread's last runs that have a pipeline, newest first."""
    ids: list[str] = _read(f"thread/{thread}", records, [])
    return ids[::-1]


def add_dead_letter(
    run_id: str, records: Records, now: float, *, told: bool = False, body: str = ""
) -> None:
    """List a run as a dead letter; twice is once. The fields are those of DeadLetter."""
    fields = {"at": now, "told": told} | ({"body": body} if body else {})
    change(_dead(run_id), records, int(now) + KEPT, lambda _: fields)


def remove_dead_letter(run_id: str, records: Records, now: float) -> None:
    """Take a run off the list of dead letters."""
    records.delete(_dead(run_id))
    if run_id in _read("dead", records, []):
        change(
            "dead",
            records,
            int(now) + KEPT,
            lambda ids: [each for each in ids or [] if each != run_id],
        )


def dead_letter(run_id: str, records: Records) -> DeadLetter | None:
    """Return the dead letter of a run, None where it has none."""
    text, _ = records.read(_dead(run_id))
    if text:
        return _letter(run_id, text)
    return DeadLetter(run_id, 0.0) if run_id in _read("dead", records, []) else None


def dead_letters(records: Records) -> list[str]:
    """Return the ids of runs that are dead letters, oldest first.

    A thousand at most, and all that a former version listed.
    """
    former: list[str] = _read("dead", records, [])
    return [*former, *(letter.run_id for letter in _letters(records))]


def untold(records: Records, most: int) -> list[DeadLetter]:
    """Return dead letters whose authors have not been told, oldest first."""
    return [letter for letter in _letters(records) if not letter.told][:most]


def add_waiting(request: RunRequest, turn: float, records: Records) -> None:
    """List a run that waits for its turn (Unix seconds); of the same turn the first asked first."""
    event = request.event
    order = f"{int(turn):012}-{int(event.at):012}-{event.note_id:012}-{request.id}"
    records.write(f"waits//{order}", request.id, None, int(turn) + KEPT)


def due(records: Records, now: float, most: int) -> list[tuple[str, str]]:
    """Return the keys and run ids of those whose turn has come, first turn first."""
    waiting = records.listed("waits", most)
    return [(key, run_id) for key, run_id in waiting if int(_entry(key)[:12]) <= now]


def note_repair(project_id: int, pipeline_id: int, run: str, records: Records, now: float) -> None:
    """Remember which run is to repair a pipeline that has failed."""
    change(_repair(project_id, pipeline_id), records, int(now) + KEPT, lambda _: run)


def repair(project_id: int, pipeline_id: int, records: Records) -> str:
    """Return the run that was last to repair a pipeline, "" for none."""
    found: str = _read(_repair(project_id, pipeline_id), records, "")
    return found


def first_of_file(request: RunRequest, blob: str, records: Records, now: float) -> bool:
    """Tell whether a run is the one to tell that its project's file for AUTO cannot be read.

    `blob` is the id of what it holds: of each there is one.
    """

    def noted(former: tuple[str, str] | None) -> tuple[str, str]:
        return former if former and former[0] == blob else (blob, request.id)

    key = f"auto-file/{request.event.project_id}"
    return bool(change(key, records, int(now) + KEPT, noted)[1] == request.id)


def add_stranger(event: Event, records: Records, now: float) -> None:
    """Remember for ten minutes that GitLab knows the author as no member of the project."""
    change(_stranger(event), records, int(now + _STRANGER), lambda _: now)


def is_stranger(event: Event, records: Records, now: float) -> bool:
    """Tell whether the author was found to be no member within the last ten minutes."""
    since: float = _read(_stranger(event), records, 0.0)
    return now - since < _STRANGER


def _letters(records: Records) -> list[DeadLetter]:
    entries = records.listed("dead", _LISTED)
    letters = (_letter(_entry(key), text) for key, text in entries)
    return sorted(letters, key=lambda letter: letter.at)


def _letter(run_id: str, text: str) -> DeadLetter:
    fields = json.loads(text)  # a later version may have more of them
    return DeadLetter(run_id, fields["at"], fields["told"], fields.get("body", ""))


def _stranger(event: Event) -> str:
    return f"stranger/{event.project_id}/{event.author_id}"


def _live(project_id: int, pipeline_id: int) -> str:
    return f"live/{project_id}//{pipeline_id:012}"


def _dead(run_id: str) -> str:
    return f"dead//{run_id}"


def _entry(key: str) -> str:
    return key.partition("//")[2]


def _pipeline(project_id: int, pipeline_id: int) -> str:
    return f"pipeline/{project_id}/{pipeline_id}"


def _repair(project_id: int, pipeline_id: int) -> str:
    return f"repair/{project_id}/{pipeline_id}"


def _read(key: str, records: Records, otherwise: Any) -> Any:  # noqa: ANN401  JSON
    text, _ = records.read(key)
    return json.loads(text) if text else otherwise
