"""Google Cloud as tests drive it: both functions under functions-framework, Google's own clients,
local services.

Firestore is Google's emulator, started once and shared: every `Gcp` uses a project id of its own in
it.
"""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory
from uuid import uuid4

from functions.gcp import adapters
from shared.runs.store import Queue, Records
from tests import ROOT
from tests.support.platforms import Answer, Platform
from tests.support.platforms.cloud_tasks import CloudTasks, Limits
from tests.support.platforms.google import SecretManager

QUEUE = "projects/p/locations/europe-west1/queues/claude"
INVOKER = "invoker@p.iam.gserviceaccount.com"
_PATIENCE = 30.0  # seconds for a process to answer


class Process:
    """A server in a process group of its own: ended as a whole, and with us where the system can do
    that.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], folder: Path, port: int
    ) -> None:
        self.port = port
        self._output = folder / "output"
        ends_with_us = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                [*ends_with_us, *command],
                cwd=folder,
                env={name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
                | dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def output(self) -> str:
        """Return what it printed so far."""
        return self._output.read_text(errors="replace")

    def wait_until_it_answers(self) -> None:
        """Wait for the first HTTP answer; raise RuntimeError with the output when the process ends
        instead.
        """
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and self._process.poll() is None:
            with suppress(OSError, HTTPException):
                # functions-framework itself answers this one.
                request(self.port, "GET", {}, b"", path="/robots.txt")
                return
            time.sleep(0.02)
        message = f"{self._process.args!r} does not answer:\n{self.output()}"
        raise RuntimeError(message)

    def wait_until_it_ends(self) -> int:
        """Return the exit status."""
        return self._process.wait(_PATIENCE)

    def stop(self) -> None:
        """End the whole group at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(_PATIENCE)


class Function(Process):
    """One function as the buildpack starts it, from a folder with a one-line main.py."""

    def __init__(self, target: str, folder: Path, **environment: str) -> None:
        """Start `receive` or `dispatch`; it answers a second later."""
        source = folder / target
        source.mkdir()
        (source / "main.py").write_text(
            "from functions.gcp.handlers import dispatch, receive  # noqa: F401\n"
        )
        port = free_port()
        program = str(Path(sys.executable).with_name("functions-framework"))
        command = [
            program,
            "--source",
            "main.py",
            "--target",
            target,
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        given = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "TRUE"} | environment
        super().__init__(command, given, source, port)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}/"


class Mounted:
    """A secret's newest version as Cloud Run mounts it: a file, that can hold its breath."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.write(text)

    def write(self, text: str) -> None:
        """Make a new version."""
        self.path.write_text(text)

    @contextmanager
    def stalled(self) -> Iterator[None]:
        """While entered, let whoever reads wait."""
        text = self.path.read_text()
        self.path.unlink()
        os.mkfifo(self.path)
        try:
            yield
        finally:
            with suppress(OSError):  # nobody reads it
                os.close(os.open(self.path, os.O_WRONLY | os.O_NONBLOCK))
            self.path.unlink()
            self.write(text)


class Gcp(Platform):
    """Both functions, a queue, two secrets, one of them mounted, and a project of the Firestore emulator."""

    name = "gcp"
    limits = Limits()
    _output = ""

    @staticmethod
    def available() -> str | None:
        """Return why the Firestore emulator cannot run here, or None."""
        return emulator_missing()

    def start(self) -> None:
        """Start every service and both functions."""
        self.project = f"p-{uuid4().hex[:8]}"
        self._folder = TemporaryDirectory(prefix="gcp-")
        self.webhook = Mounted(Path(self._folder.name) / "webhook", self.webhook_secrets)
        self.secret_manager = SecretManager(gitlab=self.gitlab_secrets)
        self.tasks = CloudTasks(QUEUE, self.limits)
        self.functions: list[Function] = []
        try:
            self._start_functions()
        except BaseException:
            self.stop()
            raise

    def _start_functions(self) -> None:
        folder = Path(self._folder.name)
        common = {
            "GITLAB_URL": self.gitlab_url,
            "SECRET_MANAGER_ENDPOINT": self.secret_manager.url,
            "CLOUD_TASKS_ENDPOINT": self.tasks.url,
            **self.settings,
        }
        self.dispatch = Function(
            "dispatch",
            folder,
            GOOGLE_CLOUD_PROJECT=self.project,
            GITLAB_SECRETS_ID="projects/p/secrets/gitlab",
            FIRESTORE_EMULATOR_HOST=emulator(),
            **common,
        )
        self.functions.append(self.dispatch)
        self.receive = Function(
            "receive",
            folder,
            QUEUE=QUEUE,
            DISPATCH_URL=self.dispatch.url,
            INVOKER_SERVICE_ACCOUNT=INVOKER,
            WEBHOOK_SECRETS_FILE=str(self.webhook.path),
            **common,
        )
        self.functions.append(self.receive)
        for function in self.functions:
            function.wait_until_it_answers()

    def stop(self) -> None:
        """End the functions first: the queue waits for its last answers."""
        for function in self.functions:
            function.stop()
        self.tasks.close()
        self.secret_manager.close()
        self._output = "".join(function.output() for function in self.functions)
        self.functions = []
        self._folder.cleanup()

    def deliver(
        self, method: str, headers: Mapping[str, str | Sequence[str]], body: bytes
    ) -> Answer:
        """Send one request to `receive`; a header may have several values."""
        return request(self.receive.port, method, headers, body)

    def settle(self, seconds: float = 30) -> None:
        """Wait for the queue; a task whose attempts are used up has settled: see `tasks.dead`."""
        self.tasks.settle(seconds)

    def output(self) -> str:
        """Return what both functions wrote, also after they ended."""
        return "".join(function.output() for function in self.functions) or self._output

    def records(self) -> Records:
        """Return the adapter on this platform's own project in the emulator."""
        return firestore_records(self.project)

    def queue(self) -> Queue:
        """Return the adapter on the stand-in's queue."""
        return tasks_queue(self.tasks, self.dispatch.url)

    @contextmanager
    def stalled(self, dependency: str) -> Iterator[None]:
        """Hold back what `receive` asks; `dispatch` and its own secret go on."""
        stalled = {"queue": self.tasks.stalled(), "secrets": self.webhook.stalled()}
        with stalled[dependency]:
            yield


