"""The job's log: lines, and sections that GitLab folds; secrets are masked in both."""

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
        """Take where text goes, the time in seconds, and the values to mask."""
        self._write, self._clock = write, clock
        self._secrets: list[str] = []
        self._sections = 0
        self.hide(*secrets)

    def hide(self, *secrets: str) -> None:
        """Mask these values from now on, and longer ones before the shorter ones in them."""
        known = {*self._secrets, *(each for each in secrets if len(each) >= _SHORTEST_SECRET)}
        self._secrets = sorted(known, key=len, reverse=True)

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
    def section(self, title: str) -> Iterator[None]:
        """Open a section that GitLab shows folded.

        Source: https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
        """
        self._sections += 1
        name = f"claude_{self._sections}"
        start = f"section_start:{int(self._clock())}:{name}[collapsed=true]"
        self._write(f"\x1b[0K{start}\r\x1b[0K{_CONTROLS.sub('', title)}\n")
        try:
            yield
        finally:
            self._write(f"\x1b[0Ksection_end:{int(self._clock())}:{name}\r\x1b[0K\n")
