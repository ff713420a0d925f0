"""Who Claude is: another user, or the same one shut off from the job, and what belongs to them.

What can be had depends on the runner, so each way is tried, and the one that a probe finds good is
taken. `job/confine.py` does the work.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from job import confine, messages, signing
from job.failures import Failure, Reason
from job.home import served

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from job.folders import Folders
    from job.inputs import Inputs
    from job.job_log import Log

# Numbers that no distribution gives to anybody: https://systemd.io/UIDS-GIDS/
_FIRST_USER, _USERS = 60578, 128
_PROBE_SECONDS = 20
_CONFINE = (sys.executable, "-I", "-S", "-B", confine.__file__)
# What each way takes, the best first. Root alone has other users, and Landlock hides nothing from
# it.
_WAYS_OF_ROOT = {
    messages.AS_USER: ["user"],
    messages.AS_USER_CONFINED: ["user", "landlock"],
    messages.IN_NAMESPACE: ["namespace"],
}
_WAYS: dict[str, list[str]] = {
    messages.IN_NAMESPACE: ["namespace"],
    messages.IN_LANDLOCK: ["landlock"],
    messages.UNREADABLE: [],
}


class Identity(NamedTuple):
    """How a command is started so that it cannot reach the job; `way` is for the log.

    `user` is the number of another user, or 0; `owner` has the work tree otherwise, as uid and gid.
    `spec` is None where nothing protects the job.
    """

    way: str
    user: int
    owner: tuple[int, int]
    spec: Mapping[str, object] | None

    def command(self, *arguments: str) -> list[str]:
        """Return the command line that starts this one."""
        if self.spec is None:
            return list(arguments)
        return [*_CONFINE, json.dumps(self.spec), *arguments]

    def give(self, *folders: Path) -> None:
        """Let these folders, with all in them, be Claude's."""
        if self.user:
            for path in _all(folders):
                # A file with a second name elsewhere stays whose it is.
                if path.is_dir() or path.is_symlink() or path.lstat().st_nlink == 1:
                    os.lchown(path, self.user, self.user)

    def take(self, *folders: Path) -> None:
        """Take these folders back for who had the work tree."""
        if self.user:
            for path in _all(folders):
                if path.lstat().st_uid == self.user:
                    os.lchown(path, *self.owner)

    def end(self, folder: Path, home: Path) -> None:
        """End what Claude has left running and take back the work tree and its home.

        A link that it left at home would lead the job, which reads there, to what it could not.
        """
        confine.end_children()
        self.take(folder, home)
        for path in [path for path in _all([home]) if path.is_symlink()]:
            path.unlink()


def choose(
    folder: Path, folders: Folders, environment: Mapping[str, str], inputs: Inputs, log: Log
) -> Identity:
    """Return the first way that protects the job here, and say in the log which it is.

    `folder` is the work tree, `environment` the job's own. Raise Failure where nothing protects the
    job, commands are allowed, and the inputs do not accept that.
    """
    secrets = [*_runner_files(folder, environment), *map(str, Path("/").glob("scripts-*"))]
    secrets += signing.file(inputs, environment)
    secrets += _of_others(folder, folders, environment)
    common = {
        **_views(folder, folders, environment, secrets),
        "read": str(folders.cache),
        "folder": str(folder),
        "pids": confine.lineage(),
    }
    owner = folder.stat().st_uid, folder.stat().st_gid
    found = Identity(messages.UNPROTECTED_WAY, 0, owner, None)
    for way, wanted in (_WAYS if os.geteuid() else _WAYS_OF_ROOT).items():
        user = _free_user(environment) if "user" in wanted else 0
        kinds = {kind: kind in wanted for kind in ("namespace", "landlock")}
        probed = [*secrets, str(folders.private)] if wanted else secrets
        tried = Identity(way, user, owner, {**common, **kinds, "uid": user, "secrets": probed})
        if _protects(tried, folder):
            found = tried
            break
    log.line(messages.PROTECTED.format(way=found.way))
    # A server of the team's may be a program that the repository holds.
    starts = any(tool.startswith("Bash(") for tool in inputs.allowed_tools) or inputs.mcp_config
    if found.spec is None:
        if starts and not inputs.unprotected_commands:
            raise Failure(Reason.UNPROTECTED)
        signing.refuse_open(inputs)
    return found


