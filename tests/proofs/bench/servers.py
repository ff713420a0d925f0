"""Our servers, each beside the least that its framework can serve: one connection, kept open."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tests import ROOT
from tests.proofs.bench.lambdas import SMALL, event
from tests.proofs.bench.measure import pairs, ratio, session, spent
from tests.proofs.rows import Row
from tests.support import fakes
from tests.support.platforms.gcp import INVOKER, QUEUE, Process, free_port
from tests.support.platforms.local import Local

STARTS, ROUNDS, REQUESTS = 5, 5, 300
_OURS = "from functions.gcp.handlers import receive  # noqa: F401\n"
_HELLO = "def receive(request):\n    return 'ok'\n"
_BARE = """\
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True
    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")
    do_POST = do_GET
    def log_message(self, *_):
        pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Server(NamedTuple):
    """A server that answers: its port, and its processes."""

    port: int
    processes: list[int]

    def request(self, count: int) -> float:
        """Return the milliseconds of a processor that one signed delivery takes, of so many."""
        delivery = event(SMALL)
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        before = 0.0
        try:
            for number in range(count + 1):
                if number == 1:  # what a connection's first costs is not counted
                    before = spent(self.processes)
                connection.request("POST", "/", str(delivery["body"]), delivery["headers"])  # type: ignore[arg-type]
                answer = connection.getresponse()
                assert (answer.read(), answer.status)[1] == 200
            return (spent(self.processes) - before) / count
        finally:
            connection.close()


def run() -> Iterator[Row]:
    """Measure functions-framework, then the local server."""
    with ExitStack() as stack:
        secret = Path(stack.enter_context(TemporaryDirectory())) / "webhook"
        secret.write_text(fakes.WEBHOOK_SECRETS)
        environment = {
            "QUEUE": QUEUE,
            "DISPATCH_URL": "http://127.0.0.1:9/",
            "INVOKER_SERVICE_ACCOUNT": INVOKER,
            "WEBHOOK_SECRETS_FILE": str(secret),
        }
        starts = pairs(lambda: _start(_OURS, environment), lambda: _start(_HELLO, {}), STARTS)
        yield ratio("functions-framework, start and first answer / its hello", starts, 1.5, "ms")
        for title, ours, theirs, bar in (
            (
                "functions-framework, reject, signed, 5 KB / its hello",
                _framework(stack, _OURS, environment),
                _framework(stack, _HELLO, {}),
                1.15,
            ),
            ("local server, reject, signed, 5 KB / http.server", _local(stack), _bare(stack), 2.0),
        ):
            seen = pairs(lambda: ours.request(REQUESTS), lambda: theirs.request(REQUESTS), ROUNDS)  # noqa: B023
            yield ratio(title, seen, bar, "ms")


def _start(main: str, environment: dict[str, str]) -> float:
    """Return the milliseconds that a new server takes, its first answer included."""
    with ExitStack() as stack:
        server = _framework(stack, main, environment)
        server.request(1)
        return spent(server.processes)


def _framework(stack: ExitStack, main: str, environment: dict[str, str]) -> Server:
    """Start a function as the buildpack does."""
    program = str(Path(sys.executable).with_name("functions-framework"))
    options = ["--source", "main.py", "--target", "receive", "--host", "127.0.0.1"]
    return _serve(stack, main, [program, *options, "--port"], environment)


def _bare(stack: ExitStack) -> Server:
    return _serve(stack, _BARE, [sys.executable, "main.py"], {})


def _serve(stack: ExitStack, main: str, command: list[str], environment: dict[str, str]) -> Server:
    folder, port = Path(stack.enter_context(TemporaryDirectory())), free_port()
    (folder / "main.py").write_text(main)
    process = Process([*command, str(port)], {"PYTHONPATH": str(ROOT)} | environment, folder, port)
    stack.callback(process.stop)
    process.wait_until_it_answers()
    return Server(port, session(process._process.pid))


def _local(stack: ExitStack) -> Server:
    platform = Local("http://127.0.0.1:9", fakes.WEBHOOK_SECRETS, fakes.GITLAB_SECRETS)
    stack.enter_context(platform)
    assert platform._process
    return Server(platform._port, [platform._process.pid])
