"""What the GitLab stand-in promises: GitLab's own answers, faults on request, and a contract that a typo cannot pass."""

import base64
import hashlib
import hmac
import http.client
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import quote

import gitlab as python_gitlab
import pytest

from tests.gitlab import contract, quick_actions
from tests.gitlab.server import Call, Fault, GitLab

ALICE, BOB, BOT, GUEST, ROOT, STRANGER = 1, 2, 3, 4, 5, 6
TRIGGER = "/api/v4/projects/7/trigger/pipeline"
NOTES = "/api/v4/projects/7/issues/5/notes"
WHSEC = "whsec_" + base64.b64encode(bytes(range(32))).decode()


class Clock:
    """Time that moves when told."""

    def __init__(self) -> None:
        self.now = 1_780_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gl(clock: Clock) -> Iterator[GitLab]:
    """A project with an issue, a merge request and people; at the end every call must have kept to GitLab's API file."""
    with GitLab(clock=clock) as gl:
        gl.user(ALICE, "alice")
        gl.user(BOB, "bob")
        gl.user(BOT, "claude_bot", bot=True)
        gl.user(GUEST, "guest")
        gl.user(ROOT, "root", admin=True)
        gl.user(STRANGER, "stranger")
        gl.project(7, "group/app")
        for user, level in ((ALICE, 30), (BOB, 40), (BOT, 40), (GUEST, 10)):
            gl.member(7, user, level)
            gl.api_token(f"token-{user}", user)
        gl.api_token("token-5", ROOT)
        gl.api_token("token-6", STRANGER)
        gl.trigger_token("glptt-bot", 7, BOT)
        gl.trigger_token("glptt-alice", 7, ALICE)
        gl.issue(7, 5, title="A bug", labels=["bug"])
        gl.merge_request(7, 9, source_branch="fix", diffs=[{"new_path": "a.py", "diff": "@@ -1 +1 @@"}])
        yield gl
        assert not gl.unknown_calls
        assert [problem for call in gl.calls for problem in contract.check(call)] == []


def client(gl: GitLab, user: int = BOT) -> python_gitlab.Gitlab:
    return python_gitlab.Gitlab(gl.url, private_token=f"token-{user}", timeout=5)


def project(gl: GitLab, user: int = BOT) -> Any:
    return project(gl, user)


def issue(gl: GitLab, user: int = BOT) -> Any:
    return project(gl, user).issues.get(5, lazy=True)


def merge_request(gl: GitLab, user: int = BOT) -> Any:
    return project(gl, user).mergerequests.get(9, lazy=True)


def http_call(
    gl: GitLab, method: str, path: str, body: Any = None, user: int | None = BOT, **headers: str
) -> tuple[int, dict[str, str], Any]:
    """One request without a client's help."""
    connection = http.client.HTTPConnection(gl.url.removeprefix("http://"), timeout=5)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if user is not None:
        sent["PRIVATE-TOKEN"] = f"token-{user}"
    if isinstance(body, dict):
        body, sent["Content-Type"] = json.dumps(body), "application/json"
    try:
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        text = response.read()
        found = {name.lower(): value for name, value in response.getheaders()}
        return (
            response.status,
            found,
            json.loads(text) if found.get("content-type") == "application/json" else text.decode(),
        )
    finally:
        connection.close()


def trigger(gl: GitLab, token: str = "glptt-bot", ref: str = "main", **more: Any) -> tuple[int, Any]:
    status, _, body = http_call(gl, "POST", TRIGGER, {"token": token, "ref": ref, **more}, user=None)
    return status, body


# --- who is asking, and what they may see ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", [None, "wrong"])
def test_without_a_known_token_everything_is_401(gl: GitLab, token: str | None) -> None:
    headers = {"PRIVATE_TOKEN": token} if token else {}
    for path in ("/api/v4/user", "/api/v4/projects/7", NOTES):
        assert http_call(gl, "GET", path, user=None, **headers)[::2] == (401, {"message": "401 Unauthorized"})


def test_a_token_is_taken_from_either_header(gl: GitLab) -> None:
    assert client(gl).http_get("/user")["username"] == "claude_bot"  # type: ignore[index]
    assert http_call(gl, "GET", "/api/v4/user", user=None, Authorization="Bearer token-1")[2]["id"] == ALICE


def test_a_token_that_may_only_read_cannot_write(gl: GitLab) -> None:
    gl.api_token("reader", BOT, scopes=("read_api",))
    assert http_call(gl, "GET", NOTES, user=None, PRIVATE_TOKEN="reader")[0] == 200
    status, _, body = http_call(gl, "POST", NOTES, {"body": "hi"}, user=None, PRIVATE_TOKEN="reader")
    assert (status, body["error"]) == (403, "insufficient_scope")


def test_a_blocked_users_token_is_refused(gl: GitLab) -> None:
    gl.user(ALICE, "alice", state="blocked")
    assert http_call(gl, "GET", "/api/v4/user", user=ALICE)[0] == 403


def test_bot_shows_on_the_user_and_not_on_the_member(gl: GitLab) -> None:
    assert client(gl).users.get(BOT).bot is True
    assert client(gl).users.get(ALICE).bot is False
    assert "bot" not in project(gl).members_all.get(BOT).attributes


def test_external_shows_to_administrators_only(gl: GitLab) -> None:
    gl.user(ALICE, "alice", external=True)
    assert "external" not in client(gl, BOT).users.get(ALICE).attributes
    assert client(gl, ROOT).users.get(ALICE).external is True


def test_an_unknown_user_is_404(gl: GitLab) -> None:
    assert http_call(gl, "GET", "/api/v4/users/99")[::2] == (404, {"message": "404 User Not Found"})
    assert http_call(gl, "GET", "/api/v4/users/x")[::2] == (400, {"error": "user_id is invalid"})


def test_a_project_is_found_by_id_and_by_path(gl: GitLab) -> None:
    assert client(gl).projects.get("group/app").id == 7
    assert client(gl).projects.get(7).path_with_namespace == "group/app"
    assert client(gl).projects.get(7).ci_pipeline_variables_minimum_override_role == "developer"
    assert not hasattr(client(gl, ALICE).projects.get(7), "ci_pipeline_variables_minimum_override_role")


@pytest.mark.parametrize(
    ("visibility", "external", "status"),
    [("private", False, 404), ("internal", False, 200), ("internal", True, 404), ("public", True, 200)],
)
def test_a_project_that_one_may_not_see_does_not_exist(
    gl: GitLab, visibility: str, external: bool, status: int
) -> None:
    gl.projects[7].visibility = visibility
    gl.user(STRANGER, "stranger", external=external)
    found, _, body = http_call(gl, "GET", "/api/v4/projects/7", user=STRANGER)
    assert found == status
    assert found == 200 or body == {"message": "404 Project Not Found"}


def test_a_member_has_a_level_a_state_and_an_end(gl: GitLab) -> None:
    gl.member(7, ALICE, 30, state="awaiting", expires_at="2026-12-31")
    member = project(gl).members_all.get(ALICE)
    assert (member.access_level, member.state, member.membership_state, member.expires_at) == (
        30,
        "active",
        "awaiting",
        "2026-12-31",
    )


def test_a_user_who_is_no_member_is_404(gl: GitLab) -> None:
    gl.remove_member(7, ALICE)
    assert http_call(gl, "GET", "/api/v4/projects/7/members/all/1")[::2] == (404, {"message": "404 Not found"})
    with pytest.raises(python_gitlab.GitlabGetError):
        project(gl).members_all.get(STRANGER)


