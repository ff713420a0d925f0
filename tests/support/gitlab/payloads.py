"""The blocks of a webhook's payload, as lib/gitlab/hook_data writes them: people, projects,
noteables, commits, jobs.
"""

from . import ci_entities, entities
from .records import Json, Record, digest
from .state import State

STATE_IDS = {"opened": 1, "closed": 2, "merged": 3, "locked": 4}


def user(state: State, user_id: int) -> Json:
    """A person: neither their role nor whether they are a bot."""
    who = state.users[user_id]
    return {
        "id": who.id,
        "name": who.name,
        "username": who.username,
        "avatar_url": None,
        "email": "[REDACTED]",
    }


def reviewer(state: State, record: Record, *, re_requested: int | None = None) -> Json:
    """A reviewer with the state of the review, and whether it is asked for again just now."""
    again = record["user_id"] == re_requested
    return {**user(state, record["user_id"]), "state": record["state"], "re_requested": again}


def label(project_id: int, title: str, made_at: float) -> Json:
    """A project's label; its id is made from its title."""
    return {
        "id": int(digest(title)[:6], 16),
        "title": title,
        "color": "#d9534f",
        "project_id": project_id,
        "created_at": entities.iso(made_at),
        "updated_at": entities.iso(made_at),
        "template": False,
        "description": None,
        "type": "ProjectLabel",
        "group_id": None,
    }


def labels(state: State, project_id: int, titles: list[str]) -> list[Json]:
    """Labels by their titles."""
    return [label(project_id, title, state.projects[project_id].created_at) for title in titles]


def project(state: State, project_id: int) -> Json:
    """A project, with the old names for its addresses that most payloads still carry
    (`bare_project` has none).
    """
    record = state.projects[project_id]
    home = f"{state.url}/{record.path}"
    ssh = f"git@{state.url.split('//')[1].split(':')[0]}:{record.path}.git"
    parents, _, name = record.path.rpartition("/")
    return {
        "id": record.id,
        "name": name,
        "description": None,
        "web_url": home,
        "avatar_url": None,
        "git_ssh_url": ssh,
        "git_http_url": f"{home}.git",
        "namespace": parents,
        "visibility_level": {"private": 0, "internal": 10, "public": 20}[record.visibility],
        "path_with_namespace": record.path,
        "default_branch": record.default_branch,
        "ci_config_path": "",
        "homepage": home,
        "url": ssh,
        "ssh_url": ssh,
        "http_url": f"{home}.git",
    }


def bare_project(state: State, project_id: int) -> Json:
    """A project as pipelines, jobs and merge requests show it."""
    old = ("homepage", "url", "ssh_url", "http_url")
    return {name: value for name, value in project(state, project_id).items() if name not in old}


def repository(state: State, project_id: int) -> Json:
    """The deprecated block beside `project`."""
    return {
        name: project(state, project_id)[name]
        for name in ("name", "url", "description", "homepage")
    }


def _noteable(state: State, record: Record) -> Json:
    return {
        "assignee_id": record["assignees"][0] if record["assignees"] else None,
        "assignee_ids": list(record["assignees"]),
        "author_id": record["author_id"],
        "created_at": entities.iso(record["created_at"]),
        "description": record["description"],
        "id": record["id"],
        "iid": record["iid"],
        "last_edited_at": entities.iso(record["last_edited_at"]),
        "last_edited_by_id": record["last_edited_by_id"],
        "milestone_id": None,
        "state": record["state"],
        "state_id": STATE_IDS[record["state"]],
        "time_estimate": 0,
        "title": record["title"],
        "updated_at": entities.iso(record["updated_at"]),
        "updated_by_id": record["updated_by_id"],
        "url": entities.noteable_url(state, record),
        "total_time_spent": 0,
        "time_change": 0,
        "human_total_time_spent": None,
        "human_time_change": None,
        "human_time_estimate": None,
        "labels": labels(state, record["project_id"], record["labels"]),
    }


