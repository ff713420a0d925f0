"""Google's JSON services on 127.0.0.1, as far as our adapters call them; here Secret Manager, next
door Cloud Tasks.

Neither has an emulator. What we never call is answered 404, so that a test notices.
Source: https://cloud.google.com/secret-manager/docs/reference/rest.
"""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]
Reply = tuple[int, Json]


class Service:
    """A JSON service over HTTP that can hold its breath."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._stalled = ""
        self._breathing = Event()
        self._breathing.set()
        self._server = _Server(self)
        self._listener = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._listener.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """End the server, its connections and its threads."""
        self._breathing.set()
        self._server.shutdown()
        self._listener.join()
        self._server.drop_connections()
        self._server.server_close()

    @contextmanager
    def stalled(self, path: str = "/") -> Iterator[None]:
        """While entered, take requests whose path contains the text and answer none of them."""
        self._stalled = path
        self._breathing.clear()
        try:
            yield
        finally:
            self._stalled = ""
            self._breathing.set()

    def answer(self, method: str, path: str, body: bytes) -> Reply:
        """Answer one request."""
        raise NotImplementedError

    def respond(self, method: str, path: str, body: bytes) -> Reply | None:
        """Answer one request, or None: hang up on who waited in vain."""
        self.calls.append(f"{method} {path}")
        if self._stalled and self._stalled in path:
            self._breathing.wait()
            return None
        return self.answer(method, path, body)


class SecretManager(Service):
    """Secrets by resource name, such as projects/p/secrets/hook; every change is a new version."""

    def __init__(self, **secrets: str) -> None:
        """Take the secrets of project `p` by their short names."""
        self.versions: dict[str, list[str]] = {
            f"projects/p/secrets/{name}": [text] for name, text in secrets.items()
        }
        super().__init__()

    def answer(self, method: str, path: str, body: bytes) -> Reply:  # noqa: ARG002  a GET has none
        found = re.fullmatch(
            r"/v1/(projects/[^/]+/secrets/[^/]+)/versions/(latest|[0-9]+):access", path
        )
        if method != "GET" or not found:
            return error(404, "NOT_FOUND", "Requested entity was not found.")
        versions = self.versions.get(found[1], [])
        number = len(versions) if found[2] == "latest" else int(found[2])
        if not 0 < number <= len(versions):
            return error(404, "NOT_FOUND", f"Secret [{found[1]}] not found or has no versions.")
        data = b64encode(versions[number - 1].encode()).decode()
        return 200, {"name": f"{found[1]}/versions/{number}", "payload": {"data": data}}


def error(code: int, status: str, message: str) -> Reply:
    return code, {"error": {"code": code, "message": message, "status": status}}


class _Server(ThreadingHTTPServer):
    """Remembers its connections, to end them and their threads with it."""

    daemon_threads = False

    def __init__(self, service: Service) -> None:
        self.service = service
        self.open: set[socket] = set()
        super().__init__(("127.0.0.1", 0), _Connection)

    def drop_connections(self) -> None:
        for connection in list(self.open):
            with suppress(OSError):
                connection.shutdown(SHUT_RDWR)

    def handleerror(self, request: object, client_address: object) -> None:
        """Clients may go away."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle(self) -> None:
        self.server.open.add(self.connection)
        try:
            super().handle()
        finally:
            self.server.open.discard(self.connection)

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        reply = self.server.service.respond(self.command, urlsplit(self.path).path, body)
        if reply is None:
            self.close_connection = True
            return
        data = json.dumps(reply[1]).encode()
        self.send_response(reply[0])
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815  names of http.server

    def log_message(self, *_: object) -> None:
        """Write nothing."""
