"""Discussions and the notes in them, as lib/api/discussions.rb answers them."""
# ruff: noqa: TRY003  (the sentences are GitLab's)

from . import entities
from .notes import find_note, find_noteable, owned, readable, rewrite, write
from .records import DEVELOPER, Record
from .routing import Answer, Request, invalid, not_found, refused, route
from .state import State

_DISCUSSIONS = "projects/:id/{issues,merge_requests,snippets,repository/commits}/:iid/discussions"
_NOTE = f"{_DISCUSSIONS}/:discussion_id/notes/:note_id"
_REPLYABLE = (
    "Issue",
    "MergeRequest",
)  # Noteable.replyable_types: a single note there becomes a thread


def _thread(state: State, request: Request, noteable: Record, what: str) -> list[Record]:
    """The readable notes of the discussion named in the path, on this noteable."""
    ids = state.ids("discussion", request.values["discussion_id"])
    ids = [number for number in ids if state.is_on(state.notes[number], noteable)]
    notes = readable(state, request, ids)
    if not notes:
        raise not_found(what)
    return notes


@route("GET", _DISCUSSIONS)
def list_discussions(state: State, request: Request) -> Answer:
    """Discussions in order of their first note."""
    noteable = find_noteable(state, request)
    threads = dict.fromkeys(state.notes[n]["discussion_id"] for n in state.notes_on(noteable))
    page, headers = request.page(list(threads))
    found = [
        notes
        for thread in page
        if (notes := readable(state, request, state.ids("discussion", thread)))
    ]
    return Answer(200, [entities.discussion(state, notes) for notes in found], headers)


@route("POST", _DISCUSSIONS)
def create_discussion(state: State, request: Request) -> Answer:
    """A new thread; with a position it hangs on a line of the diff."""
    noteable = find_noteable(state, request)
    kind = "DiffNote" if request.body.get("position") else "DiscussionNote"
    note = write(state, request, noteable, type=kind)
    return note if isinstance(note, Answer) else Answer(201, entities.discussion(state, [note]))


@route("GET", f"{_DISCUSSIONS}/:discussion_id")
def show_discussion(state: State, request: Request) -> Answer:
    """One thread, as far as its reader may see it."""
    return Answer(
        200,
        entities.discussion(
            state, _thread(state, request, find_noteable(state, request), "Discussion")
        ),
    )


@route("PUT", "projects/:id/{merge_requests}/:iid/discussions/:discussion_id")
def resolve(state: State, request: Request) -> Answer:
    """A thread of a merge request is resolved by a Developer, or by its merge request's author."""
    noteable = find_noteable(state, request)
    notes = _thread(state, request, noteable, "Discussion")
    if noteable["author_id"] != request.user.id:
        request.require(request.project(), DEVELOPER)
    by = request.user.id if request.flag("resolved") else None
    for note in notes:
        note.update(resolved_by_id=by, resolved_at=state.clock() if by else None)
    return Answer(200, entities.discussion(state, notes))


@route("GET", f"{_DISCUSSIONS}/:discussion_id/notes")
def list_discussion_notes(state: State, request: Request) -> Answer:
    """All notes of one thread at once: this list has no pages."""
    return Answer(
        200,
        [
            entities.note(state, note)
            for note in _thread(state, request, find_noteable(state, request), "Notes")
        ],
    )


@route("POST", f"{_DISCUSSIONS}/:discussion_id/notes")
def reply(state: State, request: Request) -> Answer:
    """A reply inherits confidentiality; it makes a thread of a single note, but not on a commit or
    snippet.
    """
    noteable = find_noteable(state, request)
    first = _thread(state, request, noteable, "Discussion")[0]
    if first["system"] or (first["type"] is None and noteable["noteable_type"] not in _REPLYABLE):
        raise refused(400, "400 Bad request - Discussion can not be replied to.")
    note = write(
        state,
        request,
        noteable,
        internal=first["internal"],
        discussion_id=first["discussion_id"],
        type=first["type"] or "DiscussionNote",
    )
    return note if isinstance(note, Answer) else Answer(201, entities.note(state, note))


@route("GET", _NOTE)
def show_note(state: State, request: Request) -> Answer:
    """One note; GitLab looks for it on the noteable and not in the discussion."""
    return Answer(
        200, entities.note(state, find_note(state, request, find_noteable(state, request)))
    )


@route("PUT", _NOTE)
def update_note(state: State, request: Request) -> Answer:
    """The only way to edit a note on a commit; the stand-in resolves nothing."""
    note = owned(state, request)
    if "body" not in request.body:
        raise invalid("body, resolved are missing, exactly one parameter must be provided")
    return rewrite(state, request, note)


@route("DELETE", _NOTE)
def delete_note(state: State, request: Request) -> Answer:
    """Its author or a Maintainer may delete it."""
    state.remove_note(owned(state, request))
    return Answer(204)
