"""The claude command: the image's, the cache's or npm's, in the version that was asked for."""

from functools import partial
from pathlib import Path

import pytest

from job import install
from job.artifacts import Folders
from job.failures import Failure
from job.job_log import Log
from tests.support.job.programs import program

# It refuses to see a secret, and notes that it ran.
NPM = """test -z "$GITLAB_ACCESS_TOKEN" || exit 9
test -f package.json || exit 8
mkdir -p "$PWD/node_modules/.bin"
printf '#!/bin/sh\\necho "2.1.330 (Claude Code)"\\n' > "$PWD/node_modules/.bin/claude"
chmod +x "$PWD/node_modules/.bin/claude"
echo once >> "$(dirname "$0")/installed"
"""


class Image:
    """An image with these programs; `lines` is the job's log."""

    def __init__(self, folder: Path, **programs: str) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name, script in programs.items():
            program(self.bin / name, script)
        path = f"{self.bin}:/usr/bin:/bin" if programs else str(self.bin)
        self.environment = {"PATH": path, "GITLAB_ACCESS_TOKEN": "canary"}
        self.folders = Folders(folder / "private", folder / "private" / "cache")
        self.folders.cache.mkdir(parents=True)
        self.lines: list[str] = []

    def claude(self, version: str) -> str:
        log = Log(self.lines.append, lambda: 0.0)
        package = partial(
            install.package, folders=self.folders, environment=self.environment, log=log
        )
        return install.claude(version, self.environment, package)


def test_claude_is_installed_once_and_without_secrets(tmp_path: Path) -> None:
    image = Image(tmp_path, npm=NPM)
    installed = image.folders.cache / "claude-code-2.1.330" / "node_modules" / ".bin" / "claude"
    assert image.claude("2.1.330") == image.claude("2.1.330") == str(installed)
    assert (image.bin / "installed").read_text() == "once\n"


def test_the_image_s_claude_is_taken_if_it_is_the_version_or_any_will_do(tmp_path: Path) -> None:
    image = Image(tmp_path, claude='echo "2.1.330 (Claude Code)"', npm="exit 1")
    assert image.claude("2.1.330") == image.claude("") == str(image.bin / "claude")
    with pytest.raises(Failure, match=r"2\.1\.331 could not be installed"):
        image.claude("2.1.331")


def test_where_any_will_do_the_image_has_to_have_one(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="no claude command, and the input claude_version is empty"):
        Image(tmp_path).claude("")


def test_an_image_without_npm_is_said(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="no npm"):
        Image(tmp_path).claude("2.1.330")


def test_npm_s_words_are_in_the_log(tmp_path: Path) -> None:
    image = Image(tmp_path, npm="echo 'npm error 404' >&2; exit 1")
    with pytest.raises(Failure, match=r"2\.1\.330 could not be installed"):
        image.claude("2.1.330")
    assert "npm error 404" in "".join(image.lines)


def test_another_version_than_was_asked_for_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"2\.1\.331 could not be installed"):
        Image(tmp_path, npm=NPM).claude("2.1.331")
