"""What a verified delivery says, whatever GitLab version wrote it. It judges nobody and builds nothing from URLs."""

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

from shared.delivery import VerifiedDelivery
from shared.outcome import Reason, Stop

ISSUE, MERGE_REQUEST = "issue", "merge_request"

KINDS = {"Issue": ISSUE, "WorkItem": ISSUE, "MergeRequest": MERGE_REQUEST}
_MAX_ID = 2**63 - 1  # PostgreSQL's bigint
_MAX_NAME = 1024  # characters of a path or branch; git and GitLab stop earlier
_DISCUSSION_ID = re.compile(r"[0-9A-Za-z]{1,64}", re.ASCII)
_POSITION = ("base_sha", "start_sha", "head_sha", "old_path", "new_path", "old_line", "new_line")

Json = Mapping[str, object]


class Branches(NamedTuple):
    """A merge request's two ends; `source_project_id` is None when the fork is gone."""

    source: str
    target: str
    source_project_id: int | None
    sha: str


class NoteEvent(NamedTuple):
    """A new comment on an issue (any work item) or a merge request."""

    project_id: int
    project_path: str
    default_branch: str
    kind: str
    iid: int
    branches: Branches | None
    note_id: int
    discussion_id: str | None
    internal: bool
    public: bool
    author_id: int
    author: str
    text: str
    position: Json | None


def parse(delivery: VerifiedDelivery) -> NoteEvent:
    """Return the comment a delivery tells of; raise Stop with the reason where it is none that may start a run.

    Source: https://docs.gitlab.com/user/project/integrations/webhook_events/#comment-events and facts of older
    versions: `action`, `internal`, `user.id` may be missing.
    """
    payload = _payload(delivery.body)
    if payload.get("object_kind") != "note":
        raise Stop(Reason.EVENT_NOT_SERVED if isinstance(payload.get("object_kind"), str) else Reason.MALFORMED)
    note, project, user = _object(payload, "object_attributes"), _object(payload, "project"), _object(payload, "user")
    if note.get("system") is True:
        raise Stop(Reason.SYSTEM_NOTE)
    if note.get("action") not in (None, "create"):
        raise Stop(Reason.EDITED_NOTE)
    kind = KINDS.get(str(note.get("noteable_type")))
    if kind is None:
        raise Stop(Reason.TARGET_NOT_SERVED)
    target = _object(payload, kind)
    return NoteEvent(
        project_id=_id(_first(payload.get("project_id"), project.get("id"))),
        project_path=_name(project.get("path_with_namespace")),
        default_branch=_name(project.get("default_branch")),
        kind=kind,
        iid=_id(target.get("iid")),
        branches=_branches(target) if kind == MERGE_REQUEST else None,
        note_id=_id(note.get("id")),
        discussion_id=_discussion_id(note.get("discussion_id")),
        internal=_is_internal(payload, note, target),
        public=project.get("visibility_level") in (10, 20),  # internal and public: more than members may comment
        author_id=_id(_first(note.get("author_id"), user.get("id"))),
        author=_name(user.get("username")),
        text=_text(note.get("note")),
        position=position_of(note.get("position")),
    )


def _payload(body: bytes) -> Json:
    try:
        payload = json.loads(body.decode())
    except (ValueError, RecursionError):  # broken JSON or UTF-8, an integer of 5,000 digits, 100,000 brackets
        payload = None
    if not isinstance(payload, dict):
        raise Stop(Reason.MALFORMED)
    return payload


def _object(parent: Json, key: str) -> Json:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _first(value: object, otherwise: object) -> object:
    return otherwise if value is None else value


def _id(value: object) -> int:
    if type(value) is not int or not 0 < value <= _MAX_ID:
        raise Stop(Reason.MALFORMED)
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Stop(Reason.MALFORMED)
    # JSON can spell half a surrogate pair; no UTF-8 store takes one.
    return value.encode("utf-8", "replace").decode()


def _name(value: object) -> str:
    """Return a name as told, or nothing for one that is no name: what needs it later says what is missing."""
    return _text(value) if isinstance(value, str) and len(value) <= _MAX_NAME else ""


def _discussion_id(value: object) -> str | None:
    return value if isinstance(value, str) and _DISCUSSION_ID.fullmatch(value) else None


def _is_internal(payload: Json, note: Json, target: Json) -> bool:
    # `internal` is missing before GitLab 18.x; `confidential_note` covers confidential issues as well.
    return (
        payload.get("event_type") == "confidential_note"
        or note.get("internal") is True
        or note.get("confidential") is True
        or target.get("confidential") is True
    )


def _branches(target: Json) -> Branches:
    source_project = target.get("source_project_id")
    return Branches(
        source=_name(target.get("source_branch")),
        target=_name(target.get("target_branch")),
        source_project_id=source_project if type(source_project) is int else None,
        sha=_name(_object(target, "last_commit").get("id")),
    )


def position_of(value: object) -> Json | None:
    """Return what of a diff note's position travels to the job: SHAs, paths and lines."""
    if not isinstance(value, dict):
        return None
    known = {key: value.get(key) for key in _POSITION}
    return {key: _name(v) if isinstance(v, str) else v for key, v in known.items() if isinstance(v, str | int)} or None
