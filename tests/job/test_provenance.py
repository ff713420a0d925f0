"""Each commit says for whom and by what it was made, to those who may see it."""

import json

from job import provenance
from job.audience import Audience
from job.claude import Result
from job.request import Request
from shared.contract import provenance as contract

FLOW = {"version": 1, "id": "5f3a", "nonce": "n", "input": "mend it"}
ASKED = Request("5f3a", "mention", "x", {}, "issue", 5, author_id=42, note_id=9, flow=FLOW)
RESULT = Result("", 2, 0.1, {}, "s", None, ("claude-a", "claude-b"), "2.1.332")
JOB = {"CI_PROJECT_URL": "https://g/group/app", "CI_PIPELINE_ID": "7", "CI_JOB_URL": "https://g/8"}
MADE = [
    "Claude-Model: claude-a, claude-b",
    "Claude-Code: 2.1.332",
    f"Claude-Request: sha256:{contract.digest(FLOW)}",
]


def test_a_commit_tells_run_person_place_model_client_and_request() -> None:
    assert provenance.trailers(ASKED, Audience(), RESULT, JOB) == [
        "Claude-Run: 5f3a",
        "Claude-Asked-by: 42",
        "Claude-Note: https://g/group/app/-/issues/5#note_9",
        *MADE,
    ]


def test_what_was_asked_by_no_comment_names_the_thread_or_nothing() -> None:
    assigned = ASKED._replace(kind="merge_request", note_id=0)
    lines = provenance.trailers(assigned, Audience(), RESULT, JOB)
    assert "Claude-Note: https://g/group/app/-/merge_requests/5" in lines
    by_schedule = Request("r", "schedule", "x", {})
    told = provenance.trailers(by_schedule, Audience(), RESULT._replace(models=(), version=""), JOB)
    assert told == ["Claude-Run: r"]


def test_who_may_not_see_the_question_is_not_told_who_asked_it_or_where() -> None:
    internal = Audience(internal=True, push=True)
    assert provenance.trailers(ASKED, internal, RESULT, JOB) == MADE
    guessed = {name: value for name, value in FLOW.items() if name != "nonce"}
    of_another = ASKED._replace(flow=guessed)  # whose digest would tell what was asked
    assert provenance.trailers(of_another, internal, RESULT, JOB) == MADE[:-1]
    assert len(provenance.trailers(of_another, Audience(), RESULT, JOB)) == 6
    private = Audience(internal=True, private=True)
    assert len(provenance.trailers(ASKED, private, RESULT, JOB)) == 6


def test_the_statement_has_the_form_of_in_toto_and_all_that_verify_needs() -> None:
    told = json.loads(provenance.statement(ASKED, RESULT, "c" * 40, JOB))
    assert told["_type"] == "https://in-toto.io/Statement/v1"
    assert told["subject"] == [{"name": "https://g/group/app", "digest": {"gitCommit": "c" * 40}}]
    known = told["predicate"]
    assert (known["run"], known["askedBy"], known["pipeline"]) == ("5f3a", 42, "7")
    assert known["requestDigest"] == {"sha256": contract.digest(known["request"])}
