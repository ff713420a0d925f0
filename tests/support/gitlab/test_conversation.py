"""What the stand-in promises of conversations: members, edits, diffs, hooks that fire, limits."""

import ast
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.fakes import Clock
from tests.support.gitlab import contract, diffs, vintages
from tests.support.gitlab.server import Delivery, GitLab, Record, Tally
from tests.support.gitlab.test_standin import (
    ALICE,
    BOB,
    BOT,
    FORBIDDEN,
    GUEST,
    STRANGER,
    WHSEC,
    api,
    bodies,
    comment,
    populate,
    project,
    signature,
    trigger,
    wire,
)

SHA = "c" * 40
THREAD = f"repository/commits/{SHA}/discussions"
NOT_REPLYABLE = (400, {"message": "400 Bad request - Discussion can not be replied to."})


@pytest.fixture
def clock() -> Clock:
    return Clock(1_780_000_000.0)  # 28 May 2026, 20:26:40 UTC


@pytest.fixture
def gl(clock: Clock) -> Iterator[GitLab]:
    """A project with one thing of each kind and people; all calls keep to GitLab's API file."""
    with GitLab(clock=clock) as gl:
        populate(gl)
        gl.issue(7, 5, title="A bug", labels=["bug"])
        gl.merge_request(7, 9, source_branch="fix", title="Draft: a fix")
        gl.known_commit(7, SHA, title="Add it")
        gl.snippet(7, 3, title="A snippet", content="puts 1", author_id=ALICE)
        yield gl
        assert not gl.unknown_calls
        assert [problem for call in gl.calls for problem in contract.check(call)] == []


def payload(delivery: Delivery) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(delivery[1])
    return found


def names(people: list[dict[str, Any]]) -> list[str]:
    return [person["username"] for person in people]


# --- members --------------------------------------------------------------------------------------


def test_members_are_listed_in_pages_as_one_is_shown(gl: GitLab) -> None:
    assert [each.id for each in project(gl).members_all.list(iterator=True, per_page=3)] == [
        ALICE,
        BOB,
        BOT,
        GUEST,
    ]
    status, headers, body = wire(gl, "GET members/all?per_page=3&page=2")
    assert (status, headers["x-total"], names(body)) == (200, "4", ["guest"])
    assert body[0] == api(gl, f"GET members/all/{GUEST}")[1]


def test_members_are_found_by_ids_by_name_and_by_state(gl: GitLab) -> None:
    gl.member(7, ALICE, 30, state="awaiting")
    members = project(gl).members_all
    wanted = [ALICE, STRANGER, GUEST]
    assert [
        each.id for each in members.list(query_parameters={"user_ids[]": wanted}, get_all=True)
    ] == [ALICE, GUEST]
    # python-gitlab writes `user_ids=1&user_ids=6&user_ids=4`, of which Rails keeps the last
    assert [each.id for each in members.list(user_ids=wanted, get_all=True)] == [GUEST]
    assert names(api(gl, "GET members/all?user_ids=1,2")[1]) == ["alice", "bob"]
    assert names(api(gl, "GET members/all?query=CLAUDE")[1]) == ["claude_bot"]
    assert names(api(gl, "GET members/all?state=awaiting")[1]) == ["alice"]
    assert api(gl, "GET members/all?user_ids=x") == (400, {"error": "user_ids is invalid"})
    assert api(gl, "GET members/all", user=STRANGER) == (404, {"message": "404 Project Not Found"})


# --- issues and merge requests --------------------------------------------------------------------


def test_an_edit_shows_in_the_issue(gl: GitLab, clock: Clock) -> None:
    clock.time += 60
    edit = gl.edit_issue(
        7,
        5,
        user_id=BOB,
        title="The bug",
        description="It bites",
        labels=["a", "b"],
        assignees=[BOT],
        state="closed",
    )
    issue = project(gl).issues.get(5)
    assert (issue.title, issue.description, issue.labels, issue.state) == (
        "The bug",
        "It bites",
        ["a", "b"],
        "closed",
    )
    assert (names(issue.assignees), issue.author["username"], issue.confidential) == (
        ["claude_bot"],
        "alice",
        False,
    )
    assert (issue.updated_at, issue.closed_at) == ("2026-05-28T20:27:40.000Z",) * 2
    assert (edit["user_id"], edit["action"], edit["changes"]["title"]) == (
        BOB,
        "close",
        ("A bug", "The bug"),
    )
    assert gl.edit_issue(7, 5, user_id=BOB, state="opened")["action"] == "reopen"
    assert project(gl).issues.get(5).closed_at is None
    edits: list[Record] = list(gl.issues[7, 5]["edits"])
    assert gl.edit_issue(7, 5, user_id=ALICE, title="The bug")["changes"] == {}
    assert gl.issues[7, 5]["edits"] == edits


