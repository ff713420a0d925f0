"""Read the blocks of a Markdown text: which hold no running text, and which labels are defined."""

import re
from bisect import bisect_right
from collections.abc import Callable
from functools import cache
from math import inf

from shared.markdown.syntax import (
    ANGLED,
    BLANK,
    EDGE,
    LABEL,
    TITLE,
    blanked,
    closing_end,
    label_key,
    match_end,
)

TAB = 4  # columns
# What a list holds further right than this column is hidden: nobody reads it, and each column costs
# a pattern.
DEEPEST = 99

_BLANKS = r"(?>[ \t\n]*\n)"  # blank lines, from where one starts
_HEADING = r"\#{1,6}+(?=[ \t\n])"
_ITEM = r"(?:[-+*]|[0-9]{1,9}+[.)])(?=[ \t\n])"
_RAW_NAME = r"!--|(?ai:pre|script|style|textarea)(?=[ \t>\n])"
_RAW = rf"<(?:{_RAW_NAME})"
_START = rf">|`{{3}}|~{{3}}|{_HEADING}|{_ITEM}|(?>(?:[-_*=][ \t]*+)+)\n|{_RAW}"
# A line that starts no block, without its indent.
_WORDS = rf"(?:[^ \t\n>`~\#*+_=<0-9-]|<(?!{_RAW_NAME})|(?!{_START})[^ \t\n<])[^\n]*+\n"
_PARAGRAPH = rf"(?>(?:[ \t]*+{_WORDS})*)"
_TITLED = rf"(?:[ \t]++(?>(?:\n[ \t]*+)?)|\n[ \t]*+){TITLE}{BLANK}"
_DEFINED = rf":[ \t]*+(?>(?:\n[ \t]*+)?)(?:{ANGLED}|(?!<)[^\0-\x20\x7f]++)(?:{_TITLED}|{BLANK})"
_LINE = re.compile(
    rf"[ \t]*+(?:(?P<blank>\n(?>(?:{_BLANKS})?))"
    rf"|(?P<fence>`{{3}}(?=`*+[^\n`]*+\n)|~{{3}}|>{{3}}(?=>*+{BLANK}))"
    rf"|(?P<quote>>)"
    rf"|(?P<heading>{_HEADING})"
    rf"|(?P<entry>(?P<marker>{_ITEM} {{1,4}}+)(?!\[){_WORDS}{_PARAGRAPH})"
    rf"|(?P<item>{_ITEM})"
    rf"|(?P<rule>[-*_=])"
    rf"|(?P<raw>{_RAW})"
    rf"|(?P<definition>\[)"
    rf"|(?P<text>))"
)
# Any line is of some kind: it always matches.
_line_at: Callable[[str, int], re.Match[str]] = _LINE.match  # type: ignore[assignment]
_LAZY = re.compile(rf"[^\n]*+\n{_PARAGRAPH}")
_RULE = re.compile(r"([-*_])[ \t]*+(?>(?:\1[ \t]*+){2,})\n")
_UNDERLINE = re.compile(rf"(?:=++|-++){BLANK}")
_INTERRUPTING = re.compile(r"(?:[-+*]|0{0,8}1[.)])[ \t]++[^\n]")
_DEFINITIONS = re.compile(rf"(?>(?:[ \t]*+{LABEL}{_DEFINED})+)")
_DEFINITION = re.compile(rf"({LABEL}){_DEFINED}")
# Lines of one kind and one indent have one context: a run of them is passed at once.
_RUNS = {
    "quote": re.compile(rf"([ \t]*+)[^\n]*+\n(?>(?:\1>(?!>>++{BLANK})[^\n]*+\n)*)"),
    "heading": re.compile(rf"([ \t]*+)[^\n]*+\n(?>(?:\1{_HEADING}[^\n]*+\n)*)"),
    "rule": re.compile(
        r"([ \t]*+)[^\n]*+\n"
        r"(?>(?:\1(?>(?:-[ \t]*+){3,}|(?:_[ \t]*+){3,}|(?:\*[ \t]*+){3,})\n)*)"
    ),
    "indented": re.compile(rf"([ \t]*+)[^\n]*+\n(?>(?:\1[^\n]*+\n|{BLANK})*)"),
    "item": re.compile(
        rf"([ \t]*+)(?>(?:{_ITEM}(?:{BLANK}| {{1,4}}+(?!\[){_WORDS})(?=\1{_ITEM})\1)*)"
    ),
    "text": re.compile(
        rf"([ \t]*+)[^\n]*+\n{_PARAGRAPH}(?>(?:{_BLANKS}\1(?!\[){_WORDS}{_PARAGRAPH})*)"
    ),
}


@cache
def _fence(char: str, base: int) -> re.Pattern[str]:
    """Return the pattern of fenced blocks, one after the other, of a character.

    `base` is the column where the content of the container they stand in starts.
    """
    groups, rest = divmod(base, TAB)
    inside = rf"(?: {{4}}| {{0,3}}\t){{{groups}}}"
    if rest:
        inside += rf"(?: {{{rest}}}| {{0,3}}\t)"
    closing = rf"{inside} {{0,3}}\1{char}*+{BLANK}"
    info = {"`": r"[^\n`]*+\n", "~": r"[^\n]*+\n", ">": BLANK}[char]
    body = rf"{info}(?>(?:(?!{closing})(?={inside}|{BLANK})[^\n]*+\n)*)"
    following = rf"(?>(?:{closing}{inside} {{0,3}}\1(?!{char}){body})*)"
    return re.compile(rf"({char}{{3,}}+){body}{following}(?>(?:{closing})?)")


