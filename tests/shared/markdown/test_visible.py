import ast
import json
import re
import time
from collections.abc import Callable
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.incoming.mention import instruction
from shared.markdown import visible
from shared.markdown.visible import mask, shown
from tests import DATA

REDOS = json.loads((DATA / "redos.json").read_text())["families"]


def shows(*texts: str) -> pytest.MarkDecorator:
    """Each text holds SHOWN where a reader sees running text and HIDDEN where not."""
    return pytest.mark.parametrize("text", texts)


def holds(text: str) -> bool:
    seen = mask(text)
    return "HIDDEN" not in seen and seen.count("SHOWN") == text.count("SHOWN")


@shows(
    "SHOWN",
    "SHOWN\nSHOWN\n\nSHOWN",
    "# SHOWN #\nSHOWN",
    "**SHOWN** *SHOWN* ~~SHOWN~~",
    "|SHOWN|\n|---|\n|SHOWN|",
    "SHOWN\n===\nSHOWN\n---\n***\nSHOWN",
    "- SHOWN\n+ SHOWN\n1. SHOWN\n2) SHOWN",
    "- [ ] SHOWN\n- [x] SHOWN",
    "SHOWN &amp; <3 a < b > c `",
)
def test_plain_text_is_seen(text: str) -> None:
    assert mask(text) == text


def test_what_is_hidden_leaves_blanks_and_newlines() -> None:
    assert mask("a `b` c\n> d\r\ne") == "a     c\n   \r\ne"


@shows(
    "```\nHIDDEN\n```\nSHOWN",
    "~~~ HIDDEN\nHIDDEN\n~~~\nSHOWN",
    "````\n```\nHIDDEN\n````\nSHOWN",
    "```\nHIDDEN\n~~~\nHIDDEN\n``\nHIDDEN\n```\nSHOWN",
    "```\nHIDDEN\n``` no end\nHIDDEN\n   ```` \nSHOWN",
    "```\nHIDDEN\n    ```\nHIDDEN",
    "~~~\nHIDDEN\n\t~~~\nHIDDEN",
    "SHOWN\n```\nHIDDEN\n\n# HIDDEN\n- HIDDEN",
    "``` a`b\nSHOWN",
    "~~~ a`b\nHIDDEN",
    "``\nSHOWN",
    "    ```\nSHOWN",
    "SHOWN\n    ```\nSHOWN",
    "```\nHIDDEN\n```\n```\nHIDDEN\n```\nSHOWN",
    "```\nHIDDEN\n```\n```` x\nHIDDEN\n```\nHIDDEN\n````\nSHOWN",
)
def test_fenced_code_is_not_seen(text: str) -> None:
    assert holds(text)


@shows(
    "- ```\n  HIDDEN\n  ```\n  SHOWN",
    "- ```\n  HIDDEN\n\n  HIDDEN\nSHOWN",
    "1. ~~~\n   HIDDEN\n2. SHOWN",
    "- a\n  - ```\n    HIDDEN\n  SHOWN",
    "-\t```\n\tHIDDEN\n\t```\n\tSHOWN",
    "-   ```\n   SHOWN",
    "- a\n\n  ```\n  HIDDEN\n      ```\n  HIDDEN",
    "- a\n\n      HIDDEN\n\n    SHOWN",
    "- >>>\n  HIDDEN\nSHOWN",
)
def test_a_block_ends_with_its_list_item(text: str) -> None:
    assert holds(text)