def test_an_edit_shows_in_the_merge_request(gl: GitLab) -> None:
    assert project(gl).mergerequests.get(9).draft is True
    gl.edit_merge_request(
        7, 9, user_id=ALICE, title="A fix", reviewers=[BOT, BOB], assignees=[ALICE], state="merged"
    )
    found = project(gl).mergerequests.get(9)
    assert (found.draft, found.state, found.merge_user["username"]) == (False, "merged", "alice")
    assert (names(found.reviewers), names(found.assignees)) == (["claude_bot", "bob"], ["alice"])
    assert (found.source_project_id, found.target_project_id, found.target_branch) == (7, 7, "main")


def test_an_edit_of_what_is_not_there_is_a_mistake(gl: GitLab) -> None:
    with pytest.raises(TypeError, match="reviewers"):
        gl.edit_issue(7, 5, user_id=ALICE, reviewers=[BOT])
    with pytest.raises(KeyError, match="no user 99"):
        gl.edit_merge_request(7, 9, user_id=ALICE, reviewers=[99])
    with pytest.raises(ValueError, match="no reviewer"):
        gl.request_review(7, 9, BOT, user_id=ALICE)


def test_a_work_item_has_its_type_and_its_own_page(gl: GitLab) -> None:
    gl.issue(7, 6, issue_type="task")
    task = project(gl).issues.get(6)
    assert (task.issue_type, task.type, task.web_url) == (
        "task",
        "TASK",
        f"{gl.url}/group/app/-/work_items/6",
    )


# --- diffs ----------------------------------------------------------------------------------------


def test_three_thousand_files_come_page_by_page(gl: GitLab) -> None:
    gl.diff_max_files = 3000
    gl.merge_request(7, 10, source_branch="big", diffs=diffs.many(3000, lines=2))
    assert project(gl).mergerequests.get(10).changes_count == "3000"
    status, headers, body = wire(gl, "GET merge_requests/10/diffs?per_page=100&page=30")
    assert (status, headers["x-total"], headers["x-next-page"]) == (200, "3000", "")
    assert (len(body), body[-1]["new_path"]) == (100, "src/2999.py")
    assert body[-1]["diff"].startswith("@@ -1,2 +1,2 @@\n-old line 1 of src/2999.py\n")


def test_files_beyond_the_limit_are_not_there(gl: GitLab) -> None:
    gl.merge_request(7, 10, source_branch="big", diffs=diffs.many(1001))
    assert project(gl).mergerequests.get(10).changes_count == "1000+"
    assert wire(gl, "GET merge_requests/10/diffs")[1]["x-total"] == "1000"
    assert project(gl).mergerequests.get(9).changes_count == "0"


def test_a_diff_says_what_happened_to_the_file(gl: GitLab) -> None:
    files = [
        diffs.file("new.py", new_file=True),
        diffs.file("gone.py", deleted_file=True),
        diffs.file("b.py", was="a.py"),
        diffs.file("lock.json", generated_file=True, collapsed=True),
        diffs.file("huge.txt", too_large=True),
        diffs.file("long.txt", lines=10_000),
    ]
    gl.push(7, 9, "d" * 40, user_id=ALICE, diffs=files)
    new, gone, renamed, generated, huge, long = api(gl, "GET merge_requests/9/diffs?unidiff=true")[
        1
    ]
    assert new["diff"] == "--- /dev/null\n+++ b/new.py\n@@ -0,0 +1,1 @@\n+new line 1 of new.py\n"
    assert (gone["deleted_file"], gone["b_mode"], "+++ /dev/null" in gone["diff"]) == (
        True,
        "0",
        True,
    )
    assert (renamed["renamed_file"], renamed["old_path"], renamed["new_path"]) == (
        True,
        "a.py",
        "b.py",
    )
    assert (generated["generated_file"], generated["collapsed"], generated["diff"]) == (
        True,
        True,
        "",
    )
    assert [(each["too_large"], each["diff"]) for each in (huge, long)] == [(True, "")] * 2
    assert project(gl).mergerequests.get(9).sha == gl.projects[7].branches["fix"] == "d" * 40


# --- comments on commits and snippets -------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "iid", "path"), [("commit", SHA, THREAD), ("snippet", 3, "snippets/3/discussions")]
)
def test_a_thread_on_a_commit_or_snippet_is_read_answered_and_edited(
    gl: GitLab, kind: str, iid: Any, path: str
) -> None:
    first = comment(gl, "one", kind=kind, iid=iid, thread=True)
    thread = f"{path}/{first['discussion_id']}"
    status, note = api(gl, f"POST {thread}/notes", {"body": "two"})
    assert (status, note["type"], "noteable_iid" in note) == (201, "DiscussionNote", False)
    assert (note["noteable_type"], note["noteable_id"]) == (
        ("Commit", None) if kind == "commit" else ("Snippet", 3)
    )
    assert bodies(api(gl, f"GET {thread}")[1]["notes"]) == ["one", "two"]
    assert api(gl, f"PUT {thread}/notes/{note['id']}", {"body": "2"})[1]["body"] == "2"
    assert bodies(api(gl, f"GET {thread}/notes")[1]) == ["one", "2"]
    assert api(gl, f"GET {thread}/notes/{note['id']}")[1]["body"] == "2"
    assert api(gl, f"PUT {thread}/notes/{first['id']}", {"body": "mine"}, user=GUEST)[0] in (
        403,
        404,
    )
    assert api(gl, f"DELETE {thread}/notes/{note['id']}")[0] == 204
    assert len(api(gl, f"GET {path}")[1]) == 1


