"""What is kept of runs that have a pipeline: to bring their replies up to date, to list, stop and repeat them."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from shared.claim import KEPT
from shared.command import Order
from shared.ports import Pipeline, Records
from shared.run import RunRequest, from_json

_LAST = 20  # runs remembered of a thread
_LIVE = 1000  # pipelines followed of a project: a record holds 400 KB at most on DynamoDB


class Started(NamedTuple):
    """A run with its pipeline: the request as it was carried out, what it asked for, and the note that replies."""

    run: RunRequest
    order: Order
    pipeline: Pipeline
    reply_id: int = 0


def keep(started: Started, records: Records, now: float) -> None:
    """Keep a run; keeping it again changes what is different."""
    run, order, pipeline, reply_id = started
    fields = {"run": run.to_json(), "order": order, "pipeline": pipeline, "reply_id": reply_id}
    _change(f"started/{run.id}", records, now, lambda _: fields)
    number = str(pipeline.id)
    _change(
        f"live/{run.event.project_id}",
        records,
        now,
        lambda live: dict([*(live or {}).items(), (number, run.id)][-_LIVE:]),
    )
    _change(f"thread/{run.thread}", records, now, lambda ids: [*(each for each in ids or [] if each != run.id), run.id])


def read(run_id: str, records: Records) -> Started | None:
    """Return a run that was kept."""
    text, _ = records.read(f"started/{run_id}")
    if not text:
        return None
    kept = json.loads(text)
    run = from_json(kept["run"])
    assert isinstance(run, RunRequest)  # noqa: S101  nothing else is kept
    return Started(run, Order(*kept["order"]), Pipeline(*kept["pipeline"]), kept["reply_id"])


def live(project_id: int, records: Records) -> list[int]:
    """Return the pipelines of a project that had not come to their end when they were last looked at."""
    text, _ = records.read(f"live/{project_id}")
    return [int(number) for number in json.loads(text)] if text else []


def find(project_id: int, pipeline_id: int, records: Records) -> Started | None:
    """Return the run of a pipeline that is not known to have ended."""
    text, _ = records.read(f"live/{project_id}")
    run_id = json.loads(text).get(str(pipeline_id)) if text else None
    return read(run_id, records) if run_id else None


def of_thread(thread: str, records: Records) -> list[Started]:
    """Return a thread's runs, newest first."""
    text, _ = records.read(f"thread/{thread}")
    found = (read(run_id, records) for run_id in reversed(json.loads(text) if text else []))
    return [started for started in found if started]


def end(project_id: int, pipeline_id: int, records: Records, now: float) -> None:
    """Note that a pipeline has come to its end."""
    number = str(pipeline_id)
    key = f"live/{project_id}"
    _change(key, records, now, lambda live: {name: run for name, run in (live or {}).items() if name != number})


def _change(key: str, records: Records, now: float, change: Callable[[Any], object]) -> None:
    while True:
        text, version = records.read(key)
        after = change(json.loads(text) if text else None)
        after = json.dumps(after[-_LAST:] if isinstance(after, list) else after)
        if after == text or records.write(key, after, version, int(now) + KEPT) is not None:
            return
