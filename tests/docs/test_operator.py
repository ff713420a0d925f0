"""The transcript is what setup shows, the unit is one that starts, the files are read as shown."""

import configparser
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from shared.incoming.delivery import MAX_BODY
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
    said = started(command, ROOT, environment)
    assert "Listening on http://127.0.0.1:" in said
    assert "make setup PROJECT=" in said


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if not analyze:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "claude.service"
    home = tmp_path / "claude/.venv/bin"
    home.mkdir(parents=True)
    (home / "python").symlink_to(sys.executable)
    unit.write_text(blocks(OWN, "ini")[0].replace("/opt/claude", str(tmp_path / "claude")))
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    ours = [line for line in done.stderr.splitlines() if "claude" in line]
    assert (ours, done.returncode) == ([], 0), done.stderr


_NGINX = """
{user}
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    server {{
        listen 127.0.0.1:{port};
        {lines}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, behind: int) -> Iterator[str]:
    """Serve what listens on a port behind nginx with the page's lines; yield the address."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if not program:
        pytest.skip("nginx is not installed")
    lines = next(text for text in blocks(OWN, "text") if "proxy_pass" in text)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    lines = lines.replace("127.0.0.1:8080", f"127.0.0.1:{behind}")
    configuration = folder / "nginx.conf"
    user = "" if os.geteuid() else "user root;"  # whose the folder is
    text = _NGINX.format(user=user, folder=folder, port=port, lines=lines)
    configuration.write_text(text)
    command = [program, "-p", str(folder), "-c", str(configuration), "-e", "stderr"]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    with subprocess.Popen([*command, "-g", "daemon off;"], stderr=subprocess.PIPE) as process:
        try:
            wait_for(port)
            yield f"http://127.0.0.1:{port}/"
        finally:
            process.terminate()


def wait_for(port: int) -> None:
    until = time.monotonic() + 5
    while time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.02)


def test_through_nginx_a_mention_is_answered_and_the_largest_delivery_arrives(
    stage: Scene, tmp_path: Path
) -> None:
    behind = int(stage.read()["URL"].rpartition(":")[2].rstrip("/"))
    (tmp_path / "nginx").mkdir()
    with nginx(tmp_path / "nginx", behind) as url:
        stage.settings(URL=url)
        assert "@claude help was answered" in stage.setup()
        for size, status in ((MAX_BODY, 401), (MAX_BODY + 1, 413)):
            with pytest.raises(HTTPError) as refused:
                urlopen(Request(url, b" " * size, {"X-Gitlab-Token": "x"}), timeout=10)  # noqa: S310
            assert (refused.value.code, b"outcome" in refused.value.read()) == (status, True)


def test_the_container_s_steps_make_a_server_that_starts(tmp_path: Path) -> None:
    """Without a builder: its COPYs into a folder, and its CMD there, with this Python."""
    lines = next(text for text in blocks(OWN, "text") if "FROM" in text).splitlines()
    (tmp_path / "claude.env").write_text("URL=https://claude.example.com\nPORT=0\n")
    home = tmp_path / "opt"
    home.mkdir()
    for _, source, target in (line.split() for line in lines if line.startswith("COPY")):
        there = tmp_path / source if source == "claude.env" else ROOT / source
        into = home / (target if target != "." else there.name)
        if there.is_dir():
            shutil.copytree(there, into, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(there, into)
    command = json.loads(next(line for line in lines if line.startswith("CMD"))[4:])
    words = next(line for line in lines if line.startswith("ENV")).split()[1:]
    given = dict(word.split("=") for word in words)
    (volume,) = (line.split()[1] for line in lines if line.startswith("VOLUME"))
    assert given == {"SETTINGS": "claude.env", "STATE_DIR": volume}
    given["STATE_DIR"] = str(tmp_path / "state")
    said = started([sys.executable, *command[1:]], home, given)
    assert "Listening on http://127.0.0.1:" in said
    assert (tmp_path / "state").is_dir()


def started(command: list[str], home: Path, environment: dict[str, str]) -> str:
    """Start a server in a folder, with these variables alone; return what it says first."""
    with subprocess.Popen(
        command,
        cwd=home,
        env={"PATH": os.environ["PATH"], **environment},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        said = process.stderr.readline() + process.stderr.readline()
        process.terminate()
    return said


def test_the_container_copies_what_is_there() -> None:
    lines = next(text for text in blocks(OWN, "text") if "FROM" in text).splitlines()
    copied = [line.split()[1] for line in lines if line.startswith("COPY")]
    assert [path for path in copied if not (ROOT / path).exists()] == ["claude.env"]
    assert 'CMD ["python", "-m", "functions.local"]' in lines