@pytest.mark.parametrize(
    ("kind", "iid", "path"), [("commit", SHA, THREAD), ("snippet", 3, "snippets/3/discussions")]
)
def test_a_single_note_there_takes_no_reply_but_a_new_thread_beside_it(
    gl: GitLab, kind: str, iid: Any, path: str
) -> None:
    single = comment(gl, kind=kind, iid=iid)
    assert api(gl, f"POST {path}/{single['discussion_id']}/notes", {"body": "x"}) == NOT_REPLYABLE
    status, thread = api(gl, f"POST {path}", {"body": "x"})
    assert (status, thread["individual_note"]) == (201, False)
    assert api(gl, f"POST {path}/{thread['id']}/notes", {"body": "y"})[0] == 201


def test_commits_are_found_by_head_and_only_where_they_are(gl: GitLab) -> None:
    for revision in ("main", gl.projects[7].branches["main"], gl.merge_requests[7, 9]["sha"]):
        assert api(gl, f"GET repository/commits/{revision}/discussions") == (200, [])
    missing = (404, {"message": "404 Commit Not Found"})
    assert api(gl, f"GET repository/commits/{'e' * 40}/discussions") == missing
    assert api(gl, f"GET {THREAD}", user=GUEST) == missing
    assert api(gl, "GET snippets/4/discussions") == (404, {"message": "404 Snippet Not Found"})


def test_notes_on_snippets_take_emoji_and_notes_on_commits_have_no_such_endpoint(
    gl: GitLab,
) -> None:
    note = comment(gl, kind="snippet", iid=3)
    assert api(gl, f"POST snippets/3/notes/{note['id']}/award_emoji", {"name": "eyes"})[0] == 201
    note = comment(gl, kind="commit", iid=SHA)
    for path in (
        f"notes/{note['id']}/award_emoji",
        f"discussions/x/notes/{note['id']}/award_emoji",
    ):
        line = f"repository/commits/{SHA}/{path}"
        assert api(gl, f"POST {line}", {"name": "eyes"}) == (404, {"error": "404 Not Found"})
        assert not contract.knows("POST", f"/api/v4/projects/7/{line}")
    gl.unknown_calls.clear()
    gl.calls.clear()


def test_a_snippet_has_no_quick_actions(gl: GitLab) -> None:
    assert api(gl, "POST snippets/3/notes", {"body": "/close"})[1]["body"] == "/close"
    assert not gl.quick_actions_executed


def test_hooks_of_commit_and_snippet_notes_have_a_block_of_their_own(gl: GitLab) -> None:
    on_commit = payload(gl.note_hook(comment(gl, kind="commit", iid=SHA, note_id=4242)))
    attributes = on_commit["object_attributes"]
    assert (attributes["noteable_type"], attributes["noteable_id"], attributes["commit_id"]) == (
        "Commit",
        None,
        SHA,
    )
    assert attributes["url"] == f"{gl.url}/group/app/-/commit/{SHA}#note_4242"
    assert on_commit["commit"].keys() == {"id", "message", "title", "timestamp", "url", "author"}
    assert (on_commit["commit"]["id"], on_commit["commit"]["title"]) == (SHA, "Add it")
    on_snippet = payload(gl.note_hook(comment(gl, kind="snippet", iid=3)))
    assert (on_snippet["snippet"]["id"], on_snippet["snippet"]["content"]) == (3, "puts 1")
    assert not {"issue", "merge_request", "commit"} & on_snippet.keys()


@pytest.mark.parametrize("path", ["issues/5", "merge_requests/9", "snippets/3"])
def test_only_the_owner_takes_an_emoji_back(gl: GitLab, path: str) -> None:
    award = api(gl, f"POST {path}/award_emoji", {"name": "eyes"}, user=ALICE)[1]["id"]
    assert [each["id"] for each in api(gl, f"GET {path}/award_emoji")[1]] == [award]
    assert api(gl, f"DELETE {path}/award_emoji/{award}") == (401, {"message": "401 Unauthorized"})
    assert api(gl, f"DELETE {path}/award_emoji/{award}", user=ALICE)[0] == 204
    assert api(gl, f"DELETE {path}/award_emoji/{award}", user=ALICE)[0] == 404


# --- pipelines ------------------------------------------------------------------------------------


