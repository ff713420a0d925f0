import time

import pytest

from shared.markdown.link_labels import without_hidden
from shared.markdown.sanitize import sanitize
from tests.shared.markdown.test_visible import repeating


def keeps(*texts: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("text", texts)


def becomes(*pairs: tuple[str, str]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(("text", "seen"), pairs)


@keeps(
    "[a link][1], [another][docs-site] and [1]\n\n[1]: http://x\n[docs-site]: http://y",
    "see [The Docs] and [them][the  docs]\n\n[the docs]: http://x",
    "`[evil words]` is seen\n\n[evil words]: #",
    "arr[i][j + 1] and [x]: y",
    "The log says\n[main thread]: started\n[other thread]: stopped\nand ends",
    "[a b]: c d is text\n\n[WIP feature]: do it",
    "```\n[a b]: c\n```\n\n    [a b]: c\n\n> ~~~\n> [x][a b]\n> [a b]: c\n> ~~~",
    "```\n[^1]: a\n```",
    "so[^1] and[^a]\n\n[^1]: a\n\n    b\n[^a]: c",
)
def test_what_a_reader_sees_stays(text: str) -> None:
    assert without_hidden(text) == text


@becomes(
    ("[evil words]: #\na", "\na"),
    ("a\n\n[evil words]: #\n[more\n evil]:\n<> 'and\nmore'\n\nb", "a\n\n\n\n\nb"),
    ("> - [evil words]: #\n> a", "> - \n> a"),
    ("[x]:\nhttp://x\n[evil words]: #", "[x]:\nhttp://x\n"),
    ("1.\n[evil words]: #", "1.\n"),
    ("<pre>\na</pre>\n[evil words]: #", "<pre>\na</pre>\n"),
    ("[x][Evil  Words] ![evil words] ![y][evil words]\n\n[evil words]: z", "[x][] ![] ![y][]\n\n"),
    (
        "```\na\n```\n[evil words]: #\n```\n[evil words]: #\n```",
        "```\na\n```\n\n```\n[evil words]: #\n```",
    ),
)
def test_labels_that_no_reader_sees_go(text: str, seen: str) -> None:
    assert without_hidden(text) == seen


@becomes(
    ("a\n\n[^1]: evil\nwords\n\n    more\n\n\tof them\n \nb", "a\n\n\n \nb"),
    ("[^1]: evil\n[^2]: seen\n\na[^2]", "\n[^2]: seen\n\na[^2]"),
    ("> [^1]: evil\n>\n>     words\n> a", "> \n> a"),
    ("[^1]: evil [words][evil words]\n\n[evil words]: #", "\n\n"),
)
def test_footnotes_that_nothing_refers_to_go(text: str, seen: str) -> None:
    assert without_hidden(text) == seen


@becomes(
    ("a <!-- [evil words] [^1] -->\n\n[evil words]: #\n\n[^1]: evil", "a \n\n\n\n"),
    ("![alt text][evil words]\n\n[evil words]: z", "![][]\n\n"),
    ("[\u200bevil words]: #", ""),
)
def test_labels_referred_to_only_from_hidden_text_go(text: str, seen: str) -> None:
    assert sanitize(text) == seen


REPEATED = (
    "[a b]: c\n", "[a b]:\n", '[a b]: c "\n', "[a b", "[x][a b]", "[^1]: a\n", "[^1]:\n\n",
    "\n    [^1]:", "[^1]: a\n\n    b\n",
)  # fmt: skip


@pytest.mark.parametrize("name", REPEATED)
def test_four_times_the_text_costs_less_than_eight_times_the_time(name: str) -> None:
    def cost(size: int) -> float:
        text = repeating(name)(size) + "\n\n[c d]: #\n\n[^2]: e"
        start = time.process_time()
        without_hidden(text)
        return time.process_time() - start

    assert any(cost(80_000) <= 8 * max(cost(20_000), 0.002) for _ in range(20))
