"""Notes, discussions and emoji, as lib/api/{notes,discussions,award_emoji}.rb answer them."""
# ruff: noqa: TRY003  (the sentences are GitLab's)

import re
from collections.abc import Iterable
from typing import Any

from . import entities, quick_actions
from .records import MAINTAINER, Record
from .routing import Answer, Request, invalid, no_record, not_found, refused, route
from .state import State

_NOTES = "projects/:id/{issues,merge_requests}/:iid/notes"
_DISCUSSIONS = "projects/:id/{issues,merge_requests}/:iid/discussions"
_EMOJI = ("projects/:id/{issues,merge_requests}/:iid/award_emoji", f"{_NOTES}/:note_id/award_emoji")
_MEBIBYTE = 1 << 20


def _noteable(state: State, request: Request) -> Record:
    project = request.project()
    noteable = state.noteable(request.values["kind"], project.id, request.id("iid"))
    if noteable is None or not state.can_read(request.user, noteable):
        raise not_found("Issue" if request.values["kind"] == "issues" else "MergeRequest")
    return noteable


def _note(state: State, request: Request, noteable: Record) -> Record:
    note = state.notes.get(request.id("note_id"))
    if note is None or (note["noteable_type"], note["noteable_id"]) != (noteable["noteable_type"], noteable["id"]):
        raise no_record()
    if not state.can_read_note(request.user, note):
        raise not_found("Note")
    return note


def _readable(state: State, request: Request, ids: Iterable[int]) -> list[Record]:
    return [note for note in map(state.notes.__getitem__, ids) if state.can_read_note(request.user, note)]


def _thread(state: State, request: Request, noteable: Record, what: str) -> list[Record]:
    """The readable notes of the discussion named in the path, on this noteable."""
    ids = [
        n
        for n in state.ids("discussion", request.values["discussion_id"])
        if state.notes[n]["noteable_id"] == noteable["id"]
    ]
    notes = _readable(state, request, ids)
    if not notes:
        raise not_found(what)
    return notes


def _write(state: State, request: Request, noteable: Record, **fields: Any) -> Record | Answer:
    """Store a new note; a body of nothing but quick actions is answered with 202 and no note."""
    body = request.text("body")
    request.charge("notes")
    if noteable.get("discussion_locked") and not state.level(noteable["project_id"], request.user.id):
        raise refused(403, "403 Forbidden")
    text, commands = _run(state, request, noteable, body)
    if commands and not text.strip():
        return _only_commands(commands)
    _check_body(text)
    return state.add_note(noteable, request.user.id, text, position=request.body.get("position"), **fields)


def _run(state: State, request: Request, noteable: Record, body: str) -> tuple[str, list[tuple[str, str]]]:
    """Where GitLab executes quick actions, with the caller's rights: the stand-in writes them down instead."""
    text, commands = quick_actions.split(body)
    about = {"user_id": request.user.id, **{key: noteable[key] for key in ("project_id", "noteable_type", "iid")}}
    state.quick_actions_executed.extend(
        {"command": name, "arguments": arguments, **about} for name, arguments in commands
    )
    return text, commands


def _only_commands(commands: list[tuple[str, str]]) -> Answer:
    return Answer(202, {"commands_changes": {}, "summary": [f"Applied /{name}." for name, _ in commands]})


def _check_body(text: str) -> None:
    if not text.strip():
        raise refused(400, """400 Bad request - Note {:note=>["can't be blank"]}""")
    if (size := len(text.encode())) > _MEBIBYTE:
        raise refused(400, f'400 Bad request - Note {{:note=>["is too long ({size} B). The maximum size is 1 MiB."]}}')


@route("GET", _NOTES)
def list_notes(state: State, request: Request) -> Answer:
    """Newest first unless asked otherwise; a page loses the notes its reader may not see, so it may be short."""
    noteable = _noteable(state, request)
    order = request.choice("order_by", ("created_at", "updated_at"), "created_at")
    newest_first = request.choice("sort", ("asc", "desc"), "desc") == "desc"
    wanted = request.choice("activity_filter", ("all_notes", "only_comments", "only_activity"), "all_notes")
    ids = state.ids("notes", noteable["id"])
    if wanted != "all_notes":
        ids = [n for n in ids if state.notes[n]["system"] == (wanted == "only_activity")]
    ids = sorted(
        ids, key=lambda n: (state.notes[n]["updated_at"] if order == "updated_at" else 0, n), reverse=newest_first
    )
    page, headers = request.page(ids)
    return Answer(200, [entities.note(state, note) for note in _readable(state, request, page)], headers)


@route("POST", _NOTES)
def create_note(state: State, request: Request) -> Answer:
    """A top-level note; it is internal only when it says so itself."""
    noteable = _noteable(state, request)
    internal = request.flag("internal") or request.flag("confidential")
    note = _write(state, request, noteable, internal=internal)
    return note if isinstance(note, Answer) else Answer(201, entities.note(state, note))


@route("GET", f"{_NOTES}/:note_id")
def show_note(state: State, request: Request) -> Answer:
    """One note."""
    return Answer(200, entities.note(state, _note(state, request, _noteable(state, request))))


