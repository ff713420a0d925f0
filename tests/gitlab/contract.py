"""Holds a recorded call against GitLab's own OpenAPI file: endpoint, parameter names and types, status, response fields and types.

The slice beside this file is cut from `openapi_v3.yaml` of GitLab 19.3 (CC BY-SA 4.0) by

    python -m tests.gitlab.contract path/to/openapi_v3.yaml

Where the file and GitLab's source disagree the source wins, and the deviation stands below with its reason.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .server import Call

Json = dict[str, Any]
SLICE = Path(__file__).with_name("openapi_slice.json")

_P = "/api/v4/projects/{id}"
_I, _M = f"{_P}/issues", f"{_P}/merge_requests"
OPERATIONS = {
    "/api/v4/version": "get",
    "/api/v4/user": "get",
    "/api/v4/users/{id}": "get",
    _P: "get",
    f"{_P}/members/all/{{user_id}}": "get",
    f"{_I}/{{issue_iid}}": "get",
    _M: "get post",
    f"{_M}/{{merge_request_iid}}": "get",
    f"{_M}/{{merge_request_iid}}/diffs": "get",
    **{f"{kind}/{{noteable_id}}/notes": "get post" for kind in (_I, _M)},
    **{f"{kind}/{{noteable_id}}/notes/{{note_id}}": "get put delete" for kind in (_I, _M)},
    **{f"{kind}/{{noteable_id}}/discussions": "get post" for kind in (_I, _M)},
    **{f"{kind}/{{noteable_id}}/discussions/{{discussion_id}}": "get" for kind in (_I, _M)},
    **{f"{kind}/{{noteable_id}}/discussions/{{discussion_id}}/notes": "get post" for kind in (_I, _M)},
    **{f"{on}/award_emoji": "get post" for on in (f"{_I}/{{issue_iid}}", f"{_M}/{{merge_request_iid}}")},
    **{f"{on}/award_emoji/{{award_id}}": "get delete" for on in (f"{_I}/{{issue_iid}}", f"{_M}/{{merge_request_iid}}")},
    **{
        f"{on}/notes/{{note_id}}/award_emoji": "get post"
        for on in (f"{_I}/{{issue_iid}}", f"{_M}/{{merge_request_iid}}")
    },
    **{
        f"{on}/notes/{{note_id}}/award_emoji/{{award_id}}": "get delete"
        for on in (f"{_I}/{{issue_iid}}", f"{_M}/{{merge_request_iid}}")
    },
    f"{_P}/trigger/pipeline": "post",
    f"{_P}/ref/{{ref}}/trigger/pipeline": "post",
    f"{_P}/triggers": "get post",
    f"{_P}/pipelines": "get",
    f"{_P}/pipelines/{{pipeline_id}}": "get",
    f"{_P}/pipelines/{{pipeline_id}}/variables": "get",
    f"{_P}/pipelines/{{pipeline_id}}/jobs": "get",
    f"{_P}/pipelines/{{pipeline_id}}/cancel": "post",
    f"{_P}/hooks": "get post",
    f"{_P}/hooks/{{hook_id}}": "get put delete",
    f"{_P}/hooks/{{hook_id}}/events": "get",
    f"{_P}/hooks/{{hook_id}}/events/{{hook_log_id}}/resend": "post",
    f"{_P}/events": "get",
}

# (METHOD path pattern, parameter): why it may be sent though the file does not know it.
PARAMETERS = {
    (r"POST .*/trigger/pipeline", "ref"): "the file drops it; lib/api/ci/triggers.rb requires it",
    (r"POST .*/trigger/pipeline", "ai_flow"): "ours: GitLab hands unknown keys to the job in TRIGGER_PAYLOAD",
    (
        r"GET .*/(members/all/\d+|pipelines/\d+/variables|discussions/\w+/notes)",
        "per_page",
    ): "python-gitlab pages every list; Grape ignores it here",
    (r"GET .*/(pipelines/\d+/variables|discussions/\w+/notes)", "page"): "the same",
}
# (METHOD path pattern, status): the status whose schema the answer has, or a schema's name, or None for no schema, and why.
STATUSES: dict[tuple[str, int], tuple[str | None, str]] = {
    (r"GET .*/discussions/\w+/notes", 200): (
        "APIEntitiesNote",
        "the file shows Discussion; lib/api/discussions.rb presents Entities::Note",
    ),
    (r"POST .*/trigger/pipeline", 422): (
        None,
        "the file lacks it; PipelineTriggerService answers unprocessable_entity",
    ),
    (r"POST .*/pipelines/\d+/cancel", 200): (
        "201",
        "the file takes POST's default; lib/api/ci/pipelines.rb says `status 200`",
    ),
    (r"(POST|PUT) .*/notes(/\d+)?|POST .*/discussions", 202): (
        None,
        "nothing but quick actions: Entities::NoteCommands",
    ),
    (r"DELETE .*/(notes|hooks)/\d+", 204): (
        None,
        "the file takes DELETE's default; destroy_conditionally! answers 204",
    ),
    (r"(POST|PUT) .*/hooks(/\d+)?", 422): (None, "listed without a schema"),
}
# Answers that come before an endpoint runs (authentication, scope, visibility, rate limit), or for any wrong parameter.
ANYWHERE = {400, 401, 403, 404, 429}
# (schema, field): the type GitLab sends, where the file says another or lacks the field.
FIELDS: dict[tuple[str, str], Json] = {
    ("APIEntitiesUserProfile", "external"): {"type": "boolean"},  # administrators get Entities::UserDetailsWithAdmin
    # Gitlab::Access and notification levels are numbers, in the docs and on the wire
    ("APIEntitiesMember", "access_level"): {"type": "integer"},
    ("APIEntitiesProjectAccess", "access_level"): {"type": "integer"},
    ("APIEntitiesProjectAccess", "notification_level"): {"type": "integer"},
}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list,
}  # fmt: skip
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_NAMES_IN_BRACKETS = re.compile(r"\[.*")


def check(call: Call) -> list[str]:
    """What GitLab's API file says against this call and its answer; empty where all is well. Answers made by a fault are not looked at."""
    operation = _operation(call.method, call.path)
    if operation is None:
        return [f"{call.method} {call.path}: GitLab's API has no such endpoint"]
    found = [*_check_query(call, operation), *_check_body(call, operation)]
    if call.acted is not None:
        found += _check_answer(call, operation, call.acted)
    return [f"{call.method} {call.path}: {problem}" for problem in found]


