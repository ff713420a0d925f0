"""A run in a fork's merge request: it reads the diff as data, and does nothing else.

Nothing that is a fork's comes beside the job's credentials as a file that git, Claude Code or a
tool could follow: `job/branch.py` checks the target out, `job/diff.py` asks GitLab for the diff.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from job import prompt, repair
from job.failures import Failure, Reason
from shared.contract.ai_flow import FIX, IMPLEMENT

if TYPE_CHECKING:
    from job.inputs import Inputs
    from job.request import Request


def lowered(inputs: Inputs, request: Request) -> Inputs:
    """Return the inputs; of a run that only reads without what could run, fetch or outlive it."""
    if not request.read_only:
        return inputs
    return inputs._replace(
        allowed_tools=(), environment=(), mcp="none", mcp_config="", skills="", resume=False
    )


def check(request: Request) -> None:
    """Raise Failure where a run that only reads is told to change something."""
    question = request.input.rstrip().endswith(("?", "\uff1f"))
    orders = prompt.command(request) in (FIX, IMPLEMENT) or repair.asked(request)
    orders = orders or (prompt.asks_to_merge(request) and not question)
    if request.read_only and orders:
        raise Failure(Reason.FORK_READ_ONLY)