def issue(state: State, record: Record) -> Json:
    """An issue or another work item, whose type is a word such as `Task`."""
    return {
        **_noteable(state, record),
        "closed_at": entities.iso(record["closed_at"]),
        "confidential": record["confidential"],
        "discussion_locked": None,
        "due_date": None,
        "moved_to_id": None,
        "duplicated_to_id": None,
        "project_id": record["project_id"],
        "relative_position": 513,
        "weight": None,
        "health_status": None,
        "type": record["issue_type"].replace("_", " ").title(),
        "severity": "unknown",
        "customer_relations_contacts": [],
    }


def merge_request(state: State, record: Record) -> Json:
    """A merge request; `source` is null where the fork is gone."""
    draft = entities.is_draft(record["title"])
    return {
        **_noteable(state, record),
        **{
            name: record[name]
            for name in ("source_branch", "target_branch", "source_project_id", "target_project_id")
        },
        "draft": draft,
        "work_in_progress": draft,
        "head_pipeline_id": None,
        "merge_commit_sha": None,
        "merged_at": entities.iso(record["merged_at"]),
        "merge_error": None,
        "merge_params": {},
        "merge_status": "can_be_merged",
        "detailed_merge_status": "mergeable",
        "merge_user_id": record["merged_by_id"],
        "merge_when_pipeline_succeeds": False,
        "blocking_discussions_resolved": True,
        "first_contribution": False,
        "reviewer_ids": [each["user_id"] for each in record["reviewers"]],
        "prepared_at": entities.iso(record["created_at"]),
        "source": project(state, record["source_project_id"])
        if record["source_project_id"] in state.projects
        else None,
        "target": project(state, record["target_project_id"]),
        "last_commit": commit(state, record["target_project_id"], record["sha"]),
        "target_branch_protected": record["target_branch"]
        in state.projects[record["target_project_id"]].protected,
    }


def commit(state: State, project_id: int, sha: str) -> Json:
    """A commit; its author is a name and an address, and no user."""
    found = state.noteable("commit", project_id, sha) or {}
    return {
        "id": sha,
        "message": found.get("message", "A commit\n"),
        "title": found.get("title", "A commit"),
        "timestamp": "2026-01-05T09:00:00+00:00",
        "url": f"{state.url}/{state.projects[project_id].path}/-/commit/{sha}",
        "author": {
            "name": found.get("author_name", "Someone"),
            "email": found.get("author_email", "[REDACTED]"),
        },
    }


def snippet(state: State, record: Record) -> Json:
    """A project's snippet."""
    same = ("id", "title", "description", "content", "author_id", "project_id", "file_name")
    return {
        **{name: record[name] for name in same},
        "created_at": entities.iso(record["created_at"]),
        "updated_at": entities.iso(record["updated_at"]),
        "type": "ProjectSnippet",
        "visibility_level": {"private": 0, "internal": 10, "public": 20}[record["visibility"]],
        "url": entities.noteable_url(state, record),
    }


def build(state: State, pipe: Record, job: Record) -> Json:
    """A job in a pipeline's payload; a failure reason shows on failed ones only."""
    duration, queued_duration = ci_entities.job_durations(job, state.clock())
    return {
        **{name: job[name] for name in ("id", "stage", "name", "status", "failure_reason")},
        "created_at": entities.iso(job["created_at"]),
        "started_at": entities.iso(job["started_at"]),
        "finished_at": entities.iso(job["finished_at"]),
        "duration": duration,
        "queued_duration": queued_duration,
        "when": "on_success",
        "manual": False,
        "allow_failure": job["allow_failure"],
        "user": user(state, pipe["user_id"]),
        "runner": None,
        "artifacts_file": {"filename": None, "size": None},
        "environment": None,
    }


def line_code(position: Record | None) -> str | None:
    """The name of a diff's line; null for a note that is on none."""
    if not position:
        return None
    return f"{digest(str(position.get('new_path')))}_{position.get('old_line') or 0}_{position.get('new_line') or 0}"
