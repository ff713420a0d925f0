"""What the pipeline was started for: `ai_flow` from TRIGGER_PAYLOAD, else AI_FLOW_*. Its texts stay data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from job.outcome import Ending, Failure
from job.prompts import COMMANDS
from shared.contract.ai_flow import (
    DISCUSSION_ID,
    ISSUE,
    MENTION,
    MERGE_REQUEST,
    RUN_ID,
    SHA,
    USERNAME,
    VERSION,
)

if TYPE_CHECKING:
    import re
    from collections.abc import Mapping
    from pathlib import Path


class Request(NamedTuple):
    """One run: ids that were checked, and the two things that are only ever shown to Claude: `input`, `context`.

    `command` is None where the sender knows no commands, else what it chose. `prompt` is the installation's own text.
    `turns` and `minutes` are what the comment asked for, 0 where it did not.
    """

    id: str
    event: str
    input: str
    context: Mapping[str, Any]
    kind: str = ""
    iid: int = 0
    sha: str = ""
    discussion_id: str = ""
    internal: bool = False
    author_id: int = 0
    author: str = ""
    model: Mapping[str, Any] = {}
    command: str | None = None
    prompt: str = ""
    turns: int = 0
    minutes: int = 0

    @property
    def target(self) -> str:
        """`issue-5`, `merge_request-3`, or nothing for a request that belongs to neither."""
        return f"{self.kind}-{self.iid}" if self.kind else ""


def read(environment: Mapping[str, str], payload: Path | None) -> Request:
    """Return the request; raise Failure where there is none or it is not for this project or version."""
    sent = _json(payload.read_text(encoding="utf-8", errors="replace")) if payload else {}
    if sent is None:
        raise Failure(Ending.REQUEST_INVALID, what="TRIGGER_PAYLOAD holds no JSON object")
    flow = sent.get("ai_flow")
    if flow is None:
        flow = _from_variables({**environment, **_object(sent, "variables")}, environment)
    if not isinstance(flow, dict) or flow.get("version") != VERSION:
        raise Failure(Ending.REQUEST_INVALID, what="ai_flow is not of version 1")
    return _request(flow, environment.get("CI_PROJECT_ID", ""))


def _from_variables(variables: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Read what other senders set. Without a run id the pipeline's stands in: one pipeline is one run."""
    instruction = variables.get("AI_FLOW_INPUT")
    if not isinstance(instruction, str) or not instruction.strip():
        raise Failure(Ending.REQUEST_MISSING)
    context = _json(str(variables.get("AI_FLOW_CONTEXT", ""))) or {}
    thread = {"discussion_id": variables.get("AI_FLOW_DISCUSSION_ID")}
    return {
        "version": VERSION,
        "id": variables.get("AI_FLOW_ID") or f"pipeline-{environment.get('CI_PIPELINE_ID', '0')}",
        "event": variables.get("AI_FLOW_EVENT") or MENTION,
        "input": instruction,
        "context": {"thread": thread, **context},
    }


def _request(flow: Mapping[str, Any], project_id: str) -> Request:
    context, run_id = _object(flow, "context"), flow.get("id")
    if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id):
        raise Failure(Ending.REQUEST_INVALID, what="its id is no run id")
    told = _object(context, "project").get("id")
    if told is not None and str(told) != project_id:
        raise Failure(Ending.REQUEST_INVALID, what="it is for another project")
    kind = next(
        (name for name in (MERGE_REQUEST, ISSUE) if _number(_object(context, name).get("iid"))), ""
    )
    target, author = _object(context, kind), _object(context, "author")
    instruction, command, prompt = flow.get("input"), flow.get("command"), flow.get("prompt")
    options = _object(flow, "options")
    return Request(
        id=run_id,
        event=str(flow.get("event") or MENTION),
        input=instruction if isinstance(instruction, str) else "",
        context=context,
        kind=kind,
        iid=_number(target.get("iid")),
        sha=_match(SHA, target.get("sha")),
        discussion_id=_match(DISCUSSION_ID, _object(context, "thread").get("discussion_id")),
        internal=_object(context, "note").get("internal") is True,
        author_id=_number(author.get("id")),
        author=_match(USERNAME, author.get("username")),
        model=_object(flow, "model"),
        command=(command if command in COMMANDS else "") if isinstance(command, str) else None,
        prompt=prompt.strip() if isinstance(prompt, str) else "",
        turns=_number(options.get("turns")),
        minutes=_number(options.get("minutes")),
    )


def _json(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _object(parent: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _number(value: object) -> int:
    return value if type(value) is int and value > 0 else 0


def _match(pattern: re.Pattern[str], value: object) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) else ""
