"""The claude command: the image's, the cache's or npm's, in the version that was asked for."""

import json
from functools import partial
from pathlib import Path

import pytest

from job import install
from job.failures import Failure
from job.folders import Folders
from job.identity import Identity
from job.job_log import Log
from tests.support.job.programs import program

# It refuses to see a secret or a configuration of the repository, and notes how it was called.
NPM = """test -z "$GITLAB_ACCESS_TOKEN" || exit 9
test -f package.json || exit 8
test ! -f .npmrc || exit 7
cat "$NPM_CONFIG_USERCONFIG" > "$(dirname "$0")/config"
machine=$(uname -m | sed "s/x86_64/x64/; s/aarch64/arm64/")
made="$PWD/node_modules/@anthropic-ai/claude-code-linux-$machine"
mkdir -p "$made"
printf '#!/bin/sh\\necho "2.1.332 (Claude Code)"\\n' > "$made/claude"
chmod +x "$made/claude"
echo "$@" >> "$(dirname "$0")/installed"
"""
NOBODY = Identity("", 0, (0, 0), None)


class Image:
    """An image with these programs; `lines` is the job's log."""

    def __init__(self, folder: Path, **programs: str) -> None:
        self.bin = folder / "bin"
        self.bin.mkdir()
        for name, script in programs.items():
            program(self.bin / name, script)
        path = f"{self.bin}:/usr/bin:/bin" if programs else str(self.bin)
        self.environment = {"PATH": path, "GITLAB_ACCESS_TOKEN": "canary", "HOME": str(folder)}
        base = folder / "job"
        self.folders = Folders(base / "private", base / "cache", base / "claude")
        for made in self.folders:
            made.mkdir(parents=True)
        self.lines: list[str] = []

    def claude(self, version: str) -> str:
        log = Log(self.lines.append, lambda: 0.0)
        package = partial(install.package, self.folders, NOBODY, self.environment, log)
        return install.claude(version, NOBODY, self.environment, package)


def test_claude_is_installed_once_from_a_lock_and_without_secrets_or_scripts(
    tmp_path: Path,
) -> None:
    image = Image(tmp_path, npm=NPM)
    (tmp_path / ".npmrc").write_text("registry=https://registry.example.com/\n")
    installed = image.claude("2.1.332")
    assert installed.startswith(str(image.folders.cache / "claude-code-2.1.332"))
    assert image.claude("2.1.332") == installed
    (called,) = (image.bin / "installed").read_text().splitlines()
    assert called.startswith("ci --ignore-scripts ")
    assert (image.bin / "config").read_text() == "registry=https://registry.example.com/\n"
    assert not list(image.folders.cache.rglob("npmrc"))


def test_a_version_without_a_lock_is_installed_and_told(tmp_path: Path) -> None:
    image = Image(tmp_path, npm=NPM.replace("2.1.332", "2.1.331"))
    assert image.claude("2.1.331")
    assert "--ignore-scripts" in (image.bin / "installed").read_text()
    assert "No hash of @anthropic-ai/claude-code 2.1.331 is known here" in "".join(image.lines)


def test_a_configuration_in_the_repository_is_not_npm_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = Image(tmp_path, npm=NPM)
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / ".npmrc").write_text("registry=https://evil.example/\n")
    monkeypatch.chdir(tree)
    image.environment["NPM_CONFIG_USERCONFIG"] = str(tree / ".npmrc")
    assert image.claude("2.1.332")
    assert (image.bin / "config").read_text() == ""


@pytest.mark.parametrize("lock", sorted(Path(install.__file__).parent.glob("locks/*.json")))
def test_every_package_of_a_lock_has_a_version_and_a_strong_hash(lock: Path) -> None:
    packages = json.loads(lock.read_text())["packages"]
    assert len(packages) > 1
    for name, package in packages.items():
        assert not name or package["version"]
        assert not name or package["integrity"].startswith("sha512-"), name


def test_the_image_s_claude_is_taken_if_it_is_the_version_or_any_will_do(tmp_path: Path) -> None:
    image = Image(tmp_path, claude='echo "2.1.332 (Claude Code)"', npm="exit 1")
    assert image.claude("2.1.332") == image.claude("") == str(image.bin / "claude")
    with pytest.raises(Failure, match=r"2\.1\.333 could not be installed"):
        image.claude("2.1.333")


def test_where_any_will_do_the_image_has_to_have_one(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="no claude command, and the input claude_version is empty"):
        Image(tmp_path).claude("")


def test_an_image_without_npm_is_said(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="no npm"):
        Image(tmp_path).claude("2.1.332")


def test_npm_s_words_are_in_the_log(tmp_path: Path) -> None:
    image = Image(tmp_path, npm="echo 'npm error 404' >&2; exit 1")
    with pytest.raises(Failure, match=r"2\.1\.332 could not be installed"):
        image.claude("2.1.332")
    assert "npm error 404" in "".join(image.lines)


def test_another_version_than_was_asked_for_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"2\.1\.333 could not be installed"):
        Image(tmp_path, npm=NPM).claude("2.1.333")
