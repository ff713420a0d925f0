"""From nothing to the first answered mention; stopped anywhere, and run again; what is refused."""

from typing import Any

import pytest

from cli.api import Api
from tests.support.gitlab.server import Fault
from tests.support.operator_scene import KEY, OPERATOR, OTHER, TOKEN, Scene

MADE = {
    "hooks": 1,
    "trigger tokens": 1,
    "access tokens": 1,
    "variables": 2,
    "branches": 2,
    "open": 2,
    "notes": 2,
}
STEPS = 15  # more than a set-up has calls that write


def test_one_command_leads_to_the_first_answered_mention(stage: Scene) -> None:
    shown = stage.setup()
    assert "@claude help was answered" in shown
    assert stage.made() == MADE
    (hook,), gitlab = stage.gitlab.hooks.values(), stage.gitlab
    assert hook["signing_token"] == stage.document("WEBHOOK_SECRETS")["signing_tokens"]["7"]
    assert not hook["push_events"]
    variables = gitlab.ci_variables[7]
    assert all(each["hidden"] and each["protected"] for each in variables.values())
    secrets = stage.document("GITLAB_SECRETS")
    assert [
        gitlab.trigger_tokens[token]["project_id"] for token in secrets["trigger_tokens"].values()
    ] == [7]
    (issue,) = gitlab.issues.values()
    assert issue["confidential"]
    assert not [c for c in gitlab.calls if "commits" in c.path and c.json["branch"] == "main"]
    for secret in (TOKEN, KEY, secrets["api_token"], hook["signing_token"]):
        assert secret not in shown
        assert TOKEN not in (stage.state / "gitlab_secrets.json").read_text()


def test_a_second_run_changes_nothing(stage: Scene) -> None:
    stage.setup()
    made, before = stage.made(), len(stage.gitlab.calls)
    stage.setup()
    assert stage.made() == made
    assert {call.method for call in stage.gitlab.calls[before:]} == {"GET"}
    stage.merge()
    assert "group/app has the job" in stage.setup()


def test_a_dry_run_tells_the_plan_and_does_nothing(stage: Scene) -> None:
    shown = stage.setup("--dry-run")
    assert shown.count("would:") == 7
    assert {call.method for call in stage.gitlab.calls} == {"GET"}
    assert not (stage.state / "gitlab_secrets.json").exists()


class Stopped(Exception):
    """The operator's machine went off."""


@pytest.mark.parametrize("acts", [True, False], ids=["after", "before"])
def test_a_run_that_was_stopped_anywhere_is_completed_by_the_next(
    stage: Scene, monkeypatch: pytest.MonkeyPatch, acts: bool
) -> None:
    calls = {"left": 0}

    def stopping(name: str) -> Any:
        original = getattr(Api, name)

        def call(self: Api, *words: Any, **data: Any) -> Any:
            calls["left"] -= 1
            if calls["left"] == 0 and not acts:
                raise Stopped
            answer = original(self, *words, **data)
            if calls["left"] == 0:
                raise Stopped
            return answer

        return call

    for name in ("post", "put", "delete"):
        monkeypatch.setattr(Api, name, stopping(name))
    stopped = 0
    for step in range(1, STEPS):
        calls["left"] = step
        try:
            stage.setup()
        except Stopped:
            stopped += 1
        calls["left"] = 0
        stage.setup()
        stage.settle()
        made = stage.made()
        assert made == MADE | {"notes": made["notes"]}, step
        assert made["notes"] in (2, 4), step
        assert stage.findings() == [("ci_job", "no_job")], step
        assert stage.run("remove", "--project", "7")[0] == 0
        assert not any(
            count
            for name, count in stage.made().items()
            if name not in ("branches", "notes", "open")
        )
        stage.gitlab.issues.clear()
        stage.gitlab.notes.clear()
    assert stopped >= 8