def test_a_pipeline_waits_runs_and_ends(gl: GitLab, clock: Clock) -> None:
    number = trigger(gl)[1]["id"]
    for status, seconds in (("waiting_for_resource", 10), ("pending", 20), ("running", 30)):
        gl.set_pipeline(number, status)
        pipeline = project(gl).pipelines.get(number)
        assert (pipeline.status, pipeline.duration) == (status, None)
        clock.time += seconds
    assert (pipeline.queued_duration, pipeline.started_at) == (30, "2026-05-28T20:27:10.000Z")
    (job,) = pipeline.jobs.list(get_all=True)
    assert (job.duration, job.queued_duration, job.failure_reason) == (30, 20, None)
    gl.set_pipeline(number, "failed", failure_reason="job_execution_timeout")
    clock.time += 5
    pipeline = project(gl).pipelines.get(number)
    assert (pipeline.duration, pipeline.finished_at) == (30, "2026-05-28T20:27:40.000Z")
    (job,) = pipeline.jobs.list(get_all=True)
    assert (job.duration, job.failure_reason, job.allow_failure) == (
        30,
        "job_execution_timeout",
        False,
    )
    assert (job.stage, job.web_url) == ("test", f"{gl.url}/group/app/-/jobs/{job.id}")


def test_what_never_ran_has_no_duration(gl: GitLab) -> None:
    number = trigger(gl)[1]["id"]
    gl.set_pipeline(number, "canceled")
    pipeline = project(gl).pipelines.get(number)
    assert (pipeline.started_at, pipeline.duration, pipeline.queued_duration) == (None, None, None)
    with pytest.raises(ValueError, match="cancelled"):
        gl.set_pipeline(number, "cancelled")


def test_jobs_may_fare_otherwise_than_their_pipeline(gl: GitLab) -> None:
    number = trigger(gl)[1]["id"]
    lint = gl.job(number, "lint", allow_failure=True)
    gl.set_pipeline(
        number, "running", job_status={"claude": "pending", "lint": "failed"}, failure_reason="x"
    )
    gl.set_pipeline(number, "success")
    jobs = {each["name"]: each for each in api(gl, f"GET pipelines/{number}/jobs")[1]}
    assert {name: each["status"] for name, each in jobs.items()} == {
        "claude": "success",
        "lint": "failed",
    }
    assert (jobs["lint"]["failure_reason"], jobs["lint"]["allow_failure"]) == ("x", True)
    gl.set_job(lint["id"], "success")
    assert gl.jobs[lint["id"]]["failure_reason"] is None


def test_canceling_on_a_protected_ref_is_for_those_who_may_push_there(gl: GitLab) -> None:
    on_main, on_fix = trigger(gl)[1]["id"], trigger(gl, ref="fix")[1]["id"]
    assert api(gl, f"POST pipelines/{on_main}/cancel", user=ALICE) == FORBIDDEN
    assert api(gl, f"POST pipelines/{on_fix}/cancel", user=GUEST) == FORBIDDEN
    assert api(gl, f"POST pipelines/{on_fix}/cancel", user=ALICE)[1]["status"] == "canceled"
    gl.projects[7].protected["main"] = 30
    assert api(gl, f"POST pipelines/{on_main}/cancel", user=ALICE)[1]["status"] == "canceled"


def test_a_running_job_may_take_its_time_to_cancel(gl: GitLab) -> None:
    gl.cancels_gracefully = True
    number = trigger(gl)[1]["id"]
    gl.job(number, "later")
    gl.set_pipeline(number, "running", job_status={"claude": "running"})
    for _ in range(2):
        assert api(gl, f"POST pipelines/{number}/cancel")[1]["status"] == "canceling"
    assert [job["status"] for job in gl.pipelines[number]["jobs"]] == ["canceling", "canceled"]
    gl.set_pipeline(number, "canceled")
    assert api(gl, "GET pipelines?status=canceled")[1][0]["id"] == number


# --- what the deliveries say ----------------------------------------------------------------------


def test_an_issue_hook_tells_who_changed_what(gl: GitLab) -> None:
    gl.edit_issue(7, 5, user_id=BOB, title="The bug", labels=["bug", "claude"], assignees=[BOT])
    headers, _ = delivery = gl.issue_hook((7, 5))
    found = payload(delivery)
    assert headers["X-Gitlab-Event"] == "Issue Hook"
    assert (found["object_kind"], found["event_type"], found["user"]["id"]) == (
        "issue",
        "issue",
        BOB,
    )
    changes = found["changes"]
    assert changes["title"] == {"previous": "A bug", "current": "The bug"}
    assert (changes["assignees"]["previous"], names(changes["assignees"]["current"])) == (
        [],
        ["claude_bot"],
    )
    assert [
        [each["title"] for each in changes["labels"][when]] for when in ("previous", "current")
    ] == [
        ["bug"],
        ["bug", "claude"],
    ]
    assert changes["updated_by_id"] == {"previous": None, "current": BOB}
    assert (names(found["assignees"]), [each["title"] for each in found["labels"]]) == (
        ["claude_bot"],
        ["bug", "claude"],
    )
    attributes = found["object_attributes"]
    assert (attributes["action"], attributes["assignee_ids"], attributes["iid"]) == (
        "update",
        [BOT],
        5,
    )
    assert attributes["actioned_at"] == "2026-05-28T20:26:40.000Z"


