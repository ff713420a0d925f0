"""What is asked where our trigger function did not ask: by variables, or by the pipeline's source."""

import json
from typing import Any

import pytest

from job import prompts, request
from job.failures import Failure
from job.gitlab import GitLabError
from job.request import Request, read
from job.sources import own_push
from job.withheld import read as with_texts

PIPELINE = {
    "CI_PROJECT_ID": "7",
    "CI_PIPELINE_ID": "31",
    "GITLAB_USER_ID": "42",
    "GITLAB_USER_LOGIN": "ada",
    "CI_COMMIT_SHA": "c" * 40,
}
OF_MERGE_REQUEST = PIPELINE | {
    "CI_PIPELINE_SOURCE": "merge_request_event",
    "CI_MERGE_REQUEST_IID": "3",
}
HOOK = {
    "object_kind": "note",
    "event_type": "note",
    "user": {"id": 43, "username": "bob"},
    "project": {"id": 7},
    "object_attributes": {"discussion_id": "d" * 40, "note": "@claude fix it"},
    "merge_request": {"iid": 3},
}


def asked(given: dict[str, str], *, guided: bool = False) -> Request:
    return read(given, None, guided=guided)


def test_a_merge_request_s_pipeline_asks_for_a_review() -> None:
    found = asked(OF_MERGE_REQUEST)
    assert (found.input, found.command) == ("Review this merge request.", "review")
    assert (found.target, found.sha, found.id) == ("merge_request-3", "c" * 40, "pipeline-31")
    assert (found.author_id, found.author) == (42, "ada")


def test_in_a_merged_results_pipeline_the_branch_s_own_commit_counts() -> None:
    assert (
        asked(OF_MERGE_REQUEST | {"CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": "b" * 40}).sha == "b" * 40
    )


@pytest.mark.parametrize("source", ["merge_request_event", "schedule", "web"])
def test_the_include_s_own_instructions_come_before_ours(source: str) -> None:
    found = asked(OF_MERGE_REQUEST | {"CI_PIPELINE_SOURCE": source}, guided=True)
    assert (found.input, found.command) == (prompts.AS_TOLD, None)


@pytest.mark.parametrize("source", ["merge_request_event", "schedule", "web", "trigger", "api"])
@pytest.mark.parametrize("guided", [True, False])
def test_what_is_asked_in_words_comes_first(source: str, *, guided: bool) -> None:
    given = OF_MERGE_REQUEST | {"CI_PIPELINE_SOURCE": source, "AI_FLOW_INPUT": "fix it"}
    found = asked(given, guided=guided)
    assert (found.input, found.command) == ("fix it", None)


@pytest.mark.parametrize("source", ["schedule", "web"])
def test_a_pipeline_that_is_just_started_looks_the_project_over(source: str) -> None:
    found = asked(PIPELINE | {"CI_PIPELINE_SOURCE": source})
    assert (found.input, found.target, found.author) == (prompts.LOOK_AROUND, "", "ada")


@pytest.mark.parametrize("source", ["trigger", "api", "push", ""])
def test_others_have_to_ask(source: str) -> None:
    with pytest.raises(Failure, match="request_missing"):
        asked(PIPELINE | {"CI_PIPELINE_SOURCE": source})


def test_another_listener_s_pipeline_is_not_asked_for_by_who_owns_its_token() -> None:
    found = asked(PIPELINE | {"CI_PIPELINE_SOURCE": "trigger", "AI_FLOW_INPUT": "x"})
    assert (found.author, found.author_id) == ("", 0)


def from_listener(context: object) -> Request:
    text = context if isinstance(context, str) else json.dumps(context)
    return asked(PIPELINE | {"AI_FLOW_INPUT": "fix it", "AI_FLOW_CONTEXT": text})


def test_gitlab_s_webhook_payload_will_do_as_context() -> None:
    found = from_listener(HOOK)
    assert (found.target, found.discussion_id) == ("merge_request-3", "d" * 40)
    assert (found.author, found.internal) == ("bob", False)
    assert found.context["object_attributes"]["note"] == "@claude fix it"


def test_a_discussion_that_the_payload_does_not_name_is_the_variable_s() -> None:
    context = json.dumps({"object_attributes": {"note": "x"}, "issue": {"iid": 5}})
    given = {"AI_FLOW_CONTEXT": context, "AI_FLOW_DISCUSSION_ID": "e" * 40}
    assert asked(PIPELINE | {"AI_FLOW_INPUT": "x"} | given).discussion_id == "e" * 40


@pytest.mark.parametrize(
    "about", [{"event_type": "confidential_note"}, {"object_attributes": {"internal": True}}]
)
def test_what_it_says_was_internal_is_answered_internally(about: dict[str, Any]) -> None:
    assert from_listener(HOOK | about).internal


def test_an_issue_s_own_event_is_about_that_issue() -> None:
    assert (
        from_listener({"object_kind": "issue", "object_attributes": {"iid": 5}}).target == "issue-5"
    )


def test_a_number_in_quotes_is_a_number() -> None:
    assert from_listener({"issue": {"iid": "5"}}).target == "issue-5"
    assert from_listener({"issue": {"iid": "5; rm"}}).target == ""


def test_a_context_in_words_reaches_claude_as_data() -> None:
    found = from_listener("MR !3: login fails")
    assert (found.target, found.context) == ("", {"text": "MR !3: login fails"})


def described(given: Request, shown: "Shown") -> Request:
    return with_texts(given, shown, {}, "TOKEN")  # type: ignore[arg-type]


class Shown:
    """GitLab, which shows one merge request, or nothing."""

    def __init__(self, **fields: object) -> None:
        self.fields, self.asked = fields, 0

    def get(self, _: str) -> dict[str, object]:
        self.asked += 1
        if not self.fields:
            raise GitLabError(404, "")
        return self.fields


def test_title_and_description_that_nobody_sent_are_read() -> None:
    shown = Shown(title="Add a thing", description="x" * 20_000, state="opened")
    found = described(asked(OF_MERGE_REQUEST), shown)
    about = found.context["merge_request"]
    assert (about["iid"], about["title"]) == (3, "Add a thing")
    assert about["description"].endswith("[cut here]")
    assert described(found, shown) == found
    assert shown.asked == 1


def test_what_gitlab_does_not_show_is_left_to_who_needs_it() -> None:
    found = asked(OF_MERGE_REQUEST)
    assert described(found, Shown()) == found


@pytest.mark.parametrize(
    ("more", "user", "own"),
    [
        ({}, {"id": 42, "bot": True}, True),
        ({}, {"id": 42}, False),
        ({"CI_COMMIT_MESSAGE": "x\n\nCo-authored-by: Claude <noreply@x>"}, {"id": 42}, True),
        ({"CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": "b" * 40}, {"id": 42}, True),
        ({"CI_COMMIT_MESSAGE": "Co-authored-by: Claude <x>"}, {"id": 1, "bot": True}, False),
        ({"CI_PIPELINE_SOURCE": "schedule"}, {"id": 42, "bot": True}, False),
    ],
)
def test_the_job_does_not_answer_its_own_push(
    more: dict[str, str], user: dict[str, Any], *, own: bool
) -> None:
    assert own_push(OF_MERGE_REQUEST | more, user) is own


def test_the_request_is_checked_like_any_other() -> None:
    with pytest.raises(Failure, match="request_invalid"):
        from_listener({"project": {"id": 8}})
    assert request.read(OF_MERGE_REQUEST, None).internal is False
