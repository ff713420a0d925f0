"""What GitLab tells us, over python-gitlab against the stand-in; every call is checked against GitLab's OpenAPI file."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from gitlab import Gitlab

from functions.gitlab import client, reading
from functions.gitlab.thread import GitLab
from shared.contract.ai_flow import MERGE_REQUEST
from shared.gitlab.values import Diff, GitLabError, Job, Note, Progress, Project, Target
from shared.incoming.event import Branches, Event
from shared.installation.secrets import Secret
from tests.functions.gitlab.test_client import BODY, installed, secrets
from tests.support.fakes import API_TOKEN, NOTE, TRIGGER_TOKEN
from tests.support.gitlab import diffs
from tests.support.gitlab.server import Fault
from tests.support.gitlab.server import GitLab as StandIn

HERE = NOTE._replace(kind=MERGE_REQUEST, iid=3)
PROJECT = Project(7, "group/app", "main", public=False)


@pytest.fixture
def server() -> Iterator[StandIn]:
    with installed() as server:
        yield server


@pytest.fixture
def gitlab(server: StandIn) -> GitLab:
    return GitLab(server.url, secrets(API_TOKEN))


def test_a_pipeline_is_found_again_by_its_run_id(server: StandIn, gitlab: GitLab) -> None:
    before = server.clock() - 100
    for run_id in ("aaaa", "bbbb"):
        gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY | {"ai_flow": {"id": run_id}})
    gitlab.trigger(
        7,
        Secret(TRIGGER_TOKEN),
        BODY | {"ai_flow": {"id": "dddd", "input": '{"ai_flow": {"id": "bbbb"}}'}},
    )
    found = gitlab.find_pipeline(7, "bbbb", before)
    assert found
    assert found.id == sorted(server.pipelines)[1]
    assert gitlab.find_pipeline(7, "cccc", before) is None
    assert gitlab.find_pipeline(7, "bbbb", server.clock() + 200) is None


def test_many_pipelines_are_read_page_by_page(
    server: StandIn, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE", 2)
    for run_id in ("aaaa", "bbbb", "cccc", "dddd"):
        gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY | {"ai_flow": {"id": run_id}})
    found = gitlab.find_pipeline(7, "aaaa", server.clock() - 100)
    assert found
    assert found.id == min(server.pipelines)
    assert gitlab.find_pipeline(7, "eeee", server.clock() - 100) is None
    assert {
        call.query["per_page"] for call in server.calls if call.path.endswith("/pipelines")
    } == {"2"}


def started(gitlab: GitLab) -> int:
    """Return the id of a pipeline with the stand-in's one job."""
    return gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY).id


def test_a_pipeline_is_followed_to_its_end(server: StandIn, gitlab: GitLab) -> None:
    number = started(gitlab)
    [job] = server.pipelines[number]["jobs"]
    job_url = f"{server.url}/group/app/-/jobs/{job['id']}"
    for status in ("pending", "running"):
        server.set_pipeline(number, status)
        progress = gitlab.progress(7, number)
        assert progress
        assert (progress.status, progress.over, progress.failed) == (status, False, None)
        assert progress.jobs == (Job(job["id"], status, "", job_url),)
        assert abs(progress.created_at - server.clock()) < 60
    server.set_pipeline(number, "failed", failure_reason="job_execution_timeout")
    server.pipelines[number].update(started_at=1000.0, finished_at=1061.0)
    failed = Job(job["id"], "failed", "job_execution_timeout", job_url)
    progress = gitlab.progress(7, number)
    assert progress
    assert progress == Progress("failed", 61, progress.created_at, (failed,))
    assert (progress.over, progress.failed) == (True, failed)


def test_a_job_that_may_fail_is_not_what_a_pipeline_failed_of(
    server: StandIn, gitlab: GitLab
) -> None:
    number = started(gitlab)
    may_fail = server.job(number, "lint", allow_failure=True)["id"]
    progress = gitlab.progress(7, number)
    assert progress
    assert may_fail in [job.id for job in progress.jobs]
    server.set_pipeline(number, "failed", failure_reason="script_failure")
    progress = gitlab.progress(7, number)
    assert progress
    assert [job.id for job in progress.jobs] == [server.pipelines[number]["jobs"][0]["id"]]


def test_a_pipeline_that_is_gone_is_told_from_a_gitlab_that_is(
    server: StandIn, gitlab: GitLab
) -> None:
    assert gitlab.progress(7, 4711) is None
    number = started(gitlab)
    for path in ("pipelines/*/jobs", "pipelines/*"):
        server.fault(f"GET /api/v4/projects/7/{path}", Fault.status(502))
        with pytest.raises(GitLabError) as error:
            gitlab.progress(7, number)
        assert (error.value.status, error.value.unsure) == (502, False)


def test_a_pipeline_is_cancelled_and_one_that_has_ended_stays_as_it_is(
    server: StandIn, gitlab: GitLab
) -> None:
    number = started(gitlab)
    for _ in range(2):
        gitlab.cancel(7, number)
    assert server.pipelines[number]["status"] == "canceled"
    done = started(gitlab)
    server.set_pipeline(done, "success")
    gitlab.cancel(7, done)
    assert server.pipelines[done]["status"] == "success"


def test_a_token_that_may_not_cancel_is_told_403(server: StandIn, gitlab: GitLab) -> None:
    number = started(gitlab)
    server.member(7, 99, 30)  # the default branch is protected
    with pytest.raises(GitLabError) as error:
        gitlab.cancel(7, number)
    assert error.value.status == 403


