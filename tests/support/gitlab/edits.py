"""Changes to issues and merge requests as a person makes them in the browser; each writes down what
was before.
"""
# ruff: noqa: EM102, TRY003  (what is wrong is named)

from collections.abc import Iterable
from typing import Any

from .records import Record
from .tables import Tables

_ISSUE = frozenset({"title", "description", "labels", "state", "assignees", "confidential"})
_MERGE_REQUEST = frozenset(
    {"title", "description", "labels", "state", "assignees", "reviewers", "target_branch"}
)
_ACTIONS = {"opened": "reopen", "closed": "close", "merged": "merge"}
REVIEWER_STATES = (
    "unreviewed",
    "review_started",
    "reviewed",
    "requested_changes",
    "approved",
    "unapproved",
)


class Edits(Tables):
    """An edit says who did what: `user_id`, `action`, `changes` (field → before and after), and is
    the record's last.
    """

    def edit_issue(self, project_id: int, iid: int, *, user_id: int, **fields: Any) -> Record:
        """Set title, description, labels, state, assignees or confidential; return the edit."""
        with self.lock:
            return self._edit("issue", self.issues[project_id, iid], user_id, fields, _ISSUE)

    def edit_merge_request(
        self, project_id: int, iid: int, *, user_id: int, **fields: Any
    ) -> Record:
        """Set title, description, labels, state, target_branch, assignees or reviewers (user ids);
        return the edit.
        """
        with self.lock:
            record = self.merge_requests[project_id, iid]
            if "reviewers" in fields:
                for user in fields["reviewers"]:
                    self._known(None, user)
                states = {each["user_id"]: each["state"] for each in record["reviewers"]}
                wanted = [
                    {"user_id": user, "state": states.get(user, "unreviewed")}
                    for user in fields["reviewers"]
                ]
                fields["reviewers"] = wanted
            return self._edit("merge_request", record, user_id, fields, _MERGE_REQUEST)

    def review(self, project_id: int, iid: int, *, user_id: int, state: str = "reviewed") -> Record:
        """Let a reviewer finish a review; only `approved` and `unapproved` cause a webhook."""
        if state not in REVIEWER_STATES:
            raise ValueError(f"no reviewer state {state!r}")
        with self.lock:
            record = self.merge_requests[project_id, iid]
            if user_id not in [each["user_id"] for each in record["reviewers"]]:
                raise ValueError(f"user {user_id} is no reviewer of merge request {iid}")
            record["reviewers"] = _with_state(record["reviewers"], user_id, state)
            edit = self._written(record, user_id, {})
            if state in ("approved", "unapproved"):
                edit["action"] = state
                self.fire("merge_request", record, edit=edit)
            return edit

    def request_review(
        self, project_id: int, iid: int, reviewer_id: int, *, user_id: int
    ) -> Record:
        """Press "Re-request review" beside a reviewer; return the edit."""
        with self.lock:
            record = self.merge_requests[project_id, iid]
            if reviewer_id not in [each["user_id"] for each in record["reviewers"]]:
                raise ValueError(f"user {reviewer_id} is no reviewer of merge request {iid}")
            before, record["reviewers"] = (
                record["reviewers"],
                _with_state(record["reviewers"], reviewer_id, "unreviewed"),
            )
            edit = self._written(record, user_id, {"reviewers": (before, record["reviewers"])})
            edit["re_requested"] = reviewer_id
            self.fire("merge_request", record, edit=edit)
            return edit

    def push(
        self,
        project_id: int,
        iid: int,
        sha: str,
        *,
        user_id: int,
        diffs: Iterable[Record] | None = None,
    ) -> Record:
        """Move a merge request's source branch to another commit; the edit has `oldrev`."""
        with self.lock:
            record = self.merge_requests[project_id, iid]
            before, record["sha"] = record["sha"], sha
            record["pushed_over"].append(before)
            if record["source_project_id"] in self.projects:
                self.projects[record["source_project_id"]].branches[record["source_branch"]] = sha
            if diffs is not None:
                record["diffs"] = list(diffs)
            edit = self._written(record, user_id, {})
            edit["oldrev"] = before
            self.fire("merge_request", record, edit=edit)
            return edit

    def _edit(
        self, kind: str, record: Record, user_id: int, fields: Record, known: frozenset[str]
    ) -> Record:
        if unknown := fields.keys() - known:
            raise TypeError(f"{kind}: there is no {sorted(unknown)} to edit")
        for user in fields.get("assignees", ()):
            self._known(None, user)
        new = {
            name: list(value) if isinstance(record[name], list) else value
            for name, value in fields.items()
        }
        changes = {
            name: (record[name], value) for name, value in new.items() if record[name] != value
        }
        if not changes:  # GitLab neither dates the record nor tells anyone
            return {"user_id": user_id, "action": "update", "at": self.clock(), "changes": {}}
        record |= new
        edit = self._written(record, user_id, changes)
        if "state" in changes:
            edit["action"] = _ACTIONS[record["state"]]
            record["closed_at"] = edit["at"] if record["state"] == "closed" else None
            record["merged_at"], record["merged_by_id"] = (
                (edit["at"], user_id) if record["state"] == "merged" else (None, None)
            )
        if {"title", "description"} & changes.keys():
            record["last_edited_at"], record["last_edited_by_id"] = edit["at"], user_id
        self.fire(kind, record, edit=edit)
        return edit

    def _written(self, record: Record, user_id: int, changes: Record) -> Record:
        """Write an edit down: it dates the record and becomes the one that a webhook speaks of."""
        self._known(None, user_id)
        now = self.clock()
        edit: Record = {"user_id": user_id, "action": "update", "at": now, "changes": changes}
        edit["changes"] = {
            **changes,
            "updated_at": (record["updated_at"], now),
            "updated_by_id": (record["updated_by_id"], user_id),
        }
        record |= {"updated_at": now, "updated_by_id": user_id}
        record["edits"].append(edit)
        return edit


def _with_state(reviewers: list[Record], user_id: int, state: str) -> list[Record]:
    return [{**each, "state": state} if each["user_id"] == user_id else each for each in reviewers]
