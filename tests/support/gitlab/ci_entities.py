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
        **{
            name: record[name]
            for name in ("id", "iid", "project_id", "sha", "ref", "status", "source")
        },
        "created_at": entities.iso(record["created_at"]),
        "updated_at": entities.iso(record["updated_at"]),
        "web_url": pipeline_url(state, record),
    }


def durations(record: Record) -> tuple[int | None, int | None]:
    """A pipeline's whole seconds of running (once it has ended) and of waiting; what rounds to
    nothing is null.
    """
    started, finished = record["started_at"], record["finished_at"]
    running = int(finished - started) if started and finished else None
    return running, (int(started - record["created_at"]) if started else 0) or None


def job_durations(record: Record, now: float) -> tuple[float | None, float | None]:
    """A job's seconds of running so far and of waiting for a runner."""
    started, queued = record["started_at"], record["queued_at"]
    running = (record["finished_at"] or now) - started if started else None
    return running, (started or now) - queued if queued else None


def label(status: str) -> str:
    """What GitLab calls a status on its pages and in the Pipeline Hook."""
    return {"success": "passed", "manual": "manual action"}.get(status, status.replace("_", " "))


def pipeline(state: State, record: Record) -> Json:
    """`Entities::Ci::Pipeline`."""
    status = record["status"]
    duration, queued_duration = durations(record)
    return {
        **pipeline_basic(state, record),
        "before_sha": "0" * 40,
        "tag": record["ref"] in state.projects[record["project_id"]].tags,
        "yaml_errors": record["yaml_errors"],
        "user": entities.user_basic(state, record["user_id"]),
        "started_at": entities.iso(record["started_at"]),
        "finished_at": entities.iso(record["finished_at"]),
        "committed_at": None,
        "duration": duration,
        "queued_duration": queued_duration,
        "coverage": None,
        "archived": False,
        "detailed_status": {
            "icon": f"status_{status}",
            "text": label(status).capitalize(),
            "label": label(status),
            "group": status,
            "tooltip": label(status),
            "has_details": True,
            "details_path": pipeline_url(state, record).removeprefix(state.url),
            "illustration": None,
            "favicon": f"/assets/ci_favicons/favicon_status_{status}.png",
        },
    }


def job(state: State, record: Record, pipe: Record) -> Json:
    """`Entities::Ci::Job`."""
    duration, queued_duration = job_durations(record, state.clock())
    return {
        **{
            name: record[name]
            for name in ("id", "name", "stage", "status", "failure_reason", "allow_failure")
        },
        "ref": pipe["ref"],
        "tag": False,
        "coverage": None,
        "created_at": entities.iso(record["created_at"]),
        "started_at": entities.iso(record["started_at"]),
        "finished_at": entities.iso(record["finished_at"]),
        "erased_at": None,
        "duration": duration,
        "queued_duration": queued_duration,
        "user": entities.user_basic(state, pipe["user_id"]),
        "pipeline": pipeline_basic(state, pipe),
        "web_url": f"{state.url}/{state.projects[pipe['project_id']].path}/-/jobs/{record['id']}",
        "artifacts": [
            {
                "file_type": "archive",
                "size": 1000,
                "filename": "artifacts.zip",
                "file_format": "zip",
            }
        ]
        * bool(record["archive"]),
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
