"""The GitLab port over python-gitlab: one host, ids in paths, no redirects, no waiting beyond its limits."""

from collections.abc import Iterator, Mapping
from typing import Any

from functions.gitlab.client import PAGE, integer, path_of, translated
from functions.gitlab.reading import Reading
from shared.contract.ai_flow import COMMIT, SNIPPET
from shared.gitlab.values import GitLabError, Member, Pipeline, Reply, User
from shared.incoming.event import Event
from shared.installation.secrets import Secret

_NOT_FOUND = 404


class GitLab(Reading):
    """GitLab's REST API, as `shared.gitlab.values.GitLab` asks for it."""

    def user(self, user_id: int) -> User | None:
        """`GET /users/:id`: https://docs.gitlab.com/api/users/#retrieve-a-user."""
        try:
            user = self._get(f"/users/{user_id}")
        except GitLabError as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        return User(
            id=integer(user, "id"),
            username=str(user.get("username")),
            bot=user.get("bot") is not False,
            state=str(user.get("state")),
            external=user.get("external") is True,  # shown to administrators only
        )

    def own_id(self) -> int:
        """`GET /user`, once per token: https://docs.gitlab.com/api/users/#retrieve-the-current-user."""
        client = self._client()
        if self._own is None or self._own[0] is not client:
            self._own = client, integer(self._get("/user"), "id")
        return self._own[1]

    def member(self, project_id: int, user_id: int) -> Member | None:
        """`GET /projects/:id/members/all/:user_id`: https://docs.gitlab.com/api/project_members/."""
        try:
            member = self._get(f"/projects/{project_id}/members/all/{user_id}")
        except GitLabError as error:
            # A project that our own token cannot see is our fault, not the author's.
            if error.status == _NOT_FOUND and "Project" not in error.message:
                return None
            raise
        expires = member.get("expires_at")
        return Member(
            user_id=integer(member, "id"),
            access_level=integer(member, "access_level"),
            state=str(member.get("state")),
            membership_state=str(
                member.get("membership_state", "active")
            ),  # not sent by every edition
            expires_at=expires if expires is None else str(expires),
        )

    def texts(self, event: Event) -> tuple[str, ...]:
        """`GET …/notes/:id`, or the title and description: https://docs.gitlab.com/api/notes/."""
        if event.note_id:
            return (str(self._get(f"{path_of(event)}/notes/{event.note_id}").get("body")),)
        target = self.target(event)
        return target.title, target.description

    def award(self, event: Event, emoji: str) -> None:
        """`POST …/award_emoji`; GitLab answers 404 for an emoji that is there already, and has none for commits."""
        try:
            if event.kind != COMMIT:
                self._post(_awards(event), {"name": emoji})
        except GitLabError as error:
            if "already been taken" not in error.message:
                raise

    def withdraw(self, event: Event, emoji: str) -> None:
        """`DELETE …/award_emoji/:id` of our own one: https://docs.gitlab.com/api/emoji_reactions/."""
        if event.kind == COMMIT:
            return
        own = self.own_id()
        for award in list(self._pages(_awards(event), {})):
            if award.get("name") == emoji and (award.get("user") or {}).get("id") == own:
                try:
                    self._request("delete", f"{_awards(event)}/{integer(award, 'id')}")
                except GitLabError as error:
                    if error.status != _NOT_FOUND:  # somebody was faster
                        raise

    def reply(self, event: Event, body: str) -> int:
        """`POST …/discussions/:id/notes`: it inherits the discussion's confidentiality. Else a note of its own.

        A single comment on a commit or a snippet takes no reply: Noteable.replyable_types.
        """
        discussion = event.discussion_id or self._discussion(event)
        if discussion:
            try:
                return _id(
                    self._post(f"{path_of(event)}/discussions/{discussion}/notes", {"body": body})
                )
            except GitLabError as error:
                if "can not be replied to" not in error.message:
                    raise
        if event.kind == COMMIT:  # knows discussions only
            [note] = self._post(f"{path_of(event)}/discussions", {"body": body}).get("notes") or [
                None
            ]
            return _id(note)
        return _id(
            self._post(f"{path_of(event)}/notes", {"body": body, "internal": event.internal})
        )

    def replied(self, event: Event, mark: str) -> Reply | None:
        """`GET …/discussions/:id` or the newest notes: return our own one that holds the mark."""
        own = self.own_id()
        ours = (
            note for note in self._answers(event) if (note.get("author") or {}).get("id") == own
        )
        return next(
            (
                Reply(integer(note, "id"), str(note["body"]))
                for note in ours
                if mark in str(note["body"])
            ),
            None,
        )

    def read_reply(self, event: Event, note_id: int) -> str | None:
        """`GET …/notes/:id`."""
        try:
            return str(self._get(self._note(event, note_id)).get("body"))
        except GitLabError as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def edit_reply(self, event: Event, note_id: int, body: str) -> None:
        """`PUT …/notes/:id`; the same text again does no harm."""
        self._request("put", self._note(event, note_id), post_data={"body": body})

    def cancel(self, project_id: int, pipeline_id: int) -> None:
        """`POST …/pipelines/:id/cancel`; GitLab answers 200 as well where nothing is left to cancel."""
        self._post(f"/projects/{project_id}/pipelines/{pipeline_id}/cancel", {})

    def trigger(self, project_id: int, token: Secret, body: Mapping[str, object]) -> Pipeline:
        """`POST /projects/:id/trigger/pipeline`, the token in the body only: https://docs.gitlab.com/api/pipeline_triggers/."""
        with translated(writes=True):
            answer = self._bare.http_post(
                f"/projects/{project_id}/trigger/pipeline",
                post_data={"token": token.reveal(), **body},
            )
        if not isinstance(answer, dict) or type(answer.get("id")) is not int:
            raise GitLabError(0, unsure=True)
        return Pipeline(answer["id"], str(answer.get("web_url", "")))

    def _answers(self, event: Event) -> Iterator[dict[str, Any]]:
        """Yield the notes among which an answer of ours may be."""
        discussion = event.discussion_id or self._discussion(event)
        if discussion:
            yield from self._get(f"{path_of(event)}/discussions/{discussion}").get("notes", [])
        if event.kind == COMMIT:  # a single comment there takes no reply: ours stands beside it
            for each in self._pages(f"{path_of(event)}/discussions", {}):
                yield from each.get("notes", [])
        elif event.kind == SNIPPET or not discussion:
            newest = {"sort": "desc", "per_page": PAGE}
            yield from self._request("get", f"{path_of(event)}/notes", query_data=newest)[0]

    def _note(self, event: Event, note_id: int) -> str:
        """Return the path of a note; a commit's is found through any of its discussions."""
        through = f"/discussions/{event.discussion_id}" if event.kind == COMMIT else ""
        return f"{path_of(event)}{through}/notes/{note_id}"

    def _discussion(self, event: Event) -> str | None:
        """Look for the discussion of a note that was not delivered: only deliveries name it."""
        for discussion in self._pages(f"{path_of(event)}/discussions", {}) if event.note_id else ():
            if any(each.get("id") == event.note_id for each in discussion.get("notes", [])):
                return str(discussion.get("id"))
        return None


def _awards(event: Event) -> str:
    note = f"/notes/{event.note_id}" if event.note_id else ""
    return f"{path_of(event)}{note}/award_emoji"


def _id(answer: object) -> int:
    number = answer.get("id") if isinstance(answer, dict) else None
    return number if type(number) is int else 0
