"""The webhook deliveries GitLab 19 would send for what the state holds; unsigned until `sign` is called."""
# ruff: noqa: TRY003  (the sentences are GitLab's)

import base64
import hashlib
import hmac
import json
import re
import uuid

from . import ci_entities, entities
from .projects import VERSION
from .records import Json, Record, digest
from .state import State

Headers = dict[str, str]
_SIGNING_TOKEN = re.compile(r"whsec_[A-Za-z0-9+/]{43}=")


def signing_key(token: object) -> bytes | None:
    """The 32 bytes behind a signing token; None for anything GitLab would not accept as one."""
    text = str(token)
    return base64.b64decode(text.removeprefix("whsec_")) if _SIGNING_TOKEN.fullmatch(text) else None


def sign(headers: Headers, body: bytes, token: str, now: float | None = None) -> Headers:
    """Return the headers with `webhook-signature` (Standard Webhooks, v1); `now` sets the timestamp anew first."""
    key = signing_key(token)
    if key is None:
        raise ValueError("a signing token is whsec_ and 32 bytes in base64")
    stamped = headers if now is None else {**headers, "webhook-timestamp": str(int(now))}
    signed = f"{stamped['webhook-id']}.{stamped['webhook-timestamp']}.".encode() + body
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {**stamped, "webhook-signature": f"v1,{signature}"}


def with_token(headers: Headers, token: str) -> Headers:
    """Return the headers with the secret token, the older way to authenticate."""
    return {**headers, "X-Gitlab-Token": token}


def headers(state: State, event: str, *, webhook_id: str | None = None) -> Headers:
    """What every delivery carries; the id stays the same when it is sent again."""
    number = webhook_id or str(uuid.uuid4())
    return {
        "Content-Type": "application/json",
        "User-Agent": f"GitLab/{VERSION}",
        "Idempotency-Key": number,
        "webhook-id": number,
        "webhook-timestamp": str(int(state.clock())),
        "X-Gitlab-Event": event,
        "X-Gitlab-Webhook-UUID": str(uuid.uuid4()),
        "X-Gitlab-Event-UUID": str(uuid.uuid4()),
        "X-Gitlab-Instance": state.url,
    }


