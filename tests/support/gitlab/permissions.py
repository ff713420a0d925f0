"""Which fine-grained permission a token needs for a call, and which the docs name.

Source: GitLab's page "Fine-grained permissions for REST API", as of 19.2
(https://docs.gitlab.com/auth/tokens/fine_grained_access_tokens_rest/).
"""

import re
from collections.abc import Iterable
from pathlib import Path

from .server import Call

_VERBS = {"GET": "Read", "POST": "Create", "PUT": "Update", "DELETE": "Delete"}
# The first that fits what stands behind `/api/v4/` names the resource; the method is the action.
_RESOURCES = (
    (r"users?(/\d+)?", "User"),
    (r"personal_access_tokens/self", "Personal Access Token"),
    (r"projects(/[^/]+)?", "Project"),
    (r"projects/\d+/members/all(/\d+)?", "Member"),
    (r"projects/\d+/events", "Event"),
    (r"projects/\d+/hooks(/\d+/events)?", "Webhook"),
    (
        r"projects/\d+/pipelines(/\d+(/jobs|/variables|/bridges|/test_report(_summary)?)?)?",
        "Pipeline",
    ),
    (r"projects/\d+/jobs/\d+/trace", "Job"),
    (r"projects/\d+/repository/commits/\w+", "Commit"),
    (r"projects/\d+/resource_groups/[^/]+", "Resource Group"),
    (r"projects/\d+/uploads/[^/]+/[^/]+", "Markdown Upload"),
    (r"projects/\d+/repository/branches/[^/]+", "Branch"),
    (r"projects/\d+/repository/files/[^/]+", "Repository"),
    (r"projects/\d+/repository/commits/\w+/discussions.*", "Commit"),
    (r"projects/\d+/merge_requests/\d+/(notes|award_emoji).*", "Work Item"),
    (r"projects/\d+/merge_requests/\d+/resource_label_events", "Merge Request"),
    (r"projects/\d+/issues/\d+/resource_label_events", "Work Item"),
    (r"projects/\d+/merge_requests/\d+/draft_notes.*", "Merge Request"),
    (r"projects/\d+/merge_requests(/\d+(/diffs|/versions|/discussions.*)?)?", "Merge Request"),
    (r"projects/\d+/issues", "Work Item"),
    (r"projects/\d+/(issues|snippets)/\d+(/(notes|discussions|award_emoji).*)?", "Work Item"),
)
_ALONE = {
    r"(POST|DELETE) projects/\d+/merge_requests/\d+/draft_notes.*": "Merge Request: Update",
    r"POST projects/\d+/pipelines/\d+/cancel": "Pipeline: Update",
    r"POST /api/graphql": "",  # a fine-grained token may be shown nothing there, with no error
    r"POST projects/\d+/trigger/pipeline": "",  # the trigger token's, whatever else comes along
}
_LISTED = re.compile(r"<!-- permissions: begin -->(.*?)<!-- permissions: end -->", re.DOTALL)


def needed(call: Call) -> str:
    """Return the permission of a call, such as `Work Item: Read`; "" for none, KeyError if unknown."""
    path = call.path.removeprefix("/api/v4/")
    for pattern, permission in _ALONE.items():
        if re.fullmatch(pattern, f"{call.method} {path}"):
            return permission
    for pattern, resource in _RESOURCES:
        if re.fullmatch(pattern, path):
            return f"{resource}: {_VERBS[call.method]}"
    raise KeyError(call.path)


def lacking(calls: Iterable[Call], page: Path) -> set[str]:
    """Return the permissions that calls need and the list in a page of the docs does not name."""
    (listed,) = _LISTED.findall(page.read_text())
    rows = re.findall(r"^\| \*(.+?)\* \| (.+?) \|", listed, re.MULTILINE)
    named = {f"{resource}: {action}" for resource, said in rows for action in said.split(", ")}
    return {needed(call) for call in calls} - named - {""}
