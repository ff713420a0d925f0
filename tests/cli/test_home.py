"""A project is connected to a runner project: made once, changed by no second run, taken away."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.installation import secrets
from tests.support.gitlab.records import Record
from tests.support.operator_scene import OPERATOR, OTHER, Scene

RUNNER, PATH = 70, "group/claude-runner"
BOT_TOKEN = "glpat-canary-of-the-bot"


@pytest.fixture
def runner(stage: Scene, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A private project for the jobs, and a user of one's own as the bot."""
    gitlab = stage.gitlab
    gitlab.project(RUNNER, PATH, ci="none", variables_role="no_one_allowed")
    gitlab.member(RUNNER, OPERATOR, 40)
    gitlab.files[RUNNER, "main"] = {"README.md": "For jobs alone"}
    gitlab.user(OTHER, "claude")
    gitlab.api_token(BOT_TOKEN, OTHER)
    gitlab.project(8, "group/web", ci="none")
    gitlab.member(8, OPERATOR, 40)
    monkeypatch.setenv("BOT_TOKEN", BOT_TOKEN)
    stage.settings(URL=stage.read()["URL"], RUNNER_PROJECT=PATH)
    return stage


def connect(stage: Scene, project: str = "group/app") -> str:
    return stage.setup("--bot-token", place=("--project", project))


def merged(stage: Scene) -> None:
    """Merge what adds the job to the runner project."""
    stage.gitlab.files[RUNNER, "main"] = stage.gitlab.files[RUNNER, "claude-setup"]
    stage.gitlab.projects[RUNNER].branches.pop("claude-setup")
    for record in stage.gitlab.merge_requests.values():
        record["state"] = "merged"


def scopes(stage: Scene) -> dict[str, Any]:
    known: dict[str, Record] = stage.gitlab.ci_variables[RUNNER]
    return {e["environment_scope"]: e for e in known.values() if "TOKEN" in e["key"]}


def test_one_command_prepares_the_runner_project_and_asks_nothing_of_the_other(
    runner: Scene,
) -> None:
    gitlab = runner.gitlab
    shown = connect(runner)
    assert "@claude help was answered" in shown
    asking, home = sorted(gitlab.hooks.values(), key=lambda each: int(each["project_id"]))
    assert (asking["project_id"], home["project_id"]) == (7, RUNNER)
    assert not asking.get("pipeline_events")
    assert [name for name, on in home.items() if name.endswith("_events") and on is True] == [
        "pipeline_events"
    ]
    assert [each["project_id"] for each in gitlab.trigger_tokens.values()] == [RUNNER]
    assert set(runner.document("GITLAB_SECRETS")["trigger_tokens"]) == {str(RUNNER)}
    assert not gitlab.ci_variables.get(7)
    assert list(gitlab.projects[7].branches) == ["main"]
    variables = gitlab.ci_variables[RUNNER].values()
    assert all(each["hidden"] and each["protected"] for each in variables)
    assert list(scopes(runner)) == ["claude/7"]
    assert (gitlab.projects[RUNNER].variables_role, gitlab.projects[RUNNER].order) == (
        "maintainer",
        "oldest_first",
    )
    added = gitlab.files[RUNNER, "claude-setup"][".gitlab-ci.yml"]
    assert "GIT_STRATEGY: empty" in added
    assert 'reply_author: "claude"' in added
    assert "name: claude/$AI_FLOW_PROJECT_ID" in added


def test_the_job_has_a_token_that_opens_the_asking_project_alone(runner: Scene) -> None:
    connect(runner)
    (token,) = runner.gitlab.access_tokens.values()
    assert (token["place"], token["scopes"]) == (7, ["api", "write_repository"])
    assert runner.gitlab.level(7, token["user_id"]) == 40
    assert not runner.gitlab.level(RUNNER, token["user_id"])
    assert runner.document("GITLAB_SECRETS")["api_token"] == BOT_TOKEN
    runner.gitlab.access_tokens[token["id"]]["until"] = (
        (datetime.now(UTC) + timedelta(days=9)).date().isoformat()
    )
    assert "CI/CD variable GITLAB_ACCESS_TOKEN (masked, protected, for claude/7)" in connect(runner)
    (new,) = runner.gitlab.access_tokens.values()
    assert new["id"] != token["id"]


def test_where_gitlab_has_none_such_the_job_has_the_bot_s(runner: Scene) -> None:
    runner.gitlab.saas, runner.gitlab.tier = True, "free"
    assert "its job has the bot's" in connect(runner)
    assert list(scopes(runner)) == ["claude/7"]
    calls = len(runner.gitlab.calls)
    connect(runner)
    assert {call.method for call in runner.gitlab.calls[calls:]} == {"GET"}


