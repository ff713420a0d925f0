"""What the GitLab stand-in remembers; it answers no request.

Records are plain dicts with GitLab's field names; times in them are seconds since 1970.
"""
# ruff: noqa: A002, EM102, TRY003  (a seed has as many keywords as the thing has properties, and names what is missing)

import itertools
import threading
import time
from collections.abc import Iterable
from typing import Any

from .limits import RateLimits
from .records import CI, MAINTAINER, VARIABLES_ROLES, Clock, Project, Record, User, digest
from .rights import Rights

_NOTEABLES = {"issue": "Issue", "merge_request": "MergeRequest"}
_ENDED = ("success", "failed", "canceled", "skipped")


class State(Rights):
    """Seeds (one method a thing) and the tables they fill; `lock` guards them all."""

    url = "http://127.0.0.1"

    def __init__(self, clock: Clock = time.time) -> None:
        """Begin empty; the clock dates whatever is made."""
        super().__init__()
        self.clock = clock
        self.lock = threading.RLock()
        self.limits = RateLimits(clock)
        self.api_tokens: dict[str, tuple[int, frozenset[str]]] = {}
        self.trigger_tokens: dict[str, Record] = {}
        self.issues: dict[tuple[int, int], Record] = {}
        self.merge_requests: dict[tuple[int, int], Record] = {}
        self.notes: dict[int, Record] = {}
        self.emoji: dict[int, Record] = {}
        self.pipelines: dict[int, Record] = {}
        self.hooks: dict[int, Record] = {}
        self.hook_events: dict[int, Record] = {}
        self.quick_actions_executed: list[Record] = []
        self._numbers = itertools.count(1001)
        self._index: dict[tuple[object, ...], list[int]] = {}

    # --- seeds -------------------------------------------------------------------------------------------------------

    def user(
        self,
        id: int,
        username: str,
        *,
        bot: bool = False,
        state: str = "active",
        external: bool = False,
        admin: bool = False,
    ) -> User:
        """Add or replace a user; state is `active`, `blocked`, `deactivated`, …"""
        name = username.replace("_", " ").title()
        with self.lock:
            self.users[id] = User(id, username, name, bot, state, external, admin, self.clock())
            return self.users[id]

    def project(
        self,
        id: int,
        path: str,
        default_branch: str = "main",
        visibility: str = "private",
        variables_role: str = "developer",
        ci: str = "ours",
    ) -> Project:
        """Add a project with its default branch, protected as GitLab does it: only Maintainers may run pipelines."""
        if variables_role not in VARIABLES_ROLES or ci not in CI:
            raise ValueError(f"project {path}: no variables_role {variables_role!r} or no ci {ci!r}")
        project = Project(id, path, default_branch, visibility, variables_role, ci, created_at=self.clock())
        project.branches[default_branch] = digest(f"{id} {default_branch}")
        project.protected[default_branch] = MAINTAINER
        with self.lock:
            self.projects[id] = project
        return project

    def member(
        self, project_id: int, user_id: int, access_level: int, *, state: str = "active", expires_at: str | None = None
    ) -> None:
        """Add a membership, direct or inherited; state is the `membership_state` (`active`, `awaiting`)."""
        with self.lock:
            self._known(project_id, user_id)
            self.members[project_id, user_id] = {
                "access_level": access_level,
                "membership_state": state,
                "expires_at": expires_at,
                "created_at": self.clock(),
            }

    def remove_member(self, project_id: int, user_id: int) -> None:
        """End a membership; no error where there was none."""
        with self.lock:
            self.members.pop((project_id, user_id), None)

    def api_token(self, token: str, user_id: int, scopes: Iterable[str] = ("api",)) -> None:
        """Add a personal or project access token."""
        with self.lock:
            self._known(None, user_id)
            self.api_tokens[token] = (user_id, frozenset(scopes))

    def trigger_token(self, token: str, project_id: int, owner_id: int) -> Record:
        """Add a pipeline trigger token; its pipelines run with its owner's rights."""
        with self.lock:
            self._known(project_id, owner_id)
            self.trigger_tokens[token] = {
                "id": self.number(),
                "token": token,
                "project_id": project_id,
                "owner_id": owner_id,
                "description": "",
                "created_at": self.clock(),
                "last_used": None,
            }
            return self.trigger_tokens[token]

    def issue(
        self,
        project_id: int,
        iid: int,
        *,
        title: str = "",
        confidential: bool = False,
        description: str = "",
        state: str = "opened",
        labels: Iterable[str] = (),
        author_id: int | None = None,
    ) -> Record:
        """Add an issue; its author is the first user unless one is named."""
        with self.lock:
            issue = self._noteable("issue", project_id, iid, author_id)
            issue |= {"title": title or f"Issue {iid}", "description": description, "state": state}
            issue |= {"labels": list(labels), "confidential": confidential}
            self.issues[project_id, iid] = issue
            return issue

    def merge_request(
        self,
        project_id: int,
        iid: int,
        *,
        source_branch: str,
        target_branch: str = "main",
        source_project_id: int | None = None,
        sha: str | None = None,
        state: str = "opened",
        title: str = "",
        description: str = "",
        labels: Iterable[str] = (),
        author_id: int | None = None,
        diffs: Iterable[Record] = (),
    ) -> Record:
        """Add a merge request; without `source_project_id` it comes from the same project, whose branch then exists."""
        with self.lock:
            source = source_project_id or project_id
            head = sha or digest(f"{source} {source_branch}")
            if source in self.projects:
                self.projects[source].branches[source_branch] = head
            merge_request = self._noteable("merge_request", project_id, iid, author_id)
            merge_request |= {"title": title or f"Merge request {iid}", "description": description, "state": state}
            merge_request |= {"labels": list(labels), "diffs": list(diffs), "sha": head}
            merge_request |= {"source_branch": source_branch, "target_branch": target_branch}
            merge_request |= {"source_project_id": source, "target_project_id": project_id}
            self.merge_requests[project_id, iid] = merge_request
            return merge_request

    def note(
        self,
        project_id: int,
        kind: str,
        iid: int,
        *,
        author_id: int,
        body: str,
        note_id: int | None = None,
        discussion_id: str | None = None,
        internal: bool = False,
        system: bool = False,
        position: Record | None = None,
    ) -> Record:
        """Add a comment as a person writes it in the browser, a discussion of its own or a reply in one.

        Kind is `issue` or `merge_request`; a position makes it a comment on a line of the diff.
        """
        with self.lock:
            self._known(project_id, author_id)
            noteable = self.noteable(kind, project_id, iid)
            if noteable is None:
                raise KeyError(f"project {project_id} has no {kind} {iid}; call gl.{kind}({project_id}, {iid}) first")
            return self.add_note(
                noteable,
                author_id,
                body,
                note_id=note_id,
                discussion_id=discussion_id,
                internal=internal,
                system=system,
                position=position,
                type="DiffNote" if position else "DiscussionNote" if discussion_id else None,
            )

    def set_pipeline(self, pipeline_id: int, status: str, *, failure_reason: str | None = None) -> Record:
        """Move a pipeline and its jobs on, as a runner would: `pending`, `running`, `success`, `failed`, …"""
        with self.lock:
            pipeline, now = self.pipelines[pipeline_id], self.clock()
            pipeline |= {"status": status, "updated_at": now, "finished_at": now if status in _ENDED else None}
            if status not in ("created", "pending"):
                pipeline["started_at"] = pipeline["started_at"] or now
            same = {name: pipeline[name] for name in ("status", "started_at", "finished_at")}
            for job in pipeline["jobs"]:
                job |= {**same, "failure_reason": failure_reason}
            return pipeline

    def rate_limit(self, name: str, requests: int, *, window: float = 60.0) -> None:
        """Switch a limit on: `api`, `users`, `notes`, `resend` (429, a user), `pipelines` (400, owner and commit)."""
        self.limits.set(name, requests, window)

    # --- tables ------------------------------------------------------------------------------------------------------

    def number(self) -> int:
        """Return the next free id; one sequence serves all tables, so no two things share an id by chance."""
        return next(self._numbers)

    def ids(self, *key: object) -> list[int]:
        """Return the list of ids, oldest first, under a key such as `("pipelines", project_id)`; append to it."""
        return self._index.setdefault(key, [])

    def noteable(self, kind: str, project_id: int, iid: int) -> Record | None:
        """Return an issue or merge request; kind as in the seeds, as in URLs or as `noteable_type`."""
        table = self.issues if kind.lower().startswith("issue") else self.merge_requests
        return table.get((project_id, iid))

    def add_note(
        self,
        noteable: Record,
        author_id: int,
        body: str,
        *,
        note_id: int | None = None,
        discussion_id: str | None = None,
        **fields: Any,
    ) -> Record:
        """Store a note in a new discussion or as a reply, which makes a thread of a single note."""
        number, now = note_id or self.number(), self.clock()
        if number in self.notes:
            raise ValueError(f"note {number} exists")
        thread = discussion_id or digest(f"discussion {number}")
        note: Record = {"id": number, "type": None, "body": body, "author_id": author_id, "discussion_id": thread}
        note |= {"system": False, "internal": False, "position": None, "created_at": now, "updated_at": now}
        note |= {"updated_by_id": None, "project_id": noteable["project_id"], "noteable_id": noteable["id"]}
        note |= {"noteable_type": noteable["noteable_type"], "noteable_iid": noteable["iid"], **fields}
        earlier = self.ids("discussion", thread)
        if earlier and (first := self.notes[earlier[0]])["type"] is None:
            first["type"] = "DiscussionNote"
        self.notes[number] = note
        for ids in self._lists(note):
            ids.append(number)
        noteable["updated_at"] = now
        return note

    def remove_note(self, note: Record) -> None:
        """Delete a note; a discussion without notes is gone."""
        del self.notes[note["id"]]
        for ids in self._lists(note):
            ids.remove(note["id"])

    def _lists(self, note: Record) -> tuple[list[int], ...]:
        return (
            self.ids("discussion", note["discussion_id"]),
            self.ids("notes", note["noteable_id"]),
            self.ids("project notes", note["project_id"]),
        )

    def _noteable(self, kind: str, project_id: int, iid: int, author_id: int | None) -> Record:
        author = author_id if author_id is not None else next(iter(self.users), None)
        if author is None:
            raise KeyError("an issue or merge request needs an author; call gl.user(…) first")
        self._known(project_id, author)
        now = self.clock()
        noteable = {"id": self.number(), "iid": iid, "project_id": project_id, "noteable_type": _NOTEABLES[kind]}
        return noteable | {"author_id": author, "created_at": now, "updated_at": now}

    def _known(self, project_id: int | None, user_id: int) -> None:
        if project_id is not None and project_id not in self.projects:
            raise KeyError(f"no project {project_id}; call gl.project({project_id}, 'group/name') first")
        if user_id not in self.users:
            raise KeyError(f"no user {user_id}; call gl.user({user_id}, 'name') first")
