"""Cloud Tasks on 127.0.0.1: tasks are really sent to their URLs, again and again as the queue's
limits say.

Source: https://cloud.google.com/tasks/docs/reference/rest/v2 and the docstrings of
google-cloud-tasks.
"""

import heapq
import json
import re
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from itertools import count
from threading import Condition, Thread
from typing import NamedTuple
from urllib.parse import urlsplit

from tests.support.platforms.google import Json, Reply, Service, error


class Limits(NamedTuple):
    """A queue's retry configuration and its number of dispatches at once (0: paused); seconds,
    shorter than Google's.
    """

    attempts: int = 10
    min_backoff: float = 0.05
    max_backoff: float = 1.0
    doublings: int = 4
    concurrent: int = 8

    def pause(self, attempt: int) -> float:
        """Return the wait after so many attempts: doubled, then growing by the last step."""
        steps = attempt - 1
        grown: int = 2 ** min(steps, self.doublings) * max(1, steps - self.doublings + 1)
        return min(self.min_backoff * grown, self.max_backoff)


@dataclass
class Task:
    """A task as it was created, the status of each attempt (0: no answer), the seconds that it asked for."""

    name: str
    request: Json
    deadline: float
    attempts: list[int] = field(default_factory=list)
    asked: list[float] = field(default_factory=list)
    state: str = "waiting"  # then done, or dead: Cloud Tasks itself would have deleted it

    @property
    def body(self) -> bytes:
        return b64decode(self.request.get("body", ""))