def test_a_second_run_changes_nothing_and_another_project_needs_webhook_and_token(
    runner: Scene,
) -> None:
    gitlab = runner.gitlab
    connect(runner)
    calls = len(gitlab.calls)
    connect(runner)
    assert {call.method for call in gitlab.calls[calls:]} == {"GET"}
    merged(runner)
    calls = len(gitlab.calls)
    shown = connect(runner, "group/web")
    assert f"✔ {PATH} has the job" in shown
    written = [
        call.path.partition("/projects/")[2]
        for call in gitlab.calls[calls:]
        if call.method != "GET" and "/issues" not in call.path
    ]
    assert written == ["8/members", "8/hooks", "8/access_tokens", f"{RUNNER}/variables"]
    assert sorted(scopes(runner)) == ["claude/7", "claude/8"]
    runner.settings(**runner.read(), AUTO="fix: failed")  # of what failed the project has to tell
    connect(runner)
    told = {each["project_id"] for each in gitlab.hooks.values() if each.get("pipeline_events")}
    assert told == {7, RUNNER}


def test_a_token_for_all_leaves_the_next_project_its_webhook_alone(runner: Scene) -> None:
    connect(runner)
    one = runner.gitlab.ci_variables[RUNNER].pop("GITLAB_ACCESS_TOKEN claude/7")
    every = one | {"environment_scope": "claude/*", "description": "ours"}
    runner.gitlab.ci_variables[RUNNER]["GITLAB_ACCESS_TOKEN claude/*"] = every
    merged(runner)
    runner.gitlab.admit(8, OTHER, 40)
    calls = len(runner.gitlab.calls)
    connect(runner, "group/web")
    made = [c.path for c in runner.gitlab.calls[calls:] if c.method != "GET"]
    assert [path for path in made if "/issues" not in path] == ["/api/v4/projects/8/hooks"]


def test_a_group_s_next_project_needs_nothing(runner: Scene) -> None:
    gitlab = runner.gitlab
    gitlab.group(20_001, "group")
    gitlab.admit(20_001, OPERATOR, 50)
    for project in (7, 8, RUNNER):
        gitlab.admit(project, OPERATOR, 50)
    runner.setup(place=("--group", "group"))
    (hook,) = gitlab.hooks.values()
    assert (hook["project_id"], hook["pipeline_events"]) == (20_001, True)
    assert list(scopes(runner)) == ["claude/*"]
    assert set(runner.document("GITLAB_SECRETS")["trigger_tokens"]) == {str(RUNNER)}
    assert {project for project, _ in gitlab.merge_requests} == {RUNNER}
    calls = len(gitlab.calls)
    gitlab.project(9, "group/next", ci="none")
    gitlab.admit(9, OPERATOR, 50)
    runner.setup(place=("--group", "group"))
    assert {call.method for call in gitlab.calls[calls:]} == {"GET"}
    assert runner.run("remove", "--group", "group")[0] == 0
    assert not gitlab.hooks
    assert not gitlab.trigger_tokens
    assert not gitlab.ci_variables[RUNNER]


def test_the_ways_stand_side_by_side_in_a_group(runner: Scene) -> None:
    gitlab = runner.gitlab
    gitlab.group(20_001, "group")
    gitlab.admit(20_001, OPERATOR, 50)
    gitlab.files[8, "main"] = {"README.md": "x"}
    for project in (7, 8, RUNNER):
        gitlab.admit(project, OPERATOR, 50)
    runner.settings(URL=runner.read()["URL"], RUNNER_PROJECT=f"group/app = {PATH}")
    runner.setup(place=("--group", "group"))
    assert set(runner.document("GITLAB_SECRETS")["trigger_tokens"]) == {"8", str(RUNNER)}
    assert {project for project, _ in gitlab.merge_requests} == {8, RUNNER}
    assert list(gitlab.ci_variables[20_001]) == ["GITLAB_ACCESS_TOKEN", "ANTHROPIC_API_KEY"]


def test_a_dry_run_tells_the_plan_and_does_nothing(runner: Scene) -> None:
    shown = runner.setup("--bot-token", "--dry-run")
    for part in ("trigger token of group/claude-runner", "for claude/7", "1 event", "oldest_first"):
        assert part in shown
    assert "group/app that adds the job" not in shown
    assert {call.method for call in runner.gitlab.calls} == {"GET"}
    connect(runner)
    runner.gitlab.remove_member(RUNNER, OTHER)  # the bot is to be a member yet
    calls = len(runner.gitlab.calls)
    shown = runner.setup("--dry-run", place=("--project", "group/web"))
    assert "would: @claude becomes Maintainer of group/claude-runner" in shown
    assert {call.method for call in runner.gitlab.calls[calls:]} == {"GET"}


