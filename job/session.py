"""Keep the conversation of an issue or merge request in the CI cache and take it up again; it reads no word of it."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LARGEST = 20_000_000  # bytes of a conversation worth taking up


def restore(cache: Path, target: str, config: Path, folder: Path) -> str:
    """Put the cached conversation where Claude Code looks for one of this folder; return its id, or nothing."""
    found = (
        sorted((cache / target).glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
        if target
        else []
    )
    if not found or not _ID.fullmatch(found[-1].stem) or found[-1].stat().st_size > _LARGEST:
        return ""
    place = config / "projects" / re.sub(r"[^A-Za-z0-9]", "-", str(folder.resolve()))
    place.mkdir(parents=True)
    shutil.copy(found[-1], place)
    return found[-1].stem


def save(cache: Path, target: str, config: Path, session: str) -> None:
    """Keep this conversation as the only one of its issue or merge request."""
    found = (
        next(config.glob(f"projects/*/{session}.jsonl"), None) if _ID.fullmatch(session) else None
    )
    if target and found:
        shutil.rmtree(cache / target, ignore_errors=True)
        (cache / target).mkdir(parents=True)
        shutil.copy(found, cache / target)
