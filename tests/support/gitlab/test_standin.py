"""What the GitLab stand-in promises: GitLab's own answers, faults on request, a contract that a
typo cannot pass.
"""

import base64
import contextlib
import hashlib
import hmac
import http.client
import json
import re
import threading
import time
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, NamedTuple
from urllib.parse import quote

import gitlab as python_gitlab
import pytest

from tests.support.fakes import Clock
from tests.support.gitlab import contract, cut, quick_actions, routing
from tests.support.gitlab.server import Call, Fault, GitLab, Record

ALICE, BOB, BOT, GUEST, ROOT, STRANGER = 1, 2, 3, 4, 5, 6
PROJECT = "/api/v4/projects/7"
TRIGGER = f"{PROJECT}/trigger/pipeline"
NOTES = "issues/5/notes"
WHSEC = "whsec_" + base64.b64encode(bytes(range(32))).decode()
NO_RECORD = (404, {"message": "404 Not found"})
FORBIDDEN = (403, {"message": "403 Forbidden"})


def populate(gl: GitLab) -> None:
    """Add six people, a project with four of them as members, and trigger tokens of two."""
    for number, name in enumerate(("alice", "bob", "claude_bot", "guest", "root", "stranger"), 1):
        gl.user(number, name, bot=number == BOT, admin=number == ROOT)
        gl.api_token(f"token-{number}", number)
    gl.project(7, "group/app")
    for user, level in ((ALICE, 30), (BOB, 40), (BOT, 40), (GUEST, 10)):
        gl.member(7, user, level)
    gl.trigger_token("glptt-bot", 7, BOT)
    gl.trigger_token("glptt-alice", 7, ALICE)


@pytest.fixture
def clock() -> Clock:
    return Clock(1_780_000_000.0)  # 28 May 2026, 20:26:40 UTC


@pytest.fixture
def gl(clock: Clock) -> Iterator[GitLab]:
    """A project with an issue, a merge request and people; in the end every call has kept to
    GitLab's API file.
    """
    with GitLab(clock=clock) as gl:
        populate(gl)
        gl.issue(7, 5, title="A bug", labels=["bug"])
        gl.merge_request(
            7, 9, source_branch="fix", diffs=[{"new_path": "a.py", "diff": "@@ -1 +1 @@"}]
        )
        yield gl
        assert not gl.unknown_calls
        assert [problem for call in gl.calls for problem in contract.check(call)] == []


def client(gl: GitLab, user: int = BOT) -> python_gitlab.Gitlab:
    return python_gitlab.Gitlab(gl.url, private_token=f"token-{user}", timeout=5)


def project(gl: GitLab, user: int = BOT) -> Any:
    return client(gl, user).projects.get(7, lazy=True)


def issue(gl: GitLab, user: int = BOT) -> Any:
    return project(gl, user).issues.get(5, lazy=True)


def merge_request(gl: GitLab, user: int = BOT) -> Any:
    return project(gl, user).mergerequests.get(9, lazy=True)


def wire(
    gl: GitLab, line: str, body: Any = None, user: int | None = BOT, **headers: str
) -> tuple[int, dict[str, str], Any]:
    """Send `METHOD path`, below the project unless it begins with a slash; return status, headers
    and body.
    """
    method, _, path = line.partition(" ")
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if user is not None:
        sent["PRIVATE-TOKEN"] = f"token-{user}"
    if isinstance(body, dict):
        body, sent["Content-Type"] = json.dumps(body), "application/json"
    with contextlib.closing(
        http.client.HTTPConnection(gl.url.removeprefix("http://"), timeout=5)
    ) as connection:
        connection.request(
            method, path if path.startswith("/") else f"{PROJECT}/{path}", body, sent
        )
        response = connection.getresponse()
        text = response.read().decode()
    found = {name.lower(): value for name, value in response.getheaders()}
    return (
        response.status,
        found,
        json.loads(text) if found.get("content-type") == "application/json" else text,
    )


def api(
    gl: GitLab, line: str, body: Any = None, user: int | None = BOT, **headers: str
) -> tuple[int, Any]:
    return wire(gl, line, body, user, **headers)[::2]


def trigger(
    gl: GitLab, token: str = "glptt-bot", ref: str = "main", **more: Any
) -> tuple[int, Any]:
    return api(gl, "POST trigger/pipeline", {"token": token, "ref": ref, **more}, user=None)


def comment(
    gl: GitLab, body: str = "x", *, kind: str = "issue", iid: int | str = 5, **more: Any
) -> Record:
    return gl.note(7, kind, iid, body=body, **{"author_id": ALICE, **more})


def bodies(notes: Iterable[Any]) -> list[str]:
    return [note["body"] for note in notes]


def base(text: str) -> tuple[int, Any]:
    return 400, {"message": {"base": [text]}}


# --- who is asking, and what they may see ---------------------------------------------------------


@pytest.mark.parametrize(
    "headers", [{}, {"PRIVATE_TOKEN": "wrong"}, {"Authorization": "Bearer wrong"}]
)
def test_without_a_known_token_everything_is_401(gl: GitLab, headers: dict[str, str]) -> None:
    for path in ("/api/v4/user", PROJECT, NOTES):
        assert api(gl, f"GET {path}", user=None, **headers) == (
            401,
            {"message": "401 Unauthorized"},
        )


def test_a_token_is_taken_from_either_header(gl: GitLab) -> None:
    assert api(gl, "GET /api/v4/user")[1]["username"] == "claude_bot"
    assert (
        api(gl, "GET /api/v4/user", user=None, Authorization="Bearer token-1")[1]["username"]
        == "alice"
    )


def test_a_token_that_may_only_read_cannot_write(gl: GitLab) -> None:
    gl.api_token("reader", BOT, scopes=("read_api",))
    assert api(gl, f"GET {NOTES}", user=None, PRIVATE_TOKEN="reader")[0] == 200
    status, body = api(gl, f"POST {NOTES}", {"body": "hi"}, user=None, PRIVATE_TOKEN="reader")
    assert (status, body["error"]) == (403, "insufficient_scope")


def test_a_blocked_users_token_is_refused(gl: GitLab) -> None:
    gl.user(ALICE, "alice", state="blocked")
    assert api(gl, "GET /api/v4/user", user=ALICE)[0] == 403


def test_bot_shows_on_the_user_and_not_on_the_member(gl: GitLab) -> None:
    assert [client(gl).users.get(user).bot for user in (BOT, ALICE)] == [True, False]
    assert "bot" not in project(gl).members_all.get(BOT).attributes


def test_external_shows_to_administrators_only(gl: GitLab) -> None:
    gl.user(ALICE, "alice", external=True)
    assert "external" not in client(gl).users.get(ALICE).attributes
    assert client(gl, ROOT).users.get(ALICE).external is True


def test_an_unknown_user_is_404(gl: GitLab) -> None:
    assert api(gl, "GET /api/v4/users/99") == (404, {"message": "404 User Not Found"})
    assert api(gl, "GET /api/v4/users/x") == (400, {"error": "user_id is invalid"})


