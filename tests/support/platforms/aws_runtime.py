"""Lambda on this machine: the real runtime client in a process, and the Runtime API it calls.

It knows no event.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, SimpleQueue
from threading import Event, Lock, Thread
from typing import IO, Any, NamedTuple
from uuid import uuid4

from tests import ROOT

_API = "/2018-06-01/runtime/"


class FunctionError(Exception):
    """The function raised, exited or ran out of time: what Lambda would log."""


class Result(NamedTuple):
    """What a runtime posted for an invocation: `response` or `error`, and the JSON."""

    kind: str
    body: bytes


class Server(ThreadingHTTPServer):
    """An HTTP server on a free port of 127.0.0.1 that leaves no thread behind."""

    daemon_threads = False  # joined when the server closes
    request_queue_size = 256

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", 0), handler)
        self._thread = Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        """Answer what is under way and close the port."""
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Let clients go away in the middle of a request."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Api(Server):
    """The Runtime API: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html"""

    def __init__(self) -> None:
        self.calls: SimpleQueue[tuple[str, bytes, float] | None] = SimpleQueue()
        self.results: SimpleQueue[tuple[str, Result]] = SimpleQueue()
        self.ready, self.ready_at, self.init_error = Event(), 0.0, ""
        super().__init__(_ApiHandler)
        self.address = f"127.0.0.1:{self.server_port}"


class _ApiHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # one packet per answer
    server: _Api

    def do_GET(self) -> None:
        if not self.server.ready.is_set():
            self.server.ready_at = time.perf_counter()
            self.server.ready.set()
        call = self.server.calls.get()
        if call is None:
            self.close_connection = True
            return
        request_id, event, deadline = call
        self._answer(
            200,
            event,
            {
                "Content-Type": "application/json",
                "Lambda-Runtime-Aws-Request-Id": request_id,
                "Lambda-Runtime-Deadline-Ms": str(int(deadline * 1000)),
                "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:us-east-1:123456789012:function:test",
                "Lambda-Runtime-Trace-Id": "Root=1-00000000-000000000000000000000000;Sampled=0",
            },
        )

    def do_POST(self) -> None:
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "")
        body = (
            self._chunks()
            if chunked
            else self.rfile.read(int(self.headers.get("Content-Length", "0")))
        )
        subject, kind = self.path.removeprefix(_API).removeprefix("invocation/").split("/")
        if subject == "init":
            self.server.init_error = str(json.loads(body).get("errorMessage"))
        else:
            self.server.results.put((subject, Result(kind, body)))
        self._answer(202, b'{"status":"OK"}', {"Content-Type": "application/json"})

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Sandbox:
    """One execution environment, from cold start to its end: a process and its Runtime API."""

    def __init__(self, handler: str, environment: Mapping[str, str], output: IO[bytes]) -> None:
        self._api = _Api()
        self._started = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "awslambdaric", handler],
            cwd=ROOT,
            env={
                **environment,
                **lambda_environment(handler),
                "AWS_LAMBDA_RUNTIME_API": self._api.address,
            },
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def wait_ready(self, seconds: float = 30) -> float:
        """Wait for the first request for work and return how long the cold start took; raise
        FunctionError.
        """
        while not self._api.ready.wait(0.01):
            if self.process.poll() is not None or time.perf_counter() - self._started > seconds:
                message = f"cold start failed (exit {self.process.poll()}): {self._api.init_error}"
                raise FunctionError(message)
        return self._api.ready_at - self._started

    def invoke(self, event: bytes, seconds: float) -> Result:
        """Carry one invocation; raise FunctionError when the process ends or the time is over."""
        request_id, deadline = str(uuid4()), time.time() + seconds
        self._api.calls.put((request_id, event, deadline))
        while time.time() < deadline:
            ended = self.process.poll() is not None
            try:
                answered, result = self._api.results.get(timeout=0 if ended else 0.05)
            except Empty:
                if ended:
                    message = f"Runtime exited with {self.process.poll()}: {self._api.init_error}"
                    raise FunctionError(message) from None
            else:
                if answered == request_id:
                    return result
        message = f"Task timed out after {seconds:.2f} seconds"
        raise FunctionError(message)

    def stop(self) -> None:
        """End the process and all it started."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._api.calls.put(None)
        self._api.stop()


class Function:
    """A Lambda function with a fixed number of sandboxes; one that died or hung is replaced, as
    Lambda does.
    """

    def __init__(
        self,
        handler: str,
        environment: Mapping[str, str],
        output: IO[bytes],
        seconds: float,
        sandboxes: int = 1,
    ) -> None:
        self._handler, self.environment, self._output, self._seconds = (
            handler,
            environment,
            output,
            seconds,
        )
        self._idle: SimpleQueue[Sandbox] = SimpleQueue()
        self._all: set[Sandbox] = set()
        self._lock, self._stopped = Lock(), False
        for _ in range(sandboxes):
            self._idle.put(self._new())

    def wait_ready(self) -> None:
        """Wait for every cold start; raise FunctionError."""
        for sandbox in list(self._all):
            sandbox.wait_ready()

    def invoke(self, event: object) -> Any:
        """Return the handler's answer; raise FunctionError where it gave none."""
        sandbox = self._idle.get()
        try:
            result = sandbox.invoke(json.dumps(event).encode(), self._seconds)
        except FunctionError:
            sandbox = self._replace(sandbox)
            raise
        finally:
            self._idle.put(sandbox)
        if result.kind == "error":
            raise FunctionError(result.body.decode())
        return json.loads(result.body)

    def renew(self) -> None:
        """Replace every sandbox: the next invocations meet a cold start."""
        for sandbox in [self._idle.get() for _ in self._all]:
            self._idle.put(self._replace(sandbox))
        self.wait_ready()

    def processes(self) -> list[int]:
        """Return the process ids."""
        return [sandbox.process.pid for sandbox in self._all]

    def stop(self) -> None:
        """End every sandbox; an invocation under way ends with FunctionError."""
        with self._lock:
            self._stopped = True
        for sandbox in self._all:
            sandbox.stop()

    def _replace(self, sandbox: Sandbox) -> Sandbox:
        with self._lock:
            if self._stopped:
                return sandbox
            self._all.remove(sandbox)
            sandbox.stop()
            return self._new()

    def _new(self) -> Sandbox:
        sandbox = Sandbox(self._handler, self.environment, self._output)
        self._all.add(sandbox)
        return sandbox


def lambda_environment(handler: str) -> dict[str, str]:
    """Return what Lambda puts in a Python function's environment, and nothing of our own."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": "/tmp",  # noqa: S108  where boto3 looks for its files, as on Lambda
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        "LAMBDA_TASK_ROOT": str(ROOT),
        "_HANDLER": handler,
        "AWS_LAMBDA_FUNCTION_NAME": handler.rpartition(".")[2],
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "canary-access-key",
        "AWS_SECRET_ACCESS_KEY": "canary-secret-access-key",
        "AWS_SESSION_TOKEN": "canary-session-token",
    }
