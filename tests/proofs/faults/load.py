"""Two hundred deliveries a second over HTTP, one in a hundred a mention: latency and memory."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread
from typing import NamedTuple, Self

from tests.proofs.faults.schedules import SEED
from tests.proofs.faults.service import Service, comment, deliver, seed
from tests.support.gitlab.server import GitLab as StandIn

RATE = 200  # deliveries a second
SHARE = 0.01  # of them are mentions
_SENDERS = 24
_TEXTS = 200  # different comments without a mention


class Loaded(NamedTuple):
    """What was sent, the answers' times (milliseconds from the planned moment), bytes of memory."""

    deliveries: int
    mentions: int
    pipelines: int
    errors: int
    p50: float
    p99: float
    longest: float
    late: float  # 99th percentile of the sender's own delay, which the figures above include
    memory_first: float
    memory_last: float


class _Memory:
    """Samples a process's memory while entered."""

    def __init__(self, service: Service) -> None:
        self._service, self._end, self.samples = service, Event(), list[int]()
        self._thread = Thread(target=self._sample)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._end.wait(0.25):
            self.samples.append(self._service.resident())

    def third(self, number: int) -> float:
        size = max(1, len(self.samples) // 3)
        part = self.samples[number * size : (number + 1) * size]
        return sum(part) / len(part)


class _Sent(NamedTuple):
    status: int
    seconds: float
    late: float


def run(seconds: int = 60, rate: int = RATE, number: int = SEED) -> Loaded:
    """Send on a timetable that does not wait for answers, and measure."""
    draw = random.Random(number)  # noqa: S311
    with StandIn() as server:
        seed(server)
        with Service(server.url, "functions.local") as service:
            said = [
                server.note_hook(comment(server, f"looks good to me, {each}", draw))
                for each in range(_TEXTS)
            ]
            count = seconds * rate
            asking = set(draw.sample(range(count), round(count * SHARE)))
            asked = {
                each: server.note_hook(comment(server, "@claude fix it", draw))
                for each in sorted(asking)
            }
            began = time.monotonic() + 0.5

            def send(each: int) -> _Sent:
                headers, body = asked.get(each) or said[each % _TEXTS]
                planned = began + each / rate
                time.sleep(max(0.0, planned - time.monotonic()))
                started = time.monotonic()
                answer = deliver(service, ({**headers, "webhook-id": f"{each}"}, body))
                return _Sent(answer.status, time.monotonic() - planned, started - planned)

            with _Memory(service) as memory, ThreadPoolExecutor(_SENDERS) as pool:
                sent = list(pool.map(send, range(count)))
            service.settle(120)
            times, late = sorted(each.seconds for each in sent), sorted(each.late for each in sent)
            return Loaded(
                deliveries=count,
                mentions=len(asked),
                pipelines=len(server.pipelines),
                errors=sum(each.status not in (200, 202) for each in sent),
                p50=times[count // 2] * 1000,
                p99=times[int(count * 0.99)] * 1000,
                longest=times[-1] * 1000,
                late=late[int(count * 0.99)] * 1000,
                memory_first=memory.third(0),
                memory_last=memory.third(2),
            )
