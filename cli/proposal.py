"""The job as a merge request: never a push to the default branch, and checked by GitLab first."""

import base64
import re
from pathlib import Path
from urllib.parse import quote

from cli.api import Api, under
from cli.connection import BRANCH, FILE, Connection, Json
from cli.installation import Unusable
from shared.gitlab.values import GitLabError

TEMPLATE = Path(__file__).parent.parent / "templates" / "claude.yml"
# `include:` with a list below it, whose first dash is found with its indentation.
_LIST = re.compile(r"^include:[ \t]*(?:#.*)?\n(?:[ \t]*(?:#.*)?\n)*([ \t]*)- ", re.MULTILINE)

_OF_HOME = """\
Adds the job that runs Claude Code for the projects that ask. Whoever may change this file, or \
read this project's logs, sees what they ask: keep it to those who run the installation.
"""
_DESCRIPTION = """\
Adds the job that runs Claude Code when it is mentioned.

Before you merge it: mentions run on the default branch, where GitLab adds each job whose rules \
match that branch, or that has none. Jobs that deploy, publish or cost need this before their \
other rules:

```yaml
  rules:
    - if: $CI_PIPELINE_SOURCE == "trigger"
      when: never
```
"""


# What the job of a runner project has beside the component's: docs/runner-project.md.
_HOME = """\
claude:
  variables:
    GIT_STRATEGY: empty  # the job takes the asking project's clone by itself
  environment:
    name: claude/$AI_FLOW_PROJECT_ID
    action: access
"""


def propose(connection: Connection, project: Json, author: str = "") -> bool:
    """Open a merge request with the job; return whether the job is there already.

    `author` is the user name of the trigger's bot, for a runner project's job.
    """
    api, path = connection.api, under("projects", project["id"])
    name = str(project["path_with_namespace"])
    if not project.get("default_branch"):
        connection.say(f"✘ {name} is empty: commit something, then run this again")
        return False
    job = _job(api, path, str(project["default_branch"]))
    if author and job and not names_environment(job):
        connection.say(f"✘ the job of {name} names no environment: docs/runner-project.md, step 2")
        return False
    if job:
        connection.say(f"✔ {name} has the job")
        return True
    query = {"source_branch": BRANCH, "state": "opened"}
    if opened := api.get(f"{path}/merge_requests", **query):
        connection.say(f"✔ merge request !{opened[0]['iid']} of {name} adds the job")
        return False
    config = str(project.get("ci_config_path") or ".gitlab-ci.yml")
    before = _content(api, path, config, str(project["default_branch"]))
    after = include(before or "", connection.provider, author)
    if after is None or "@" in config or "://" in config:
        connection.say(f"✘ add the job to {config} of {name} by hand: docs/job.md, Set it up")
        return False
    what = f"merge request of {name} that adds the job in {FILE}"
    action = {"action": "update" if before is not None else "create"}
    change = {**action, "file_path": config, "content": after}
    text = _OF_HOME if author else _DESCRIPTION
    connection.act(what, lambda: _propose(connection, project, change, text))
    return False


def _propose(connection: Connection, project: Json, change: Json, description: str) -> None:
    """Commit to a branch of its own, have GitLab check it there, and only then ask to merge it."""
    api, path = connection.api, under("projects", project["id"])
    branch = f"{path}/repository/branches/{BRANCH}"
    if api.find(branch) is None:
        template = TEMPLATE.read_text(encoding="utf-8")
        actions = [{"action": "create", "file_path": FILE, "content": template}, change]
        _commit(
            api,
            f"{path}/repository/commits",
            branch=BRANCH,
            start_branch=project["default_branch"],
            commit_message="Let Claude answer mentions",
            actions=actions,
        )
    checked = api.get(f"{path}/ci/lint", content_ref=BRANCH)
    if not checked["valid"]:
        api.delete(branch)
        problems = "; ".join(map(str, checked["errors"]))[:500]
        message = (
            f"GitLab's CI lint refuses the job in {project['path_with_namespace']}: {problems}"
        )
        raise Unusable(message)
    api.post(
        f"{path}/merge_requests",
        source_branch=BRANCH,
        target_branch=project["default_branch"],
        title="Let Claude answer mentions",
        description=description,
        remove_source_branch=True,
    )


def _commit(api: Api, path: str, **commit: object) -> None:
    try:
        api.post(path, **commit)
    except GitLabError as error:
        if error.status not in (400, 403):
            raise
        message = (
            f"GitLab lets you make no branch {BRANCH}: a Maintainer can allow it under Settings >"
            " Repository > Protected branches and Push rules; all before this is done"
        )
        raise Unusable(message) from error


def _job(api: Api, path: str, branch: str) -> Json | None:
    """Return the default branch's job as GitLab itself reads its configuration, if there is one."""
    found = api.find(f"{path}/ci/lint", include_jobs=True, content_ref=branch) or {}
    return next((each for each in found.get("jobs") or () if each["name"] == "claude"), None)


def names_environment(job: Json) -> bool:
    """Tell whether a job of CI lint's answer is given the token of the project that asks alone."""
    environment = job.get("environment", "claude/$")  # each GitLab that tells it tells its name
    return str(environment).startswith("claude/$")


def _content(api: Api, path: str, name: str, branch: str) -> str | None:
    found = api.find(f"{path}/repository/files/{quote(name, safe='')}", ref=branch)
    return base64.b64decode(found["content"]).decode() if found else None


def include(text: str, provider: str, author: str = "") -> str | None:
    r"""Return a .gitlab-ci.yml with the job; None where its `include` is written in another way.

    `author`: as for `propose`. A `claude` that a runner project has already is a person's.

    >>> print(include("stages: [test]\n", "anthropic"))
    stages: [test]
    <BLANKLINE>
    include:
      - local: .gitlab/claude.yml
    <BLANKLINE>
    """
    if author and re.search(r"^claude\s*:", text, re.MULTILINE):
        return None
    named = f'"{author}"' if author else ""  # digits alone would be a number
    chosen = {"provider": provider if provider != "anthropic" else "", "reply_author": named}
    inputs = [f"    {name}: {value}" for name, value in chosen.items() if value]
    entry = [f"- local: {FILE}", *(["  inputs:", *inputs] if inputs else [])]
    if author:
        text = "\n\n".join(filter(None, (text.rstrip(), _HOME)))
    found = _LIST.search(text)
    if found:
        at = found.start(1)
        return text[:at] + "".join(f"{found[1]}{line}\n" for line in entry) + text[at:]
    if re.search(r"^include\s*:", text, re.MULTILINE):
        return None
    start = text.rstrip() + "\n\n" if text.strip() else ""
    return start + "include:\n" + "".join(f"  {line}\n" for line in entry)
