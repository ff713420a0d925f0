"""What a runner project's job takes for the project that asks, and what ends it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from job import home, request
from job.failures import Failure, Reason
from job.git import Login
from job.job_log import Log
from job.workspace import Workspace
from tests.support.gitlab.git import GitLabWithGit

LINES: list[str] = []
LOG = Log(LINES.append, lambda: 0.0)
TOKEN = "GITLAB_ACCESS_TOKEN"


@pytest.fixture
def gitlab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitLabWithGit]:
    """Two asking projects, each with a token that sees no other, and an empty folder."""
    monkeypatch.chdir(tmp_path)
    with GitLabWithGit() as gitlab:
        for number, name in ((7, "app"), (8, "other")):
            gitlab.user(number, f"bot-of-{name}", bot=True)
            gitlab.project(number, f"group/{name}", visibility="private")
            gitlab.member(number, number, 40)
            gitlab.api_token(f"glpat-{name}", number, ("api", "write_repository"))
            gitlab.commit(number, "main", {"CLAUDE.md": f"of {name}\n"})
        yield gitlab


def settled(gitlab: GitLabWithGit, **changes: str) -> dict[str, str]:
    environment = {
        "CI_API_V4_URL": f"{gitlab.url}/api/v4",
        "CI_ENVIRONMENT_NAME": "claude/7",
        "CI_PROJECT_ID": "70",
        "CI_PROJECT_PATH": "group/claude-runner",
        "CI_PROJECT_URL": f"{gitlab.url}/group/claude-runner",
        "CI_PROJECT_VISIBILITY": "private",
        "CI_JOB_URL": f"{gitlab.url}/group/claude-runner/-/jobs/1",
        TOKEN: "glpat-app",
    }
    return dict(home.settle(environment | changes, TOKEN, LOG))


def test_the_job_sees_the_project_that_asks(gitlab: GitLabWithGit) -> None:
    found = settled(gitlab)
    assert (found["CI_PROJECT_ID"], found["CI_PROJECT_PATH"]) == ("7", "group/app")
    assert found["CI_PROJECT_URL"] == f"{gitlab.url}/group/app"
    assert found["CI_DEFAULT_BRANCH"] == found["CI_COMMIT_REF_NAME"] == "main"
    assert not [name for name, value in found.items() if "claude-runner" in value]


@pytest.mark.parametrize(
    "name",
    ["", "production", "claude/70", "claude/", "claude/7/x", "claude/..", "claude/07", "claude/7 "],
)
def test_any_other_job_stays_as_it_is(gitlab: GitLabWithGit, name: str) -> None:
    assert settled(gitlab, CI_ENVIRONMENT_NAME=name)["CI_PROJECT_ID"] == "70"


@pytest.mark.parametrize(
    ("changes", "reason", "cure"),
    [
        ({"CI_PROJECT_VISIBILITY": "public"}, Reason.RUNNER_NOT_PRIVATE, "to private"),
        ({"CI_PROJECT_VISIBILITY": "internal"}, Reason.RUNNER_NOT_PRIVATE, "to private"),
        ({TOKEN: ""}, Reason.RUNNER_TOKEN_MISSING, "that environment as its scope"),
        ({TOKEN: "glpat-other"}, Reason.RUNNER_TOKEN_OTHER, "a token of that project"),
        ({TOKEN: "glpat-wrong"}, Reason.TOKEN_REJECTED, ""),
    ],
)
def test_what_keeps_it_from_serving_is_told_with_the_cure(
    gitlab: GitLabWithGit, changes: dict[str, str], reason: Reason, cure: str
) -> None:
    with pytest.raises(Failure) as failure:
        settled(gitlab, **changes)
    assert failure.value.reason is reason
    assert cure in failure.value.text


def test_a_checkout_in_the_way_is_never_worked_on(gitlab: GitLabWithGit) -> None:
    Path(".git").mkdir()
    with pytest.raises(Failure, match="GIT_STRATEGY to empty"):
        settled(gitlab)


def test_the_clone_is_the_asking_project_s_and_holds_no_token(
    gitlab: GitLabWithGit, tmp_path: Path
) -> None:
    environment = settled(gitlab)
    private = tmp_path / "private"
    private.mkdir()
    login = Login(f"{environment['CI_PROJECT_URL']}.git", environment[TOKEN])
    folder = tmp_path / "clone"
    folder.mkdir()
    workspace = Workspace(folder, private, {"PATH": "/usr/bin:/bin"}, login)
    home.clone(folder, login, environment | {"PATH": "/usr/bin:/bin"}, TOKEN, LOG)
    workspace.open("main", "main")
    assert (folder / "CLAUDE.md").read_text() == "of app\n"
    assert "glpat" not in (folder / ".git" / "config").read_text()
    assert workspace.file("CLAUDE.md") == "of app\n"


def test_a_request_for_another_than_the_environment_s_project_is_refused(
    gitlab: GitLabWithGit, tmp_path: Path
) -> None:
    payload = tmp_path / "payload"
    payload.write_text(
        '{"ai_flow": {"version": 1, "id": "r", "input": "x", "context": {"project": {"id": 8}}}}'
    )
    with pytest.raises(Failure, match="it is for another project"):
        request.read(settled(gitlab), payload)


def test_a_branch_that_cannot_be_had_names_the_token(gitlab: GitLabWithGit, tmp_path: Path) -> None:
    environment = settled(gitlab) | {"PATH": "/usr/bin:/bin", "CI_DEFAULT_BRANCH": "gone"}
    login = Login(f"{environment['CI_PROJECT_URL']}.git", environment[TOKEN])
    with pytest.raises(Failure, match="`gone` could not be fetched") as failure:
        home.clone(tmp_path, login, environment, TOKEN, LOG)
    assert failure.value.reason is Reason.NOT_FETCHED
    assert "glpat" not in "".join(LINES)
