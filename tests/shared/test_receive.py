import json
from typing import Any

import pytest

from shared.contract import marks
from shared.incoming import delivery as deliveries
from shared.incoming import payloads
from shared.incoming.delivery import MAX_BODY, Delivery
from shared.installation.secrets import MIN_AGE, Cached, WebhookSecrets
from shared.outcome.reasons import Reason, Retry
from shared.receive import HEALTH, Answer
from shared.runs.detect import request
from shared.runs.request import TrackRequest
from tests.support import stages
from tests.support.fakes import (
    NOTE,
    NOW,
    SECRET_TOKEN,
    SIGNING_TOKEN,
    WEBHOOK_SECRETS,
    delivery,
    payload,
    sign,
    tokens,
)

CANARY = "canary"


class Stage(stages.Stage):
    def outcome(self, body: object = None) -> tuple[int, str, str]:
        answer = self.receive(delivery(body))
        said = json.loads(answer.body)
        return answer.status, said["outcome"], said["reason"]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def test_a_mention_is_stored_and_answered_202(stage: Stage) -> None:
    answer = stage.receive(delivery())
    run = request(NOTE, "fix it", "gitlab.com")
    assert answer == Answer(
        202,
        "application/json",
        json.dumps({"outcome": "queued", "reason": "queued", "run": run.id}),
    )
    assert stage.queue.runs == [run]
    assert stage.log.lines == [
        (
            "INFO",
            {
                "outcome": "queued",
                "reason": "queued",
                "run": run.id,
                "project_id": 7,
                "kind": "issue",
                "iid": 5,
            }
            | {"note_id": 101, "author_id": 42},
        )
    ]


def test_the_same_note_by_another_hook_is_the_same_run(stage: Stage) -> None:
    body = json.dumps(payload()).encode()
    for webhook_id in ("project-hook", "group-hook"):
        stage.receive(Delivery("POST", sign(body, webhook_id=webhook_id), body))
    assert len({run.id for run in stage.queue.runs}) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (payload("please look"), "no_mention"),
        (payload("type `@claude` to start"), "no_mention"),
        (payload("@claude-bot do it"), "no_mention"),
        (b"not json", "no_mention"),
        (b"not json, but @claude", "malformed"),
        ({"object_kind": "push", "message": "@claude"}, "event_not_served"),
        (payload(action="update"), "edited_note"),
        (payload(system=True), "system_note"),
        (payload(noteable_type="WikiPage::Meta"), "target_unknown"),
        (payload(f"@claude\n\n{marks.of_run('x')}"), "own_note"),
    ],
)
def test_a_verified_delivery_that_starts_nothing_is_answered_200(
    stage: Stage, body: Any, reason: str
) -> None:
    assert stage.outcome(body) == (200, "ignored", reason)
    assert stage.queue.runs == []
    assert stage.log.lines == []


def test_a_phrase_spelled_with_json_escapes_is_found(stage: Stage) -> None:
    body = json.dumps(payload()).replace("@claude", "\\u0040\\u0043LAUDE").encode()
    assert stage.outcome(body)[0] == 202


@pytest.mark.parametrize(
    ("environment", "reason"),
    [({"ALLOWED_PROJECTS": "other/*"}, "project_not_allowed"), ({"ENABLED": "false"}, "disabled")],
)
def test_an_installation_may_serve_some_projects_or_none(
    environment: dict[str, str], reason: str
) -> None:
    assert Stage(**environment).outcome() == (200, "ignored", reason)


def test_confidential_notes_can_be_switched_off() -> None:
    body = payload() | {"event_type": "confidential_note"}
    assert Stage().outcome(body)[0] == 202
    off = Stage(SERVE_CONFIDENTIAL="false")
    assert off.outcome(body) == (200, "ignored", "confidential_off")
    assert off.outcome()[0] == 202


def test_several_phrases_are_served() -> None:
    stage = Stage(TRIGGER_PHRASE="@claude,@ai")
    for text in ("@ai fix it", "@Claude fix it"):
        assert stage.outcome(payload(text))[0] == 202
    assert [run.instruction for run in stage.queue.runs] == ["fix it", "fix it"]


def test_a_health_check_is_answered_without_secrets(stage: Stage) -> None:
    for method in ("GET", "HEAD"):
        assert stage.receive(Delivery(method, {}, b"")) == Answer(
            200, "text/plain; charset=utf-8", HEALTH
        )


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "", "post"])
def test_other_methods_are_405(stage: Stage, method: str) -> None:
    assert stage.receive(delivery()._replace(method=method)).status == 405


