"""Tokens bound to projects, on the local platform: one hook's token speaks for no other project."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support import fakes
from tests.support.gitlab.server import GitLab
from tests.support.platforms.local import Local

MALLORY, OURS, OWNER = 66, 99, 42
THEIRS, OTHER = 5, 77
BY_ID, BY_GROUP, OWN = "canary-of-hook-5", "canary-of-mallorys", "canary-of-hook-77"
TOKENS = json.dumps({"secret_tokens": {str(THEIRS): BY_ID, "Mallorys": BY_GROUP, "77": [OWN]}})


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    with GitLab() as gitlab:
        for user, name in ((MALLORY, "mallory"), (OWNER, "ada")):
            gitlab.user(user, name)
        gitlab.user(OURS, "claude", bot=True)
        gitlab.api_token(fakes.API_TOKEN, OURS)
        for project, path, owner in (
            (THEIRS, "mallorys/app", MALLORY),
            (OTHER, "group/app", OWNER),
        ):
            gitlab.project(project, path)
            gitlab.member(project, owner, 40)
            gitlab.member(project, OURS, 40)
            gitlab.issue(project, 1)
        gitlab.trigger_token(fakes.TRIGGER_TOKEN, OTHER, OURS)
        yield gitlab


@pytest.fixture
def platform(gitlab: GitLab) -> Iterator[Local]:
    with Local(gitlab.url, TOKENS, fakes.GITLAB_SECRETS) as platform:
        yield platform


def delivered(platform: Local, body: Any, token: str) -> tuple[int, str]:
    headers = {"X-Gitlab-Event": "Note Hook", "X-Gitlab-Token": token}
    answer = platform.deliver("POST", headers, json.dumps(body).encode())
    platform.settle()
    return answer.status, json.loads(answer.body)["reason"]


def ends(platform: Local) -> list[tuple[str, str, int]]:
    lines = [json.loads(line) for line in platform.output().splitlines() if line.startswith("{")]
    return [(line["severity"], line["reason"], line["project_id"]) for line in lines]


def test_a_hand_made_note_for_another_project_starts_nothing(
    platform: Local, gitlab: GitLab
) -> None:
    note = gitlab.note(OTHER, "issue", 1, author_id=OWNER, body="@claude fix it")
    body = json.loads(gitlab.note_hook(note)[1])
    assert delivered(platform, body, BY_ID) == (200, "token_not_for_project")
    assert ends(platform) == [("WARNING", "token_not_for_project", OTHER)]
    # The path is only what the delivery says: GitLab is asked, and the run is still to be had.
    body["project"] |= {"path_with_namespace": "mallorys/app"}
    assert delivered(platform, body, BY_GROUP) == (202, "queued")
    assert ends(platform)[1:] == [
        ("INFO", "queued", OTHER),
        ("WARNING", "token_not_for_project", OTHER),
    ]
    assert not gitlab.pipelines
    assert [each["author_id"] for each in gitlab.notes.values()] == [OWNER]
    body["project"] |= {"path_with_namespace": "group/app"}
    assert delivered(platform, body, OWN) == (202, "queued")
    assert len(gitlab.pipelines) == 1
    assert ends(platform)[-1] == ("INFO", "triggered", OTHER)