@shows(
    "    HIDDEN",
    "\tHIDDEN",
    "  \tHIDDEN",
    "   SHOWN",
    "SHOWN\n    SHOWN\n\n    HIDDEN\n\n    HIDDEN\nSHOWN",
    "# SHOWN\n    HIDDEN",
    "SHOWN\n---\n    HIDDEN",
    "***\n    HIDDEN",
    "SHOWN\n\n    # HIDDEN\n    > HIDDEN",
    "1. SHOWN\n\n    SHOWN",
    "1. SHOWN\n\n       HIDDEN",
    "- SHOWN\n\n  SHOWN\n\n      HIDDEN",
    "- SHOWN\n\nSHOWN\n\n    HIDDEN",
    "-     HIDDEN",
    "-\t\tHIDDEN\n\tSHOWN",
    "-\n  SHOWN\n\n  SHOWN\n\n      HIDDEN",
    "-\n\n  SHOWN\n\n    HIDDEN",
    "- - SHOWN\n\n    SHOWN\n\n        HIDDEN",
    "10. SHOWN\n\n    SHOWN\n\n        HIDDEN",
    "SHOWN\n14. SHOWN\n\n    HIDDEN",
    "SHOWN\n1. SHOWN\n\n    SHOWN",
    "SHOWN\n-\n    HIDDEN",
    "- SHOWN\nSHOWN\n\n  SHOWN",
    "- SHOWN\n2. SHOWN\n\n   SHOWN\n\n       HIDDEN",
    "- * * *\n\n      HIDDEN",
    "- a\n- * * *\n      HIDDEN",
    "[x]: y\n    SHOWN",
    "<details>\n    SHOWN",
)
def test_indented_code_is_not_seen_and_a_list_moves_the_indent(text: str) -> None:
    assert holds(text)


def test_a_list_deeper_than_anybody_reads_is_not_seen() -> None:
    text = "- " * 60 + "HIDDEN\n" + " " * 120 + "SHOWN"
    assert holds(text.replace("SHOWN", "HIDDEN"))
    assert holds("- " * 40 + "SHOWN")


@shows(
    "`HIDDEN` SHOWN",
    "``HIDDEN ` HIDDEN`` SHOWN",
    "`HIDDEN `` HIDDEN` SHOWN",
    "`HIDDEN\nHIDDEN` SHOWN",
    "` SHOWN",
    "`` SHOWN `",
    "` SHOWN\n\nSHOWN `",
    "` SHOWN\n \t\nSHOWN `",
    "- ` SHOWN\n- SHOWN `",
    "# ` SHOWN\nSHOWN `",
    "SHOWN `\n***\nSHOWN `",
    "SHOWN `\n> `\nSHOWN `",
    "SHOWN `\n===\nSHOWN `",
    r"\`SHOWN\`",
    r"`HIDDEN\` SHOWN `HIDDEN`",
    "``` SHOWN `` SHOWN ` SHOWN\n\n`` SHOWN ` SHOWN",
    "`` SHOWN ` HIDDEN ` SHOWN ``` SHOWN ```` SHOWN\n\n``HIDDEN``",
    "``` ` HIDDEN ` SHOWN ` HIDDEN ` SHOWN `` HIDDEN ``",
)
def test_inline_code_is_not_seen_within_one_block(text: str) -> None:
    assert holds(text)


@shows(
    "> HIDDEN\nSHOWN",
    ">HIDDEN\n> > HIDDEN\n   > HIDDEN\n\nSHOWN",
    "SHOWN\n> HIDDEN",
    "SHOWN\n    > SHOWN",
    "- SHOWN\n  > HIDDEN\n  SHOWN",
    "- > HIDDEN\n  SHOWN\n\n  SHOWN",
    "1. > HIDDEN\n> HIDDEN\nSHOWN",
    "> ```\nSHOWN",
    "> <!--\nSHOWN",
    "```\n> HIDDEN\n```\nSHOWN",
    "a > SHOWN",
    r"\> SHOWN",
)
def test_a_quoted_line_is_not_seen_and_the_next_line_is(text: str) -> None:
    assert holds(text)


