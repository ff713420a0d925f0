"""Keep the conversation of an issue or merge request in the CI cache, and take it up again.

Where a limit ended it, what it had changed is kept beside it: nobody has that yet.
"""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

from job import messages, prompt, prompts
from job.failures import Reason

if TYPE_CHECKING:
    from pathlib import Path

    from job.claude import Result, Run
    from job.request import Request
    from job.workspace import Workspace

_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LARGEST = 20_000_000  # bytes of a conversation worth taking up, and of its changes
_CHANGES = "changes.patch"
_END = 200  # characters of an answer, in which a question would end
_ASKS = re.compile(r"[?？][\s*_\"')\]»”]*\Z")  # noqa: RUF001
# How Claude Code notes what a conversation has cost; with it, it would count that again.
_COST = b'{"type":"cost-state",'
_LIMITS = (Reason.MAX_TURNS, Reason.MAX_BUDGET, Reason.TIME_LIMIT)


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
    lines = newest.read_bytes().splitlines(keepends=True)
    (project / newest.name).write_bytes(
        b"".join(line for line in lines if not line.startswith(_COST))
    )
    return newest.stem


def taken_up(run: Run, workspace: Workspace, cache: Path, request: Request) -> Run:
    """Put back what a conversation that goes on had changed; return the run, with Claude told.

    A command that changes nothing finds the branch as it is.
    """
    patch = b"" if prompt.reads_only(request) else _changes(cache, request.target)
    if not patch:
        return run
    told = prompts.TAKEN_UP if workspace.take_up(patch) else prompts.NOT_TAKEN_UP
    return run._replace(message=told + run.message)


def keep(run: Run, cache: Path, request: Request, result: Result, patch: bytes) -> tuple[str, ...]:
    """Keep a run's conversation; return what to remark where one can go on with it.

    `patch` is what it has changed, which is kept where a limit ended it.
    """
    limited = result.failure is not None and result.failure.reason in _LIMITS
    if not limited:
        patch = _changes(cache, request.target) if prompt.reads_only(request) else b""
    saved = save(cache, request.target, run.home / ".claude", result.session, patch)
    if not saved:
        return ()
    if limited:
        return (messages.REMARK_CONTINUE,)
    asks = result.failure is None and _ASKS.search(result.answer[-_END:])
    return (messages.REMARK_ANSWER,) if asks else ()


def _changes(cache: Path, target: str) -> bytes:
    kept = cache / target / _CHANGES
    if target and kept.is_file() and kept.stat().st_size <= _LARGEST:
        return kept.read_bytes()
    return b""


def save(cache: Path, target: str, config: Path, session: str, patch: bytes = b"") -> bool:
    """Keep this conversation as the only one of its issue or merge request; tell whether it is."""
    if not target or not _ID.fullmatch(session):
        return False
    found = next(config.glob(f"projects/*/{session}.jsonl"), None)
    if found:
        shutil.rmtree(cache / target, ignore_errors=True)
        (cache / target).mkdir(parents=True)
        shutil.copy(found, cache / target)
        if patch:
            (cache / target / _CHANGES).write_bytes(patch)
    return found is not None
