import contextlib
import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.incoming.delivery import VerifiedDelivery
from shared.incoming.event import Branches, Event, PipelineEvent
from shared.incoming.payloads import parse, seconds
from shared.outcome.reasons import Reason, Stop
from tests import DATA
from tests.support.fakes import NOTE, NOW, payload

PAYLOADS = DATA / "payloads"


def verified(body: object) -> VerifiedDelivery:
    return VerifiedDelivery(body if isinstance(body, bytes) else json.dumps(body).encode())


def event(body: object) -> Event:
    found = parse(verified(body))
    assert isinstance(found, Event)
    return found


def reason(body: object) -> Reason:
    with pytest.raises(Stop) as stop:
        parse(verified(body))
    return stop.value.reason


def test_a_new_comment_on_an_issue_is_understood() -> None:
    assert event(payload()) == NOTE


def test_a_new_comment_on_a_merge_request_carries_its_branches() -> None:
    body = payload(noteable_type="MergeRequest")
    body["merge_request"] = {
        "iid": 3,
        "source_branch": "feature",
        "target_branch": "main",
        "source_project_id": 7,
        "last_commit": {"id": "abc"},
    }
    note = event(body)
    assert (note.kind, note.iid) == ("merge_request", 3)
    assert note.branches == Branches("feature", "main", 7, "abc")


def test_a_fork_that_is_gone_has_no_source_project() -> None:
    body = payload(noteable_type="MergeRequest")
    body["merge_request"] = {
        "iid": 3,
        "source_branch": "f",
        "target_branch": "main",
        "source_project_id": None,
    }
    assert event(body).branches == Branches("f", "main", None, "")


@pytest.mark.parametrize(
    ("file", "kind", "iid", "author_id", "internal"),
    [
        ("fedora-w2fm-note-issue-2025", "issue", 1, 16997011, False),
        ("packit-issue_comment", "issue", 1, 5647360, False),
        ("zulip-confidential_note_hook__issue_note", "issue", 1, 14613894, True),
        ("xanzy-go-gitlab-note_merge_request", "merge_request", 1, 1, False),
        ("gitlab-docs/doc-comment-events-comment-on-a-merge-request", "merge_request", 1, 1, False),
        ("gitlab-docs/doc-comment-events-comment-on-an-issue", "issue", 17, 1, False),
    ],
)
def test_comments_of_every_vintage_are_understood(
    file: str, kind: str, iid: int, author_id: int, internal: bool
) -> None:
    note = event((PAYLOADS / f"{file}.json").read_bytes())
    assert (note.kind, note.iid, note.author_id, note.internal) == (kind, iid, author_id, internal)
    assert note.default_branch
    assert note.texts


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("gitlab-docs/doc-emoji-events", Reason.EVENT_NOT_SERVED),
        ("gitlab-docs/doc-job-events", Reason.EVENT_NOT_SERVED),
        (
            "gitlab-docs/doc-merge-request-events-re-request-review-events",
            Reason.MALFORMED,
        ),  # a part only
        ("gitlab-docs/doc-merge-request-events-changes-field", Reason.MALFORMED),
        ("gitlab-docs/doc-pipeline-events", Reason.NOT_OUR_PIPELINE),
        ("gitlab-docs/doc-push-events", Reason.EVENT_NOT_SERVED),
    ],
)
def test_other_events_are_understood_and_ignored(file: str, expected: Reason) -> None:
    assert reason((PAYLOADS / f"{file}.json").read_bytes()) is expected


def test_an_absent_action_means_a_new_comment() -> None:
    body = payload()
    del body["object_attributes"]["action"]
    assert event(body) == NOTE


def test_the_author_is_known_even_where_the_user_has_no_id() -> None:
    body = payload()
    body["user"] = {"username": "ada"}
    assert event(body).author_id == 42
    del body["object_attributes"]["author_id"]
    assert reason(body) is Reason.MALFORMED
    body["user"] = {"id": 43, "username": "ada"}
    assert event(body).author_id == 43


@pytest.mark.parametrize("action", ["update", "Update", "destroy", 7])
def test_an_edited_comment_is_ignored(action: object) -> None:
    assert reason(payload(action=action)) is Reason.EDITED_NOTE


def test_a_system_note_is_ignored() -> None:
    assert reason(payload(system=True)) is Reason.SYSTEM_NOTE


@pytest.mark.parametrize(
    "kind", ["Epic", "DesignManagement::Design", "WikiPage::Meta", None, {}, "x"]
)
def test_a_comment_on_anything_else_is_ignored(kind: object) -> None:
    assert reason(payload(noteable_type=kind)) is Reason.TARGET_UNKNOWN


def test_a_work_item_is_an_issue() -> None:
    assert event(payload(noteable_type="WorkItem")).kind == "issue"


