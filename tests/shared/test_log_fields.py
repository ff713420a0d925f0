from shared.log_fields import entry, severity
from shared.outcome.reasons import Reason
from shared.runs.request import TrackRequest
from tests.support.fakes import NOTE, run


def test_of_a_run_ids_are_logged_and_no_text() -> None:
    asked = run(NOTE._replace(project_path="canary/canary", author="canary"))
    fields = entry(Reason.TRIGGERED, asked._replace(instruction="canary"), attempt=2)
    assert fields == {
        "outcome": "triggered",
        "reason": "triggered",
        "run": asked.id,
        "project_id": 7,
        "kind": "issue",
        "iid": 5,
        "note_id": 101,
        "author_id": 42,
        "attempt": 2,
    }


def test_of_a_look_at_a_pipeline_its_ids_are_logged() -> None:
    assert entry(Reason.TRACKED, TrackRequest(7, 31, "success"), error="Timeout") == {
        "outcome": "answered",
        "reason": "tracked",
        "run": "track-7-31-success",
        "project_id": 7,
        "pipeline_id": 31,
        "error": "Timeout",
    }


def test_an_operator_looks_at_errors() -> None:
    assert severity(Reason.DEAD_LETTER) == "ERROR"
    assert severity(Reason.PROJECT_NOT_SEEN) == "WARNING"
    assert severity(Reason.TRIGGERED) == severity(Reason.ROLE_TOO_LOW) == "INFO"
