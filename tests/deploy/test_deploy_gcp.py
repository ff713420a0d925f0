"""What `cloudbuild.yaml` stages and sets, started as the buildpack does; a mention's way through."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT
from tests.support.deploy.google import Workspace
from tests.support.fakes import API_TOKEN, SIGNING_TOKEN, TRIGGER_TOKEN
from tests.support.gitlab.server import GitLab
from tests.support.gitlab_adapter import one_project
from tests.support.platforms.cloud_tasks import CloudTasks, Limits
from tests.support.platforms.gcp import Gcp, Mounted, Process, emulator, free_port, request
from tests.support.platforms.google import SecretManager

PROJECT, AUTHOR, OURS = 7, 42, 99
SECRETS = "projects/my-project/secrets/claude-gitlab-secrets"
QUEUE = "projects/my-project/locations/europe-west1/queues/claude-runs"
VERTEX = {"_MODEL_PROVIDER": "vertex", "_MODEL_REGION": "europe-west4", "_MODEL": "claude-opus-5-5"}

pytestmark = [
    pytest.mark.skipif(Gcp.available() is not None, reason=str(Gcp.available())),
    pytest.mark.timeout(600),  # the first time the packages are installed
]


class Service(Process):
    """A function in the image that the buildpack makes: the staged sources and their packages."""

    def __init__(
        self, target: str, source: Path, python: Path, folder: Path, **variables: str
    ) -> None:
        folder.mkdir()
        self.started, port = time.perf_counter(), free_port()
        shutil.copytree(source, folder / "workspace")
        image = {
            "FUNCTION_TARGET": target,
            "PORT": str(port),
            "HOST": "127.0.0.1",
            "PYTHONUNBUFFERED": "TRUE",
        }
        path = os.pathsep.join([str(python.parent), "/usr/bin", "/bin"])
        command = [str(python.with_name("functions-framework"))]
        super().__init__(command, variables | image | {"PATH": path}, folder / "workspace", port)


class Installation:
    """The three services as the build's own files describe them, before stand-ins and a GitLab."""

    def __init__(self, folder: Path, python: Path, gitlab: GitLab) -> None:
        self.gitlab, self.secrets, self.tasks = gitlab, SecretManager(), CloudTasks(QUEUE, Limits())
        webhook = json.dumps({"signing_tokens": [SIGNING_TOKEN]})
        self.webhook = Mounted(folder / "webhook", webhook)
        documents = {"api_token": API_TOKEN, "trigger_tokens": {"*": TRIGGER_TOKEN}}
        self.secrets.versions[SECRETS] = [json.dumps(documents)]
        self.services: dict[str, Service] = {}
        self._workspace, self._folder, self._python = Workspace(folder), folder, python
        address = f"http://127.0.0.1:{free_port()}/"
        answers = {
            "run services describe claude-dispatch": address,
            "run services describe": "https://x.run.app",
        }
        ran = self._workspace.build(answers, _GITLAB_URL=gitlab.url, **VERTEX)
        assert ran.status == 0, ran.output
        self._start("dispatch")
        for name in ("receive", "sweep"):
            path = self._workspace.folder / "build" / "env" / f"{name}.json"
            path.write_text(
                path.read_text().replace(
                    address, f"http://127.0.0.1:{self.services['dispatch'].port}/"
                )
            )
            self._start(name)

    def _start(self, name: str) -> None:
        given = json.loads((self._workspace.folder / "build" / "env" / f"{name}.json").read_text())
        if name == "receive":
            given["WEBHOOK_SECRETS_FILE"] = str(self.webhook.path)
        stand_ins = {
            "SECRET_MANAGER_ENDPOINT": self.secrets.url,
            "CLOUD_TASKS_ENDPOINT": self.tasks.url,
            "FIRESTORE_EMULATOR_HOST": emulator(),
        }
        source = self._workspace.folder / "build" / "source"
        service = Service(name, source, self._python, self._folder / name, **given, **stand_ins)
        self.services[name] = service
        service.wait_until_it_answers()

    def close(self) -> None:
        for service in self.services.values():
            service.stop()
        self.tasks.close()
        self.secrets.close()