def changed(path: str, value: object) -> dict[str, Any]:
    body = payload()
    parent = body
    *parents, last = path.split(".")
    for name in parents:
        parent = parent[name]
    parent[last] = value
    return body


@pytest.mark.parametrize(
    ("level", "public"), [(0, False), (10, True), (20, True), (None, False), ("20", False)]
)
def test_only_a_public_project_is_open_to_strangers(level: object, public: bool) -> None:
    assert event(changed("project.visibility_level", level)).public is public


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("event_type", "confidential_note"),
        ("object_attributes.internal", True),
        ("issue.confidential", True),
    ],
)
def test_internal_notes_and_confidential_issues_are_internal(path: str, value: object) -> None:
    assert event(changed(path, value)).internal


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"\xff\xfe{}",
        b"[]",
        b"null",
        b"7",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"object_kind": "note", "project_id": ' + b"9" * 5000 + b"}",
        {},
        {"object_kind": None},
        {"object_kind": ["note"]},
    ],
)
def test_a_body_that_is_no_event_is_malformed_and_raises_nothing_else(body: object) -> None:
    assert reason(body) is Reason.MALFORMED


@pytest.mark.parametrize(
    "path",
    [
        "object_attributes.id",
        "object_attributes.author_id",
        "object_attributes.note",
        "issue.iid",
        "project_id",
    ],
)
@pytest.mark.parametrize("value", [True, -1, 0, 1.5, 2**63, [], {}, b"".hex()])
def test_a_field_that_a_run_needs_must_be_what_gitlab_sends(path: str, value: object) -> None:
    if path == "object_attributes.note" and isinstance(value, str):
        pytest.skip("an empty note is a text")
    assert reason(changed(path, value)) is Reason.MALFORMED


@pytest.mark.parametrize("path", ["object_attributes", "issue"])
@pytest.mark.parametrize("value", [None, [], "x"])
def test_a_missing_block_is_no_exception(path: str, value: object) -> None:
    assert reason(changed(path, value)) in (Reason.MALFORMED, Reason.TARGET_UNKNOWN)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("user", None),
        ("project", None),
        ("project.default_branch", None),
        ("project.path_with_namespace", "x" * 5000),
        ("object_attributes.discussion_id", "../../users"),
        ("object_attributes.discussion_id", 7),
        ("object_attributes.position", "x"),
        ("object_attributes.position", {"new_path": None, "extra": {}}),
    ],
)
def test_a_malformed_optional_field_is_left_out(path: str, value: object) -> None:
    note = event(changed(path, value))
    assert note.note_id == 101
    assert note.position is None
    assert note.discussion_id in (None, "d" * 40)


def test_a_diff_note_keeps_its_position() -> None:
    position = {
        "base_sha": "a",
        "head_sha": "b",
        "new_path": "x.py",
        "old_path": "x.py",
        "new_line": 3,
        "old_line": None,
    }
    assert event(payload(position=position | {"line_range": {}})).position == {
        "base_sha": "a",
        "head_sha": "b",
        "old_path": "x.py",
        "new_path": "x.py",
        "new_line": 3,
    }


def test_half_a_surrogate_pair_becomes_a_question_mark() -> None:
    body = json.dumps(payload("@claude x")).replace("@claude x", "@claude \\ud800").encode()
    assert event(body).texts == ("@claude ?",)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
PATHS = st.sampled_from(
    [name for name in payload() if name != "object_kind"]
    + [f"object_attributes.{name}" for name in payload()["object_attributes"]]
    + ["issue.iid", "project.id", "user.id"],
)


@given(PATHS, JSON)
def test_any_value_anywhere_gives_an_event_or_a_reason(path: str, value: object) -> None:
    body = copy.deepcopy(changed(path, value))
    with contextlib.suppress(Stop):
        event(body)


def change(kind: str = "issue", action: str = "update", **changes: Any) -> dict[str, Any]:
    """Return an Issue or Merge Request Hook's body as in GitLab's docs, `changes` at its top."""
    attributes = {
        "id": 900,
        "iid": 5,
        "author_id": 41,
        "title": "It breaks",
        "description": "Since Monday.",
        "action": action,
        "updated_at": "2026-02-02 02:40:00 UTC",
    }
    branches = {
        "source_branch": "f",
        "target_branch": "main",
        "source_project_id": 7,
        "last_commit": {"id": "abc"},
    }
    return {
        "object_kind": kind,
        "event_type": kind,
        "user": {"id": 42, "username": "ada"},
        "project": {
            "id": 7,
            "path_with_namespace": "group/app",
            "default_branch": "main",
            "visibility_level": 0,
        },
        "object_attributes": attributes | (branches if kind == "merge_request" else {}),
        "changes": {},
        **changes,
    }


