from hypothesis import given
from hypothesis import strategies as st

from shared.incoming.changes import new_lines


def test_a_line_counts_as_often_as_it_is_new() -> None:
    assert new_lines("a\nb\na", "a") == "b\na"
    assert new_lines("a\nb", "b\na\nc") == ""


@given(st.text(), st.text())
def test_what_is_new_is_in_the_text(text: str, before: str) -> None:
    assert set(new_lines(text, before).splitlines()) <= set(text.splitlines())
    assert new_lines(text, "") == "\n".join(text.splitlines())
    assert new_lines(text, text) == ""