# --- the trigger -------------------------------------------------------------------------------------------------------------------------


def test_a_trigger_starts_a_pipeline_as_the_tokens_owner(gl: GitLab) -> None:
    pipeline = (
        project(gl, ALICE).trigger_pipeline("main", "glptt-bot", {"AI_FLOW_EVENT": "mention"})
    )
    assert (pipeline.source, pipeline.status, pipeline.ref, pipeline.user["id"], pipeline.iid) == (
        "trigger",
        "created",
        "main",
        BOT,
        1,
    )
    assert pipeline.web_url == f"{gl.url}/group/app/-/pipelines/{pipeline.id}"


def test_the_job_gets_the_whole_body_but_the_token(gl: GitLab) -> None:
    status, _ = trigger(gl, variables={"A": "$X"}, ai_flow={"text": "<b> & $HOME"})
    *variables, payload = next(iter(gl.pipelines.values()))["variables"]
    assert status == 201
    assert variables == [{"key": "A", "value": "$X", "variable_type": "env_var", "raw": False}]
    assert (
        payload["value"]
        == r'{"ref":"main","variables":{"A":"$X"},"ai_flow":{"text":"\u003cb\u003e \u0026 $HOME"},"id":"7"}'
    )
    assert (payload["key"], payload["variable_type"], payload["raw"]) == ("TRIGGER_PAYLOAD", "file", True)


def test_a_form_does_as_well_and_the_ref_may_be_in_the_path(gl: GitLab) -> None:
    form = "token=glptt-bot&ref=main&variables%5BA%5D=1&variables[B]=a%26b"
    status, _, _ = http_call(gl, "POST", TRIGGER, form, user=None, Content_Type="application/x-www-form-urlencoded")
    assert status == 201
    status, _, body = http_call(
        gl, "POST", "/api/v4/projects/7/ref/fix/trigger/pipeline?token=glptt-bot", {"ref": "main"}, user=None
    )
    assert (status, body["ref"]) == (201, "fix")
    variables = [{each["key"]: each["value"] for each in pipeline["variables"]} for pipeline in gl.pipelines.values()]
    assert (variables[0]["A"], variables[0]["B"]) == ("1", "a&b")


def test_all_ways_to_have_the_wrong_token_look_alike(gl: GitLab) -> None:
    gl.project(8, "group/other")
    gl.member(8, BOT, 40)
    gl.trigger_token("glptt-other", 8, BOT)
    gl.trigger_token("glptt-stranger", 7, STRANGER)
    for path, token in (
        (TRIGGER, "glptt-wrong"),
        (TRIGGER, "glptt-other"),
        (TRIGGER, "token-3"),
        (TRIGGER, "glptt-stranger"),
        (TRIGGER.replace("7", "99"), "glptt-bot"),
    ):
        answer = http_call(gl, "POST", path, {"token": token, "ref": "main"}, user=None)
        assert answer[::2] == (404, {"message": "404 Not Found"})


def test_a_webhooks_header_on_the_trigger_is_403(gl: GitLab) -> None:
    body = {"token": "glptt-bot", "ref": "main"}
    assert http_call(gl, "POST", TRIGGER, body, user=None, X_Gitlab_Event="Pipeline Hook")[::2] == (
        403,
        {"message": "403 Forbidden"},
    )
    assert http_call(gl, "POST", TRIGGER, body, user=None, X_Gitlab_Event="Note Hook")[0] == 201


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ({"token": "glptt-bot"}, {"error": "ref is missing"}),
        ({"ref": "main"}, {"error": "token is missing"}),
        ({"token": "glptt-bot", "ref": ""}, {"error": "ref is empty"}),
        ({"token": "glptt-bot", "ref": "main", "variables": "A=1"}, {"error": "variables is invalid"}),
        (
            {"token": "glptt-bot", "ref": "main", "variables": {"A": 1}},
            {"message": "variables needs to be a map of key-valued strings"},
        ),
        (
            {"token": "glptt-bot", "ref": "main", "variables": {"A": None}},
            {"message": "variables needs to be a map of key-valued strings"},
        ),
        ({"token": "glptt-bot", "ref": "gone"}, {"message": {"base": ["Reference not found"]}}),
        ({"token": "glptt-bot", "ref": "refs/merge-requests/9/head"}, {"message": {"base": ["Reference not found"]}}),
    ],
)
def test_a_malformed_trigger_call_is_400(gl: GitLab, body: dict[str, Any], answer: dict[str, Any]) -> None:
    assert http_call(gl, "POST", TRIGGER, body, user=None)[::2] == (400, answer)
    assert not gl.pipelines


@pytest.mark.parametrize(
    ("role", "allowed"), [("developer", True), ("maintainer", True), ("owner", False), ("no_one_allowed", False)]
)
def test_a_project_may_forbid_variables_but_not_the_payload(gl: GitLab, role: str, allowed: bool) -> None:
    gl.projects[7].variables_role = role
    status, body = trigger(gl, variables={"A": "1"})
    assert (status, body.get("message")) == (
        (201, None) if allowed else (400, {"base": ["Insufficient permissions to set pipeline variables"]})
    )
    assert trigger(gl, ai_flow={"still": "there"})[0] == 201
    assert trigger(gl, variables={})[0] == 201


def test_the_owners_rights_count(gl: GitLab) -> None:
    gl.trigger_token("glptt-guest", 7, GUEST)
    assert trigger(gl, "glptt-guest") == (
        400,
        {"message": {"base": ["Insufficient permissions to create a new pipeline"]}},
    )
    status, body = trigger(gl, "glptt-alice")
    assert status == 400
    assert body["message"]["base"][0].startswith("You do not have sufficient permission to run a pipeline on 'main'")
    assert trigger(gl, "glptt-alice", ref="fix")[0] == 201
    gl.projects[7].protected["main"] = 30  # "Allowed to merge: Developers + Maintainers"
    assert trigger(gl, "glptt-alice")[0] == 201


def test_tags_and_full_refs_are_refs_and_a_name_for_both_is_ambiguous(gl: GitLab) -> None:
    gl.projects[7].tags["v1"] = "1" * 40
    assert trigger(gl, ref="v1")[1]["tag"] is True
    assert trigger(gl, ref="refs/heads/main")[1]["ref"] == "main"
    gl.projects[7].tags["main"] = "2" * 40
    assert trigger(gl)[1] == {"message": {"base": ["Ref is ambiguous"]}}
    assert trigger(gl, ref="refs/tags/main")[0] == 201


@pytest.mark.parametrize(
    ("ci", "variables", "status", "words"),
    [
        ("ours", {}, 201, ""),
        ("theirs", {"AI_FLOW_EVENT": "mention"}, 201, ""),
        ("theirs", {}, 400, "would have been empty"),
        ("none", {"AI_FLOW_EVENT": "mention"}, 400, "would have been empty"),
        ("filtered", {}, 400, "did not run"),
        ("invalid", {}, 422, "script:"),
    ],
)
def test_what_the_projects_ci_file_says_decides(
    gl: GitLab, ci: str, variables: dict[str, str], status: int, words: str
) -> None:
    gl.projects[7].ci = ci
    found, body = trigger(gl, variables=variables)
    assert found == status
    assert words in json.dumps(body)
    assert [pipeline["status"] for pipeline in gl.pipelines.values()] == {201: ["created"], 400: [], 422: ["failed"]}[
        status
    ]


def test_a_variable_called_trigger_payload_is_one_too_many(gl: GitLab) -> None:
    assert trigger(gl, variables={"TRIGGER_PAYLOAD": "x"}) == (
        422,
        {"message": "Duplicate variable name: TRIGGER_PAYLOAD"},
    )


