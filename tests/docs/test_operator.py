"""The transcript is what setup shows, the unit is one that starts, the files are read as shown."""

import configparser
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.installation.settings import Settings
from shared.installation.settings_file import parse
from tests import ROOT
from tests.support.operator_scene import KEY, TOKEN, Scene, scene

OPERATOR, OWN = (ROOT / "docs" / name for name in ("operator.md", "self-managed.md"))
_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# What differs from run to run.
_VARYING = (
    (r"http://127\.0\.0\.1:\d+/", "https://claude.example.com/"),
    (r"http://127\.0\.0\.1:\d+", "https://gitlab.example.com"),
    (r"\b[0-9a-f]{8}\b", "0a1b2c3d"),
    (r"after \d+\.\d s", "after 0.1 s"),
)


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in _FENCED.findall(page.read_text()) if kind == language]


@pytest.fixture
def stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    monkeypatch.setenv("GITLAB_TOKEN", TOKEN)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    with scene(tmp_path, capsys) as made:
        yield made


def test_the_transcript_is_what_setup_shows(stage: Scene) -> None:
    stage.setup()
    shown = stage.out
    for pattern, told in _VARYING:
        shown = re.sub(pattern, told, shown)
    page = OPERATOR.read_text()
    assert shown == page.partition("transcript: setup -->\n```text\n")[2].partition("```")[0]


@pytest.mark.parametrize("page", [OPERATOR, ROOT / "README.md"], ids=["operator", "readme"])
def test_the_settings_files_that_are_shown_are_read(page: Path) -> None:
    shown = [text for text in blocks(page, "sh") if "PLATFORM=" in text]
    assert shown
    for text in shown:
        assert Settings.read(parse(text)).gitlab_url == "https://gitlab.example.com"


def test_the_unit_starts_a_service_that_awaits_its_setup(tmp_path: Path) -> None:
    unit = configparser.ConfigParser()
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(blocks(OWN, "ini")[0])
    service = unit["Service"]
    home, state = Path(service["WorkingDirectory"]), f"/var/lib/{service['StateDirectory']}"
    assert service["ExecStart"].startswith(f"{home}/.venv/bin/python ")
    given = dict(pair.split("=") for pair in service["Environment"].split())
    assert given == {"SETTINGS": f"{home}/claude.env", "STATE_DIR": state}
    (tmp_path / "claude.env").write_text("URL=https://claude.example.com\nPORT=0\n")
    environment = {"SETTINGS": str(tmp_path / "claude.env"), "STATE_DIR": str(tmp_path / "state")}
    command = [sys.executable, *service["ExecStart"].split()[1:]]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        said = process.stderr.readline() + process.stderr.readline()
        process.terminate()
    assert "Listening on http://127.0.0.1:" in said
    assert "make setup PROJECT=" in said


def test_the_container_copies_what_is_there() -> None:
    lines = next(text for text in blocks(OWN, "text") if "FROM" in text).splitlines()
    copied = [line.split()[1] for line in lines if line.startswith("COPY")]
    assert [path for path in copied if not (ROOT / path).exists()] == ["claude.env"]
    assert 'CMD ["python", "-m", "functions.local"]' in lines
