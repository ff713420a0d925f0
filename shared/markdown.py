"""What a reader of rendered GitLab Flavored Markdown sees as running text. It blanks the rest and moves no character.

Rules: CommonMark 0.31.2 and https://docs.gitlab.com/user/markdown/. In doubt it hides: a comment or an element such as
<pre> that is left open hides all the rest, and text between HTML tags is read as Markdown. One rule is laxer: a line
after a quote is the author's own. Time is linear in any text: patterns never go back over what they have passed, and a
search that failed is not made again.
"""

import re
from bisect import bisect_right
from collections.abc import Callable
from functools import cache

Span = tuple[int, int]

_TAB = 4
_DEEPEST = 99  # columns; what a list holds further right is hidden: nobody reads it, and each column costs a pattern
_EDGE = "\0"  # stands where a block ends: no code span, tag or link reaches over it
_INK = bytes(code if code in b"\r\n" else 32 for code in range(256))

# Both levels. A title and a label may span lines but hold no blank one.

_BLANK = r"[ \t]*+\n"
_SPACES = r"[ \t\n]*+"
_MORE = rf"\\[^\n\0]|\\?\n(?!{_BLANK})"
_TITLE = rf"""(?:"(?:[^"\\\n\0]++|{_MORE})*+"|'(?:[^'\\\n\0]++|{_MORE})*+'|\((?:[^()\\\n\0]++|{_MORE})*+\))"""
_ANGLED = r"<(?:[^<>\\\n\0]++|\\[^\n\0])*+>"
_LABEL = rf"\[(?!\^|{_SPACES}\])(?:[^][\\\n\0]|{_MORE}){{1,999}}+\]"

# Blocks

_HEADING = r"\#{1,6}+(?=[ \t\n])"
_ITEM = r"(?:[-+*]|[0-9]{1,9}+[.)])(?=[ \t\n])"
_RAW = r"<!--|<(?ai:pre|script|style|textarea)(?=[ \t>\n])"
_START = rf">|`{{3}}|~{{3}}|{_HEADING}|{_ITEM}|(?:[-_*=][ \t]*+)++\n|{_RAW}"
_WORDS = rf"(?:[^ \t\n>`~\#*+_=<0-9-]|(?!{_START})[^ \t\n])[^\n]*+\n"  # a line that starts no block, indent apart
_PARAGRAPH = rf"(?:[ \t]*+{_WORDS})*+"
_DEFINED = (
    rf":[ \t]*+(?:\n[ \t]*+)?+(?:{_ANGLED}|(?!<)[^\0-\x20\x7f]++)"
    rf"(?:(?:[ \t]++(?:\n[ \t]*+)?+|\n[ \t]*+){_TITLE}{_BLANK}|{_BLANK})"
)
_SIBLINGS = rf"(?:{_ITEM}(?:{_BLANK}| {{1,4}}+(?!\[){_WORDS})(?=\1{_ITEM})\1)*+"
_KINDS = (
    rf"(?P<blank>\n(?:{_BLANK})*+)|(?P<fence>`{{3}}(?=`*+[^\n`]*+\n)|~{{3}}|>{{3}}(?=>*+{_BLANK}))|(?P<quote>>)"
    rf"|(?P<heading>{_HEADING})|(?P<entry>(?P<marker>{_ITEM} {{1,4}}+)(?!\[){_WORDS}{_PARAGRAPH})|(?P<item>{_ITEM})"
    rf"|(?P<rule>[-*_=])|(?P<raw>{_RAW})|(?P<definition>\[)|(?P<text>)"
)
_REST = re.compile(r"[^\n]*+\n")
_LAZY = re.compile(_PARAGRAPH)
_EMPTY = re.compile(_BLANK)
_GAP = re.compile(r"[ \t]*+")
_RULE = re.compile(r"([-*_])[ \t]*+(?:\1[ \t]*+){2,}+\n")
_UNDERLINE = re.compile(rf"(?:=++|-++){_BLANK}")
_INTERRUPTING = re.compile(r"(?:[-+*]|0{0,8}1[.)])[ \t]++[^\n]")
_DEFINITIONS = re.compile(rf"(?:[ \t]*+{_LABEL}{_DEFINED})++")
_DEFINITION = re.compile(rf"({_LABEL}){_DEFINED}")
_CONTENT = re.compile(rf"([ \t]*+)(?P<run>)(?:{_KINDS})")
_LINE = re.compile(rf"([ \t]*+)(?P<run>{_SIBLINGS})(?:{_KINDS})")
_Match = Callable[[str, int], re.Match[str]]
_content_at: _Match = _CONTENT.match  # type: ignore[assignment]  # any line is of some kind
_line_at: _Match = _LINE.match  # type: ignore[assignment]
# Lines of one kind and one indent have one context: a run of them is passed at once.
_RUNS = {
    "quote": re.compile(rf"([ \t]*+)[^\n]*+\n(?:\1>(?!>>++{_BLANK})[^\n]*+\n)*+"),
    "heading": re.compile(rf"([ \t]*+)[^\n]*+\n(?:\1{_HEADING}[^\n]*+\n)*+"),
    "indented": re.compile(rf"([ \t]*+)[^\n]*+\n(?:\1[^\n]*+\n|{_BLANK})*+"),
    "text": re.compile(rf"([ \t]*+)[^\n]*+\n{_PARAGRAPH}(?:(?:{_BLANK})++\1(?!\[){_WORDS}{_PARAGRAPH})*+"),
}
_HIDDEN = ("fence", "quote", "indented")