def test_too_many_pipelines_is_a_400(gl: GitLab, clock: Clock) -> None:
    gl.rate_limit("pipelines", 1)
    assert trigger(gl)[0] == 201
    assert trigger(gl) == (
        400,
        {"message": {"base": ["Too many pipelines created in the last minute. Try again later."]}},
    )
    clock.now += 60
    assert trigger(gl)[0] == 201


# --- pipelines ---------------------------------------------------------------------------------------------------------------------------


def test_pipelines_are_listed_newest_first_by_source_ref_and_time(gl: GitLab, clock: Clock) -> None:
    pipelines = project(gl).pipelines
    for ref in ("main", "fix", "main"):
        trigger(gl, ref=ref)
        clock.now += 10
    first, second, third = gl.pipelines
    assert [each.id for each in pipelines.list(source="trigger", get_all=True)] == [third, second, first]
    assert [each.id for each in pipelines.list(ref="main", sort="asc", get_all=True)] == [first, third]
    assert [each.id for each in pipelines.list(created_after="2026-05-28T20:26:50Z", get_all=True)] == [third, second]
    gl.set_pipeline(first, "running")
    assert [each.id for each in pipelines.list(order_by="updated_at", get_all=True)] == [first, third, second]
    assert [each.id for each in pipelines.list(updated_after="2026-05-28T20:27:05+00:00", get_all=True)] == [first]
    assert [each.id for each in pipelines.list(status="running", username="claude_bot", get_all=True)] == [first]
    assert pipelines.list(source="push", get_all=True) == []


def test_a_wrong_filter_is_400(gl: GitLab) -> None:
    assert http_call(gl, "GET", "/api/v4/projects/7/pipelines?source=triger")[::2] == (
        400,
        {"error": "source does not have a valid value"},
    )
    assert http_call(gl, "GET", "/api/v4/projects/7/pipelines?created_after=yesterday")[::2] == (
        400,
        {"error": "created_after is invalid"},
    )


def test_a_pipeline_can_be_found_by_the_name_its_workflow_gives_it(gl: GitLab) -> None:
    gl.projects[7].workflow_name = lambda pipeline: (
        f"Claude {json.loads(pipeline['variables'][-1]['value'])['ai_flow']['id']}"
    )
    trigger(gl, ai_flow={"id": "r1"})
    trigger(gl, ai_flow={"id": "r2"})
    found = project(gl).pipelines.list(name="Claude r2", get_all=True)
    assert [project(gl).pipelines.get(each.id).name for each in found] == ["Claude r2"]


def test_variables_are_for_maintainers_and_for_whoever_triggered(gl: GitLab) -> None:
    gl.projects[7].protected.clear()
    trigger(gl, "glptt-alice", variables={"A": "1"})
    pipeline = next(iter(gl.pipelines))
    for user in (ALICE, BOB):
        variables = (
            project(gl, user).pipelines.get(pipeline, lazy=True).variables.list(get_all=True)
        )
        assert [each.key for each in variables] == ["A", "TRIGGER_PAYLOAD"]
    assert http_call(gl, "GET", f"/api/v4/projects/7/pipelines/{pipeline}/variables", user=GUEST)[::2] == (
        403,
        {"message": "403 Forbidden"},
    )


def test_a_pipeline_has_jobs_moves_on_and_can_be_canceled(gl: GitLab, clock: Clock) -> None:
    trigger(gl)
    trigger(gl)
    first, second = gl.pipelines
    pipelines = project(gl).pipelines
    gl.set_pipeline(first, "running")
    clock.now += 30
    gl.set_pipeline(first, "failed", failure_reason="script_failure")
    pipeline = pipelines.get(first)
    assert (pipeline.status, pipeline.duration) == ("failed", 30)
    assert [(job.name, job.status, job.failure_reason) for job in pipeline.jobs.list(get_all=True)] == [
        ("claude", "failed", "script_failure")
    ]
    pipelines.get(second, lazy=True).cancel()
    pipelines.get(first, lazy=True).cancel()  # nothing left to cancel is no error
    assert [pipelines.get(each).status for each in (first, second)] == ["failed", "canceled"]
    assert http_call(gl, "POST", f"/api/v4/projects/7/pipelines/{second}/cancel", user=GUEST)[0] == 403
    assert http_call(gl, "GET", "/api/v4/projects/7/pipelines/99")[::2] == (404, {"message": "404 Not found"})


# --- notes, discussions, emoji -----------------------------------------------------------------------------------------------------------


def test_issues_and_merge_requests_are_shown_to_those_who_may_read_them(gl: GitLab) -> None:
    gl.issue(7, 6, confidential=True, author_id=ALICE)
    project = project(gl)
    assert (project.issues.get(5).title, project.issues.get(5).labels) == ("A bug", ["bug"])
    merge_request = project.mergerequests.get(9)
    assert (merge_request.source_branch, merge_request.source_project_id, merge_request.sha) == (
        "fix",
        7,
        gl.projects[7].branches["fix"],
    )
    assert http_call(gl, "GET", "/api/v4/projects/7/issues/6", user=GUEST)[0] == 404
    assert http_call(gl, "GET", "/api/v4/projects/7/issues/6/notes", user=GUEST)[::2] == (
        404,
        {"message": "404 Issue Not Found"},
    )
    assert http_call(gl, "GET", "/api/v4/projects/7/merge_requests/9", user=GUEST)[0] == 403
    assert [each["new_path"] for each in client(gl).http_list("/projects/7/merge_requests/9/diffs", get_all=True)] == [
        "a.py"
    ]  # type: ignore[index]


def test_a_note_is_written_read_changed_and_deleted(gl: GitLab) -> None:
    for noteable in (
        issue(gl),
        merge_request(gl),
    ):
        note = noteable.notes.create({"body": "one"})
        note.body = "two"
        note.save()
        assert noteable.notes.get(note.id).body == "two"
        assert [each.body for each in noteable.notes.list(get_all=True)] == ["two"]
        note.delete()
        assert noteable.notes.list(get_all=True) == []


def test_only_the_author_or_a_maintainer_changes_a_note(gl: GitLab) -> None:
    note = gl.note(7, "issue", 5, author_id=BOB, body="mine")
    assert http_call(gl, "PUT", f"{NOTES}/{note['id']}", {"body": "theirs"}, user=ALICE)[0] == 403
    assert http_call(gl, "DELETE", f"{NOTES}/{note['id']}", user=ALICE)[0] == 403
    assert http_call(gl, "PUT", f"{NOTES}/{note['id']}", {"body": "ours"}, user=BOT)[0] == 200
    assert (note["body"], note["updated_by_id"], note["author_id"]) == ("ours", BOT, BOB)


def test_notes_come_newest_first_and_in_pages(gl: GitLab) -> None:
    for number in range(45):
        gl.note(7, "issue", 5, author_id=ALICE, body=str(number), system=number == 0)
    issue = issue(gl)
    assert [each.body for each in issue.notes.list(iterator=True, per_page=10)] == [
        str(number) for number in range(44, -1, -1)
    ]
    assert [each.body for each in issue.notes.list(sort="asc", per_page=3, page=2)] == ["3", "4", "5"]
    assert len(issue.notes.list(activity_filter="only_comments", get_all=True)) == 44
    status, headers, body = http_call(gl, "GET", f"{NOTES}?page=2")
    assert (status, len(body)) == (200, 20)
    assert {name: headers[f"x-{name}"] for name in ("page", "per-page", "next-page", "prev-page", "total", "total-pages")} == {
        "page": "2", "per-page": "20", "next-page": "3", "prev-page": "1", "total": "45", "total-pages": "3",
    }  # fmt: skip
    assert f'<{gl.url}{NOTES}?page=3&per_page=20>; rel="next"' in headers["link"]
    assert http_call(gl, "GET", f"{NOTES}?per_page=500")[1]["x-per-page"] == "100"
    assert http_call(gl, "GET", f"{NOTES}?per_page=0")[0] == 400


