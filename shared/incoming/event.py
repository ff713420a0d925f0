"""What a verified delivery says, whatever GitLab version wrote it. It judges nobody and builds nothing from URLs."""

from collections.abc import Mapping
from typing import NamedTuple

from shared.contract.ai_flow import MENTION

Json = Mapping[str, object]


class Branches(NamedTuple):
    """A merge request's two ends; `source_project_id` is None when the fork is gone."""

    source: str
    target: str
    source_project_id: int | None
    sha: str


class Event(NamedTuple):
    """What somebody did that may ask for a run: a comment, or a change of an issue (any work item) or merge request.

    `texts` is what was written, `before` what stood there until then, in the same order; `added` are the user names
    and labels that a change brought, each with the AI_FLOW_EVENT it would be. `note_id` 0 stands for the issue or
    merge request itself, whose id and `occasion` then tell one asking from another. `at` is in Unix seconds, 0: untold.
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


class PipelineEvent(NamedTuple):
    """A pipeline that carries a run of somebody's changed its status."""

    project_id: int
    project_path: str
    pipeline_id: int
    status: str