def test_a_project_is_found_by_id_and_by_path(gl: GitLab) -> None:
    assert client(gl).projects.get("group/app").id == 7
    assert client(gl).projects.get(7).path_with_namespace == "group/app"


def test_the_variables_role_shows_to_maintainers_only(gl: GitLab) -> None:
    assert client(gl).projects.get(7).ci_pipeline_variables_minimum_override_role == "developer"
    assert not hasattr(
        client(gl, ALICE).projects.get(7), "ci_pipeline_variables_minimum_override_role"
    )


@pytest.mark.parametrize(
    ("visibility", "external", "status"),
    [
        ("private", False, 404),
        ("internal", False, 200),
        ("internal", True, 404),
        ("public", True, 200),
    ],
)
def test_a_project_that_one_may_not_see_does_not_exist(
    gl: GitLab, visibility: str, *, external: bool, status: int
) -> None:
    gl.projects[7].visibility = visibility
    gl.user(STRANGER, "stranger", external=external)
    found, body = api(gl, f"GET {PROJECT}", user=STRANGER)
    assert found == status
    assert found == 200 or body == {"message": "404 Project Not Found"}


def test_a_member_has_a_level_a_state_and_an_end(gl: GitLab) -> None:
    gl.member(7, ALICE, 30, state="awaiting", expires_at="2026-12-31")
    member = project(gl).members_all.get(ALICE)
    assert (member.access_level, member.state, member.membership_state) == (
        30,
        "active",
        "awaiting",
    )
    assert member.expires_at == "2026-12-31"


def test_a_user_who_is_no_member_is_404(gl: GitLab) -> None:
    gl.remove_member(7, ALICE)
    assert api(gl, "GET members/all/1") == NO_RECORD
    with pytest.raises(python_gitlab.GitlabGetError):
        project(gl).members_all.get(STRANGER)


# --- the trigger ----------------------------------------------------------------------------------


def test_a_trigger_starts_a_pipeline_as_the_tokens_owner(gl: GitLab) -> None:
    pipeline = project(gl, ALICE).trigger_pipeline(
        "main", "glptt-bot", {"AI_FLOW_EVENT": "mention"}
    )
    assert (pipeline.source, pipeline.status, pipeline.ref) == ("trigger", "created", "main")
    assert (pipeline.user["id"], pipeline.iid) == (BOT, 1)
    assert pipeline.web_url == f"{gl.url}/group/app/-/pipelines/{pipeline.id}"


def test_the_job_gets_the_whole_body_but_the_token(gl: GitLab) -> None:
    assert trigger(gl, variables={"A": "$X"}, ai_flow={"text": "<b> & $HOME"})[0] == 201
    *variables, payload = next(iter(gl.pipelines.values()))["variables"]
    assert variables == [{"key": "A", "value": "$X", "variable_type": "env_var", "raw": False}]
    assert (payload["key"], payload["variable_type"], payload["raw"]) == (
        "TRIGGER_PAYLOAD",
        "file",
        True,
    )
    text = r'{"ref":"main","variables":{"A":"$X"},"ai_flow":{"text":"\u003cb\u003e \u0026 $HOME"},"id":"7"}'
    assert payload["value"] == text


def test_a_form_does_as_well_and_the_ref_may_be_in_the_path(gl: GitLab) -> None:
    form = "token=glptt-bot&ref=main&variables%5BA%5D=1&variables[B]=a%26b"
    kind = "application/x-www-form-urlencoded"
    assert api(gl, "POST trigger/pipeline", form, user=None, Content_Type=kind)[0] == 201
    answer = api(gl, "POST ref/fix/trigger/pipeline?token=glptt-bot", {"ref": "main"}, user=None)[1]
    assert answer["ref"] == "fix"
    first = next(iter(gl.pipelines.values()))
    assert [(each["key"], each["value"]) for each in first["variables"][:2]] == [
        ("A", "1"),
        ("B", "a&b"),
    ]


def test_all_ways_to_have_the_wrong_token_look_alike(gl: GitLab) -> None:
    gl.project(8, "group/other")
    gl.trigger_token("glptt-other", 8, BOT)
    gl.trigger_token("glptt-stranger", 7, STRANGER)
    for number, token in (
        (7, "glptt-x"),
        (7, "glptt-other"),
        (7, "token-3"),
        (7, "glptt-stranger"),
        (9, "glptt-bot"),
    ):
        line, body = (
            f"POST /api/v4/projects/{number}/trigger/pipeline",
            {"token": token, "ref": "main"},
        )
        assert api(gl, line, body, user=None) == (404, {"message": "404 Not Found"})


def test_a_webhooks_header_on_the_trigger_is_403(gl: GitLab) -> None:
    body = {"token": "glptt-bot", "ref": "main"}
    assert (
        api(gl, "POST trigger/pipeline", body, user=None, X_Gitlab_Event="Pipeline Hook")
        == FORBIDDEN
    )
    assert api(gl, "POST trigger/pipeline", body, user=None, X_Gitlab_Event="Note Hook")[0] == 201


@pytest.mark.parametrize(
    ("changes", "answer"),
    [
        ({"ref": None}, {"error": "ref is missing"}),
        ({"token": None}, {"error": "token is missing"}),
        ({"ref": ""}, {"error": "ref is empty"}),
        ({"variables": "A=1"}, {"error": "variables is invalid"}),
        ({"variables": {"A": 1}}, {"message": "variables needs to be a map of key-valued strings"}),
        (
            {"variables": {"A": None}},
            {"message": "variables needs to be a map of key-valued strings"},
        ),
        ({"ref": "gone"}, {"message": {"base": ["Reference not found"]}}),
        ({"ref": "refs/merge-requests/9/head"}, {"message": {"base": ["Reference not found"]}}),
    ],
)
def test_a_malformed_trigger_call_is_400(
    gl: GitLab, changes: dict[str, Any], answer: dict[str, Any]
) -> None:
    body = {"token": "glptt-bot", "ref": "main", **changes}
    assert api(gl, "POST trigger/pipeline", body, user=None) == (400, answer)
    assert not gl.pipelines


@pytest.mark.parametrize(
    ("role", "allowed"),
    [("developer", True), ("maintainer", True), ("owner", False), ("no_one_allowed", False)],
)
def test_a_project_may_forbid_variables_but_not_the_payload(
    gl: GitLab, role: str, *, allowed: bool
) -> None:
    gl.projects[7].variables_role = role
    answer = trigger(gl, variables={"A": "1"})
    assert (
        answer[0] == 201
        if allowed
        else answer == base("Insufficient permissions to set pipeline variables")
    )
    assert trigger(gl, ai_flow={"still": "there"})[0] == 201
    assert trigger(gl, variables={})[0] == 201


def test_the_owners_rights_count(gl: GitLab) -> None:
    gl.trigger_token("glptt-guest", 7, GUEST)
    assert trigger(gl, "glptt-guest") == base("Insufficient permissions to create a new pipeline")
    gl.user(BOT, "claude_bot", state="blocked")
    assert trigger(gl)[0] == 404