@pytest.mark.parametrize("kind", ["issue", "work_item", "merge_request"])
def test_an_opened_issue_or_merge_request_asks_with_all_it_says(kind: str) -> None:
    found = event(change(kind, "open"))
    assert (found.kind, found.iid, found.note_id) == (
        "merge_request" if kind == "merge_request" else "issue",
        5,
        0,
    )
    assert (found.texts, found.before) == (("It breaks", "Since Monday."), ("", ""))
    assert (found.author_id, found.author, found.discussion_id, found.occasion) == (
        42,
        "ada",
        None,
        "900",
    )
    assert found.at == NOW
    assert (found.branches == Branches("f", "main", 7, "abc")) is (kind == "merge_request")


def test_an_edit_tells_what_stood_there_before_and_when_it_was() -> None:
    found = event(change(changes={"description": {"previous": "Old.", "current": "Since Monday."}}))
    assert (found.texts, found.before) == (("It breaks", "Since Monday."), ("It breaks", "Old."))
    assert found.occasion == "900|2026-02-02 02:40:00 UTC|"


def test_only_of_something_new_the_author_stands_for_a_user_without_an_id() -> None:
    assert event(change(action="open", user={"username": "ada"})).author_id == 41
    assert reason(change(user={"username": "ada"})) is Reason.MALFORMED


@pytest.mark.parametrize("action", ["close", "reopen", "merge", "approved", "unapproval", None, 7])
def test_other_actions_start_nothing(action: Any) -> None:
    assert reason(change("merge_request", action)) is Reason.NOTHING_NEW


def test_an_epic_is_ignored() -> None:
    body = change("work_item", "open")
    body["object_attributes"]["type"] = "Epic"
    assert reason(body) is Reason.TARGET_UNKNOWN
    assert reason(change("work_item", "open", project=None)) is Reason.TARGET_UNKNOWN


def people(*names: str, **flags: bool) -> list[dict[str, object]]:
    return [{"username": name, **flags} for name in names]


CLAUDE = people("claude")


def labels(*titles: str) -> list[dict[str, str]]:
    return [{"title": title} for title in titles]


def became(field: str, previous: Any, current: Any) -> dict[str, Any]:
    return {"changes": {field: {"previous": previous, "current": current}}}


def asked_again(*, again: bool) -> dict[str, Any]:
    return {"changes": {"reviewers": [CLAUDE, people("claude", re_requested=again)]}}


@pytest.mark.parametrize(
    ("changes", "added"),
    [
        (became("assignees", [], CLAUDE), [("assign", "claude")]),
        (became("assignees", CLAUDE, people("claude", "bob")), [("assign", "bob")]),
        (became("assignees", CLAUDE, []), []),
        (became("reviewers", [], CLAUDE), [("assign_reviewer", "claude")]),
        (asked_again(again=True), [("assign_reviewer", "claude")]),
        (asked_again(again=False), []),
        ({"reviewers": people("claude", re_requested=True)}, [("assign_reviewer", "claude")]),
        ({"reviewers": CLAUDE, "assignees": CLAUDE, "labels": labels("claude")}, []),
        (became("labels", labels("a"), labels("a", "b")), [("label", "b")]),
        (became("labels", None, [None, 7, {"title": "b"}]), [("label", "b")]),
        ({"changes": {"labels": "x", "assignees": [1], "reviewers": None}}, []),
        ({"changes": []}, []),
    ],
)
def test_a_change_tells_only_what_it_adds(
    changes: dict[str, Any], added: list[tuple[str, str]]
) -> None:
    assert event(change("merge_request", **changes)).added == tuple(added)


@pytest.mark.parametrize(
    ("action", "attributes", "changes", "became"),
    [
        ("open", {"oldrev": "a" * 40}, {}, "opened"),
        ("open", {"draft": True}, {}, ""),
        ("open", {"draft": None}, {}, ""),
        ("open", {"state": "merged"}, {}, ""),
        ("update", {"oldrev": "a" * 40}, {}, "pushed"),
        ("update", {"oldrev": "a" * 40, "draft": True}, {}, ""),
        ("update", {"oldrev": None}, {}, ""),
        ("update", {}, {"draft": {"previous": True, "current": False}}, "ready"),
        (
            "update",
            {"oldrev": "a" * 40},
            {"draft": {"previous": True, "current": False}},
            "ready pushed",
        ),
        ("update", {"draft": True}, {"draft": {"previous": False, "current": True}}, ""),
        ("update", {"state": "closed"}, {"draft": {"previous": True, "current": False}}, ""),
        ("update", {}, {"draft": [True, False]}, ""),
        ("update", {}, {"title": {"previous": "a", "current": "b"}}, ""),
    ],
)
def test_what_became_of_a_merge_request_is_told_unless_it_is_a_draft(
    action: str, attributes: dict[str, Any], changes: dict[str, Any], became: str
) -> None:
    body = change("merge_request", action, changes=changes)
    body["object_attributes"] |= {"draft": False, "state": "opened"} | attributes
    assert [name for key, name in event(body).added if key == "auto"] == became.split()


