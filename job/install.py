"""Find the claude command in the image or the CI cache, or install it with npm."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from job import messages
from job.claude import PASSED_ON
from job.failures import Failure, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Callable

    from job.artifacts import Folders
    from job.job_log import Log

_PACKAGE = "@anthropic-ai/claude-code"
_NPM = (
    "npm_config_registry", "NPM_CONFIG_REGISTRY", "npm_config_cafile", "NPM_CONFIG_CAFILE",
    "NPM_CONFIG_USERCONFIG",
)  # fmt: skip
_LOGGED = 4000  # the last characters of what npm says
_VERSION_SECONDS = 60


def claude(
    version: str, environment: Mapping[str, str], package: Callable[[str, str], Path]
) -> str:
    """Return the path of the claude command in this version, "" being whatever the image has.

    `package` returns the folder of an npm package in a version. Raise Failure if there is none.
    """
    image = shutil.which("claude", path=environment.get("PATH"))
    if image and (not version or _version(image, environment) == version):
        return image
    if not version:
        raise Failure(Reason.TOOL_MISSING, name=messages.CLAUDE_COMMAND)
    program = str(package(_PACKAGE, version) / "node_modules" / ".bin" / "claude")
    if _version(program, environment) != version:
        raise Failure(Reason.INSTALL_FAILED, name=_PACKAGE, version=version)
    return program


def package(
    name: str, version: str, *, folders: Folders, environment: Mapping[str, str], log: Log
) -> Path:
    """Return the folder that holds an npm package in this version, from the cache if it is there.

    Raise Failure if it cannot be installed.
    """
    folder = folders.cache / f"{name.rpartition('/')[2]}-{version}"
    if (folder / "node_modules" / ".bin").is_dir():
        return folder
    npm = shutil.which("npm", path=environment.get("PATH"))
    if npm is None:
        raise Failure(Reason.TOOL_MISSING, name="npm")
    unfinished = folders.private / "installing"
    unfinished.mkdir()
    # npm installs where a package.json is; with --prefix it would also read a configuration there.
    (unfinished / "package.json").write_text('{"private": true}\n', encoding="utf-8")
    done = subprocess.run(
        [
            npm, "install", "--no-audit", "--no-fund", "--no-save", "--loglevel=error",
            f"{name}@{version}",
        ],
        env={
            # Packages run code of their own while they are installed: no secret is in their reach.
            **_passed_on(environment, *PASSED_ON, *_NPM),
            "HOME": environment.get("HOME", str(folders.private)),
            "npm_config_cache": str(folders.private / "npm"),
        },
        cwd=unfinished,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        log.line(done.stderr[-_LOGGED:])
        raise Failure(Reason.INSTALL_FAILED, name=name, version=version)
    unfinished.replace(folder)
    return folder


def _version(program: str, environment: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            [program, "--version"],
            env=_passed_on(environment, *PASSED_ON),
            capture_output=True,
            text=True,
            check=False,
            timeout=_VERSION_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.partition(" ")[0].strip()


def _passed_on(environment: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: environment[name] for name in names if name in environment}
