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


def mask(text: str) -> str:
    """Return the text with a space for each character that is hidden or no running text.

    That is code, quotes, links, addresses, HTML tags and comments, front matter, formulas, and
    what a table has no column for. Newlines stay, and so does the place of every character.

    >>> mask("a `b` c")
    'a     c'
    """
    read = front_matter.fenced(text).replace(EDGE, " ").replace("\r\n", " \n").replace("\r", "\n")
    blocks = Blocks(read + "\n")
    seen = blanked(read + "\n", blocks.hidden)
    cells = tables.excess(seen, []) if "-" in seen else []
    masked = blanked(text, sorted([*blocks.hidden, *cells]))
    masked = blanked(masked, Inlines(blanked(blocks.marked(), cells), blocks.labels).hidden)
    if "$" in masked:
        masked = blanked(masked, [formula.span() for formula in _FORMULA.finditer(masked)])
    if not any(mark in masked.lower() for mark in ("://", "www.", "mailto:")):
        return masked
    return blanked(masked, [url.span() for url in _URL.finditer(masked)])
