"""The payloads GitLab 19 sends when something happens, as lib/gitlab/data_builder writes them;
`vintages` ages them.
"""
# ruff: noqa: EM102, TRY003  (what is missing is named)

from typing import Any

from . import ci_entities, entities, payloads
from .records import Json, Record
from .state import State

# Event name → the hook's setting that asks for it, without `_events`.
SETTINGS = {
    "Note Hook": "note",
    "Confidential Note Hook": "confidential_note",
    "Issue Hook": "issues",
    "Confidential Issue Hook": "confidential_issues",
    "Merge Request Hook": "merge_requests",
    "Pipeline Hook": "pipeline",
    "Job Hook": "job",
}


def note(state: State, record: Record, *, action: str = "create") -> tuple[str, Json]:
    """Return event name and payload of a comment; on `update` the user is still the author, the
    editor only an id.
    """
    noteable = state.noteable(record["noteable_type"], record["project_id"], record["noteable_iid"])
    if noteable is None:
        raise KeyError(
            f"note {record['id']} is on {record['noteable_type']} {record['noteable_iid']}, which is gone"
        )
    confidential = record["internal"] or noteable.get("confidential", False)
    on_commit = record["noteable_type"] == "Commit"
    payload = {
        "object_kind": "note",
        "event_type": "confidential_note" if confidential else "note",
        "user": payloads.user(state, record["author_id"]),
        "project_id": record["project_id"],
        "project": payloads.project(state, record["project_id"]),
        "object_attributes": {
            "attachment": None,
            "author_id": record["author_id"],
            "change_position": None,
            "commit_id": record["noteable_id"] if on_commit else None,
            "created_at": entities.iso(record["created_at"]),
            "discussion_id": record["discussion_id"],
            "id": record["id"],
            "internal": record["internal"],
            "line_code": payloads.line_code(record["position"]),
            "note": record["body"],
            "noteable_id": None if on_commit else record["noteable_id"],
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
        "repository": payloads.repository(state, record["project_id"]),
        **_block(state, noteable),
    }
    return ("Confidential Note Hook" if confidential else "Note Hook"), payload


def _block(state: State, noteable: Record) -> Json:
    """What the note is on, under its own name."""
    if noteable["noteable_type"] == "Issue":
        return {"issue": payloads.issue(state, noteable)}
    if noteable["noteable_type"] == "MergeRequest":
        return {"merge_request": payloads.merge_request(state, noteable)}
    if noteable["noteable_type"] == "Snippet":
        return {"snippet": payloads.snippet(state, noteable)}
    return {"commit": payloads.commit(state, noteable["project_id"], noteable["id"])}


def issue(
    state: State, record: Record, *, edit: Record | None = None, action: str | None = None
) -> tuple[str, Json]:
    """The event name and the payload of an edit, without one of the last; of a new issue it is its
    opening.
    """
    edit = edit or _last(record)
    kind = "issue" if record["issue_type"] == "issue" else "work_item"
    confidential = record["confidential"]
    payload = {
        "object_kind": kind,
        "event_type": f"confidential_{kind}" if confidential else kind,
        "user": payloads.user(state, edit["user_id"]),
        "project": payloads.project(state, record["project_id"]),
        "object_attributes": {**payloads.issue(state, record), **_action(edit, action)},
        **_people(state, record, edit),
    }
    return ("Confidential Issue Hook" if confidential else "Issue Hook"), payload


def merge_request(
    state: State,
    record: Record,
    *,
    edit: Record | None = None,
    action: str | None = None,
    arrays: bool = True,
) -> tuple[str, Json]:
    """The same of a merge request.

    When a review is requested again GitLab's docs show `changes.reviewers` as two arrays;
    `arrays=False` writes `previous` and `current` as for any other change, which its source
    (`final_changes`) lets one expect.
    """
    edit = edit or _last(record)
    payload = {
        "object_kind": "merge_request",
        "event_type": "merge_request",
        "user": payloads.user(state, edit["user_id"]),
        "project": payloads.project(state, record["project_id"]),
        "object_attributes": {
            **payloads.merge_request(state, record),
            **({"oldrev": edit["oldrev"]} if "oldrev" in edit else {}),
            "system": False,
            **_action(edit, action),
        },
        **_people(state, record, edit),
    }
    if "re_requested" in edit and arrays:
        payload["changes"]["reviewers"] = list(payload["changes"]["reviewers"].values())
    if record["reviewers"]:
        again = edit.get("re_requested")
        payload["reviewers"] = [
            payloads.reviewer(state, each, re_requested=again) for each in record["reviewers"]
        ]
    return "Merge Request Hook", payload


def pipeline(state: State, record: Record) -> tuple[str, Json]:
    """The event name and the payload of a pipeline, its variables in clear and its triggerer as the
    user.
    """
    project = state.projects[record["project_id"]]
    duration, queued_duration = ci_entities.durations(record)
    payload = {
        "object_kind": "pipeline",
        "object_attributes": {
            **{
                name: record[name]
                for name in ("id", "iid", "name", "ref", "sha", "source", "status")
            },
            "tag": record["ref"] in project.tags,
            "before_sha": "0" * 40,
            "detailed_status": ci_entities.label(record["status"]),
            "stages": list(dict.fromkeys(job["stage"] for job in record["jobs"])),
            "created_at": entities.iso(record["created_at"]),
            "finished_at": entities.iso(record["finished_at"]),
            "duration": duration,
            "queued_duration": queued_duration,
            "protected_ref": record["ref"] in project.protected,
            "default_branch": record["ref"] == project.default_branch,
            "variables": [
                {"key": variable["key"], "value": variable["value"]}
                for variable in record["variables"]
            ],
            "url": ci_entities.pipeline_url(state, record),
        },
        "merge_request": None,
        "user": payloads.user(state, record["user_id"]),
        "project": payloads.bare_project(state, project.id),
        "commit": payloads.commit(state, project.id, record["sha"]),
        "builds": [payloads.build(state, record, job) for job in record["jobs"]],
    }
    return "Pipeline Hook", payload


def job(state: State, record: Record) -> tuple[str, Json]:
    """The event name and the payload of a job: `commit.id` is the pipeline's id, and there are no
    variables.
    """
    pipe = state.pipelines[record["pipeline_id"]]
    project = payloads.project(state, pipe["project_id"])
    commit = payloads.commit(state, pipe["project_id"], pipe["sha"])
    duration, queued_duration = ci_entities.job_durations(record, state.clock())
    moments = {
        name: entities.iso(record[name]) for name in ("created_at", "started_at", "finished_at")
    }
    payload = {
        "object_kind": "build",
        **{name: pipe[name] for name in ("ref", "sha")},
        "tag": pipe["ref"] in state.projects[pipe["project_id"]].tags,
        "before_sha": "0" * 40,
        "retries_count": 0,
        **{
            f"build_{name}": record[name]
            for name in ("id", "name", "stage", "status", "allow_failure")
        },
        "build_failure_reason": record["failure_reason"] or "unknown_failure",
        **{f"build_{name}": moment for name, moment in moments.items()},
        **{f"build_{name}_iso": _whole(moment) for name, moment in moments.items()},
        "build_duration": duration,
        "build_queued_duration": queued_duration,
        "pipeline_id": pipe["id"],
        "runner": None,
        "project_id": pipe["project_id"],
        "project_name": state.projects[pipe["project_id"]].path,
        "user": payloads.user(state, pipe["user_id"]),
        "commit": {
            **{name: pipe[name] for name in ("id", "name", "sha", "status")},
            "message": commit["message"],
            "author_name": commit["author"]["name"],
            "author_email": commit["author"]["email"],
            "author_url": f"mailto:{commit['author']['email']}",
            "duration": ci_entities.durations(pipe)[0],
            **{name: entities.iso(pipe[name]) for name in ("started_at", "finished_at")},
            **{
                f"{name}_iso": _whole(entities.iso(pipe[name]))
                for name in ("started_at", "finished_at")
            },
        },
        "repository": {
            **payloads.repository(state, pipe["project_id"]),
            **{name: project[name] for name in ("git_http_url", "git_ssh_url", "visibility_level")},
        },
        "project": payloads.bare_project(state, pipe["project_id"]),
        "environment": None,
    }
    return "Job Hook", payload


BUILDERS = {
    "note": note,
    "issue": issue,
    "merge_request": merge_request,
    "pipeline": pipeline,
    "job": job,
}


def _whole(moment: str | None) -> str | None:
    """The `_iso` fields of jobs have no milliseconds."""
    return moment and f"{moment[:19]}Z"


def _last(record: Record) -> Record:
    """The last edit of an issue or merge request, or how it was opened."""
    if record["edits"]:
        last: Record = record["edits"][-1]
        return last
    fields = (
        "author_id", "created_at", "description", "id", "iid", "project_id", "title", "updated_at",
    )  # fmt: skip
    changes = {
        name: (None, record[name])
        for name in fields
        if name in record and record[name] not in ("", None)
    }
    return {
        "user_id": record["author_id"],
        "action": "open",
        "at": record["created_at"],
        "changes": changes,
    }


def _action(edit: Record, action: str | None) -> Json:
    return {"action": action or edit["action"], "actioned_at": entities.iso(edit["at"])}


def _people(state: State, record: Record, edit: Record) -> Json:
    """What issues and merge requests have beside their attributes; assignees only if any."""
    found: Json = {
        "labels": payloads.labels(state, record["project_id"], record["labels"]),
        "changes": _changes(state, record, edit),
        "repository": payloads.repository(state, record["project_id"]),
    }
    if record["assignees"]:
        found["assignees"] = [payloads.user(state, user_id) for user_id in record["assignees"]]
    return found


def _changes(state: State, record: Record, edit: Record) -> Json:
    """Every changed field with what it was and what it is."""
    changes = dict(edit["changes"])
    if "state" in changes:
        changes["state_id"] = tuple(payloads.STATE_IDS[value] for value in changes.pop("state"))
    if (
        "title" in changes
        and record["noteable_type"] == "MergeRequest"
        and edit["action"] != "open"
    ):
        before, after = (entities.is_draft(title) for title in changes["title"])
        changes |= {"draft": (before, after)} if before != after else {}
    again = edit.get("re_requested")

    def shown(name: str, value: Any, *, now: bool) -> Any:
        if name.endswith("_at"):
            return entities.iso(value)
        if name == "labels":
            return payloads.labels(state, record["project_id"], value)
        if name == "assignees":
            return [payloads.user(state, user_id) for user_id in value]
        if name == "reviewers":
            return [
                payloads.reviewer(state, each, re_requested=again if now else None)
                for each in value
            ]
        return value

    return {
        name: {"previous": shown(name, before, now=False), "current": shown(name, after, now=True)}
        for name, (before, after) in changes.items()
    }
