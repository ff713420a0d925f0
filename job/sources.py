"""What a pipeline is asked to do that our trigger function did not start.

Other listeners set AI_FLOW_* variables, as `docs/trigger-call.md` has them, or hand over GitLab's
webhook payload as it is. Merge request pipelines, schedules and pipelines started by hand may set
AI_FLOW_INPUT, or nothing at all. What comes of it has the form of `ai_flow`.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from job import prompts
from job.failures import Failure, Reason
from shared.contract.ai_flow import ISSUE, MENTION, MERGE_REQUEST, REVIEW, VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

# Of CI_PIPELINE_SOURCE: https://docs.gitlab.com/ci/jobs/job_rules/#ci_pipeline_source-predefined-variable
_TRIGGER, _OF_MERGE_REQUEST = "trigger", "merge_request_event"
_UNASKED = {
    _OF_MERGE_REQUEST: prompts.REVIEW_IT,
    "schedule": prompts.LOOK_AROUND,
    "web": prompts.LOOK_AROUND,
}
_CLAUDE = "Co-authored-by: Claude "


def flow(
    variables: Mapping[str, Any], environment: Mapping[str, str], *, guided: bool
) -> dict[str, Any]:
    """Return what is asked, as `ai_flow`; raise Failure if nothing is.

    `variables` are the pipeline's, `environment` has GitLab's own; `guided`: the include has
    instructions that need no request. One pipeline is one run, unless the sender knows better.
    """
    source = environment.get("CI_PIPELINE_SOURCE", "")
    asked = variables.get("AI_FLOW_INPUT")
    asked = asked if isinstance(asked, str) and asked.strip() else ""
    told = prompts.AS_TOLD if guided and source != _TRIGGER else _UNASKED.get(source, "")
    if not asked and not told:
        raise Failure(Reason.REQUEST_MISSING)
    context = _context(str(variables.get("AI_FLOW_CONTEXT") or ""))
    if variables.get("AI_FLOW_DISCUSSION_ID"):
        context = {"thread": {"discussion_id": variables["AI_FLOW_DISCUSSION_ID"]}, **context}
    if source in _UNASKED:
        context = {**_of_the_pipeline(environment), **context}
    return {
        "version": VERSION,
        "id": variables.get("AI_FLOW_ID") or f"pipeline-{environment.get('CI_PIPELINE_ID', '0')}",
        "event": variables.get("AI_FLOW_EVENT") or MENTION,
        "input": asked or told,
        "context": context,
        "command": REVIEW if not asked and told == prompts.REVIEW_IT else None,
    }


def _context(text: str) -> dict[str, Any]:
    """Read AI_FLOW_CONTEXT: an object of ours, GitLab's webhook payload, or any text."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return {"text": text} if text.strip() else {}
    about, kind = value.get("object_attributes"), value.get("object_kind")
    found: dict[str, Any] = {}
    if isinstance(about, dict):
        if kind in (ISSUE, MERGE_REQUEST):
            found[kind] = about
        confidential = str(value.get("event_type")).startswith("confidential_")
        found["note"] = {"internal": confidential or about.get("internal") is True}
        if about.get("discussion_id"):
            found["thread"] = {"discussion_id": about["discussion_id"]}
        found["author"] = value.get("user")
    context = {**found, **value}
    for kind in (ISSUE, MERGE_REQUEST):
        target = context.get(kind)
        if isinstance(target, dict) and isinstance(target.get("iid"), str):
            context[kind] = {**target, "iid": _number(target["iid"])}
    return context


def _of_the_pipeline(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return who started the pipeline, and the merge request it is for.

    https://docs.gitlab.com/ci/variables/predefined_variables/: in a merged results pipeline
    CI_COMMIT_SHA is a commit that is in no branch.
    """
    context: dict[str, Any] = {
        "author": {
            "id": _number(environment.get("GITLAB_USER_ID", "")),
            "username": environment.get("GITLAB_USER_LOGIN"),
        }
    }
    iid = _number(environment.get("CI_MERGE_REQUEST_IID", ""))
    if iid:
        sha = environment.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA")
        context[MERGE_REQUEST] = {"iid": iid, "sha": sha or environment.get("CI_COMMIT_SHA")}
    return context


def own_push(environment: Mapping[str, str], user: Mapping[str, object]) -> bool:
    """Tell whether a merge request's pipeline is there for what this job itself pushed.

    To answer it would go on for ever. `user` is GitLab's answer about the token's user; where that
    is a person, their own pushes are told from the job's by the commit's message, but of a merged
    results pipeline that is GitLab's.
    """
    ours = environment.get("GITLAB_USER_ID") == str(user.get("id"))
    merged = environment.get("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA")
    by_job = user.get("bot") or merged or _CLAUDE in environment.get("CI_COMMIT_MESSAGE", "")
    return environment.get("CI_PIPELINE_SOURCE") == _OF_MERGE_REQUEST and ours and bool(by_job)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and text.isascii() else 0
