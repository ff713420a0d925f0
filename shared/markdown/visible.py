"""What a reader of rendered GitLab Flavored Markdown sees as running text. It blanks the rest and moves no character.

Rules: CommonMark 0.31.2, https://docs.gitlab.com/user/markdown/. In doubt it hides: a comment or <pre> left open hides
all the rest; text between HTML tags is read as Markdown. One rule is laxer: a line after a quote is the author's own.
Time is linear in any text: no pattern goes back over what it has passed, and no search that failed is made again.
"""

import re

from shared.markdown.blocks import Blocks
from shared.markdown.inlines import Inlines
from shared.markdown.syntax import EDGE, blanked

_URL = re.compile(r"(?<![A-Za-z0-9+.-])(?:[A-Za-z0-9+.-]++://|(?ai:www\.|mailto:))[^\s<]*+")


def mask(text: str) -> str:
    """Return the text with a space for each character that a reader does not see as running text; newlines stay."""
    blocks = Blocks(text.replace(EDGE, " ").replace("\r\n", " \n").replace("\r", "\n") + "\n")
    seen = blanked(blanked(text, blocks.hidden), Inlines(blocks.marked(), blocks.labels).hidden)
    urls = (
        _URL.finditer(seen)
        if any(mark in seen.lower() for mark in ("://", "www.", "mailto:"))
        else ()
    )
    return blanked(seen, [url.span() for url in urls])
