"""What a reader of rendered GitLab Flavored Markdown sees as running text. It blanks the rest and moves no character.

Rules: CommonMark 0.31.2, https://docs.gitlab.com/user/markdown/. In doubt it hides: a comment or <pre> left open hides
all the rest; text between HTML tags is read as Markdown. One rule is laxer: a line after a quote is the author's own.
Time is linear in any text: no pattern goes back over what it has passed, and no search that failed is made again.
"""

import re
from bisect import bisect_right
from collections.abc import Callable
from functools import cache, reduce

_TAB = 4
_DEEPEST = 99  # columns; what a list holds further right is hidden: nobody reads it, and each column costs a pattern
_EDGE = "\0"  # stands where a block ends: no code span, tag or link reaches over it
_INK = bytes(code if code in b"\r\n" else 32 for code in range(256))

# Both levels. A title and a label may span lines but hold no blank one.
_BLANK = r"[ \t]*+\n"
_SPACES = r"[ \t\n]*+"
_MORE = rf"\\[^\n\0]|\\?\n(?!{_BLANK})"
_TITLE = rf"""(?:"(?>(?:[^"\\\n\0]++|{_MORE})*)"|'(?>(?:[^'\\\n\0]++|{_MORE})*)'|\((?>(?:[^()\\\n\0]++|{_MORE})*)\))"""
_ANGLED = r"<(?>(?:[^<>\\\n\0]++|\\[^\n\0])*)>"
_LABEL = rf"\[(?!\^|{_SPACES}\])(?>(?:[^][\\\n\0]|{_MORE}){{1,999}})\]"

# Blocks
_HEADING = r"\#{1,6}+(?=[ \t\n])"
_ITEM = r"(?:[-+*]|[0-9]{1,9}+[.)])(?=[ \t\n])"
_RAW = r"<!--|<(?ai:pre|script|style|textarea)(?=[ \t>\n])"
_START = rf">|`{{3}}|~{{3}}|{_HEADING}|{_ITEM}|(?>(?:[-_*=][ \t]*+)+)\n|{_RAW}"
_WORDS = rf"(?:[^ \t\n>`~\#*+_=<0-9-]|(?!{_START})[^ \t\n])[^\n]*+\n"  # a line that starts no block, indent apart
_PARAGRAPH = rf"(?>(?:[ \t]*+{_WORDS})*)"
_TITLED = rf"(?:[ \t]++(?>(?:\n[ \t]*+)?)|\n[ \t]*+){_TITLE}{_BLANK}"
_DEFINED = rf":[ \t]*+(?>(?:\n[ \t]*+)?)(?:{_ANGLED}|(?!<)[^\0-\x20\x7f]++)(?:{_TITLED}|{_BLANK})"
_LINE = re.compile(
    rf"[ \t]*+(?:(?P<blank>\n(?>(?:{_BLANK})*))|(?P<fence>`{{3}}(?=`*+[^\n`]*+\n)|~{{3}}|>{{3}}(?=>*+{_BLANK}))"
    rf"|(?P<quote>>)|(?P<heading>{_HEADING})|(?P<entry>(?P<marker>{_ITEM} {{1,4}}+)(?!\[){_WORDS}{_PARAGRAPH})"
    rf"|(?P<item>{_ITEM})|(?P<rule>[-*_=])|(?P<raw>{_RAW})|(?P<definition>\[)|(?P<text>))"
)
_line_at: Callable[[str, int], re.Match[str]] = _LINE.match  # type: ignore[assignment]  # any line is of some kind
_LAZY = re.compile(rf"[^\n]*+\n{_PARAGRAPH}")
_RULE = re.compile(r"([-*_])[ \t]*+(?>(?:\1[ \t]*+){2,})\n")
_UNDERLINE = re.compile(rf"(?:=++|-++){_BLANK}")
_INTERRUPTING = re.compile(r"(?:[-+*]|0{0,8}1[.)])[ \t]++[^\n]")
_DEFINITIONS = re.compile(rf"(?>(?:[ \t]*+{_LABEL}{_DEFINED})+)")
_DEFINITION = re.compile(rf"({_LABEL}){_DEFINED}")
# Lines of one kind and one indent have one context: a run of them is passed at once.
_RUNS = {
    "quote": re.compile(rf"([ \t]*+)[^\n]*+\n(?>(?:\1>(?!>>++{_BLANK})[^\n]*+\n)*)"),
    "heading": re.compile(rf"([ \t]*+)[^\n]*+\n(?>(?:\1{_HEADING}[^\n]*+\n)*)"),
    "indented": re.compile(rf"([ \t]*+)[^\n]*+\n(?>(?:\1[^\n]*+\n|{_BLANK})*)"),
    "item": re.compile(
        rf"([ \t]*+)(?>(?:{_ITEM}(?:{_BLANK}| {{1,4}}+(?!\[){_WORDS})(?=\1{_ITEM})\1)*)"
    ),
    "text": re.compile(
        rf"([ \t]*+)[^\n]*+\n{_PARAGRAPH}(?>(?:(?>(?:{_BLANK})+)\1(?!\[){_WORDS}{_PARAGRAPH})*)"
    ),
}