def test_an_earlier_edit_can_be_told_again(gl: GitLab) -> None:
    first = gl.edit_issue(7, 5, user_id=BOB, state="closed")
    gl.edit_issue(7, 5, user_id=ALICE, description="x")
    found = payload(gl.issue_hook((7, 5), edit=first))
    assert (found["object_attributes"]["action"], found["user"]["id"]) == ("close", BOB)
    assert found["changes"]["state_id"] == {"previous": 1, "current": 2}


def test_a_new_issue_is_opened_by_its_author_with_its_assignees(gl: GitLab) -> None:
    found = payload(gl.issue_hook(gl.issue(7, 6, author_id=BOB, assignees=[BOT], title="New")))
    assert (found["object_attributes"]["action"], found["user"]["id"]) == ("open", BOB)
    assert names(found["assignees"]) == ["claude_bot"]
    assert found["changes"]["title"] == {"previous": None, "current": "New"}
    assert "assignees" not in found["changes"]
    assert "assignees" not in payload(gl.issue_hook(gl.issue(7, 7)))


@pytest.mark.parametrize(
    ("kind", "secret", "event", "object_kind", "event_type"),
    [
        ("issue", True, "Confidential Issue Hook", "issue", "confidential_issue"),
        ("task", False, "Issue Hook", "work_item", "work_item"),
        ("task", True, "Confidential Issue Hook", "work_item", "confidential_work_item"),
    ],
)
def test_work_items_and_confidential_issues_have_names_of_their_own(
    gl: GitLab, *, kind: str, secret: bool, event: str, object_kind: str, event_type: str
) -> None:
    gl.issue(7, 6, issue_type=kind, confidential=secret)
    headers, _ = delivery = gl.issue_hook((7, 6))
    found = payload(delivery)
    assert (headers["X-Gitlab-Event"], found["object_kind"], found["event_type"]) == (
        event,
        object_kind,
        event_type,
    )
    assert found["object_attributes"]["type"] == kind.title()


def test_a_merge_request_hook_tells_of_reviewers(gl: GitLab) -> None:
    gl.edit_merge_request(7, 9, user_id=ALICE, title="A fix", reviewers=[BOT])
    headers, _ = delivery = gl.merge_request_hook((7, 9))
    found = payload(delivery)
    assert (headers["X-Gitlab-Event"], found["object_kind"]) == (
        "Merge Request Hook",
        "merge_request",
    )
    person = {
        "id": BOT,
        "name": "Claude Bot",
        "username": "claude_bot",
        "avatar_url": None,
        "email": "[REDACTED]",
    }
    reviewer = person | {"state": "unreviewed", "re_requested": False}
    assert found["changes"]["reviewers"] == {"previous": [], "current": [reviewer]}
    assert found["changes"]["draft"] == {"previous": True, "current": False}
    assert (found["reviewers"], found["object_attributes"]["reviewer_ids"]) == ([reviewer], [BOT])
    assert (found["object_attributes"]["action"], "assignees" in found) == ("update", False)


def test_a_review_requested_again_comes_as_two_arrays_or_as_any_change(gl: GitLab) -> None:
    gl.edit_merge_request(7, 9, user_id=ALICE, reviewers=[BOT, BOB])
    gl.review(7, 9, user_id=BOT, state="approved")
    assert payload(gl.merge_request_hook((7, 9)))["object_attributes"]["action"] == "approved"
    edit = gl.request_review(7, 9, BOT, user_id=ALICE)
    documented = payload(gl.merge_request_hook((7, 9)))["changes"]["reviewers"]
    states = [
        [(each["id"], each["state"], each["re_requested"]) for each in half] for half in documented
    ]
    assert states == [
        [(BOT, "approved", False), (BOB, "unreviewed", False)],
        [(BOT, "unreviewed", True), (BOB, "unreviewed", False)],
    ]
    other = payload(gl.merge_request_hook((7, 9), edit=edit, arrays=False))
    assert list(other["changes"]["reviewers"].values()) == documented
    assert [each["re_requested"] for each in other["reviewers"]] == [True, False]
    with pytest.raises(ValueError, match=r"18\.5"):
        gl.merge_request_hook((7, 9), vintage="18.1")


def test_a_push_shows_the_old_commit(gl: GitLab) -> None:
    before = gl.merge_requests[7, 9]["sha"]
    gl.push(7, 9, "d" * 40, user_id=ALICE)
    attributes = payload(gl.merge_request_hook((7, 9)))["object_attributes"]
    assert (attributes["action"], attributes["oldrev"]) == ("update", before)
    assert attributes["last_commit"]["id"] == "d" * 40


def test_a_job_hook_names_its_pipeline_and_no_variables(gl: GitLab) -> None:
    number = trigger(gl, variables={"A": "secret"})[1]["id"]
    gl.set_pipeline(number, "failed", failure_reason="script_failure")
    headers, body = gl.job_hook(gl.pipelines[number]["jobs"][0]["id"])
    found = json.loads(body)
    assert (headers["X-Gitlab-Event"], found["object_kind"]) == ("Job Hook", "build")
    assert (found["pipeline_id"], found["commit"]["id"], found["project_id"]) == (number, number, 7)
    assert (found["build_name"], found["build_status"], found["build_failure_reason"]) == (
        "claude",
        "failed",
        "script_failure",
    )
    assert b"secret" not in body