def request(
    port: int,
    method: str,
    headers: Mapping[str, str | Sequence[str]],
    body: bytes,
    *,
    path: str = "/",
) -> Answer:
    """Send one HTTP request exactly as told; Host and Content-Length are added if missing."""
    given = {name.lower() for name in headers}
    connection = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    started = time.perf_counter()
    try:
        connection.putrequest(method, path, skip_host="host" in given, skip_accept_encoding=True)
        for name, value in headers.items():
            for one in [value] if isinstance(value, str) else value:
                connection.putheader(name, one.encode())
        if not given & {"content-length", "transfer-encoding"}:
            connection.putheader("Content-Length", str(len(body)))
        with suppress(BrokenPipeError, ConnectionResetError):  # who answers early need not read on
            connection.endheaders(body)
        answer = connection.getresponse()
        return Answer(answer.status, answer.read().decode(), time.perf_counter() - started)
    finally:
        connection.close()


def tasks_queue(tasks: CloudTasks, url: str) -> Queue:
    """Return the real adapter with a real client on a stand-in."""
    os.environ["CLOUD_TASKS_ENDPOINT"] = tasks.url
    adapters._tasks.cache_clear()
    try:
        adapters._tasks()
    finally:
        del os.environ["CLOUD_TASKS_ENDPOINT"]
    return adapters.TasksQueue(tasks.queue, url, INVOKER)


def firestore_records(project: str) -> Records:
    """Return the real adapter with a real client on the emulator."""
    os.environ["FIRESTORE_EMULATOR_HOST"] = emulator()
    try:
        adapters._firestore(project)
    finally:
        del os.environ["FIRESTORE_EMULATOR_HOST"]
    return adapters.FirestoreRecords(project, "claims")


def emulator_missing() -> str | None:
    """Return what the Firestore emulator lacks here, or None."""
    if not shutil.which("java"):
        return "the Firestore emulator needs Java"
    if not _emulator_jar().is_file():
        return (
            "gcloud has no Firestore emulator (gcloud components install cloud-firestore-emulator)"
        )
    return None


@cache
def emulator() -> str:
    """Return the emulator's host and port; started on first need, it ends with this process."""
    folder = TemporaryDirectory(prefix="firestore-")
    port = free_port()
    # The jar itself, with a JVM tuned to start: `gcloud emulators firestore start` is four
    # processes and three seconds.
    quick = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx256m", "-Duser.language=en"]
    program = [
        "-cp",
        str(_emulator_jar()),
        "com.google.cloud.datastore.emulator.firestore.CloudFirestore",
        "start",
    ]
    process = Process(
        ["java", *quick, *program, "--host=127.0.0.1", f"--port={port}"],
        {},
        Path(folder.name),
        port,
    )
    atexit.register(folder.cleanup)
    atexit.register(process.stop)
    process.wait_until_it_answers()
    return f"127.0.0.1:{port}"


def _emulator_jar() -> Path:
    sdk = Path(shutil.which("gcloud") or "/nowhere/bin/gcloud").resolve().parents[1]
    return sdk / "platform" / "cloud-firestore-emulator" / "cloud-firestore-emulator.jar"


def free_port() -> int:
    """Return a port that nobody uses now."""
    with socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