@cache
def _slice() -> Json:
    whole: Json = json.loads(SLICE.read_text(encoding="utf-8"))
    return whole


@cache
def _patterns() -> list[tuple[re.Pattern[str], Json]]:
    return [
        (re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))), methods)
        for path, methods in _slice()["paths"].items()
    ]


def _operation(method: str, path: str) -> Json | None:
    wanted = "get" if method == "HEAD" else method.lower()
    return next(
        (methods[wanted] for pattern, methods in _patterns() if wanted in methods and pattern.fullmatch(path)), None
    )


def _excused(table: dict[tuple[str, Any], Any], call: Call, what: object) -> Any:
    return next(
        (
            reason
            for (pattern, name), reason in table.items()
            if name == what and re.fullmatch(pattern, f"{call.method} {call.path}")
        ),
        None,
    )


def _check_query(call: Call, operation: Json) -> Iterator[str]:
    known = {
        _NAMES_IN_BRACKETS.sub("", parameter["name"]): parameter
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "query"
    }
    body = _properties(operation)
    for name, value in call.query.items():
        schema = known.get(name, {}).get("schema") or body.get(name)  # Grape reads body parameters from the query too
        if schema is None and not _excused(PARAMETERS, call, name):
            yield f"query parameter {name!r} is unknown"
        elif schema and call.status and call.status < 400:
            yield from _mismatches(schema, value, f"query parameter {name!r}", texts=True)
    for name, parameter in known.items():
        if parameter.get("required") and name not in call.query and call.status and call.status < 400:
            yield f"query parameter {name!r} is required"


def _check_body(call: Call, operation: Json) -> Iterator[str]:
    schema = _resolve(_body_schema(operation))
    texts = not call.headers.get("content-type", "").startswith("application/json")
    for name, value in call.json.items():
        known = schema.get("properties", {}).get(name)
        if known is None and not _excused(PARAMETERS, call, name):
            yield f"body parameter {name!r} is unknown"
        elif known and call.status and call.status < 400:
            yield from _mismatches(known, value, f"body parameter {name!r}", texts=texts)
    for name in schema.get("required", []):
        if name not in call.json and name not in call.query and call.status and call.status < 400:
            yield f"body parameter {name!r} is required"


