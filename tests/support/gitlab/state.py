"""What the GitLab stand-in remembers; it answers no request.

Records are plain dicts with GitLab's field names; times in them are seconds since 1970.
"""
# A seed has as many keywords as the thing has properties, and names what is missing.
# ruff: noqa: A002, EM102, TRY003

from collections.abc import Iterable, Iterator
from typing import Any

from .ci_state import CiState
from .edits import Edits
from .limits import GITLAB_COM
from .records import CI, MAINTAINER, VARIABLES_ROLES, Project, Record, User, digest

_NOTEABLES = {"issue": "Issue", "merge_request": "MergeRequest", "snippet": "Snippet"}
_SEEDS = {"commit": "known_commit"}


class State(Edits, CiState):
    """Seeds, one method a thing."""

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
        """Add a project with its default branch, protected as GitLab does it: only Maintainers may
        run pipelines.
        """
        if variables_role not in VARIABLES_ROLES or ci not in CI:
            raise ValueError(
                f"project {path}: no variables_role {variables_role!r} or no ci {ci!r}"
            )
        project = Project(
            id, path, default_branch, visibility, variables_role, ci, created_at=self.clock()
        )
        project.branches[default_branch] = digest(f"{id} {default_branch}")
        project.protected[default_branch] = MAINTAINER
        with self.lock:
            self.projects[id] = project
        return project

    def member(
        self,
        project_id: int,
        user_id: int,
        access_level: int,
        *,
        state: str = "active",
        expires_at: str | None = None,
    ) -> None:
        """Add a membership, direct or inherited; state is the `membership_state` (`active`,
        `awaiting`).
        """
        with self.lock:
            self._known(project_id, user_id)
            self.admit(project_id, user_id, access_level)
            self.members[project_id, user_id] |= {
                "membership_state": state,
                "expires_at": expires_at,
            }

    def group(self, id: int, path: str) -> Record:
        """Add a group; the projects whose path begins with its own are below it."""
        with self.lock:
            self.groups[id] = {"id": id, "full_path": path, "path": path.rpartition("/")[2]}
            return self.groups[id]

    def projects_of(self, group_id: int) -> Iterator[Project]:
        """Yield the projects below a group; none for an id that is no group's."""
        path = self.groups.get(group_id, {"full_path": "\n"})["full_path"]
        yield from (each for each in self.projects.values() if each.path.startswith(f"{path}/"))

    def below(self, group_id: int) -> set[int]:
        """Return the ids of the projects below a group."""
        return {each.id for each in self.projects_of(group_id)}

    def admit(self, place: int, user_id: int, access_level: int) -> None:
        """Add a membership of a project or group."""
        with self.lock:
            self.members[place, user_id] = {
                "access_level": access_level,
                "membership_state": "active",
                "expires_at": None,
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
        assignees: Iterable[int] = (),
        issue_type: str = "issue",
    ) -> Record:
        """Add an issue or another work item (`task`, `incident`, …); its author is the first user
        unless one is named.
        """
        with self.lock:
            issue = self._noteable("issue", project_id, iid, author_id)
            issue |= {"title": title or f"Issue {iid}", "description": description, "state": state}
            issue |= {
                "labels": list(labels),
                "confidential": confidential,
                "issue_type": issue_type,
            }
            issue |= {"assignees": list(assignees)}
            self.issues[project_id, iid] = issue
            self.fire("issue", issue)
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
        assignees: Iterable[int] = (),
        reviewers: Iterable[int] = (),
    ) -> Record:
        """Add a merge request; without `source_project_id` it comes from the same project, whose
        branch then exists.
        """
        with self.lock:
            source = source_project_id or project_id
            head = sha or digest(f"{source} {source_branch}")
            if source in self.projects:
                self.projects[source].branches[source_branch] = head
            merge_request = self._noteable("merge_request", project_id, iid, author_id)
            merge_request |= {
                "title": title or f"Merge request {iid}",
                "description": description,
                "state": state,
            }
            merge_request |= {"labels": list(labels), "diffs": list(diffs), "sha": head}
            merge_request |= {"pushed_over": list[str]()}
            merge_request |= {"source_branch": source_branch, "target_branch": target_branch}
            merge_request |= {"source_project_id": source, "target_project_id": project_id}
            merge_request |= {"assignees": list(assignees), "merged_at": None, "merged_by_id": None}
            merge_request |= {
                "reviewers": [{"user_id": user, "state": "unreviewed"} for user in reviewers]
            }
            self.merge_requests[project_id, iid] = merge_request
            self.fire("merge_request", merge_request)
            return merge_request

    def snippet(
        self,
        project_id: int,
        id: int,
        *,
        title: str = "",
        content: str = "",
        file_name: str = "snippet.txt",
        description: str = "",
        visibility: str = "private",
        author_id: int | None = None,
    ) -> Record:
        """Add a project snippet; a private one is for the project's members."""
        with self.lock:
            snippet = self._noteable("snippet", project_id, id, author_id)
            snippet |= {
                "id": id,
                "title": title or f"Snippet {id}",
                "description": description,
                "content": content,
            }
            snippet |= {"file_name": file_name, "visibility": visibility}
            self.snippets[project_id, id] = snippet
            return snippet

    def hook(self, project_id: int, url: str, **settings: Any) -> Record:
        """Register a webhook with the API's settings: `note_events=True`, `signing_token=…`, …"""
        with self.lock:
            hook: Record = {
                "id": self.number(),
                "project_id": project_id,
                "url": url,
                "created_at": self.clock(),
            }
            hook |= {"alert_status": "executable", **settings}
            self.hooks[hook["id"]] = hook
            return hook

    def note(
        self,
        project_id: int,
        kind: str,
        iid: int | str,
        *,
        author_id: int,
        body: str,
        note_id: int | None = None,
        discussion_id: str | None = None,
        internal: bool = False,
        system: bool = False,
        position: Record | None = None,
        thread: bool = False,
    ) -> Record:
        """Add a comment as written in the browser, a discussion of its own or a reply in one.

        Kind is `issue`, `merge_request`, `commit` (whose iid is its SHA) or `snippet`; a position
        makes it a comment on a line of the diff, `thread` the first of a thread ("Start thread").
        """
        with self.lock:
            self._known(project_id, author_id)
            noteable = self.noteable(kind, project_id, iid)
            if noteable is None:
                raise KeyError(
                    f"project {project_id} has no {kind} {iid}; call gl.{_SEEDS.get(kind, kind)}({project_id}, {iid}) first"
                )
            return self.add_note(
                noteable,
                author_id,
                body,
                note_id=note_id,
                discussion_id=discussion_id,
                internal=internal,
                system=system,
                position=position,
                type="DiffNote"
                if position
                else "DiscussionNote"
                if discussion_id or thread
                else None,
            )

    def rate_limit(self, name: str, requests: int, *, window: float = 60.0) -> None:
        """Switch a limit on: 429 for each user, but `pipelines`: 400 for each project, owner and
        commit (`limits.NAMES`).
        """
        self.limits.set(name, requests, window)

    def gitlab_com_limits(self) -> None:
        """Switch on the limits that GitLab.com publishes."""
        for name, (requests, window) in GITLAB_COM.items():
            self.limits.set(name, requests, window)

    def _noteable(self, kind: str, project_id: int, iid: int, author_id: int | None) -> Record:
        author = author_id if author_id is not None else next(iter(self.users), None)
        if author is None:
            raise KeyError("an issue or merge request needs an author; call gl.user(…) first")
        self._known(project_id, author)
        now = self.clock()
        noteable = {
            "id": self.number(),
            "iid": iid,
            "project_id": project_id,
            "noteable_type": _NOTEABLES[kind],
        }
        noteable |= {
            "author_id": author,
            "created_at": now,
            "updated_at": now,
            "closed_at": None,
            "edits": [],
        }
        return noteable | {"updated_by_id": None, "last_edited_at": None, "last_edited_by_id": None}