def test_tokens_that_are_not_for_this_are_refused_with_who_can_mend_it(
    stage: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    gitlab = stage.gitlab
    gitlab.user(OTHER, "dora")
    gitlab.member(7, OTHER, 30)
    gitlab.user(4, "bot", bot=True)
    gitlab.user(5, "stranger")
    for user, token, scopes in (
        (OTHER, "low", ["api"]),
        (4, "bot", ["api"]),
        (5, "away", ["api"]),
        (OPERATOR, "narrow", ["read_api"]),
    ):
        gitlab.api_token(token, user, scopes)
    for token, words in (
        ("low", "@dora is not a Maintainer of this project: a Maintainer has to run this"),
        ("bot", "this is a bot's token"),
        ("away", "has no project group/app that this token's user may see"),
        ("narrow", "make one with the scope api"),
        ("expired", "it has expired, or belongs to another GitLab"),
    ):
        monkeypatch.setenv("GITLAB_TOKEN", token)
        status, shown = stage.run("setup", "--project", "group/app")
        assert (status, words in shown) == (2, True), shown
    assert {call.method for call in gitlab.calls} == {"GET"}


def test_gitlab_s_outbound_block_is_named_with_its_setting(stage: Scene) -> None:
    message = "Url is blocked: Requests to the local network are not allowed"
    stage.gitlab.fault("POST /api/v4/projects/7/hooks", Fault.status(422, message=message))
    status, shown = stage.run("setup", "--project", "group/app")
    assert (status, "Outbound requests" in shown) == (2, True)
    stage.setup()


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("16.11.0", "secret_tokens"),
        ("17.2.0-ee", "secret_tokens"),
        ("18.11.1", "secret_tokens"),
        ("19.0.0", "signing_tokens"),
    ],
)
def test_each_gitlab_gets_what_it_knows(stage: Scene, version: str, kind: str) -> None:
    stage.gitlab.version = version
    stage.gitlab.hook_vintage = {"16": "2023", "19": "19"}.get(version[:2], "18.1")
    assert ("older than what the job needs" in stage.setup()) == version.startswith("16")
    assert list(stage.document("WEBHOOK_SECRETS")[kind]) == ["7"]
    made = stage.made()
    stage.setup()
    assert stage.made() == made
    hidden = version.startswith(("18", "19"))
    assert {each["hidden"] for each in stage.gitlab.ci_variables[7].values()} == {hidden}
    assert stage.run("remove", "--project", "7")[0] == 0
    assert not stage.gitlab.access_tokens


@pytest.mark.parametrize("tier", ["premium", "free"])
def test_a_group_is_set_up_at_once(stage: Scene, tier: str) -> None:
    gitlab = stage.gitlab
    gitlab.tier = tier
    gitlab.group(20_001, "group")
    gitlab.admit(20_001, OPERATOR, 50)
    gitlab.project(8, "group/web", ci="none")
    gitlab.member(8, OPERATOR, 50)
    stage.setup(place=("--group", "group"))
    assert len(gitlab.hooks) == (1 if tier == "premium" else 2)
    assert set(stage.document("GITLAB_SECRETS")["trigger_tokens"]) == {"7", "8"}
    assert list(stage.document("WEBHOOK_SECRETS")["signing_tokens"]) == ["group"]
    made, before = stage.made(), len(gitlab.calls)
    stage.setup(place=("--group", "group"))
    assert {call.method for call in gitlab.calls[before:]} == {"GET"}
    assert stage.made() == made
    assert stage.run("remove", "--group", "group")[0] == 0
    assert not gitlab.hooks
    assert not gitlab.access_tokens


def test_a_branch_that_may_not_be_made_and_a_key_that_cannot_be_masked_are_sentences(
    stage: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "short")
    status, shown = stage.run("setup", "--project", "group/app")
    assert (status, "GitLab does not take ANTHROPIC_API_KEY: masked" in shown) == (2, True)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    stage.gitlab.projects[7].protected["claude-setup"] = 60
    status, shown = stage.run("setup", "--project", "group/app")
    assert (status, "GitLab lets you make no branch claude-setup" in shown) == (2, True)
    del stage.gitlab.projects[7].protected["claude-setup"]
    stage.setup()


@pytest.mark.parametrize("text", ["no json", "[]", '"glpat-x"'])
def test_a_document_that_is_none_is_not_replaced(stage: Scene, text: str) -> None:
    stage.state.mkdir(exist_ok=True)
    file = stage.state / "gitlab_secrets.json"
    file.write_text(text)
    status, shown = stage.run("setup", "--project", "7")
    assert (status, "GITLAB_SECRETS is no JSON object" in shown) == (2, True)
    assert file.read_text() == text
    assert {call.method for call in stage.gitlab.calls} == {"GET"}


def test_what_others_wrote_moves_no_cursor(stage: Scene) -> None:
    stage.gitlab.users[OPERATOR].username = "ol\x1b[2Jga"
    assert "\x1b" not in stage.setup("--dry-run")
