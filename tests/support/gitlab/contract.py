"""Holds a recorded call against GitLab's own OpenAPI file: endpoint, parameters, status, fields.

`openapi_slice.json` is cut from that file (`cut.py`). Where the file and GitLab's source disagree
the source wins; the deviation stands below with its reason.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from .records import Json
from .server import Call

SLICE = Path(__file__).with_name("openapi_slice.json")

# (METHOD path pattern, parameter): why it may be sent though the file does not know it.
PARAMETERS = {
    (r"POST .*/trigger/pipeline", "ref"): "the file drops it; lib/api/ci/triggers.rb requires it",
    (
        r"POST .*/trigger/pipeline",
        "ai_flow",
    ): "ours: GitLab hands unknown keys to the job in TRIGGER_PAYLOAD",
    (
        r"GET .*/(pipelines/\d+/variables|discussions/\w+/notes)",
        "per_page",
    ): "python-gitlab pages all lists; ignored",
    (r"GET .*/(pipelines/\d+/variables|discussions/\w+/notes)", "page"): "the same",
}
# (METHOD path pattern, status): the status whose schema the answer has, or a schema's name, or
# None; and why.
STATUSES: dict[tuple[str, int], tuple[str | None, str]] = {
    (r"GET .*/discussions/\w+/notes", 200): (
        "APIEntitiesNote",
        "the file says Discussion; discussions.rb shows Note",
    ),
    (r"POST .*/trigger/pipeline", 422): (
        None,
        "the file lacks it; PipelineTriggerService: unprocessable_entity",
    ),
    (r"POST .*/pipelines/\d+/cancel", 200): (
        "201",
        "the file takes POST's default; ci/pipelines.rb: `status 200`",
    ),
    (r"(POST|PUT) .*/notes(/\d+)?|POST .*/discussions", 202): (
        None,
        "quick actions only: Entities::NoteCommands",
    ),
    (r"GET .*/jobs/\d+/trace", 200): (None, "the file says Job; ci/jobs.rb: text/plain"),
    (r"DELETE .*/(notes|hooks|draft_notes)/\d+", 204): (
        None,
        "the file takes DELETE's default; destroy_conditionally!: 204",
    ),
}
# Answers that come before an endpoint runs: authentication, scope, visibility, rate limits,
# parameters of a wrong type.
ANYWHERE = {400, 401, 403, 404, 415, 429}
# (schema, field): the type GitLab sends, where the file says another or lacks the field.
FIELDS: dict[tuple[str, str], Json] = {
    # a token's end is a day in the database and the docs; of scopes the file leaves out the items
    ("APIEntitiesPersonalAccessTokenWithLastUsedIps", "expires_at"): {"type": "string"},
    ("APIEntitiesPersonalAccessTokenWithLastUsedIps", "scopes"): {
        "type": "array",
        "items": {"type": "string"},
    },
    # administrators get Entities::UserDetailsWithAdmin
    ("APIEntitiesUserProfile", "external"): {"type": "boolean"},
    # Gitlab::Access and notification levels are numbers, in the docs and on the wire
    ("APIEntitiesMember", "access_level"): {"type": "integer"},
    ("APIEntitiesProjectAccess", "access_level"): {"type": "integer"},
    ("APIEntitiesProjectAccess", "notification_level"): {"type": "integer"},
}
_TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "object": dict,
    "array": list,
}
_TEXTS = {
    "integer": r"-?\d+",
    "number": r"-?\d+(\.\d+)?",
    "boolean": "true|false|0|1",
    "array": ".*",
}
_RIGHT: set[str] = set()  # objects of answers, each behind its schema, that were looked at
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def check(call: Call) -> list[str]:
    """Return what GitLab's API file says against this call; a fault's own answer is passed over."""
    operation = _operation(call.method, call.path)
    if operation is None:
        return [f"{call.method} {call.path}: GitLab's API has no such endpoint"]
    found = [*_check_query(call, operation), *_check_body(call, operation)]
    if call.acted is not None:
        found += _check_answer(call, operation, call.acted)
    return [f"{call.method} {call.path}: {problem}" for problem in found]


def knows(method: str, path: str) -> bool:
    """Tell whether GitLab's API has this endpoint, as far as the slice reaches."""
    return _operation(method, path) is not None


@cache
def _slice() -> Json:
    whole: Json = json.loads(SLICE.read_text(encoding="utf-8"))
    return whole


@cache
def _patterns() -> list[tuple[re.Pattern[str], Json]]:
    paths = _slice()["paths"].items()
    return [
        (re.compile(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(path))), methods)
        for path, methods in paths
    ]


def _operation(method: str, path: str) -> Json | None:
    wanted = "get" if method == "HEAD" else method.lower()
    fitting = (
        methods for pattern, methods in _patterns() if wanted in methods and pattern.fullmatch(path)
    )
    found = next(fitting, None)
    return found[wanted] if found else None


def _excuse(table: Mapping[tuple[str, Any], Any], call: Call, what: object) -> Any:
    line = f"{call.method} {call.path}"
    return next(
        (
            why
            for (pattern, name), why in table.items()
            if name == what and re.fullmatch(pattern, line)
        ),
        None,
    )


