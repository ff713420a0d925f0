"""The local platform's HTTP server: a request becomes a Delivery, an Answer a response."""

import sys
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader
from operator import itemgetter
from socket import SHUT_RD, SHUT_WR, socket
from string import hexdigits
from threading import BoundedSemaphore, Lock, Thread
from time import monotonic
from typing import Any

from shared.incoming.delivery import MAX_BODY, Delivery, has_credentials
from shared.receive import Answer

CONNECTIONS = 64  # at once; for a further one whoever has had the longest to send must go
DEADLINE = 15.0  # seconds a request may take from its first byte; GitLab gives up after 10
_DIGITS = 9  # of a Content-Length: more than any body may have
_POLL = 0.1  # seconds between looks whether to stop, and which requests take too long
_CHUNK_LINE = 4096  # bytes of a chunk's first line or of all trailers
_LINGER = 1.0  # seconds in which a refused body may still come, to be thrown away
_PIECE, _PIECES = 64 * 1024, 16  # bytes of it at once, and how often


class Server(ThreadingHTTPServer):
    """Listens on 127.0.0.1; each connection has a thread of its own."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self,
        port: int,
        answer: Callable[[Delivery], Answer],
        log_defect: Callable[[Exception], None],
    ) -> None:
        """Take the port (0: any free one) and listen; raise OSError where it is in use."""
        super().__init__(("127.0.0.1", port), _Handler)
        self.answer, self._log_defect = answer, log_defect
        self.draining = False
        self._deadlines: dict[socket, float] = {}
        self._silent: set[socket] = set()  # between two requests
        self._lock, self._free = Lock(), BoundedSemaphore(CONNECTIONS)
        self._thread = Thread(target=self.serve_forever, args=(_POLL,))

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"http://127.0.0.1:{self.server_port}/"

    def start(self) -> None:
        """Serve in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more requests, and answer those that have begun."""
        self.shutdown()
        self._thread.join()
        self.server_close()
        self.draining = True
        with self._lock:
            silent = list(self._silent)
        self._cut_off(silent)
        end = monotonic() + DEADLINE + _LINGER
        for _ in range(CONNECTIONS):
            while not self._free.acquire(timeout=_POLL) and monotonic() < end:
                self.service_actions()

    def get_request(self) -> tuple[socket, Any]:
        """Accept a connection; raise OSError, which leaves it waiting, while all are answered."""
        if not self._free.acquire(blocking=False):
            self._cut_off([each for each, _ in self._listened_to()[:1]])
            if not self._free.acquire(timeout=_POLL):
                raise BlockingIOError
        try:
            return super().get_request()
        except OSError:
            self._free.release()
            raise

    def shutdown_request(self, request: Any) -> None:
        """Close a connection and let another come."""
        self.listen_to(request, None)
        try:
            super().shutdown_request(request)
        finally:
            self._free.release()

    def service_actions(self) -> None:
        """End what has taken too long."""
        now = monotonic()
        self._cut_off([each for each, until in self._listened_to() if until < now])

    def listen_to(self, connection: socket, seconds: float | None, *, silent: bool = False) -> None:
        """Give a connection so many seconds to send; with None nothing is expected of it.

        `silent`: it has not begun to.
        """
        with self._lock:
            (self._silent.add if silent else self._silent.discard)(connection)
            if seconds is None:
                self._deadlines.pop(connection, None)
            else:
                self._deadlines[connection] = monotonic() + seconds

    def _listened_to(self) -> list[tuple[socket, float]]:
        """Return the connections that may still send, and until when; the next to end first."""
        with self._lock:
            return sorted(self._deadlines.items(), key=itemgetter(1))

    @staticmethod
    def _cut_off(connections: list[socket]) -> None:
        """Let those who read from there find that no more comes."""
        for connection in connections:
            with suppress(OSError):  # it has ended by itself
                connection.shutdown(SHUT_RD)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Log a defect by its class; that a client has hung up is none."""
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, OSError):
            self._log_defect(error)


