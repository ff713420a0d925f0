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
    """`private` ends with the job, what is in `cache` comes back; `claude` is what Claude reads."""

    private: Path
    cache: Path
    claude: Path

    @property
    def sessions(self) -> Path:
        """Return the folder of the cached conversations, which Claude does not see."""
        return self.private / "sessions"


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
) -> None:
    """Write the artifacts, with secrets masked: result and transcript if Claude ran, the patch.

    They go into the private folder, and at the job's end from there to where the runner looks.
    """
    folder = private / FOLDER
    folder.mkdir(exist_ok=True)
    if result:
        failure = result.failure.reason.name.lower() if result.failure else None
        shown = json.dumps({**result._asdict(), "failure": failure, "run": run_id}, indent=1)
        (folder / "result.json").write_text(f"{log.masked(shown)}\n", encoding="utf-8")
        (folder / "transcript.jsonl").write_text(log.masked("".join(transcript)), encoding="utf-8")
    if patch:
        (folder / "changes.patch").write_bytes(patch)


def _renew(folder: Path) -> None:
    """Make the folder anew: a branch or Claude may have put a link or files there."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()


def _beside(workspace: Path) -> Path:
    """Make a folder beside the work tree if we may: on one disk, the cache moves at once."""
    try:
        return Path(tempfile.mkdtemp(prefix=".claude-job-", dir=workspace.resolve().parent))
    except OSError:
        return Path(tempfile.mkdtemp(prefix="claude-job-"))