def test_a_protected_branch_asks_for_a_maintainer_unless_developers_may_merge(gl: GitLab) -> None:
    status, body = trigger(gl, "glptt-alice")
    assert status == 400
    assert body["message"]["base"][0].startswith(
        "You do not have sufficient permission to run a pipeline on 'main'"
    )
    assert trigger(gl, "glptt-alice", ref="fix")[0] == 201
    gl.projects[7].protected["main"] = 30
    assert trigger(gl, "glptt-alice")[0] == 201


def test_tags_and_full_refs_are_refs_and_a_name_for_both_is_ambiguous(gl: GitLab) -> None:
    gl.projects[7].tags["v1"] = "1" * 40
    assert trigger(gl, ref="v1")[1]["tag"] is True
    assert trigger(gl, ref="refs/heads/main")[1]["ref"] == "main"
    gl.projects[7].tags["main"] = "2" * 40
    assert trigger(gl) == base("Ref is ambiguous")
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
    made = [pipeline["status"] for pipeline in gl.pipelines.values()]
    assert made == {201: ["created"], 400: [], 422: ["failed"]}[status]


def test_a_variable_called_trigger_payload_is_one_too_many(gl: GitLab) -> None:
    answer = trigger(gl, variables={"TRIGGER_PAYLOAD": "x"})
    assert answer == (422, {"message": "Duplicate variable name: TRIGGER_PAYLOAD"})


def test_too_many_pipelines_is_a_400(gl: GitLab, clock: Clock) -> None:
    gl.rate_limit("pipelines", 1)
    assert trigger(gl)[0] == 201
    assert trigger(gl) == base("Too many pipelines created in the last minute. Try again later.")
    clock.time += 60
    assert trigger(gl)[0] == 201


# --- pipelines ------------------------------------------------------------------------------------


def test_pipelines_are_listed_newest_first_by_source_ref_and_time(gl: GitLab, clock: Clock) -> None:
    for ref in ("main", "fix", "main"):
        trigger(gl, ref=ref)
        clock.time += 10
    first, second, third = gl.pipelines

    def listed(**filters: str) -> list[int]:
        return [pipeline.id for pipeline in project(gl).pipelines.list(get_all=True, **filters)]

    assert listed(source="trigger") == [third, second, first]
    assert listed(ref="main", sort="asc") == [first, third]
    assert listed(created_after="2026-05-28T20:26:50Z") == [third, second]
    assert listed(source="push") == []
    gl.set_pipeline(first, "running")
    assert listed(order_by="updated_at") == [first, third, second]
    assert listed(updated_after="2026-05-28T20:27:05+00:00") == [first]
    assert listed(
        created_before="2026-05-28T20:26:40Z", status="running", username="claude_bot"
    ) == [first]


def test_a_wrong_filter_is_400(gl: GitLab) -> None:
    assert api(gl, "GET pipelines?source=triger") == (
        400,
        {"error": "source does not have a valid value"},
    )
    assert api(gl, "GET pipelines?created_after=yesterday") == (
        400,
        {"error": "created_after is invalid"},
    )


def test_a_pipeline_can_be_found_by_the_name_its_workflow_gives_it(gl: GitLab) -> None:
    gl.projects[7].workflow_name = lambda record: json.loads(record["variables"][-1]["value"])[
        "ai_flow"
    ]["id"]
    trigger(gl, ai_flow={"id": "r1"})
    trigger(gl, ai_flow={"id": "r2"})
    (found,) = project(gl).pipelines.list(name="r2", get_all=True)
    assert project(gl).pipelines.get(found.id).name == "r2"


def test_variables_are_for_maintainers_and_for_whoever_triggered(gl: GitLab) -> None:
    trigger(gl, "glptt-alice", ref="fix", variables={"A": "1"})
    (pipeline,) = gl.pipelines
    for user in (ALICE, BOB):
        variables = (
            project(gl, user).pipelines.get(pipeline, lazy=True).variables.list(get_all=True)
        )
        assert [each.key for each in variables] == ["A", "TRIGGER_PAYLOAD"]
    assert api(gl, f"GET pipelines/{pipeline}/variables", user=GUEST) == FORBIDDEN


def test_a_pipeline_moves_on_with_its_jobs(gl: GitLab, clock: Clock) -> None:
    trigger(gl)
    (number,) = gl.pipelines
    gl.set_pipeline(number, "running")
    clock.time += 30
    gl.set_pipeline(number, "failed", failure_reason="script_failure")
    pipeline = project(gl).pipelines.get(number)
    assert (pipeline.status, pipeline.duration) == ("failed", 30)
    (job,) = pipeline.jobs.list(get_all=True)
    assert (job.name, job.status, job.failure_reason) == ("claude", "failed", "script_failure")


def test_canceling_what_has_ended_is_no_error(gl: GitLab) -> None:
    trigger(gl)
    trigger(gl)
    first, second = gl.pipelines
    gl.set_pipeline(first, "success")
    for number in (first, second):
        project(gl).pipelines.get(number, lazy=True).cancel()
    assert [gl.pipelines[number]["status"] for number in (first, second)] == ["success", "canceled"]
    assert api(gl, f"POST pipelines/{second}/cancel", user=GUEST) == FORBIDDEN
    assert api(gl, "GET pipelines/99") == NO_RECORD


# --- issues, merge requests, notes, discussions, emoji --------------------------------------------


def test_issues_and_merge_requests_are_shown_to_those_who_may_read_them(gl: GitLab) -> None:
    gl.issue(7, 6, confidential=True, author_id=ALICE)
    assert (project(gl).issues.get(5).title, project(gl).issues.get(5).labels) == ("A bug", ["bug"])
    found = project(gl).mergerequests.get(9)
    assert (found.source_branch, found.source_project_id, found.sha) == (
        "fix",
        7,
        gl.projects[7].branches["fix"],
    )
    assert [each["new_path"] for each in api(gl, "GET merge_requests/9/diffs")[1]] == ["a.py"]
    assert api(gl, "GET issues/6", user=GUEST) == NO_RECORD
    assert api(gl, "GET issues/6/notes", user=GUEST) == (404, {"message": "404 Issue Not Found"})
    assert api(gl, "GET merge_requests/9", user=GUEST) == FORBIDDEN


@pytest.mark.parametrize("noteable", [issue, merge_request])
def test_a_note_is_written_read_changed_and_deleted(gl: GitLab, noteable: Any) -> None:
    note = noteable(gl).notes.create({"body": "one"})
    note.body = "two"
    note.save()
    assert noteable(gl).notes.get(note.id).body == "two"
    assert [each.body for each in noteable(gl).notes.list(get_all=True)] == ["two"]
    note.delete()
    assert noteable(gl).notes.list(get_all=True) == []


def test_only_the_author_or_a_maintainer_changes_a_note(gl: GitLab) -> None:
    note = comment(gl, author_id=BOB)
    assert api(gl, f"PUT {NOTES}/{note['id']}", {"body": "theirs"}, user=ALICE) == FORBIDDEN
    assert api(gl, f"DELETE {NOTES}/{note['id']}", user=ALICE) == FORBIDDEN
    assert api(gl, f"PUT {NOTES}/{note['id']}", {"body": "ours"}, user=BOT)[0] == 200
    assert (note["body"], note["updated_by_id"], note["author_id"]) == ("ours", BOT, BOB)


