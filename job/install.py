"""Bring the claude command: the image's, the CI cache's or npm's; it runs nothing else."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from job.claude import PASSED_ON
from job.outcome import Ending, Failure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Callable

    from job.artifacts import Folders
    from job.log import Log

_PACKAGE = "@anthropic-ai/claude-code"
_NPM = (
    "npm_config_registry",
    "NPM_CONFIG_REGISTRY",
    "npm_config_cafile",
    "NPM_CONFIG_CAFILE",
    "NPM_CONFIG_USERCONFIG",
)


def claude(version: str, given: Mapping[str, str], package: Callable[[str, str], Path]) -> str:
    """Return the path of the claude command in this version, installed if need be; "" takes whatever the image has."""
    image = shutil.which("claude", path=given.get("PATH"))
    if image and (not version or _version(image, given) == version):
        return image
    if not version:
        raise Failure(
            Ending.TOOL_MISSING, name="claude command, and the input claude_version is empty"
        )
    program = str(package(_PACKAGE, version) / "node_modules" / ".bin" / "claude")
    if _version(program, given) != version:
        raise Failure(Ending.INSTALL_FAILED, name=_PACKAGE, version=version)
    return program


def package(
    name: str, version: str, *, folders: Folders, given: Mapping[str, str], log: Log
) -> Path:
    """Return the folder that holds an npm package in this version; install it there unless it is cached."""
    place = folders.cache / f"{name.rpartition('/')[2]}-{version}"
    if (place / "node_modules" / ".bin").is_dir():
        return place
    npm = shutil.which("npm", path=given.get("PATH"))
    if npm is None:
        raise Failure(Ending.TOOL_MISSING, name="npm")
    unfinished = folders.private / "installing"
    unfinished.mkdir()
    # npm installs where a package.json is. With --prefix it would look for the image's own configuration there, too.
    (unfinished / "package.json").write_text('{"private": true}\n', encoding="utf-8")
    # Packages run code of their own while they are installed: they get no secret to run it with.
    variables = {key: given[key] for key in (*PASSED_ON, *_NPM) if key in given}
    variables |= {
        "HOME": given.get("HOME", str(folders.private)),
        "npm_config_cache": str(folders.private / "npm"),
    }
    command = [npm, "install", "--no-audit", "--no-fund", "--no-save", "--loglevel=error"]
    done = subprocess.run(
        [*command, f"{name}@{version}"], env=variables, cwd=unfinished, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        log.line(done.stderr[-4000:])
        raise Failure(Ending.INSTALL_FAILED, name=name, version=version)
    unfinished.replace(place)
    return place


def _version(program: str, given: Mapping[str, str]) -> str:
    variables = {key: given[key] for key in PASSED_ON if key in given}
    try:
        done = subprocess.run(
            [program, "--version"], env=variables, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.partition(" ")[0].strip()
