"""Draft notes of a merge request, as lib/api/draft_notes.rb answers; only their author has them."""

from . import entities, positions
from .notes import find_noteable, write
from .records import Json, Record
from .routing import Answer, Request, no_record, refused, route
from .state import State

_DRAFTS = "projects/:id/{merge_requests}/:iid/draft_notes"


def _drafts(state: State, request: Request, noteable: Record) -> list[Record]:
    """This user's drafts, oldest first."""
    mine = [each for each in state.drafts.values() if each["author_id"] == request.user.id]
    return [each for each in mine if each["merge_request_id"] == noteable["id"]]


def _shown(draft: Record) -> Json:
    return {name: value for name, value in draft.items() if name != "internal"}


@route("GET", _DRAFTS)
def list_drafts(state: State, request: Request) -> Answer:
    """All at once: this list has no pages."""
    found = _drafts(state, request, find_noteable(state, request))
    return Answer(200, [_shown(each) for each in found])


@route("POST", _DRAFTS)
def create_draft(state: State, request: Request) -> Answer:
    """A position that is in no diff is taken, too: it makes a draft without a line code."""
    noteable, position = find_noteable(state, request), request.body.get("position")
    if position and not positions.valid(position):
        raise refused(400, {"position": ["must be a valid json schema"]})
    refs = entities.merge_request(state, noteable)["diff_refs"]
    draft = {
        "id": state.number(),
        "author_id": request.user.id,
        "merge_request_id": noteable["id"],
        "resolve_discussion": False,
        "discussion_id": None,
        "note": request.text("note"),
        "commit_id": None,
        "line_code": positions.line_code(noteable, refs, position) if position else None,
        "position": position or {},
    }
    state.drafts[draft["id"]] = draft
    return Answer(201, _shown(draft))


@route("DELETE", f"{_DRAFTS}/:draft_note_id")
def delete_draft(state: State, request: Request) -> Answer:
    """Its author may."""
    mine = [each["id"] for each in _drafts(state, request, find_noteable(state, request))]
    if request.id("draft_note_id") not in mine:
        raise no_record()
    del state.drafts[request.id("draft_note_id")]
    return Answer(204)


@route("POST", f"{_DRAFTS}/bulk_publish")
def publish_drafts(state: State, request: Request) -> Answer:
    """All of this user's become notes; one with a position and no line code is lost, as a note
    that cannot be saved.
    """
    noteable = find_noteable(state, request)
    for draft in _drafts(state, request, noteable):
        del state.drafts[draft["id"]]
        if draft["line_code"] or not draft["position"]:
            request.body = {"body": draft["note"], "position": draft["position"] or None}
            kind = "DiffNote" if draft["position"] else "DiscussionNote"
            write(state, request, noteable, type=kind)
    return Answer(204)