def test_notes_come_newest_first_and_in_pages(gl: GitLab) -> None:
    for number in range(45):
        comment(gl, str(number), system=number == 0)
    notes = issue(gl).notes
    assert [each.body for each in notes.list(iterator=True, per_page=10)] == [
        str(n) for n in range(44, -1, -1)
    ]
    assert [each.body for each in notes.list(sort="asc", per_page=3, page=2)] == ["3", "4", "5"]
    assert len(notes.list(activity_filter="only_comments", get_all=True)) == 44


def test_a_page_says_where_it_is(gl: GitLab) -> None:
    for _ in range(45):
        comment(gl)
    status, headers, body = wire(gl, f"GET {NOTES}?page=2")
    assert (status, len(body)) == (200, 20)
    assert (headers["x-page"], headers["x-next-page"], headers["x-prev-page"]) == ("2", "3", "1")
    assert (headers["x-per-page"], headers["x-total"], headers["x-total-pages"]) == (
        "20",
        "45",
        "3",
    )
    assert f'<{gl.url}{PROJECT}/{NOTES}?page=3&per_page=20>; rel="next"' in headers["link"]
    assert wire(gl, f"GET {NOTES}?per_page=500")[1]["x-per-page"] == "100"
    assert api(gl, f"GET {NOTES}?per_page=0")[0] == 400


def test_a_page_is_short_where_its_reader_may_not_see_all(gl: GitLab) -> None:
    gl.projects[7].visibility = "public"
    for internal in (False, True, False):
        comment(gl, internal=internal)
    status, headers, body = wire(gl, f"GET {NOTES}?per_page=2", user=STRANGER)
    assert (status, len(body), headers["x-total"]) == (200, 1, "3")


def test_an_internal_note_is_hidden_and_its_reply_is_internal_too(gl: GitLab) -> None:
    note = comment(gl, internal=True)
    thread = f"issues/5/discussions/{note['discussion_id']}/notes"
    assert api(gl, f"GET {NOTES}/{note['id']}", user=GUEST) == (
        404,
        {"message": "404 Note Not Found"},
    )
    assert api(gl, f"POST {thread}", {"body": "x"}, user=GUEST) == (
        404,
        {"message": "404 Discussion Not Found"},
    )
    reply = issue(gl).discussions.get(note["discussion_id"], lazy=True).notes.create({"body": "x"})
    assert (reply.internal, reply.confidential) == (True, True)
    assert issue(gl).notes.create({"body": "x"}).internal is False
    assert issue(gl).notes.create({"body": "x", "internal": True}).internal is True


def test_a_reply_makes_a_thread_of_a_single_note(gl: GitLab) -> None:
    note = comment(gl, "one", kind="merge_request", iid=9)
    discussions = merge_request(gl).discussions
    assert discussions.get(note["discussion_id"]).individual_note is True
    discussions.get(note["discussion_id"], lazy=True).notes.create({"body": "two"})
    thread = discussions.get(note["discussion_id"])
    assert (thread.individual_note, bodies(thread.attributes["notes"])) == (False, ["one", "two"])
    assert bodies(api(gl, f"GET merge_requests/9/discussions/{thread.id}/notes")[1]) == [
        "one",
        "two",
    ]
    assert len(discussions.list(get_all=True)) == 1


def test_notes_and_discussions_belong_to_one_issue(gl: GitLab) -> None:
    note = comment(gl)
    status, body = api(gl, f"GET merge_requests/9/discussions/{note['discussion_id']}")
    assert (status, body) == (404, {"message": "404 Discussion Not Found"})
    assert api(gl, f"GET merge_requests/9/notes/{note['id']}") == NO_RECORD


def test_a_new_discussion_may_hang_on_a_line(gl: GitLab) -> None:
    position = {
        "base_sha": "a",
        "start_sha": "a",
        "head_sha": "b",
        "position_type": "text",
        "new_line": 3,
    }
    thread = merge_request(gl).discussions.create({"body": "here", "position": position})
    note = thread.attributes["notes"][0]
    assert (note["type"], note["position"], note["resolvable"]) == ("DiffNote", position, True)
    assert issue(gl).discussions.create({"body": "x"}).individual_note is False


def test_a_system_note_takes_no_reply_and_no_emoji(gl: GitLab) -> None:
    note = comment(gl, "changed the title", system=True)
    answer = api(gl, f"POST issues/5/discussions/{note['discussion_id']}/notes", {"body": "hi"})
    assert answer == (400, {"message": "400 Bad request - Discussion can not be replied to."})
    assert api(gl, f"POST {NOTES}/{note['id']}/award_emoji", {"name": "eyes"})[0] == 404


def test_quick_actions_are_taken_out_and_written_down(gl: GitLab) -> None:
    text = "Done.\n/close\n```\n/merge\n```\n /approve"
    assert issue(gl).notes.create({"body": text}).body == "Done.\n```\n/merge\n```\n /approve"
    status, body = api(gl, f"POST {NOTES}", {"body": "/assign @bob\n/label ~bug"})
    assert (status, sorted(body)) == (202, ["commands_changes", "summary"])
    ran = [
        (each["command"], each["arguments"], each["user_id"]) for each in gl.quick_actions_executed
    ]
    assert ran == [("close", "", BOT), ("assign", "@bob", BOT), ("label", "~bug", BOT)]
    assert len(gl.notes) == 1


def test_quick_actions_run_in_an_edit_as_well(gl: GitLab) -> None:
    note = comment(gl, author_id=BOT)
    assert api(gl, f"PUT {NOTES}/{note['id']}", {"body": "done\n/close"})[1]["body"] == "done"
    assert api(gl, f"PUT {NOTES}/{note['id']}", {"body": "/reopen"})[0] == 202
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
    ],
)
def test_a_slash_alone_is_no_quick_action(text: str) -> None:
    assert quick_actions.split(text) == (text, [])


@pytest.mark.parametrize("body", [{}, {"body": " "}, {"body": "é" * (1 << 19) + "x"}])
def test_a_note_needs_a_body_of_at_most_a_mebibyte(gl: GitLab, body: dict[str, str]) -> None:
    assert api(gl, f"POST {NOTES}", body)[0] == 400
    assert api(gl, f"POST {NOTES}", {"body": "x" * (1 << 20)})[0] == 201


def test_a_locked_discussion_is_for_members(gl: GitLab) -> None:
    gl.projects[7].visibility = "public"
    gl.issues[7, 5]["discussion_locked"] = True
    assert api(gl, f"POST {NOTES}", {"body": "hi"}, user=STRANGER) == FORBIDDEN
    assert api(gl, f"POST {NOTES}", {"body": "hi"}, user=ALICE)[0] == 201