class Blocks:
    """The blocks of a text that ends with a newline.

    `opaque` are those without running text, in order: kind, start and end. The kinds are
    definition, fence (of code, or a quote of several lines: `>>>`), indented, quote and raw (HTML).
    `text` is what was read: the first `most` lines and runs of lines.
    `labels` are the labels that are defined, as CommonMark compares them.
    """

    def __init__(self, text: str, most: float = inf) -> None:
        """Read the text, once."""
        self._left = most
        self.opaque: list[tuple[str, int, int]] = []
        self.labels: set[str] = set()
        self.text = text
        self._edges: list[tuple[int, int]] = []
        # The columns where the content of the page and of the open list items starts.
        self._offsets = [0]
        self._paragraph = False
        at = 0
        while at < len(text) and self._left > 0:
            at = self._line(at, at)
        self.text = text[:at]

    @property
    def hidden(self) -> list[tuple[int, int]]:
        """Where the blocks without running text start and end."""
        return [(start, end) for _, start, end in self.opaque]

    def marked(self) -> str:
        """Return the text without the opaque blocks, and with an edge where a block ends.

        The edge takes the place of the block's first mark or of its last newline.
        """
        text, pieces, done = blanked(self.text, self.hidden), [""], 0
        for start, end in self._edges:
            pieces += text[done:start], EDGE, text[start + 1 : end].replace("\n", EDGE)
            done = end
        text = "".join([*pieces, text[done:], EDGE]).replace("\n\n", EDGE + "\n")
        return re.sub(r"\n(?=[ \t]++\n)", EDGE, text)

    def _line(self, start: int, position: int, bullet: str = "") -> int:
        """Read the line at `start` from a position on, or the run of its kind.

        Return where the next one starts. `bullet` is that of an item which opened on this line.
        """
        text, offsets = self.text, self._offsets
        self._left -= 1
        line = _line_at(text, position)
        kind = line.lastgroup or ""
        if kind == "blank":
            self._paragraph = False
            return line.end()
        at = line.start(kind)
        column = len(text[start:at].expandtabs(TAB)) if at > start else 0
        depth = bisect_right(offsets, column)
        if column - offsets[depth - 1] >= TAB or column > DEEPEST:
            kind = "text" if self._paragraph else "indented"
        elif kind in ("entry", "item", "rule"):
            directly = self._paragraph and depth == len(offsets)
            kind = self._listed(kind, at, bullet, directly=directly)
        if self._paragraph and kind in ("text", "definition"):
            return match_end(_LAZY, text, at)
        del offsets[depth:]
        if kind not in ("entry", "item"):
            return self._block(kind, at, start if position == start else -1)
        if position == start:
            end = match_end(_RUNS["item"], text, start)
            if end > at:  # it passed items, and the indent of one more
                following = end - (at - start)
                self._edges.append((at, following))
                self._paragraph = False
                return following
        self._edges.append((at, at + 1))
        self._paragraph = kind == "entry"
        if kind == "entry":
            offsets.append(column + line.end("marker") - at)
            return line.end()
        return self._item(start, at, column, line.end())

    def _listed(self, kind: str, at: int, bullet: str, *, directly: bool) -> str:
        """Return what a line that looks like a list's item or a rule is.

        `directly` tells that it follows a line of a paragraph.
        """
        # What follows "- " on its line cannot be a rule of "-": the whole line would have been one.
        ruled = kind != "entry" and self.text[at] != bullet and _RULE.match(self.text, at)
        if ruled or (directly and _UNDERLINE.match(self.text, at)):
            return "rule"
        if kind == "rule" or (directly and not _INTERRUPTING.match(self.text, at)):
            return "text"
        return kind

    def _item(self, start: int, at: int, column: int, end: int) -> int:
        """Open the item whose marker ends at `end` and read the rest of its line.

        Return where the next line starts.
        """
        offset = column + end - at + 1
        rest = _line_at(self.text, end)
        if rest.lastgroup == "blank":  # an item that starts with two blank lines is empty
            if rest[0].count("\n") == 1:
                self._offsets.append(offset)
            return rest.end()
        content = rest.start(rest.lastgroup or "")
        inside = len(self.text[start:content].expandtabs(TAB))
        if inside - offset < TAB:
            offset, end = inside, content
        self._offsets.append(offset)
        return self._line(start, end, self.text[at])

    def _block(self, kind: str, at: int, run: int) -> int:
        """Take in the block at a position, and return where it ends.

        Where `run` is no -1 it is the start of the line: take in the whole run of the block's kind.
        """
        text, end = self.text, self.text.find("\n", at) + 1
        if kind == "definition":
            defined = match_end(_DEFINITIONS, text, at)
            self.labels.update(map(label_key, set(_DEFINITION.findall(text, at, defined))))
            kind, end = (kind, defined) if defined > at else ("text", end)
        if kind == "raw":
            closed = closing_end(text, at, at + 2)
            self.opaque.append((kind, at, closed))
            end = text.find("\n", closed) + 1 or len(text)
            self._edges += (at, at + 1), (end - 1, end)
        elif kind == "fence":
            end = match_end(_fence(text[at], self._offsets[-1]), text, at)
        elif kind in _RUNS and run >= 0:
            end = match_end(_RUNS[kind], text, run)
        if kind in ("definition", "fence", "indented", "quote"):
            self.opaque.append((kind, at, end))
        elif kind in ("heading", "rule"):
            self._edges.append((at, end))
        self._paragraph = kind in ("definition", "text")
        return end