def test_a_page_is_short_where_its_reader_may_not_see_all(gl: GitLab) -> None:
    gl.projects[7].visibility = "public"
    for internal in (False, True, False):
        gl.note(7, "issue", 5, author_id=ALICE, body="x", internal=internal)
    status, headers, body = http_call(gl, "GET", f"{NOTES}?per_page=2", user=STRANGER)
    assert (status, len(body), headers["x-total"]) == (200, 1, "3")


def test_an_internal_note_is_hidden_and_its_reply_is_internal_too(gl: GitLab) -> None:
    note = gl.note(7, "issue", 5, author_id=ALICE, body="secret", internal=True)
    replies = f"/api/v4/projects/7/issues/5/discussions/{note['discussion_id']}/notes"
    assert http_call(gl, "GET", f"{NOTES}/{note['id']}", user=GUEST)[::2] == (404, {"message": "404 Note Not Found"})
    assert http_call(gl, "POST", replies, {"body": "hi"}, user=GUEST)[::2] == (
        404,
        {"message": "404 Discussion Not Found"},
    )
    reply = (
        client(gl)
        .projects.get(7, lazy=True)
        .issues.get(5, lazy=True)
        .discussions.get(note["discussion_id"], lazy=True)
        .notes.create({"body": "hi"})
    )
    assert (reply.internal, reply.confidential) == (True, True)
    top = issue(gl).notes.create({"body": "hi"})
    assert top.internal is False
    assert http_call(gl, "POST", NOTES, {"body": "hi", "internal": True})[2]["internal"] is True


def test_a_reply_makes_a_thread_of_a_single_note(gl: GitLab) -> None:
    note = gl.note(7, "merge_request", 9, author_id=ALICE, body="one")
    discussions = merge_request(gl).discussions
    assert discussions.get(note["discussion_id"]).individual_note is True
    discussions.get(note["discussion_id"], lazy=True).notes.create({"body": "two"})
    thread = discussions.get(note["discussion_id"])
    assert (thread.individual_note, [each["body"] for each in thread.attributes["notes"]]) == (False, ["one", "two"])
    assert [
        each["body"]
        for each in http_call(
            gl, "GET", f"/api/v4/projects/7/merge_requests/9/discussions/{note['discussion_id']}/notes"
        )[2]
    ] == ["one", "two"]
    assert len(discussions.list(get_all=True)) == 1


def test_a_discussion_belongs_to_one_issue(gl: GitLab) -> None:
    note = gl.note(7, "issue", 5, author_id=ALICE, body="one")
    path = f"/api/v4/projects/7/merge_requests/9/discussions/{note['discussion_id']}"
    assert http_call(gl, "GET", path)[::2] == (404, {"message": "404 Discussion Not Found"})
    assert http_call(gl, "GET", f"/api/v4/projects/7/merge_requests/9/notes/{note['id']}")[::2] == (
        404,
        {"message": "404 Not found"},
    )


def test_a_new_discussion_may_hang_on_a_line(gl: GitLab) -> None:
    position = {
        "base_sha": "a",
        "start_sha": "a",
        "head_sha": "b",
        "position_type": "text",
        "new_path": "a.py",
        "new_line": 3,
    }
    discussion = (
        client(gl)
        .projects.get(7, lazy=True)
        .mergerequests.get(9, lazy=True)
        .discussions.create({"body": "here", "position": position})
    )
    note = discussion.attributes["notes"][0]
    assert (note["type"], note["position"], note["resolvable"]) == ("DiffNote", position, True)
    assert (
        issue(gl).discussions.create({"body": "x"}).individual_note
        is False
    )


def test_a_system_note_takes_no_reply_and_no_emoji(gl: GitLab) -> None:
    note = gl.note(7, "issue", 5, author_id=ALICE, body="changed the title", system=True)
    status, _, body = http_call(
        gl, "POST", f"/api/v4/projects/7/issues/5/discussions/{note['discussion_id']}/notes", {"body": "hi"}
    )
    assert (status, body) == (400, {"message": "400 Bad request - Discussion can not be replied to."})
    assert http_call(gl, "POST", f"{NOTES}/{note['id']}/award_emoji", {"name": "eyes"})[0] == 404


def test_quick_actions_are_taken_out_and_written_down(gl: GitLab) -> None:
    issue = issue(gl)
    assert (
        issue.notes.create({"body": "Done.\n/close\n```\n/merge\n```\n /approve"}).body
        == "Done.\n```\n/merge\n```\n /approve"
    )
    status, _, body = http_call(gl, "POST", NOTES, {"body": "/assign @bob\n/label ~bug"})
    assert (status, sorted(body)) == (202, ["commands_changes", "summary"])
    assert [(each["command"], each["arguments"], each["user_id"]) for each in gl.quick_actions_executed] == [
        ("close", "", BOT),
        ("assign", "@bob", BOT),
        ("label", "~bug", BOT),
    ]
    assert len(gl.notes) == 1


def test_quick_actions_run_in_an_edit_as_well(gl: GitLab) -> None:
    note = gl.note(7, "issue", 5, author_id=BOT, body="working")
    assert http_call(gl, "PUT", f"{NOTES}/{note['id']}", {"body": "done\n/close"})[2]["body"] == "done"
    assert http_call(gl, "PUT", f"{NOTES}/{note['id']}", {"body": "/reopen"})[0] == 202
    assert [each["command"] for each in gl.quick_actions_executed] == ["close", "reopen"]
    assert not gl.notes


@pytest.mark.parametrize(
    "text",
    [
        "/usr/bin/env",
        "/unknown",
        "a /close",
        "\\/close",
        "> /close",
        "\t/close",
        ">>>\n/close\n>>>",
        "~~~\n/close\n~~~",
    ],
)
def test_a_slash_alone_is_no_quick_action(text: str) -> None:
    assert quick_actions.split(text) == (text, [])


@pytest.mark.parametrize(
    ("body", "answer"),
    [({}, {"error": "body is missing"}), ({"body": " "}, None), ({"body": "é" * (1 << 19) + "x"}, None)],
)
def test_a_note_needs_a_body_of_at_most_a_mebibyte(
    gl: GitLab, body: dict[str, str], answer: dict[str, str] | None
) -> None:
    status, _, found = http_call(gl, "POST", NOTES, body)
    assert status == 400
    assert answer in (None, found)
    assert http_call(gl, "POST", NOTES, {"body": "x" * (1 << 20)})[0] == 201


def test_a_locked_discussion_is_for_members(gl: GitLab) -> None:
    gl.projects[7].visibility = "public"
    gl.issues[7, 5]["discussion_locked"] = True
    assert http_call(gl, "POST", NOTES, {"body": "hi"}, user=STRANGER)[0] == 403
    assert http_call(gl, "POST", NOTES, {"body": "hi"}, user=ALICE)[0] == 201