def test_an_emoji_can_be_given_once_and_taken_back(gl: GitLab) -> None:
    note = comment(gl)
    awards = issue(gl).notes.get(note["id"], lazy=True).awardemojis
    award = awards.create({"name": "eyes"})
    with pytest.raises(python_gitlab.GitlabCreateError) as error:
        awards.create({"name": "eyes"})
    assert error.value.response_code == 404
    assert error.value.error_message == "404 Award Emoji Name has already been taken Not Found"
    assert [
        (each.name, each.user["id"], each.awardable_type) for each in awards.list(get_all=True)
    ] == [("eyes", BOT, "Note")]
    assert awards.get(award.id).awardable_id == note["id"]
    assert api(gl, f"DELETE {NOTES}/{note['id']}/award_emoji/{award.id}", user=ALICE)[0] == 401
    awards.delete(award.id)
    assert not gl.emoji
    assert api(gl, f"POST {NOTES}/{note['id']}/award_emoji", {"name": ":eyes:"})[0] == 404


def test_emoji_stick_to_issues_and_merge_requests_too(gl: GitLab) -> None:
    for noteable in (project(gl).issues.get(5), project(gl).mergerequests.get(9)):
        noteable.awardemojis.create({"name": "eyes"})
        assert [each.awardable_id for each in noteable.awardemojis.list(get_all=True)] == [
            noteable.id
        ]
    assert [each["awardable_type"] for each in gl.emoji.values()] == ["Issue", "MergeRequest"]


def test_a_merge_request_is_opened_once_for_a_branch(gl: GitLab) -> None:
    body = {
        "title": "Draft: x",
        "source_branch": "claude/1",
        "target_branch": "main",
        "labels": ["a"],
    }
    made = project(gl).mergerequests.create(body)
    assert (made.iid, made.draft, made.labels, made.author["id"]) == (10, True, ["a"], BOT)
    with pytest.raises(python_gitlab.GitlabCreateError) as error:
        project(gl).mergerequests.create(body)
    assert error.value.response_code == 409
    assert "already exists for this source branch: !10" in str(error.value)
    found = project(gl).mergerequests.list(source_branch="claude/1", state="opened", get_all=True)
    assert [each.iid for each in found] == [10]
    assert api(gl, "POST merge_requests", body, user=GUEST) == FORBIDDEN


# --- events, triggers, version --------------------------------------------------------------------


def test_comment_events_are_cut_by_whole_days_on_both_sides(gl: GitLab, clock: Clock) -> None:
    for day in (28, 29, 30):
        comment(gl, str(day))
        clock.time += 86_400

    def listed(**filters: str) -> list[str]:
        return bodies(event.note for event in project(gl).events.list(get_all=True, **filters))

    assert listed(action="commented") == ["30", "29", "28"]
    assert listed(after="2026-05-28", sort="asc") == ["29", "30"]
    assert listed(after="2026-05-28", before="2026-05-30") == ["29"]


def test_an_event_holds_its_note(gl: GitLab) -> None:
    note = comment(gl)
    (event,) = project(gl).events.list(get_all=True)
    assert (event.action_name, event.target_type, event.target_id) == (
        "commented on",
        "Note",
        note["id"],
    )
    assert (event.author_id, event.note["noteable_type"], event.note["noteable_iid"]) == (
        ALICE,
        "Issue",
        5,
    )


def test_events_leave_out_system_notes_and_what_one_may_not_read(gl: GitLab) -> None:
    comment(gl, "seen")
    comment(gl, "system", system=True)
    comment(gl, "internal", internal=True)
    comment(gl, "code", kind="merge_request", iid=9)
    assert bodies(each["note"] for each in api(gl, "GET events", user=GUEST)[1]) == ["seen"]
    assert bodies(each["note"] for each in api(gl, "GET events")[1]) == ["code", "internal", "seen"]


def test_the_filter_for_notes_misses_replies_and_diff_notes(gl: GitLab) -> None:
    first = comment(gl, "one")
    comment(gl, "two", discussion_id=first["discussion_id"])
    comment(gl, "line", kind="merge_request", iid=9, position={"new_path": "a.py", "new_line": 1})
    comment(gl, "alone")
    assert bodies(each["note"] for each in api(gl, "GET events?target_type=note")[1]) == ["alone"]
    kinds = {each["target_type"] for each in api(gl, "GET events?action=commented")[1]}
    assert kinds == {"Note", "DiscussionNote", "DiffNote"}


def test_trigger_tokens_show_whole_to_their_owner(gl: GitLab) -> None:
    made = project(gl, BOB).triggers.create({"description": "claude"})
    assert made.token.startswith("glptt-")
    assert trigger(gl, made.token)[0] == 201
    assert [each.token for each in project(gl, BOB).triggers.list(get_all=True)] == [
        "glpt",
        "glpt",
        made.token,
    ]
    assert api(gl, "GET triggers", user=ALICE) == FORBIDDEN


def test_the_version_is_gitlabs(gl: GitLab) -> None:
    assert client(gl).version()[0] == "19.3.0-pre"


# --- webhooks -------------------------------------------------------------------------------------


class Receiver(NamedTuple):
    """A webhook receiver: its URL, what it got, and the statuses it will answer."""

    url: str
    got: list[tuple[dict[str, str], bytes]]
    statuses: list[int]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver("", [], [])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            receiver.got.append((headers, self.rfile.read(int(headers["content-length"]))))
            self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield receiver._replace(url=f"http://127.0.0.1:{server.server_address[1]}/hook")
        server.shutdown()


def signature(headers: dict[str, str], body: bytes) -> str:
    """Compute it anew, from the words of the Standard Webhooks specification."""
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    return (
        "v1,"
        + base64.b64encode(hmac.new(bytes(range(32)), content, hashlib.sha256).digest()).decode()
    )


def test_a_hook_keeps_its_tokens_to_itself(gl: GitLab) -> None:
    body = {
        "url": "https://a",
        "signing_token": WHSEC,
        "token": "s",
        "note_events": True,
        "push_events": False,
    }
    hook = project(gl).hooks.create(body)
    assert (hook.signing_token_present, hook.token_present, hook.note_events, hook.push_events) == (
        1,
        1,
        1,
        0,
    )
    assert not {"signing_token", "token"} & hook.attributes.keys()
    assert [each.id for each in project(gl).hooks.list(get_all=True)] == [hook.id]
    hook.delete()
    assert api(gl, f"GET hooks/{hook.id}") == NO_RECORD


def test_a_new_url_clears_the_secret_token_and_not_the_signing_token(gl: GitLab) -> None:
    hook = project(gl).hooks.create({"url": "https://a", "signing_token": WHSEC, "token": "s"})
    hook.url = "https://b"
    hook.save()
    assert (hook.token_present, hook.signing_token_present) == (False, True)


def test_hooks_are_for_maintainers_and_their_values_are_checked(gl: GitLab) -> None:
    assert api(gl, "GET hooks", user=ALICE) == FORBIDDEN
    assert api(gl, "POST hooks", {"url": "ftp://x"}) == (422, {"error": "Invalid url given"})
    assert api(gl, "POST hooks", {"url": "https://x", "signing_token": "whsec_short"})[0] == 422
    assert api(gl, "POST hooks", {}) == (400, {"error": "url is missing"})


