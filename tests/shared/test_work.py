import pytest

from shared.gitlab.values import GitLabError
from shared.incoming.digests import digest_of_texts
from shared.outcome.reasons import Reason, Retry
from shared.runs.detect import ask, request
from shared.runs.request import MAX_REQUEST, RunRequest, from_json
from tests.support.fakes import NOTE, settings
from tests.support.stages import Stage

OPEN = [
    "```",
    "~~~~ x",
    "`",
    "<!--",
    "<pre>",
    "<details><!--",
    "[a]: <",
    "$$",
    "---",
    "> ```",
    "\\",
]


@pytest.fixture
def stage() -> Stage:
    return Stage()


def long_request(text: str = "x" * 70_000) -> RunRequest:
    return request(NOTE, text, "gitlab.com")._replace(instruction=None)


def test_a_long_text_is_read_again(stage: Stage) -> None:
    stage.gitlab.text = "@claude " + "x" * 70_000
    assert stage.dispatch(long_request()) is Reason.TRIGGERED
    assert stage.gitlab.triggered[0][2]["ai_flow"]["input"] == "x" * 70_000


@pytest.mark.parametrize("text", ["@claude " + "y" * 70_000, "never mind", ""])
def test_a_long_text_that_changed_meanwhile_is_not_run(stage: Stage, text: str) -> None:
    stage.gitlab.text = text
    assert stage.dispatch(long_request()) is Reason.NOTE_CHANGED
    assert stage.gitlab.triggered == []


def test_a_long_text_whose_note_is_gone_is_not_run(stage: Stage) -> None:
    stage.gitlab.faults["texts"] = [GitLabError(404)]
    assert stage.dispatch(long_request()) is Reason.NOTE_CHANGED


@pytest.mark.parametrize(("left", "length"), [*((each, 0) for each in OPEN), ("```", MAX_REQUEST)])
def test_what_a_title_leaves_open_shows_nothing_hidden_and_hides_nothing(
    stage: Stage, left: str, length: int
) -> None:
    hidden = "[//]: # (HIDDEN)\n\nseen <!-- HIDDEN -->"
    text = f"{hidden}\n\n\u200bseen <rp>HIDDEN</rp>{'x' * length}"
    title = f"@claude {left}"
    asking = [(title, text), (left, f"{text} @claude"), (title, f"{text} @claude")]
    for number, texts in enumerate(asking):
        event = NOTE._replace(
            note_id=0, discussion_id=None, before=("", ""), texts=texts, occasion=str(number)
        )
        asked = ask(event._replace(texts_digest=digest_of_texts(*texts)), settings())
        assert isinstance(asked, RunRequest)
        stage.gitlab.described = stage.gitlab.described._replace(
            title=texts[0], description=texts[1]
        )
        assert stage.dispatch(from_json(asked.to_json())) is Reason.TRIGGERED
        told = stage.gitlab.triggered[-1][2]["ai_flow"]["input"]
        assert "HIDDEN" not in told
        assert told.count("seen") == 2
        assert "@claude" not in told


def test_a_long_text_that_cannot_be_read_now_is_tried_again(stage: Stage) -> None:
    stage.gitlab.faults["note"] = [GitLabError(502)]
    with pytest.raises(Retry):
        stage.dispatch(long_request())
