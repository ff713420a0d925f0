"""The job's folders: a private one Claude cannot reach, the CI cache, the artifacts; their content is others'."""

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
    from job.log import Log


class Folders(NamedTuple):
    """`private` ends with the job; what is in `cache` comes back in the next one."""

    private: Path
    cache: Path


@contextmanager
def folders(workspace: Path) -> Iterator[Folders]:
    """Make the private folder and take the cache out of the work tree, where Claude could change it, and back."""
    cached = workspace / FOLDER / "cache"
    private = _private(workspace)
    cache = private / "cache"
    try:
        if cached.is_dir() and not cached.is_symlink() and not cached.parent.is_symlink():
            shutil.move(str(cached), str(cache))
        cache.mkdir(exist_ok=True)
        yield Folders(private, cache)
    finally:
        anew(workspace / FOLDER)
        with suppress(OSError):
            shutil.move(str(cache), str(cached))
        shutil.rmtree(private, ignore_errors=True)


def anew(folder: Path) -> None:
    """Make the folder anew unless it is ours: a branch may have put a link or files there."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    if not (folder / ".ours").is_file() or (folder / ".ours").is_symlink():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()


def leave(
    workspace: Path, log: Log, run: str, result: Result | None, transcript: list[str], patch: bytes
) -> None:
    """Write what the job keeps, with secrets masked."""
    folder = workspace / FOLDER
    anew(folder)
    (folder / ".ours").touch()
    if result:
        told = {
            **result._asdict(),
            "failure": result.failure and result.failure.ending.name.lower(),
            "run": run,
        }
        (folder / "result.json").write_text(
            log.masked(json.dumps(told, indent=1)) + "\n", encoding="utf-8"
        )
        (folder / "transcript.jsonl").write_text(log.masked("".join(transcript)), encoding="utf-8")
    if patch:
        (folder / "changes.patch").write_bytes(patch)


def _private(workspace: Path) -> Path:
    """Beside the work tree if possible: on its disk the cached command is moved and not copied."""
    try:
        return Path(tempfile.mkdtemp(prefix=".claude-job-", dir=workspace.resolve().parent))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="claude-job-"))