# Inlines

_ELEMENT = r"(?ai:pre|code|a|style|script|textarea)"
_ATTRIBUTES = (
    rf"(?:[ \t\n]++[A-Za-z_:][A-Za-z0-9_.:-]*+"
    rf"""(?:{_SPACES}={_SPACES}(?:[^ \t\n"'=<>`\0]++|'[^'\0]*+'|"[^"\0]*+"))?+)*+{_SPACES}"""
)
_TAG = (
    rf"(?:(?!{_ELEMENT}[ \t\n/>])[A-Za-z][A-Za-z0-9-]*+{_ATTRIBUTES}/?+>|/[A-Za-z][A-Za-z0-9-]*+{_SPACES}>"
    r"|!--(?:-?>|[^-\0]*+-->)|![A-Za-z\[][^<>\0]*+>|\?[^<>\0]*+>|[A-Za-z][A-Za-z0-9+.-]{1,31}+:[^\0- <>\x7f]*+>)"
)
_INLINE = (
    r"(?:(?<=\\)(?:(?P<escape>[!-/:-?\[-`{-~](?:\\[!-/:-?\[-`{-~])*+)|@)"
    r"|(?<=`)(?:[^`\0]++`(?!`)|(?P<ticks>`*+))"
    rf"|(?<=<)(?:{_TAG}(?:<{_TAG})*+|(?P<comment>!--)|(?P<element>{_ELEMENT}{_ATTRIBUTES}/?+>))"
)
_BRACKETS = (
    r"|(?<=\[)(?:[^][\\`<\0]*+\](?:(?P<link>\([^\0- ()<>\\\x7f]*+\))|(?P<pair>))|(?P<open>\[*+))"
    r"|(?<=\])(?P<close>\]*+)"
)
_PLAIN = re.compile(rf"[\\`<]{_INLINE})")
_LINKED = re.compile(rf"[][\\`<]{_INLINE}{_BRACKETS})")
_CODE = re.compile(r"(`++)(?:[^`\0]++|(?!\1(?!`))`++)*+\1")
_TICKS = re.compile(r"`++")
_NAME = re.compile(r"[A-Za-z]++")
_NAMED = re.compile(_LABEL)
_URL = re.compile(r"(?<![A-Za-z0-9+.-])[A-Za-z0-9+.-]++://[^\s<]*+")
_ADDRESS = re.compile(r"[wWmM](?<![A-Za-z0-9].)(?ai:(?<=w)ww\.|(?<=m)ailto:)[^\s<]++")


