"""Each part of a runner project broken once is found by its name; a sound one raises no alarm."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from cli import home_checks, local, trust
from tests.cli.test_doctor import Broken, kept, line, store
from tests.cli.test_home import PATH, RUNNER, connect, merged, runner  # noqa: F401  a fixture
from tests.cli.test_trust import URL, role
from tests.support.operator_scene import OTHER, Scene

Change = Callable[[Scene], object]


@pytest.fixture
def healthy(runner: Scene) -> Scene:  # noqa: F811
    connect(runner)
    merged(runner)
    runner.gitlab.wait_for_hooks()
    return runner


def of_runner(**fields: Any) -> Change:
    def change(stage: Scene) -> None:
        for name, value in fields.items():
            setattr(stage.gitlab.projects[RUNNER], name, value)

    return change


def of_token(**fields: Any) -> Change:
    name = "GITLAB_ACCESS_TOKEN claude/7"
    return lambda stage: stage.gitlab.ci_variables[RUNNER][name].update(fields)


def of_hook(**fields: Any) -> Change:
    def change(stage: Scene) -> None:
        for each in stage.gitlab.hooks.values():
            if each["project_id"] == RUNNER:
                each.update(fields)

    return change


def another_s_token(stage: Scene) -> None:
    """The trigger token is the asking project's."""
    stage.gitlab.trigger_token("glptt-of-app", 7, OTHER)
    store("GITLAB_SECRETS", trigger_tokens={str(RUNNER): "glptt-of-app"})(stage)


def no_environment(stage: Scene) -> None:
    files = stage.gitlab.files[RUNNER, "main"]
    files[".gitlab-ci.yml"] = files[".gitlab-ci.yml"].replace("name: claude/", "name: for/")


STATES: tuple[Broken, ...] = (
    ("runner_project", "runner_not_seen", line(RUNNER_PROJECT="group/no-such")),
    ("runner_project", "runner_not_seen", lambda s: s.gitlab.remove_member(RUNNER, OTHER)),
    ("runner_private", "runner_not_private", of_runner(visibility="public")),
    ("runner_private", "runner_not_private", of_runner(visibility="internal")),
    ("runner_asks", "runner_asks", line(ALLOWED_PROJECTS=f"group/app,{RUNNER}")),
    ("hook_events", "hook_incomplete", line(AUTO="fix: failed")),  # of the project that asks
    ("ci_job", "no_job", lambda s: s.gitlab.files[RUNNER, "main"].pop(".gitlab-ci.yml")),
    ("ci_valid", "ci_config_invalid", of_runner(ci="invalid")),
    ("ci_enabled", "ci_switched_off", of_runner(ci_access="disabled")),
    ("runner_environment", "job_variable", no_environment),
    ("trigger_token", "trigger_token_missing", store("GITLAB_SECRETS", trigger_tokens={"7": "glptt-7"})),
    ("trigger_token_known", "trigger_token_rejected", another_s_token),
    ("branch_rights", "ref_not_permitted", of_runner(protected={"main": 50})),
    ("pipeline_variables", "variables_forbidden", of_runner(variables_role="no_one_allowed")),
    ("runner_hook", "hook_missing", of_hook(url="https://elsewhere.example.com")),
    ("hook_events", "hook_incomplete", of_hook(pipeline_events=False)),
    ("hook_disabled", "hook_disabled", of_hook(alert_status="disabled")),
    ("runner_token", "job_variable", of_token(environment_scope="claude/8")),
    ("runner_token_scope", "job_variable", of_token(environment_scope="*")),
    ("runner_token_open", "job_variable", of_token(masked=False, hidden=False)),
    ("variable_open", "job_variable", of_token(protected=False)),
    ("variable_protected", "job_variable", of_runner(protected={})),
    ("model_variable", "job_variable", lambda s: s.gitlab.ci_variables[RUNNER].pop("ANTHROPIC_API_KEY")),
    ("runner", "no_runner", lambda s: s.gitlab.runners.clear()),
    ("bot_role", "bot_rights", lambda s: s.gitlab.admit(7, OTHER, 20)),
)  # fmt: skip


def test_a_sound_runner_project_raises_no_alarm(healthy: Scene) -> None:
    assert healthy.findings() == []  # the project that asks is known by its webhook
    status, shown = healthy.run("doctor")
    assert (status, shown.count("? ")) == (0, 0), shown


def test_what_is_broken_is_found_by_name(healthy: Scene) -> None:
    secrets = json.loads((healthy.state / "gitlab_secrets.json").read_text())
    hidden = [secrets["api_token"], *secrets["trigger_tokens"].values()]
    missed = []
    for check, reason, breaks in STATES:
        with kept(healthy):
            breaks(healthy)
            found = healthy.findings("--project", "7")
            if (check, reason) not in found or len({name for name, _ in found}) > 2:
                missed.append((check, reason, found))
            assert not [each for each in hidden if each in healthy.out]
    assert missed == []
    assert healthy.findings() == []


def test_nothing_that_only_an_own_job_needs_is_asked_of_the_project(healthy: Scene) -> None:
    project = healthy.gitlab.projects[7]
    project.ci_access, project.variables_role, project.protected = "disabled", "no_one_allowed", {}
    assert healthy.findings("--project", "group/app") == []


def test_a_cloud_has_to_trust_the_runner_project_and_not_who_asks(
    healthy: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def trusts(_: object, _url: str, project: dict[str, Any]) -> Any:
        asked.append(project["id"])
        return trust.of_role(role(), URL, project)  # JobProjects says group/app@main

    monkeypatch.setattr(local.Local, "trusts", trusts)
    assert healthy.findings() == [("job_sub", "part_broken")]
    assert asked == [RUNNER]
    assert PATH in healthy.run("doctor")[1]


def test_each_check_of_a_runner_project_has_a_broken_state() -> None:
    assert len(STATES) > len(home_checks.HOME_CHECKS)