# Inlines. What matches without a name is hidden as it stands; a name is that of the method which reads it.
_ELEMENT = r"(?ai:pre|code|a|style|script|textarea)"
_VALUE = rf"""{_SPACES}={_SPACES}(?:[^ \t\n"'=<>`\0]++|'[^'\0]*+'|"[^"\0]*+")"""
_ATTRS = rf"(?>(?:[ \t\n]++[A-Za-z_:][A-Za-z0-9_.:-]*+(?>(?:{_VALUE})?))*){_SPACES}"
_OTHER = r"!--(?:-?>|[^-\0]*+-->)|![A-Za-z\[][^<>\0]*+>|\?[^<>\0]*+>|[A-Za-z][A-Za-z0-9+.-]{1,31}+:[^\0- <>\x7f]*+>"
_TAG = rf"(?:(?!{_ELEMENT}{_ATTRS}>)[A-Za-z][A-Za-z0-9-]*+{_ATTRS}/?+>|/[A-Za-z][A-Za-z0-9-]*+{_SPACES}>|{_OTHER})"
_INLINE = (
    r"(?<=\\)(?:(?P<escape>[!-/:-?\[-`{-~](?>(?:\\[!-/:-?\[-`{-~])*))|@)"
    r"|(?<=`)(?:[^`\0]++`(?!`)|(?P<ticks>`*+))"
    rf"|(?<=<)(?:{_TAG}(?>(?:<{_TAG})*)|(?P<element>!--|{_ELEMENT}{_ATTRS}>))"
)
_BRACKET = (
    r"(?<=\[)(?:[^][\\`<\0]*+\](?:(?P<link>\([^\0- ()<>\\\x7f]*+\))|(?P<pair>))|(?P<open>\[*+))"
)
_PLAIN = re.compile(rf"[\\`<](?:{_INLINE})")
_LINKED = re.compile(rf"[][\\`<](?:{_INLINE}|{_BRACKET}|(?<=\])(?P<close>\]*+))")
_CODE = re.compile(r"(`++)(?>(?:[^`\0]++|(?!\1(?!`))`++)*)\1")
_NAMED = re.compile(_LABEL)
_WORD = r"[^\0-\x20\x7f()\\]++|\\[!-/:-@\[-`{-~]?+"
_NESTED = reduce(
    lambda inside, _: rf"(?>(?:{_WORD}|\({inside}\))*)", range(32), rf"(?>(?:{_WORD})*)"
)
_TARGET = re.compile(
    rf"\({_SPACES}(?:{_ANGLED}|(?!<){_NESTED})(?>(?:[ \t\n]++{_TITLE})?){_SPACES}\)"
)
_URL = re.compile(r"(?<![A-Za-z0-9+.-])(?:[A-Za-z0-9+.-]++://|(?ai:www\.|mailto:))[^\s<]*+")


def visible(text: str) -> str:
    """Return the text with a space for each character that a reader does not see as running text; newlines stay."""
    blocks = _Blocks(text.replace(_EDGE, " ").replace("\r\n", " \n").replace("\r", "\n") + "\n")
    seen = _blanked(_blanked(text, blocks.hidden), _Inlines(blocks.marked(), blocks.labels).hidden)
    urls = (
        _URL.finditer(seen)
        if any(mark in seen.lower() for mark in ("://", "www.", "mailto:"))
        else ()
    )
    return _blanked(seen, [url.span() for url in urls])


def _blanked(text: str, spans: list[tuple[int, int]]) -> str:
    blank = text.encode("latin-1", "replace").translate(_INK).decode("latin-1")
    pieces, done = [""], 0
    for start, end in spans:
        pieces += text[done:start], blank[start:end]
        done = end
    return "".join([*pieces, text[done:]])


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    return match.end() if (match := pattern.match(text, at)) else at


def _label(bracketed: str) -> str:
    return " ".join(bracketed[1:-1].split()).casefold()