def visible(text: str) -> str:
    """Return the text with a space for each character that a reader does not see as running text; newlines stay."""
    source = text.replace(_EDGE, " ").replace("\r\n", " \n").replace("\r", "\n") + "\n"
    blocks = _Blocks(source)
    inlines = _Inlines(blocks.marked(), blocks.labels)
    seen = _blanked(_blanked(text, blocks.hidden), inlines.hidden)
    if "://" in seen:
        seen = _URL.sub(_spaces, seen)
    return _ADDRESS.sub(_spaces, seen)


def _spaces(match: re.Match[str]) -> str:
    return " " * (match.end() - match.start())


def _blanked(text: str, spans: list[Span]) -> str:
    if not spans:
        return text
    blank = text.encode("latin-1", "replace").translate(_INK).decode("latin-1")
    pieces, done = [], 0
    for start, end in spans:
        pieces += text[done:start], blank[start:end]
        done = end
    return "".join([*pieces, text[done:]])


@cache
def _fence(char: str, base: int) -> re.Pattern[str]:
    """Return the pattern of fenced blocks, one after the other, in a container whose content starts at a column."""
    groups, rest = divmod(base, _TAB)
    inside = rf"(?: {{4}}| {{0,3}}\t){{{groups}}}" + (rf"(?: {{{rest}}}| {{0,3}}\t)" if rest else "")
    closing = rf"{inside} {{0,3}}\1{char}*+{_BLANK}"
    again = {"`": r"(?=[^\n`]*+\n)", "~": "", ">": rf"(?={_BLANK})"}[char]
    body = rf"[^\n]*+\n(?:(?!{closing})(?={inside}|{_BLANK})[^\n]*+\n)*+"
    return re.compile(rf"({char}{{3,}}+){body}(?:{closing}{inside} {{0,3}}\1(?!{char}){again}{body})*+(?:{closing})?+")


@cache
def _closing(name: str) -> re.Pattern[str]:
    return re.compile(rf"</{name}{_SPACES}>", re.ASCII | re.IGNORECASE)


@cache
def _destination() -> re.Pattern[str]:
    """Return the pattern of what follows a link's text; compiled late, as 32 levels of parentheses take 3 ms."""
    words = r"[^\0-\x20\x7f()\\]++|\\[!-/:-@\[-`{-~]?+"
    nested = rf"(?:{words})*+"
    for _ in range(32):
        nested = rf"(?:{words}|\({nested}\))*+"
    return re.compile(rf"\({_SPACES}(?:{_ANGLED}|(?!<){nested})(?:[ \t\n]++{_TITLE})?+{_SPACES}\)")


def _label(bracketed: str) -> str:
    return " ".join(bracketed[1:-1].split()).casefold()


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at


def _comment(text: str, start: int) -> int:
    """Return where the comment at a position ends; `<!-->` is a whole one, and one left open hides all the rest."""
    end = text.find("-->", start + 2)
    return end + 3 if end >= 0 else len(text)


def _element(text: str, start: int, at: int) -> int:
    """Return where the element whose tag takes `start` to `at` ends; one left open hides all the rest."""
    closing = _closing(text[start + 1 : _end(_NAME, text, start + 1)].lower()).search(text, at)
    return closing.end() if closing else len(text)


