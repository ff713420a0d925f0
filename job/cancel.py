"""A signal ends what goes on, at once; the reply is still to be written."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from job.failures import Failure, Reason

if TYPE_CHECKING:
    from typing import Callable

    from job.claude import Claude


class Cancel:
    """Whether the job is canceled, and whether that may still end what it does."""

    def __init__(self, claude: Claude) -> None:
        """Take Claude, who is stopped if it is running; nothing is caught before `catch`."""
        self.canceled = self.stoppable = False
        self._claude = claude

    def catch(self, hurry: Callable[[], None]) -> None:
        """Let the signals with which a runner ends a job cancel it; `hurry` is told first."""
        self._hurry = hurry
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._cancel)

    def begin(self) -> None:
        """Let a signal end what comes now; raise Failure if there was one before."""
        self.stoppable = True
        if self.canceled:
            raise Failure(Reason.CANCELED)

    def pause(self, seconds: float) -> None:
        """Wait, but not on when the job is canceled."""
        end = time.monotonic() + seconds
        while not self.canceled and time.monotonic() < end:
            time.sleep(0.1)

    def _cancel(self, _number: int, _frame: object) -> None:
        """End what goes on, on the first signal."""
        again, self.canceled = self.canceled, True
        if again:
            return
        self._hurry()
        if self._claude.running:
            self._claude.stop(Failure(Reason.CANCELED))
        elif self.stoppable:
            raise Failure(Reason.CANCELED)
