"""An operator at work: a GitLab with a project and people, an installation, and what they type."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.__main__ import main
from functions.local.handlers import Local
from tests.support.gitlab.server import GitLab

OPERATOR, OTHER = 2, 3
TOKEN = "glpat-canary-of-the-operator"
KEY = "sk-ant-canary-of-the-model"
SECRETS = {"WEBHOOK_SECRETS": "webhook_secrets.json", "GITLAB_SECRETS": "gitlab_secrets.json"}


class Scene:
    """A project 7, `group/app`, of which user 2 is Maintainer; local unless told otherwise."""

    def __init__(self, gitlab: GitLab, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.gitlab, self.folder, self._capsys = gitlab, folder, capsys
        self.file, self.state = folder / "claude.env", folder / "state"
        gitlab.fire_hooks = True
        gitlab.user(OPERATOR, "olga")
        gitlab.project(7, "group/app", ci="none")
        gitlab.member(7, OPERATOR, 40)
        gitlab.api_token(TOKEN, OPERATOR)
        gitlab.files[7, "main"] = {"README.md": "An app"}

    def settings(self, **lines: str) -> None:
        """Write the settings file."""
        known = {"GITLAB_URL": self.gitlab.url, "STATE_DIR": str(self.state)} | lines
        self.file.write_text("".join(f"{name}={value}\n" for name, value in known.items()))

    def read(self) -> dict[str, str]:
        """Return the settings file's lines."""
        pairs = (line.partition("=") for line in self.file.read_text().splitlines())
        return {name: value for name, _, value in pairs}

    def run(self, command: str, *words: str) -> tuple[int, str]:
        """Type a command; return its exit status and what was shown."""
        self._capsys.readouterr()
        status = main([command, "--settings", str(self.file), *words])
        shown = self._capsys.readouterr()
        self.out = shown.out
        return status, shown.out + shown.err

    def setup(self, *words: str, place: tuple[str, str] = ("--project", "group/app")) -> str:
        """Connect the project; return what was shown."""
        status, shown = self.run("setup", *place, *words)
        assert status == 0, shown
        return shown

    def findings(self, *words: str) -> list[tuple[str, str]]:
        """Return name and reason of all that doctor finds."""
        status, shown = self.run("doctor", "--json", *words)
        found = json.loads(self.out)["findings"]
        assert status == bool(found), shown
        return [(each["check"], each["reason"]) for each in found]

    def document(self, name: str) -> dict[str, Any]:
        """Return a secret document of the local platform."""
        return dict(json.loads((self.state / SECRETS[name]).read_text() or "{}"))

    def merge(self) -> None:
        """Merge what setup proposes."""
        self.gitlab.files[7, "main"] = self.gitlab.files[7, "claude-setup"]
        self.gitlab.projects[7].branches.pop("claude-setup")
        for record in self.gitlab.merge_requests.values():
            record["state"] = "merged"

    def settle(self, seconds: float = 10.0) -> None:
        """Wait until each mention has its answer: of two, `setup` waits for the first only."""
        until = time.monotonic() + seconds
        while len(self.gitlab.notes) % 2 and time.monotonic() < until:
            time.sleep(0.05)

    def made(self) -> dict[str, int]:
        """Count what stands in GitLab."""
        gitlab = self.gitlab
        return {
            "hooks": len(gitlab.hooks),
            "trigger tokens": len(gitlab.trigger_tokens),
            "access tokens": len(gitlab.access_tokens),
            "variables": sum(map(len, gitlab.ci_variables.values())),
            "branches": len(gitlab.projects[7].branches),
            "open": sum(
                record["state"] == "opened"
                for record in (*gitlab.merge_requests.values(), *gitlab.issues.values())
            ),
            "notes": len(gitlab.notes),
        }


@contextmanager
def installation(folder: Path, gitlab: GitLab) -> Iterator[Local]:
    """The local platform in this process, as the settings file describes it, awaiting its setup."""
    environment = {"GITLAB_URL": gitlab.url, "URL": "http://127.0.0.1", "PORT": "0"}
    local = Local(environment | {"STATE_DIR": str(folder)})
    local.start()
    try:
        yield local
    finally:
        local.stop()


@contextmanager
def scene(folder: Path, capsys: pytest.CaptureFixture[str], **settings: str) -> Iterator[Scene]:
    """A scene with the local platform, which awaits its setup."""
    with GitLab() as gitlab:
        made = Scene(gitlab, folder, capsys)
        with installation(made.state, gitlab) as local:
            made.settings(URL=local.url, **settings)
            yield made
