"""What outlives an attempt: queue and records as protocols, and the indexes over runs.

A record is one text under a key, changed by compare-and-set. The indexes hold ids only:

| key | holds |
|---|---|
| `thread/<project>/<kind>/<iid>` | the thread's last runs that have a pipeline |
| `live/<project>` | the run of each pipeline that is not known to have ended |
| `pipeline/<project>/<pipeline>` | the run of a pipeline, and what its reply said last |
| `asked/<project>/<kind>/<iid>` | the thread's last runs that a change asked for, and when |
| `dead` | runs whose requests exhausted their attempts: dead letters |

`shared.runs.projects` has one more, over the projects.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from shared.outcome.reasons import Reason, Retry
from shared.runs.request import RunRequest, TrackRequest

KEPT = 31 * 24 * 3600  # seconds a run is remembered: longer than any delivery can be sent again

_TRIES = 50  # compare-and-set attempts before the run waits for a quieter moment
_OF_THREAD = 20  # runs remembered of a thread
_SAME_ASKING = 30.0  # seconds
_LIVE = 1000  # pipelines followed of a project: a record holds 400 KB at most on DynamoDB


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


class Followed(NamedTuple):
    """A pipeline of a run, and what its reply said last: GitLab's status, and our word for it.

    `ours` says that it was we who said it, and not a job of ours.
    """

    run_id: str
    status: str = ""
    state: str = ""
    ours: bool = False


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


def add_pipeline(request: RunRequest, pipeline_id: int, records: Records, now: float) -> None:
    """List a run that has a pipeline under its thread, and the pipeline as live."""
    number, run_id = str(pipeline_id), request.id

    def with_pipeline(live: dict[str, str] | None) -> dict[str, str]:
        return dict([*(live or {}).items(), (number, run_id)][-_LIVE:])

    def with_run(ids: list[str] | None) -> list[str]:
        return [*(each for each in ids or [] if each != run_id), run_id][-_OF_THREAD:]

    expires = int(now) + KEPT
    change(f"live/{request.event.project_id}", records, expires, with_pipeline)
    change(f"thread/{request.thread}", records, expires, with_run)


def end_pipeline(project_id: int, pipeline_id: int, records: Records, now: float) -> None:
    """Take a pipeline that has come to its end off the list of live ones."""
    number = str(pipeline_id)

    def without(live: dict[str, str] | None) -> dict[str, str]:
        return {name: run for name, run in (live or {}).items() if name != number}

    change(f"live/{project_id}", records, int(now) + KEPT, without)


def follow(
    project_id: int, pipeline_id: int, followed: Followed, records: Records, now: float
) -> None:
    """Remember what was said of a pipeline, beyond its end: somebody may start it again by hand."""
    key = _pipeline(project_id, pipeline_id)
    change(key, records, int(now) + KEPT, lambda _: list(followed))


def followed(project_id: int, pipeline_id: int, records: Records) -> Followed | None:
    """Return whose a pipeline is, None where it is nobody's."""
    fields: list[Any] | None = _read(_pipeline(project_id, pipeline_id), records, None)
    if fields:
        return Followed(*fields)
    run_id = live_pipelines(project_id, records).get(pipeline_id)  # nothing was said yet
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
    """Return the run id of each pipeline that had not ended when it was last looked at."""
    live: dict[str, str] = _read(f"live/{project_id}", records, {})
    return {int(number): run_id for number, run_id in live.items()}


def runs_of_thread(thread: str, records: Records) -> list[str]:
    """Return the ids of a thread's last runs that have a pipeline, newest first."""
    ids: list[str] = _read(f"thread/{thread}", records, [])
    return ids[::-1]


def add_dead_letter(run_id: str, records: Records, now: float) -> None:
    """List a run as a dead letter; twice is once."""
    _change_dead_letters(
        lambda ids: [*(each for each in ids if each != run_id), run_id], records, now
    )


def remove_dead_letter(run_id: str, records: Records, now: float) -> None:
    """Take a run off the list of dead letters."""
    _change_dead_letters(lambda ids: [each for each in ids if each != run_id], records, now)


def dead_letters(records: Records) -> list[str]:
    """Return the ids of the runs that are dead letters, oldest first."""
    ids: list[str] = _read("dead", records, [])
    return ids


def _change_dead_letters(
    after: Callable[[list[str]], list[str]], records: Records, now: float
) -> None:
    change("dead", records, int(now) + KEPT, lambda ids: after(ids or []))


def _pipeline(project_id: int, pipeline_id: int) -> str:
    return f"pipeline/{project_id}/{pipeline_id}"


def _read(key: str, records: Records, otherwise: Any) -> Any:  # noqa: ANN401  JSON
    text, _ = records.read(key)
    return json.loads(text) if text else otherwise
