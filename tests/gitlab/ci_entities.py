"""How GitLab writes pipelines, jobs and trigger tokens in API answers: one function an entity."""

from . import entities
from .records import Json, Record, User
from .state import State


def pipeline_url(state: State, record: Record) -> str:
    """The page the reply links to."""
    return f"{state.url}/{state.projects[record['project_id']].path}/-/pipelines/{record['id']}"


def pipeline_basic(state: State, record: Record) -> Json:
    """`Entities::Ci::PipelineBasic`, as lists show it."""
    return {
        **{name: record[name] for name in ("id", "iid", "project_id", "sha", "ref", "status", "source")},
        "created_at": entities.iso(record["created_at"]),
        "updated_at": entities.iso(record["updated_at"]),
        "web_url": pipeline_url(state, record),
    }


def pipeline(state: State, record: Record) -> Json:
    """`Entities::Ci::Pipeline`."""
    status = record["status"]
    return {
        **pipeline_basic(state, record),
        "before_sha": "0" * 40,
        "tag": record["ref"] in state.projects[record["project_id"]].tags,
        "yaml_errors": record["yaml_errors"],
        "user": entities.user_basic(state, record["user_id"]),
        "started_at": entities.iso(record["started_at"]),
        "finished_at": entities.iso(record["finished_at"]),
        "committed_at": None,
        "duration": int(record["finished_at"] - record["started_at"])
        if record["finished_at"] and record["started_at"]
        else None,
        "queued_duration": None,
        "coverage": None,
        "archived": False,
        "detailed_status": {
            "icon": f"status_{status}",
            "text": status.capitalize(),
            "label": status,
            "group": status,
            "tooltip": status,
            "has_details": True,
            "details_path": pipeline_url(state, record).removeprefix(state.url),
            "illustration": None,
            "favicon": f"/assets/ci_favicons/favicon_status_{status}.png",
        },
    }


def job(state: State, record: Record, pipe: Record) -> Json:
    """`Entities::Ci::Job`."""
    return {
        **{name: record[name] for name in ("id", "name", "stage", "status", "failure_reason")},
        "ref": pipe["ref"],
        "tag": False,
        "coverage": None,
        "allow_failure": False,
        "created_at": entities.iso(pipe["created_at"]),
        "started_at": entities.iso(record["started_at"]),
        "finished_at": entities.iso(record["finished_at"]),
        "erased_at": None,
        "duration": record["finished_at"] - record["started_at"]
        if record["finished_at"] and record["started_at"]
        else None,
        "queued_duration": None,
        "user": entities.user_basic(state, pipe["user_id"]),
        "pipeline": pipeline_basic(state, pipe),
        "web_url": f"{state.url}/{state.projects[pipe['project_id']].path}/-/jobs/{record['id']}",
        "artifacts": [],
        "runner": None,
        "archived": False,
        "tag_list": [],
    }


def trigger(state: State, record: Record, *, caller: User) -> Json:
    """`Entities::Trigger`: the whole token for its owner, the first four characters for others."""
    return {
        **{name: record[name] for name in ("id", "description")},
        "token": record["token"] if caller.id == record["owner_id"] else record["token"][:4],
        "created_at": entities.iso(record["created_at"]),
        "updated_at": entities.iso(record["created_at"]),
        "last_used": entities.iso(record["last_used"]),
        "expires_at": None,
        "owner": entities.user_basic(state, record["owner_id"]),
    }
