import pytest

from shared.outcome.reasons import Outcome, Reason, Retry, Stop


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_every_reason_is_a_sentence_for_people(reason: Reason) -> None:
    assert str(reason) == reason.name.lower()
    assert reason.outcome in Outcome
    assert reason.sentence.endswith((".", "!"))
    assert not reason.cure or reason.cure.endswith(".")


def test_no_two_reasons_have_the_same_sentence() -> None:
    assert len({reason.value for reason in Reason}) == len(Reason)
    assert len({reason.sentence for reason in Reason}) == len(Reason)


def test_an_error_says_its_reason_and_cure() -> None:
    assert str(Stop(Reason.NO_JOB)).startswith("no_job: No job of the project matches")
    assert Retry(Reason.BUSY, after=3).after == 3