@cache
def _fence(char: str, base: int) -> re.Pattern[str]:
    """Return the pattern of fenced blocks, one after the other, in a container whose content starts at a column."""
    groups, rest = divmod(base, _TAB)
    inside = rf"(?: {{4}}| {{0,3}}\t){{{groups}}}" + (
        rf"(?: {{{rest}}}| {{0,3}}\t)" if rest else ""
    )
    closing = rf"{inside} {{0,3}}\1{char}*+{_BLANK}"
    info = {"`": r"[^\n`]*+\n", "~": r"[^\n]*+\n", ">": _BLANK}[char]
    body = rf"{info}(?>(?:(?!{closing})(?={inside}|{_BLANK})[^\n]*+\n)*)"
    return re.compile(
        rf"({char}{{3,}}+){body}(?>(?:{closing}{inside} {{0,3}}\1(?!{char}){body})*)(?>(?:{closing})?)"
    )


def _closed(text: str, start: int, at: int) -> int:
    """Return where the element or comment that opens at `start` ends, after `at`; left open, it hides all the rest."""
    name = text[start + 1 : _end(re.compile("[A-Za-z]*"), text, start + 1)].lower()
    closing = re.compile(
        rf"</{name}{_SPACES}>" if name else "-->", re.ASCII | re.IGNORECASE
    ).search(text, at)
    return closing.end() if closing else len(text)


class _Blocks:
    """The blocks of a text that ends with a newline: what holds no running text, and the labels that are defined."""

    def __init__(self, text: str) -> None:
        self.hidden: list[tuple[int, int]] = []
        self.labels: set[str] = set()
        self._text = text
        self._edges: list[tuple[int, int]] = []
        self._offsets = [
            0
        ]  # the columns where the content of the page and of the open list items starts
        self._paragraph = False
        at = 0
        while at < len(text):
            at = self._line(at, at)

    def marked(self) -> str:
        """Return the text without hidden blocks, with an edge where one ends: its first mark or its last newline."""
        text, pieces, done = _blanked(self._text, self.hidden), [""], 0
        for start, end in self._edges:
            pieces += text[done:start], _EDGE, text[start + 1 : end].replace("\n", _EDGE)
            done = end
        text = "".join([*pieces, text[done:], _EDGE]).replace("\n\n", _EDGE + "\n")
        return re.sub(r"\n(?=[ \t]++\n)", _EDGE, text)

    def _line(self, start: int, position: int, bullet: str = "") -> int:
        """Read the line at a position, or what of it is left, or the run of its kind; return where the next starts."""
        text, offsets = self._text, self._offsets
        line = _line_at(text, position)
        kind = line.lastgroup or ""
        if kind == "blank":
            self._paragraph = False
            return line.end()
        at = line.start(kind)
        column = len(text[start:at].expandtabs(_TAB)) if at > start else 0
        depth = bisect_right(offsets, column)
        if column - offsets[depth - 1] >= _TAB or column > _DEEPEST:
            kind = "text" if self._paragraph else "indented"
        elif kind in ("entry", "item", "rule"):
            kind = self._listed(
                kind, at, bullet, directly=self._paragraph and depth == len(offsets)
            )
        if self._paragraph and kind in ("text", "definition"):
            return _end(_LAZY, text, at)
        del offsets[depth:]
        if kind not in ("entry", "item"):
            return self._block(kind, at, start if position == start else -1)
        if position == start and (last := _end(_RUNS["item"], text, start) - at + start) > start:
            self._edges.append((at, last))
            self._paragraph = False
            return last
        self._edges.append((at, at + 1))
        self._paragraph = kind == "entry"
        if kind == "entry":
            offsets.append(column + line.end("marker") - at)
            return line.end()
        return self._item(start, at, column, line.end())

    def _listed(self, kind: str, at: int, bullet: str, *, directly: bool) -> str:
        """Return what a line that looks like an item or a rule is; `directly` tells that it follows a paragraph's."""
        # What follows "- " on its line cannot be a rule of "-": the whole line would have been one.
        ruled = kind != "entry" and self._text[at] != bullet and _RULE.match(self._text, at)
        if ruled or (directly and _UNDERLINE.match(self._text, at)):
            return "rule"
        return (
            "text"
            if kind == "rule" or (directly and not _INTERRUPTING.match(self._text, at))
            else kind
        )

    def _item(self, start: int, at: int, column: int, end: int) -> int:
        """Open the item whose marker ends at `end` and read the rest of its line; return where the next line starts."""
        offset = column + end - at + 1
        rest = _line_at(self._text, end)
        if rest.lastgroup == "blank":  # an item that starts with two blank lines is empty
            self._offsets += [offset] * (rest[0].count("\n") == 1)
            return rest.end()
        content = rest.start(rest.lastgroup or "")
        if (inside := len(self._text[start:content].expandtabs(_TAB))) - offset < _TAB:
            offset, end = inside, content
        self._offsets.append(offset)
        return self._line(start, end, self._text[at])

    def _block(self, kind: str, at: int, run: int) -> int:
        """Take in the block at a position, or the run of its kind from the line's start `run`; return where it ends."""
        text, end = self._text, self._text.find("\n", at) + 1
        if kind == "definition":
            defined = _end(_DEFINITIONS, text, at)
            self.labels.update(map(_label, set(_DEFINITION.findall(text, at, defined))))
            kind, end = (kind, defined) if defined > at else ("text", end)
        if kind == "raw":
            closed = _closed(text, at, at + 2)
            self.hidden.append((at, closed))
            end = text.find("\n", closed) + 1 or len(text)
            self._edges += (at, at + 1), (end - 1, end)
        elif kind == "fence":
            end = _end(_fence(text[at], self._offsets[-1]), text, at)
        elif kind in _RUNS and run >= 0:
            end = _end(_RUNS[kind], text, run)
        if kind in ("definition", "fence", "indented", "quote"):
            self.hidden.append((at, end))
        elif kind in ("heading", "rule"):
            self._edges.append((at, end))
        self._paragraph = kind in ("definition", "text")
        return end


