import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.incoming.changes import new_lines


@pytest.mark.parametrize(
    ("text", "before", "new"),
    [
        ("a\nb", "", "a\nb"),
        ("a\nb", "b\na", ""),
        ("a\na\nb\na", "a\na", "b\na"),
        ("x\na\ny", "a", "x\ny"),
        ("a\r\nb\rc", "a\nb  \nc", ""),
        ("  a", "a", "  a"),
        ("", "a", ""),
        ("a\n\nb", "c\n\nd", "a\nb"),
    ],
)
def test_a_line_that_stood_there_is_not_new(text: str, before: str, new: str) -> None:
    assert new_lines(text, before) == new


LINES = st.lists(st.sampled_from(["a", "b", "", "- a"]), max_size=12)


@given(LINES, LINES)
def test_what_is_new_and_what_was_there_make_up_the_text(text: list[str], old: list[str]) -> None:
    new = new_lines("\n".join(text), "\n".join(old)).split("\n")
    assert Counter(filter(None, new)) == Counter(filter(None, text)) - Counter(old)
    rest = iter(text)
    assert all(line in rest for line in new if line)  # in order


@given(st.text())
def test_nothing_is_new_in_the_same_text(text: str) -> None:
    assert new_lines(text, text) == ""


def test_the_time_is_linear() -> None:
    began = time.process_time()
    new_lines("a\nb\n" * 250_000, "b\na\n" * 250_000)
    assert time.process_time() - began < 3