def test_an_emoji_can_be_given_once_and_taken_back(gl: GitLab) -> None:
    note = gl.note(7, "issue", 5, author_id=ALICE, body="hi")
    awards = issue(gl).notes.get(note["id"], lazy=True).awardemojis
    award = awards.create({"name": "eyes"})
    with pytest.raises(python_gitlab.GitlabCreateError) as error:
        awards.create({"name": "eyes"})
    assert (error.value.response_code, error.value.error_message) == (
        404,
        "404 Award Emoji Name has already been taken Not Found",
    )
    assert http_call(gl, "DELETE", f"{NOTES}/{note['id']}/award_emoji/{award.id}", user=ALICE)[0] == 401
    assert [(each.name, each.user["id"], each.awardable_type) for each in awards.list(get_all=True)] == [
        ("eyes", BOT, "Note")
    ]
    assert awards.get(award.id).awardable_id == note["id"]
    awards.delete(award.id)
    assert not gl.emoji
    assert http_call(gl, "POST", f"{NOTES}/{note['id']}/award_emoji", {"name": ":eyes:"})[0] == 404


def test_emoji_stick_to_issues_and_merge_requests_too(gl: GitLab) -> None:
    project = project(gl)
    for noteable in (project.issues.get(5), project.mergerequests.get(9)):
        noteable.awardemojis.create({"name": "eyes"})
        assert [each.awardable_id for each in noteable.awardemojis.list(get_all=True)] == [noteable.id]
    assert [each["awardable_type"] for each in gl.emoji.values()] == ["Issue", "MergeRequest"]


# --- merge requests, events, triggers, version -------------------------------------------------------------------------------------------


def test_a_merge_request_is_opened_once_for_a_branch(gl: GitLab) -> None:
    merge_requests = project(gl).mergerequests
    made = merge_requests.create(
        {"title": "Draft: x", "source_branch": "claude/1", "target_branch": "main", "labels": ["a"]}
    )
    assert (made.iid, made.draft, made.labels, made.author["id"]) == (10, True, ["a"], BOT)
    with pytest.raises(python_gitlab.GitlabCreateError) as error:
        merge_requests.create({"title": "x", "source_branch": "claude/1", "target_branch": "main"})
    assert (error.value.response_code, error.value.error_message) == (
        409,
        ["Another open merge request already exists for this source branch: !10"],
    )
    assert [each.iid for each in merge_requests.list(source_branch="claude/1", state="opened", get_all=True)] == [10]
    body = {"title": "x", "source_branch": "y", "target_branch": "main"}
    assert http_call(gl, "POST", "/api/v4/projects/7/merge_requests", body, user=GUEST)[0] == 403


def test_comment_events_are_cut_by_whole_days_on_both_sides(gl: GitLab, clock: Clock) -> None:
    for day in range(3):
        clock.now = 1_780_000_000.0 + day * 86_400  # 28, 29 and 30 May 2026
        gl.note(7, "issue", 5, author_id=ALICE, body=f"day {day}")
    events = project(gl).events
    assert [each.note["body"] for each in events.list(action="commented", get_all=True)] == ["day 2", "day 1", "day 0"]
    assert [each.note["body"] for each in events.list(after="2026-05-28", sort="asc", get_all=True)] == [
        "day 1",
        "day 2",
    ]
    assert [each.note["body"] for each in events.list(after="2026-05-28", before="2026-05-30", get_all=True)] == [
        "day 1"
    ]
    event = events.list(get_all=True)[0]
    assert (event.action_name, event.target_type, event.author_id, event.note["noteable_iid"]) == (
        "commented on",
        "Note",
        ALICE,
        5,
    )


def test_events_leave_out_system_notes_and_what_one_may_not_read(gl: GitLab) -> None:
    note = gl.note(7, "issue", 5, author_id=ALICE, body="seen")
    gl.note(7, "issue", 5, author_id=ALICE, body="system", system=True)
    gl.note(7, "issue", 5, author_id=ALICE, body="internal", internal=True)
    gl.note(7, "merge_request", 9, author_id=ALICE, body="line", position={"new_path": "a.py", "new_line": 1})
    assert [each["note"]["body"] for each in http_call(gl, "GET", "/api/v4/projects/7/events", user=GUEST)[2]] == [
        "seen"
    ]
    kinds = [
        (each.target_type, each.note["body"])
        for each in project(gl).events.list(get_all=True)
    ]
    assert kinds == [("DiffNote", "line"), ("Note", "internal"), ("Note", "seen")]
    gl.note(7, "issue", 5, author_id=BOB, body="reply", discussion_id=note["discussion_id"])
    assert [each["note"]["body"] for each in http_call(gl, "GET", "/api/v4/projects/7/events?target_type=note")[2]] == [
        "internal"
    ]


def test_trigger_tokens_show_whole_to_their_owner(gl: GitLab) -> None:
    triggers = project(gl, BOB).triggers
    made = triggers.create({"description": "claude"})
    assert made.token.startswith("glptt-")
    assert trigger(gl, made.token)[0] == 201
    assert [each.token for each in triggers.list(get_all=True)] == ["glpt", "glpt", made.token]
    assert http_call(gl, "GET", "/api/v4/projects/7/triggers", user=ALICE)[0] == 403


def test_the_version_is_gitlabs(gl: GitLab) -> None:
    assert client(gl).version()[0] == "19.3.0-pre"


# --- webhooks ----------------------------------------------------------------------------------------------------------------------------


def test_a_hook_keeps_its_tokens_to_itself(gl: GitLab) -> None:
    hooks = project(gl).hooks
    hook = hooks.create(
        {
            "url": "https://example.com",
            "signing_token": WHSEC,
            "token": "shared",
            "note_events": True,
            "push_events": False,
        }
    )
    assert (hook.signing_token_present, hook.token_present, hook.note_events, hook.push_events) == (
        True,
        True,
        True,
        False,
    )
    assert not {"signing_token", "token"} & hook.attributes.keys()
    hook.url = "https://example.com/other"
    hook.save()  # python-gitlab sends the changed field only; a new URL clears the secret token, not the signing token
    assert (hook.token_present, hook.signing_token_present) == (False, True)
    assert [each.id for each in hooks.list(get_all=True)] == [hook.id]
    hooks.delete(hook.id)
    assert http_call(gl, "GET", f"/api/v4/projects/7/hooks/{hook.id}")[0] == 404


