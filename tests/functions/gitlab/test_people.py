"""Users and members, as GitLab tells them."""

import json

import pytest

from functions.gitlab import GitLab, client, people
from shared.gitlab.values import GitLabError, Member, User
from shared.installation.secrets import MAX_AGE
from tests.support.fakes import API_TOKEN, Clock
from tests.support.gitlab.server import Fault
from tests.support.gitlab.server import GitLab as StandIn
from tests.support.gitlab_adapter import secrets


def test_a_user_is_told_from_a_bot(gitlab: GitLab) -> None:
    assert gitlab.user(42) == User(42, "ada", bot=False, state="active")
    bot = gitlab.user(99)
    assert bot
    assert bot.bot
    assert gitlab.user(4711) is None
    assert gitlab.own_id() == 99


def test_a_member_is_known_by_id(server: StandIn, gitlab: GitLab) -> None:
    assert gitlab.member(7, 42) == Member(42, 30, "active", "active", None)
    server.remove_member(7, 42)
    assert gitlab.member(7, 42) is None


def test_a_project_our_token_cannot_see_is_no_answer_about_the_author(
    server: StandIn, gitlab: GitLab
) -> None:
    server.remove_member(7, 99)
    with pytest.raises(GitLabError) as error:
        gitlab.member(7, 42)
    assert error.value.status == 404


def test_the_roles_of_those_who_are_members_are_read_at_once(
    server: StandIn, gitlab: GitLab
) -> None:
    for number, level in ((43, 10), (44, 40), (46, 50)):
        server.user(number, f"user-{number}")
        server.member(7, number, level)
    server.user(45, "stranger")
    server.user(44, "user-44", state="blocked")
    assert gitlab.roles(7, [42, 43, 44, 45]) == {42: 30, 43: 10, 44: 0}
    [call] = server.calls
    assert call.query["user_ids"] == ["42", "43", "44", "45"]
    assert gitlab.roles(7, []) == {}  # GitLab would list everybody


def test_many_roles_take_several_calls_and_nobody_is_left_out(
    server: StandIn, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (client, people):
        monkeypatch.setattr(module, "PAGE", 2)
    for number in range(50, 55):
        server.user(number, f"user-{number}")
        server.member(7, number, 20)
    assert gitlab.roles(7, list(range(50, 55))) == dict.fromkeys(range(50, 55), 20)
    assert {len(call.query["user_ids"]) for call in server.calls} == {1, 2}


def test_a_member_in_several_ways_has_the_highest_role(server: StandIn, gitlab: GitLab) -> None:
    once = {"id": 42, "username": "ada", "state": "active"}
    twice = [once | {"access_level": level} for level in (20, 40, 30)]
    answer = Fault(
        "several ways",
        acts=False,
        answer=(200, (("Content-Type", "application/json"),), json.dumps(twice).encode()),
    )
    server.fault("GET /api/v4/projects/7/members/all", answer)
    assert gitlab.roles(7, [42]) == {42: 40}


def test_our_own_id_is_asked_once_per_token(server: StandIn) -> None:
    server.user(100, "claude-too", bot=True)
    server.api_token("glpat-other", 100)
    clock = Clock()
    gitlab = GitLab(server.url, secrets(API_TOKEN, "glpat-other", clock=clock))
    assert [gitlab.own_id() for _ in range(3)] == [99] * 3
    assert len(server.calls) == 1
    clock.time += MAX_AGE
    assert [gitlab.own_id() for _ in range(3)] == [100] * 3
    assert len(server.calls) == 2


def test_a_token_tells_when_it_expires(server: StandIn, gitlab: GitLab) -> None:
    assert gitlab.token_ends() == ""
    server.expiries[API_TOKEN] = "2026-12-05"
    assert gitlab.token_ends() == "2026-12-05"