def test_remove_leaves_the_runner_project_to_others_and_the_last_takes_it_along(
    runner: Scene,
) -> None:
    gitlab = runner.gitlab
    gitlab.admit(8, OPERATOR, 50)
    connect(runner)
    connect(runner, "group/web")
    status, shown = runner.run("remove", "--project", "group/app")
    assert status == 0, shown
    assert list(scopes(runner)) == ["claude/8"]
    assert {each["place"] for each in gitlab.access_tokens.values()} == {8}
    assert len(gitlab.trigger_tokens) == 1
    assert {each["project_id"] for each in gitlab.hooks.values()} == {8, RUNNER}
    assert runner.run("remove", "--project", "8")[0] == 0
    assert not gitlab.hooks
    assert not gitlab.trigger_tokens
    assert not gitlab.access_tokens
    assert not gitlab.ci_variables[RUNNER]
    assert runner.document("GITLAB_SECRETS") == runner.document("WEBHOOK_SECRETS") == {}
    calls = len(gitlab.calls)
    assert runner.run("remove", "--project", "8")[0] == 0
    assert {call.method for call in gitlab.calls[calls:]} == {"GET"}


def test_without_the_runner_project_the_rest_is_taken_away_all_the_same(runner: Scene) -> None:
    connect(runner)
    runner.gitlab.remove_member(RUNNER, OPERATOR)
    status, shown = runner.run("remove", "--project", "group/app")
    assert (status, f"? RUNNER_PROJECT {PATH}: " in shown) == (0, True)
    assert {each["project_id"] for each in runner.gitlab.hooks.values()} == {RUNNER}


def test_a_runner_project_that_cannot_serve_is_refused_with_the_cure(runner: Scene) -> None:
    gitlab, project = runner.gitlab, runner.gitlab.projects[RUNNER]

    def refused(*words: str, place: str = "group/app") -> str:
        status, shown = runner.run("setup", "--project", place, *words)
        assert status == 2, shown
        return shown

    assert "set up the group of both, GROUP=, or give" in refused()
    assert "runs the jobs of others and asks for none" in refused("--bot-token", place=PATH)
    for visibility in ("public", "internal"):
        project.visibility = visibility
        assert "Set its visibility to private" in refused("--bot-token")
    project.visibility = "private"
    gitlab.admit(RUNNER, OPERATOR, 30)
    assert f"RUNNER_PROJECT {PATH}: @olga is not a Maintainer" in refused("--bot-token")
    gitlab.remove_member(RUNNER, OPERATOR)
    assert "make it first: private, with a README" in refused("--bot-token")
    runner.settings(
        URL=runner.read()["URL"], RUNNER_PROJECT=PATH, ALLOWED_PROJECTS=f"group/app,{PATH}"
    )
    assert "a project that ALLOWED_PROJECTS does not name" in refused("--bot-token")
    assert {call.method for call in gitlab.calls} == {"GET"}


@pytest.mark.parametrize("acts", ["include: a.yml\n", "claude:\n  script: x\n"])
def test_a_configuration_that_is_a_person_s_stays(runner: Scene, acts: str) -> None:
    runner.gitlab.files[RUNNER, "main"][".gitlab-ci.yml"] = acts
    assert f"add the job to .gitlab-ci.yml of {PATH} by hand" in connect(runner)
    assert not runner.gitlab.merge_requests


def test_a_job_that_would_hold_every_token_is_told(runner: Scene) -> None:
    runner.gitlab.projects[RUNNER].ci = "ours"  # the component alone, as for its own project
    assert f"the job of {PATH} names no environment" in connect(runner)


def test_another_user_s_token_is_not_replaced_while_others_ask(runner: Scene) -> None:
    connect(runner)
    connect(runner, "group/web")
    old = runner.document("GITLAB_SECRETS") | {"api_token": "glpat-old"}
    (runner.state / "gitlab_secrets.json").write_text(json.dumps(old))
    status, shown = runner.run("setup", "--project", "group/app")
    assert (status, "which other projects use too" in shown) == (2, True)


def test_the_way_over_takes_another_bot_and_leaves_what_the_old_way_still_needs(
    runner: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "MAX_AGE", 0.0)  # or the functions go on as the old bot
    gitlab = runner.gitlab
    runner.settings(URL=runner.read()["URL"])
    runner.setup()
    own = set(gitlab.trigger_tokens)
    runner.settings(URL=runner.read()["URL"], RUNNER_PROJECT=PATH)
    status, shown = runner.run("setup", "--project", "group/app")
    assert (status, "or take --bot-token" in shown) == (2, True)
    connect(runner)
    assert own < set(gitlab.trigger_tokens)
    (hook,) = [each for each in gitlab.hooks.values() if each["project_id"] == 7]
    assert hook["pipeline_events"]  # what runs there is still followed
    assert runner.document("GITLAB_SECRETS")["api_token"] == BOT_TOKEN
    calls = len(gitlab.calls)
    connect(runner)
    assert {call.method for call in gitlab.calls[calls:]} == {"GET"}