class _Inlines:
    """What a reader does not see inside the running text, of which an edge is the last character."""

    def __init__(self, text: str, labels: set[str]) -> None:
        self.hidden: list[tuple[int, int]] = []
        self._text = text
        self._labels = labels
        self._last_link = len(text) if labels else text.rfind("](", 0, text.rfind(")") + 1)
        self._edge, self._dead = (
            -1,
            0,
        )  # so many of the openers, the first ones, hold a link and so are none themselves
        self._openers: list[int] = []
        self._runs: dict[int, int] | None = (
            None  # where this block's last run of so many backticks starts
        )
        methods = self._ticks, self._element, self._link, self._pair, self._open, self._close
        self._readers = {method.__name__[1:]: method for method in methods}
        at = 0
        while at < len(text):
            at = self._read(at)

    def _read(self, at: int) -> int:
        """Take in what is found from a position on, until something reaches further than its pattern: return where."""
        hidden, readers = self.hidden, self._readers
        for found in (_LINKED if at <= self._last_link else _PLAIN).finditer(self._text, at):
            if (name := found.lastgroup) is None:
                hidden.append(found.span())
            elif name in readers:
                start, end = found.span()
                if start > self._edge:
                    self._edge = self._text.find(_EDGE, start)
                    self._openers, self._dead, self._runs = [], 0, None
                if (after := readers[name](start, end)) != end:
                    return after
        return len(self._text)

    def _hide(self, start: int, end: int) -> int:
        while self.hidden and self.hidden[-1][0] >= start:
            self.hidden.pop()
        self.hidden.append((start, end))
        return end

    def _ticks(self, start: int, end: int) -> int:
        if self._runs is None or self._runs.get(end - start, -1) > start:
            if (after := _end(_CODE, self._text, start)) > start:
                return self._hide(start, after)
            self._runs = {
                len(run[0]): run.start()
                for run in re.compile("`++").finditer(self._text, end, self._edge)
            }
        return end

    def _element(self, start: int, end: int) -> int:
        return self._hide(start, _closed(self._text, start, end))

    def _open(self, start: int, end: int) -> int:
        self._openers += range(start, end)
        return end if start <= self._last_link else start

    def _close(self, start: int, end: int) -> int:
        """Read a run of closing brackets: only the first can end a label, only the last a link."""
        if end - start > 1 and self._openers:
            self._pair(self._openers.pop(), start + 1)
            del self._openers[max(len(self._openers) - (end - start - 2), 0) :]
            self._dead = min(self._dead, len(self._openers))
        return self._pair(self._openers.pop(), end) if self._openers else end

    def _pair(self, opener: int, end: int) -> int:
        """Hide the link or image whose text stands in brackets, if it is one; return where to go on."""
        alive = len(self._openers) >= self._dead or self._text[opener - 1] == "!"
        self._dead = min(self._dead, len(self._openers))
        return self._link(opener, after) if alive and (after := self._target(opener, end)) else end

    def _link(self, opener: int, end: int) -> int:
        image = self._text[opener - 1] == "!"
        self._dead = self._dead if image else len(self._openers)
        return self._hide(opener - image, end)

    def _target(self, opener: int, end: int) -> int:
        """Return where the link ends whose text ends at `end`, or 0 if it is none."""
        if (
            self._text[end] == "("
            and end <= self._last_link + 1
            and (after := _end(_TARGET, self._text, end)) > end
        ):
            return after
        full = _NAMED.match(self._text, end) if self._labels else None
        label = full or (_NAMED.match(self._text, opener) if self._labels else None)
        if not label or _label(label[0]) not in self._labels or not (full or label.end() == end):
            return 0
        return full.end() if full else end + 2 * self._text.startswith("[]", end)
