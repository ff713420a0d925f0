"""Why the job fails: each way has an exit code, a sentence and a cure."""

import re

import pytest

from job.failures import ExitCode, Failure, Reason
from tests import ROOT


@pytest.mark.parametrize("reason", Reason, ids=lambda reason: reason.name)
def test_every_reason_is_a_sentence_with_a_cure(reason: Reason) -> None:
    assert reason.sentence.endswith(".")
    assert reason.cure.endswith(".") or reason is Reason.CANCELED
    assert 0 < reason.code < 126


def test_every_exit_code_is_one_that_the_page_explains() -> None:
    page = ROOT / "docs" / "job.md"
    explained = re.findall(r"^\| ([0-9]+) \|", page.read_text(), re.MULTILINE)
    assert explained == ["0", *(str(code.value) for code in ExitCode)]
    assert {reason.code for reason in Reason} == set(ExitCode)


def test_a_failure_is_its_sentence_and_cure_with_the_blanks_filled_in() -> None:
    failure = Failure(Reason.MAX_BUDGET, limit=5)
    assert failure.text == (
        "Claude stopped at the limit of $5. "
        "Ask for less at once, or raise the input max_budget_usd and, if set, BUDGET_PER_RUN."
    )
    assert str(failure) == f"max_budget: {failure.text}"
    assert failure.code == 1


def test_nothing_is_appended_where_there_is_no_cure() -> None:
    assert Failure(Reason.CANCELED).text == "The job was canceled."