class CloudTasks(Service):
    """One queue, whose tasks are sent to their URLs for real.

    A name is never free again, as within Google's 24 hours.
    """

    def __init__(self, queue: str, limits: Limits | None = None) -> None:
        """Take the queue's resource name."""
        self.queue, self.limits = queue, limits or Limits()
        self.tasks: dict[str, Task] = {}
        self._due: list[tuple[float, int, Task]] = []
        self._order = count()
        self._running = 0
        self._changed = Condition()
        self._closing = False
        self._workers = [Thread(target=self._work) for _ in range(self.limits.concurrent)]
        super().__init__()
        for worker in self._workers:
            worker.start()

    @property
    def dead(self) -> list[Task]:
        """The tasks whose attempts are used up."""
        return [task for task in list(self.tasks.values()) if task.state == "dead"]

    def answer(self, method: str, path: str, body: bytes) -> Reply:
        parent = re.fullmatch(r"/v2/(projects/[^/]+/locations/[^/]+/queues/[^/]+)/tasks", path)
        if method != "POST" or not parent or parent[1] != self.queue:
            return error(404, "NOT_FOUND", "Queue does not exist.")
        task = json.loads(body)["task"]
        complaint = self._complaint(task, len(body))
        if complaint:
            return error(400, "INVALID_ARGUMENT", complaint)
        with self._changed:
            if task["name"] in self.tasks:
                return error(409, "ALREADY_EXISTS", "Requested entity already exists")
            created = Task(
                task["name"], task["httpRequest"], _seconds(task.get("dispatchDeadline"))
            )
            self.tasks[created.name] = created
            self._schedule(created, 0.0)
        seen = {
            key: value for key, value in task["httpRequest"].items() if key != "body"
        }  # the view BASIC
        return 200, {"name": task["name"], "httpRequest": seen, "view": 1}

    def run(self, name: str) -> None:
        """Send a task once more, whatever became of it: delivery is at least once (and `tasks.run`
        does it too).
        """
        with self._changed:
            self._schedule(self.tasks[name], 0.0)

    def settle(self, seconds: float) -> None:
        """Wait until no task waits or is under way; raise TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._due and not self._running, seconds):
                waiting = {task.name.rpartition("/")[2]: task.attempts for _, _, task in self._due}
                message = f"after {seconds} s: {self._running} under way, waiting {waiting}"
                raise TimeoutError(message)

    def close(self) -> None:
        """End the workers too; an attempt under way is waited for, so end the functions first."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for worker in self._workers:
            worker.join()
        super().close()

    def _complaint(self, task: Json, size: int) -> str | None:
        request, (queue, _, number) = (
            task.get("httpRequest", {}),
            task.get("name", "").rpartition("/tasks/"),
        )
        account = request.get("oidcToken", {}).get("serviceAccountEmail", "@")
        named = queue == self.queue and re.fullmatch(r"[A-Za-z0-9_-]{1,500}", number)
        rules = (
            (size <= 100 * 1024, "Task size too large"),
            (named, "Task name must be formatted: projects/…/locations/…/queues/…/tasks/…"),
            (
                request.get("url", "").startswith(("http://", "https://")),
                "HttpRequest.url must start with http(s)://",
            ),
            (request.get("httpMethod", 1) in (1, "POST"), "Only POST is known here"),
            ("@" in account, "OidcToken.service_account_email must be an e-mail address"),
            (
                15 <= _seconds(task.get("dispatchDeadline")) <= 1800,
                "Task.dispatchDeadline must be in [15s, 30m]",
            ),
        )
        return next((complaint for kept, complaint in rules if not kept), None)

    def _schedule(self, task: Task, pause: float) -> None:
        heapq.heappush(self._due, (time.monotonic() + pause, next(self._order), task))
        self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._closing and not (self._due and self._due[0][0] <= time.monotonic()):
                    self._changed.wait(
                        max(0.0, self._due[0][0] - time.monotonic()) if self._due else None
                    )
                if self._closing:
                    return
                task = heapq.heappop(self._due)[2]
                self._running += 1
            status, asked = self._send(task)
            with self._changed:
                self._running -= 1
                task.attempts.append(status)
                task.asked.append(asked)
                if 200 <= status < 300:
                    task.state = "done"
                elif len(task.attempts) >= self.limits.attempts:
                    task.state = "dead"
                else:
                    # What an answer asks for is shortened like the queue's own pauses.
                    asked = min(asked, self.limits.max_backoff)
                    self._schedule(task, max(self.limits.pause(len(task.attempts)), asked))
                self._changed.notify_all()

    def _send(self, task: Task) -> tuple[int, float]:
        """Make one attempt; return the status and the Retry-After of the answer in seconds."""
        url = urlsplit(task.request["url"])
        connection = HTTPConnection(url.hostname or "", url.port, timeout=task.deadline)
        try:
            connection.request("POST", url.path or "/", task.body, self._headers(task))
            answer = connection.getresponse()
            answer.read()
        except (OSError, HTTPException):
            return 0, 0.0
        finally:
            connection.close()
        asked = answer.headers.get("Retry-After", "")
        return answer.status, float(asked) if asked.isdigit() else 0.0

    def _headers(self, task: Task) -> Mapping[str, str]:
        # https://cloud.google.com/tasks/docs/creating-http-target-tasks#handler: executions do not
        # count 5xx.
        executions = sum(0 < status < 500 for status in task.attempts)
        headers = dict(task.request.get("headers", {})) | {
            "User-Agent": "Google-Cloud-Tasks",
            "X-CloudTasks-QueueName": self.queue.rpartition("/")[2],
            "X-CloudTasks-TaskName": task.name.rpartition("/")[2],
            "X-CloudTasks-TaskRetryCount": str(len(task.attempts)),
            "X-CloudTasks-TaskExecutionCount": str(executions),
            "X-CloudTasks-TaskETA": f"{time.time():.6f}",
        }
        if task.attempts:
            headers["X-CloudTasks-TaskPreviousResponse"] = str(task.attempts[-1])
        if token := task.request.get("oidcToken"):
            headers["Authorization"] = f"Bearer {_id_token(token, task.request['url'])}"
        return headers


def _seconds(duration: str | None) -> float:
    return float((duration or "600s").removesuffix("s"))


def _id_token(token: Json, url: str) -> str:
    """Return an ID token in form only: on Google, IAM in front of the function checks it."""
    claims = {
        "email": token["serviceAccountEmail"],
        "aud": token.get("audience", url),
        "email_verified": True,
    }
    parts = ({"alg": "RS256", "typ": "JWT"}, claims)
    encoded = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, "c2lnbmF0dXJl"])
