"""The job's folders: a private one out of Claude's reach, the CI cache and the artifacts."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from job.folders import Folders
from job.workspace import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from job.claude import Result
    from job.job_log import Log


@contextmanager
def folders(workspace: Path) -> Iterator[Folders]:
    """Make the private folder, and keep the CI cache in it, out of Claude's reach, until the end.

    `workspace` is the work tree, where GitLab's runner puts the cache and looks for it afterwards.
    """
    cached = workspace / FOLDER / "cache"
    base = _beside(workspace)
    made = Folders(base / "private", base / "cache", base / "claude")
    try:
        base.chmod(0o711)  # Claude, as another user, goes through
        if cached.is_dir() and not cached.is_symlink() and not cached.parent.is_symlink():
            shutil.move(str(cached), str(made.cache))
        for folder in made:
            folder.mkdir(exist_ok=True)
            folder.chmod(0o755)
        made.private.chmod(0o700)
        with suppress(OSError):
            shutil.move(str(made.cache / "sessions"), str(made.sessions))
        yield made
    finally:
        _renew(workspace / FOLDER)
        with suppress(OSError):
            shutil.move(str(made.sessions), str(made.cache / "sessions"))
        for path in (made.cache, *(made.private / FOLDER).glob("*")):
            with suppress(OSError):
                shutil.move(str(path), str(workspace / FOLDER / path.name))
        shutil.rmtree(base, ignore_errors=True)


def leave(
    private: Path,
    log: Log,
    run_id: str,
    result: Result | None,
    transcript: list[str],
    patch: bytes,
    unpushed: bytes = b"",
    statement: str = "",
) -> None:
    """Write the artifacts, with secrets masked: result and transcript if Claude ran, the patch.

    `unpushed` is the archive of what is in no patch; whoever made it has taken the secrets out.
    `statement` is what accounts for the commit.

    They go into the private folder, and at the job's end from there to where the runner looks.
    """
    folder = private / FOLDER
    folder.mkdir(exist_ok=True)
    if result:
        failure = result.failure.reason.name.lower() if result.failure else None
        shown = json.dumps({**result._asdict(), "failure": failure, "run": run_id}, indent=1)
        _put(folder / "result.json", f"{log.masked(shown)}\n")
        _put(folder / "transcript.jsonl", log.masked("".join(transcript)))
    if statement:
        _put(folder / "statement.json", f"{log.masked(statement)}\n")
    if unpushed:
        _put(folder / "not-pushed.tar.gz", unpushed.decode("utf-8", "surrogateescape"))
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


def _renew(folder: Path) -> None:
    """Make the folder anew: a branch or Claude may have put a link or files there."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def _beside(workspace: Path) -> Path:
    """Make a folder beside the work tree if we may: on one disk, the cache moves at once.

    What a killed job left there goes first: in a runner project it is another project's. Of this
    work tree no other job is alive.
    """
    whole = workspace.resolve()
    prefix = f".claude-job-{whole.name}-"
    left = re.compile(f"{re.escape(prefix)}[a-z0-9_]{{8}}")  # as `mkdtemp` names them
    try:
        for path in whole.parent.iterdir():
            if left.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=prefix, dir=whole.parent))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="claude-job-"))