def test_hooks_are_for_maintainers_and_their_values_are_checked(gl: GitLab) -> None:
    path = "/api/v4/projects/7/hooks"
    assert http_call(gl, "GET", path, user=ALICE)[::2] == (403, {"message": "403 Forbidden"})
    assert http_call(gl, "POST", path, {"url": "ftp://x"})[::2] == (422, {"error": "Invalid url given"})
    assert http_call(gl, "POST", path, {"url": "https://x", "signing_token": "whsec_short"})[0] == 422
    assert http_call(gl, "POST", path, {})[::2] == (400, {"error": "url is missing"})


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]], list[int]]]:
    """A webhook receiver: its URL, what it got, and the statuses it will answer."""
    got: list[tuple[dict[str, str], bytes]] = []
    statuses: list[int] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(
                (
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(int(self.headers["content-length"])),
                )
            )
            self.send_response(statuses.pop(0) if statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/hook", got, statuses
    server.shutdown()
    server.server_close()


def test_a_failed_delivery_is_logged_and_can_be_sent_again(
    gl: GitLab, clock: Clock, receiver: tuple[str, list[tuple[dict[str, str], bytes]], list[int]]
) -> None:
    url, got, statuses = receiver
    statuses += [503]
    hook = project(gl).hooks.create({"url": url, "signing_token": WHSEC, "token": "shared"})
    note = gl.note(7, "issue", 5, author_id=ALICE, body="@claude hi")
    assert gl.deliver(hook.id, gl.note_hook(note))["response_status"] == "503"
    clock.now += 100
    log = f"/api/v4/projects/7/hooks/{hook.id}/events"
    (event,) = http_call(gl, "GET", f"{log}?status=server_failure")[2]
    assert (event["response_status"], event["request_data"]["object_attributes"]["id"], event["trigger"]) == (
        "503",
        note["id"],
        "note_hooks",
    )
    assert "shared" not in json.dumps(event)
    assert http_call(gl, "POST", f"{log}/{event['id']}/resend")[::2] == (201, {"response_status": 200})
    (first, body), (second, again) = got
    assert body == again
    assert first["webhook-id"] == second["webhook-id"]
    assert int(second["webhook-timestamp"]) == int(first["webhook-timestamp"]) + 100
    assert second["x-gitlab-token"] == "shared"
    signed = f"{second['webhook-id']}.{second['webhook-timestamp']}.".encode() + again
    assert (
        second["webhook-signature"]
        == "v1," + base64.b64encode(hmac.new(bytes(range(32)), signed, hashlib.sha256).digest()).decode()
    )
    assert [each["response_status"] for each in http_call(gl, "GET", log)[2]] == ["200", "503"]
    assert http_call(gl, "GET", f"{log}?per_page=100")[::2] == (400, {"error": "per_page does not have a valid value"})


def test_a_delivery_that_nobody_answers_is_an_internal_error(gl: GitLab) -> None:
    hook = project(gl).hooks.create({"url": "http://127.0.0.1:9/closed"})
    event = gl.deliver(hook.id, gl.note_hook(gl.note(7, "issue", 5, author_id=ALICE, body="hi")))
    log = f"/api/v4/projects/7/hooks/{hook.id}/events"
    assert [each["response_status"] for each in http_call(gl, "GET", f"{log}?status=server_failure")[2]] == [
        "internal error"
    ]
    assert http_call(gl, "GET", f"{log}?status=200,client_failure")[2] == []
    assert http_call(gl, "POST", f"{log}/{event['id']}/resend")[0] == 422
    hook.url = "http://127.0.0.1:9/moved"
    hook.save()
    assert "URL has changed" in http_call(gl, "POST", f"{log}/{event['id']}/resend")[2]["message"]


def test_sending_again_has_a_limit_of_its_own(gl: GitLab) -> None:
    gl.rate_limit("resend", 0)
    hook = project(gl).hooks.create({"url": "http://127.0.0.1:9/closed"})
    event = gl.deliver(hook.id, gl.note_hook(gl.note(7, "issue", 5, author_id=ALICE, body="hi")))
    assert http_call(gl, "POST", f"/api/v4/projects/7/hooks/{hook.id}/events/{event['id']}/resend")[0] == 429


def test_a_note_hook_is_what_gitlab_19_sends(gl: GitLab) -> None:
    note = gl.note(7, "issue", 5, author_id=ALICE, body="é & @claude", note_id=424242)
    headers, body = gl.note_hook(note)
    payload = json.loads(body)
    assert body.decode() == json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    assert list(payload) == [
        "object_kind",
        "event_type",
        "user",
        "project_id",
        "project",
        "object_attributes",
        "repository",
        "issue",
    ]
    assert (headers["X-Gitlab-Event"], payload["event_type"], payload["object_attributes"]["action"]) == (
        "Note Hook",
        "note",
        "create",
    )
    assert payload["user"] == {
        "id": ALICE,
        "name": "Alice",
        "username": "alice",
        "avatar_url": None,
        "email": "[REDACTED]",
    }
    assert (payload["object_attributes"]["id"], payload["object_attributes"]["note"]) == (424242, "é & @claude")
    assert payload["object_attributes"]["created_at"] == "2026-05-28T20:26:40.000Z"
    assert payload["object_attributes"]["url"] == f"{gl.url}/group/app/-/issues/5#note_424242"
    assert headers["webhook-id"] == headers["Idempotency-Key"]
    assert headers["X-Gitlab-Instance"] == gl.url
    again = gl.note_hook(note["id"], webhook_id=headers["webhook-id"])[0]
    assert again["webhook-id"] == headers["webhook-id"]
    assert again["X-Gitlab-Webhook-UUID"] != headers["X-Gitlab-Webhook-UUID"]


def test_the_recorded_delivery_has_no_field_that_ours_lacks(gl: GitLab) -> None:
    """Key names of fedora-infra's recorded gitlab.com delivery of 2025 (only the names)."""
    payload = json.loads(gl.note_hook(gl.note(7, "issue", 5, author_id=ALICE, body="x"))[1])
    attributes = (
        "author_id change_position created_at discussion_id id line_code note noteable_id noteable_type original_position position project_id resolved_at "
        "resolved_by_id resolved_by_push st_diff system type updated_at updated_by_id description url commit_id action"
    )
    issue = (
        "author_id closed_at confidential created_at description discussion_locked due_date id iid last_edited_at last_edited_by_id milestone_id moved_to_id "
        "duplicated_to_id project_id relative_position state_id time_estimate title updated_at updated_by_id weight health_status type url total_time_spent "
        "time_change human_total_time_spent human_time_change human_time_estimate assignee_ids assignee_id labels state severity customer_relations_contacts"
    )
    project = (
        "id name description web_url avatar_url git_ssh_url git_http_url namespace visibility_level path_with_namespace default_branch ci_config_path "
        "homepage url ssh_url http_url"
    )
    assert set(attributes.split()) <= set(payload["object_attributes"])
    assert set(issue.split()) == set(payload["issue"])
    assert set(project.split()) == set(payload["project"])


def test_internal_notes_and_confidential_issues_make_confidential_deliveries(gl: GitLab) -> None:
    gl.issue(7, 6, confidential=True)
    for note in (
        gl.note(7, "issue", 5, author_id=ALICE, body="x", internal=True),
        gl.note(7, "issue", 6, author_id=ALICE, body="x"),
    ):
        headers, body = gl.note_hook(note)
        assert (headers["X-Gitlab-Event"], json.loads(body)["event_type"]) == (
            "Confidential Note Hook",
            "confidential_note",
        )


def test_an_edit_names_the_author_as_user_and_the_editor_only_by_id(gl: GitLab) -> None:
    note = gl.note(7, "merge_request", 9, author_id=ALICE, body="one", position={"new_path": "a.py", "new_line": 3})
    project(gl, BOB).mergerequests.get(9, lazy=True).notes.update(note["id"], {"body": "two"})
    payload = json.loads(gl.note_hook(note, action="update")[1])
    assert (
        payload["user"]["id"],
        payload["object_attributes"]["updated_by_id"],
        payload["object_attributes"]["note"],
    ) == (ALICE, BOB, "two")
    assert (payload["object_attributes"]["type"], payload["object_attributes"]["position"]["new_line"]) == (
        "DiffNote",
        3,
    )
    assert payload["merge_request"]["last_commit"]["id"] == gl.merge_requests[7, 9]["sha"]


@pytest.mark.parametrize("known", [True, False])
def test_a_fork_shows_in_the_merge_request(gl: GitLab, known: bool) -> None:
    if known:
        gl.project(70, "alice/app")
    gl.merge_request(7, 11, source_branch="main", source_project_id=70)
    merge_request = json.loads(gl.note_hook(gl.note(7, "merge_request", 11, author_id=ALICE, body="x"))[1])[
        "merge_request"
    ]
    assert (
        merge_request["source_project_id"],
        merge_request["target_project_id"],
        merge_request["source"] is None,
    ) == (70, 7, not known)


def test_a_pipeline_hook_shows_the_variables_in_clear(gl: GitLab, clock: Clock) -> None:
    trigger(gl, variables={"AI_FLOW_ID": "r1"}, ai_flow={"id": "r1"})
    pipeline = next(iter(gl.pipelines))
    gl.set_pipeline(pipeline, "running")
    clock.now += 5
    gl.set_pipeline(pipeline, "success")
    headers, body = gl.pipeline_hook(pipeline)
    payload = json.loads(body)
    variables = {each["key"]: each["value"] for each in payload["object_attributes"]["variables"]}
    assert headers["X-Gitlab-Event"] == "Pipeline Hook"
    assert variables["AI_FLOW_ID"] == "r1"
    assert json.loads(variables["TRIGGER_PAYLOAD"])["ai_flow"] == {"id": "r1"}
    assert (
        payload["object_attributes"]["source"],
        payload["object_attributes"]["status"],
        payload["object_attributes"]["duration"],
    ) == ("trigger", "success", 5)
    assert (payload["user"]["id"], payload["merge_request"], payload["builds"][0]["status"]) == (BOT, None, "success")


def test_a_delivery_is_signed_or_carries_the_secret_token(gl: GitLab, clock: Clock) -> None:
    headers, body = gl.note_hook(gl.note(7, "issue", 5, author_id=ALICE, body="x"))
    assert "webhook-signature" not in headers
    signed = GitLab.sign(headers, body, WHSEC, now=clock.now + 7)
    content = f"{headers['webhook-id']}.{int(clock.now) + 7}.".encode() + body
    assert signed["webhook-timestamp"] == str(int(clock.now) + 7)
    assert (
        signed["webhook-signature"]
        == "v1," + base64.b64encode(hmac.new(bytes(range(32)), content, hashlib.sha256).digest()).decode()
    )
    assert GitLab.with_token(headers, "shared")["X-Gitlab-Token"] == "shared"
    with pytest.raises(ValueError, match="32 bytes"):
        GitLab.sign(headers, body, "whsec_short")


# --- rate limits and faults --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "method", "path", "body"),
    [("notes", "POST", NOTES, {"body": "x"}), ("users", "GET", "/api/v4/users/1", None)],
)
def test_a_rate_limit_is_for_each_user_and_says_when_to_come_back(
    gl: GitLab, clock: Clock, name: str, method: str, path: str, body: Any
) -> None:
    clock.now = 1_780_000_020.0 - 20  # twenty seconds before a full minute
    gl.rate_limit(name, 2)
    assert [http_call(gl, method, path, body)[0] for _ in range(3)] == [201 if body else 200] * 2 + [429]
    _, headers, answer = http_call(gl, method, path, body)
    assert answer == {"message": {"error": "This endpoint has been requested too many times. Try again later."}}
    assert (
        headers["retry-after"],
        headers["ratelimit-limit"],
        headers["ratelimit-remaining"],
        headers["ratelimit-observed"],
    ) == ("20", "2", "0", "4")
    assert http_call(gl, method, path, body, user=ALICE)[0] < 300
    clock.now += 20
    assert http_call(gl, method, path, body)[0] < 300


