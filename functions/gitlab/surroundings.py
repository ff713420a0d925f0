"""What an event stands in: its texts as they are now, its issue or merge request, the comments."""

from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from functions.gitlab.client import (
    BRIEFLY,
    PAGE,
    Group,
    branches,
    integer,
    is_internal,
    path_of,
)
from shared.contract.ai_flow import MERGE_REQUEST
from shared.gitlab.values import Diff, File, GitLabError, HeadPipeline, Note, Target
from shared.incoming.event import Event
from shared.incoming.payloads import seconds

_FEW = 50  # comments at once: each may hold 1 MiB, and too large an answer is left unread
_CHANGES = (("new_file", "added"), ("deleted_file", "deleted"), ("renamed_file", "renamed"))


class Surroundings(Group):
    """What is read around an event."""

    def note(self, event: Event) -> Note:
        """`GET …/notes/:id`: https://docs.gitlab.com/api/notes/."""
        return _note(self._client.get(f"{path_of(event)}/notes/{event.note_id}", timeout=BRIEFLY))

    def target(self, event: Event) -> Target:
        """`GET …/issues/:iid` or `…/merge_requests/:iid`.

        https://docs.gitlab.com/api/issues/, https://docs.gitlab.com/api/merge_requests/
        """
        found = self._client.get(path_of(event), timeout=BRIEFLY)
        return Target(
            title=str(found.get("title") or ""),
            description=str(found.get("description") or ""),
            state=str(found.get("state")),
            labels=tuple(str(label) for label in found.get("labels") or []),
            author=_author(found),
            branches=branches(found) if event.kind == MERGE_REQUEST else None,
            confidential=found.get("confidential") is True,
            updated_at=seconds(found.get("updated_at")),
            assignees=_names(found.get("assignees")),
            reviewers=_names(found.get("reviewers")),
            draft=found.get("draft") is True,
            pipeline=_head_pipeline(found.get("head_pipeline")),
        )

    def notes(self, event: Event) -> Iterator[Note]:
        """`GET …/notes`, comments only: https://docs.gitlab.com/api/notes/."""
        query = {"sort": "desc", "order_by": "created_at", "activity_filter": "only_comments"}
        path = f"{path_of(event)}/notes"
        for note in self._client.pages(path, query, size=_FEW, timeout=BRIEFLY):
            yield _note(note)

    def discussion(self, event: Event) -> list[int]:
        """`GET …/discussions/:id`: https://docs.gitlab.com/api/discussions/."""
        path = f"{path_of(event)}/discussions/{event.discussion_id}"
        found = self._client.get(path, timeout=BRIEFLY)
        return [integer(note, "id") for note in found.get("notes", [])]

    def diffs(self, event: Event) -> Iterator[Diff]:
        """`GET …/merge_requests/:iid/diffs`.

        https://docs.gitlab.com/api/merge_requests/#list-merge-request-diffs
        """
        for diff in self._client.pages(f"{path_of(event)}/diffs", {}, timeout=BRIEFLY):
            yield Diff(
                old_path=str(diff.get("old_path")),
                new_path=str(diff.get("new_path")),
                change=next((name for flag, name in _CHANGES if diff.get(flag)), "modified"),
                diff=str(diff.get("diff") or ""),
            )

    def file(self, project_id: int, path: str, ref: str) -> File | None:
        """`GET …/repository/files/:file_path`.

        https://docs.gitlab.com/api/repository_files/#retrieve-a-file-from-a-repository
        """
        query = f"?ref={quote(ref, safe='')}"
        found = self._client.find(
            f"/projects/{project_id}/repository/files/{quote(path, safe='')}{query}"
        )
        if found is None:
            return None
        try:
            text = b64decode(str(found.get("content"))).decode("utf-8", "replace")
        except ValueError:
            raise GitLabError(0) from None
        return File(text, str(found.get("blob_id")))

    def parents(self, project_id: int, commit: str) -> tuple[str, ...]:
        """`GET …/repository/commits/:sha`.

        https://docs.gitlab.com/api/commits/#retrieve-a-commit
        """
        found = self._client.get(f"/projects/{project_id}/repository/commits/{quote(commit)}")
        return tuple(str(parent) for parent in found.get("parent_ids") or [])

    def open_of_branch(self, project_id: int, branch: str) -> list[int]:
        """`GET …/merge_requests?state=opened&source_branch=…`, without drafts and those of forks.

        https://docs.gitlab.com/api/merge_requests/#list-project-merge-requests
        """
        query = {"state": "opened", "source_branch": branch, "per_page": PAGE}
        found = self._client.page(f"/projects/{project_id}/merge_requests", **query)
        return sorted(
            integer(each, "iid")
            for each in found
            if each.get("source_project_id") == project_id and each.get("draft") is not True
        )


def _note(found: Mapping[str, Any]) -> Note:
    return Note(
        id=integer(found, "id"),
        author=_author(found),
        created_at=seconds(found.get("created_at")),
        updated_at=seconds(found.get("updated_at")),
        internal=is_internal(found),
        body=str(found.get("body")),
    )


def _head_pipeline(found: object) -> HeadPipeline | None:
    """`Entities::Ci::Pipeline`; GitLab tells none to who may not see pipelines."""
    if not isinstance(found, dict):
        return None
    return HeadPipeline(
        id=integer(found, "id"),
        status=str(found.get("status")),
        sha=str(found.get("sha")),
        ref=str(found.get("ref")),
        user=_person(found.get("user")),
        ended_at=seconds(found.get("finished_at")),
    )


def _names(found: object) -> tuple[str, ...]:
    users = found if isinstance(found, list) else []
    return tuple(str(user.get("username")) for user in users if isinstance(user, dict))


def _author(found: Mapping[str, Any]) -> tuple[int, str]:
    return _person(found.get("author"))


def _person(found: object) -> tuple[int, str]:
    person = found if isinstance(found, dict) else {}
    return int(person.get("id") or 0), str(person.get("username"))
