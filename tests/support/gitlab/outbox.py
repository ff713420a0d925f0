"""Sends deliveries beside the requests that caused them, as Sidekiq does."""

import queue
import threading
import time
import traceback
from collections.abc import Callable


class Outbox:
    """A queue with a few daemon threads; with one thread jobs are done in order."""

    def __init__(self, crashed: Callable[[str], None]) -> None:
        """Begin idle; `crashed` is told the traceback of a job that raised."""
        self._crashed = crashed
        self._jobs: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._idle = threading.Condition()
        self._open = 0
        self._threads = 0
        self._closed = False

    def put(self, job: Callable[[], object], *, workers: int = 1) -> None:
        """Have a job done soon, by as many threads as have been asked for so far."""
        with self._idle:
            self._open += 1
            while self._threads < workers:
                self._threads += 1
                threading.Thread(target=self._work, name="gitlab-sidekiq", daemon=True).start()
        self._jobs.put(job)

    def wait(self, timeout: float) -> None:
        """Return when nothing waits or is under way, jobs that jobs have put in included."""
        end = time.monotonic() + timeout
        with self._idle:
            while self._open:
                if not self._idle.wait(end - time.monotonic()) and self._open:
                    raise TimeoutError(f"{self._open} deliveries are not done after {timeout} s")  # noqa: EM102, TRY003

    def close(self) -> None:
        """End the threads; what still waits is dropped."""
        self._closed = True
        for _ in range(self._threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                if not self._closed:
                    job()
            except Exception:  # noqa: BLE001  (whatever it is, it is a mistake of the stand-in)
                self._crashed(traceback.format_exc())
            with self._idle:
                self._open -= 1
                self._idle.notify_all()