@shows(
    ">>>\nHIDDEN\n\nHIDDEN\n>>>\nSHOWN",
    ">>>>\n>>>\nHIDDEN\n>>>\nHIDDEN\n>>>> \nSHOWN",
    ">>>\nHIDDEN\n>>>>>\nSHOWN",
    ">>>\n```\nHIDDEN\n>>>\nSHOWN",
    ">>>\nHIDDEN",
    ">>> HIDDEN\nSHOWN",
    ">>\nSHOWN",
    "SHOWN\n>>>\nHIDDEN\n>>>\n>>>\nHIDDEN\n>>>\nSHOWN",
    "> HIDDEN\n>>>\nHIDDEN\n>>>\nSHOWN",
)
def test_a_quote_of_several_lines_is_not_seen(text: str) -> None:
    assert holds(text)


@shows(
    "SHOWN <!-- HIDDEN --> SHOWN",
    "<!-- HIDDEN --> SHOWN",
    "<!-- HIDDEN - HIDDEN --> SHOWN <!-- HIDDEN\n\n-->\nSHOWN",
    "<!--\n```\nHIDDEN\n\n> -->\nSHOWN",
    "SHOWN <!-- HIDDEN\n\nHIDDEN --> SHOWN",
    "<!-- HIDDEN\n\nHIDDEN",
    "SHOWN <!-- HIDDEN",
    "<!--> SHOWN <!---> SHOWN",
    "SHOWN <!--> SHOWN <!---> SHOWN",
    "`<!--` SHOWN `-->`",
    r"\<!-- SHOWN",
    "```\n<!--\n```\nSHOWN",
    "SHOWN `\n<!-- HIDDEN --> SHOWN ` SHOWN",
    "<? HIDDEN ?> SHOWN <!DOCTYPE HIDDEN> SHOWN",
    "a <- SHOWN <! SHOWN",
)
def test_a_comment_is_not_seen_and_open_it_hides_the_rest(text: str) -> None:
    assert holds(text)