@pytest.fixture(scope="module")
def python() -> Path:
    """A Python with the packages of `functions/gcp/requirements.txt` only; kept in the cache."""
    lock = ROOT / "functions" / "gcp" / "requirements.txt"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    cache = (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gitlab-claude-trigger"
    )
    folder = cache / f"gcp-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}-{version}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        venv.create(folder, with_pip=True)
        options = ["--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(lock)]
        command = [str(folder / "bin" / "python"), "-m", "pip", "install", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(
                f"the packages cannot be installed here: {done.stderr.strip().splitlines()[-1]}"
            )
        (folder / "complete").touch()
    return folder / "bin" / "python"


@pytest.fixture(scope="module")
def installation(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with GitLab() as gitlab:
        one_project(gitlab)
        running = Installation(tmp_path_factory.mktemp("google"), python, gitlab)
        try:
            yield running
        finally:
            running.close()


def test_a_mention_goes_from_the_staged_receive_to_the_reply(installation: Installation) -> None:
    gitlab = installation.gitlab
    headers, body = gitlab.note_hook(
        gitlab.note(PROJECT, "issue", 5, author_id=AUTHOR, body="@claude fix it")
    )
    signed = gitlab.sign(headers, body, SIGNING_TOKEN)
    port = installation.services["receive"].port
    assert request(port, "POST", signed | {"webhook-signature": "v1,AAAA"}, body).status == 401
    for _ in range(2):  # GitLab may send a delivery twice
        assert request(port, "POST", signed, body).status == 202
    installation.tasks.settle(60)
    assert len(gitlab.pipelines) == 1
    (call,) = [call for call in gitlab.calls if call.path.endswith("/trigger/pipeline")]
    assert call.json["variables"]["CLOUD_ML_REGION"] == "europe-west4"
    replies = [note["body"] for note in gitlab.notes.values() if note["author_id"] == OURS]
    assert len(replies) == 1
    assert "/-/pipelines/" in replies[0]
    assert gitlab.unknown_calls == []


def test_sweep_runs_and_takes_an_operator_s_order(installation: Installation) -> None:
    port = installation.services["sweep"].port
    for order, expected in ((b"{}", "found"), (b'{"replay": "all"}', "replayed")):
        answer = request(port, "POST", {"Content-Type": "application/json"}, order)
        assert (answer.status, expected in answer.body) == (200, True), answer.body


def test_no_token_is_in_what_the_functions_print(installation: Installation) -> None:
    printed = "".join(service.output() for service in installation.services.values())
    assert '"reason": "triggered"' in printed
    for secret in (SIGNING_TOKEN, API_TOKEN, TRIGGER_TOKEN):
        assert secret not in printed


def test_poison_is_an_error_in_the_log_which_an_alert_listens_to(
    installation: Installation,
) -> None:
    dispatch = installation.services["dispatch"]
    assert (
        request(dispatch.port, "POST", {"Content-Type": "application/json"}, b"poison").status
        >= 400
    )
    assert '"severity": "ERROR"' in dispatch.output()
    assert "poison" not in dispatch.output()


def test_a_cold_start_is_measured(
    python: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = Workspace(tmp_path / "w")
    answers = {"run services describe": "https://x.run.app"}
    assert workspace.build(answers).status == 0
    given = json.loads((workspace.folder / "build" / "env" / "receive.json").read_text())
    source = workspace.folder / "build" / "source"
    seconds = []
    for number in range(3):
        service = Service("receive", source, python, tmp_path / str(number), **given)
        try:
            service.wait_until_it_answers()
            assert request(service.port, "GET", {}, b"").status == 200
            seconds.append(time.perf_counter() - service.started)
        finally:
            service.stop()
    with capsys.disabled():
        print(
            f"\nGoogle, process start to first answer: receive {sorted(seconds)[1] * 1000:.0f} ms"
        )
    assert min(seconds) < 10  # GitLab waits so long
