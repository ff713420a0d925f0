"""What outlives an attempt: queue and records as protocols, and the four indexes over runs.

A record is one text under a key, changed by compare-and-set. The indexes hold ids only:

| key | holds |
|---|---|
| `thread/<project>/<kind>/<iid>` | the thread's last runs that have a pipeline |
| `live/<project>` | the run of each pipeline that is not known to have ended |
| `dead` | runs whose requests exhausted their attempts: dead letters |
| `projects` | projects that have had a run: the sweep looks at them |
"""

import json
from collections.abc import Callable
from typing import Any, Protocol

from shared.installation.secrets import GitLabSecrets
from shared.installation.settings import Settings
from shared.outcome.reasons import Reason, Retry
from shared.runs.request import RunRequest, TrackRequest

KEPT = 31 * 24 * 3600  # seconds a run is remembered: longer than any delivery can be sent again

_TRIES = 50  # compare-and-set attempts before the run waits for a quieter moment
_OF_THREAD = 20  # runs remembered of a thread
_LIVE = 1000  # pipelines followed of a project: a record holds 400 KB at most on DynamoDB
_PROJECTS_KEPT = 10 * 365 * 24 * 3600  # seconds


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


def add_project(project_id: int, records: Records, now: float) -> None:
    """Remember a project that has had a run."""

    def with_project(known: list[int] | None) -> list[int]:
        return [*(known or []), *([] if project_id in (known or []) else [project_id])]

    change("projects", records, int(now) + _PROJECTS_KEPT, with_project)


def known_projects(settings: Settings, secrets: GitLabSecrets, records: Records) -> list[str]:
    """Return the ids and paths of the projects that the sweep looks at.

    These are the projects served so far, those in ALLOWED_PROJECTS that are no globs, and those
    with a trigger token of their own.
    """
    served: list[int] = _read("projects", records, [])
    named = (*settings.allowed_projects, *secrets.trigger_tokens)
    exact = [entry for entry in named if not set(entry) & set("*?[")]
    return list(dict.fromkeys([*map(str, served), *exact]))


def _change_dead_letters(
    after: Callable[[list[str]], list[str]], records: Records, now: float
) -> None:
    change("dead", records, int(now) + KEPT, lambda ids: after(ids or []))


def _read(key: str, records: Records, otherwise: Any) -> Any:  # noqa: ANN401  JSON
    text, _ = records.read(key)
    return json.loads(text) if text else otherwise