# The names in GitLab's docs (webhook_events.md, 19.3), without those of a parent pipeline and of
# paid tiers.
DOCUMENTED = {
    "build": """
        object_kind ref tag before_sha sha retries_count build_id build_name build_stage build_status build_created_at
        build_started_at build_finished_at build_created_at_iso build_started_at_iso build_finished_at_iso
        build_duration build_queued_duration build_allow_failure build_failure_reason pipeline_id runner project_id
        project_name user commit repository project environment
    """,
    "pipeline": "object_kind object_attributes merge_request user project commit builds",
    "issue": """
        object_kind event_type user project object_attributes repository assignees labels changes
    """,
    "merge_request": """
        object_kind event_type user project object_attributes labels changes assignees reviewers repository
    """,
}
ATTRIBUTES = {
    "build": "",
    "pipeline": """
        id iid name ref tag sha before_sha source status detailed_status stages created_at finished_at duration
        queued_duration protected_ref default_branch variables url
    """,
    "issue": """
        id title assignee_ids assignee_id author_id project_id created_at updated_at updated_by_id last_edited_at
        last_edited_by_id relative_position description milestone_id state_id confidential discussion_locked due_date
        moved_to_id duplicated_to_id time_estimate total_time_spent time_change human_total_time_spent
        human_time_estimate human_time_change weight health_status type iid url state action severity labels
    """,
    "merge_request": """
        author_id created_at description draft head_pipeline_id id iid last_edited_at last_edited_by_id
        merge_commit_sha merged_at merge_error merge_params merge_status merge_user_id merge_when_pipeline_succeeds
        milestone_id source_branch source_project_id state_id target_branch target_branch_protected target_project_id
        time_estimate title updated_at updated_by_id prepared_at assignee_ids blocking_discussions_resolved
        detailed_merge_status first_contribution human_time_change human_time_estimate human_total_time_spent labels
        last_commit reviewer_ids source state system target time_change total_time_spent url action actioned_at
    """,
}


def test_hooks_have_the_blocks_and_attributes_that_gitlabs_docs_show(gl: GitLab) -> None:
    number = trigger(gl)[1]["id"]
    gl.edit_issue(7, 5, user_id=ALICE, assignees=[BOT])
    gl.edit_merge_request(7, 9, user_id=ALICE, assignees=[BOT], reviewers=[BOT])
    job = gl.pipelines[number]["jobs"][0]
    hooks = (
        gl.job_hook(job),
        gl.pipeline_hook(number),
        gl.issue_hook((7, 5)),
        gl.merge_request_hook((7, 9)),
    )
    for found in map(payload, hooks):
        kind = found["object_kind"]
        assert found.keys() == set(DOCUMENTED[kind].split())
        assert set(ATTRIBUTES[kind].split()) <= found.get("object_attributes", {}).keys()


# --- vintages -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vintage", "agent", "created", "present"),
    [
        ("2023", "GitLab/16.0.0", "2026-05-28 20:26:40 UTC", {"attachment"}),
        ("18.1", "GitLab/18.1.0", "2026-05-28 20:26:40 UTC", {"action"}),
        (
            "19",
            "GitLab/19.3.0-pre",
            "2026-05-28T20:26:40.000Z",
            {"action", "attachment", "internal"},
        ),
    ],
)
def test_a_note_hook_of_its_time(
    gl: GitLab, vintage: str, agent: str, created: str, present: set[str]
) -> None:
    headers, _ = delivery = gl.note_hook(
        comment(gl, "at 2026-05-28T20:26:40.000Z"), vintage=vintage
    )
    found = payload(delivery)
    attributes = found["object_attributes"]
    assert (headers["User-Agent"], attributes["created_at"], found["issue"]["created_at"]) == (
        agent,
        created,
        created,
    )
    assert attributes.keys() & {"action", "attachment", "internal"} == present
    assert attributes["note"] == "at 2026-05-28T20:26:40.000Z"
    assert ("webhook-id" in headers, "Idempotency-Key" in headers) == (
        vintage == "19",
        vintage != "2023",
    )
    assert ("type" in found["issue"]) == (vintage != "2023")