@shows(
    "<b title='HIDDEN'>SHOWN</b >",
    '<b a=HIDDEN c = "HIDDEN > HIDDEN" HIDDEN>SHOWN',
    "<b\nc='HIDDEN\nHIDDEN'\n/>SHOWN",
    "<b c='\n\nSHOWN'>",
    "<3 SHOWN> <b c=d'SHOWN> <b =SHOWN> < SHOWN>",
    r"\<b SHOWN>",
    "<details><summary>SHOWN</summary>\n\nSHOWN\n\n</details>",
    "<div>\nSHOWN\n</div>",
    "<img alt='HIDDEN'> SHOWN",
    "<abbr>SHOWN</abbr>",
)
def test_a_tag_is_not_seen_and_the_text_between_tags_is(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize("name", ["pre", "code", "a", "style", "script", "textarea", "PRE", "Code"])
def test_some_elements_are_not_seen_at_all(name: str) -> None:
    assert holds(f"SHOWN <{name}>HIDDEN\n\nHIDDEN</{name} > SHOWN")
    assert holds(f"<{name} class='x'>HIDDEN</{name.lower()}> SHOWN")
    assert holds(f"SHOWN <{name}\nx='y'>HIDDEN\n\nHIDDEN")
    assert holds(f"SHOWN `<{name}>` SHOWN")
    assert holds(f"SHOWN <{name} x=y />SHOWN")


@shows("<pre\n>HIDDEN", "SHOWN\n<pre>\n```\nHIDDEN\n</pre>\nSHOWN", "x/\n<pre>HIDDEN")
def test_an_element_that_begins_a_line_is_a_block(text: str) -> None:
    assert holds(text)


@shows(
    "https://HIDDEN SHOWN",
    "(https://x/HIDDEN) SHOWN",
    "git+ssh://HIDDEN.HIDDEN/@HIDDEN?x=HIDDEN#HIDDEN SHOWN",
    "WWW.HIDDEN SHOWN www.HIDDEN",
    "mailto:HIDDEN@HIDDEN SHOWN",
    "<https://HIDDEN/HIDDEN> SHOWN <tel:HIDDEN>",
    "http://x/`HIDDEN HIDDEN` SHOWN",
    "http://x/`HIDDEN SHOWN",
    "http://HIDDEN<b>SHOWN",
    "http://HIDDEN\u3000SHOWN",
    "HIDDEN:// SHOWN :/SHOWN awww.SHOWN",
    "SHOWN: SHOWN",
)
def test_an_address_is_not_seen(text: str) -> None:
    assert holds(text)


@shows(
    "[HIDDEN](x) SHOWN",
    "[HIDDEN](HIDDEN 'HIDDEN HIDDEN') SHOWN",
    '[HIDDEN](<HIDDEN HIDDEN> "HIDDEN\nHIDDEN") SHOWN',
    "[HIDDEN]( x\n(HIDDEN HIDDEN) ) SHOWN",
    "![HIDDEN](x) SHOWN",
    "[](x)SHOWN",
    "[HIDDEN [HIDDEN] HIDDEN](x) SHOWN",
    "[HIDDEN](a(b)(c(HIDDEN))) SHOWN",
    r"[HIDDEN \] HIDDEN](\)HIDDEN) SHOWN",
    "[HIDDEN `]` HIDDEN](x) SHOWN",
    "[![HIDDEN](x)HIDDEN](y) SHOWN",
    "![HIDDEN [HIDDEN](x) HIDDEN](y) SHOWN",
    "[SHOWN [HIDDEN](x) SHOWN](y) SHOWN",
    "[[[SHOWN [HIDDEN](x 'y') SHOWN](y) SHOWN]]](z) SHOWN",
    "[SHOWN [HIDDEN](x) SHOWN [HIDDEN](x) SHOWN](y)",
    "[SHOWN] SHOWN",
    "[SHOWN] (SHOWN)",
    "[SHOWN](x SHOWN)",
    "[SHOWN](x 'SHOWN' SHOWN)",
    "[SHOWN](x(SHOWN)",
    "[SHOWN](<x\ny>SHOWN)",
    "[SHOWN\n\nSHOWN](x)",
    "- [SHOWN\n- SHOWN](x)",
    r"\[SHOWN](x)",
    r"[SHOWN\](x)",
    "[SHOWN `](x)` SHOWN",
    "[SHOWN <b c='](x)'> SHOWN",
    "]SHOWN]](x) SHOWN",
    "[[SHOWN [[HIDDEN]](x) SHOWN",
    "[HIDDEN](x) [SHOWN",
)
def test_a_link_is_not_seen_as_a_whole(text: str) -> None:
    assert holds(text)


def test_a_destination_nests_parentheses_to_a_depth_of_32() -> None:
    assert holds(f"[HIDDEN]({'(' * 32}x{')' * 32}) SHOWN")
    assert holds(f"[SHOWN]({'(' * 33}x{')' * 33}) SHOWN")


@shows(
    "[HIDDEN][x] [HIDDEN][X] SHOWN\n\n[x]: HIDDEN",
    "[x]: HIDDEN 'HIDDEN'\n\nSHOWN [x] SHOWN [x][] SHOWN [y] [SHOWN][y]",
    "[a\n  b]:\n  <HIDDEN HIDDEN>\n  (HIDDEN\nHIDDEN)\nSHOWN [HIDDEN][A B]",
    "[HIDDEN]: x\n\n[HIDDEN] ![HIDDEN][] [[HIDDEN]] SHOWN",
    "- [x]: HIDDEN\n- SHOWN [HIDDEN][x]",
    "[HIDDEN]: x 'HIDDEN'\n[y]: HIDDEN\n   [z]: HIDDEN\nSHOWN",
    "[x]: HIDDEN\n'SHOWN' SHOWN",
    "[//]: # (HIDDEN)",
    "[SHOWN]: please SHOWN",
    "SHOWN\n[SHOWN]: SHOWN",
    "[SHOWN]:\n\nSHOWN",
    "[ ]: SHOWN",
    "[^1]: SHOWN\n\nSHOWN [^1]",
    "[SHOWN][y] [SHOWN [HIDDEN][x] SHOWN][z]\n\n[x]: z",
    r"[a\]b]: HIDDEN" + "\n\n" + r"[a\]b] SHOWN",
    "    [x]: HIDDEN\n\n[SHOWN][x]",
    "[x]: y\n\n[" + "a" * 1001 + "SHOWN] [SHOWN [x] SHOWN]",
    "[x]: y\n\n]] [SHOWN]] [[HIDDEN][x]] SHOWN",
    "[a `]: HIDDEN\n\n[a `]` SHOWN] SHOWN",
)
def test_a_definition_and_a_link_to_it_are_not_seen(text: str) -> None:
    assert holds(text)


@shows(
    "---\nHIDDEN\n---\nSHOWN",
    "\n \n+++ toml\r\nHIDDEN\r\n+++ \r\nSHOWN",
    "-*- coding: HIDDEN -*-\n;;;\nHIDDEN\n...\nSHOWN".replace("coding: HIDDEN", "coding: x"),
    "coding: x\r\n---\r\nHIDDEN\r\n---\r\nSHOWN",
    "---\nHIDDEN\n\n# HIDDEN\n---- HIDDEN\n;;;\nSHOWN",
    "---\n```\nSHOWN\n---\nHIDDEN",
    "---\n~~~\nHIDDEN\n---\nSHOWN",
    "---\nSHOWN\n",
    "--- a b\nSHOWN\n---",
    " ---\nSHOWN\n---",
    "SHOWN\n\n---\nSHOWN\n---",
    "\ufeff---\nSHOWN\n---",
)
def test_front_matter_is_a_block_of_code(text: str) -> None:
    assert holds(text)


@shows(
    "|SHOWN|\n|---|\n|SHOWN|HIDDEN|\n|SHOWN|\n\n|SHOWN|SHOWN|",
    "SHOWN\nSHOWN | a\n:-: | -\nSHOWN | SHOWN | HIDDEN\nSHOWN",
    "- |SHOWN|\n  |---|\n  |SHOWN|HIDDEN|\n- SHOWN|SHOWN",
    "|a|\n|-|\n|SHOWN\\|SHOWN|HIDDEN",
    "|a|\n|-|\n|b|`|\n|SHOWN|\n\n`HIDDEN`",
    "|a|\n|-|-|\n|SHOWN|SHOWN|",
    "SHOWN|SHOWN\n---\nSHOWN|SHOWN",
    "# a\n|-|\n|SHOWN|SHOWN|",
    "|a|\n|-|\n# SHOWN|SHOWN",
    "|a|\r\n|-|\r\n|SHOWN|HIDDEN|\r\nSHOWN",
)
def test_a_cell_beyond_the_header_is_not_seen(text: str) -> None:
    assert holds(text)


@shows(
    "<ruby>SHOWN<rp>HIDDEN</rp><rt>SHOWN</rt></ruby> SHOWN",
    "<ruby>SHOWN<rp>HIDDEN<rt>SHOWN<RP >HIDDEN</ruby> SHOWN",
    "SHOWN <rp>HIDDEN\n\nHIDDEN",
    "SHOWN <rp>HIDDEN <b>HIDDEN</b></rp> HIDDEN",
    "`<rp>` SHOWN",
)
def test_what_stands_for_readers_without_ruby_is_not_seen(text: str) -> None:
    assert holds(text)


@shows(
    "$$ HIDDEN $$ SHOWN",
    "SHOWN\n$$\nHIDDEN\nHIDDEN\n$$\nSHOWN",
    "$HIDDEN$ SHOWN $`HIDDEN`$",
    "$$ SHOWN\n\nSHOWN $$",
    "SHOWN costs $5, SHOWN, and $6",
    "\\$SHOWN$ $ SHOWN$ $SHOWN $ $SHOWN$5",
)
def test_a_formula_is_not_seen(text: str) -> None:
    assert holds(text)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (r"\@a", "  a"),
        (r"\\@a", r"\\@a"),
        (r"\\\@a", r"\\  a"),
        (r"\*@a", r"\*@a"),
        (r"\a@a", r"\a@a"),
    ],
)
def test_an_escaped_at_sign_is_not_seen(text: str, seen: str) -> None:
    assert mask(text) == seen