def test_a_body_beyond_gitlab_s_limit_is_413_before_it_is_looked_at(stage: Stage) -> None:
    assert stage.receive(Delivery("POST", {}, bytes(MAX_BODY + 1))).status == 413


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({}, "unsigned"),
        ({"x-gitlab-token": SECRET_TOKEN}, "signature_missing"),
        (sign(b"other"), "signature_wrong"),
        (sign(b"{}", NOW - 301), "signature_stale"),
    ],
)
def test_an_unverified_delivery_is_401_before_any_parsing(
    stage: Stage, headers: dict[str, str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(payloads, "parse", lambda _: pytest.fail("parsed"))
    answer = stage.receive(Delivery("POST", headers, b"{}"))
    assert (answer.status, json.loads(answer.body)["reason"]) == (401, reason)
    assert stage.log.lines == [("WARNING", {"outcome": "refused", "reason": reason})]


def bound_to(*names: str) -> Stage:
    stage = Stage()
    stage.tokens = tokens(json.dumps({"signing_tokens": dict.fromkeys(names, SIGNING_TOKEN)}))
    return stage


def test_a_token_for_other_projects_starts_nothing_and_the_operator_sees_it() -> None:
    stage = bound_to("8", "other")
    assert stage.outcome() == (200, "ignored", "token_not_for_project")
    assert not stage.queue.runs
    fields = {"outcome": "ignored", "reason": "token_not_for_project", "project_id": 7}
    assert stage.log.lines == [("WARNING", fields)]


def test_a_token_for_the_project_starts_its_runs_and_a_path_is_left_to_prove() -> None:
    for names, to_prove in ((["7", "group"], None), (["Group"], ("group",))):
        stage = bound_to(*names)
        assert stage.outcome()[0] == 202
        assert [asked.bound for asked in stage.queue.runs] == [to_prove]


def test_a_pipeline_of_a_project_that_the_token_is_not_for_is_not_looked_at() -> None:
    variables = [{"key": "TRIGGER_PAYLOAD", "value": '{"ai_flow":{}}'}]
    attributes = {"id": 31, "source": "trigger", "status": "running", "variables": variables}
    project = {"id": 7, "path_with_namespace": "group/app"}
    body = {"object_kind": "pipeline", "object_attributes": attributes, "project": project}
    assert bound_to("8").outcome(body) == (200, "ignored", "token_not_for_project")
    assert bound_to("group").outcome(body) == (202, "queued", "queued")


def test_a_flood_of_unsigned_deliveries_reads_no_secret(stage: Stage) -> None:
    stage.tokens = Cached(lambda: pytest.fail("read"), WebhookSecrets.parse, lambda: NOW)
    for _ in range(1000):
        assert stage.receive(Delivery("POST", {"webhook-id": "1"}, b"{}")).status == 401


def test_a_token_rotated_in_the_store_is_read_on_the_first_mismatch(stage: Stage) -> None:
    documents = [json.dumps({"secret_tokens": ["old"]}), WEBHOOK_SECRETS]
    stage.tokens = Cached(lambda: documents.pop(0), WebhookSecrets.parse, stage.clock)
    assert stage.outcome()[2] == "token_wrong"
    stage.clock.time += MIN_AGE
    assert stage.outcome()[0] == 202


@pytest.mark.parametrize("document", ["{}", "not json", '{"signing_tokens": []}'])
def test_without_a_usable_token_nothing_verifies(stage: Stage, document: str) -> None:
    stage.tokens = tokens(document)
    answer = stage.receive(delivery())
    assert (answer.status, json.loads(answer.body)["reason"]) == (503, "secrets_unavailable")


@pytest.mark.parametrize(
    "error", [RuntimeError("canary"), TimeoutError(), Retry(Reason.QUEUE_UNAVAILABLE)]
)
def test_503_only_where_nothing_could_be_stored(stage: Stage, error: Exception) -> None:
    stage.queue.error = error
    answer = stage.receive(delivery())
    assert (answer.status, json.loads(answer.body)["reason"]) == (503, "queue_unavailable")
    assert stage.log.lines[0][0] == "ERROR"
    assert stage.log.lines[0][1]["error"] == type(error).__name__
    assert "canary" not in repr(stage.log.lines) + answer.body


def test_a_defect_of_ours_does_not_switch_the_hook_off(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise ZeroDivisionError(CANARY)

    monkeypatch.setattr(payloads, "parse", broken)
    assert stage.outcome() == (200, "ignored", "defect")
    assert stage.log.lines == [("ERROR", {"reason": "defect", "error": "ZeroDivisionError"})]


def test_a_note_of_a_million_characters_becomes_a_small_request(stage: Stage) -> None:
    assert stage.outcome(payload("@claude " + "好" * 1_000_000))[0] == 202
    assert stage.queue.runs[0].to_json().isascii()
    assert len(stage.queue.runs[0].to_json()) <= 64 * 1024


def test_the_limit_on_bodies_is_gitlab_s() -> None:
    assert deliveries.MAX_BODY == 25 * 1024 * 1024


def test_a_pipeline_of_ours_is_looked_at_and_another_is_not(stage: Stage) -> None:
    variables = [{"key": "TRIGGER_PAYLOAD", "value": '{"ai_flow":{}}'}]
    attributes = {"id": 31, "source": "trigger", "status": "running", "variables": variables}
    body = {"object_kind": "pipeline", "object_attributes": attributes, "project": {"id": 7}}
    assert stage.outcome(body) == (202, "queued", "queued")
    assert stage.queue.tracks == [TrackRequest(7, 31, "running")]
    assert stage.log.lines == [
        ("INFO", {"outcome": "queued", "reason": "queued", "run": "track-7-31-running"} | {"project_id": 7, "pipeline_id": 31})
    ]  # fmt: skip
    assert stage.outcome(body | {"object_attributes": attributes | {"source": "push"}}) == (
        200,
        "ignored",
        "not_our_pipeline",
    )
    assert stage.outcome(body | {"object_attributes": attributes | {"variables": []}}) == (
        200,
        "ignored",
        "no_mention",
    )


def test_an_assignment_and_a_label_need_no_phrase_in_the_body(stage: Stage) -> None:
    body = {
        "object_kind": "issue",
        "user": {"id": 42, "username": "ada"},
        "project": {"id": 7, "path_with_namespace": "group/app", "default_branch": "main"},
        "object_attributes": {
            "id": 900,
            "iid": 5,
            "title": "It breaks",
            "description": None,
            "action": "update",
        },
    }
    for field, added in (("assignees", {"username": "claude"}), ("labels", {"title": "claude"})):
        change = {"changes": {field: {"previous": [], "current": [added]}}}
        assert stage.outcome(body | change) == (202, "queued", "queued")
    assert [asked.event.name for asked in stage.queue.runs] == ["assign", "label"]
    assert stage.outcome(body | {"assignees": [{"username": "claude"}]}) == (
        200,
        "ignored",
        "nothing_new",
    )
