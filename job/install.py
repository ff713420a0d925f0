"""Find the claude command in the image or the CI cache, or install it with npm."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from job import messages
from job.claude import PASSED_ON
from job.failures import Failure, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Callable

    from job.folders import Folders
    from job.identity import Identity
    from job.job_log import Log

_PACKAGE = "@anthropic-ai/claude-code"
_LOCKS = Path(__file__).parent / "locks"  # package-lock.json of what is pinned, hashes and all
_NPM = ("npm_config_registry", "NPM_CONFIG_REGISTRY", "npm_config_cafile", "NPM_CONFIG_CAFILE")
_USER_CONFIG = "NPM_CONFIG_USERCONFIG"
_MACHINES = {"x86_64": "x64", "aarch64": "arm64"}
_LOGGED = 4000  # the last characters of what npm says
_VERSION_SECONDS = 60


def claude(
    version: str,
    identity: Identity,
    environment: Mapping[str, str],
    package: Callable[[str, str], Path],
) -> str:
    """Return the path of the claude command in this version, "" being whatever the image has.

    `package` returns the folder of an npm package in a version. Raise Failure if there is none.
    """
    image = shutil.which("claude", path=environment.get("PATH"))
    if image and (not version or _version(image, identity, environment) == version):
        return image
    if not version:
        raise Failure(Reason.TOOL_MISSING, name=messages.CLAUDE_COMMAND)
    # The package's own script would put the program of this machine in its place: it is taken
    # where it lies, and no script of a package ever runs.
    machine = _MACHINES.get(platform.machine(), platform.machine())
    packages = package(_PACKAGE, version) / "node_modules" / "@anthropic-ai"
    for name in (f"claude-code-linux-{machine}", f"claude-code-linux-{machine}-musl"):
        program = str(packages / name / "claude")
        if _version(program, identity, environment) == version:
            return program
    raise Failure(Reason.INSTALL_FAILED, name=_PACKAGE, version=version)


def package(
    folders: Folders,
    identity: Identity,
    environment: Mapping[str, str],
    log: Log,
    name: str,
    version: str,
) -> Path:
    """Return the folder that holds an npm package in this version, from the cache if it is there.

    It comes from a lock of ours, and npm checks the hashes; a version that we have no lock for is
    taken as the registry gives it, and the log says so. Raise Failure if it cannot be installed.
    """
    short = name.rpartition("/")[2]
    folder = folders.cache / f"{short}-{version}"
    if (folder / "node_modules").is_dir():
        return folder
    npm = shutil.which("npm", path=environment.get("PATH"))
    if npm is None:
        raise Failure(Reason.TOOL_MISSING, name="npm")
    unfinished = folders.claude / "installing"
    unfinished.mkdir()
    what = _described(unfinished, short, version)
    if not what:
        what = ["install", "--no-save", f"{name}@{version}"]
        log.line(messages.NO_HASH.format(name=name, version=version))
    user_config = _user_config(unfinished, environment)
    identity.give(unfinished)
    done = subprocess.run(
        identity.command(
            npm, *what, "--ignore-scripts", "--no-bin-links", "--no-audit", "--no-fund",
            "--loglevel=error",
        ),
        env={
            **_passed_on(environment, *PASSED_ON, *_NPM),
            _USER_CONFIG: str(user_config),
            "HOME": str(unfinished),
            "npm_config_cache": str(unfinished / ".npm"),
        },
        cwd=unfinished,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    identity.take(unfinished)
    if done.returncode:
        log.line(done.stderr[-_LOGGED:])
        raise Failure(Reason.INSTALL_FAILED, name=name, version=version)
    shutil.rmtree(unfinished / ".npm", ignore_errors=True)
    user_config.unlink()
    unfinished.replace(folder)
    return folder


def _described(folder: Path, short: str, version: str) -> list[str]:
    """Write what npm is to install; return its command, or nothing if there is no lock for it.

    npm installs where a package.json is, and looks for a configuration of the project there only.
    """
    lock = _LOCKS / f"{short}-{version}.json"
    if not lock.is_file():
        (folder / "package.json").write_text('{"private": true}\n', encoding="utf-8")
        return []
    text = lock.read_text(encoding="utf-8")
    root = {"private": True, **json.loads(text)["packages"][""]}
    (folder / "package.json").write_text(json.dumps(root), encoding="utf-8")
    (folder / "package-lock.json").write_text(text, encoding="utf-8")
    return ["ci"]


def _user_config(folder: Path, environment: Mapping[str, str]) -> Path:
    """Copy npm's configuration of the user, who may have a registry, to where npm can read it.

    One in the work tree is the repository's: it is not obeyed.
    """
    named = environment.get(_USER_CONFIG) or environment.get(_USER_CONFIG.lower())
    path = Path(named or Path(environment.get("HOME", "/")) / ".npmrc").resolve()
    copy = folder / "npmrc"
    copy.touch(mode=0o600)
    if path.is_file() and not path.is_relative_to(Path.cwd().resolve()):
        shutil.copyfile(path, copy)
    return copy


def _version(program: str, identity: Identity, environment: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            identity.command(program, "--version"),
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
