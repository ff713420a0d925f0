import pytest

from shared.markdown.code import blocks, infos


def found(text: str) -> list[str]:
    return [f"{text}\n"[start:end] for start, end in blocks(text)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a\n```\nb\n```\nc", ["```\nb\n```\n"]),
        ("a\n\n    b\n\n    c\nd", ["b\n\n    c\n"]),
        ("- a\n\n  ~~~\n  b\n  ~~~\n\n      c", ["~~~\n  b\n  ~~~\n", "c\n"]),
        ("> ```\n> a\n> ```\nb", ["```\n> a\n> ```\n"]),
        ("> > ```\n> > a\nb", ["```\n> > a\n"]),
        (">>>\n~~~\na\n~~~\n>>>\n\n    b", ["~~~\na\n~~~\n", "b\n"]),
        ("a `b` <pre>c</pre>", []),
        ("> a\n    b", []),
        (">\t\ta", []),
        ("> " * 4 + "    a", []),
        ("a\n    b", []),
    ],
)
def test_only_what_is_certainly_code_is_found_in_quotes_too(text: str, code: list[str]) -> None:
    assert found(text) == code


def test_a_block_too_deep_in_lists_is_a_place_behind_which_nothing_is_sure() -> None:
    text = "- " * 60 + "a\n\n\n```\nb\n```"
    (start, end), *_ = blocks(text)
    assert start == end


def test_behind_the_language_of_a_fence_stands_what_nobody_sees() -> None:
    text = "```js a b\nc\n``` d\n```\n~~~\n~~~"
    assert [text[start:end] for start, end in infos(text, 0, len(text))] == [" a b", ""]
