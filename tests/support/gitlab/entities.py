"""How GitLab writes its records in API answers: one function an entity, from a record of the state
to JSON.
"""

from datetime import UTC, datetime

from .records import MAINTAINER, Json, Project, Record, digest
from .state import State

_PAGES = {
    "Issue": "issues",
    "MergeRequest": "merge_requests",
    "Snippet": "snippets",
    "Commit": "commit",
}
_PATCH_LIMIT = 200 << 10  # bytes: GitLab's default for the longest diff of a file that it shows


def iso(seconds: float | None) -> str | None:
    """A time as GitLab writes it: UTC with milliseconds."""
    if seconds is None:
        return None
    return (
        datetime.fromtimestamp(seconds, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def user_basic(state: State, user_id: int) -> Json:
    """`Entities::UserBasic`: what every answer says of a person; it does not say whether they are a
    bot.
    """
    user = state.users[user_id]
    return {
        "id": user.id,
        "username": user.username,
        "public_email": None,
        "name": user.name,
        "state": user.state,
        "locked": False,
        "avatar_url": None,
        "web_url": f"{state.url}/{user.username}",
    }


def user(state: State, user_id: int, *, whole: bool) -> Json:
    """`Entities::User`: has `bot`; `external` only in the whole form, for administrators and about
    oneself.
    """
    record = state.users[user_id]
    answer = {
        **user_basic(state, user_id),
        "created_at": iso(record.created_at),
        "bio": "",
        "location": "",
        "linkedin": "",
        "twitter": "",
        "discord": "",
        "website_url": "",
        "github": "",
        "job_title": "",
        "pronouns": None,
        "organization": "",
        "bot": record.bot,
        "work_information": None,
        "local_time": None,
    }
    if whole:
        answer["external"] = record.external
    return answer


def member(state: State, project_id: int, user_id: int) -> Json:
    """`Entities::Member`: `state` is the user's, `membership_state` the membership's."""
    record = state.members[project_id, user_id]
    return {
        **user_basic(state, user_id),
        "access_level": record["access_level"],
        "created_at": iso(record["created_at"]),
        "expires_at": record["expires_at"],
        "membership_state": record["membership_state"],
    }


def project_basic(state: State, record: Project) -> Json:
    """`Entities::BasicProjectDetails`, the fields a client may need."""
    parents, _, name = record.path.rpartition("/")
    home = f"{state.url}/{record.path}"
    return {
        "id": record.id,
        "description": None,
        "name": name,
        "name_with_namespace": record.path.replace("/", " / "),
        "path": name,
        "path_with_namespace": record.path,
        "created_at": iso(record.created_at),
        "default_branch": record.default_branch,
        "topics": [],
        "ssh_url_to_repo": f"git@{state.url.split('//')[1].split(':')[0]}:{record.path}.git",
        "http_url_to_repo": f"{home}.git",
        "web_url": home,
        "avatar_url": None,
        "last_activity_at": iso(last_activity(state, record)),
        "visibility": record.visibility,
        "namespace": {
            "id": record.id + 100_000,
            "name": parents,
            "path": parents.rpartition("/")[2],
            "kind": "group",
            "full_path": parents,
            "web_url": f"{state.url}/groups/{parents}",
        },
    }


def project(state: State, record: Project, *, level: int) -> Json:
    """`Entities::ProjectWithAccess`, the fields a client may need; the variables role shows for
    Maintainers only.
    """
    answer: Json = {
        **project_basic(state, record),
        "empty_repo": False,
        "archived": record.archived,
        "issues_enabled": True,
        "merge_requests_enabled": True,
        "jobs_enabled": record.ci_access != "disabled",
        "builds_access_level": record.ci_access,
        "public_jobs": record.public_jobs,
        "ci_config_path": "",
        "permissions": {
            "project_access": {"access_level": level, "notification_level": 3} if level else None,
            "group_access": None,
        },
    }
    if level >= MAINTAINER:
        answer["ci_pipeline_variables_minimum_override_role"] = record.variables_role
        answer["resource_group_default_process_mode"] = record.order
    return answer


def last_activity(state: State, record: Project) -> float:
    """Return the time of the last event, as `Event#reset_project_activity` keeps it: the first of
    an hour.
    """
    last = record.created_at
    for note_id in state.ids("project notes", record.id):
        note = state.notes.get(note_id)  # a deleted issue takes its notes along
        if note and not note["system"] and note["created_at"] - last > 3600:
            last = note["created_at"]
    return last


def noteable_url(state: State, record: Record) -> str:
    """The page of an issue, work item, merge request, snippet or commit."""
    kind = _PAGES[record["noteable_type"]]
    if record.get("issue_type", "issue") not in ("issue", "incident"):
        kind = "work_items"
    return f"{state.url}/{state.projects[record['project_id']].path}/-/{kind}/{record['iid']}"


def _noteable(state: State, record: Record) -> Json:
    mark = "#" if record["noteable_type"] == "Issue" else "!"
    author = user_basic(state, record["author_id"])
    assignees = [user_basic(state, user_id) for user_id in record["assignees"]]
    return {
        **{
            name: record[name]
            for name in ("id", "iid", "project_id", "title", "description", "state")
        },
        "labels": list(record["labels"]),
        "created_at": iso(record["created_at"]),
        "updated_at": iso(record["updated_at"]),
        "closed_at": iso(record["closed_at"]),
        "author": author,
        "assignees": assignees,
        "assignee": assignees[0] if assignees else None,
        "milestone": None,
        "user_notes_count": sum(not state.notes[n]["system"] for n in state.notes_on(record)),
        "discussion_locked": None,
        "web_url": noteable_url(state, record),
        "references": {
            "short": f"{mark}{record['iid']}",
            "relative": f"{mark}{record['iid']}",
            "full": f"{state.projects[record['project_id']].path}{mark}{record['iid']}",
        },
        "imported": False,
        "imported_from": "none",
    }


def issue(state: State, record: Record) -> Json:
    """`Entities::Issue`."""
    return {
        **_noteable(state, record),
        "confidential": record["confidential"],
        "type": record["issue_type"].upper(),
        "issue_type": record["issue_type"],
        "severity": "UNKNOWN",
    }


def merge_request(state: State, record: Record) -> Json:
    """`Entities::MergeRequest`."""
    refs = {"base_sha": digest("base"), "head_sha": record["sha"], "start_sha": digest("base")}
    return {
        **merge_request_basic(state, record),
        "changes_count": changes_count(state, record),
        "diff_refs": refs,
    }


def versions(record: Record) -> list[Json]:
    """`Entities::MergeRequestDiff` of each head the merge request has had, newest first."""
    heads = [*record["pushed_over"], record["sha"]]
    made = [
        {
            "id": 1000 * record["id"] + number,
            "head_commit_sha": head,
            "base_commit_sha": digest("base"),
            "start_commit_sha": digest("base"),
            "created_at": iso(record["created_at"]),
            "merge_request_id": record["id"],
            "state": "collected",
            "real_size": str(len(record["diffs"])),
            "patch_id_sha": digest("patch"),
        }
        for number, head in enumerate(heads, 1)
    ]
    return made[::-1]


def changes_count(state: State, record: Record) -> str:
    """The number of files as a text, `1000+` where GitLab stopped counting."""
    count, most = len(record["diffs"]), state.diff_max_files
    return str(count) if count <= most else f"{most}+"


def merge_request_basic(state: State, record: Record) -> Json:
    """`Entities::MergeRequestBasic`, as lists show it."""
    return {
        **_noteable(state, record),
        **{
            name: record[name]
            for name in (
                "source_branch",
                "target_branch",
                "source_project_id",
                "target_project_id",
                "sha",
            )
        },
        "reviewers": [user_basic(state, each["user_id"]) for each in record["reviewers"]],
        "draft": is_draft(record["title"]),
        "merged_at": iso(record["merged_at"]),
        "merge_user": user_basic(state, record["merged_by_id"]) if record["merged_by_id"] else None,
        "merge_status": "can_be_merged",
        "detailed_merge_status": "mergeable",
        "merge_commit_sha": None,
        "squash": False,
        "has_conflicts": False,
    }


def is_draft(title: str) -> bool:
    """Tell by its title whether a merge request is a draft, as GitLab does."""
    return title.lower().startswith(("draft:", "[draft]", "(draft)", "draft - "))


def diff(record: Record, *, unidiff: bool = False) -> Json:
    """`Entities::Diff`; a test gives as little as a path and a diff.

    What is collapsed or too large has no text.
    """
    new_path = record.get("new_path") or record["old_path"]
    answer = {
        "diff": "",
        "collapsed": False,
        "too_large": len(record.get("diff", "").encode()) > _PATCH_LIMIT,
        "new_path": new_path,
        "old_path": record.get("old_path") or new_path,
        "a_mode": "100644",
        "b_mode": "100644",
        "new_file": False,
        "renamed_file": False,
        "deleted_file": False,
        "generated_file": False,
        **{name: value for name, value in record.items() if name != "old_lines"},
    }
    if answer["collapsed"] or answer["too_large"]:
        answer["diff"] = ""
    elif unidiff and answer["diff"]:
        old = "/dev/null" if answer["new_file"] else f"a/{answer['old_path']}"
        new = "/dev/null" if answer["deleted_file"] else f"b/{answer['new_path']}"
        answer["diff"] = f"--- {old}\n+++ {new}\n{answer['diff']}"
    return answer


def note(state: State, record: Record) -> Json:
    """`Entities::Note`; `resolvable` for threads on merge requests only, an iid where the noteable
    has one.
    """
    kind = record["noteable_type"]
    resolvable = kind == "MergeRequest" and record["type"] is not None and not record["system"]
    answer = {
        **{
            name: record[name]
            for name in ("id", "type", "body", "system", "noteable_type", "project_id", "internal")
        },
        "noteable_id": None if kind == "Commit" else record["noteable_id"],
        "author": user_basic(state, record["author_id"]),
        "created_at": iso(record["created_at"]),
        "updated_at": iso(record["updated_at"]),
        "resolvable": resolvable,
        "confidential": record["internal"],
        "imported": False,
        "imported_from": "none",
        "commands_changes": {},
    }
    if kind in ("Issue", "MergeRequest"):
        answer["noteable_iid"] = record["noteable_iid"]
    if record["position"]:
        answer["position"] = record["position"]
    if resolvable:
        by, at = record.get("resolved_by_id"), record.get("resolved_at")
        answer |= {
            "resolved": by is not None,
            "resolved_by": user_basic(state, by) if by else None,
            "resolved_at": iso(at) if at else None,
        }
    return answer


def discussion(state: State, notes: list[Record]) -> Json:
    """`Entities::Discussion` from the notes this caller may read."""
    return {
        "id": notes[0]["discussion_id"],
        "individual_note": notes[0]["type"] is None,
        "notes": [note(state, record) for record in notes],
    }


def award(state: State, record: Record) -> Json:
    """`Entities::AwardEmoji`."""
    return {
        **{name: record[name] for name in ("id", "name", "awardable_id", "awardable_type")},
        "user": user_basic(state, record["user_id"]),
        "created_at": iso(record["created_at"]),
        "updated_at": iso(record["created_at"]),
        "url": None,
    }


def event(state: State, record: Record) -> Json:
    """`Entities::Event` of a comment; `target_type` is the note's class, not always `Note`."""
    noteable = state.noteable(record["noteable_type"], record["project_id"], record["noteable_iid"])
    return {
        "id": record["id"] + 1_000_000,
        "project_id": record["project_id"],
        "action_name": "commented on",
        "target_id": record["id"],
        "target_iid": record["id"],
        "target_type": record["type"] or "Note",
        "author_id": record["author_id"],
        "target_title": noteable["title"] if noteable else None,
        "created_at": iso(record["created_at"]),
        "note": note(state, record),
        "author": user_basic(state, record["author_id"]),
        "imported": False,
        "imported_from": "none",
        "author_username": state.users[record["author_id"]].username,
    }
