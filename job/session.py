"""Keep the conversation of an issue or merge request in the CI cache, and take it up again."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LARGEST = 20_000_000  # bytes of a conversation worth taking up


def restore(cache: Path, target: str, config: Path, folder: Path) -> str:
    """Put the cached conversation where Claude Code looks for one; return its id, or "".

    `target` names the issue or merge request, `folder` is the work tree, `config` Claude Code's
    own folder.
    """
    found = list((cache / target).glob("*.jsonl")) if target else []
    newest = max(found, key=lambda path: path.stat().st_mtime, default=None)
    if newest is None or not _ID.fullmatch(newest.stem) or newest.stat().st_size > _LARGEST:
        return ""
    project = config / "projects" / re.sub(r"[^A-Za-z0-9]", "-", str(folder.resolve()))
    project.mkdir(parents=True)
    shutil.copy(newest, project)
    return newest.stem


def save(cache: Path, target: str, config: Path, session: str) -> None:
    """Keep this conversation as the only one of its issue or merge request."""
    if not target or not _ID.fullmatch(session):
        return
    found = next(config.glob(f"projects/*/{session}.jsonl"), None)
    if found:
        shutil.rmtree(cache / target, ignore_errors=True)
        (cache / target).mkdir(parents=True)
        shutil.copy(found, cache / target)
