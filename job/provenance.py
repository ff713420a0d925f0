"""Say in each commit, and in a statement beside it, for whom and by what it was made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from shared.contract import provenance as contract
from shared.contract.ai_flow import ISSUE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.audience import Audience
    from job.claude import Result
    from job.request import Request


def trailers(
    request: Request, audience: Audience, result: Result, environment: Mapping[str, str]
) -> list[str]:
    """Return the lines that close a commit's message.

    Who asked, and where, stands there only for readers who may see that; so does the digest where
    its text could be guessed, for lack of the nonce that our trigger sends.
    """
    told = {
        contract.RUN: request.id,
        contract.ASKED_BY: str(request.asked_by or ""),
        contract.NOTE: _address(request, environment),
    }
    if not audience.names:
        told = {}
    digest = request.flow and (audience.names or request.flow.get("nonce"))
    told |= {
        contract.MODEL: ", ".join(result.models),
        contract.CLIENT: result.version,
        contract.REQUEST: f"sha256:{contract.digest(request.flow)}" if digest else "",
    }
    return [f"{name}: {value}" for name, value in told.items() if value]


def statement(request: Request, result: Result, commit: str, environment: Mapping[str, str]) -> str:
    """Return the statement about a commit, in the form of in-toto, for Developers.

    It has the request as it came, with the trigger's seal; nothing of it is signed by the job.
    """
    told = {
        "_type": contract.STATEMENT,
        "subject": [{"name": _project(environment), "digest": {"gitCommit": commit}}],
        "predicateType": contract.PREDICATE,
        "predicate": {
            "run": request.id,
            "askedBy": request.asked_by,
            "note": _address(request, environment),
            "requestDigest": {"sha256": contract.digest(request.flow)},
            "request": request.flow,
            "models": result.models,
            "client": result.version,
            "pipeline": environment.get("CI_PIPELINE_ID", ""),
            "job": environment.get("CI_JOB_URL", ""),
        },
    }
    return json.dumps(told, indent=1)


def _project(environment: Mapping[str, str]) -> str:
    return environment.get("CI_PROJECT_URL", "")


def _address(request: Request, environment: Mapping[str, str]) -> str:
    if not request.kind:
        return ""
    kind = "issues" if request.kind == ISSUE else "merge_requests"
    note = f"#note_{request.note_id}" if request.note_id else ""
    return f"{_project(environment)}/-/{kind}/{request.iid}{note}"
