"""A merge request as it moves on: the deliveries that GitLab sends of it, and what it then tells.

The deliveries are the one of GitLab's documentation, with what a step changes.
"""

import json
from typing import Any

from shared.gitlab.values import HeadPipeline, Job, Progress, Target
from shared.incoming.delivery import Delivery
from shared.incoming.event import Branches
from tests import DATA
from tests.support import fakes

_DOCS = DATA / "payloads" / "gitlab-docs"
_RECORDED = _DOCS / "doc-merge-request-events-complete-payload-example.json"
_PIPELINE = _DOCS / "doc-pipeline-events.json"
_AT = "2026-02-02 02:40:00 UTC"  # fakes.NOW
_THEIRS = 500  # the number of the project's first pipeline that is not ours


NO_PIPELINE: HeadPipeline | None = None


def commit(number: int) -> str:
    """The head after so many pushes."""
    return f"{number:040x}"


class MergeRequest:
    """Merge request !16 of project 7, by ada, on the branch `feature`; each step is a delivery."""

    def __init__(self, gitlab: fakes.GitLab, *, draft: bool = False, **fields: Any) -> None:
        self.gitlab, self.draft, self.head, self.state = gitlab, draft, 0, "opened"
        self.labels: tuple[str, ...] = ()
        self.number, self.pipeline = _THEIRS, NO_PIPELINE
        self.fields: dict[str, Any] = {"source_branch": "feature", "target_branch": "main"}
        self.fields |= {"source_project_id": 7, "author": "ada", "user": 42} | fields
        self.settle()

    def settle(self) -> None:
        """Let GitLab tell what is so by now."""
        told = self.fields
        branches = Branches(
            told["source_branch"],
            told["target_branch"],
            told["source_project_id"],
            commit(self.head),
        )
        self.gitlab.branches = branches
        self.gitlab.described = Target(
            title="Draft: It brews" if self.draft else "It brews",
            description="",
            state=self.state,
            labels=self.labels,
            author=(42, told["author"]),
            branches=None,
            draft=self.draft,
            pipeline=self.pipeline,
        )
        self.gitlab.of_branches = {told["source_branch"]: [16]}

    def opened(self) -> Delivery:
        return self._delivery("open")

    def pushed(self, *, by: int = 0) -> Delivery:
        before, self.head = self.head, self.head + 1
        return self._delivery("update", by=by, oldrev=commit(before))

    def readied(self) -> Delivery:
        self.draft = False
        return self._delivery("update", changes={"draft": {"previous": True, "current": False}})

    def drafted(self) -> Delivery:
        self.draft = True
        return self._delivery("update", changes={"draft": {"previous": False, "current": True}})

    def labelled(self, *labels: str) -> Delivery:
        self.labels = labels
        return self._delivery("update", changes={"labels": {"previous": [], "current": []}})

    def approved(self) -> Delivery:
        return self._delivery("approved")

    def closed(self) -> Delivery:
        self.state = "closed"
        return self._delivery("close")

    def piped(
        self,
        status: str = "failed",
        *,
        by: int = 0,
        job: str = "unit",
        source: str = "push",
        kind: str = "",
        again: bool = False,
    ) -> Delivery:
        """Return the delivery of a pipeline of the head, a new one or the last once more.

        `kind` is that of a pipeline of the merge request: head, merge or train.
        """
        self.number += not again
        by, ref = by or self.fields["user"], self.fields["source_branch"]
        if kind:
            source, ref = "merge_request_event", f"refs/merge-requests/16/{kind}"
        sha = f"{self.number:040x}" if kind == "merge" else commit(self.head)
        self.gitlab.merged[sha] = (commit(999), commit(self.head))
        jobs = (Job(10 * self.number, status, "script_failure", "", job),)
        self.gitlab.statuses[self.number] = Progress(
            status, 61, fakes.NOW, jobs, source=source, ref=ref
        )
        self.pipeline = HeadPipeline(self.number, status, sha, ref, (by, "ada"), fakes.NOW)
        self.settle()
        told = json.loads(_PIPELINE.read_text())
        told["object_attributes"] |= {"id": self.number, "status": status, "source": source}
        told["object_attributes"] |= {"ref": self.fields["source_branch"], "sha": sha}
        told["object_attributes"] |= {"finished_at": _AT}
        told["user"] |= {"id": by}
        told["project"] |= {"id": 7, "path_with_namespace": "group/app", "default_branch": "main"}
        if source != "merge_request_event":
            told["merge_request"] = None
        return fakes.delivery(json.dumps(told, separators=(",", ":")).encode())

    def _delivery(
        self, action: str, *, by: int = 0, changes: dict[str, Any] | None = None, **attributes: Any
    ) -> Delivery:
        self.settle()
        told = json.loads(_RECORDED.read_text())
        told["user"] |= {"id": by or self.fields["user"], "username": "ada"}
        told["project"] |= {"id": 7, "path_with_namespace": "group/app"}
        title = self.gitlab.described.title
        told["object_attributes"] |= {
            **{name: self.fields[name] for name in ("source_branch", "target_branch")},
            "source_project_id": self.fields["source_project_id"],
            "action": action,
            "author_id": 42,
            "title": title,
            "description": "",
            "draft": self.draft,
            "state": self.state,
            "updated_at": _AT,
            "actioned_at": _AT,
            **attributes,
        }
        told["object_attributes"]["last_commit"]["id"] = commit(self.head)
        told["changes"] = changes or {}
        return fakes.delivery(json.dumps(told, separators=(",", ":")).encode())