def test_a_failed_delivery_is_logged_and_not_repeated(gl: GitLab, receiver: Receiver) -> None:
    receiver.statuses.append(503)
    hook = project(gl).hooks.create({"url": receiver.url, "token": "secret"})
    note = comment(gl)
    assert gl.deliver(hook.id, gl.note_hook(note))["response_status"] == "503"
    assert len(receiver.got) == 1
    (event,) = api(gl, f"GET hooks/{hook.id}/events?status=server_failure")[1]
    assert (event["response_status"], event["trigger"]) == ("503", "note_hooks")
    assert event["request_data"]["object_attributes"]["id"] == note["id"]
    assert "secret" not in json.dumps(event)
    assert api(gl, f"GET hooks/{hook.id}/events?status=successful,404")[1] == []
    assert api(gl, f"GET hooks/{hook.id}/events?status=bad")[0] == 400
    status, body = api(gl, f"GET hooks/{hook.id}/events?per_page=100")
    assert (status, body) == (400, {"error": "per_page does not have a valid value"})


def test_a_delivery_sent_again_keeps_its_id_and_gets_a_new_signature(
    gl: GitLab, clock: Clock, receiver: Receiver
) -> None:
    hook = project(gl).hooks.create(
        {"url": receiver.url, "signing_token": WHSEC, "token": "secret"}
    )
    event = gl.deliver(hook.id, gl.note_hook(comment(gl)))
    clock.time += 100
    assert api(gl, f"POST hooks/{hook.id}/events/{event['id']}/resend") == (
        201,
        {"response_status": 200},
    )
    (first, body), (second, again) = receiver.got
    assert (body, first["webhook-id"]) == (again, second["webhook-id"])
    assert int(second["webhook-timestamp"]) == int(first["webhook-timestamp"]) + 100
    assert second["webhook-signature"] == signature(second, again) != first["webhook-signature"]
    assert second["x-gitlab-token"] == "secret"
    assert len(api(gl, f"GET hooks/{hook.id}/events")[1]) == 2


def test_a_delivery_that_nobody_answers_is_an_internal_error(gl: GitLab) -> None:
    hook = project(gl).hooks.create({"url": "http://127.0.0.1:9/closed"})
    event = gl.deliver(hook.id, gl.note_hook(comment(gl)))
    (logged,) = api(gl, f"GET hooks/{hook.id}/events?status=server_failure")[1]
    assert logged["response_status"] == "internal error"
    assert api(gl, f"POST hooks/{hook.id}/events/{event['id']}/resend")[0] == 422
    hook.url = "http://127.0.0.1:9/moved"
    hook.save()
    assert (
        "URL has changed"
        in api(gl, f"POST hooks/{hook.id}/events/{event['id']}/resend")[1]["message"]
    )
    assert api(gl, f"POST hooks/{hook.id}/events/1/resend") == NO_RECORD


def test_sending_again_has_a_limit_of_its_own(gl: GitLab) -> None:
    gl.rate_limit("resend", 0)
    hook = project(gl).hooks.create({"url": "http://127.0.0.1:9/closed"})
    event = gl.deliver(hook.id, gl.note_hook(comment(gl)))
    assert api(gl, f"POST hooks/{hook.id}/events/{event['id']}/resend")[0] == 429


def test_a_note_hook_is_what_gitlab_19_sends(gl: GitLab) -> None:
    headers, body = gl.note_hook(comment(gl, "é & @claude", note_id=424242))
    payload = json.loads(body)
    assert body.decode() == json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    assert (
        " ".join(payload)
        == "object_kind event_type user project_id project object_attributes repository issue"
    )
    assert payload["user"] == {
        "id": ALICE,
        "name": "Alice",
        "username": "alice",
        "avatar_url": None,
        "email": "[REDACTED]",
    }
    attributes = payload["object_attributes"]
    assert (attributes["id"], attributes["note"], attributes["action"]) == (
        424242,
        "é & @claude",
        "create",
    )
    assert attributes["created_at"] == "2026-05-28T20:26:40.000Z"
    assert attributes["url"] == f"{gl.url}/group/app/-/issues/5#note_424242"
    assert (headers["X-Gitlab-Event"], payload["event_type"]) == ("Note Hook", "note")
    assert (headers["X-Gitlab-Instance"], headers["webhook-id"]) == (
        gl.url,
        headers["Idempotency-Key"],
    )


def test_two_deliveries_of_a_note_differ_in_their_ids_unless_told(gl: GitLab) -> None:
    note = comment(gl)
    first, second, third = (
        gl.note_hook(note["id"], webhook_id=given)[0] for given in (None, None, "same")
    )
    assert len({first["webhook-id"], second["webhook-id"], third["webhook-id"]}) == 3
    assert third["webhook-id"] == "same"
    assert first["X-Gitlab-Webhook-UUID"] != second["X-Gitlab-Webhook-UUID"]


def test_our_delivery_has_the_fields_of_a_recorded_one(gl: GitLab) -> None:
    """The names are those of a delivery of gitlab.com 18.1
    (fedora-infra/webhook-to-fedora-messaging-messages).
    """
    payload = json.loads(gl.note_hook(comment(gl))[1])
    attributes = """
        author_id change_position created_at discussion_id id line_code note noteable_id noteable_type original_position
        position project_id resolved_at resolved_by_id resolved_by_push st_diff system type updated_at updated_by_id
        description url commit_id action
    """
    noteable = """
        author_id closed_at confidential created_at description discussion_locked due_date id iid last_edited_at
        last_edited_by_id milestone_id moved_to_id duplicated_to_id project_id relative_position state_id time_estimate
        title updated_at updated_by_id weight health_status type url total_time_spent time_change human_total_time_spent
        human_time_change human_time_estimate assignee_ids assignee_id labels state severity customer_relations_contacts
    """
    place = """
        id name description web_url avatar_url git_ssh_url git_http_url namespace visibility_level path_with_namespace
        default_branch ci_config_path homepage url ssh_url http_url
    """
    assert payload["object_attributes"].keys() == {*attributes.split(), "attachment", "internal"}
    assert payload["issue"].keys() == set(noteable.split())
    assert payload["project"].keys() == set(place.split())


def test_internal_notes_and_confidential_issues_make_confidential_deliveries(gl: GitLab) -> None:
    gl.issue(7, 6, confidential=True)
    for note in (comment(gl, internal=True), comment(gl, iid=6)):
        headers, body = gl.note_hook(note)
        assert headers["X-Gitlab-Event"] == "Confidential Note Hook"
        assert json.loads(body)["event_type"] == "confidential_note"


def test_an_edit_names_the_author_as_user_and_the_editor_only_by_id(gl: GitLab) -> None:
    note = comment(
        gl, "one", kind="merge_request", iid=9, position={"new_path": "a.py", "new_line": 3}
    )
    merge_request(gl, BOB).notes.update(note["id"], {"body": "two"})
    payload = json.loads(gl.note_hook(note, action="update")[1])
    attributes = payload["object_attributes"]
    assert (payload["user"]["id"], attributes["updated_by_id"], attributes["note"]) == (
        ALICE,
        BOB,
        "two",
    )
    assert (attributes["type"], attributes["position"]["new_line"]) == ("DiffNote", 3)
    assert payload["merge_request"]["last_commit"]["id"] == gl.merge_requests[7, 9]["sha"]


