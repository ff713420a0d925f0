"""The words of the stand-in: records, users, projects, roles; values without behaviour."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]
Json = dict[str, Any]
Clock = Callable[[], float]

GUEST, PLANNER, REPORTER, DEVELOPER, MAINTAINER, OWNER = 10, 15, 20, 30, 40, 50
VARIABLES_ROLES = {
    "developer": DEVELOPER,
    "maintainer": MAINTAINER,
    "owner": OWNER,
    "no_one_allowed": 1_000,
}
CI = ("ours", "theirs", "none", "filtered", "invalid")


@dataclass(slots=True)
class User:
    """A GitLab user; `bot` covers project bots and service accounts."""

    id: int
    username: str
    name: str
    bot: bool = False
    state: str = "active"
    external: bool = False
    admin: bool = False
    created_at: float = 0.0


@dataclass(slots=True)
class Project:
    """A project and its settings, which decide whether a trigger starts a pipeline.

    `ci` says what the project's `.gitlab-ci.yml` holds: `ours` (a job for every trigger), `theirs`
    (a job that asks for `AI_FLOW_EVENT`), `none` (no job matches), `filtered` (workflow:rules say
    no), `invalid` (a YAML error). `protected` maps a branch to the least access level that may push
    or merge there and so run pipelines; GitLab protects the default branch from all below
    Maintainer. `workflow_name` is what `workflow:name` would make of a pipeline.
    """

    id: int
    path: str
    default_branch: str = "main"
    visibility: str = "private"
    variables_role: str = "developer"
    ci: str = "ours"
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    protected: dict[str, int] = field(default_factory=dict)
    workflow_name: Callable[[Record], str | None] | None = None
    created_at: float = 0.0
    archived: bool = False
    ci_access: str = "enabled"
    order: str = "unordered"  # of what waits for a resource group
    public_jobs: bool = True


def digest(text: str) -> str:
    """Return a stable forty-digit id."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
