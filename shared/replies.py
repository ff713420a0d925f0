"""The words of our notes: fixed text, ids and one checked link, so that nothing a stranger wrote is said by us."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.outcome import Reason
    from shared.ports import Pipeline

MARK = "<!-- gitlab-claude-trigger"

_LINK = re.compile(r"https?://[A-Za-z0-9._~:/\[\]%-]+", re.ASCII)


def marker(run_id: str) -> str:
    """Return the hidden mark by which we know our own note for a run."""
    return f"{MARK} run={run_id} -->"


def started(run_id: str, pipeline: "Pipeline") -> str:
    """Return the reply once the pipeline is created."""
    name = f"pipeline {pipeline.id}"
    link = f"[{name}]({pipeline.url})" if _LINK.fullmatch(pipeline.url) else name
    return f"Claude is on it: {link}.\n\n{marker(run_id)}"


def stopped(run_id: str, reason: "Reason") -> str:
    """Return the reply for a run that ended without a pipeline: the reason and its cure."""
    return f"Claude did not start. {reason.sentence} {reason.cure}".rstrip() + f"\n\n{marker(run_id)}"
