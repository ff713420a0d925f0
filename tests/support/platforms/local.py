"""The local platform as a process of its own, started as `make run` starts it."""

import http.client
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from functions.local.adapters import SqliteQueue, SqliteRecords, Store
from shared.runs.store import Queue, Records
from tests import ROOT
from tests.support.platforms import Answer, Platform


class Local(Platform):
    """`python -m functions.local` with a STATE_DIR that outlives its process, so that it can be
    killed and restarted.
    """

    name = "local"
    module = "functions.local"

    def __init__(
        self, gitlab_url: str, webhook_secrets: str, gitlab_secrets: str, **settings: str
    ) -> None:
        super().__init__(gitlab_url, webhook_secrets, gitlab_secrets, **settings)
        self._folder = tempfile.TemporaryDirectory(prefix="local-", ignore_cleanup_errors=True)
        self.state = Path(self._folder.name)
        self._process: subprocess.Popen[bytes] | None = None
        self._store: Store | None = None
        self._port = self._said = 0

    def start(self) -> None:
        self.launch()
        for _ in range(2000):
            if self.listening():
                return
            time.sleep(0.01)
        raise TimeoutError(self.output())

    def launch(self) -> None:
        """Start the process, on the port it had before, and do not wait for it."""
        environment = {
            "PATH": os.environ["PATH"],
            "GITLAB_URL": self.gitlab_url,
            "WEBHOOK_SECRETS": self.webhook_secrets,
            "GITLAB_SECRETS": self.gitlab_secrets,
            "STATE_DIR": str(self.state),
            "PORT": str(self._port),
            **self.settings,
        }
        self._said = self._output.stat().st_size
        with self._output.open("ab") as output:
            command = [sys.executable, "-m", self.module]
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=output, stderr=output
            )

    def listening(self) -> bool:
        """Tell whether it serves; raise RuntimeError when it has ended."""
        line = self._output.read_bytes()[self._said :].decode()
        if "Listening on " in line:
            self._port = urlsplit(line.partition("Listening on ")[2].split()[0]).port or 0
            return True
        if self._process and self._process.poll() is not None:
            raise RuntimeError(line)
        return False

    @property
    def url(self) -> str:
        """Where deliveries go."""
        return f"http://127.0.0.1:{self._port}/"

    def stop(self) -> None:
        if self._store:
            self._store.close()
        self.kill()
        self._folder.cleanup()

    def kill(self) -> None:
        """End the process as a power cut would; what it stored stays."""
        assert self._process
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def deliver(self, method: str, headers: Mapping[str, str], body: bytes) -> Answer:
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        try:
            connection.request(method, "/", body, dict(headers))
            response = connection.getresponse()
            return Answer(response.status, response.read().decode(), time.monotonic() - began)
        finally:
            connection.close()

    def settle(self, seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        connection = sqlite3.connect(self.state / "state.sqlite3")
        try:
            while connection.execute("SELECT count(*) FROM requests").fetchone()[0]:
                if time.monotonic() > end:
                    raise TimeoutError(self.output())
                time.sleep(0.02)
        finally:
            connection.close()

    def output(self) -> str:
        return self._output.read_text()

    def records(self) -> Records:
        return SqliteRecords(self._other_store(), time.time())

    def queue(self) -> Queue:
        return SqliteQueue(self._other_store())

    @contextmanager
    def stalled(self, dependency: str) -> Iterator[None]:
        """Hold the file's write lock; the local platform's secrets are in its environment and
        cannot stall.
        """
        assert dependency == "queue"
        connection = sqlite3.connect(self.state / "state.sqlite3", isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            connection.close()

    @property
    def _output(self) -> Path:
        path = self.state / "output.log"
        path.touch()
        return path

    def _other_store(self) -> Store:
        # One process owns a store: the adapters are shown on a file of their own.
        self._store = self._store or Store(self.state / "other")
        return self._store
