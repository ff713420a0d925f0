"""What we leave in a thread: reactions, and replies with their later versions."""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

from functions.gitlab.client import PAGE, Group, integer, path_of
from shared.contract.ai_flow import COMMIT, SNIPPET
from shared.gitlab.values import GitLabError, Reply
from shared.incoming.event import Event


class Thread(Group):
    """Our reactions and replies."""

    def award(self, event: Event, emoji: str) -> int:
        """`POST …/award_emoji`: https://docs.gitlab.com/api/emoji_reactions/.

        GitLab answers 404 for an emoji that is there already, and has none for commits.
        """
        if event.kind == COMMIT:
            return 0
        try:
            award = self._client.post(_awards(event), {"name": emoji})
        except GitLabError as error:
            if "already been taken" not in error.message:
                raise
            return 0
        number = award.get("id") if isinstance(award, dict) else None
        return number if type(number) is int else 0

    def withdraw(self, event: Event, emoji: str, award_id: int = 0) -> None:
        """`DELETE …/award_emoji/:id` of our own one: as `award`."""
        if event.kind == COMMIT or (award_id and self._delete(f"{_awards(event)}/{award_id}")):
            return
        own = self._client.own_id()
        for award in list(self._client.pages(_awards(event), {})):
            if award.get("name") == emoji and (award.get("user") or {}).get("id") == own:
                self._delete(f"{_awards(event)}/{integer(award, 'id')}")

    def _delete(self, path: str) -> bool:
        """Tell whether it was there: somebody may have been faster, or put another one since."""
        try:
            self._client.delete(path)
        except GitLabError as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            return False
        return True

    def reply(self, event: Event, body: str) -> int:
        """`POST …/discussions/:id/notes`, which inherits the discussion's confidentiality.

        https://docs.gitlab.com/api/discussions/. A single comment on a commit or a snippet takes
        no reply (gitlabhq Noteable.replyable_types): then a note of its own.
        """
        path = path_of(event)
        discussion = event.discussion_id or self._discussion(event)
        if discussion:
            try:
                note = self._client.post(f"{path}/discussions/{discussion}/notes", {"body": body})
                return _id(note)
            except GitLabError as error:
                if "can not be replied to" not in error.message:
                    raise
        if event.kind == COMMIT:  # knows discussions only
            made = self._client.post(f"{path}/discussions", {"body": body})
            notes = made.get("notes") if isinstance(made, dict) else None
            return _id(next(iter(notes or []), None))
        return _id(self._client.post(f"{path}/notes", {"body": body, "internal": event.internal}))

    def replied(self, event: Event, mark: str) -> Reply | None:
        """`GET …/discussions/:id` or the newest notes."""
        own = self._client.own_id()
        for note in self._answers(event):
            if (note.get("author") or {}).get("id") == own and mark in str(note["body"]):
                return Reply(integer(note, "id"), str(note["body"]))
        return None

    def read_reply(self, event: Event, note_id: int) -> str | None:
        """`GET …/notes/:id`."""
        note = self._client.find(_note(event, note_id))
        return None if note is None else str(note.get("body"))

    def edit_reply(self, event: Event, note_id: int, body: str) -> None:
        """`PUT …/notes/:id`; the same text again does no harm."""
        self._client.put(_note(event, note_id), {"body": body})

    def delete_reply(self, event: Event, note_id: int) -> None:
        """`DELETE …/notes/:id`."""
        self._delete(_note(event, note_id))

    def _answers(self, event: Event) -> Iterator[dict[str, Any]]:
        """Yield the notes among which an answer of ours may be."""
        path = path_of(event)
        discussion = event.discussion_id or self._discussion(event)
        if discussion:
            yield from self._client.get(f"{path}/discussions/{discussion}").get("notes", [])
        if event.kind == COMMIT:  # a single comment there takes no reply: ours stands beside it
            for each in self._client.pages(f"{path}/discussions", {}):
                yield from each.get("notes", [])
        elif event.kind == SNIPPET or not discussion:
            yield from self._client.page(f"{path}/notes", sort="desc", per_page=PAGE)

    def _discussion(self, event: Event) -> str | None:
        """Look for the discussion of a note that was not delivered: only deliveries name it."""
        if not event.note_id:
            return None
        for discussion in self._client.pages(f"{path_of(event)}/discussions", {}):
            if any(each.get("id") == event.note_id for each in discussion.get("notes", [])):
                return str(discussion.get("id"))
        return None


def _awards(event: Event) -> str:
    note = f"/notes/{event.note_id}" if event.note_id else ""
    return f"{path_of(event)}{note}/award_emoji"


def _note(event: Event, note_id: int) -> str:
    """Return the path of a note; a commit's is found through any of its discussions."""
    through = f"/discussions/{event.discussion_id}" if event.kind == COMMIT else ""
    return f"{path_of(event)}{through}/notes/{note_id}"


def _id(note: object) -> int:
    """Return a note's id; an answer without one leaves open whether there is a note."""
    number = note.get("id") if isinstance(note, dict) else None
    if type(number) is not int:
        raise GitLabError(0, unsure=True)
    return number
