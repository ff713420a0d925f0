import pytest

from shared.outcome.reasons import Reason, Stop
from shared.runs import command
from shared.runs.command import Options
from tests.support import fakes

SETTINGS = fakes.settings(
    ALLOWED_MODELS="claude-opus-4-5, claude-sonnet-4-5", MAX_TURNS="20", MAX_MINUTES="15"
)


def parse(text: str) -> tuple[Options, str]:
    return command.parse(text, SETTINGS)


@pytest.mark.parametrize("name", ["review", "fix", "explain"])
def test_a_word_that_chooses_a_prompt_may_be_followed_by_text(name: str) -> None:
    for text in (
        name,
        f"{name} the parser",
        f"{name}: the parser",
        name.title(),
        f"{name},\nplease",
    ):
        assert parse(text) == (Options(name), text)


@pytest.mark.parametrize("name", ["help", "status", "stop", "retry", "budget"])
def test_a_word_that_acts_on_the_thread_stands_alone(name: str) -> None:
    for text in (name, name.upper(), f"{name}!", f"{name}.", f"{name}?"):
        assert parse(text)[0] == Options(name)
    for text in (
        f"{name} me with the parser",
        f"please {name}",
        f"{name}-gap",
        f"{name}s",
        f"{name}\n\nand more",
    ):
        assert parse(text) == (Options(), text)


@pytest.mark.parametrize(
    "text",
    ["reviews", "re-view", "the review", "fixture", "fix-up", "fix_it", "explain/this", "ok"],
)
def test_other_words_are_free_text(text: str) -> None:
    assert parse(text) == (Options(), text)


def test_an_empty_instruction_is_a_call_for_help() -> None:
    assert parse("")[0] == Options("help")
    assert parse("--turns 3")[0] == Options("help", turns=3)


@pytest.mark.parametrize(
    ("text", "options", "rest"),
    [
        ("--turns 5 tidy up", Options("", "", 5), "tidy up"),
        ("--turns=5 tidy up", Options("", "", 5), "tidy up"),
        ("--turns：5，tidy up", Options("", "", 5), "tidy up"),
        (
            "--model opus --minutes=3 review this",
            Options("review", "claude-opus-4-5", 0, 3),
            "review this",
        ),
        (
            "review --model=claude-sonnet-4-5 this",
            Options("review", "claude-sonnet-4-5"),
            "review this",
        ),
        ("fix --turns 1 --turns 2", Options("fix", "", 2), "fix"),
        ("retry --turns 20", Options("retry", "", 20), "retry"),
        ("—turns 5 tidy up", Options("", "", 5), "tidy up"),
        ("--MODEL OPUS do it", Options("", "claude-opus-4-5"), "do it"),
        ("tidy up --turns 5", Options(), "tidy up --turns 5"),
        ("tidy up --unknown 5", Options(), "tidy up --unknown 5"),
        ("-- tidy up", Options(), "-- tidy up"),
        ("--- a/file", Options(), "--- a/file"),
    ],
)
def test_options_count_where_the_text_begins(text: str, options: Options, rest: str) -> None:
    assert parse(text) == (options, rest)


@pytest.mark.parametrize(
    ("text", "reason", "hint"),
    [
        ("--turn 5 x", Reason.OPTION_UNKNOWN, "Did you mean `--turns`?"),
        ("--modell opus", Reason.OPTION_UNKNOWN, "Did you mean `--model`?"),
        ("--settings={} x", Reason.OPTION_UNKNOWN, ""),
        ("--dangerously-skip-permissions", Reason.OPTION_UNKNOWN, ""),
        ("review --gitlab.url=https://evil.example", Reason.OPTION_UNKNOWN, ""),
        ("--turns", Reason.OPTION_VALUE, "`--turns N` (up to 20)"),
        ("--turns 0 x", Reason.OPTION_VALUE, "`--turns N` (up to 20)"),
        ("--turns 21 x", Reason.OPTION_VALUE, "`--turns N` (up to 20)"),
        ("--turns ５ x", Reason.OPTION_VALUE, "`--turns N` (up to 20)"),
        ("--turns -1 x", Reason.OPTION_VALUE, "`--turns N` (up to 20)"),
        ("--turns 1e1 x", Reason.OPTION_VALUE, "`--turns N` (up to 20)"),
        ("--minutes 16", Reason.OPTION_VALUE, "`--minutes N` (up to 15)"),
        ("--minutes 99999", Reason.OPTION_VALUE, "`--minutes N` (up to 15)"),
        (
            "--model gpt x",
            Reason.MODEL_NOT_OFFERED,
            "Offered here: claude-opus-4-5, claude-sonnet-4-5.",
        ),
        (
            "--model claude x",
            Reason.MODEL_NOT_OFFERED,
            "Offered here: claude-opus-4-5, claude-sonnet-4-5.",
        ),
        ("--model", Reason.MODEL_NOT_OFFERED, "Offered here: claude-opus-4-5, claude-sonnet-4-5."),
    ],
)
def test_a_wrong_option_is_told_with_what_would_be_right(
    text: str, reason: Reason, hint: str
) -> None:
    with pytest.raises(Stop) as stop:
        parse(text)
    assert (stop.value.reason, stop.value.hint) == (reason, hint)


def test_without_a_list_no_model_is_offered() -> None:
    with pytest.raises(Stop) as stop:
        command.parse("--model opus x", fakes.settings())
    assert (stop.value.reason, stop.value.hint) == (Reason.MODEL_NOT_OFFERED, "")


def test_a_limit_of_zero_lets_nobody_choose() -> None:
    with pytest.raises(Stop):
        command.parse("--turns 1 x", fakes.settings(MAX_TURNS="0"))


def test_a_hint_holds_nothing_of_the_comment() -> None:
    for text in ("--turns@all x", "--model @all x", "--minutes @all x"):
        with pytest.raises(Stop) as stop:
            parse(text)
        assert "@" not in stop.value.hint
