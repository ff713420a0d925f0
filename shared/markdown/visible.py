"""Mask what a reader of rendered GitLab Flavored Markdown does not see as running text.

Rules: CommonMark 0.31.2, https://docs.gitlab.com/user/markdown/. In doubt it hides: a comment or
<pre> left open hides all the rest. Text between HTML tags is read as Markdown. One rule is laxer:
a line after a quote is the author's own.
Time is linear in any text: no pattern goes back over what it has passed, and no search that failed
is made again.
"""

import re

from shared.markdown import front_matter, tables
from shared.markdown.blocks import Blocks
from shared.markdown.inlines import Inlines
from shared.markdown.syntax import BLANK, EDGE, blanked

_URL = re.compile(r"(?<![A-Za-z0-9+.-])(?:[A-Za-z0-9+.-]++://|(?ai:www\.|mailto:))[^\s<]*+")


# https://docs.gitlab.com/user/markdown/#math-equations: code for GitLab.
_FORMULA = re.compile(
    rf"(?<![\\$])\$(?:\$(?>(?:[^$\n]|\n(?!{BLANK})|\$(?!\$))+)\$\$"
    r"|(?![\s$])[^$\n]*+(?<!\s)\$(?![0-9$]))"
)


# Where what follows a text reaches no further back, and what reaches further on than its block.
_END = re.compile(r"\n(?=>|[ \t]*+\n)")
_OPEN = re.compile(
    r"```|~~~|>>>|<(?:!--|(?ai:pre|code|a|style|script|textarea|rp)(?![A-Za-z0-9-]))"
)
_ITEM = re.compile(r"^[ \t]*+(?:[-+*]|[0-9]{1,9}[.)])(?=[ \t\n])", re.MULTILINE)


def mask(text: str) -> str:
    """Return the text with a space for each character that is hidden or no running text.

    That is code, quotes, links, addresses, HTML tags and comments, front matter, formulas, and
    what a table has no column for. Newlines stay, and so does the place of every character.

    >>> mask("a `b` c")
    'a     c'
    """
    return _masked(text, _read(text))


def shown(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return those of the spans, which stand in order, that `mask` leaves as they are.

    Only what can reach them is read: from the last quote or blank line before the first that ends
    all that may be open there, to the first behind the last.

    >>> shown("a `b` c", [(3, 4), (6, 7)])
    [(6, 7)]
    """
    read = _read(text)
    start, end = 0, len(read)
    if "]:" not in read:  # a label may be defined anywhere
        start = _start(read, spans[0][0])
        found = _END.search(read, spans[-1][1])
        end = found.end() if found else end
    masked = _masked(text[start:end], read[start:end])
    return [
        each for each in spans if masked[each[0] - start : each[1] - start] == text[slice(*each)]
    ]


def _start(read: str, at: int) -> int:
    """Return the start of a line before a position at which nothing is open."""
    before = read[:at]
    if _OPEN.search(before):
        return 0
    quote = before.rfind("\n>") + 1
    blank = before.rfind("\n\n") + 2
    return blank if blank > max(quote, 1) and not _ITEM.search(read, quote, blank) else quote


def _read(text: str) -> str:
    """Return the text with one kind of newline, and fences around front matter."""
    return _with_newlines(front_matter.fenced(text).replace(EDGE, " "))


def _with_newlines(text: str) -> str:
    return text.replace("\r\n", " \n").replace("\r", "\n")


def _masked(text: str, read: str) -> str:
    blocks = Blocks(read + "\n")
    seen = blanked(read + "\n", blocks.hidden)
    cells = tables.excess(seen, []) if "-" in seen and "|" in seen else []
    masked = blanked(text, sorted([*blocks.hidden, *cells]))
    masked = blanked(masked, Inlines(blanked(blocks.marked(), cells), blocks.labels).hidden)
    if "$" in masked:
        formulas = _FORMULA.finditer(_with_newlines(masked))
        masked = blanked(masked, [formula.span() for formula in formulas])
    if not any(mark in masked.lower() for mark in ("://", "www.", "mailto:")):
        return masked
    return blanked(masked, [url.span() for url in _URL.finditer(masked)])
