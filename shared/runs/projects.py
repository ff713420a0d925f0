"""The projects that the sweep knows, and what it knows of each.

All stand in 32 records, `projects/<0 to 31>`: a sweep reads them at once and writes those that
changed, and with 10,000 projects a record is 20 KB.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

from shared.runs.store import Records, change

_SHARDS = 32
KEPT = 10 * 365 * 24 * 3600  # seconds what the sweep knows is kept: as good as for ever
_FRESH = 60  # seconds in which a second pipeline of a project is no news


class Mark(NamedTuple):
    """What is known of a project; times in Unix seconds, 0 for never.

    All that happened up to `until` was looked at, `tried` is when the last look began, `hooks` when
    webhooks and changes were looked at last (-1: they are to be, from `until` on). `live` is when a
    pipeline was started that may still run. `blind` says that our token does not see the webhooks,
    `listed` that GitLab's list of active projects tells of this one, `due` that it is to be looked
    at whatever that list says.
    """

    until: int = 0
    tried: int = 0
    hooks: int = 0
    live: int = 0
    blind: int = 0
    listed: int = 1
    due: int = 1


def add(project_id: int, records: Records, now: float, *, live: bool = False) -> None:
    """Remember a project of which a delivery told; `live` says that a pipeline has been started.

    One that is known already costs no write, and with `live` one a minute at most.
    """
    number = str(project_id)

    def with_project(known: dict[str, list[int]] | None) -> dict[str, list[int]]:
        known = known or {}
        mark = _mark(known.get(number, (int(now),)))
        if live and now - mark.live > _FRESH:
            mark = mark._replace(live=int(now))
        return known | {number: list(mark)}

    change(_key(project_id), records, int(now) + KEPT, with_project)


def known(records: Records) -> dict[int, Mark]:
    """Return the mark of every project of which a delivery has told, or that was looked at."""
    marks: dict[int, Mark] = {}
    for shard in range(_SHARDS):
        stored = json.loads(records.read(_key(shard))[0] or "{}")
        marks |= {int(each): _mark(fields) for each, fields in stored.items() if each.isdecimal()}
    # Before 2026-12 the ids were one list, and the time of each a record of its own.
    for project_id in json.loads(records.read("projects")[0] or "[]"):
        if project_id not in marks:
            until = float(records.read(f"sweep/{project_id}")[0] or 0)
            marks[project_id] = Mark(until=int(until), live=1)
    return marks


def save(marks: Mapping[int, Mark], records: Records, now: float) -> None:
    """Store the marks of projects that were looked at.

    A pipeline that was started meanwhile stays `live`, whatever the look has seen.
    """
    for shard, ids in groupby(sorted(marks, key=_shard), key=_shard):
        chosen = {project_id: marks[project_id] for project_id in ids}

        def with_marks(
            stored: dict[str, list[int]] | None, chosen: dict[int, Mark] = chosen
        ) -> dict[str, list[int]]:
            stored = dict(stored or {})
            for project_id, mark in chosen.items():
                live = _mark(stored.get(str(project_id), ())).live
                runs = mark.live or live > mark.tried - 2 * _FRESH
                kept = mark._replace(live=max(live, mark.live) if runs else 0)
                stored[str(project_id)] = list(kept)
            return stored

        change(_key(shard), records, int(now) + KEPT, with_marks)


def _mark(fields: Sequence[int]) -> Mark:
    """Return a mark as this version knows it: a later one may have more fields."""
    return Mark(*fields[: len(Mark._fields)])


def _shard(project_id: int) -> int:
    return project_id % _SHARDS


def _key(project_id: int) -> str:
    return f"projects/{_shard(project_id)}"