@pytest.mark.parametrize("known", [True, False])
def test_a_fork_shows_in_the_merge_request(gl: GitLab, *, known: bool) -> None:
    if known:
        gl.project(70, "alice/app")
    gl.merge_request(7, 11, source_branch="main", source_project_id=70)
    block = json.loads(gl.note_hook(comment(gl, kind="merge_request", iid=11))[1])["merge_request"]
    assert (block["source_project_id"], block["target_project_id"], bool(block["source"])) == (
        70,
        7,
        known,
    )


def test_a_pipeline_hook_shows_the_variables_in_clear(gl: GitLab, clock: Clock) -> None:
    trigger(gl, variables={"AI_FLOW_ID": "r1"}, ai_flow={"id": "r1"})
    (pipeline,) = gl.pipelines
    gl.set_pipeline(pipeline, "running")
    clock.time += 5
    gl.set_pipeline(pipeline, "success")
    headers, body = gl.pipeline_hook(pipeline)
    payload = json.loads(body)
    attributes = payload["object_attributes"]
    variables = {each["key"]: each["value"] for each in attributes["variables"]}
    assert headers["X-Gitlab-Event"] == "Pipeline Hook"
    assert (variables["AI_FLOW_ID"], json.loads(variables["TRIGGER_PAYLOAD"])["ai_flow"]) == (
        "r1",
        {"id": "r1"},
    )
    assert (attributes["source"], attributes["status"], attributes["duration"]) == (
        "trigger",
        "success",
        5,
    )
    assert (payload["user"]["id"], payload["merge_request"], payload["builds"][0]["status"]) == (
        BOT,
        None,
        "success",
    )


def test_a_delivery_is_signed_or_carries_the_secret_token(gl: GitLab, clock: Clock) -> None:
    headers, body = gl.note_hook(comment(gl))
    assert "webhook-signature" not in headers
    signed = GitLab.sign(headers, body, WHSEC, now=clock.time + 7)
    assert signed["webhook-timestamp"] == str(int(clock.time) + 7)
    assert signed["webhook-signature"] == signature(signed, body)
    assert GitLab.with_token(headers, "secret")["X-Gitlab-Token"] == "secret"
    with pytest.raises(ValueError, match="32 bytes"):
        GitLab.sign(headers, body, "whsec_short")


# --- rate limits and faults -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "line", "body"),
    [("notes", f"POST {NOTES}", {"body": "x"}), ("users", "GET /api/v4/users/1", None)],
)
def test_a_rate_limit_is_for_each_user_and_says_when_to_come_back(
    gl: GitLab, clock: Clock, *, name: str, line: str, body: Any
) -> None:
    gl.rate_limit(name, 2)  # the minute has twenty seconds left
    assert [api(gl, line, body)[0] < 300 for _ in range(3)] == [True, True, False]
    status, headers, answer = wire(gl, line, body)
    assert status == 429
    assert answer == {
        "message": {"error": "This endpoint has been requested too many times. Try again later."}
    }
    found = [headers[f"ratelimit-{word}"] for word in ("limit", "observed", "remaining")]
    assert (headers["retry-after"], found) == ("20", ["2", "4", "0"])
    assert api(gl, line, body, user=ALICE)[0] < 300
    clock.time += 20
    assert api(gl, line, body)[0] < 300


def test_the_limit_on_the_whole_api_answers_in_plain_text(gl: GitLab) -> None:
    gl.rate_limit("api", 1)
    assert api(gl, "GET /api/v4/user")[0] == 200
    status, headers, body = wire(gl, "GET /api/v4/user")
    assert (status, headers["content-type"], body) == (429, "text/plain", "Retry later\n")
    assert trigger(gl)[0] == 201  # no API token, no user, no limit


def test_faults_come_in_order_one_a_request(gl: GitLab) -> None:
    gl.fault(
        f"POST {TRIGGER}",
        Fault.status(503),
        Fault.status(429, retry_after=2),
        Fault.ok(),
        Fault.status(500),
    )
    gl.fault("GET *", Fault.status(418))
    assert [trigger(gl)[0] for _ in range(5)] == [503, 429, 201, 500, 201]
    assert [call.fault for call in gl.calls] == [
        "status 503",
        "status 429",
        "ok",
        "status 500",
        None,
    ]
    assert [call.acted for call in gl.calls] == [None, None, 201, None, 201]
    assert len(gl.pipelines) == 2
    assert gl.pending_faults == ["GET *: status 418"]


def test_a_fault_looks_like_the_layer_it_comes_from(gl: GitLab) -> None:
    own = Fault.status(400, message={"base": ["x"]})
    gl.fault("GET *", Fault.status(502), Fault.status(429, retry_after=7), Fault.status(403), own)
    answers = [wire(gl, "GET /api/v4/user") for _ in range(4)]
    assert [status for status, _, _ in answers] == [502, 429, 403, 400]
    kinds = [headers["content-type"] for _, headers, _ in answers]
    assert kinds == ["text/html", "text/plain", "application/json", "application/json"]
    assert (answers[1][1]["retry-after"], answers[3][2]) == ("7", {"message": {"base": ["x"]}})


def test_wildcards_match_and_a_projects_path_is_its_id(gl: GitLab) -> None:
    gl.fault(f"* {PROJECT}/*", Fault.status(500), Fault.status(500))
    assert api(gl, f"GET /api/v4/projects/{quote('group/app', safe='')}/pipelines")[0] == 500
    assert api(gl, f"POST {NOTES}", {"body": "x"})[0] == 500
    assert api(gl, "GET pipelines")[0] == 200


@pytest.mark.parametrize(
    ("fault", "made"),
    [
        (Fault.reset_before(), 0),
        (Fault.act_then_reset(), 1),
        (Fault.hang(0.02), 0),
        (Fault.act_then_hang(0.02), 1),
    ],
)
def test_a_dropped_connection_tells_nothing_about_what_was_done(
    gl: GitLab, fault: Fault, made: int
) -> None:
    gl.fault(f"POST {TRIGGER}", fault)
    with pytest.raises(ConnectionResetError):
        trigger(gl)
    assert len(gl.pipelines) == made
    assert (gl.calls[-1].status, gl.calls[-1].acted) == (None, 201 if made else None)
    assert trigger(gl)[0] == 201


@pytest.mark.parametrize(
    ("fault", "status", "made"),
    [
        (Fault.broken_json(), 200, 1),
        (Fault.broken_json(acts=False), 200, 0),
        (Fault.status(504, acts=True), 504, 1),
    ],
)
def test_a_spoilt_answer_may_hide_a_deed(gl: GitLab, fault: Fault, status: int, made: int) -> None:
    gl.fault("POST *", fault)
    with pytest.raises((python_gitlab.GitlabParsingError, python_gitlab.GitlabCreateError)):
        project(gl).trigger_pipeline("main", "glptt-bot")
    assert (gl.calls[-1].status, len(gl.pipelines)) == (status, made)