def test_the_limit_on_the_whole_api_answers_in_plain_text(gl: GitLab) -> None:
    gl.rate_limit("api", 1)
    assert http_call(gl, "GET", "/api/v4/user")[0] == 200
    status, headers, body = http_call(gl, "GET", "/api/v4/user")
    assert (status, headers["content-type"], body) == (429, "text/plain", "Retry later\n")
    assert trigger(gl)[0] == 201  # no API token, no user, no limit


def test_faults_come_in_order_one_a_request(gl: GitLab) -> None:
    gl.fault(f"POST {TRIGGER}", Fault.status(503), Fault.status(429, retry_after=2), Fault.ok(), Fault.status(500))
    gl.fault("GET *", Fault.status(418))
    assert [trigger(gl)[0] for _ in range(5)] == [503, 429, 201, 500, 201]
    assert len(gl.pipelines) == 2
    assert [call.fault for call in gl.calls] == ["status 503", "status 429", "ok", "status 500", None]
    assert [call.acted for call in gl.calls] == [None, None, 201, None, 201]
    assert gl.pending_faults == ["GET *: status 418"]


def test_a_fault_looks_like_the_layer_it_comes_from(gl: GitLab) -> None:
    gl.fault(
        "GET *",
        Fault.status(502),
        Fault.status(429, retry_after=7),
        Fault.status(403),
        Fault.status(400, message={"base": ["x"]}),
    )
    answers = [http_call(gl, "GET", "/api/v4/user") for _ in range(4)]
    assert [(status, headers["content-type"]) for status, headers, _ in answers] == [
        (502, "text/html"), (429, "text/plain"), (403, "application/json"), (400, "application/json"),
    ]  # fmt: skip
    assert answers[1][1]["retry-after"] == "7"
    assert answers[3][2] == {"message": {"base": ["x"]}}


def test_wildcards_match_and_a_projects_path_is_its_id(gl: GitLab) -> None:
    gl.fault("* /api/v4/projects/7/*", Fault.status(500), Fault.status(500))
    assert http_call(gl, "GET", f"/api/v4/projects/{quote('group/app', safe='')}/pipelines")[0] == 500
    assert http_call(gl, "POST", NOTES, {"body": "x"})[0] == 500
    assert http_call(gl, "GET", "/api/v4/projects/7/pipelines")[0] == 200


@pytest.mark.parametrize(
    ("fault", "made"),
    [
        (Fault.reset_before(), 0),
        (Fault.act_then_reset(), 1),
        (Fault.hang(0.02), 0),
        (Fault.act_then_hang(0.02), 1),
    ],
)
def test_a_dropped_connection_tells_nothing_about_what_was_done(gl: GitLab, fault: Fault, made: int) -> None:
    gl.fault(f"POST {TRIGGER}", fault)
    with pytest.raises(ConnectionResetError):
        trigger(gl)
    assert len(gl.pipelines) == made
    assert (gl.calls[-1].status, gl.calls[-1].acted) == (None, 201 if made else None)
    assert trigger(gl)[0] == 201


@pytest.mark.parametrize(
    ("fault", "status", "made"),
    [(Fault.broken_json(), 200, 1), (Fault.broken_json(acts=False), 200, 0), (Fault.status(504, acts=True), 504, 1)],
)
def test_a_spoilt_answer_may_hide_a_deed(gl: GitLab, fault: Fault, status: int, made: int) -> None:
    gl.fault("POST *", fault)
    with pytest.raises((python_gitlab.GitlabParsingError, python_gitlab.GitlabCreateError)):
        project(gl).trigger_pipeline("main", "glptt-bot")
    assert (gl.calls[-1].status, len(gl.pipelines)) == (status, made)


def test_a_redirect_and_a_slow_answer(gl: GitLab) -> None:
    gl.fault("GET *", Fault.redirect("http://elsewhere.invalid/"), Fault.slow(0.02))
    status, headers, _ = http_call(gl, "GET", "/api/v4/user")
    assert (status, headers["location"]) == (302, "http://elsewhere.invalid/")
    assert http_call(gl, "GET", "/api/v4/user")[0] == 200