@route("PUT", f"{_NOTES}/:note_id")
def update_note(state: State, request: Request) -> Answer:
    """Its author or a Maintainer may; quick actions run here too, and a note of nothing else is deleted."""
    note, noteable = _owned(state, request), _noteable(state, request)
    if "body" in request.body:
        body = request.text("body")
        if not body.strip():
            raise invalid("body is empty")
        text, commands = _run(state, request, noteable, body)
        if commands and not text.strip():
            state.remove_note(note)
            return _only_commands(commands)
        _check_body(text)
        if text != note["body"]:
            note.update(body=text, updated_at=state.clock(), updated_by_id=request.user.id)
    return Answer(200, entities.note(state, note))


@route("DELETE", f"{_NOTES}/:note_id")
def delete_note(state: State, request: Request) -> Answer:
    """Its author or a Maintainer may delete it."""
    state.remove_note(_owned(state, request))
    return Answer(204)


def _owned(state: State, request: Request) -> Record:
    note = _note(state, request, _noteable(state, request))
    if note["author_id"] != request.user.id:
        request.require(state.projects[note["project_id"]], MAINTAINER)
    return note


@route("GET", _DISCUSSIONS)
def list_discussions(state: State, request: Request) -> Answer:
    """Discussions in order of their first note."""
    noteable = _noteable(state, request)
    threads = dict.fromkeys(state.notes[n]["discussion_id"] for n in state.ids("notes", noteable["id"]))
    page, headers = request.page(list(threads))
    found = [notes for thread in page if (notes := _readable(state, request, state.ids("discussion", thread)))]
    return Answer(200, [entities.discussion(state, notes) for notes in found], headers)


@route("POST", _DISCUSSIONS)
def create_discussion(state: State, request: Request) -> Answer:
    """A new thread; with a position it hangs on a line of the diff."""
    noteable = _noteable(state, request)
    kind = "DiffNote" if request.body.get("position") else "DiscussionNote"
    note = _write(state, request, noteable, type=kind)
    return note if isinstance(note, Answer) else Answer(201, entities.discussion(state, [note]))


@route("GET", f"{_DISCUSSIONS}/:discussion_id")
def show_discussion(state: State, request: Request) -> Answer:
    """One thread, as far as its reader may see it."""
    return Answer(200, entities.discussion(state, _thread(state, request, _noteable(state, request), "Discussion")))


@route("GET", f"{_DISCUSSIONS}/:discussion_id/notes")
def list_discussion_notes(state: State, request: Request) -> Answer:
    """All notes of one thread at once: this list has no pages."""
    return Answer(
        200, [entities.note(state, note) for note in _thread(state, request, _noteable(state, request), "Notes")]
    )


@route("POST", f"{_DISCUSSIONS}/:discussion_id/notes")
def reply(state: State, request: Request) -> Answer:
    """A reply inherits confidentiality, and makes a thread of a single note; a system note takes no reply."""
    noteable = _noteable(state, request)
    first = _thread(state, request, noteable, "Discussion")[0]
    if first["system"]:
        raise refused(400, "400 Bad request - Discussion can not be replied to.")
    note = _write(
        state,
        request,
        noteable,
        internal=first["internal"],
        discussion_id=first["discussion_id"],
        type=first["type"] or "DiscussionNote",
    )
    return note if isinstance(note, Answer) else Answer(201, entities.note(state, note))


def _awardable(state: State, request: Request) -> tuple[str, int]:
    noteable = _noteable(state, request)
    if "note_id" not in request.values:
        return noteable["noteable_type"], noteable["id"]
    note = _note(state, request, noteable)
    if note["system"]:
        raise not_found("Award Emoji")
    return "Note", note["id"]


@route("GET", *_EMOJI)
def list_emoji(state: State, request: Request) -> Answer:
    """Who reacted how, oldest first."""
    page, headers = request.page(state.ids("emoji", *_awardable(state, request)))
    return Answer(200, [entities.award(state, state.emoji[n]) for n in page], headers)


@route("POST", *_EMOJI)
def create_emoji(state: State, request: Request) -> Answer:
    """One emoji a person and name; the second time is, of all things, a 404."""
    kind, number = _awardable(state, request)
    name = request.text("name")
    if not re.fullmatch(r"[\w+-]+", name):
        raise not_found("Award Emoji Name is not a valid emoji name")
    awards = state.ids("emoji", kind, number)
    if any(state.emoji[n]["name"] == name and state.emoji[n]["user_id"] == request.user.id for n in awards):
        raise not_found("Award Emoji Name has already been taken")
    award: Record = {
        "id": state.number(),
        "name": name,
        "user_id": request.user.id,
        "awardable_type": kind,
        "awardable_id": number,
        "created_at": state.clock(),
    }
    state.emoji[award["id"]] = award
    awards.append(award["id"])
    return Answer(201, entities.award(state, award))


@route("GET", *(f"{pattern}/:award_id" for pattern in _EMOJI))
def show_emoji(state: State, request: Request) -> Answer:
    """One reaction."""
    return Answer(200, entities.award(state, _award(state, request)))


@route("DELETE", *(f"{pattern}/:award_id" for pattern in _EMOJI))
def delete_emoji(state: State, request: Request) -> Answer:
    """Only one's own."""
    award = _award(state, request)
    if award["user_id"] != request.user.id and not request.user.admin:
        raise refused(401, "401 Unauthorized")
    del state.emoji[award["id"]]
    state.ids("emoji", award["awardable_type"], award["awardable_id"]).remove(award["id"])
    return Answer(204)


def _award(state: State, request: Request) -> Record:
    award = state.emoji.get(request.id("award_id"))
    if award is None or (award["awardable_type"], award["awardable_id"]) != _awardable(state, request):
        raise no_record()
    return award
