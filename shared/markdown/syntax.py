"""What the readers of blocks and of inlines share: patterns of CommonMark 0.31.2, and blanking."""

import re

SPACES = r"[ \t\n]*+"
# What opens a block of HTML, without Markdown up to a blank line or, in the latter, to its end.
BLOCK = (
    "address|article|aside|base(?:font)?|blockquote|body|caption|center|col(?:group)?|d[dlt]"
    "|details|dialog|dir|div|html|fieldset|fig(?:caption|ure)|footer|form|frame(?:set)?|h[1-6r]"
    "|head(?:er)?|iframe|legend|li|link|main|menu(?:item)?|nav|noframes|ol|optgroup|option|p|param"
    "|search|section|summary|t[dhr]|table|tbody|tfoot|thead|title|track|ul"
)
VERBATIM = "(?ai:pre|script|style|textarea)"
BLOCK_TAG = rf"/?(?ai:{BLOCK})(?:[ \t\n>]|/>)|{VERBATIM}[ \t\n>]"
# Where what stands for readers without ruby ends; an element in it may have it go on.
RP_END = rf"</(?ai:rp){SPACES}>|(?=<(?ai:r[bt]|rtc|/ruby)[ \t\n/>])"
EDGE = "\0"  # stands where a block ends: no code span, tag or link reaches over it
_TO_SPACES = bytes(code if code in b"\r\n" else 32 for code in range(256))

# A title and a label may span lines but hold no blank one.
BLANK = r"[ \t]*+\n"
MORE = rf"\\[^\n\0]|\\?\n(?!{BLANK})"
TITLE = (
    rf"""(?:"(?>(?:[^"\\\n\0]++|{MORE})*)"|'(?>(?:[^'\\\n\0]++|{MORE})*)'"""
    rf"""|\((?>(?:[^()\\\n\0]++|{MORE})*)\))"""
)
ANGLED = r"<(?>(?:[^<>\\\n\0]++|\\[^\n\0])*)>"
LABEL = rf"\[(?!\^|{SPACES}\])(?>(?:[^][\\\n\0]|{MORE}){{1,999}})\]"


def blanked(text: str, spans: list[tuple[int, int]]) -> str:
    """Return the text with a space for each character in the spans, which stand in order.

    Newlines stay, so that every line and column stays where it was.

    >>> blanked("a `b` c", [(2, 5)])
    'a     c'
    """
    if not spans:
        return text
    blank = text.encode("latin-1", "replace").translate(_TO_SPACES).decode("latin-1")
    pieces, done = [""], 0
    for start, end in spans:
        pieces += text[done:start], blank[start:end]
        done = end
    return "".join([*pieces, text[done:]])


def match_end(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Return where a pattern that matches at a position ends; the position where it does not."""
    return match.end() if (match := pattern.match(text, at)) else at


def label_key(bracketed: str) -> str:
    r"""Return a label in brackets as CommonMark compares it.

    >>> label_key("[The\n Docs]")
    'the docs'
    """
    return " ".join(bracketed[1:-1].split()).casefold()


def closing_end(text: str, start: int, at: int) -> int:
    """Return where the HTML element or comment that opens at `start` ends, looked for from `at` on.

    One that is left open hides all the rest: its end is the text's.
    """
    name = text[start + 1 : match_end(re.compile("[A-Za-z]*"), text, start + 1)].lower()
    pattern = RP_END if name == "rp" else rf"</{name}{SPACES}>" if name else "-->"
    closing = re.compile(pattern, re.ASCII | re.IGNORECASE).search(text, at)
    if not closing or (name == "rp" and re.search("<[A-Za-z]", text[at : closing.start()])):
        return len(text)
    return closing.end()
