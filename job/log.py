"""The job's log: lines and GitLab's collapsible sections, with secrets masked and control characters removed."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_SHORTEST_SECRET = 6  # characters: masking less would garble every other word
_LONGEST_LINE = 2000


class Log:
    """Writes to the job's log. A stranger's text can neither forge a section nor show a secret."""

    def __init__(
        self,
        write: Callable[[str], object],
        clock: Callable[[], float],
        secrets: Iterable[str] = (),
    ) -> None:
        """Take where lines go, the time in seconds, and the values to mask."""
        self._write, self._clock = write, clock
        self._secrets: list[str] = []
        self._sections = 0
        self.hide(*secrets)

    def hide(self, *secrets: str) -> None:
        """Mask these values from now on, the longest first."""
        self._secrets = sorted(
            {*self._secrets, *(s for s in secrets if len(s) >= _SHORTEST_SECRET)}, key=len
        )[::-1]

    def masked(self, text: str) -> str:
        """Return the text without any of the hidden values."""
        for secret in self._secrets:
            text = text.replace(secret, "[MASKED]")
        return text

    def line(self, text: str = "") -> None:
        """Write a text, line by line."""
        for line in self.masked(text).split("\n"):
            self._write(_CONTROLS.sub("", line)[:_LONGEST_LINE] + "\n")

    @contextmanager
    def section(self, title: str, *, collapsed: bool = True) -> Iterator[None]:
        """Open a section that GitLab can fold.

        Source: https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
        """
        self._sections += 1
        name, options = f"claude_{self._sections}", "[collapsed=true]" if collapsed else ""
        self._write(
            f"\x1b[0Ksection_start:{int(self._clock())}:{name}{options}\r\x1b[0K{_CONTROLS.sub('', title)}\n"
        )
        try:
            yield
        finally:
            self._write(f"\x1b[0Ksection_end:{int(self._clock())}:{name}\r\x1b[0K\n")
