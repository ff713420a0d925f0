"""Emoji on issues, merge requests, snippets and their notes, as lib/api/award_emoji.rb answers;
commits have none.
"""
# ruff: noqa: TRY003  (the sentences are GitLab's)

import re

from . import entities
from .notes import find_note, find_noteable
from .records import Record
from .routing import Answer, Request, no_record, not_found, refused, route
from .state import State

_ON = "projects/:id/{issues,merge_requests,snippets}/:iid"
_EMOJI = (f"{_ON}/award_emoji", f"{_ON}/notes/:note_id/award_emoji")


def _awardable(state: State, request: Request) -> tuple[str, int]:
    noteable = find_noteable(state, request)
    if "note_id" not in request.values:
        return noteable["noteable_type"], noteable["id"]
    note = find_note(state, request, noteable)
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
    if any(
        state.emoji[n]["name"] == name and state.emoji[n]["user_id"] == request.user.id
        for n in awards
    ):
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
    if award is None or (award["awardable_type"], award["awardable_id"]) != _awardable(
        state, request
    ):
        raise no_record()
    return award
