"""Start a command as somebody who cannot reach the job: `python3 confine.py SPEC COMMAND…`.

SPEC is JSON: `uid` (0: keep it), `namespace` and `landlock` (booleans), `hide`, `keep` (folders,
the latter below the former) and `read` (a folder that is not to be written), and what a probe looks
at: `folder` (has to be in reach), `secrets` (files or folders), `pids` (processes). Without a
command the probe prints as JSON whether it gets there and which secrets it could read.

The job starts it as a program of its own, so it imports nothing of ours.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import struct
import sys
from contextlib import suppress
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEW_USER, _NEW_PID, _NEW_MOUNT = 0x10000000, 0x20000000, 0x00020000
_BIND, _REC, _PRIVATE = 4096, 16384, 1 << 18
_REMOUNT, _READ_ONLY, _LOCKED = 32, 1, 2 | 4 | 8 | 1024 | 2048  # nosuid, nodev, noexec, no atimes
_SET_DEATH_SIGNAL, _SET_DUMPABLE = 1, 4  # of prctl(2)
_SET_CHILD_SUBREAPER, _NO_NEW_PRIVILEGES = 36, 38
_CREATE, _ADD, _RESTRICT = 444, 445, 446  # of landlock(7): the same number on every machine
_OLDEST = 2  # of Landlock's versions: before, no file could be renamed into another folder
_ROUNDS = 1000  # in which processes that make others are outrun
_TO_READ = 0b1101  # execute, read files and folders
_OF_FILES = 0b1100000000000111  # execute, write, read, truncate, ioctl
_NAMES = (b"GITLAB_ACCESS_TOKEN=", b"CI_JOB_TOKEN=", b"CLAUDE_IDENTITY_TOKEN=")


def main(arguments: list[str]) -> int:
    """Confine this process as SPEC says, then become the command; the result is the probe's."""
    spec, command = json.loads(arguments[0]), arguments[1:]
    if spec["uid"]:
        os.setgroups([])
        os.setgid(spec["uid"])
        os.setuid(spec["uid"])
        os.umask(0o022)
    if spec["namespace"]:
        enter_namespace(spec["hide"], spec["keep"], spec["read"])
    _call("prctl", _NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if spec["landlock"]:
        landlock(spec["hide"], spec["keep"], spec["read"])
    if not command:
        print(json.dumps(probe(spec)))  # noqa: T201  the answer
        return 0
    return os.execvp(command[0], command)  # noqa: S606  that is what it is for


def withdraw() -> None:
    """Let no other process of this user read this one; become the parent of what its heirs leave.

    Sources: https://man7.org/linux/man-pages/man2/PR_SET_DUMPABLE.2const.html and
    https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html
    """
    _call("prctl", _SET_DUMPABLE, 0, 0, 0, 0)
    _call("prctl", _SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_with_parent() -> None:
    """Take the end of the shell that started this process for a stop: the runner may tell it alone.

    Source: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
    """
    with suppress(OSError):
        _call("prctl", _SET_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)


def end_children() -> None:
    """Kill every process that came of this one, whatever it did to leave its group."""
    for _ in range(_ROUNDS):
        pids = map(int, filter(str.isdecimal, os.listdir("/proc")))  # noqa: PTH208
        children = [pid for pid in pids if _parent(pid) == os.getpid()]
        if not children:
            return
        for pid in children:
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _parent(pid: int) -> int:
    """Return the process that a process came from, or 0."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            return int(file.read().rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def lineage() -> list[int]:
    """Return this process and those it comes from: a shell among them has all variables."""
    pids = [os.getpid()]
    while pids[-1]:
        pids.append(_parent(pids[-1]))
    return pids[:-1]


def enter_namespace(hide: list[str], keep: list[str], read: str) -> None:
    """Go on as a child in which other processes and the folders to hide do not exist.

    Source: https://man7.org/linux/man-pages/man7/user_namespaces.7.html
    """
    uid, gid = os.geteuid(), os.getegid()
    _call("unshare", _NEW_USER | _NEW_PID | _NEW_MOUNT)
    kept = {path: os.open(path, os.O_PATH) for path in keep}
    inside = uid or 65534  # who is 0 in there could take away what hides the folders
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{inside} {uid} 1"),
        ("gid_map", f"{gid or inside} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123
            file.write(text)
    _call("mount", b"none", b"/", None, _REC | _PRIVATE, None)
    _go_on_as_child()  # the first process of the namespace; with it all others end
    _call("prctl", _SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
    _call("mount", b"proc", b"/proc", b"proc", 0, None)
    for path in hide:
        _call("mount", b"tmpfs", path.encode(), b"tmpfs", 0, b"mode=0755")
        for below in (each for each in keep if _is_below(each, path)):
            os.makedirs(below, exist_ok=True)  # noqa: PTH103
            source = f"/proc/self/fd/{kept[below]}".encode()
            _call("mount", source, below.encode(), None, _BIND | _REC, None)
    _call("mount", read.encode(), read.encode(), None, _BIND | _REC, None)
    flags = os.statvfs(read).f_flag & _LOCKED  # what the mount has it has to keep
    _call("mount", None, read.encode(), None, _BIND | _REMOUNT | _READ_ONLY | flags, None)
    for number in kept.values():
        os.close(number)
    os.chdir(os.getcwd())  # noqa: PTH109  into the folder as it is seen now
    _go_on_as_child()


def _go_on_as_child() -> None:
    """Fork; this process ends as the child does, which goes on."""
    child = os.fork()
    if child == 0:
        return
    for number in (signal.SIGTERM, signal.SIGINT):  # the child gets them too
        signal.signal(number, signal.SIG_IGN)
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.WEXITSTATUS(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status))


def landlock(hide: list[str], keep: list[str], read: str) -> None:
    """Take away the folders to hide, other users' processes' secrets and signals to outside.

    A process may read another only where it may do all that the other may, so the job is out of
    reach. Source: https://docs.kernel.org/userspace-api/landlock.html
    """
    version = _call("syscall", _CREATE, None, 0, 1)
    if version < _OLDEST:
        raise OSError("Landlock is too old")  # noqa: TRY003
    rights = (1 << {2: 14, 3: 15, 4: 15}.get(version, 16)) - 1
    scoped = 3 if version >= 6 else 0  # noqa: PLR2004  abstract sockets and signals
    attributes = struct.pack("QQQ", rights, 0, scoped)
    size = 8 if version < 4 else 16 if version < 6 else 24  # noqa: PLR2004  the fields it knows
    rules = _call("syscall", _CREATE, attributes, size, 0)
    allowed = dict.fromkeys([*_outside("/", [*hide, read]), *keep], rights)
    for path, given in {**allowed, read: _TO_READ}.items():
        with suppress(OSError):  # what cannot be opened cannot be read either
            _allow(rules, path, given)
    _call("syscall", _RESTRICT, rules, 0)
    os.close(rules)


def _outside(folder: str, hide: list[str]) -> list[str]:
    """Return the fewest paths below a folder that hold all of it but what is to be hidden."""
    if folder in hide:
        return []
    if not any(_is_below(path, folder) for path in hide):
        return [folder]
    try:
        entries = [entry for entry in os.scandir(folder) if not entry.is_symlink()]
    except OSError:
        return []
    return [path for entry in entries for path in _outside(entry.path, hide)]


def _allow(rules: int, path: str, rights: int) -> None:
    number = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        if not os.path.isdir(path):  # noqa: PTH112
            rights &= _OF_FILES
        _call("syscall", _ADD, rules, 1, struct.pack("=Qi", rights, number), 0)
    finally:
        os.close(number)


def probe(spec: dict[str, Any]) -> dict[str, Any]:
    """Return whether the folder is in reach, and what of the job can be read."""
    found = [path for path in spec["secrets"] if _reads(path)]
    pids = set() if spec["namespace"] else {str(pid) for pid in spec["pids"]}
    for pid in filter(str.isdecimal, os.listdir("/proc")):  # noqa: PTH208
        text = b"" if pid == str(os.getpid()) else _environment(pid)
        if text and (pid in pids or any(name in text for name in _NAMES)):
            found.append(f"/proc/{pid}/environ")
    return {"works": os.access(spec["folder"], os.R_OK | os.X_OK), "found": found}


def _reads(path: str) -> bool:
    try:
        if os.path.isdir(path):  # noqa: PTH112
            return bool(os.listdir(path))  # noqa: PTH208
        with open(path, "rb") as file:  # noqa: PTH123
            return bool(file.read(1))
    except OSError:
        return False


def _environment(pid: str) -> bytes:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:  # noqa: PTH123
            return file.read() or b"\0"
    except OSError:
        return b""


def _is_below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip("/") + "/")


def _call(name: str, *arguments: Any) -> int:  # noqa: ANN401
    """Call a function of the C library; raise OSError."""
    wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = int(getattr(_LIBC, name)(*wide))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
