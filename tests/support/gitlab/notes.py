"""Notes, and what discussions and emoji need of them; as lib/api/notes.rb answers."""
# ruff: noqa: TRY003  (the sentences are GitLab's)

from collections.abc import Iterable
from typing import Any

from . import entities, quick_actions
from .records import MAINTAINER, Record
from .routing import Answer, Request, invalid, no_record, not_found, refused, route
from .state import State

_NOTES = "projects/:id/{issues,merge_requests,snippets}/:iid/notes"
_CLASSES = {
    "issues": "Issue",
    "merge_requests": "MergeRequest",
    "snippets": "Snippet",
    "repository/commits": "Commit",
}
_MEBIBYTE = 1 << 20


def find_noteable(state: State, request: Request) -> Record:
    """The issue, merge request, snippet or commit of the path; 404 also for one that this user may
    not read.
    """
    project, kind = request.project(), request.values["kind"]
    iid = request.values["iid"] if kind == "repository/commits" else request.id("iid")
    noteable = state.noteable(kind, project.id, iid)
    if noteable is None or not state.can_read(request.user, noteable):
        raise not_found(_CLASSES[kind])
    return noteable


def find_note(state: State, request: Request, noteable: Record) -> Record:
    """The note of the path."""
    note = state.notes.get(request.id("note_id"))
    if note is None or not state.is_on(note, noteable):
        raise no_record()
    if not state.can_read_note(request.user, note):
        raise not_found("Note")
    return note


def readable(state: State, request: Request, ids: Iterable[int]) -> list[Record]:
    """The notes that this user may read."""
    return [
        note
        for note in map(state.notes.__getitem__, ids)
        if state.can_read_note(request.user, note)
    ]


def write(state: State, request: Request, noteable: Record, **fields: Any) -> Record | Answer:
    """Store a new note; a body of nothing but quick actions is answered with 202 and no note."""
    body = request.text("body")
    request.charge("notes")
    if noteable.get("discussion_locked") and not state.level(
        noteable["project_id"], request.user.id
    ):
        raise refused(403, "403 Forbidden")
    text, commands = _run(state, request, noteable, body)
    if commands and not text.strip():
        return _only_commands(commands)
    _check_body(text)
    return state.add_note(
        noteable, request.user.id, text, position=request.body.get("position"), **fields
    )


def _run(
    state: State, request: Request, noteable: Record, body: str
) -> tuple[str, list[tuple[str, str]]]:
    """Where GitLab executes quick actions, with the caller's rights: the stand-in writes them down
    instead.
    """
    if noteable["noteable_type"] == "Snippet":  # has none: they stay text
        return body, []
    text, commands = quick_actions.split(body)
    about = {
        "user_id": request.user.id,
        **{key: noteable[key] for key in ("project_id", "noteable_type", "iid")},
    }
    state.quick_actions_executed.extend(
        {"command": name, "arguments": arguments, **about} for name, arguments in commands
    )
    return text, commands


def _only_commands(commands: list[tuple[str, str]]) -> Answer:
    return Answer(
        202, {"commands_changes": {}, "summary": [f"Applied /{name}." for name, _ in commands]}
    )


def _check_body(text: str) -> None:
    if not text.strip():
        raise refused(400, """400 Bad request - Note {:note=>["can't be blank"]}""")
    if (size := len(text.encode())) > _MEBIBYTE:
        raise refused(
            400,
            f'400 Bad request - Note {{:note=>["is too long ({size} B). The maximum size is 1 MiB."]}}',
        )


@route("GET", _NOTES)
def list_notes(state: State, request: Request) -> Answer:
    """Newest first unless asked otherwise; a page loses the notes its reader may not see, so it may
    be short.
    """
    noteable = find_noteable(state, request)
    order = request.choice("order_by", ("created_at", "updated_at"), "created_at")
    newest_first = request.choice("sort", ("asc", "desc"), "desc") == "desc"
    wanted = request.choice(
        "activity_filter", ("all_notes", "only_comments", "only_activity"), "all_notes"
    )
    ids = state.notes_on(noteable)
    if wanted != "all_notes":
        ids = [n for n in ids if state.notes[n]["system"] == (wanted == "only_activity")]
    ids = sorted(
        ids,
        key=lambda n: (state.notes[n]["updated_at"] if order == "updated_at" else 0, n),
        reverse=newest_first,
    )
    page, headers = request.page(ids)
    return Answer(
        200, [entities.note(state, note) for note in readable(state, request, page)], headers
    )


@route("POST", _NOTES)
def create_note(state: State, request: Request) -> Answer:
    """A top-level note; it is internal only when it says so itself."""
    noteable = find_noteable(state, request)
    internal = request.flag("internal") or request.flag("confidential")
    note = write(state, request, noteable, internal=internal)
    return note if isinstance(note, Answer) else Answer(201, entities.note(state, note))


@route("GET", f"{_NOTES}/:note_id")
def show_note(state: State, request: Request) -> Answer:
    """One note."""
    return Answer(
        200, entities.note(state, find_note(state, request, find_noteable(state, request)))
    )


@route("PUT", f"{_NOTES}/:note_id")
def update_note(state: State, request: Request) -> Answer:
    """Its author or a Maintainer may; quick actions run here too, and a note of nothing else is
    deleted.
    """
    note = owned(state, request)
    return (
        rewrite(state, request, note)
        if "body" in request.body
        else Answer(200, entities.note(state, note))
    )


def rewrite(state: State, request: Request, note: Record) -> Answer:
    """Give a note another text; the webhook tells of it only if it differs."""
    body = request.text("body")
    if not body.strip():
        raise invalid("body is empty")
    text, commands = _run(state, request, find_noteable(state, request), body)
    if commands and not text.strip():
        state.remove_note(note)
        return _only_commands(commands)
    _check_body(text)
    if text != note["body"]:
        note.update(body=text, updated_at=state.clock(), updated_by_id=request.user.id)
        state.fire("note", note, action="update")
    return Answer(200, entities.note(state, note))


@route("DELETE", f"{_NOTES}/:note_id")
def delete_note(state: State, request: Request) -> Answer:
    """Its author or a Maintainer may delete it."""
    state.remove_note(owned(state, request))
    return Answer(204)


def owned(state: State, request: Request) -> Record:
    """The note of the path, if this user may change it."""
    note = find_note(state, request, find_noteable(state, request))
    if note["author_id"] != request.user.id:
        request.require(state.projects[note["project_id"]], MAINTAINER)
    return note
