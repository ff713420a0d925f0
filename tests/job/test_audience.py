"""Who reads what: a table of all there is, so that a new output is a new column."""

import pytest

from job.audience import Audience, of
from job.inputs import Inputs
from job.request import Request

ASKED = Request("r", "mention", "x", {}, kind="issue", iid=5, author_id=42, author="ada")
PUSH = Inputs(confidential_changes="push")


@pytest.mark.parametrize(
    ("internal", "visibility", "inputs", "words", "session", "pushes", "names"),
    [
        (False, "public", Inputs(), True, True, True, True),
        (False, "private", Inputs(), True, True, True, True),
        (True, "public", Inputs(), False, False, False, False),
        (True, "internal", Inputs(), False, False, False, False),
        (True, "", Inputs(), False, False, False, False),
        (True, "public", PUSH, False, False, True, False),
        (True, "internal", PUSH, False, False, True, False),
        (True, "private", Inputs(), False, False, True, True),
    ],
)
def test_each_output_has_its_readers(
    internal: bool,
    visibility: str,
    inputs: Inputs,
    words: bool,
    session: bool,
    pushes: bool,
    names: bool,
) -> None:
    request = ASKED._replace(internal=internal)
    found = of(request, inputs, {"CI_PROJECT_VISIBILITY": visibility})
    assert (found.all_words, found.keeps_session) == (words, session)
    assert (found.pushes, found.names) == (pushes, names)
    shown = found.shown(request)
    assert (shown.target, shown.author, shown.author_id) == (
        ("issue-5", "ada", 42) if names else ("", "", 0)
    )


def test_without_a_word_about_the_project_it_counts_as_public() -> None:
    assert not of(ASKED._replace(internal=True), Inputs(), {}).pushes
    assert Audience() == of(ASKED, Inputs(), {})