def _accepted(call: Call) -> bool:
    """Tell whether GitLab took the call: only then its parameters must all be there and of the
    right type.
    """
    return call.acted is not None and call.acted < 400


def _check_query(call: Call, operation: Json) -> Iterator[str]:
    parameters = [
        parameter for parameter in operation.get("parameters", []) if parameter["in"] == "query"
    ]
    known = {parameter["name"].partition("[")[0]: parameter["schema"] for parameter in parameters}
    body = _resolve(_schema(operation.get("requestBody", {}))).get("properties", {})
    for name, value in call.query.items():
        schema = known.get(name) or body.get(name)  # Grape reads body parameters from the query too
        if schema is None and not _excuse(PARAMETERS, call, name):
            yield f"query parameter {name!r} is unknown"
        elif schema and _accepted(call):
            yield from _mismatches(schema, value, f"query parameter {name!r}", texts=True)
    for parameter in parameters:
        if parameter.get("required") and parameter["name"] not in call.query and _accepted(call):
            yield f"query parameter {parameter['name']!r} is required"


def _check_body(call: Call, operation: Json) -> Iterator[str]:
    schema = _resolve(_schema(operation.get("requestBody", {})))
    texts = not call.headers.get("content-type", "").startswith("application/json")
    for name, value in call.json.items():
        known = schema.get("properties", {}).get(name)
        if known is None and not _excuse(PARAMETERS, call, name):
            yield f"body parameter {name!r} is unknown"
        elif known and _accepted(call):
            yield from _mismatches(known, value, f"body parameter {name!r}", texts=texts)
    for name in schema.get("required", []):
        if name not in call.json and name not in call.query and _accepted(call):
            yield f"body parameter {name!r} is required"


def _check_answer(call: Call, operation: Json, status: int) -> Iterator[str]:
    excuse = _excuse(STATUSES, call, status)
    key = excuse[0] if excuse else str(status)
    if not excuse and key not in operation["responses"] and status not in ANYWHERE:
        yield f"status {status} is not one of {sorted(operation['responses'])}"
    if status >= 400:
        if isinstance(call.response, dict) and not {"message", "error"} & call.response.keys():
            yield f"an error says {sorted(call.response)}, not `message` or `error`"
        return
    schema = _schema(operation["responses"].get(key, {}))
    if key and not key.isdecimal():
        schema = {"$ref": key}
    if schema:  # the file shows a list as its element
        for item in call.response if isinstance(call.response, list) else [call.response]:
            known = json.dumps([schema, item])  # a thread is read as often as it is asked in
            if known not in _RIGHT:
                wrong = list(_mismatches(schema, item, "the answer"))
                yield from wrong
                if not wrong:
                    _RIGHT.add(known)


def _mismatches(schema: Json, value: Any, where: str, *, texts: bool = False) -> Iterator[str]:
    """Yield unknown fields and wrong types; null passes (the file never says where it may be),
    `texts`: so do texts.
    """
    name, schema = schema.get("$ref", "").rpartition("/")[2], _resolve(schema)
    kind = schema.get("type")
    if value is None or (
        texts and isinstance(value, str) and re.fullmatch(_TEXTS.get(kind or "", "(?!)"), value)
    ):
        return
    if "oneOf" in schema:
        if all(any(_mismatches(option, value, where, texts=texts)) for option in schema["oneOf"]):
            yield f"{where} is {value!r}, which fits none of the types"
    elif isinstance(value, list) and (
        kind == "array" or name
    ):  # `notes` of a discussion: an entity for a list of it
        for item in value:
            yield from _mismatches(schema.get("items", schema), item, where, texts=texts)
    elif isinstance(value, dict) and "properties" in schema:
        for field, inner in value.items():
            yield from _field(name, schema["properties"].get(field), field, inner, where)
    else:
        yield from _misfits(schema, value, where, texts=texts)


def _misfits(schema: Json, value: Any, where: str, *, texts: bool) -> Iterator[str]:
    """Yield what is wrong with a value that has no parts."""
    kind = schema.get("type")
    if kind in _TYPES and (
        not isinstance(value, _TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")
    ):
        yield f"{where} is {value!r}, not {kind}"
    elif value not in schema.get("enum", [value]):
        yield f"{where} is {value!r}, not one of {schema['enum']}"
    elif schema.get("format") == "date-time" and not texts and not _MOMENT.fullmatch(value):
        yield f"{where} is {value!r}, not a date and time"


def _field(entity: str, schema: Json | None, field: str, value: Any, where: str) -> Iterator[str]:
    known = FIELDS.get((entity, field), schema)
    if known is None:
        yield f"{where} has a field {field!r} that {entity or 'the schema'} does not know"
    else:
        yield from _mismatches(known, value, f"{where}.{field}")


def _resolve(schema: Json) -> Json:
    while "$ref" in schema:
        schema = _slice()["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _schema(part: Json) -> Json:
    schema: Json = part.get("content", {}).get("application/json", {}).get("schema", {})
    return schema