def test_the_documented_delivery_of_an_opened_merge_request_is_one_that_became_so() -> None:
    file = "gitlab-docs/doc-merge-request-events-complete-payload-example.json"
    body = json.loads((DATA / "payloads" / file).read_text())
    assert ("auto", "opened") in event(body).added


def test_assignees_and_labels_of_a_new_issue_count_as_added() -> None:
    found = event(change(action="open", assignees=people("claude"), labels=[{"title": "bug"}]))
    assert found.added == (("assign", "claude"), ("label", "bug"))


def test_a_confidential_issue_is_internal() -> None:
    assert event(change(action="open", event_type="confidential_issue")).internal
    body = change(action="open")
    body["object_attributes"]["confidential"] = True
    assert event(body).internal


def pipeline(**changes: Any) -> dict[str, Any]:
    variables = [{"key": "TRIGGER_PAYLOAD", "value": '{"ai_flow":{}}'}]
    attributes = {
        "id": 31,
        "source": "trigger",
        "status": "running",
        "variables": variables,
        **changes,
    }
    project = {"id": 7, "path_with_namespace": "group/app"}
    return {"object_kind": "pipeline", "object_attributes": attributes, "project": project}


def test_a_pipeline_of_ours_is_known_by_its_variables() -> None:
    found = parse(verified(pipeline()))
    assert found == PipelineEvent(7, "group/app", 31, "running")
    assert parse(verified(pipeline(variables=[{"key": "AI_FLOW_ID", "value": "x"}]))) == found
    wrong: dict[str, Any]
    for wrong in (
        {"source": "push"},
        {"variables": []},
        {"variables": None},
        {"variables": [7, {"key": "X"}]},
    ):
        assert reason(pipeline(**wrong)) is Reason.NOT_OUR_PIPELINE
    assert reason(pipeline(id="31")) is Reason.MALFORMED


def failed(**changes: Any) -> dict[str, Any]:
    """Return the documentation's pipeline of a merge request, as one that failed."""
    body: dict[str, Any] = json.loads(
        (PAYLOADS / "gitlab-docs" / "doc-pipeline-events.json").read_text()
    )
    body["object_attributes"] |= {"status": "failed", "ref": "test", **changes}
    return body


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, True),
        ({"ref": "master"}, True),  # the default branch may be a merge request's, too
        ({"source": "push"}, True),
        ({"source": "web"}, True),
        ({"source": "api"}, True),
        ({"source": "push", "ref": "master"}, False),
        ({"source": "push", "tag": True}, False),
        ({"source": "trigger"}, False),
        ({"source": "parent_pipeline"}, False),
        ({"source": "schedule"}, False),
        ({"source": None}, False),
        ({"status": "success"}, False),
        ({"status": "canceled"}, False),
        ({"status": "running"}, False),
        ({"variables": [{"key": "AI_FLOW_ID", "value": "x"}]}, False),
    ],
)
def test_another_s_pipeline_is_told_of_where_it_failed_and_may_be_a_merge_request_s(
    changes: dict[str, Any], told: bool
) -> None:
    if not told:
        assert reason(failed(**changes)) is Reason.NOT_OUR_PIPELINE
        return
    found = parse(verified(failed(**changes)))
    path, ended = "gitlab-org/gitlab-test", 1_471_015_589.0
    assert found == PipelineEvent(1, path, 31, "failed", ours=False, at=ended)
    at_once = parse(verified(failed(**changes, finished_at=None)))
    assert at_once == found._replace(at=1_471_015_408.0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-02-02 02:40:00 UTC", NOW),
        ("2026-02-02T02:40:00.000Z", NOW),
        ("2026-02-02T03:40:00+01:00", NOW),
        ("yesterday", 0.0),
        (None, 0.0),
        (7, 0.0),
    ],
)
def test_times_of_every_vintage_are_read(text: object, expected: float) -> None:
    assert seconds(text) == expected


def test_comments_on_commits_and_snippets_are_read_so_that_they_can_be_refused() -> None:
    body = payload(noteable_type="Commit", commit_id="a" * 40)
    assert (event(body).kind, event(body).commit, event(body).iid) == ("commit", "a" * 40, 0)
    for wrong in ("a" * 39, "../x", None, 7):
        assert reason(payload(noteable_type="Commit", commit_id=wrong)) is Reason.MALFORMED
    body = payload(noteable_type="Snippet") | {"snippet": {"id": 53}}
    assert (event(body).kind, event(body).iid) == ("snippet", 53)
