"""The real tools of the end-to-end tests: Claude Code, gitlab-ci-local, rsync.

They are installed once under .venv/, from a lock.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests import ROOT
from tests.support.job.programs import program

LOCK = Path(__file__).parent / "tools"
_LOCKED = ("package.json", "package-lock.json")
_INSTALL_SECONDS = 600
# gitlab-ci-local copies with it; no root is needed to unpack it.
_RSYNC = ("rsync", "libpopt0", "libxxhash0")
# Of JavaScript's engine in Claude Code, which does the same with it: a run of some seconds need not
# collect what it throws away nor compile what it does often: a third of its processor time.
_SHORT_LIVED = "BUN_JSC_useGC=0 BUN_JSC_thresholdForJITAfterWarmUp=100000"


class Tools(NamedTuple):
    """Where they are; `path` is a PATH that has them all, and `claude` only if asked for.

    `client` is the folder of a `claude` command that starts it with `_SHORT_LIVED`.
    """

    folder: Path
    claude: Path
    client: Path
    gitlab_ci_local: Path
    path: str


@cache
def missing() -> str:
    """Return why the end-to-end tests cannot run here, or nothing."""
    for name in ("node", "npm", "git"):
        if shutil.which(name) is None:
            return f"{name} is not installed"
    if sys.platform != "linux":
        return "the job runs on Linux"
    try:
        _installed()
    except (OSError, subprocess.SubprocessError) as error:
        return f"the tools could not be installed: {error}"
    return ""


def tools() -> Tools:
    """Return the tools; call only where nothing is missing."""
    return _installed()


@cache
def _installed() -> Tools:
    locked = b"".join((LOCK / name).read_bytes() for name in _LOCKED)
    digest = hashlib.sha256(locked)
    folder = ROOT / ".venv" / f"job-tools-{digest.hexdigest()[:12]}"
    folder.parent.mkdir(exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:  # two test runs may begin at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").is_file():
            _install(folder)
    bin_folder = folder / "node_modules" / ".bin"
    usual = os.pathsep.join(["/usr/local/bin", "/usr/bin", "/bin"])
    node = str(Path(shutil.which("node") or "").parent)
    path = os.pathsep.join([str(folder / "bin"), str(Path(sys.executable).parent), node, usual])
    claude = bin_folder / "claude"
    return Tools(folder, claude, _client(folder, claude), bin_folder / "gitlab-ci-local", path)


def _client(folder: Path, claude: Path) -> Path:
    path = folder / "client" / "claude"
    unfinished = path.with_suffix(f".{os.getpid()}")
    program(unfinished, f'{_SHORT_LIVED} exec "{claude}" "$@"').replace(path)
    return path.parent


def _install(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "bin").mkdir(parents=True)
    for name in _LOCKED:
        shutil.copy(LOCK / name, folder)
    kept = ("npm_config_", "https_proxy", "http_proxy", "no_proxy")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "npm_config_cache": str(folder / "npm"),
        **{name: value for name, value in os.environ.items() if name.lower().startswith(kept)},
    }
    _run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], folder, environment)
    shutil.rmtree(folder / "npm", ignore_errors=True)
    if shutil.which("rsync") is None:
        _unpack_rsync(folder)
    (folder / "done").touch()


@cache
def busybox() -> Path | None:
    """Return busybox, whose tools are Alpine's, or None where it cannot be had."""
    installed = shutil.which("busybox")
    folder = tools().folder / "busybox"
    unpacked = folder / "root" / "bin" / "busybox"
    with tools().folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not installed and not unpacked.is_file():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            try:
                _unpack(folder, "busybox-static")
            except (OSError, subprocess.SubprocessError):
                return None
    return Path(installed) if installed else unpacked


def _unpack(folder: Path, *packages: str) -> None:
    debs = folder / "debs"
    debs.mkdir()
    _run(["apt-get", "download", *packages], debs, dict(os.environ))
    for deb in debs.glob("*.deb"):
        _run(["dpkg", "-x", str(deb), str(folder / "root")], debs, dict(os.environ))


def _unpack_rsync(folder: Path) -> None:
    _unpack(folder, *_RSYNC)
    libraries = next((folder / "root" / "usr" / "lib").glob("*-linux-gnu"))
    wrapper = folder / "bin" / "rsync"
    wrapper.write_text(
        f'#!/bin/sh\nLD_LIBRARY_PATH={libraries} exec {folder}/root/usr/bin/rsync "$@"\n'
    )
    wrapper.chmod(0o755)


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    subprocess.run(
        command,
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
        timeout=_INSTALL_SECONDS,
    )