def test_every_hook_has_its_vintages(gl: GitLab) -> None:
    number = trigger(gl)[1]["id"]
    gl.edit_issue(7, 5, user_id=ALICE, title="x")
    gl.edit_merge_request(7, 9, user_id=ALICE, reviewers=[BOT])
    hooks: list[Any] = [
        (gl.issue_hook, (7, 5)),
        (gl.merge_request_hook, (7, 9)),
        (gl.pipeline_hook, number),
    ]
    hooks.append((gl.job_hook, gl.pipelines[number]["jobs"][0]))
    for build, what in hooks:
        now, before = (payload(build(what, vintage=vintage)) for vintage in ("19", "18.1"))
        assert "2026-05-28T20:26:40" in json.dumps(now)
        assert "2026-05-28T20:26:40" not in json.dumps(before)
    changes = payload(gl.issue_hook((7, 5), vintage="18.1"))["changes"]
    assert changes["updated_at"]["current"] == "2026-05-28 20:26:40 UTC"
    reviewers = payload(gl.merge_request_hook((7, 9), vintage="2023"))["changes"]["reviewers"]
    assert reviewers["current"][0].keys() == {"id", "name", "username", "avatar_url", "email"}
    with pytest.raises(ValueError, match=r"2023, 18\.1, 19"):
        vintages.aged({}, "17")


# --- hooks that fire by themselves ----------------------------------------------------------------


class Receiver(NamedTuple):
    """A webhook receiver: its URL, what it got, and what it does with each before it answers."""

    url: str
    got: list[tuple[dict[str, str], dict[str, Any]]]
    bodies: list[bytes]
    react: list[Any]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver("", [], [], [])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers["content-length"]))
            receiver.bodies.append(body)
            receiver.got.append((headers, json.loads(body)))
            for react in receiver.react:
                react(receiver.got[-1][1])
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield receiver._replace(url=f"http://127.0.0.1:{server.server_address[1]}/hook")
        server.shutdown()


def got(gl: GitLab, receiver: Receiver) -> list[str]:
    """Wait until all is delivered; return the events, oldest first."""
    gl.wait_for_hooks()
    return [headers["x-gitlab-event"] for headers, _ in receiver.got]


def test_nothing_fires_unless_told(gl: GitLab, receiver: Receiver) -> None:
    gl.hook(7, receiver.url, note_events=True)
    api(gl, "POST issues/5/notes", {"body": "x"})
    assert got(gl, receiver) == []


def test_a_note_is_delivered_signed_whoever_wrote_it(gl: GitLab, receiver: Receiver) -> None:
    gl.fire_hooks = True
    gl.hook(7, receiver.url, note_events=True, signing_token=WHSEC)
    gl.hook(7, receiver.url, push_events=True)
    written = api(gl, "POST issues/5/notes", {"body": "x"})[1]["id"]
    comment(gl, "y")
    comment(gl, "closed", system=True)
    api(gl, f"PUT issues/5/notes/{written}", {"body": "z"})
    api(gl, f"PUT issues/5/notes/{written}", {"body": "z"})
    assert got(gl, receiver) == ["Note Hook"] * 3
    told = [(each["user"]["id"], each["object_attributes"]["action"]) for _, each in receiver.got]
    assert told == [(BOT, "create"), (ALICE, "create"), (BOT, "update")]
    headers, _ = receiver.got[0]
    assert headers["webhook-signature"] == signature(headers, receiver.bodies[0])
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 3


def test_confidential_events_go_only_where_they_are_asked_for(
    gl: GitLab, receiver: Receiver
) -> None:
    gl.fire_hooks = True
    gl.hook(7, receiver.url, note_events=True, issues_events=True)
    gl.issue(7, 6, confidential=True)
    comment(gl, iid=6)
    comment(gl, internal=True)
    assert got(gl, receiver) == []
    gl.hook(7, receiver.url, confidential_note_events=True, confidential_issues_events=True)
    comment(gl, internal=True)
    gl.edit_issue(7, 6, user_id=ALICE, title="x")
    assert got(gl, receiver) == ["Confidential Note Hook", "Confidential Issue Hook"]


def test_a_pipeline_tells_of_every_change_and_not_of_its_making(
    gl: GitLab, receiver: Receiver
) -> None:
    gl.fire_hooks = True
    gl.hook(7, receiver.url, pipeline_events=True, job_events=True)
    number = trigger(gl)[1]["id"]
    for status in ("pending", "running", "running", "success"):
        gl.set_pipeline(number, status)
    events = got(gl, receiver)
    assert events == ["Job Hook"] + ["Job Hook", "Pipeline Hook"] * 3
    told = [
        found.get("build_status") or found["object_attributes"]["status"]
        for _, found in receiver.got
    ]
    assert told == ["created", "pending", "pending", "running", "running", "success", "success"]


def test_issues_and_merge_requests_tell_of_edits(gl: GitLab, receiver: Receiver) -> None:
    gl.fire_hooks = True
    gl.hook(7, receiver.url, issues_events="true", merge_requests_events=True)
    gl.edit_issue(7, 5, user_id=ALICE, assignees=[BOT])
    gl.edit_issue(7, 5, user_id=ALICE, assignees=[BOT])
    api(
        gl,
        "POST merge_requests",
        {"title": "x", "source_branch": "claude/1", "target_branch": "main"},
    )
    gl.edit_merge_request(7, 10, user_id=ALICE, reviewers=[BOT])
    gl.request_review(7, 10, BOT, user_id=BOB)
    assert got(gl, receiver) == ["Issue Hook"] + ["Merge Request Hook"] * 3
    told = [
        (found["object_attributes"]["action"], found["user"]["id"]) for _, found in receiver.got
    ]
    assert told == [("update", ALICE), ("open", BOT), ("update", ALICE), ("update", BOB)]