def _views(
    folder: Path, folders: Folders, environment: Mapping[str, str], secrets: Sequence[str]
) -> dict[str, list[str]]:
    """Return the folders to hide, and which below them to keep.

    Hidden is what is only the job's: its private folder, with the sessions in it, the home of its
    user, and the files of the runner.
    """
    home = Path(environment.get("HOME") or "/").resolve()
    homes = [] if home in (Path("/"), folder) else [str(home)]
    hide = [path for path in (str(folders.private), *secrets, *homes) if Path(path).is_dir()]
    keep = dict.fromkeys(str(path) for path in _kept(folder, folders, environment))
    return {
        "hide": [path for path in hide if not _under(path, hide)],
        "keep": [path for path in keep if _under(path, hide)],
    }


def _protects(identity: Identity, folder: Path) -> bool:
    try:
        done = subprocess.run(
            identity.command(),
            cwd=folder,
            env={"PATH": os.environ.get("PATH", "")},
            capture_output=True,
            check=False,
            timeout=_PROBE_SECONDS,
        )
        answer = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return False
    return bool(answer["works"]) and not answer["found"]


def _runner_files(folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Return the folder where the runner keeps file variables; root lets nobody else in."""
    tree = environment.get("CI_PROJECT_DIR") or str(folder)
    found = [path for path in {f"{tree}.tmp", f"{folder}.tmp"} if Path(path).is_dir()]
    if os.geteuid() == 0:
        for path in found:
            with suppress(OSError):
                Path(path).chmod(0o700)
    return found


def _of_others(folder: Path, folders: Folders, environment: Mapping[str, str]) -> list[str]:
    """Return the folders of other jobs that a runner keeps beside this one of a runner project.

    They are other projects'. CI_BUILDS_DIR holds the work trees of a machine:
    https://docs.gitlab.com/ci/variables/predefined_variables/
    """
    top = Path(environment.get("CI_BUILDS_DIR") or os.devnull).resolve()
    if not served(environment) or top == Path("/") or top not in folder.parents:
        return []  # nobody's work trees alone lie in the root
    ours = (folder, folders.private, folders.claude, folders.cache)
    found: list[Path] = []
    for parent in (each for each in folder.parents if each == top or top in each.parents):
        with suppress(OSError):
            found += [path for path in parent.iterdir() if path.is_dir()]
    return [
        str(path)
        for path in found
        if not path.is_symlink() and not any(path in (each, *each.parents) for each in ours)
    ]


def _kept(folder: Path, folders: Folders, environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield what Claude needs, wherever it lies: the work tree and the programs of the image."""
    yield from (folder, folders.claude, folders.cache)
    for name in environment.get("PATH", "").split(os.pathsep):
        path = Path(name)
        if path.is_absolute() and path.is_dir():
            path = path.resolve()
            yield path.parent if path.name in ("bin", "sbin") else path
            program = shutil.which("claude", path=name)
            if program:
                yield Path(program).resolve().parent


def _free_user(environment: Mapping[str, str]) -> int:
    """Return a user of whom no process runs: jobs that run at once on one machine get others."""
    taken = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            taken.add(process.stat().st_uid)
    job = environment.get("CI_JOB_ID", "")
    start = int(job) if job.isdecimal() else 0
    users = [_FIRST_USER + (start + step) % _USERS for step in range(_USERS)]
    return next((user for user in users if user not in taken), users[0])


def _under(path: str, folders: Sequence[str]) -> bool:
    return any(path.startswith(f"{folder}/") for folder in folders)


def _all(folders: Sequence[Path]) -> Iterator[Path]:
    for folder in folders:
        yield folder
        for parent, names, files in os.walk(folder):
            yield from (Path(parent, name) for name in [*names, *files])