def _check_answer(call: Call, operation: Json, status: int) -> Iterator[str]:
    excuse = _excused(STATUSES, call, status)
    key: str | None = excuse[0] if excuse else str(status)
    if not excuse and key not in operation["responses"] and status not in ANYWHERE:
        yield f"status {status} is not one of {sorted(operation['responses'])}"
    if status >= 400:
        if set(call.response) - {"message", "error", "error_description", "scope"}:
            yield f"an error says {sorted(call.response)}, not `message` or `error`"
        return
    schema = _schema(operation["responses"].get(key, {})) if key else {}
    if key and not key.isdecimal():
        schema = {"$ref": f"#/components/schemas/{key}"}
    if schema:
        items = (
            call.response if isinstance(call.response, list) else [call.response]
        )  # the file shows lists as their element
        for item in items:
            yield from _mismatches(schema, item, "the answer")


def _mismatches(schema: Json, value: Any, where: str, *, texts: bool = False) -> Iterator[str]:
    """Unknown fields and wrong types below `value`. null is let through (the file never says where it may be); `texts`: numbers came as text."""
    name = schema.get("$ref", "").rpartition("/")[2]
    schema = _resolve(schema)
    if value is None:
        return
    if "oneOf" in schema:
        if all(any(_mismatches(option, value, where, texts=texts)) for option in schema["oneOf"]):
            yield f"{where} is {value!r}, which fits none of the types"
        return
    kind = schema.get("type")
    if (
        name and isinstance(value, list) and kind != "array"
    ):  # `notes` of a discussion: an entity that stands for a list of it
        for item in value:
            yield from _mismatches(schema, item, where, texts=texts)
        return
    if texts and kind in ("integer", "number", "boolean") and isinstance(value, str):
        wanted = r"true|false|0|1" if kind == "boolean" else r"-?\d+(\.\d+)?"
        if not re.fullmatch(wanted, value):
            yield f"{where} is {value!r}, not {kind}"
        return
    if texts and kind == "array" and isinstance(value, str):
        return  # a comma list
    if kind in _TYPES and (not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{where} is {value!r}, not {kind}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{where} is {value!r}, not one of {schema['enum']}"
    elif schema.get("format") == "date-time" and not texts and not _MOMENT.fullmatch(value):
        yield f"{where} is {value!r}, not a date and time"
    elif isinstance(value, list):
        for item in value:
            yield from _mismatches(schema.get("items", {}), item, where, texts=texts)
    elif isinstance(value, dict) and "properties" in schema:
        for field, inner in value.items():
            known = FIELDS.get((name, field), schema["properties"].get(field))
            if known is not None:
                yield from _mismatches(known, inner, f"{where}.{field}", texts=texts)
            else:
                yield f"{where} has a field {field!r} that {name or 'the schema'} does not know"


def _resolve(schema: Json) -> Json:
    while "$ref" in schema:
        schema = _slice()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _schema(part: Json) -> Json:
    schema: Json = part.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _body_schema(operation: Json) -> Json:
    return _schema(operation.get("requestBody", {}))


def _properties(operation: Json) -> Json:
    properties: Json = _resolve(_body_schema(operation)).get("properties", {})
    return properties


def cut(source: Path) -> Json:
    """The slice: the operations above and the schemas they reach, without prose."""
    import yaml  # only here: nothing at run time needs it

    whole = yaml.load(source.read_text(encoding="utf-8"), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    paths = {
        path: {method: _lean(whole["paths"][path][method]) for method in methods.split()}
        for path, methods in sorted(OPERATIONS.items())
    }
    schemas: Json = {}
    wanted = set(_references(paths))
    while wanted:
        schemas |= {name: _lean(whole["components"]["schemas"][name]) for name in wanted}
        wanted = set(_references(schemas)) - set(schemas)
    return {
        "x-source": "GitLab 19.3.0-pre, doc/api/openapi/openapi_v3.yaml",
        "x-licence": "CC BY-SA 4.0",
        "x-changes": "cut by tests/gitlab/contract.py to the operations in use; descriptions, examples and tags left out",
        "openapi": whole["openapi"],
        "info": {name: whole["info"][name] for name in ("title", "version", "license")},
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def _lean(part: Any) -> Any:
    """Without prose; a property may be called `description`, so only texts under that name go."""
    if isinstance(part, list):
        return [_lean(item) for item in part]
    if not isinstance(part, dict):
        return part
    prose = ("description", "summary", "example", "operationId", "tags", "security", "default", "title")
    return {
        str(name): _lean(value)
        for name, value in part.items()
        if name not in prose or (isinstance(value, dict) and name != "example")
    }


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"].rpartition("/")[2]
        for value in part.values():
            yield from _references(value)
    elif isinstance(part, list):
        for item in part:
            yield from _references(item)


if __name__ == "__main__":
    SLICE.write_text(json.dumps(cut(Path(sys.argv[1])), indent=1) + "\n", encoding="utf-8")
