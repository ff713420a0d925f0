"""Records of which one that cannot be read holds up nothing: it is named, and as if it were not.

A run's own record is not among them, nor what a former version kept of it: whether such a run has
had its pipeline is not known, so it is left as it is, and `shared.runs.record` says what then.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NotRequired, TypedDict, get_origin

from shared.outcome.reasons import Reason
from shared.runs.shapes import fits
from shared.runs.store import Records

Log = Callable[[str, Mapping[str, object]], None]


class _Letter(TypedDict):
    at: float
    told: bool
    body: NotRequired[str]


class _Told(TypedDict):
    run: str
    at: float


class _Spent(TypedDict):
    spent: int
    held: dict[str, tuple[int, int]]


class _Counted(TypedDict):
    runs: dict[str, float]
    told: tuple[str, float] | None


class _ByPolicy(TypedDict):
    runs: list[str]
    told: str


# Of what is JSON, the form. Of a mapping each entry is looked at by itself.
_FORMS: tuple[tuple[re.Pattern[str], Any], ...] = tuple(
    (re.compile(keys), form)
    for keys, form in (
        (r"thread/.*", list[str]),
        (r"live/\d+", dict[str, str]),
        (r"pipeline/.*", tuple[str, str, str, bool] | tuple[str, str, str, bool, int]),
        (r"asked/.*", list[tuple[str, float, bool]]),
        (r"dead//.*", _Letter),
        (r"dead", list[str]),
        (r"(stranger|pace)/.*", float),
        (r"turns/.*", dict[str, int]),
        (r"told/.*", _Told),
        (r"spent/.*", _Spent),
        (r"limit/.*", _Counted),
        (r"auto/.*", _ByPolicy),
        (r"repair/.*", str),
        (r"auto-file/.*", tuple[str, str]),
        (r"projects/\d+", dict[str, list[int]]),
        (r"projects", list[int]),
        (r"sweep/(listed|\d+)", float),
        (r"sweep/named/.*", tuple[int, int]),
    )
)
_UNTOLD = json.dumps({"at": 0.0, "told": False})  # all that is known of a letter: its run


class Legible:
    """The records, with a log in which those are named by their keys that cannot be read."""

    def __init__(self, records: Records, log: Log) -> None:
        """Take the records and the log."""
        self._records, self._log = records, log

    def read(self, key: str) -> tuple[str | None, object]:
        """Return what can be read of a record, and the version to be replaced."""
        text, version = self._records.read(key)
        return self._legible(key, text), version

    def write(self, key: str, text: str, version: object, expires: int) -> object:
        """Store the text if the stored version is still the one given."""
        return self._records.write(key, text, version, expires)

    def delete(self, key: str) -> None:
        """Forget a record."""
        self._records.delete(key)

    def listed(self, index: str, most: int) -> list[tuple[str, str]]:
        """Return the entries of an index; their keys tell what their texts do not."""
        return list(self._entries(index, self._records.listed(index, most)))

    def _entries(self, index: str, found: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
        for key, text in found:
            if index == "waits" and text != (run_id := key.rpartition("-")[2]):
                self._name(key)
                yield key, run_id
            else:
                yield key, self._legible(key, text) or _UNTOLD

    def _legible(self, key: str, text: str | None) -> str | None:
        form = next((form for keys, form in _FORMS if keys.fullmatch(key)), None)
        if form is None or text is None:
            return text
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = ...
        if fits(value, form):
            return text
        self._name(key)
        if get_origin(form) is dict and isinstance(value, dict):
            return json.dumps({name: of for name, of in value.items() if fits({name: of}, form)})
        return None

    def _name(self, key: str) -> None:
        self._log("ERROR", {"reason": str(Reason.RECORD_UNREADABLE), "key": key})


def legible(records: Records, log: Log) -> Records:
    """Return the records as ones that can be read."""
    return records if isinstance(records, Legible) else Legible(records, log)