class _Blocks:
    """The blocks of a text: what holds no running text, where blocks end, and the labels that are defined."""

    def __init__(self, text: str) -> None:
        """Read a text that ends with a newline."""
        self.hidden: list[Span] = []
        self.labels: set[str] = set()
        self._text = text
        self._tabs = "\t" in text
        self._edges: list[Span] = []
        self._offsets: list[int] = []  # the columns where the content of the open list items starts
        self._paragraph = False
        at = 0
        while at < len(text):
            at = self._line(at, at)

    def marked(self) -> str:
        """Return the text without hidden blocks, with an edge where one ends: its first mark or its last newline."""
        text, pieces, done = _blanked(self._text, self.hidden), [], 0
        for start, end in self._edges:
            pieces += text[done:start], _EDGE, text[start + 1 : end].replace("\n", _EDGE)
            done = end
        text = "".join([*pieces, text[done:], _EDGE]).replace("\n\n", _EDGE + "\n")
        return re.sub(r"\n(?=[ \t]++\n)", _EDGE, text)

    def _column(self, start: int, at: int) -> int:
        return len(self._text[start:at].expandtabs(_TAB)) if self._tabs else at - start

    def _line(self, start: int, position: int, bullet: str = "") -> int:
        """Read the line at a position, or what of it is left, or the run of its kind; return where the next starts."""
        text, offsets = self._text, self._offsets
        line = (_line_at if position == start else _content_at)(text, position)
        kind = line.lastgroup or ""
        if kind == "blank":
            self._paragraph = False
            return line.end()
        begin = line.end(1)
        at = line.end("run")
        column = self._column(start, begin)
        depth = bisect_right(offsets, column)
        directly = self._paragraph and depth == len(offsets)
        base = offsets[depth - 1] if depth else 0
        indented = column - base >= _TAB or column > _DEEPEST
        if at > begin and (directly or indented):
            line = _content_at(text, position)
            kind, at = line.lastgroup or "", begin
        if indented:
            kind = "text" if self._paragraph else "indented"
        elif kind in ("entry", "item", "rule"):
            if (directly and _UNDERLINE.match(text, at)) or (
                kind != "entry" and text[at] != bullet and _RULE.match(text, at)
            ):
                kind = "rule"
            elif kind == "rule" or (directly and not _INTERRUPTING.match(text, at)):
                kind = "text"
        if self._paragraph and kind in ("text", "definition"):
            return _end(_LAZY, text, _end(_REST, text, at))
        del offsets[depth:]
        if kind == "entry":
            self._edges.append((begin, at + 1))
            offsets.append(column + line.end("marker") - at)
            self._paragraph = True
            return line.end()
        if kind == "item":
            self._edges.append((begin, at + 1))
            self._paragraph = False
            following = self._item(start, at, column, line.end())
            return following if text[following - 1] == "\n" else self._line(start, following, text[at])
        if at > begin:
            self._edges.append((begin, at))
        return self._block(kind, at, base, start if position == start else -1)

    def _item(self, start: int, at: int, column: int, end: int) -> int:
        """Open a list item whose marker ends at `end`; return where its content, or else the next line, starts."""
        offset = column + end - at + 1
        content = _end(_GAP, self._text, end)
        if self._text[content] == "\n":
            if not _EMPTY.match(self._text, content + 1):
                self._offsets.append(offset)
            return content + 1
        if (inside := self._column(start, content)) - offset < _TAB:
            offset, end = inside, content
        self._offsets.append(offset)
        return end

    def _block(self, kind: str, at: int, base: int, run: int) -> int:
        """Take in the block that begins at a position, or the run of its kind from the line's start; return its end."""
        text = self._text
        if kind == "definition":
            if (end := _end(_DEFINITIONS, text, at)) > at:
                self.labels.update(map(_label, set(_DEFINITION.findall(text, at, end))))
                self.hidden.append((at, end))
                self._paragraph = True
                return end
            kind = "text"
        if kind == "raw":
            closed = _comment(text, at) if text[at + 1] == "!" else _element(text, at, at)
            end = _end(_REST, text, closed)
            self.hidden.append((at, closed))
            self._edges += (at, at + 1), (end - 1, end)
        elif kind == "fence":
            end = _end(_fence(text[at], base), text, at)
        else:
            end = _end(_REST, text, at) if run < 0 or kind == "rule" else _end(_RUNS[kind], text, run)
        if kind in _HIDDEN:
            self.hidden.append((at, end))
        elif kind in ("heading", "rule"):
            self._edges.append((at, end))
        self._paragraph = kind == "text"
        return end


