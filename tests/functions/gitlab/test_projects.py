"""What a sweep looks at, as GitLab tells it."""

import json

import pytest

from functions.gitlab import GitLab
from shared.contract.ai_flow import MERGE_REQUEST
from shared.gitlab.values import GitLabError, Hook, Project
from shared.incoming.event import Event
from tests.support.gitlab.server import Fault
from tests.support.gitlab.server import GitLab as StandIn

PROJECT = Project(7, "group/app", "main", public=False)


def test_a_sweep_sees_comments_on_issues_and_merge_requests(
    server: StandIn, gitlab: GitLab
) -> None:
    sha = "c" * 40
    server.merge_request(7, 3, source_branch="feature")
    server.snippet(7, 6)
    server.known_commit(7, sha)
    server.note(
        7, "commit", sha, author_id=42, body="@claude on a commit"
    )  # GitLab does not tell which
    server.note(7, "snippet", 6, author_id=42, body="@claude on a snippet")
    server.note(7, "issue", 5, author_id=42, body="said by GitLab", system=True)
    position = {"new_path": "app.py", "new_line": 3, "head_sha": sha, "position_type": "text"}
    for kind, iid, more in (
        ("issue", 5, {"internal": True}),
        ("merge_request", 3, {"position": position}),
    ):
        server.note(7, kind, iid, author_id=42, body=f"@claude in {kind}", **more)
    first, second = gitlab.comments(PROJECT, server.clock() - 60)
    assert (first.event.kind, first.event.iid, first.event.internal) == ("issue", 5, True)
    assert first.event.texts == ("@claude in issue",)
    assert (second.event.kind, second.event.iid, second.event.internal) == (MERGE_REQUEST, 3, False)
    assert second.event.position == {"new_path": "app.py", "new_line": 3, "head_sha": sha}
    assert abs(first.created_at - server.clock()) < 60
    assert first.event.at == first.created_at
    assert isinstance(first.event, Event)


def test_comments_are_told_oldest_first_from_a_time_on_however_many_there_are(
    server: StandIn, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 86_400.0 * 20_000 + 3600
    monkeypatch.setattr(server, "clock", lambda: now)
    for number in range(450):
        now += 10
        server.note(7, "issue", 5, author_id=42, body=f"number {number}")
    said = [each.event.texts[0] for each in gitlab.comments(PROJECT, now - 995)]
    assert said == [f"number {number}" for number in range(350, 450)]
    assert len(server.calls) == 2  # the hundred and one more
    said = [each.event.texts[0] for each in gitlab.comments(PROJECT, now - 4000)]
    assert said == [f"number {number}" for number in range(450)]


def test_a_comment_that_became_a_thread_is_told_as_any_other(
    server: StandIn, gitlab: GitLab
) -> None:
    note = server.note(7, "issue", 5, author_id=42, body="@claude fix it")
    server.notes[note["id"]]["updated_at"] += 60
    [told] = gitlab.comments(PROJECT, server.clock() - 60)
    assert told.created_at == pytest.approx(note["created_at"], abs=0.01)


def test_one_call_tells_which_of_our_projects_are_active(
    server: StandIn, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = server.clock()
    monkeypatch.setattr(server, "clock", lambda: now)
    for number in (8, 9, 10):
        server.project(number, f"group/{number}", visibility="public")
        server.issue(number, 1)
        if number != 10:
            server.member(number, 99, 30)
    now += 7200
    for number in (8, 10):
        server.note(number, "issue", 1, author_id=42, body="hello")
    assert dict(gitlab.active_projects(now - 3600)) == {8: pytest.approx(now, abs=1)}
    known = gitlab.project("8")
    assert known
    assert (known.path, known.public, known.listed) == ("group/8", True, True)
    assert len(server.calls) == 1
    stranger = gitlab.project("10")
    assert stranger
    assert not stranger.listed


def test_a_project_is_found_by_its_id_and_its_path(server: StandIn, gitlab: GitLab) -> None:
    for name in ("7", "group/app"):
        assert gitlab.project(name) == PROJECT
    for name in ("8", "group/other"):
        assert gitlab.project(name) is None
    server.project(8, "group/open", visibility="internal")
    server.member(8, 99, 30)
    assert gitlab.project("8") == Project(8, "group/open", "main", public=True)


@pytest.mark.parametrize(
    "said", [{"empty_repo": True, "default_branch": "main"}, {"default_branch": None}]
)
def test_an_empty_repository_has_no_branch(
    server: StandIn, gitlab: GitLab, said: dict[str, object]
) -> None:
    told = {"id": 7, "path_with_namespace": "group/app", "visibility": "private", **said}
    answer = (200, (("Content-Type", "application/json"),), json.dumps(told).encode())
    server.fault("GET /api/v4/projects/7", Fault("empty", acts=False, answer=answer))
    assert gitlab.project("7") == PROJECT._replace(default_branch="")


def test_a_project_is_asked_for_once_in_five_minutes_unless_it_is_not_there(
    server: StandIn, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("functions.gitlab.projects.time.monotonic", lambda: now)
    for after, calls in ((0, 1), (299, 1), (301, 2), (600, 2), (602, 3)):
        now = 1000.0 + after
        assert gitlab.project("7") == PROJECT
        assert len(server.calls) == calls
    server.calls.clear()
    assert gitlab.project("8") is None
    server.project(8, "group/new")
    server.member(8, 99, 40)
    assert gitlab.project("8") == Project(8, "group/new", "main", public=False)
    assert len(server.calls) == 2


def test_webhooks_count_that_may_bring_a_request(server: StandIn, gitlab: GitLab) -> None:
    asking = server.hook(7, "https://trigger.example/", note_events=True)
    off = server.hook(7, "https://old.example/", issues_events=True, alert_status="disabled")
    server.hook(7, "https://chat.example/", push_events=True)
    assert gitlab.hooks(7) == [Hook(asking["id"], disabled=False), Hook(off["id"], disabled=True)]
    server.member(7, 99, 30)  # no Maintainer
    with pytest.raises(GitLabError) as error:
        gitlab.hooks(7)
    assert error.value.status == 403


def test_deliveries_that_failed_since_are_read_newest_first(
    server: StandIn, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = server.clock()
    monkeypatch.setattr(server, "clock", lambda: now)
    hook = server.hook(7, "http://127.0.0.1:1/", note_events=True)  # where nobody listens
    for number in range(25):  # more than a page
        now += 60
        note = server.note(7, "issue", 5, author_id=42, body=f"number {number}")
        server.deliver(hook["id"], server.note_hook(note))
    server.hook_events[max(server.hook_events)]["response_status"] = "200"
    found = [json.loads(body) for body in gitlab.failed_deliveries(7, hook["id"], now - 21.5 * 60)]
    assert [body["object_attributes"]["note"] for body in found] == [
        f"number {number}" for number in range(23, 2, -1)
    ]