def test_a_redirect_and_a_slow_answer(gl: GitLab) -> None:
    gl.fault("GET *", Fault.redirect("http://elsewhere.invalid/"), Fault.slow(0.02))
    status, headers, _ = wire(gl, "GET /api/v4/user")
    assert (status, headers["location"]) == (302, "http://elsewhere.invalid/")
    began = time.monotonic()
    assert api(gl, "GET /api/v4/user")[0] == 200
    assert time.monotonic() - began >= 0.02


def test_a_silent_server_ends_with_the_stand_in() -> None:
    failures: list[Exception] = []
    with GitLab() as gl:
        gl.fault("GET *", Fault.hang(60))

        def call() -> None:
            try:
                api(gl, "GET /api/v4/user")
            except (OSError, http.client.HTTPException) as error:
                failures.append(error)

        caller = threading.Thread(target=call)
        caller.start()
        while not gl.calls:
            time.sleep(0.001)
    caller.join(5)
    assert len(failures) == 1


# --- the server itself ----------------------------------------------------------------------------


def test_many_connections_at_once_lose_nothing(gl: GitLab) -> None:
    def work(number: int) -> None:
        headers = {"PRIVATE-TOKEN": "token-3", "Content-Type": "application/json"}
        with contextlib.closing(
            http.client.HTTPConnection(gl.url.removeprefix("http://"), timeout=5)
        ) as connection:
            for each in range(20):
                connection.request(
                    "POST", f"{PROJECT}/{NOTES}", json.dumps({"body": f"{number} {each}"}), headers
                )
                connection.getresponse().read()

    workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(set(bodies(gl.notes.values()))) == len(gl.notes) == len(gl.calls) == 160


def test_calls_are_recorded_whole_and_shown_without_tokens(gl: GitLab) -> None:
    api(gl, "POST trigger/pipeline?token=glptt-bot", {"ref": "main"}, user=None, X_Request="1")
    (call,) = gl.calls
    assert (call.method, call.path, call.query, call.json) == (
        "POST",
        TRIGGER,
        {"token": "glptt-bot"},
        {"ref": "main"},
    )
    assert (call.status, call.headers["x-request"]) == (201, "1")
    assert repr(call) == f"<POST {TRIGGER} → 201>"


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [("application/json", "{", 400), ("application/json", "[1]", 400), ("text/plain", "x", 415)],
)
def test_a_body_that_cannot_be_read_is_refused(
    gl: GitLab, kind: str, body: str, status: int
) -> None:
    assert api(gl, f"POST {NOTES}", body, Content_Type=kind)[0] == status


def test_an_endpoint_that_is_not_there_is_404_and_remembered() -> None:
    with GitLab() as gl:
        for path in (
            "/api/v4/projects/7/trigger/pipelines",
            "/api/v4/usr",
            "/api/v4//user",
            "/group/app.git/info/refs",
        ):
            assert api(gl, f"GET {path}") == (404, {"error": "404 Not Found"})
        assert len(gl.unknown_calls) == 4


def test_a_mistake_in_the_stand_in_fails_the_test_that_met_it() -> None:
    with contextlib.ExitStack() as stack:
        gl = stack.enter_context(GitLab())
        gl.user(BOT, "claude_bot")
        gl.api_token("token-3", BOT)
        del gl.users[BOT]
        assert api(gl, "GET /api/v4/user")[0] == 500
        with pytest.raises(AssertionError, match="KeyError"):
            stack.close()


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


# --- the contract ---------------------------------------------------------------------------------


def call(
    line: str, response: Any = None, *, status: int = 200, query: Any = None, body: Any = None
) -> Call:
    method, _, path = line.partition(" ")
    path = path if path.startswith("/") else f"{PROJECT}/{path}"
    headers = {"content-type": "application/json"}
    return Call(method, path, query or {}, headers, body or {}, 0.0, status, status, response or {})


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (call("POST trigger/pipelines"), "no such endpoint"),
        (call("PUT trigger/pipeline"), "no such endpoint"),
        (
            call("POST trigger/pipeline", status=201, body={"token": "t", "variable": {}}),
            "'variable' is unknown",
        ),
        (call("POST trigger/pipeline", status=201, body={"ref": "main"}), "'token' is required"),
        (
            call("GET pipelines", query={"sources": "trigger"}),
            "query parameter 'sources' is unknown",
        ),
        (call("GET pipelines", query={"source": "triger"}), "not one of"),
        (call("GET pipelines", query={"page": "two"}), "not integer"),
        (call(f"POST {NOTES}", status=201, body={"body": 5}), "not string"),
        (call(f"POST {NOTES}", status=200, body={"body": "x"}), "status 200"),
        (call(f"GET {NOTES}/1", {"id": 1, "text": "x"}), "a field 'text'"),
        (call(f"GET {NOTES}", [{"id": "1"}]), "the answer.id is '1', not integer"),
        (
            call(f"GET {NOTES}/1", {"author": {"user_name": "x"}}),
            "the answer.author has a field 'user_name'",
        ),
        (call(f"GET {NOTES}/1", {"created_at": "2026-05-28 20:26:40 UTC"}), "not a date and time"),
        (call("GET members/all/1", {"access_level": "30"}), "not integer"),
        (call("GET /api/v4/user", {"message": "x"}, status=500), "status 500"),
        (call("GET /api/v4/user", {"messages": "x"}, status=404), "not `message` or `error`"),
    ],
)
def test_a_typo_does_not_pass_the_contract(made: Call, words: str) -> None:
    (problem,) = contract.check(made)
    assert words in problem


@pytest.mark.parametrize(
    "made",
    [
        call(
            "POST trigger/pipeline",
            {"message": "x"},
            status=422,
            body={"token": "t", "ref": "main", "ai_flow": {}},
        ),
        call(
            "GET pipelines",
            [{"id": 1, "ref": None}],
            query={"source": "trigger", "per_page": "100"},
        ),
        call("GET /api/v4/projects/group%2Fapp/pipelines/1", {"id": 1, "name": "x"}),
        call("GET members/all/1", {"access_level": 30}),
        call("GET issues/5/discussions", [{"id": "a", "notes": [{"id": 1}]}]),
        call("GET hooks/1/events", [{"anything": 1}], query={"status": "server_failure"}),
    ],
)
def test_what_gitlab_does_passes_the_contract(made: Call) -> None:
    assert contract.check(made) == []


def test_every_endpoint_of_the_slice_is_built_and_the_other_way_round() -> None:
    built = [
        (method, "/api/v4/" + re.sub(r":\w+", "1", pattern))
        for method, pattern in routing.endpoints()
    ]
    unlisted = [each for each in built if not contract.knows(*each)]
    # The file has no routes with a wildcard: docs.gitlab.com/api/job_artifacts, job_artifacts.rb.
    assert unlisted == [("GET", "/api/v4/projects/1/jobs/1/artifacts/1/1")]
    listed = sum(len(methods.split()) for methods in cut.OPERATIONS.values())
    assert len(built) == listed + len(unlisted)


def test_the_slice_names_its_source_and_licence() -> None:
    whole = json.loads(contract.SLICE.read_text(encoding="utf-8"))
    assert list(whole)[:2] == ["x-source", "x-licence"]
    assert whole["x-licence"] == "CC BY-SA 4.0"
