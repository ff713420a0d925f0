"""What GitLab must hold so that it could have sent a payload: for payloads that a test wrote."""

from typing import Any

from .records import Json, Record
from .state import State

_PLACES = {
    "Issue": "issue",
    "WorkItem": "issue",
    "MergeRequest": "merge_request",
    "Commit": "commit",
    "Snippet": "snippet",
}


def know(state: State, payload: object) -> None:
    """Hold the project, the people, the issue (merge request, …) and the note of a payload.

    What is there already stays as it is, so a payload cannot change what GitLab says. One that no
    GitLab could have sent leaves nothing. Whom nobody has introduced is no member.
    """
    try:
        if isinstance(payload, dict):
            with state.lock:
                _know(state, payload)
    except (TypeError, KeyError, ValueError, AttributeError, OverflowError):
        return


def _know(state: State, payload: Json) -> None:
    said = payload["object_attributes"]
    project, user = _block(payload, "project"), _block(payload, "user")
    number = _number(payload.get("project_id") or project["id"])
    if number not in state.projects:
        state.project(number, project["path_with_namespace"], project["default_branch"])
    author = _number(said.get("author_id") or user["id"])
    if author not in state.users:
        state.user(author, user["username"])
    if payload["object_kind"] == "note":
        kind = _PLACES[said["noteable_type"]]
        on = _noteable(state, kind, number, author, payload[kind])
        _note(state, kind, on, author, payload)
    else:
        _noteable(state, _changed(payload), number, author, said, payload)


def _changed(payload: Json) -> str:
    return {"issue": "issue", "work_item": "issue", "merge_request": "merge_request"}[
        payload["object_kind"]
    ]


def _noteable(
    state: State, kind: str, project: int, author: int, told: Json, payload: Json | None = None
) -> Record:
    if kind == "commit":
        return state.noteable(kind, project, told["id"]) or state.known_commit(project, told["id"])
    iid = _number(told["id" if kind == "snippet" else "iid"])
    found = state.noteable(kind, project, iid)
    if found:
        return found
    if kind == "snippet":
        return state.snippet(project, iid, author_id=author)
    texts = {name: told[name] for name in ("title", "description") if told.get(name)}
    more: dict[str, Any] = texts | {"author_id": author} | _lists(state, payload or {})
    if kind == "issue":
        return state.issue(project, iid, confidential=told.get("confidential") is True, **more)
    ends = {name: told[name] for name in ("source_branch", "target_branch", "source_project_id")}
    sha = (told.get("last_commit") or {}).get("id")
    made = state.merge_request(project, iid, sha=sha, **ends, **more)
    made["source_project_id"] = told["source_project_id"]  # None: the fork is gone
    return made


def _lists(state: State, payload: Json) -> dict[str, Any]:
    """Return whom and what a change left on an issue or merge request."""
    found: dict[str, Any] = {}
    ids = {user.username: user.id for user in state.users.values()}
    for name, change in (payload.get("changes") or {}).items():
        if name in ("assignees", "reviewers"):
            found[name] = [ids[each["username"]] for each in change["current"]]
        if name == "labels":
            found[name] = [each["title"] for each in change["current"]]
    return found


def _note(state: State, kind: str, on: Record, author: int, payload: Json) -> None:
    said = payload["object_attributes"]
    number = _number(said["id"])
    if number in state.notes or not isinstance(said["note"], str):
        return
    confidential = str(payload.get("event_type")).startswith("confidential_")
    state.note(
        on["project_id"],
        kind,
        on["iid"],
        author_id=author,
        body=said["note"].encode("utf-8", "replace").decode(),
        note_id=number,
        discussion_id=said.get("discussion_id"),
        internal=said.get("internal") is True or confidential,
        system=said.get("system") is True,
        position=said.get("position"),
    )


def _block(payload: Json, name: str) -> Json:
    found = payload.get(name)
    return found if isinstance(found, dict) else {}


def _number(value: object) -> int:
    if type(value) is not int or value < 1:
        raise TypeError
    return value
