"""The local platform's threads behind the queue: some carry requests to `dispatch`, one sweeps."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from functions.local.adapters import SqliteQueue, Taken
from shared.dispatch import dispatch
from shared.outcome.reasons import Retry
from shared.runs.record import ATTEMPTS, LEASE, pause
from shared.services import Services
from shared.sweep import sweep

WORKERS = 4
SWEEP_EVERY = 300.0  # seconds
_IDLE = 1.0  # seconds between looks at the queue when nobody calls


class Workers:
    """All threads behind the queue."""

    def __init__(self, queue: SqliteQueue, services: Services) -> None:
        """Take the queue and what the use cases work with."""
        self._queue, self._services = queue, services
        self._stopping = threading.Event()
        work = [self._work] * WORKERS
        self._threads = [threading.Thread(target=run) for run in (*work, self._sweep)]

    def start(self) -> None:
        """Work in the background."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what is under way."""
        self._stopping.set()
        with self._queue.filled:
            self._queue.filled.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            with self._outlived():
                now = self._services.now()
                if taken := self._queue.take(now, now + LEASE):
                    self._carry(taken)
                    continue
            with self._queue.filled:
                self._queue.filled.wait(_IDLE)

    def _carry(self, taken: Taken) -> None:
        attempt, now = taken.attempts + 1, self._services.now
        try:
            dispatch(taken.request, self._services, last=attempt >= ATTEMPTS)
        except Retry as error:
            self._queue.later(taken.request, now() + max(error.after, pause(attempt)))
        except Exception:
            self._queue.later(taken.request, now() + pause(attempt))
            raise
        else:
            self._queue.done(taken.request)

    def _sweep(self) -> None:
        while not self._stopping.wait(SWEEP_EVERY):
            with self._outlived():
                sweep(self._services, self._queue)

    @contextmanager
    def _outlived(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001  a worker outlives whatever happens to one request
            self._services.log("ERROR", {"error": type(error).__name__})
