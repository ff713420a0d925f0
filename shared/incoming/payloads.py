"""Read an event from the JSON of a verified delivery, whatever GitLab version wrote it.

Who may ask is decided elsewhere, and nothing is built from the payload's URLs.
"""

import json
import re
from collections.abc import Callable, Iterator

from shared.contract.ai_flow import (
    ASSIGN,
    ASSIGN_REVIEWER,
    AUTO,
    COMMIT,
    DISCUSSION_ID,
    ISSUE,
    LABEL,
    MERGE_REQUEST,
    SHA,
    SNIPPET,
)
from shared.incoming.delivery import VerifiedDelivery
from shared.incoming.digests import digest_of_texts
from shared.incoming.event import Branches, Event, Json, PipelineEvent
from shared.outcome.reasons import Reason, Stop

KINDS = {
    "Issue": ISSUE,
    "WorkItem": ISSUE,
    "MergeRequest": MERGE_REQUEST,
    "Commit": COMMIT,
    "Snippet": SNIPPET,
}

_MAX_ID = 2**63 - 1  # PostgreSQL's bigint
# Characters: of a project or branch, and of a file; git and GitLab stop earlier.
_MAX_NAME, _MAX_PATH = 512, 1024
_TEXTS = ("title", "description")
# The second since GitLab 19: a review asked for again changes nothing else.
_CHANGED_AT = ("updated_at", "actioned_at")
_PUBLIC = (10, 20)  # internal and public: more than members may write there
_POSITION = ("base_sha", "start_sha", "head_sha", "old_path", "new_path", "old_line", "new_line")
# What starts a pipeline of a merge request or a branch; a trigger's may be ours:
# https://docs.gitlab.com/ci/jobs/job_rules/#ci_pipeline_source-predefined-variable
_OF_MERGE_REQUEST = "merge_request_event"
REPAIRABLE = (_OF_MERGE_REQUEST, "push", "web", "api")
# AI_FLOW_EVENT, the payload's list and what names its entries.
_ADDED = (
    (ASSIGN_REVIEWER, "reviewers", "username"),
    (ASSIGN, "assignees", "username"),
    (LABEL, "labels", "title"),
)


def parse(delivery: VerifiedDelivery) -> Event | PipelineEvent:
    """Return what a delivery tells of; raise Stop with the reason where it is none of our concern.

    Source: https://docs.gitlab.com/user/project/integrations/webhook_events/ and what older
    versions sent, as recorded in tests/data/payloads: `action`, `internal`, `user.id` may be
    missing.

    >>> attributes = {"id": 31, "source": "trigger", "status": "running"}
    >>> attributes["variables"] = [{"key": "AI_FLOW_ID", "value": "5f3a"}]
    >>> project = {"id": 7, "path_with_namespace": "group/app"}
    >>> body = {"object_kind": "pipeline", "object_attributes": attributes, "project": project}
    >>> parse(VerifiedDelivery(json.dumps(body).encode()))  # doctest: +ELLIPSIS
    PipelineEvent(project_id=7, project_path='group/app', ...status='running', ours=True, at=0.0)
    >>> parse(VerifiedDelivery(b'{"object_kind": "push"}'))
    Traceback (most recent call last):
    shared.outcome.reasons.Stop: event_not_served: This kind of event starts nothing. ...
    """
    payload = _payload(delivery.body)
    kind = payload.get("object_kind")
    if not isinstance(kind, str):
        # Events of members, groups and projects have a name instead, as all system hooks do.
        named = isinstance(payload.get("event_name"), str)
        raise Stop(Reason.EVENT_NOT_SERVED if named else Reason.MALFORMED)
    if kind not in _READERS:
        raise Stop(Reason.EVENT_NOT_SERVED)
    return _READERS[kind](payload)


