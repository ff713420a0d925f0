"""Cuts GitLab's OpenAPI file down to the operations in use; run when an endpoint is added.

    python -m tests.support.gitlab.cut path/to/openapi_v3.yaml

The result stands beside this file under the licence of its source, CC BY-SA 4.0.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped,unused-ignore]

SLICE = Path(__file__).with_name("openapi_slice.json")
PROSE = ("description", "summary", "example", "operationId", "tags", "security", "default", "title")

_P, _G = "/api/v4/projects/{id}", "/api/v4/groups/{id}"
_I, _M = f"{_P}/issues", f"{_P}/merge_requests"
_S, _C = f"{_P}/snippets", f"{_P}/repository/commits"
_ISSUE, _MERGE_REQUEST, _SNIPPET = (
    f"{_I}/{{issue_iid}}",
    f"{_M}/{{merge_request_iid}}",
    f"{_S}/{{snippet_id}}",
)
OPERATIONS = {
    "/api/v4/version": "get",
    "/api/v4/user": "get",
    "/api/v4/users/{id}": "get",
    "/api/v4/projects": "get",
    _P: "get put",
    **{f"{kind}/{{eventable_id}}/resource_label_events": "get" for kind in (_I, _M)},
    f"{_P}/members/all": "get",
    f"{_P}/members/all/{{user_id}}": "get",
    _I: "get post",
    _ISSUE: "get put delete",
    _M: "get post",
    _MERGE_REQUEST: "get put",
    f"{_MERGE_REQUEST}/diffs": "get",
    f"{_MERGE_REQUEST}/versions": "get",
    f"{_MERGE_REQUEST}/draft_notes": "get post",
    f"{_MERGE_REQUEST}/draft_notes/{{draft_note_id}}": "delete",
    f"{_MERGE_REQUEST}/draft_notes/bulk_publish": "post",
    **{f"{kind}/{{noteable_id}}/notes": "get post" for kind in (_I, _M, _S)},
    **{f"{kind}/{{noteable_id}}/notes/{{note_id}}": "get put delete" for kind in (_I, _M, _S)},
    **{f"{kind}/{{noteable_id}}/discussions": "get post" for kind in (_I, _M, _S, _C)},
    **{f"{kind}/{{noteable_id}}/discussions/{{discussion_id}}": "get" for kind in (_I, _S, _C)},
    f"{_M}/{{noteable_id}}/discussions/{{discussion_id}}": "get put",
    **{
        f"{kind}/{{noteable_id}}/discussions/{{discussion_id}}/notes": "get post"
        for kind in (_I, _M, _S, _C)
    },
    **{
        f"{kind}/{{noteable_id}}/discussions/{{discussion_id}}/notes/{{note_id}}": "get put delete"
        for kind in (_I, _M, _S, _C)
    },
    **{f"{on}/award_emoji": "get post" for on in (_ISSUE, _MERGE_REQUEST, _SNIPPET)},
    **{f"{on}/award_emoji/{{award_id}}": "get delete" for on in (_ISSUE, _MERGE_REQUEST, _SNIPPET)},
    **{
        f"{on}/notes/{{note_id}}/award_emoji": "get post"
        for on in (_ISSUE, _MERGE_REQUEST, _SNIPPET)
    },
    **{
        f"{on}/notes/{{note_id}}/award_emoji/{{award_id}}": "get delete"
        for on in (_ISSUE, _MERGE_REQUEST, _SNIPPET)
    },
    f"{_P}/trigger/pipeline": "post",
    f"{_P}/ref/{{ref}}/trigger/pipeline": "post",
    f"{_P}/triggers": "get post",
    f"{_P}/triggers/{{trigger_id}}": "delete",
    f"{_P}/pipelines": "get",
    f"{_P}/pipelines/{{pipeline_id}}": "get",
    f"{_P}/pipelines/{{pipeline_id}}/variables": "get",
    f"{_P}/pipelines/{{pipeline_id}}/jobs": "get",
    f"{_P}/pipelines/{{pipeline_id}}/cancel": "post",
    f"{_P}/pipelines/{{pipeline_id}}/bridges": "get",
    f"{_P}/pipelines/{{pipeline_id}}/test_report": "get",
    f"{_P}/pipelines/{{pipeline_id}}/test_report_summary": "get",
    f"{_P}/jobs/{{job_id}}/trace": "get",
    f"{_P}/repository/commits/{{sha}}": "get",
    f"{_P}/hooks": "get post",
    f"{_P}/hooks/{{hook_id}}": "get put delete",
    f"{_P}/hooks/{{hook_id}}/events": "get",
    f"{_P}/hooks/{{hook_id}}/events/{{hook_log_id}}/resend": "post",
    f"{_P}/events": "get",
    "/api/v4/personal_access_tokens/self": "get",
    _G: "get",
    f"{_G}/projects": "get",
    f"{_G}/members/all/{{user_id}}": "get",
    f"{_G}/hooks": "get post",
    f"{_G}/hooks/{{hook_id}}": "delete",
    **{f"{place}/access_tokens": "get post" for place in (_P, _G)},
    **{f"{place}/access_tokens/{{token_id}}": "delete" for place in (_P, _G)},
    **{f"{place}/service_accounts": "get post" for place in (_P, _G)},
    **{f"{place}/service_accounts/{{user_id}}": "delete" for place in (_P, _G)},
    **{
        f"{place}/service_accounts/{{user_id}}/personal_access_tokens": "get post"
        for place in (_P, _G)
    },
    **{
        f"{place}/service_accounts/{{user_id}}/personal_access_tokens/{{token_id}}": "delete"
        for place in (_P, _G)
    },
    **{f"{place}/members": "post" for place in (_P, _G)},
    **{f"{place}/variables": "get post" for place in (_P, _G)},
    **{f"{place}/variables/{{key}}": "put delete" for place in (_P, _G)},
    f"{_P}/protected_branches/{{name}}": "get",
    f"{_P}/repository/files/{{file_path}}": "get",
    f"{_P}/repository/commits": "post",
    f"{_P}/repository/branches/{{branch}}": "get delete",
    f"{_P}/ci/lint": "get",
    f"{_P}/runners": "get",
}


def cut(whole: dict[str, Any]) -> dict[str, Any]:
    """Return the operations above and the schemas they reach, without prose."""
    paths = {
        path: {method: _lean(whole["paths"][path][method]) for method in methods.split()}
        for path, methods in sorted(OPERATIONS.items())
    }
    schemas: dict[str, Any] = {}
    wanted = set(_references(paths))
    while wanted:
        schemas |= {name: _lean(whole["components"]["schemas"][name]) for name in wanted}
        wanted = set(_references(schemas)) - set(schemas)
    return {
        "x-source": "GitLab 19.3.0-pre, doc/api/openapi/openapi_v3.yaml",
        "x-licence": "CC BY-SA 4.0",
        "x-changes": "cut by tests/support/gitlab/cut.py to the operations in use; descriptions, examples and tags left out",
        "openapi": whole["openapi"],
        "info": {name: whole["info"][name] for name in ("title", "version", "license")},
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def _lean(part: Any) -> Any:
    """Return the part without prose; a property may be called `description`, so below `properties`
    all names stay.
    """
    if isinstance(part, list):
        return [_lean(item) for item in part]
    if not isinstance(part, dict):
        return part
    kept = {str(name): value for name, value in part.items() if name not in PROSE}
    properties = {name: _lean(value) for name, value in kept.pop("properties", {}).items()}
    return {name: _lean(value) for name, value in kept.items()} | (
        {"properties": properties} if properties else {}
    )


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
    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    loaded = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506  (both are safe loaders)
    SLICE.write_text(json.dumps(cut(loaded), indent=1) + "\n", encoding="utf-8")