def test_a_silent_server_ends_with_the_stand_in(clock: Clock) -> None:
    failures: list[Exception] = []
    with GitLab(clock=clock) as gl:
        gl.fault("GET *", Fault.hang(60))

        def call() -> None:
            try:
                http_call(gl, "GET", "/api/v4/user")
            except OSError as error:
                failures.append(error)
            except http.client.HTTPException as error:
                failures.append(error)

        caller = threading.Thread(target=call)
        caller.start()
        while not gl.calls:
            time.sleep(0.001)
    caller.join(1)
    assert not caller.is_alive()
    assert len(failures) == 1


# --- the server itself -------------------------------------------------------------------------------------------------------------------


def test_many_connections_at_once_lose_nothing(gl: GitLab) -> None:
    def work(number: int) -> None:
        connection = http.client.HTTPConnection(gl.url.removeprefix("http://"), timeout=5)
        for each in range(20):
            connection.request(
                "POST",
                NOTES,
                json.dumps({"body": f"{number} {each}"}),
                {"PRIVATE-TOKEN": "token-3", "Content-Type": "application/json"},
            )
            assert connection.getresponse().read()
        connection.close()

    workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len({note["body"] for note in gl.notes.values()}) == len(gl.notes) == len(gl.calls) == 160


def test_calls_are_recorded_whole_and_shown_without_tokens(gl: GitLab) -> None:
    http_call(gl, "POST", f"{TRIGGER}?token=glptt-bot", {"ref": "main"}, user=None, X_Request="1")
    (call,) = gl.calls
    assert (call.method, call.path, call.query, call.json, call.status) == (
        "POST",
        TRIGGER,
        {"token": "glptt-bot"},
        {"ref": "main"},
        201,
    )
    assert call.headers["x-request"] == "1"
    assert repr(call) == f"<POST {TRIGGER} → 201>"


def test_a_body_that_cannot_be_read_is_refused(gl: GitLab) -> None:
    assert http_call(gl, "POST", NOTES, "{", Content_Type="application/json")[0] == 400
    assert http_call(gl, "POST", NOTES, "[1]", Content_Type="application/json")[0] == 400
    assert http_call(gl, "POST", NOTES, "x", Content_Type="text/plain")[0] == 415
    gl.calls.pop()  # 415 is Rack's, not in GitLab's API file


def test_an_endpoint_that_is_not_there_is_404_and_remembered() -> None:
    with GitLab() as gl:
        gl.user(1, "alice")
        gl.api_token("token-3", 1)
        for path in (
            "/api/v4/projects/7/trigger/pipelines",
            "/api/v4/usr",
            "/api/v4//user",
            "/group/app.git/info/refs",
        ):
            assert http_call(gl, "GET", path)[::2] == (404, {"error": "404 Not Found"})
        assert len(gl.unknown_calls) == 4


def test_a_mistake_in_the_stand_in_fails_the_test_that_met_it() -> None:
    with pytest.raises(AssertionError, match="KeyError"), GitLab() as gl:
        gl.user(1, "alice")
        gl.api_token("token-3", 1)
        del gl.users[1]
        assert http_call(gl, "GET", "/api/v4/user")[0] == 500


def test_seeds_say_what_is_missing() -> None:
    gl = GitLab()
    gl.user(1, "alice")
    gl.project(7, "group/app")
    with pytest.raises(KeyError, match="no issue 5"):
        gl.note(7, "issue", 5, author_id=1, body="x")
    with pytest.raises(KeyError, match="no user 2"):
        gl.member(7, 2, 30)
    with pytest.raises(KeyError, match="no project 8"):
        gl.issue(8, 1)
    with pytest.raises(ValueError, match="variables_role"):
        gl.project(9, "group/x", variables_role="developers")


# --- the contract ------------------------------------------------------------------------------------------------------------------------


def call(
    method: str, path: str, *, query: Any = None, body: Any = None, status: int = 200, response: Any = None
) -> Call:
    return Call(
        method,
        path,
        query or {},
        {"content-type": "application/json"},
        body or {},
        0.0,
        status,
        status,
        response if response is not None else {},
    )


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (call("POST", "/api/v4/projects/7/trigger/pipelines"), "no such endpoint"),
        (call("PUT", TRIGGER), "no such endpoint"),
        (
            call("POST", TRIGGER, body={"token": "t", "ref": "main", "variable": {}}, status=201),
            "body parameter 'variable' is unknown",
        ),
        (call("POST", TRIGGER, body={"ref": "main"}, status=201), "'token' is required"),
        (
            call("GET", "/api/v4/projects/7/pipelines", query={"sources": "trigger"}, response=[]),
            "query parameter 'sources' is unknown",
        ),
        (call("GET", "/api/v4/projects/7/pipelines", query={"source": "triger"}, response=[]), "not one of"),
        (call("GET", "/api/v4/projects/7/pipelines", query={"page": "two"}, response=[]), "not integer"),
        (call("POST", NOTES, body={"body": 5}, status=201), "not string"),
        (call("POST", NOTES, body={"body": "x"}, status=200), "status 200"),
        (call("GET", f"{NOTES}/1", response={"id": 1, "text": "x"}), "'text'"),
        (call("GET", NOTES, response=[{"id": "1"}]), "the answer.id"),
        (
            call("GET", f"{NOTES}/1", response={"id": 1, "author": {"id": 1, "user_name": "x"}}),
            "the answer.author has a field 'user_name'",
        ),
        (call("GET", f"{NOTES}/1", response={"created_at": "2026-05-28 20:26:40 UTC"}), "not a date and time"),
        (call("GET", "/api/v4/projects/7/members/all/1", response={"access_level": "30"}), "not integer"),
        (call("GET", "/api/v4/user", status=500, response={}), "status 500"),
        (call("GET", "/api/v4/user", status=404, response={"messages": "x"}), "not `message` or `error`"),
    ],
)
def test_a_typo_does_not_pass_the_contract(made: Call, words: str) -> None:
    (problem,) = contract.check(made)
    assert words in problem


@pytest.mark.parametrize(
    "made",
    [
        call(
            "POST",
            TRIGGER,
            body={"token": "t", "ref": "main", "ai_flow": {"a": 1}},
            status=422,
            response={"message": "jobs config"},
        ),
        call(
            "GET",
            "/api/v4/projects/group%2Fapp/pipelines",
            query={"source": "trigger", "per_page": "100"},
            response=[{"id": 1, "ref": None}],
        ),
        call("GET", "/api/v4/projects/7/members/all/1", response={"access_level": 30}),
        call("GET", "/api/v4/projects/7/issues/5/discussions", response=[{"id": "a", "notes": [{"id": 1}]}]),
        call(
            "GET", "/api/v4/projects/7/hooks/1/events", query={"status": "server_failure"}, response=[{"anything": 1}]
        ),
    ],
)
def test_documented_deviations_pass_the_contract(made: Call) -> None:
    assert contract.check(made) == []


def test_every_endpoint_of_the_slice_is_built_and_the_other_way_round() -> None:
    from tests.gitlab import routing, server  # noqa: F401

    def leaves(node: dict[Any, Any], path: str) -> Iterator[tuple[str, str]]:
        for segment, below in node.items():
            if segment == "":
                yield from ((method, path) for method in below)
            else:
                yield from leaves(below, f"{path}/{'1' if segment is None else segment}")

    built = set(leaves(routing._ROUTES, "/api/v4"))
    assert [each for each in built if contract._operation(*each) is None] == []
    assert len(built) == sum(len(methods.split()) for methods in contract.OPERATIONS.values())


def test_the_slice_names_its_source_and_licence() -> None:
    whole = json.loads(contract.SLICE.read_text(encoding="utf-8"))
    assert list(whole)[:2] == ["x-source", "x-licence"]
    assert whole["x-licence"] == "CC BY-SA 4.0"
