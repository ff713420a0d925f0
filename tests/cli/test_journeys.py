"""The README's own commands lead from nothing to a mention that starts a pipeline, and back.

Each line is put through the real Makefile (`make --dry-run`), and what it would run is run here:
the clouds' tools are noted, the stack is moto's, gcloud is played (tests/cli/test_google.py).
"""

import json
import re
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from cli import aws as cli_aws
from cli import deploy as deploying
from cli.api import Api
from functions.aws import adapters
from functions.local.handlers import Local
from tests import ROOT
from tests.cli.test_google import deployed
from tests.cli.test_google import folder as folder  # noqa: PLC0414  a fixture
from tests.support.operator_scene import OPERATOR, SECRETS, TOKEN, Scene, installation

_BLOCKS = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_MOST = 6  # commands on the way, for each cloud
# GitLab's version, its tier, whether it is GitLab.com; and how deliveries are shown to be its own.
EDITIONS = {
    "com-free": ("19.3.0", "free", True, "signing_tokens"),
    "com-premium": ("19.3.0", "premium", True, "signing_tokens"),
    "own-16": ("16.11.0", "free", False, "secret_tokens"),
    "own-17": ("17.5.0", "free", False, "secret_tokens"),
    "own-18": ("18.11.1", "premium", False, "secret_tokens"),
    "own-19": ("19.0.0", "free", False, "signing_tokens"),
}
_VINTAGES = {"16": "2023", "17": "18.1", "18": "18.1", "19": "19"}


def commands(platform: str) -> list[str]:
    """Return the README's lines for a platform, from deploying on."""
    text = (ROOT / "README.md").read_text()
    way = text.partition("## 2. Deploy")[2].partition("## 4. ")[0]
    lines = [
        line.partition("#")[0].strip()
        for part in _BLOCKS.findall(way)
        for line in part.splitlines()
    ]
    others = {"local": ("aws", "gcp"), "aws": ("gcp", "run"), "google": ("aws", "run")}[platform]
    return [line for line in lines if line and not re.search("|".join(others), line)]


def typed(stage: Scene, line: str) -> None:
    """Do what a line of the README makes `make` do: in this process, after make has spelt it out."""
    words = [*shlex.split(line), "--dry-run", "--silent", f"SETTINGS={stage.file}", "VENV=no"]
    told = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    ours = [each for each in told.splitlines() if " -m cli " in each]
    assert ours or "functions.local" in told, told
    for each in ours:
        command, *rest = shlex.split(each.partition(" -m cli ")[2])
        at = rest.index("--settings")
        status, shown = stage.run(command, *rest[:at], *rest[at + 2 :])
        assert status == 0, shown


@contextmanager
def locally(stage: Scene, _: Path) -> Iterator[None]:
    """The scene's own installation, which `make run` would have started."""
    stage.settings(URL=stage.read()["URL"], PLATFORM="local")
    yield


@contextmanager
def on_google(stage: Scene, home: Path) -> Iterator[None]:
    """Services that gcloud knows; the functions read what Secret Manager holds."""
    with functions(
        stage, {name: home / f"claude-{name}".replace("_", "-") for name in _FILES}
    ) as made:
        deployed(home, made.url, GITLAB_URL=stage.gitlab.url)
        stage.settings(PLATFORM="google", PROJECT_ID="p")
        yield


@contextmanager
def on_aws(stage: Scene, home: Path) -> Iterator[None]:
    """A stack in moto, whose secrets the functions see as files."""
    adapters.client.cache_clear()
    files = {name: home / name for name in _FILES}
    aws = mock_aws(config={"core": {"reset_boto3_session": False}})  # it reads its models once
    with aws, functions(stage, files) as made, pytest.MonkeyPatch.context() as patch:
        for name in _FILES:
            boto3.client("secretsmanager").create_secret(Name=name, SecretString="{}")
        outputs = {"WebhookUrl": made.url, "WebhookSecrets": _FILES[0], "GitLabSecrets": _FILES[1]}
        template = {
            "Parameters": {"GitLabUrl": {"Type": "String", "Default": stage.gitlab.url}},
            "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
            "Outputs": {name: {"Value": value} for name, value in outputs.items()},
        }
        formation = boto3.client("cloudformation")
        formation.create_stack(StackName="claude", TemplateBody=json.dumps(template))
        write = cli_aws.Aws.write

        def both(self: cli_aws.Aws, document: str, text: str) -> None:
            write(self, document, text)
            files[document.lower()].write_text(self.read(document))

        patch.setattr(cli_aws.Aws, "write", both)
        stage.settings(PLATFORM="aws")
        yield
    adapters.client.cache_clear()


_FILES = tuple(name.removesuffix(".json") for name in SECRETS.values())


@contextmanager
def functions(stage: Scene, stored: dict[str, Path]) -> Iterator[Local]:
    """The functions in this process, which read the secrets where a cloud has them."""
    state = stage.folder / "functions"
    state.mkdir()
    for name, file in stored.items():
        (state / f"{name}.json").symlink_to(file)
    with installation(state, stage.gitlab) as made:
        yield made


PLATFORMS: dict[str, Callable[[Scene, Path], AbstractContextManager[None]]] = {
    "local": locally,
    "google": on_google,
    "aws": on_aws,
}
# Each edition and role on one machine, and on the clouds the two editions that differ most.
WAYS = [
    *(("local", edition, level) for edition in EDITIONS for level in (30, 40, 50)),
    *((cloud, edition, 40) for cloud in ("aws", "google") for edition in ("com-free", "own-19")),
]


@pytest.mark.parametrize(("platform", "edition", "level"), WAYS)
def test_from_nothing_to_a_pipeline_by_the_readme_s_commands(
    stage: Scene,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    platform: str,
    edition: str,
    level: int,
) -> None:
    gitlab, signs = stage.gitlab, EDITIONS[edition][3]
    gitlab.version, gitlab.tier, gitlab.saas, _ = EDITIONS[edition]
    gitlab.hook_vintage = _VINTAGES[gitlab.version[:2]]
    gitlab.admit(7, OPERATOR, level)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(deploying, "run", lambda *_: None)
    lines = commands(platform)
    assert len(lines) <= _MOST
    with PLATFORMS[platform](stage, folder):
        *deploy, setup = lines
        for line in deploy:
            typed(stage, line)
        if level < 40:
            status, shown = stage.run("setup", "--project", "group/app")
            assert (status, "a Maintainer has to run this" in shown) == (2, True)
            assert {call.method for call in gitlab.calls} == {"GET"}
            return
        typed(stage, setup)
        stage.merge()
        gitlab.projects[7].ci = "ours"
        mention(stage)
        (hook,) = gitlab.hooks.values()
        assert bool(hook.get("signing_token")) == (signs == "signing_tokens")
        assert stage.run("remove", "--project", "group/app")[0] == 0
    left = stage.made()
    assert not any(left[each] for each in ("hooks", "trigger tokens", "access tokens", "variables"))
    assert not gitlab.accounts
    assert list(gitlab.api_tokens) == [TOKEN]


def mention(stage: Scene) -> None:
    """Ask as the last line of setup says, and wait for the pipeline."""
    (issue,) = stage.gitlab.issues.values()
    notes = f"/projects/7/issues/{issue['iid']}/notes"
    Api(stage.gitlab.url, TOKEN).post(notes, body="@claude explain what this project does")
    until = time.monotonic() + 10
    while not stage.gitlab.pipelines and time.monotonic() < until:
        time.sleep(0.02)
    (pipeline,) = stage.gitlab.pipelines.values()
    assert pipeline["project_id"] == 7
