"""What a verified delivery says, as values: an `Event` or a `PipelineEvent`."""

from collections.abc import Mapping
from typing import NamedTuple

from shared.contract.ai_flow import AUTO, MENTION

Json = Mapping[str, object]


class Branches(NamedTuple):
    """A merge request's two ends; `source_project_id` is None when the fork is gone."""

    source: str
    target: str
    source_project_id: int | None
    sha: str


class Event(NamedTuple):
    """What somebody did that may ask for a run: a comment, or a change of what it could stand on.

    `kind` is issue (any work item), merge_request, commit or snippet, `iid` its number in the
    project. `author` wrote the comment or made the change. `texts` is what was written, `before`
    what stood there until then, in the same order. `added` are the user names and labels that a
    change brought, each behind the AI_FLOW_EVENT it would be; behind AUTO stands what became of a
    merge request. `note_id` 0 stands for the issue or merge request itself: then `occasion` tells
    one asking from another. `at` is in Unix seconds, 0 if unknown. `texts_digest` is that of title
    and description (`incoming.digests`), "" if unknown. `own` says that who makes a change opened
    what they change, `swept` that no delivery told of it.
    """

    project_id: int
    project_path: str
    default_branch: str
    kind: str
    iid: int
    branches: Branches | None
    note_id: int
    discussion_id: str | None
    internal: bool
    public: bool
    author_id: int
    author: str
    texts: tuple[str, ...]
    position: Json | None
    before: tuple[str, ...] = ()
    added: tuple[tuple[str, str], ...] = ()
    name: str = MENTION
    occasion: str = ""
    commit: str = ""
    at: float = 0.0
    texts_digest: str = ""
    own: bool = False
    swept: bool = False

    @property
    def from_fork(self) -> bool:
        """Tell whether it is about a merge request of another project's branch, there or gone."""
        branches = self.branches
        return branches is not None and branches.source_project_id != self.project_id

    @property
    def by_policy(self) -> bool:
        """Tell whether nobody asked, and the installation's policy did."""
        return self.name == AUTO


class PipelineEvent(NamedTuple):
    """A pipeline that carries a run changed its status, or another's has failed: then not `ours`.

    `at` is when it ended, or began where that is not told, in Unix seconds, 0 if unknown.
    """

    project_id: int
    project_path: str
    pipeline_id: int
    status: str
    ours: bool = True
    at: float = 0.0
