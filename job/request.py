"""What the pipeline was started for: `ai_flow` from TRIGGER_PAYLOAD, else AI_FLOW_* variables.

`docs/trigger-call.md` describes both. What people wrote stays data: `input` and `context`.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from job import messages, sources
from job.failures import Failure, Reason
from job.prompts import COMMANDS
from shared.contract.ai_flow import (
    AUTO,
    DISCUSSION_ID,
    ISSUE,
    MENTION,
    MERGE_REQUEST,
    RUN_ID,
    SHA,
    USERNAME,
    VERSION,
    WITHHELD,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_DOLLARS = r"[0-9]{1,9}\.[0-9]{6}"


class Request(NamedTuple):
    """One run: ids that were checked, and two things that are only ever shown to Claude.

    Those are `input` and `context`. `command` is None if the sender knows no commands, else what it
    chose. `prompt` is the installation's own text. `turns` and `minutes` are what the comment asked
    for, or 0. `withheld`: the texts are still to be read, by `job/withheld.py`; the comment that
    asks has the id `note_id`, or 0 where it is the issue or merge request itself. `flow` is the
    whole as it came, `language` what the trigger speaks, or "". `read_only`: the merge request may
    be a fork's, of which nothing is fetched (`job/forks.py`).
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
    dollars: float = 0.0
    note_id: int = 0
    flow: Mapping[str, Any] = {}
    withheld: bool = False
    language: str = ""
    read_only: bool = False

    @property
    def asked_by(self) -> int:
        """GitLab's id of who asked, 0 where nobody did or that is not known."""
        return 0 if self.event == AUTO else self.author_id

    @property
    def target_branch(self) -> str:
        """What the merge request was to be merged into when it was asked about, "" if unknown."""
        return _text(_object(self.context, MERGE_REQUEST), "target_branch")

    @property
    def target(self) -> str:
        """`issue-5`, `merge_request-3`, or "" for a request that belongs to neither."""
        return f"{self.kind}-{self.iid}" if self.kind else ""


def read(environment: Mapping[str, str], payload: Path | None, *, guided: bool = False) -> Request:
    """Return the request in the file TRIGGER_PAYLOAD, in variables, or of the pipeline's source.

    `guided`: the include says what to do where nobody else does. Raise Failure if there is no
    request, or if it is for another project or of another version.
    """
    sent = _json(payload.read_text(encoding="utf-8", errors="replace")) if payload else {}
    if sent is None:
        raise Failure(Reason.REQUEST_INVALID, what=messages.NO_JSON)
    flow = sent.get("ai_flow")
    if flow is None:
        variables = {**environment, **_object(sent, "variables")}
        flow = sources.flow(variables, environment, guided=guided)
    if not isinstance(flow, dict) or flow.get("version") not in (VERSION, WITHHELD):
        what = messages.OTHER_VERSION.format(versions=f"{VERSION} or {WITHHELD}")
        raise Failure(Reason.REQUEST_INVALID, what=what)
    return _request(flow, environment.get("CI_PROJECT_ID", ""))


def _request(flow: Mapping[str, Any], project_id: str) -> Request:
    context, run_id = _object(flow, "context"), flow.get("id")
    if not isinstance(run_id, str) or not re.fullmatch(RUN_ID, run_id):
        raise Failure(Reason.REQUEST_INVALID, what=messages.NO_RUN_ID)
    project = _object(context, "project").get("id")
    if project is not None and str(project) != project_id:
        raise Failure(Reason.REQUEST_INVALID, what=messages.OTHER_PROJECT)
    kinds = (kind for kind in (MERGE_REQUEST, ISSUE) if _number(_object(context, kind), "iid"))
    kind = next(kinds, "")
    target, author = _object(context, kind), _object(context, "author")
    options, command = _object(flow, "options"), flow.get("command")
    note, withheld = _object(context, "note"), flow.get("version") == WITHHELD
    return Request(
        id=run_id,
        event=str(flow.get("event") or MENTION),
        input=_text(flow, "input"),
        context=context,
        kind=kind,
        iid=_number(target, "iid"),
        sha=_match(SHA, target, "sha"),
        discussion_id=_match(DISCUSSION_ID, _object(context, "thread"), "discussion_id"),
        internal=withheld or note.get("internal") is True,
        author_id=_number(author, "id"),
        author=_match(USERNAME, author, "username"),
        model=_object(flow, "model"),
        command=(command if command in COMMANDS else "") if isinstance(command, str) else None,
        prompt=_text(flow, "prompt").strip(),
        turns=_number(options, "turns"),
        minutes=_number(options, "minutes"),
        dollars=float(_match(_DOLLARS, options, "usd") or 0),
        note_id=_number(note, "id"),
        flow=flow,
        withheld=withheld,
        language=_text(flow, "language"),
        read_only=flow.get("read_only") is True,
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


def _text(parent: Mapping[str, Any], key: str) -> str:
    value = parent.get(key)
    return value if isinstance(value, str) else ""


def _number(parent: Mapping[str, Any], key: str) -> int:
    value = parent.get(key)
    return value if type(value) is int and value > 0 else 0


def _match(pattern: str, parent: Mapping[str, Any], key: str) -> str:
    value = _text(parent, key)
    return value if re.fullmatch(pattern, value) else ""