class _Inlines:
    """What a reader does not see inside running text: code, tags, comments, whole elements, links."""

    def __init__(self, text: str, labels: set[str]) -> None:
        """Read a text with edges, one of them its last character."""
        self.hidden: list[Span] = []
        self._text = text
        self._labels = labels
        self._last_link = len(text) if labels else text.rfind("](", 0, text.rfind(")") + 1)
        self._edge = -1
        self._openers: list[int] = []
        self._dead = 0  # so many of the openers, the first ones, hold a link and so are none themselves
        self._ticks: dict[int, int] | None = None  # where this block's last run of so many backticks starts
        self._readers: dict[str, Callable[[int, int], int]] = {
            "escape": lambda _, end: end,
            "open": self._open,
            "close": self._close,
            "pair": self._link,
            "link": self._simple_link,
            "ticks": self._code,
            "comment": lambda start, _: self._hide(start, _comment(text, start)),
            "element": lambda start, end: self._hide(
                start, end if text[end - 2] == "/" else _element(text, start, end)
            ),
        }
        at = 0
        while at < len(text):
            at = self._read(at)

    def _read(self, at: int) -> int:
        """Take in what is found from a position on, until something reaches further than its pattern: return where."""
        for found in (_LINKED if at <= self._last_link else _PLAIN).finditer(self._text, at):
            kind = found.lastgroup
            if kind is None:
                self.hidden.append(found.span())
                continue
            start, end = found.span()
            if start > self._edge:
                self._edge = self._text.find(_EDGE, start)
                self._openers, self._dead, self._ticks = [], 0, None
            if (after := self._readers[kind](start, end)) != end:
                return after
        return len(self._text)

    def _hide(self, start: int, end: int) -> int:
        while self.hidden and self.hidden[-1][0] >= start:
            self.hidden.pop()
        self.hidden.append((start, end))
        return end

    def _code(self, start: int, end: int) -> int:
        if self._ticks is None or self._ticks.get(end - start, -1) > start:
            if (after := _end(_CODE, self._text, start)) > start:
                return self._hide(start, after)
            runs = _TICKS.finditer(self._text, end, self._edge)
            self._ticks = {run.end() - run.start(): run.start() for run in runs}
        return end

    def _open(self, start: int, end: int) -> int:
        self._openers += range(start, end)
        return end if start <= self._last_link else start

    def _close(self, start: int, end: int) -> int:
        """Read a run of closing brackets: only the first can end a label, only the last a link."""
        if (more := end - start - 1) and self._openers:
            self._link(self._openers.pop(), start + 1)
            del self._openers[len(self._openers) - min(more - 1, len(self._openers)) :]
            self._dead = min(self._dead, len(self._openers))
        return self._link(self._openers.pop(), end) if self._openers else end

    def _simple_link(self, start: int, end: int) -> int:
        if self._text[start - 1] != "!":
            self._dead = len(self._openers)
        return self._hide(start - (self._text[start - 1] == "!"), end)

    def _link(self, opener: int, end: int) -> int:
        """Hide the link or image whose text stands in brackets, if it is one; return where to go on."""
        image = self._text[opener - 1] == "!"
        depth = len(self._openers)
        target = self._target(opener, end) if image or depth >= self._dead else None
        self._dead = min(self._dead, depth) if image or target is None else depth
        return end if target is None else self._hide(opener - image, target)

    def _target(self, opener: int, end: int) -> int | None:
        text, labels = self._text, self._labels
        if text[end] == "(" and end <= self._last_link + 1 and (after := _end(_destination(), text, end)) > end:
            return after
        if not labels:
            return None
        if named := _NAMED.match(text, end):
            return named.end() if _label(named[0]) in labels else None
        own = _NAMED.match(text, opener)
        if not own or own.end() != end or _label(own[0]) not in labels:
            return None
        return end + 2 if text.startswith("[]", end) else end
