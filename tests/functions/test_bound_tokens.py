"""Tokens bound to projects, on the local platform: one hook's token speaks for no other project."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import product
from typing import Any

import pytest

from tests.support import fakes
from tests.support.gitlab.server import GitLab
from tests.support.platforms.local import Local

MALLORY, OURS, OWNER = 66, 99, 42
THEIRS, OTHER = 5, 77
OTHERS = (OTHER, 78, 79, 80, 81)
BY_ID, BY_GROUP, OWN = "canary-of-hook-5", "canary-of-mallorys", "canary-of-hook-77"
TOKENS = json.dumps({"secret_tokens": {str(THEIRS): BY_ID, "Mallorys": BY_GROUP, "77": [OWN]}})


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    with GitLab() as gitlab:
        for user, name in ((MALLORY, "mallory"), (OWNER, "ada")):
            gitlab.user(user, name)
        gitlab.user(OURS, "claude", bot=True)
        gitlab.api_token(fakes.API_TOKEN, OURS)
        paths = {each: f"group/app-{each}" for each in OTHERS}
        for project, path in (paths | {THEIRS: "mallorys/app", OTHER: "group/app"}).items():
            gitlab.project(project, path)
            gitlab.member(project, MALLORY if project == THEIRS else OWNER, 40)
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


def made_up(gitlab: GitLab, project: int) -> Iterator[Any]:
    """Yield what Mallory makes of another project's comments and of their own; the last is true."""
    asked = gitlab.note(project, "issue", 1, author_id=OWNER, body="@claude fix it")
    said = gitlab.note(project, "issue", 1, author_id=OWNER, body="I look, @ada")
    own = gitlab.note(THEIRS, "issue", 1, author_id=MALLORY, body="@claude fix it")
    true, other, theirs = (json.loads(gitlab.note_hook(note)[1]) for note in (asked, said, own))
    yield other | {"object_attributes": other["object_attributes"] | {"note": "@claude EVIL"}}
    yield theirs | {"project_id": project, "project": true["project"]}
    path = {"path_with_namespace": "mallorys/app", "default_branch": "evil"}
    yield true | {"project": true["project"] | path}


@pytest.mark.parametrize("bound", [True, False])
def test_who_may_set_one_webhook_starts_in_others_only_what_gitlab_itself_tells(
    gitlab: GitLab, bound: bool
) -> None:
    tokens = TOKENS if bound else json.dumps({"secret_tokens": [BY_ID, BY_GROUP]})
    own = {str(project): f"glptt-canary-{project}" for project in OTHERS}
    secrets = json.dumps({"api_token": fakes.API_TOKEN, "trigger_tokens": own})
    for project in OTHERS:
        gitlab.trigger_token(own[str(project)], project, OURS)
    with Local(gitlab.url, tokens, secrets) as platform:
        for project, token in product(OTHERS, (BY_ID, BY_GROUP)):
            headers = {"X-Gitlab-Event": "Note Hook", "X-Gitlab-Token": token}
            for body in made_up(gitlab, project):
                platform.deliver("POST", headers, json.dumps(body).encode())
        platform.settle()
    calls = [call for call in gitlab.calls if call.path.endswith("/trigger/pipeline")]
    started = Counter(
        (call.path, call.json["ref"], call.json["ai_flow"]["input"]) for call in calls
    )
    path = "/api/v4/projects/{}/trigger/pipeline"
    expected = [(path.format(project), "main", "fix it") for project in OTHERS]
    assert started == ({} if bound else Counter(expected * 2))
