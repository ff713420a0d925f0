"""Mask what a reader of rendered GitLab Flavored Markdown does not see as running text.

Rules: CommonMark 0.31.2, https://docs.gitlab.com/user/markdown/. In doubt it hides: a comment or
<pre> left open hides all the rest. Text between HTML tags is read as Markdown. One rule is laxer:
a line after a quote is the author's own.
Time is linear in any text: no pattern goes back over what it has passed, and no search that failed
is made again.
"""

import re
from itertools import islice

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


# What may hide a text far behind it, what may end that, and what may make a link of brackets.
_FAR: tuple[str, ...] = ("```", "~~~", ">>>", "-->", "]:", "<!--")
_FAR += tuple(
    f"<{end}{each}"
    for each in ("pre", "code", "a", "style", "script", "textarea", "rp")
    for end in ("", "/")
)
# No more is read of a text that is built to cost: what follows is hidden. GitLab, too, renders no
# Markdown that takes it long (lib/banzai/filter/concerns/timeout_filter_handler.rb).
_MOST_CHARACTERS, _MOST_LINES, _MOST_MARKS = 250_000, 4_000, 20_000
_OPEN = re.compile(r"[`<\[]|\$\$")
_FARTHEST = 100_000  # characters that are searched for a break
_WINDOW, _LONGEST = 1_000, 12  # characters: a text is not cut finer; more than a mark has
# Lines before which all blocks end, whatever they are, but for those that begin with a mark above.
# Those behind a blank line end what spans lines in brackets or dollars as well.
_BLANK_BEFORE = r"(?<=\n\n)|(?<=\n \n)"
_BREAK = (
    rf"{_BLANK_BEFORE}|(?=>|\#{{1,6}}[ \t]|(?:[-+*]|1[.)])[ \t]++[^ \t\n]"
    r"|(?>(?:-[ \t]*+){3,}|(?:_[ \t]*+){3,}|(?:\*[ \t]*+){3,})\n)"
)
# The first of them, and the last.
_STRICT, _LOOSE = (
    tuple(re.compile(rf"{before}\n(?=[^ \t\n])(?:{each})") for before in ("", r"[\s\S]*"))
    for each in (_BLANK_BEFORE, _BREAK)
)


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

    Only what can reach them is read: their own blocks, and those with marks that reach far.

    >>> shown("a `b` c", [(3, 4), (6, 7)])
    [(6, 7)]
    """
    read = _read(text)
    zones = _zones(read, spans)
    if _read_up_to(spans[0][1], zones) > _MOST_CHARACTERS + 1:  # none of them is reached
        return []
    # What is left out may have ended a paragraph.
    near, near_read = ("\n".join(each[a:b] for a, b in zones) for each in (text, read))
    masked = _masked(near, near_read)
    pieces, done, taken = [""], 0, 0
    for start, end in zones:
        pieces += " " * (start - done), masked[taken : taken + end - start]
        done, taken = end, taken + end - start + 1
    whole = "".join(pieces)
    return [(start, end) for start, end in spans if whole[start:end] == text[start:end]]


def _read_up_to(at: int, zones: list[tuple[int, int]]) -> int:
    """Return how many characters of the zones are read up to a position in one of them."""
    passed = 0
    for start, end in zones:
        if at <= end:
            return passed + at - start
        passed += end - start + 1
    return passed


def _zones(read: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the parts of a text that say whether the spans are seen, from break to break.

    What stands between two breaks and holds no mark that reaches far changes nothing behind it.
    """
    lower = read.lower()
    # That a text lacks one character is found far sooner than that it lacks several in a row.
    far = [each for each in _FAR if all(map(lower.__contains__, each)) and each in lower]
    if "<rp" in far:  # any element in it has it go on
        far.append("<")
    labels = "]:" in far  # a label may be defined anywhere
    first, last = _STRICT if labels or "$$" in read else _LOOSE
    # The first place in each window that has to be read.
    wanted = {at // _WINDOW * _WINDOW: at for span in reversed(spans) for at in reversed(span)}
    marks = re.compile("|".join(map(re.escape, far)), re.ASCII | re.IGNORECASE)
    if far:
        windows = range(0, len(read) if labels else max(wanted) + 1, _WINDOW)
        behind = _WINDOW + _LONGEST
        wanted |= {at: at for at in windows if marks.search(read, at, at + behind)}
    zones: list[tuple[int, int]] = []
    start, done = 0, 0
    for at, place in sorted(wanted.items()):
        if place >= done and (before := last.match(read, max(done, at - _FARTHEST), place + 1)):
            zones.append((start, done))
            start = before.end()
        if at + _WINDOW > done:
            behind = at + _WINDOW + _LONGEST
            after = first.search(read, behind, behind + _FARTHEST)
            done = after.end() if after else len(read)
    return [*zones, (start, done)]


def _read(text: str) -> str:
    """Return the text with one kind of newline, fences around front matter, and no NUL.

    That is a sign like any other: https://spec.commonmark.org/0.31.2/#insecure-characters.
    """
    return _with_newlines(front_matter.fenced(text).replace(EDGE, "\ufffd"))


def _with_newlines(text: str) -> str:
    return text.replace("\r\n", " \n").replace("\r", "\n") if "\r" in text else text


def _masked(text: str, read: str) -> str:
    blocks = Blocks(read[:_MOST_CHARACTERS] + "\n", _MOST_LINES)
    text, rest = text[: len(blocks.text)], text[len(blocks.text) :]
    seen = blanked(blocks.text, blocks.hidden)
    cells = tables.excess(seen, [], _MOST_LINES) if "-" in seen and "|" in seen else []
    masked = blanked(text, sorted([*blocks.hidden, *cells]))
    marked = blanked(blocks.marked(), cells)
    inlines = Inlines(marked, blocks.labels, _MOST_MARKS)
    masked = blanked(masked, inlines.hidden)
    if "$" in masked:
        masked = _without(_FORMULA, masked, _with_newlines(masked))
    if rest or inlines.end < len(marked):  # what is still open there may end behind
        cut = _OPEN.search(masked, marked.rfind(EDGE, 0, inlines.end - 1) + 1)
        masked = blanked(masked, [(cut.start(), len(masked))] if cut else [])
    lower = masked.lower()
    if any(mark in lower for mark in ("://", "www.", "mailto:")):
        masked = _without(_URL, masked, masked)
    return masked + blanked(rest, [(0, len(rest))])


def _without(pattern: re.Pattern[str], masked: str, read: str) -> str:
    """Return the text without what a pattern matches, and without what stands behind too many."""
    spans = [found.span() for found in islice(pattern.finditer(read), _MOST_MARKS)]
    if len(spans) == _MOST_MARKS:
        spans.append((spans[-1][1], len(masked)))
    return blanked(masked, spans)
