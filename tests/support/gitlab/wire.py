"""HTTP/1.1 on a socket, as little of it as GitLab's clients use; it knows nothing of GitLab.

`http.server` would do, but spends ten times as long on a request.
"""

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Callable, Iterable

Headers = Iterable[tuple[str, str]]
# Method, target, headers with lower-case names, body → status, headers, body; None: drop the
# connection.
Answering = Callable[[str, str, dict[str, str], bytes], tuple[int, Headers, bytes] | None]

_REASONS = {
    200: "OK",
    201: "Created",
    204: "No Content",
    404: "Not Found",
    429: "Too Many Requests",
}
_PARTS_OF_A_REQUEST_LINE = 3
_LONGEST_LINE = 1 << 16


class Server(socketserver.ThreadingTCPServer):
    """Listens on 127.0.0.1, one thread a connection; closing it ends the connections too."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 512

    def __init__(self, port: int, answer: Answering) -> None:
        """Listen; port 0 takes a free one."""
        self.answer = answer
        self.closing = threading.Event()
        self.connections: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Connection)
        self.port = int(self.server_address[1])
        threading.Thread(
            target=self.serve_forever, args=(0.02,), name="gitlab", daemon=True
        ).start()

    def close(self) -> None:
        """Stop listening and end all connections."""
        self.closing.set()
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients may go away in the middle of a request."""


class _Connection(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True
    server: Server

    def handle(self) -> None:
        self.server.connections.add(self.connection)
        with contextlib.suppress(OSError):
            while not self.server.closing.is_set() and self._one():
                pass
        self.server.connections.discard(self.connection)

    def _one(self) -> bool:
        """Answer one request; tell whether the connection goes on."""
        line = self.rfile.readline(_LONGEST_LINE).decode("latin-1").split()
        if len(line) != _PARTS_OF_A_REQUEST_LINE:
            return False
        method, target, protocol = line
        headers = self._headers()
        if headers.get("expect", "").lower() == "100-continue":
            self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if (
            "transfer-encoding" in headers
        ):  # nobody who talks to the API sends chunks; a big git push would
            self._send(method, 411, (), b"", close=True)
            return False
        body = self.rfile.read(int(headers.get("content-length") or 0))
        answer = self.server.answer(method, target, headers, body)
        if answer is None:
            self._reset()
            return False
        close = protocol != "HTTP/1.1" or headers.get("connection", "").lower() == "close"
        self._send(method, *answer, close=close)
        return not close

    def _headers(self) -> dict[str, str]:
        headers = {}
        while (line := self.rfile.readline(_LONGEST_LINE)) not in (b"\r\n", b"\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return headers

    def _send(
        self, method: str, status: int, headers: Headers, body: bytes, *, close: bool
    ) -> None:
        lines = [
            f"HTTP/1.1 {status} {_REASONS.get(status, '-')}",
            *(f"{name}: {value}" for name, value in headers),
        ]
        if status != 204:
            lines.append(f"Content-Length: {len(body)}")
        if close:
            lines.append("Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
        self.connection.sendall(head if method == "HEAD" else head + body)

    def _reset(self) -> None:
        """Send a TCP RST instead of a goodbye."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.rfile.close()
        self.wfile.close()
        self.connection.close()
