"""The stand-in's tables and how a note enters and leaves them; seeds, edits and pipelines are built
on it.
"""
# ruff: noqa: EM102, TRY003  (what is missing is named)

import itertools
import threading
import time
from typing import Any

from .limits import RateLimits
from .records import Clock, Record, digest
from .rights import Rights

VERSION = "19.3.0-pre"


class Tables(Rights):
    """What there is; `lock` guards it all."""

    url = "http://127.0.0.1"
    premium = False  # True: GraphQL has what GitLab's Premium and Ultimate have
    fire_hooks = False  # True: what happens is sent to the registered webhooks (`Webhooks`)
    # GitLab's default, and what `changes_count` and the list of diffs stop at; at most 3,000
    diff_max_files = 1000

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
        self.snippets: dict[tuple[int, int], Record] = {}
        self.commits: dict[tuple[int, str], Record] = {}
        self.notes: dict[int, Record] = {}
        self.drafts: dict[int, Record] = {}
        self.emoji: dict[int, Record] = {}
        self.pipelines: dict[int, Record] = {}
        self.jobs: dict[int, Record] = {}
        self.hooks: dict[int, Record] = {}
        self.hook_events: dict[int, Record] = {}
        self.quick_actions_executed: list[Record] = []
        # What an operator sets up (`administration`).
        self.version, self.tier, self.saas = VERSION, "premium", False
        self.groups: dict[int, Record] = {}
        self.access_tokens: dict[int, Record] = {}
        self.service_accounts, self.accounts = True, dict[int, int]()  # user -> project or group
        self.expiries: dict[str, str] = {}  # of tokens that are seeded
        self.ci_variables: dict[int, dict[str, Record]] = {}
        self.files: dict[tuple[int, str], dict[str, str]] = {}
        self.runners = [1]
        self.runner_tags, self.job_tags = ["docker"], list[str]()
        self._numbers = itertools.count(1001)
        self._index: dict[tuple[object, ...], list[int]] = {}

    def fire(self, kind: str, record: Record, **details: Any) -> None:
        """Tell the webhooks that a note, issue, merge request, pipeline or job has changed; here
        nobody listens.
        """

    def number(self) -> int:
        """Return the next free id; one sequence serves all tables, so no two things share an id by
        chance.
        """
        return next(number for number in self._numbers if number not in self.notes)

    def ids(self, *key: object) -> list[int]:
        """Return the list of ids, oldest first, under a key such as `("pipelines", project_id)`;
        append to it.
        """
        return self._index.setdefault(key, [])

    def noteable(self, kind: str, project_id: int, iid: int | str) -> Record | None:
        """Return what can be commented on; kind as in the seeds, as in URLs or as `noteable_type`,
        iid as in URLs.
        """
        word = kind.lower().rpartition("/")[2]
        if word.startswith("commit"):
            return self._commit(project_id, str(iid))
        number = int(iid)
        if word.startswith("snippet"):
            return self.snippets.get((project_id, number))
        table = self.issues if word.startswith("issue") else self.merge_requests
        return table.get((project_id, number))

    def known_commit(
        self,
        project_id: int,
        sha: str,
        *,
        title: str = "A commit",
        message: str | None = None,
        author_name: str = "Someone",
        author_email: str = "[REDACTED]",
    ) -> Record:
        """Add a commit and what it says; heads of branches, tags and merge requests are commits
        without this.
        """
        with self.lock:
            now = self.clock()
            commit: Record = {
                "id": sha,
                "iid": sha,
                "project_id": project_id,
                "noteable_type": "Commit",
            }
            commit |= {
                "title": title,
                "message": message or f"{title}\n",
                "created_at": now,
                "updated_at": now,
            }
            commit |= {"author_name": author_name, "author_email": author_email}
            self.commits[project_id, sha] = commit
            return commit

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
        note: Record = {
            "id": number,
            "type": None,
            "body": body,
            "author_id": author_id,
            "discussion_id": thread,
        }
        note |= {
            "system": False,
            "internal": False,
            "position": None,
            "created_at": now,
            "updated_at": now,
        }
        note |= {
            "updated_by_id": None,
            "project_id": noteable["project_id"],
            "noteable_id": noteable["id"],
        }
        note |= {
            "noteable_type": noteable["noteable_type"],
            "noteable_iid": noteable["iid"],
            **fields,
        }
        earlier = self.ids("discussion", thread)
        if earlier and (first := self.notes[earlier[0]])["type"] is None:
            first["type"] = "DiscussionNote"
        self.notes[number] = note
        for ids in self._lists(note):
            ids.append(number)
        noteable["updated_at"] = now
        if not note["system"]:
            self.fire("note", note)
        return note

    def notes_on(self, noteable: Record) -> list[int]:
        """Return the ids of an issue's (merge request's, …) notes, oldest first; add to them with
        `add_note`.
        """
        return self.ids("notes", noteable["noteable_type"], noteable["project_id"], noteable["id"])

    @staticmethod
    def is_on(note: Record, noteable: Record) -> bool:
        """Tell whether the note was written on this noteable."""
        same = ("noteable_type", "project_id")
        return note["noteable_id"] == noteable["id"] and all(
            note[name] == noteable[name] for name in same
        )

    def remove_note(self, note: Record) -> None:
        """Delete a note; a discussion without notes is gone."""
        del self.notes[note["id"]]
        for ids in self._lists(note):
            ids.remove(note["id"])

    def _lists(self, note: Record) -> tuple[list[int], ...]:
        return (
            self.ids("discussion", note["discussion_id"]),
            self.ids("notes", note["noteable_type"], note["project_id"], note["noteable_id"]),
            self.ids("project notes", note["project_id"]),
        )

    def _commit(self, project_id: int, revision: str) -> Record | None:
        """Find a commit by its id, a branch or a tag."""
        project = self.projects[project_id]
        sha = project.branches.get(revision) or project.tags.get(revision) or revision
        if (project_id, sha) not in self.commits:
            heads = {*project.branches.values(), *project.tags.values()}
            heads |= {
                record["sha"]
                for (owner, _), record in self.merge_requests.items()
                if owner == project_id
            }
            if sha not in heads:
                return None
            self.known_commit(project_id, sha)
        return self.commits[project_id, sha]

    def _known(self, project_id: int | None, user_id: int) -> None:
        if project_id is not None and project_id not in self.projects:
            raise KeyError(
                f"no project {project_id}; call gl.project({project_id}, 'group/name') first"
            )
        if user_id not in self.users:
            raise KeyError(f"no user {user_id}; call gl.user({user_id}, 'name') first")
