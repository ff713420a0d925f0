"""The job's folders: a private one out of Claude's reach, the CI cache and the artifacts."""

from __future__ import annotations

import json
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from job.workspace import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from job.claude import Result
    from job.job_log import Log


class Folders(NamedTuple):
    """`private` ends with the job; what is in `cache` comes back in the next one."""

    private: Path
    cache: Path


@contextmanager
def folders(workspace: Path) -> Iterator[Folders]:
    """Make the private folder, and keep the CI cache in it, out of Claude's reach, until the end.

    `workspace` is the work tree, where GitLab's runner puts the cache and looks for it afterwards.
    """
    cached = workspace / FOLDER / "cache"
    private = _private(workspace)
    cache = private / "cache"
    try:
        if cached.is_dir() and not cached.is_symlink() and not cached.parent.is_symlink():
            shutil.move(str(cached), str(cache))
        cache.mkdir(exist_ok=True)
        yield Folders(private, cache)
    finally:
        _clean(workspace / FOLDER)
        with suppress(OSError):
            shutil.move(str(cache), str(cached))
        shutil.rmtree(private, ignore_errors=True)


def leave(
    workspace: Path,
    log: Log,
    run_id: str,
    result: Result | None,
    transcript: list[str],
    patch: bytes,
) -> None:
    """Write the artifacts, with secrets masked: result and transcript if Claude ran, the patch."""
    folder = workspace / FOLDER
    _clean(folder)
    (folder / ".ours").touch()
    if result:
        failure = result.failure.reason.name.lower() if result.failure else None
        shown = json.dumps({**result._asdict(), "failure": failure, "run": run_id}, indent=1)
        _put(folder / "result.json", f"{log.masked(shown)}\n")
        _put(folder / "transcript.jsonl", log.masked("".join(transcript)))
    if patch:
        # A patch has to apply: what merely has a token's form stays in it.
        shown = log.secrets.without(patch.decode("utf-8", "surrogateescape"))
        _put(folder / "changes.patch", shown)


def leave_unsaid(workspace: Path, log: Log) -> None:
    """Write what the log does not say, where it says steps only, for Developers."""
    folder = workspace / FOLDER
    if log.unsaid:
        if folder.is_symlink() or folder.is_file():  # of a branch's, where the job ended early
            folder.unlink()
        folder.mkdir(exist_ok=True)
        _put(folder / "log.txt", "\n".join([*log.unsaid, ""]))


def _put(path: Path, text: str) -> None:
    """Write a file in place of whatever a branch may have put there, a link included."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))


def _clean(folder: Path) -> None:
    """Make the folder anew unless it is ours: a branch may have put a link or files there."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    if not (folder / ".ours").is_file() or (folder / ".ours").is_symlink():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()


def _private(workspace: Path) -> Path:
    """Make the folder beside the work tree if we may: on one disk, the cache moves at once."""
    try:
        return Path(tempfile.mkdtemp(prefix=".claude-job-", dir=workspace.resolve().parent))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="claude-job-"))
