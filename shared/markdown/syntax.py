"""What a reader of rendered GitLab Flavored Markdown sees as running text. It blanks the rest and moves no character.

Rules: CommonMark 0.31.2, https://docs.gitlab.com/user/markdown/. In doubt it hides: a comment or <pre> left open hides
all the rest; text between HTML tags is read as Markdown. One rule is laxer: a line after a quote is the author's own.
Time is linear in any text: no pattern goes back over what it has passed, and no search that failed is made again.
"""

import re

EDGE = "\0"  # stands where a block ends: no code span, tag or link reaches over it
_INK = bytes(code if code in b"\r\n" else 32 for code in range(256))

# Both levels. A title and a label may span lines but hold no blank one.
BLANK = r"[ \t]*+\n"
SPACES = r"[ \t\n]*+"
MORE = rf"\\[^\n\0]|\\?\n(?!{BLANK})"
TITLE = rf"""(?:"(?>(?:[^"\\\n\0]++|{MORE})*)"|'(?>(?:[^'\\\n\0]++|{MORE})*)'|\((?>(?:[^()\\\n\0]++|{MORE})*)\))"""
ANGLED = r"<(?>(?:[^<>\\\n\0]++|\\[^\n\0])*)>"
LABEL = rf"\[(?!\^|{SPACES}\])(?>(?:[^][\\\n\0]|{MORE}){{1,999}})\]"


def blanked(text: str, spans: list[tuple[int, int]]) -> str:
    """Return the text with a space for each character in the spans; newlines stay."""
    blank = text.encode("latin-1", "replace").translate(_INK).decode("latin-1")
    pieces, done = [""], 0
    for start, end in spans:
        pieces += text[done:start], blank[start:end]
        done = end
    return "".join([*pieces, text[done:]])


def match_end(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Return where a pattern that matches at a position ends; the position where it does not."""
    return match.end() if (match := pattern.match(text, at)) else at


def label_key(bracketed: str) -> str:
    """Return a label in brackets as CommonMark compares it."""
    return " ".join(bracketed[1:-1].split()).casefold()


def closing_end(text: str, start: int, at: int) -> int:
    """Return where the element or comment that opens at `start` ends, after `at`; left open, it hides all the rest."""
    name = text[start + 1 : match_end(re.compile("[A-Za-z]*"), text, start + 1)].lower()
    closing = re.compile(rf"</{name}{SPACES}>" if name else "-->", re.ASCII | re.IGNORECASE).search(
        text, at
    )
    return closing.end() if closing else len(text)