@shows(
    "```\rHIDDEN\r```\rSHOWN",
    "> HIDDEN\rSHOWN",
    "`\r\n\r\nSHOWN`",
    "# ` SHOWN\r\nSHOWN `",
    "\0SHOWN `\0`",
)
def test_every_kind_of_newline_is_one(text: str) -> None:
    assert holds(text)


MARKS = [
    "```", "`", "~~~", ">", ">>>", "<", "<!--", "-->", "<pre>", "</pre>", "<a", "<code>", "</code>",
    "[", "]", "(", "](", "[x]:", "[x]", "![", "\\", "@", "-", "1.", "10)", "#", "===", "***",
    "|", "|-|\n", "\n-|-\n", "---\n", "+++\n", "...\n", "$", "$$", "<rp>", "</rp>", "<rt>",
    "www.", "://", '"', "'", "=", "/", "|", "&", ";", "a", "claude", "@claude", "\0", "\r",
    "\ud800", "\U0001f916", " ", "  ", "    ", "\t", "\n", "\n\n", "\r\n", "é",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(MARKS) | st.text(max_size=3)).map("".join)


@given(TEXTS)
def test_only_blanks_replace_and_no_newline_goes(text: str) -> None:
    seen = mask(text)
    assert len(seen) == len(text)
    assert all(new in (old, " ") for old, new in zip(text, seen, strict=True))
    assert [char for char in seen if char in "\r\n"] == [char for char in text if char in "\r\n"]