def seconds(value: object, default: float = 0.0) -> float:
    """Return a time as GitLab writes it in Unix seconds; the default for anything else.

    It is ISO 8601, or before GitLab 19:

    >>> seconds("2026-02-02 02:40:00 UTC")
    1770000000.0
    """
    from datetime import datetime  # noqa: PLC0415  not on the cold path

    try:
        return datetime.fromisoformat(str(value).replace(" UTC", "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return default


def position_of(value: object) -> Json | None:
    """Return what of a diff note's position travels to the job: SHAs, paths and lines.

    >>> position_of({"new_path": "app.py", "new_line": 3, "old_line": None, "line_range": {}})
    {'new_path': 'app.py', 'new_line': 3}
    """
    if not isinstance(value, dict):
        return None
    position: dict[str, object] = {}
    for key in _POSITION:
        known = value.get(key)
        if isinstance(known, str):
            position[key] = _name(known, _MAX_PATH)
        elif isinstance(known, int):
            position[key] = known
    return position or None


def _comment(payload: Json) -> Event:
    note = _object(payload, "object_attributes")
    project, user = _object(payload, "project"), _object(payload, "user")
    if note.get("system") is True:
        raise Stop(Reason.SYSTEM_NOTE)
    if note.get("action") not in (None, "create"):
        raise Stop(Reason.EDITED_NOTE)
    kind = KINDS.get(str(note.get("noteable_type")))
    if kind is None:
        raise Stop(Reason.TARGET_UNKNOWN)
    target = _object(payload, kind)
    return Event(
        project_id=_id(_first(payload.get("project_id"), project.get("id"))),
        project_path=_name(project.get("path_with_namespace")),
        default_branch=_name(project.get("default_branch")),
        kind=kind,
        iid=0 if kind == COMMIT else _id(target.get("id" if kind == SNIPPET else "iid")),
        branches=_branches(target) if kind == MERGE_REQUEST else None,
        note_id=_id(note.get("id")),
        discussion_id=_discussion_id(note.get("discussion_id")),
        internal=_is_internal(payload, note, target),
        public=project.get("visibility_level") in _PUBLIC,
        author_id=_id(_first(note.get("author_id"), user.get("id"))),
        author=_name(user.get("username")),
        texts=(_text(note.get("note")),),
        position=position_of(note.get("position")),
        before=("",),
        commit=_sha(_first(note.get("commit_id"), target.get("id"))) if kind == COMMIT else "",
        at=seconds(note.get("created_at")),
        texts_digest=_digest(target),
    )


def _change(payload: Json) -> Event:
    """Read an issue, work item or merge request that was opened or edited; `user` is who did it."""
    target = _object(payload, "object_attributes")
    project, user = _object(payload, "project"), _object(payload, "user")
    opened = target.get("action") == "open"
    if target.get("type") == "Epic" or (payload.get("object_kind") == "work_item" and not project):
        raise Stop(Reason.TARGET_UNKNOWN)
    if not opened and target.get("action") != "update":
        raise Stop(Reason.NOTHING_NEW)
    kind = MERGE_REQUEST if payload.get("object_kind") == MERGE_REQUEST else ISSUE
    changes = _object(payload, "changes")
    return Event(
        project_id=_id(_first(project.get("id"), target.get("project_id"))),
        project_path=_name(project.get("path_with_namespace")),
        default_branch=_name(project.get("default_branch")),
        kind=kind,
        iid=_id(target.get("iid")),
        branches=_branches(target) if kind == MERGE_REQUEST else None,
        note_id=0,
        discussion_id=None,
        internal=_is_internal(payload, {}, target),
        public=project.get("visibility_level") in _PUBLIC,
        # Who edits is not who wrote: only of something new the author is the same.
        author_id=_id(_first(user.get("id"), target.get("author_id") if opened else None)),
        author=_name(user.get("username")),
        texts=tuple(_optional(target.get(name)) for name in _TEXTS),
        position=None,
        before=tuple("" if opened else _before(name, changes, target) for name in _TEXTS),
        added=(*_added(payload, changes, opened=opened), *_became(target, changes, opened=opened)),
        occasion=_occasion(target, opened=opened),
        at=seconds(_first(target.get("actioned_at"), target.get("updated_at"))),
        texts_digest=_digest(target),
        own=opened or (user.get("id") is not None and user.get("id") == target.get("author_id")),
    )


def _pipeline(payload: Json) -> PipelineEvent:
    """Read a pipeline triggered with our payload or variables, which GitLab tells in the clear.

    Or one that failed and that a merge request may have; only GitLab tells whose branch's it is.
    """
    pipeline, project = _object(payload, "object_attributes"), _object(payload, "project")
    names = {str(variable.get("key")) for variable in _objects(pipeline.get("variables"))}
    marked = names & {"AI_FLOW_ID", "TRIGGER_PAYLOAD"}
    ours = pipeline.get("source") == "trigger" and bool(marked)
    if not ours and (marked or not _has_failed(pipeline, project)):
        raise Stop(Reason.NOT_OUR_PIPELINE)
    return PipelineEvent(
        project_id=_id(project.get("id")),
        project_path=_name(project.get("path_with_namespace")),
        pipeline_id=_id(pipeline.get("id")),
        status=_name(pipeline.get("status")),
        ours=ours,
        # One that its configuration ends at once may have no other time.
        at=seconds(_first(pipeline.get("finished_at"), pipeline.get("created_at"))),
    )


def _has_failed(pipeline: Json, project: Json) -> bool:
    """Tell whether a pipeline has failed that a merge request may have."""
    source, default = pipeline.get("source"), project.get("default_branch")
    of_branch = pipeline.get("tag") is not True and pipeline.get("ref") != default
    has_one = source == _OF_MERGE_REQUEST or (source in REPAIRABLE and of_branch)
    return pipeline.get("status") == "failed" and has_one


_READERS: dict[str, Callable[[Json], Event | PipelineEvent]] = {
    "note": _comment,
    "issue": _change,
    "work_item": _change,
    "merge_request": _change,
    "pipeline": _pipeline,
}


def _before(name: str, changes: Json, target: Json) -> str:
    """Return what stood in a field before a change; one that did not change stays the same."""
    change = changes.get(name)
    return _optional(change.get("previous") if isinstance(change, dict) else target.get(name))


def _added(payload: Json, changes: Json, *, opened: bool) -> list[tuple[str, str]]:
    """Return (AI_FLOW_EVENT, name) for each reviewer, assignee and label a change brought."""
    added: list[tuple[str, str]] = []
    for event, field, key in _ADDED:
        change, current = changes.get(field), _objects(payload.get(field))
        # A review asked for again comes as two lists, a change as an object: webhook_events.md,
        # "Re-request review".
        if isinstance(change, dict):
            change = [change.get("previous"), change.get("current")]
        if isinstance(change, list) and len(change) == 2:  # noqa: PLR2004
            former, now = _objects(change[0]), _objects(change[1])
        else:
            former, now = [], current if opened else []
        known = {str(each.get(key)) for each in former}
        names = [name for name in (str(each.get(key)) for each in now) if name not in known]
        names += [str(each.get(key)) for each in now + current if each.get("re_requested") is True]
        added += [(event, name) for name in dict.fromkeys(names)]
    return added


def _became(target: Json, changes: Json, *, opened: bool) -> Iterator[tuple[str, str]]:
    """Yield what became of a merge request, as AUTO calls it, behind that name; a draft is nothing.

    `oldrev` is there if commits were pushed, and `changes.draft` since GitLab 16.3: the page
    "Webhook events" (https://docs.gitlab.com/user/project/integrations/webhook_events/).
    """
    draft = changes.get("draft")
    if target.get("draft") is not False or target.get("state") != "opened":
        return
    if opened:
        yield AUTO, "opened"
    if not opened and isinstance(draft, dict) and draft.get("previous") is True:
        yield AUTO, "ready"
    if not opened and target.get("oldrev"):
        yield AUTO, "pushed"


def _digest(target: Json) -> str:
    """Return the digest of the title and description that GitLab told with an event."""
    if not all(name in target for name in _TEXTS):
        return ""
    return digest_of_texts(*(_optional(target.get(name)) for name in _TEXTS))


def _occasion(target: Json, *, opened: bool) -> str:
    """Return what tells one asking from another: what was opened, or what was changed and when."""
    parts = [str(_id(target.get("id")))]
    if not opened:
        parts += [_name(target.get(name)) for name in _CHANGED_AT]
    return "|".join(parts)


def _branches(target: Json) -> Branches:
    source_project = target.get("source_project_id")
    return Branches(
        source=_name(target.get("source_branch")),
        target=_name(target.get("target_branch")),
        source_project_id=source_project if type(source_project) is int else None,
        sha=_name(_object(target, "last_commit").get("id")),
    )


def _is_internal(payload: Json, note: Json, target: Json) -> bool:
    # `internal` is missing before GitLab 18.x; the type is `confidential_note` in confidential
    # issues as well.
    return (
        str(payload.get("event_type")).startswith("confidential_")
        or note.get("internal") is True
        or note.get("confidential") is True
        or target.get("confidential") is True
    )


def _payload(body: bytes) -> Json:
    try:
        payload = json.loads(body.decode())
    except (ValueError, RecursionError):
        # Broken JSON or UTF-8, an integer of 5,000 digits, 100,000 brackets.
        payload = None
    if not isinstance(payload, dict):
        raise Stop(Reason.MALFORMED)
    return payload


def _object(parent: Json, key: str) -> Json:
    value = parent.get(key)
    return value if isinstance(value, dict) else {}


def _objects(value: object) -> list[Json]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


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


def _optional(value: object) -> str:
    return "" if value is None else _text(value)


def _name(value: object, most: int = _MAX_NAME) -> str:
    """Return a name as told, "" for anything else: what needs it later says what is missing."""
    return _text(value) if isinstance(value, str) and len(value) <= most else ""


def _discussion_id(value: object) -> str | None:
    return value if isinstance(value, str) and re.fullmatch(DISCUSSION_ID, value) else None


def _sha(value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch(SHA, value):
        raise Stop(Reason.MALFORMED)
    return value
