"""The bot that setup makes or takes: what each tier, version and role has, and who can where none."""

import pytest

from cli.api import Api
from tests.support.gitlab.server import Fault
from tests.support.operator_scene import OPERATOR, OTHER, Scene


def no_access_tokens(stage: Scene) -> None:
    stage.gitlab.saas, stage.gitlab.tier = True, "free"


def test_a_service_account_serves_where_the_tier_has_no_access_tokens(stage: Scene) -> None:
    no_access_tokens(stage)
    shown, gitlab = stage.setup(), stage.gitlab
    assert "service account Claude" in shown
    assert "becomes Maintainer of group/app" in shown
    assert "@claude help was answered" in shown
    ((account, place),) = gitlab.accounts.items()
    assert (place, gitlab.members[7, account]["access_level"]) == (7, 40)
    (record,) = gitlab.access_tokens.values()
    assert (record["user_id"], record["scopes"]) == (account, ["api", "write_repository"])
    assert record["token"] not in shown
    calls = len(gitlab.calls)
    stage.setup()
    assert {call.method for call in gitlab.calls[calls:]} == {"GET"}
    stage.merge()
    assert stage.findings() == []
    assert stage.run("remove", "--project", "7")[0] == 0
    assert not gitlab.accounts
    assert not gitlab.access_tokens
    assert stage.document("GITLAB_SECRETS") == {}


class Stopped(Exception):
    """The operator's machine went off."""


@pytest.mark.parametrize("step", range(2, 7))
def test_a_service_account_is_found_again_by_the_next_run(
    stage: Scene, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    no_access_tokens(stage)
    original, made = Api.post, []

    def post(self: Api, path: str, **data: object) -> object:
        answer = original(self, path, **data)
        made.append(path)
        if len(made) == step - 1:
            raise Stopped
        return answer

    monkeypatch.setattr(Api, "post", post)
    with pytest.raises(Stopped):
        stage.setup()
    monkeypatch.setattr(Api, "post", original)
    stage.setup()
    assert len(stage.gitlab.accounts) == len(stage.gitlab.access_tokens) == 1
    assert stage.run("remove", "--project", "7")[0] == 0
    assert not stage.gitlab.accounts
    assert not stage.gitlab.trigger_tokens


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("17.11.0", "Service accounts of projects are there from GitLab 18.11 on"),
        ("19.3.0", "A service account is refused as well"),
    ],
)
def test_where_gitlab_makes_no_bot_it_is_said_who_can(
    stage: Scene, version: str, words: str
) -> None:
    no_access_tokens(stage)
    stage.gitlab.version, stage.gitlab.service_accounts = version, False
    status, shown = stage.run("setup", "--project", "group/app")
    assert (status, words in shown, "--bot-token" in shown) == (2, True, True), shown
    assert not stage.gitlab.trigger_tokens
    assert not stage.gitlab.hooks


@pytest.mark.parametrize("owned", [True, False], ids=["owner", "maintainer"])
def test_a_group_s_service_account_takes_an_owner(stage: Scene, owned: bool) -> None:
    no_access_tokens(stage)
    gitlab = stage.gitlab
    gitlab.group(20_001, "group")
    gitlab.admit(20_001, OPERATOR, 50 if owned else 40)
    if not owned:
        status, shown = stage.run("setup", "--group", "group")
        assert (status, "an Owner has to run this" in shown) == (2, True)
        return
    assert "service account" in stage.setup(place=("--group", "group"))
    assert list(gitlab.accounts.values()) == [20_001]
    assert stage.run("remove", "--group", "group")[0] == 0
    assert not gitlab.accounts


def test_a_self_managed_group_s_owner_is_told_who_allows_it(
    stage: Scene,
) -> None:
    stage.gitlab.group(20_001, "group")
    stage.gitlab.admit(20_001, OPERATOR, 50)
    refuse = Fault.status(400, message="User does not have permission")
    stage.gitlab.fault("POST /api/v4/groups/20001/access_tokens", refuse)
    status, shown = stage.run("setup", "--group", "group")
    assert (status, "on your own GitLab by whom an administrator allows it" in shown) == (2, True)


def test_a_bot_user_of_your_own_serves_where_gitlab_makes_none(
    stage: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    gitlab = stage.gitlab
    gitlab.saas, gitlab.tier = True, "free"
    gitlab.service_accounts = False
    status, shown = stage.run("setup", "--project", "group/app")
    assert (status, "give a token of a user that you made for the bot: --bot-token" in shown) == (
        2,
        True,
    )
    gitlab.user(OTHER, "claude")
    gitlab.api_token("glpat-own", OTHER, ["api", "write_repository"])
    monkeypatch.setenv("BOT_TOKEN", "glpat-own")
    assert "@claude becomes Maintainer of group/app" in stage.setup("--bot-token")
    assert not gitlab.access_tokens
    assert gitlab.members[7, OTHER]["access_level"] == 40


def test_a_bot_whose_token_has_expired_is_replaced_everywhere(stage: Scene) -> None:
    stage.setup()
    made = stage.made()
    gitlab, old = stage.gitlab, stage.document("GITLAB_SECRETS")["api_token"]
    gitlab.api_tokens.pop(old)
    stage.setup()
    new = stage.document("GITLAB_SECRETS")["api_token"]
    assert new != old
    assert gitlab.ci_variables[7]["GITLAB_ACCESS_TOKEN"]["description"].endswith(
        f"token {next(iter(gitlab.access_tokens))}"
    )
    assert stage.made() == made | {"notes": stage.made()["notes"]}
    stage.merge()
    assert stage.findings() == []


def test_a_bot_that_serves_others_too_is_not_replaced(stage: Scene) -> None:
    stage.state.mkdir(exist_ok=True)
    file = stage.state / "gitlab_secrets.json"
    file.write_text('{"api_token": "glpat-gone", "trigger_tokens": {"8": "glptt-8"}}')
    status, shown = stage.run("setup", "--project", "7")
    assert (status, "which other projects use too" in shown) == (2, True)
    assert "glpat-gone" in file.read_text()
