"""The job's log: lines, and sections that GitLab folds; secrets are masked in both.

GitLab shows it to everybody who sees a public project with public pipelines, its default:
https://docs.gitlab.com/ci/pipelines/settings/#change-which-users-can-view-your-pipelines
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Callable

from job.masking import Secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
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
        self.secrets = Secrets()
        self.unsaid: list[str] = []  # lines that only steps stand for
        self._sections = 0
        self._steps_only = False
        self.hide(*secrets)

    def hide(self, *secrets: str) -> None:
        """Mask these values from now on."""
        self.secrets.add(*secrets)

    def masked(self, text: str) -> str:
        """Return the text without any of the hidden values, however they are spelled."""
        return self.secrets.masked(text)

    def say_steps_only(self, why: str) -> None:
        """Write `why`, and from now on of each line its step's name alone: anybody may read it."""
        self.line(why)
        self._steps_only = True

    def step(self, text: str) -> None:
        """Write a text of ours that everybody may read."""
        self.line(text, step=text)

    def line(self, text: str = "", step: str = "") -> None:
        """Write a text, line by line; or `step`, a text of ours, where only steps are said."""
        if self._steps_only and text != step:
            self.unsaid.append(self.masked(text))
            text = step
            if not step:
                return
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