def test_what_a_delivery_causes_is_waited_for_too(gl: GitLab, receiver: Receiver) -> None:
    def answer(found: dict[str, Any]) -> None:
        if found["user"]["id"] != BOT:
            api(gl, "POST issues/5/notes", {"body": "on it"})

    receiver.react.append(answer)
    gl.fire_hooks, gl.hook_workers = True, 2
    gl.hook(7, receiver.url, note_events=True)
    comment(gl, "@claude")
    assert got(gl, receiver) == ["Note Hook"] * 2
    assert [found["user"]["id"] for _, found in receiver.got] == [ALICE, BOT]


def test_a_receiver_that_is_down_is_logged_and_no_crash(gl: GitLab) -> None:
    gl.fire_hooks = True
    hook = gl.hook(7, "http://127.0.0.1:9/closed", note_events=True)
    comment(gl)
    gl.wait_for_hooks()
    (event,) = api(gl, f"GET hooks/{hook['id']}/events")[1]
    assert (event["response_status"], event["trigger"]) == ("internal error", "note_hooks")


def test_waiting_has_an_end(gl: GitLab, receiver: Receiver) -> None:
    answered = threading.Event()
    receiver.react.append(lambda _: answered.wait(5))
    gl.fire_hooks = True
    gl.hook(7, receiver.url, note_events=True)
    comment(gl)
    with pytest.raises(TimeoutError, match="1 deliveries"):
        gl.wait_for_hooks(timeout=0.05)
    answered.set()
    gl.wait_for_hooks()


def test_deliveries_may_be_of_an_older_gitlab(gl: GitLab, receiver: Receiver) -> None:
    gl.fire_hooks, gl.hook_vintage = True, "18.1"
    gl.hook(7, receiver.url, note_events=True, signing_token=WHSEC, token="secret")
    comment(gl)
    assert got(gl, receiver) == ["Note Hook"]
    headers, found = receiver.got[0]
    assert headers["x-gitlab-token"] == "secret"
    assert not {"webhook-id", "webhook-timestamp", "webhook-signature"} & headers.keys()
    assert found["object_attributes"]["created_at"] == "2026-05-28 20:26:40 UTC"


# --- limits and counters --------------------------------------------------------------------------


def test_gitlab_com_limits_count_each_user(gl: GitLab, clock: Clock) -> None:
    gl.gitlab_com_limits()
    clock.time += 20  # a minute begins
    assert [api(gl, "POST issues/5/notes", {"body": "x"})[0] for _ in range(61)] == [201] * 60 + [
        429
    ]
    assert api(gl, f"POST {THREAD}", {"body": "x"})[0] == 429
    assert api(gl, "POST issues/5/notes", {"body": "x"}, user=ALICE)[0] == 201
    assert [trigger(gl)[0] for _ in range(26)] == [201] * 25 + [400]
    assert trigger(gl, ref="fix")[0] == 201
    clock.time += 60
    assert api(gl, "POST issues/5/notes", {"body": "x"})[0] == 201


def test_users_and_members_have_limits_of_their_own(gl: GitLab, clock: Clock) -> None:
    gl.gitlab_com_limits()
    assert [api(gl, "GET /api/v4/users/1")[0] for _ in range(301)] == [200] * 300 + [429]
    clock.time += 60
    assert api(gl, "GET /api/v4/users/1")[0] == 429
    gl.rate_limit("members", 1)
    gl.rate_limit("project", 1)
    for line in ("GET members/all", "GET /api/v4/projects/7"):
        assert [api(gl, line)[0] for _ in range(2)] == [200, 429]
    assert api(gl, "GET members/all/1")[0] == 200


def test_calls_are_counted_by_route_and_by_window(gl: GitLab, clock: Clock) -> None:
    for _ in range(4):
        api(gl, "GET /api/v4/users/1")
        clock.time += 30
    api(gl, "GET /api/v4/users/2", user=ALICE)
    clock.time += 600
    api(gl, "GET members/all/1")
    trigger(gl)
    assert gl.tally() == {
        "GET users/:user_id": Tally(total=5, minute=2, ten_minutes=5),
        "GET projects/:id/members/all/:user_id": Tally(1, 1, 1),
        "POST projects/:id/trigger/pipeline": Tally(1, 1, 1),
    }
    assert gl.tally(user_id=ALICE) == {"GET users/:user_id": Tally(1, 1, 1)}


# --- the stand-in itself --------------------------------------------------------------------------


STAND_IN = Path(contract.__file__).parent


@pytest.mark.parametrize(
    "path",
    sorted({*STAND_IN.glob("*.py")} - {*STAND_IN.glob("test_*.py")}),
    ids=lambda path: path.stem,
)
def test_a_file_of_the_stand_in_opens_with_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))