@given(TEXTS)
def test_what_is_hidden_stays_hidden(text: str) -> None:
    seen = mask(text)
    again = mask(seen)
    assert all(new == " " for old, new in zip(seen, again, strict=True) if old == " ")


LINES = (
    "\n> ", "\n>>>\n", "\n\n", "\n", "\n- ", "\n1. ", "\n  ", "\n    ", "@a", " @a ", "`", "```\n",
    "~~~\n", "<!--", "-->", "<a>", "</a>", "<b x='", "'>", "[", "](x)", "[x]: y\n", "\n[x]: y\n'",
    "$", "$$", "|", "|-|\n", "---\n", "...\n", "\r\n", "\r",
    "\\", "x", "# ", "\n===", "http://", "\t", "\0", ">",
    "\n\nx", "\n\n- ", "\n# x", "\n* x", "\n***\n", "\n---\n", "\n--\n", "\n- - -\n", "\n- ```\n  ",
    "\n    @a", "\n  - @a", "\n\t@a", "<code>", "</code>", "<pre>", "</pre>", "<rp>", "</rp>", "<b>",
    "a|b\n", "|c|@a|d\n", "[x][x]", "\n- \n", "\n2. ", "<?", "?>",
)  # fmt: skip


@pytest.mark.parametrize("window", [1, 5, 1_000])
@given(st.lists(st.sampled_from(LINES), max_size=25).map("".join))
def test_what_is_shown_is_what_the_whole_mask_leaves(window: int, text: str) -> None:
    spans = [found.span() for found in re.finditer("@a", text)]
    seen = mask(text)
    with patch.object(visible, "_WINDOW", window):
        for some in (spans, spans[:1], spans[-1:]):
            assert not some or shown(text, some) == [
                (start, end) for start, end in some if seen[start:end] == text[start:end]
            ]


FILLED = {
    "prose": "Some words, and more of them.\n\n",
    "a list": "- an item\n  1. and one in it\n",
    "nested quotes": "> > quoted\n> again\n\n",
    "headings": "a\n# b\n",
    "links": "See [this](https://example.com/a) and `that`.\n\n",
}


