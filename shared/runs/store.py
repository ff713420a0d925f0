"""The way to change a record that others change as well: read, change, write, and again where somebody was faster."""

import json
from collections.abc import Callable
from typing import Any, Protocol

from shared.runs.request import RunRequest, TrackRequest


class Queue(Protocol):
    """Carries requests to `dispatch`: at least once, one thread's requests in order."""

    def put(self, request: RunRequest | TrackRequest) -> None:
        """Store the request durably; a second one of the same id may be dropped. Any exception: not stored."""


class Records(Protocol):
    """A durable table of texts, changed by compare-and-set; a version is the store's own, None: no record."""

    def read(self, key: str) -> tuple[str | None, object]:
        """Return the record's text and its version, as of the last completed write."""

    def write(self, key: str, text: str, version: object, expires: int) -> object:
        """Store the text if the stored version is still the one given; return the new version, or None if not.

        `expires` (Unix seconds) is when the record may be forgotten. Two writes never store the same text in a row.
        """


def change(key: str, records: Records, expires: int, after: Callable[[Any], object]) -> None:
    """Store what `after` makes of a record's JSON (None: there is none); the same again is not written."""
    while True:
        text, version = records.read(key)
        changed = json.dumps(after(json.loads(text) if text else None))
        if changed == text or records.write(key, changed, version, expires) is not None:
            return
