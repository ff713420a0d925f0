"""What is kept of runs that have a pipeline: to bring their replies up to date, to list, stop and repeat them."""

import json
from typing import NamedTuple

from shared.gitlab.values import Pipeline
from shared.runs.command import Options
from shared.runs.record import KEPT
from shared.runs.request import RunRequest, from_json
from shared.runs.store import Records, change

_LAST = 20  # runs remembered of a thread
_LIVE = 1000  # pipelines followed of a project: a record holds 400 KB at most on DynamoDB


class Started(NamedTuple):
    """A run with its pipeline: the request as it was carried out, what it asked for, and the note that replies."""

    run: RunRequest
    order: Options
    pipeline: Pipeline
    reply_id: int = 0


def keep(started: Started, records: Records, now: float) -> None:
    """Keep a run; keeping it again changes what is different."""
    run, order, pipeline, reply_id = started
    fields = {"run": run.to_json(), "order": order, "pipeline": pipeline, "reply_id": reply_id}
    number, expires = str(pipeline.id), int(now) + KEPT

    def with_pipeline(live: dict[str, str] | None) -> dict[str, str]:
        return dict([*(live or {}).items(), (number, run.id)][-_LIVE:])

    def with_run(ids: list[str] | None) -> list[str]:
        return [*(each for each in ids or [] if each != run.id), run.id][-_LAST:]

    change(f"started/{run.id}", records, expires, lambda _: fields)
    change(f"live/{run.event.project_id}", records, expires, with_pipeline)
    change(f"thread/{run.thread}", records, expires, with_run)


def read(run_id: str, records: Records) -> Started | None:
    """Return a run that was kept."""
    text, _ = records.read(f"started/{run_id}")
    if not text:
        return None
    kept = json.loads(text)
    run = from_json(kept["run"])
    assert isinstance(run, RunRequest)  # noqa: S101  nothing else is kept
    return Started(run, Options(*kept["order"]), Pipeline(*kept["pipeline"]), kept["reply_id"])


def live(project_id: int, records: Records) -> list[int]:
    """Return the pipelines of a project that had not come to their end when they were last looked at."""
    return [int(number) for number in _live(project_id, records)]


def find(project_id: int, pipeline_id: int, records: Records) -> Started | None:
    """Return the run of a pipeline that is not known to have ended."""
    run_id = _live(project_id, records).get(str(pipeline_id))
    return read(run_id, records) if run_id else None


def of_thread(thread: str, records: Records) -> list[Started]:
    """Return a thread's runs, newest first."""
    text, _ = records.read(f"thread/{thread}")
    found = (read(run_id, records) for run_id in reversed(json.loads(text) if text else []))
    return [started for started in found if started]


def end(project_id: int, pipeline_id: int, records: Records, now: float) -> None:
    """Note that a pipeline has come to its end."""
    number = str(pipeline_id)

    def without(live: dict[str, str] | None) -> dict[str, str]:
        return {name: run for name, run in (live or {}).items() if name != number}

    change(f"live/{project_id}", records, int(now) + KEPT, without)


def _live(project_id: int, records: Records) -> dict[str, str]:
    """Return the run of each live pipeline."""
    text, _ = records.read(f"live/{project_id}")
    return json.loads(text) if text else {}