def test_an_issue_is_told_as_it_is(server: StandIn, gitlab: GitLab) -> None:
    server.issue(
        7,
        6,
        title="It breaks",
        description="Since Monday.",
        state="closed",
        labels=["bug", "p1"],
        author_id=42,
    )
    found = gitlab.target(NOTE._replace(iid=6))
    assert found == Target("It breaks", "Since Monday.", "closed", ("bug", "p1"), (42, "ada"), None)
    with pytest.raises(GitLabError) as error:
        gitlab.target(NOTE._replace(iid=4711))
    assert error.value.status == 404


@pytest.mark.parametrize("source", [7, 8])
def test_a_merge_request_is_told_with_its_branches(
    server: StandIn, gitlab: GitLab, source: int
) -> None:
    server.merge_request(
        7,
        3,
        source_branch="feature",
        source_project_id=source,
        sha="a" * 40,
        title="Draft: it",
        author_id=42,
    )
    found = gitlab.target(HERE)
    assert found == Target(
        "Draft: it", "", "opened", (), (42, "ada"), Branches("feature", "main", source, "a" * 40)
    )


def test_comments_come_newest_first_and_gitlab_s_own_notes_not_at_all(
    server: StandIn, gitlab: GitLab
) -> None:
    texts = [
        server.note(7, "issue", 5, author_id=42, body=f"number {number}") for number in range(3)
    ]
    server.note(7, "issue", 5, author_id=42, body="changed the title", system=True)
    secret = server.note(7, "issue", 5, author_id=99, body="among us", internal=True)
    found = list(gitlab.notes(NOTE))
    assert [note.body for note in found] == ["among us", "number 2", "number 1", "number 0"]
    assert [note.internal for note in found] == [True, False, False, False]
    last = found[-1]
    assert last == Note(
        texts[0]["id"],
        (42, "ada"),
        last.created_at,
        last.updated_at,
        internal=False,
        body="number 0",
    )
    assert abs(last.created_at - texts[0]["created_at"]) < 0.01
    assert found[0].id == secret["id"]
    server.notes[texts[0]["id"]]["updated_at"] += 5
    assert 4.9 < list(gitlab.notes(NOTE))[-1].updated_at - last.updated_at < 5.1


def test_notes_and_diffs_are_read_as_far_as_somebody_wants_them(
    server: StandIn, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE", 2)
    monkeypatch.setattr(reading, "_FEW", 2)
    server.merge_request(7, 3, source_branch="feature", diffs=diffs.many(5))
    for number in range(5):
        server.note(7, "merge_request", 3, author_id=42, body=f"number {number}")
    for read in (gitlab.notes, gitlab.diffs):
        server.calls.clear()
        first = next(iter(read(HERE)))
        assert first
        assert len(server.calls) == 1
        assert len(list(read(HERE))) == 5
        assert len(server.calls) == 4


def test_the_notes_of_a_discussion_are_known_by_id(server: StandIn, gitlab: GitLab) -> None:
    first = server.note(7, "issue", 5, author_id=42, body="why?")
    server.note(7, "issue", 5, author_id=42, body="elsewhere")
    second = server.note(
        7, "issue", 5, author_id=99, body="because", discussion_id=first["discussion_id"]
    )
    assert gitlab.discussion(NOTE._replace(discussion_id=first["discussion_id"])) == [
        first["id"],
        second["id"],
    ]
    with pytest.raises(GitLabError) as error:
        gitlab.discussion(NOTE)
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
    for module in (client, reading):
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


def test_changed_files_say_what_became_of_them(server: StandIn, gitlab: GitLab) -> None:
    changes = [
        diffs.file("app.py", lines=2),
        diffs.file("new.py", new_file=True),
        diffs.file("old.py", deleted_file=True),
        diffs.file("b.py", was="a.py"),
        diffs.file("huge.py", too_large=True),
    ]
    server.merge_request(7, 3, source_branch="feature", diffs=changes)
    found = list(gitlab.diffs(HERE))
    assert [(each.old_path, each.new_path, each.change) for each in found] == [
        ("app.py", "app.py", "modified"),
        ("new.py", "new.py", "added"),
        ("old.py", "old.py", "deleted"),
        ("a.py", "b.py", "renamed"),
        ("huge.py", "huge.py", "modified"),
    ]
    assert found[0] == Diff("app.py", "app.py", "modified", changes[0]["diff"])
    assert found[-1].diff == ""


@pytest.mark.parametrize("read", ["target", "notes", "discussion", "roles", "diffs"])
def test_what_the_context_reads_has_a_short_limit(
    server: StandIn, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    seen: list[object] = []
    send = Gitlab.http_request

    def limited(self: Gitlab, *args: Any, **options: Any) -> object:
        seen.append(options.get("timeout"))
        return send(self, *args, **options)

    monkeypatch.setattr(Gitlab, "http_request", limited)
    server.merge_request(7, 3, source_branch="feature")
    note = server.note(7, "merge_request", 3, author_id=42, body="@claude")
    here = HERE._replace(discussion_id=note["discussion_id"])
    call = getattr(gitlab, read)
    found = call(7, [42]) if read == "roles" else call(here)
    assert found is not None
    list(found)
    assert seen == [reading._BRIEFLY]


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
    assert not first.edited
    assert abs(first.created_at - server.clock()) < 60
    assert first.event.at == first.created_at
    assert isinstance(first.event, Event)


def test_an_answer_larger_than_a_function_can_hold_is_no_answer(
    server: StandIn, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_LARGEST", 20_000)
    server.issue(7, 8, description="x" * 10_000)
    here = NOTE._replace(iid=8)
    assert len(gitlab.target(here).description) == 10_000
    server.issue(7, 9, description="x" * 20_000)
    with pytest.raises(GitLabError) as error:
        gitlab.target(NOTE._replace(iid=9))
    assert (error.value.status, error.value.unsure) == (0, False)
