"""The local platform: an HTTP server in front of `receive` and threads that carry requests to `dispatch`."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

from functions.gitlab.thread import GitLab
from functions.local.adapters import SqliteQueue, SqliteRecords, Store, Taken, log
from shared.dispatch import dispatch
from shared.incoming.delivery import MAX_BODY, Delivery
from shared.installation.secrets import Cached, GitLabSecrets, SecretError, WebhookSecrets
from shared.installation.settings import Settings, SettingsError, required
from shared.outcome.reasons import Retry
from shared.receive import Answer, receive
from shared.runs.record import ATTEMPTS, LEASE, Record, RecordError, key_of, pause
from shared.services import Services
from shared.sweep import carry_out, sweep

WORKERS = 4
SWEEP_EVERY = 300.0  # seconds
_IDLE = 1.0  # seconds between looks at the queue when nobody calls
_DIGITS = 9  # of a Content-Length: more than any body may have


class Local:
    """The whole installation in one process: listens on 127.0.0.1, keeps its state in one folder."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Read the settings and open everything; raise SettingsError, SecretError or RuntimeError with a cure."""
        settings = Settings.read(environment)
        webhook = required(environment, "WEBHOOK_SECRETS", 'JSON such as {"secret_tokens": ["…"]}')
        api = required(
            environment,
            "GITLAB_SECRETS",
            'JSON such as {"api_token": "…", "trigger_tokens": {"*": "…"}}',
        )
        WebhookSecrets.parse(webhook)
        GitLabSecrets.parse(api)
        port = environment.get("PORT") or "8080"
        if not (port.isascii() and port.isdigit() and int(port) < 65536):  # noqa: PLR2004
            raise SettingsError("PORT", port, "a TCP port from 0 (any free one) to 65535")
        self._store = Store(Path(environment.get("STATE_DIR") or "./.state"))
        self._queue = SqliteQueue(self._store)
        secrets = Cached(lambda: api, GitLabSecrets.parse, time.time)
        self._records = SqliteRecords(self._store, time.time())
        self._release()
        self._world = Services(
            settings, secrets, self._records, GitLab(settings.gitlab_url, secrets), time.time, log
        )
        tokens = Cached(lambda: webhook, WebhookSecrets.parse, time.time)

        def answer(delivery: Delivery) -> Answer:
            return receive(
                delivery,
                settings=settings,
                secrets=tokens,
                queue=self._queue,
                now=time.time,
                log=log,
            )

        self._server = _Server(
            ("127.0.0.1", int(port)), type("Handler", (_Handler,), {"answer": staticmethod(answer)})
        )
        self._stopping = Event()
        self._threads = [Thread(target=self._work) for _ in range(WORKERS)]
        self._threads.append(Thread(target=self._sweep))
        self._threads.append(
            Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1})
        )

    @property
    def url(self) -> str:
        """Where the webhook's deliveries go."""
        return f"http://127.0.0.1:{self._server.server_port}/"

    def start(self) -> None:
        """Serve in the background."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Finish what is under way and close."""
        self._stopping.set()
        with self._queue.filled:
            self._queue.filled.notify_all()
        self._server.shutdown()
        for thread in self._threads:
            thread.join()
        self._server.server_close()
        self._store.close()

    def carry_out(self, order: Mapping[str, object]) -> dict[str, object]:
        """Sweep or replay once, without serving."""
        try:
            return carry_out(order, self._world, self._queue)
        finally:
            self._server.server_close()
            self._store.close()

    def _release(self) -> None:
        """End the leases of a process that was killed: the store has one owner, so nobody else holds one."""
        for key in self._records.starting_with(key_of("")):
            text, version = self._records.read(key)
            try:
                record = Record.from_json(str(text))
            except RecordError:  # `dispatch` names it when its run comes
                continue
            if record.until > time.time():
                freed = record.released(time.time())
                self._records.write(key, freed.to_json(), version, freed.expires)

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                taken = self._queue.take(time.time(), time.time() + LEASE)
                if taken:
                    self._carry(taken)
                    continue
            except Exception as error:  # noqa: BLE001  a worker outlives whatever happens to one request
                log("ERROR", {"error": type(error).__name__})
            with self._queue.filled:
                self._queue.filled.wait(_IDLE)

    def _carry(self, taken: Taken) -> None:
        attempt = taken.attempts + 1
        try:
            dispatch(taken.request, self._world, last=attempt >= ATTEMPTS)
        except Retry as error:
            self._queue.later(taken.request, time.time() + max(error.after, pause(attempt)))
        except Exception:
            self._queue.later(taken.request, time.time() + pause(attempt))
            raise
        else:
            self._queue.done(taken.request)

    def _sweep(self) -> None:
        while not self._stopping.wait(SWEEP_EVERY):
            try:
                sweep(self._world, self._queue)
            except Exception as error:  # noqa: BLE001  a worker outlives whatever happens to one request
                log("ERROR", {"error": type(error).__name__})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


class _Handler(BaseHTTPRequestHandler):
    """Turns HTTP into a Delivery and an Answer back into HTTP."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "gitlab-claude-trigger", ""
    timeout = 10  # seconds a silent client keeps a thread
    disable_nagle_algorithm = True

    answer: Callable[[Delivery], Answer]

    def _serve(self) -> None:
        length = self.headers.get("Content-Length", "0")
        told = length.isascii() and length.isdigit() and len(length) <= _DIGITS
        size = int(length) if told else MAX_BODY + 1
        if size > MAX_BODY or "Transfer-Encoding" in self.headers:
            self.close_connection = True
        # One byte too many says enough: what is too large is not read.
        body = self.rfile.read(size) if size <= MAX_BODY else bytes(MAX_BODY + 1)
        names = {name.lower() for name in self.headers}
        headers = {name: ",".join(self.headers.get_all(name, [])) for name in names}
        answer = self.answer(Delivery(self.command, headers, body))
        data = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815  names of http.server

    def log_message(self, *_: object) -> None:
        """Write no access log: paths and headers are not ours to keep."""


def main(order: str = "") -> int:
    """Run until interrupted, or carry out one order (JSON, see shared/sweep.py); return 2 when a setting is wrong."""
    try:
        local = Local(os.environ)
        if order:
            sys.stdout.write(json.dumps(local.carry_out(json.loads(order))) + "\n")
            return 0
    except (SettingsError, SecretError, RuntimeError, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    local.start()
    sys.stderr.write(f"Listening on {local.url}\n")
    try:
        Event().wait()
    except KeyboardInterrupt:
        local.stop()
    return 0
