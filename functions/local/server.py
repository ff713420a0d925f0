"""The local platform's HTTP server: a request becomes a Delivery, an Answer a response."""

from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from shared.incoming.delivery import MAX_BODY, Delivery
from shared.receive import Answer

_DIGITS = 9  # of a Content-Length: more than any body may have
_POLL = 0.1  # seconds between looks whether to stop


class Server(ThreadingHTTPServer):
    """Listens on 127.0.0.1; each request has a thread of its own."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, answer: Callable[[Delivery], Answer]) -> None:
        """Take the port (0: any free one) and listen; raise OSError where it is in use."""
        super().__init__(("127.0.0.1", port), _Handler)
        self.answer = answer
        self._thread = Thread(target=self.serve_forever, args=(_POLL,))

    @property
    def url(self) -> str:
        """Where requests go."""
        return f"http://127.0.0.1:{self.server_port}/"

    def start(self) -> None:
        """Serve in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more requests."""
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "gitlab-claude-trigger", ""
    timeout = 10  # seconds a silent client keeps a thread
    disable_nagle_algorithm = True

    server: Server

    def _serve(self) -> None:
        names = {name.lower() for name in self.headers}
        headers = {name: ",".join(self.headers.get_all(name, [])) for name in names}
        answer = self.server.answer(Delivery(self.command, headers, self._body()))
        data = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815  names of http.server

    def _body(self) -> bytes:
        """Read the body; for one that is too large a byte too many says enough."""
        length = self.headers.get("Content-Length", "0")
        told = length.isascii() and length.isdigit() and len(length) <= _DIGITS
        size = int(length) if told else MAX_BODY + 1
        if size > MAX_BODY or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # what was not read is no next request
        return self.rfile.read(size) if size <= MAX_BODY else bytes(MAX_BODY + 1)

    def log_message(self, *_: object) -> None:
        """Write no access log: paths and headers are not ours to keep."""