@pytest.mark.parametrize("filling", FILLED.values(), ids=FILLED)
def test_a_mention_far_behind_in_a_long_text_is_seen_and_little_is_read(filling: str) -> None:
    text = filling * (990_000 // len(filling)) + "\n\n@a" + "\n\n" + filling * 100
    at = text.index("@a")
    with patch.object(visible, "_masked", wraps=visible._masked) as read:
        assert shown(text, [(at, at + 2)]) == [(at, at + 2)]
    assert len(read.call_args.args[0]) < 3_000


@pytest.mark.parametrize("opening", ["```\n", "<!--", "<pre>\n", "x <code>", ">>>\n", "- ~~~\n"])
def test_what_is_left_open_far_before_hides_a_mention(opening: str) -> None:
    inside = "  " if opening.startswith("-") else ""
    text = opening + f"{inside}words\n\n" * 1_000 + f"{inside}@a"
    assert shown(text, [(len(text) - 2, len(text))]) == []


@pytest.mark.parametrize("piece", ["a\n-\n", "<b>", "[a](b) ", "$a ", "|a|\n|-|\n|b|c\n", "`a` "])
def test_behind_more_than_is_read_nothing_is_seen(piece: str) -> None:
    text = "@a " + piece * (990_000 // len(piece)) + " @a"
    assert shown(text, [(0, 2), (len(text) - 2, len(text))]) == [(0, 2)]


@pytest.mark.parametrize(
    ("opening", "end"), [("`", "`"), ("[", "](b)"), ("<b c='", "'>"), ("$$", "$$")]
)
@pytest.mark.parametrize("filling", ["a", "<b>"])
def test_what_may_end_behind_what_is_read_hides(opening: str, end: str, filling: str) -> None:
    text = f"x {opening}@a {filling * 300_000}{end}"
    at = text.index("@a")
    assert shown(text, [(at, at + 2)]) == []


def test_letters_that_grow_when_made_small_hide_no_mark() -> None:
    text = "\u0130" * 20_000 + "\n\n<PRE>\n\nx\n\n" + "x\n\n" * 5_000 + "@a"
    assert shown(text, [(len(text) - 2, len(text))]) == []


@given(TEXTS)
def test_nothing_behind_an_open_comment_is_seen(text: str) -> None:
    assert mask("SHOWN <!-- " + text.replace("--", "")).split() == ["SHOWN"]


def family(text: str) -> Callable[[int], str]:
    """Read `'x'+'y'*n` as redos.json writes it: a function from a size to a text of that size."""
    pieces = [
        (ast.literal_eval(piece), times)
        for piece, times in re.findall(r"('(?:[^'\\]|\\.)*')(\*n)?", text)
    ]
    return lambda size: "".join(
        piece * (size // len(piece)) if times else piece for piece, times in pieces
    )


def repeating(text: str) -> Callable[[int], str]:
    return lambda size: text * (size // len(text))


def counting(size: int) -> str:
    """Runs of backticks, each longer than the one before."""
    return "".join("`" * length + "a " for length in range(1, int((2 * size) ** 0.5)))


def deepening(size: int) -> str:
    return "".join(" " * (2 * depth) + "- a\n" for depth in range(int(size**0.5)))


REPEATED = (
    "`a", "``a", "`a``", "` ", "[a](b) ", "[a](b", "[a](b 'c", '[a](b "c") ', "[a](<b", "[](", "](",
    "](<", "[a", "[a]", "[[a](b)", "![a](b)", "<a ", '<a b="', "<a b='c", "<a:", "</", "<?", "<!A",
    "<b>", "<b>a", "<!-->", "<!--->\n", "<code>x</code>", "<pre>\n", "-->", "- ", "1. ", "- - ",
    "- * ", "-\n", "1.\n", "- a\n", "1. a\n", "-\ta\n", "- ```\n", "- > a\n",
    "- a\n  - b\n    - c\n", "*", "\\", "\\@", "\\@a", "http://", "www.", "a://b ", "a", ">>>\n",
    "> a\n", ">\n", "~~~\n", "```a\n", "```\n", "[x]: y\n", "[x]: y\n\n", "[x]: y '\n", "[x]: <\n",
    "[", "]", "(", ")", "#\n", "---\n", "* * *\n", "=\n", "a\n=\n", "a\n", "a\n\n", "\n", " \n",
    "\t", "\t\n", "\r", "\r\n", "    a\n", "| a ", "\0", "@claude ", "@claude", "`@claude` ",
    "|a\n", "-|-\n", "a|b\n-|-\nc|d|e\n", "|", "---\n", "--- a\n", "+++\n...\n", "$a$ ", "$$",
    "$$a", "$a\n", "<rp>", "<rp>a<rt>", "<rp><b>", "x\n@claude ", "@claude\n", "@claude —turns=1 ",
)  # fmt: skip
FAMILIES: dict[str, Callable[[int], str]] = {
    **{text: family(text) for text in REDOS},
    **{repr(text): repeating(text) for text in REPEATED},
    "growing runs of backticks": counting,
    "shrinking runs of backticks": lambda size: counting(size)[::-1],
    "a list that grows deeper": deepening,
    "a scheme without end": lambda size: "a" * size + "://",
    "a late backtick": lambda size: " " * size + "`",
    "a list no rule": lambda size: "- " * (size // 2) + "a",
    "a late link": lambda size: "[a" * (size // 2) + "](b)",
    "links in links": lambda size: "[](" * (size // 4) + ")" * (size // 4),
    "brackets in brackets": lambda size: "[" * (size // 2) + "]" * (size // 2) + "(b)",
    "labels": lambda size: "[x]: y\n\n" + "[x] [x][y] " * (size // 11),
    "labels in brackets": lambda size: "[x]: y\n\n" + "[" * (size // 2) + "]" * (size // 2),
    "openers with labels": lambda size: "[x]: y\n\n" + "[a" * (size // 2),
    "rows of bars": lambda size: "|a|\n|-|\n" + "|" * size,
    "front matter without end": lambda size: "---\n" + "--- a\n" * (size // 6),
    "mentions in a line": lambda size: "x\n" + "@claude " * (size // 8),
    "options without end": lambda size: "x @claude" + " --a" * (size // 4),
    "fences in lists": lambda size: "".join(
        "1. " * (depth % 40) + "- ~~~\n" for depth in range(size // 64)
    ),
}
SIZE = 10_000


def cost(text: str) -> float:
    start = time.process_time()
    mask(text)
    instruction(text, ("@claude",))
    return time.process_time() - start


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize(
    ("before", "after"), [("", " @claude"), ("@claude ", "")], ids=["first", "last"]
)
def test_four_times_the_text_costs_less_than_eight_times_the_time(
    name: str, before: str, after: str
) -> None:
    short, long = (before + FAMILIES[name](size) + after for size in (SIZE, 4 * SIZE))
    # Quadratic would be sixteen times. What else the machine does is noise: one fair comparison of
    # twenty is enough.
    assert any(cost(long) <= 8 * max(cost(short), 0.001) for _ in range(20))


@pytest.mark.parametrize("beyond", [-1, 0, 1, 2])
def test_what_ends_behind_the_last_character_read_is_hidden_without_being_read(
    beyond: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = 250_001 + beyond
    text = "a" * (end - 6) + " SHOWN" + "a" * 9
    seen = mask(text)[end - 5 : end] == "SHOWN"
    assert bool(shown(text, [(end - 5, end)])) is seen
    if beyond > 0:
        monkeypatch.setattr(visible, "_masked", None)
        assert shown(text, [(end - 5, end)]) == []


def test_what_stands_behind_a_blank_line_is_seen_whatever_log_is_in_front() -> None:
    log = "2026-01-01 <b>x</b> `y` [a](b)\n" * 9_000
    assert instruction(f"{log}\n@claude fix it", ("@claude",)) is not None
    assert instruction(f"{log}@claude fix it", ("@claude",)) is None
