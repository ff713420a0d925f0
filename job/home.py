"""A runner project: a private one of its own, whose pipelines run the job for other projects.

Its job names the environment `claude/<id of the project that asks>`, so that GitLab hands it that
project's token and no other's:
https://docs.gitlab.com/ci/environments/#limit-the-environment-scope-of-a-cicd-variable
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from job.failures import Failure, Reason
from job.git import Git, GitError
from job.gitlab import GitLab, GitLabError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.git import Login
    from job.job_log import Log

_ENVIRONMENT = re.compile(r"claude/([1-9][0-9]{0,18})", re.ASCII)
_NOT_SEEN = 404
_DEPTH = 200  # commits, in which most merge requests began; more is fetched where it is needed
_FETCHED = "refs/gitlab-claude/asking"


def served(environment: Mapping[str, str]) -> str:
    """Return the id of the project that a runner project's job is for, "" for its own.

    >>> served({"CI_ENVIRONMENT_NAME": "claude/7"}), served({"CI_ENVIRONMENT_NAME": "production"})
    ('7', '')
    """
    found = _ENVIRONMENT.fullmatch(environment.get("CI_ENVIRONMENT_NAME", ""))
    return found[1] if found else ""


def settle(environment: Mapping[str, str], token_variable: str, log: Log) -> Mapping[str, str]:
    """Return the job's environment as it would be in the project that asks; its own as it is.

    Who reads there may not see the job's log, so its address is left out. Raise Failure where the
    runner project is not private, has a checkout of its own, or no token for the other.
    """
    project = served(environment)
    if not project or project == environment.get("CI_PROJECT_ID"):
        return environment
    if environment.get("CI_PROJECT_VISIBILITY") != "private":
        raise Failure(Reason.RUNNER_NOT_PRIVATE)
    here = Path.cwd()
    if any((folder / ".git").exists() for folder in (here, *here.parents)):
        raise Failure(Reason.RUNNER_CHECKED_OUT)
    found = _project(project, environment, token_variable, log)
    path = str(found.get("path_with_namespace"))
    server = environment["CI_PROJECT_URL"][: -len(environment["CI_PROJECT_PATH"])]
    branch = str(found.get("default_branch") or "main")
    return {
        **environment,
        "CI_PROJECT_ID": project,
        "CI_PROJECT_PATH": path,
        "CI_PROJECT_URL": f"{server}{path}",
        "CI_PROJECT_VISIBILITY": str(found.get("visibility")),
        "CI_DEFAULT_BRANCH": branch,
        "CI_COMMIT_REF_NAME": branch,
        "CI_CONFIG_PATH": str(found.get("ci_config_path") or ""),
        "CI_JOB_URL": "",
    }


def clone(folder: Path, login: Login, environment: Mapping[str, str], name: str, log: Log) -> None:
    """Make the asking project's clone, of its default branch, in a runner project's empty folder.

    What git-lfs keeps elsewhere stays a pointer, and a submodule an empty folder. `name` is the
    token's variable. Raise Failure where the branch cannot be had.
    """
    directory, branch = folder / ".git", environment.get("CI_DEFAULT_BRANCH", "main")
    if not served(environment) or directory.exists():
        return
    git = Git(directory, folder, environment)
    options = ("--quiet", "--no-tags", "--no-write-fetch-head", f"--depth={_DEPTH}")
    skipped = {"GIT_LFS_SKIP_SMUDGE": "1"}
    try:
        git.run("init", "--quiet", "--template=")
        git.run("fetch", *options, login.url, f"+refs/heads/{branch}:{_FETCHED}", login=login)
        git.run("checkout", "--quiet", "--detach", _FETCHED, variables=skipped)
    except GitError as error:
        log.line(str(error))
        raise Failure(Reason.NOT_FETCHED, branch=branch, name=name) from None


def _project(
    project: str, environment: Mapping[str, str], name: str, log: Log
) -> Mapping[str, Any]:
    """Return what GitLab shows the environment's token of its project."""
    token = environment.get(name, "").strip()
    if not token:
        raise Failure(Reason.RUNNER_TOKEN_MISSING, name=name, id=project)
    ca_file = environment.get("CI_SERVER_TLS_CA_FILE") or None
    url = environment["CI_API_V4_URL"]
    try:
        return GitLab(url, project, token, ca_file=ca_file, masked=log.masked).project()
    except GitLabError as error:
        log.line(str(error))
        if error.status == _NOT_SEEN:
            raise Failure(Reason.RUNNER_TOKEN_OTHER, name=name, id=project) from None
        if error.status in (401, 403):
            raise Failure(Reason.TOKEN_REJECTED, name=name) from None
        raise Failure(Reason.GITLAB_UNAVAILABLE) from None