class _BodyError(Exception):
    """A body that cannot be read, and the status that says why."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status)
        self.status = status


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "gitlab-claude-trigger", ""
    timeout = 10  # seconds a silent client keeps a thread
    disable_nagle_algorithm = True

    rfile: BufferedReader
    server: Server

    def handle_one_request(self) -> None:
        """Give each request its time, which begins with its first byte."""
        self.server.listen_to(self.connection, self.timeout, silent=True)
        try:
            begun = not self.server.draining and self.rfile.peek(1)
        except OSError:
            begun = False
        if not begun:
            self.close_connection = True
            return
        self.server.listen_to(self.connection, DEADLINE)
        self._until = monotonic() + DEADLINE
        super().handle_one_request()

    def _serve(self) -> None:
        names = {name.lower() for name in self.headers}
        headers = {name: self._value(name) for name in names}
        delivery, size = Delivery(self.command, headers, b""), self._size()
        chunked = "transfer-encoding" in headers
        # Whom nothing will be believed gets the answer without a look at the body.
        reads = self.command == "POST" and has_credentials(delivery) and size <= MAX_BODY
        if reads:
            try:
                body = self._chunks() if chunked else self._exactly(size)
            except _BodyError as error:
                self.send_error(error.status)
                self._discard()
                return
            delivery = delivery._replace(body=body)
        elif size > MAX_BODY:  # a byte too many says enough
            delivery = delivery._replace(body=bytes(MAX_BODY + 1))
        self.server.listen_to(self.connection, None)
        unread = len(delivery.body) > MAX_BODY or ((chunked or size > 0) and not reads)
        self._say(self.server.answer(delivery), last=unread or self.server.draining)
        if unread:
            self._discard()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815  names of http.server

    def _value(self, name: str) -> str:
        """Return a header's values as one, without blanks around each: RFC 9110, 5.3 and 5.5."""
        return ",".join(value.strip(" \t") for value in self.headers.get_all(name, []))

    def _size(self) -> int:
        """Return the body's length; one that is no number, or several, are too large."""
        lengths = set(self.headers.get_all("Content-Length", ["0"]))
        length = lengths.pop().strip(" \t")
        told = length.isascii() and length.isdigit() and len(length) <= _DIGITS and not lengths
        return int(length) if told else MAX_BODY + 1

    def _exactly(self, size: int) -> bytes:
        data = self.rfile.read(size)
        if len(data) < size:
            raise _BodyError(HTTPStatus.REQUEST_TIMEOUT)
        return data

    def _chunks(self) -> bytes:
        """Return a body that comes in chunks; of one too large, a byte more than it may have.

        https://www.rfc-editor.org/rfc/rfc9112#section-7.1. A length beside it, another coding
        and HTTP/1.0 are refused, as senders and proxies differ in what they make of these (6.1).
        """
        if self._value("Transfer-Encoding").lower() != "chunked":
            raise _BodyError(HTTPStatus.NOT_IMPLEMENTED)
        if "Content-Length" in self.headers or self.request_version == "HTTP/1.0":
            raise _BodyError(HTTPStatus.BAD_REQUEST)
        body = bytearray()
        while size := self._chunk_size():
            if len(body) + size > MAX_BODY:
                return bytes(MAX_BODY + 1)
            body += self._exactly(size)
            if self._exactly(2) != b"\r\n":
                raise _BodyError(HTTPStatus.BAD_REQUEST)
        left = _CHUNK_LINE
        while (line := self._line(left)) != b"\r\n":  # trailers say nothing to us
            left -= len(line)
        return bytes(body)

    def _chunk_size(self) -> int:
        digits = self._line(_CHUNK_LINE).partition(b";")[0].strip()
        if not (0 < len(digits) <= _DIGITS and set(digits) <= set(hexdigits.encode())):
            raise _BodyError(HTTPStatus.BAD_REQUEST)
        return int(digits, 16)

    def _line(self, most: int) -> bytes:
        """Return the next line of at most so many bytes, with its end."""
        if monotonic() > self._until:  # to be cut off ends nothing while more is there already
            raise _BodyError(HTTPStatus.REQUEST_TIMEOUT)
        line = self.rfile.readline(most)
        if not line.endswith(b"\r\n"):
            ends = len(line) < most and not line.endswith(b"\n")
            raise _BodyError(HTTPStatus.REQUEST_TIMEOUT if ends else HTTPStatus.BAD_REQUEST)
        return line

    def _say(self, answer: Answer, *, last: bool) -> None:
        data = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(data)))
        if last:  # what was not read is no next request
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _discard(self) -> None:
        """Let whoever is still sending hear the answer.

        A connection that is closed with something unread may be reset, and the answer lost:
        https://www.rfc-editor.org/rfc/rfc9112#section-9.6.
        """
        self.server.listen_to(self.connection, _LINGER)
        self.connection.shutdown(SHUT_WR)
        for _ in range(_PIECES):
            if not self.rfile.read1(_PIECE):
                break

    def log_message(self, *_: object) -> None:
        """Write no access log: paths and headers are not ours to keep."""
