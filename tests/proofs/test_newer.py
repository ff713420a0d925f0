"""`make update`, with stand-ins of the clients: nobody outside is asked."""

import re
from pathlib import Path

import pytest

from tests import ROOT
from tests.proofs import newer
from tests.support.job.programs import program
from tests.support.job.runner import component


@pytest.fixture
def clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(newer, "NPM", (str(tmp_path / "npm"),))
    monkeypatch.setattr(newer, "PIP", (str(tmp_path / "pip"),))
    monkeypatch.setattr(newer, "DOCKER", (str(tmp_path / "docker"),))
    return tmp_path


def test_everything_that_is_pinned_is_asked_for(clients: Path) -> None:
    del clients
    pins = {pin.name: pin.pinned for pin in newer.pins()}
    assert pins.keys() > {
        "@anthropic-ai/claude-code",
        "@zereight/mcp-gitlab",
        "gitlab-ci-local",
        "node:24-bookworm",
        "python:3.13-slim",
        "python:3.13-bookworm",
        "gcr.io/google.com/cloudsdktool/google-cloud-cli:slim",
        "python-gitlab",
        "boto3",
        "moto",
        "ruff",
        "aws-sam-cli",
    }
    images = {name for name in pins if ":" in name}
    assert len(images) == 4
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", pins[image]) for image in images)
    assert all(pin[0].isdigit() for name, pin in pins.items() if name not in images)
    version = component()[0]["claude_version"]["default"]
    assert pins["@anthropic-ai/claude-code"] == version


@pytest.mark.parametrize("name", newer.IMAGES)
def test_no_image_goes_without_its_digest(name: str) -> None:
    """Of GitLab's own program that makes a release no digest could be confirmed."""
    named = re.findall(
        r"^ *(?:name: |image: |FROM |default: )([\w./-]+:[\d\w.-]+(?:@\S+)?)(?: #.*)?$",
        (ROOT / name).read_text(),
        re.MULTILINE,
    )
    assert named
    assert {image for image in named if "@sha256:" not in image} <= {"gitlab/glab:v1.122.0"}


def test_what_is_newer_is_told_with_the_place_to_change(
    clients: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program(clients / "npm", "echo 999.0.0")
    program(clients / "pip", 'echo "$1 (0.0.1)"; echo "Available versions: 0.0.1"')
    program(clients / "docker", "echo sha256:abc")
    assert newer.main() == 0
    said = capsys.readouterr().out
    assert "999.0.0  (templates/claude.yml, job/locks" in said
    assert "sha256:abc  (cloudbuild.yaml, docs/self-managed.md)" in said
    count = len(list(newer.pins()))
    assert f"{count} newer, 0 could not be asked, of {count}" in said


def test_without_a_network_it_says_what_could_not_be_asked(
    clients: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program(clients / "npm", "echo no network >&2; exit 1")
    program(clients / "pip", "exit 0")
    assert newer.main() == 0
    said = capsys.readouterr().out
    count = len(list(newer.pins()))
    assert f"0 newer, {count} could not be asked, of {count}" in said
    assert "@anthropic-ai/claude-code" in said
