"""The local platform's threads behind the queue: some carry requests to `dispatch`, one sweeps.

Another one watches them and the file: it begins a thread again that has ended.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

from functions.local.adapters import SqliteQueue, Taken
from shared.dispatch import dispatch
from shared.outcome.reasons import Reason, Retry
from shared.runs.record import ATTEMPTS, LEASE, pause
from shared.runs.request import Unread
from shared.services import Services
from shared.sweep import sweep

WORKERS = 4
SWEEP_EVERY = 300.0  # seconds
OVERDUE = 600.0  # seconds a request may be due before something is wrong
_IDLE = 1.0  # seconds between looks at the queue when nobody calls
_WATCH = 1.0  # seconds between two rounds of the watch
_BLIND = 60.0  # seconds without a round after which nothing is known
_FORGET_EVERY = 60  # rounds
_READ_EVERY = 300  # rounds: then the whole file is read


class Workers:
    """All threads behind the queue."""

    def __init__(self, queue: SqliteQueue, services: Services) -> None:
        """Take the queue and what the use cases work with."""
        self._queue, self._services = queue, services
        self._stopping = threading.Event()
        self._runs: list[Callable[[], None]] = [*[self._work] * WORKERS, self._sweep]
        self._threads = [self._thread(run) for run in self._runs]
        self._watching = self._thread(self._watch)
        self._trouble, self._seen = "", monotonic()

    def start(self) -> None:
        """Work in the background."""
        self._seen = monotonic()
        for thread in (*self._threads, self._watching):
            thread.start()

    def stop(self) -> None:
        """Finish what is under way."""
        self._stopping.set()
        with self._queue.filled:
            self._queue.filled.notify_all()
        for thread in (self._watching, *self._threads):
            thread.join()

    def trouble(self) -> str:
        """Return what keeps requests from being carried out, as a sentence for anybody."""
        if self._queue.store.damage:
            return "The state file is damaged: the log says what to do."
        if not all(thread.is_alive() for thread in (*self._threads, self._watching)):
            return "A worker has ended."
        if monotonic() - self._seen > _BLIND:
            return "The watch over the workers does not answer."
        return self._trouble

    def _work(self) -> None:
        while not self._stopping.is_set():
            with self._outlived():
                if taken := self._take():
                    self._carry(taken)
                    continue
            with self._queue.filled:
                self._queue.filled.wait(_IDLE)

    def _take(self) -> Taken | None:
        if self._queue.store.damage:
            return None
        now = self._services.now()
        return self._queue.take(now, now + LEASE)

    def _carry(self, taken: Taken) -> None:
        attempt, now = taken.attempts + 1, self._services.now
        # What this process cannot read it never will, and others of the thread wait behind it.
        last = attempt >= ATTEMPTS or isinstance(taken.request, Unread)
        try:
            dispatch(taken.request, self._services, last=last)
        except Retry as error:
            # To have met another attempt is none. No lease is longer, unless the clock was set.
            busy = error.reason is Reason.BUSY
            after = min(error.after, LEASE) if busy else error.after
            due = now() + max(after, pause(attempt))
            self._queue.later(taken.request, due, counted=not busy)
        except Exception:
            self._queue.later(taken.request, now() + pause(attempt))
            raise
        else:
            self._queue.done(taken.request)

    def _sweep(self) -> None:
        while not self._stopping.wait(SWEEP_EVERY):
            with self._outlived():
                sweep(self._services, self._queue)

    def _watch(self) -> None:
        number = 0
        while not self._stopping.wait(_WATCH):
            number += 1
            with self._outlived():
                self._replace_ended()
                self._look_after_file(number)
                self._seen = monotonic()

    def _replace_ended(self) -> None:
        for place, thread in enumerate(self._threads):
            if not thread.is_alive():
                again = self._thread(self._runs[place])
                again.start()
                self._threads[place] = again
                self._services.log("ERROR", {"error": "a worker had ended, and was replaced"})

    def _look_after_file(self, number: int) -> None:
        store, now = self._queue.store, self._services.now()
        if store.damage:
            return
        if damage := store.find_damage(whole=number % _READ_EVERY == 0):
            self._services.log("ERROR", {"error": damage})
            return
        late = self._queue.overdue(now) > OVERDUE
        self._trouble = f"A request is due for {OVERDUE:.0f} seconds or more." if late else ""
        if number % _FORGET_EVERY == 0:
            store.forget(now)

    def _thread(self, run: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=self._to_the_end, args=(run,))

    def _to_the_end(self, run: Callable[[], None]) -> None:
        """Let a thread end without a traceback: its text may quote a request."""
        try:
            run()
        except BaseException as error:  # noqa: BLE001  the watch begins it again
            self._services.log("ERROR", {"error": type(error).__name__})

    @contextmanager
    def _outlived(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001  a worker outlives whatever happens to one request
            self._services.log("ERROR", {"error": type(error).__name__})