def minified(payload: Json) -> bytes:
    """As GitLab sends it: no blanks, UTF-8 as it is."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def note(state: State, record: Record, *, action: str = "create") -> tuple[str, Json]:
    """Return event name and payload of a comment; on `update` the user is still the author, the editor only an id."""
    project = _project(state, record["project_id"])
    kind = "issue" if record["noteable_type"] == "Issue" else "merge_request"
    noteable = state.noteable(kind, record["project_id"], record["noteable_iid"])
    assert noteable is not None
    confidential = record["internal"] or noteable.get("confidential", False)
    payload = {
        "object_kind": "note",
        "event_type": "confidential_note" if confidential else "note",
        "user": _user(state, record["author_id"]),
        "project_id": record["project_id"],
        "project": project,
        "object_attributes": {
            "attachment": None,
            "author_id": record["author_id"],
            "change_position": None,
            "commit_id": None,
            "created_at": entities.iso(record["created_at"]),
            "discussion_id": record["discussion_id"],
            "id": record["id"],
            "internal": record["internal"],
            "line_code": _line_code(record["position"]),
            "note": record["body"],
            "noteable_id": record["noteable_id"],
            "noteable_type": record["noteable_type"],
            "original_position": record["position"],
            "position": record["position"],
            "project_id": record["project_id"],
            "resolved_at": None,
            "resolved_by_id": None,
            "resolved_by_push": None,
            "st_diff": None,
            "system": record["system"],
            "type": record["type"],
            "updated_at": entities.iso(record["updated_at"]),
            "updated_by_id": record["updated_by_id"],
            "description": record["body"],
            "url": f"{entities.noteable_url(state, noteable)}#note_{record['id']}",
            "action": action,
        },
        "repository": {name: project[name] for name in ("name", "url", "description", "homepage")},
        kind: _issue(state, noteable) if kind == "issue" else _merge_request(state, noteable),
    }
    return ("Confidential Note Hook" if confidential else "Note Hook"), payload


def pipeline(state: State, record: Record) -> tuple[str, Json]:
    """The event name and the payload of a pipeline, its variables in clear and its triggerer as the user."""
    project = state.projects[record["project_id"]]
    attributes = _project(state, project.id)
    finished, started = record["finished_at"], record["started_at"]
    payload = {
        "object_kind": "pipeline",
        "object_attributes": {
            **{name: record[name] for name in ("id", "iid", "name", "ref", "sha", "source", "status")},
            "tag": record["ref"] in project.tags,
            "before_sha": "0" * 40,
            "detailed_status": {"success": "passed"}.get(record["status"], record["status"]),
            "stages": list(dict.fromkeys(job["stage"] for job in record["jobs"])),
            "created_at": entities.iso(record["created_at"]),
            "finished_at": entities.iso(finished),
            "duration": int(finished - started) if finished and started else None,
            "queued_duration": None,
            "protected_ref": record["ref"] in project.protected,
            "variables": [{"key": variable["key"], "value": variable["value"]} for variable in record["variables"]],
            "url": ci_entities.pipeline_url(state, record),
        },
        "merge_request": None,
        "user": _user(state, record["user_id"]),
        "project": {
            name: value for name, value in attributes.items() if name not in ("homepage", "url", "ssh_url", "http_url")
        },
        "commit": _commit(state, project.id, record["sha"]),
        "builds": [_build(state, record, job) for job in record["jobs"]],
    }
    return "Pipeline Hook", payload


def _user(state: State, user_id: int) -> Json:
    user = state.users[user_id]
    return {"id": user.id, "name": user.name, "username": user.username, "avatar_url": None, "email": "[REDACTED]"}


def _project(state: State, project_id: int) -> Json:
    project = state.projects[project_id]
    home = f"{state.url}/{project.path}"
    ssh = f"git@{state.url.split('//')[1].split(':')[0]}:{project.path}.git"
    parents, _, name = project.path.rpartition("/")
    return {
        "id": project.id,
        "name": name,
        "description": None,
        "web_url": home,
        "avatar_url": None,
        "git_ssh_url": ssh,
        "git_http_url": f"{home}.git",
        "namespace": parents,
        "visibility_level": {"private": 0, "internal": 10, "public": 20}[project.visibility],
        "path_with_namespace": project.path,
        "default_branch": project.default_branch,
        "ci_config_path": "",
        "homepage": home,
        "url": ssh,
        "ssh_url": ssh,
        "http_url": f"{home}.git",
    }


def _noteable(state: State, record: Record) -> Json:
    return {
        "assignee_id": None,
        "assignee_ids": [],
        "author_id": record["author_id"],
        "created_at": entities.iso(record["created_at"]),
        "description": record["description"],
        "id": record["id"],
        "iid": record["iid"],
        "last_edited_at": None,
        "last_edited_by_id": None,
        "milestone_id": None,
        "state": record["state"],
        "state_id": {"opened": 1, "closed": 2, "merged": 3, "locked": 4}[record["state"]],
        "time_estimate": 0,
        "title": record["title"],
        "updated_at": entities.iso(record["updated_at"]),
        "updated_by_id": None,
        "url": entities.noteable_url(state, record),
        "total_time_spent": 0,
        "time_change": 0,
        "human_total_time_spent": None,
        "human_time_change": None,
        "human_time_estimate": None,
        "labels": [
            {
                "id": number,
                "title": title,
                "color": "#d9534f",
                "project_id": record["project_id"],
                "created_at": entities.iso(record["created_at"]),
                "updated_at": entities.iso(record["created_at"]),
                "template": False,
                "description": None,
                "type": "ProjectLabel",
                "group_id": None,
            }
            for number, title in enumerate(record["labels"], 1)
        ],
    }


def _issue(state: State, record: Record) -> Json:
    return {
        **_noteable(state, record),
        "closed_at": None,
        "confidential": record["confidential"],
        "discussion_locked": None,
        "due_date": None,
        "moved_to_id": None,
        "duplicated_to_id": None,
        "project_id": record["project_id"],
        "relative_position": 513,
        "weight": None,
        "health_status": None,
        "type": "Issue",
        "severity": "unknown",
        "customer_relations_contacts": [],
    }


def _merge_request(state: State, record: Record) -> Json:
    draft = record["title"].startswith("Draft:")
    return {
        **_noteable(state, record),
        **{name: record[name] for name in ("source_branch", "target_branch", "source_project_id", "target_project_id")},
        "draft": draft,
        "work_in_progress": draft,
        "head_pipeline_id": None,
        "merge_commit_sha": None,
        "merge_error": None,
        "merge_params": {},
        "merge_status": "can_be_merged",
        "detailed_merge_status": "mergeable",
        "merge_user_id": None,
        "merge_when_pipeline_succeeds": False,
        "blocking_discussions_resolved": True,
        "first_contribution": False,
        "reviewer_ids": [],
        "prepared_at": entities.iso(record["created_at"]),
        "source": _project(state, record["source_project_id"])
        if record["source_project_id"] in state.projects
        else None,
        "target": _project(state, record["target_project_id"]),
        "last_commit": _commit(state, record["target_project_id"], record["sha"]),
        "target_branch_protected": record["target_branch"] in state.projects[record["target_project_id"]].protected,
    }


def _commit(state: State, project_id: int, sha: str) -> Json:
    url = f"{state.url}/{state.projects[project_id].path}/-/commit/{sha}"
    author = {"name": "Someone", "email": "[REDACTED]"}
    return {
        "id": sha,
        "message": "A commit\n",
        "title": "A commit",
        "timestamp": "2026-01-05T09:00:00+00:00",
        "url": url,
        "author": author,
    }


def _build(state: State, pipe: Record, job: Record) -> Json:
    return {
        **{name: job[name] for name in ("id", "stage", "name", "status", "failure_reason")},
        "created_at": entities.iso(pipe["created_at"]),
        "started_at": entities.iso(job["started_at"]),
        "finished_at": entities.iso(job["finished_at"]),
        "duration": None,
        "queued_duration": None,
        "when": "on_success",
        "manual": False,
        "allow_failure": False,
        "user": _user(state, pipe["user_id"]),
        "runner": None,
        "artifacts_file": {"filename": None, "size": None},
        "environment": None,
    }


def _line_code(position: Record | None) -> str | None:
    if not position:
        return None
    return f"{digest(str(position.get('new_path')))}_{position.get('old_line') or 0}_{position.get('new_line') or 0}"
