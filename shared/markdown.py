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
_LINE = re.compile(
    rf"[ \t]*+(?:(?P<blank>\n)|(?P<fence>`{{3}}(?=`*+[^\n`]*+\n)|~{{3}}|>{{3}}(?=>*+{_BLANK}))|(?P<quote>>)"
    rf"|(?P<heading>{_HEADING})|(?P<item>{_ITEM})|(?P<rule>[-*_=])|(?P<raw>{_RAW})|(?P<definition>\[)|(?P<text>))",
)
_line_at: Callable[[str, int], re.Match[str]] = _LINE.match  # type: ignore[assignment]  # any line is of some kind
_REST = re.compile(r"[^\n]*+\n")
_BLANKS = re.compile(rf"(?:{_BLANK})++")
_LAZY = re.compile(_PARAGRAPH)
_GAP = re.compile(r"[ \t]*+")
_RULE = re.compile(r"([-*_])[ \t]*+(?:\1[ \t]*+){2,}+\n")
_UNDERLINE = re.compile(rf"(?:=++|-++){_BLANK}")
_INTERRUPTING = re.compile(r"(?:[-+*]|0{0,8}1[.)])[ \t]++[^\n]")
_DEFINITIONS = re.compile(rf"(?:[ \t]*+{_LABEL}{_DEFINED})++")
_DEFINITION = re.compile(rf"({_LABEL}){_DEFINED}")
# Lines of one kind and one indent have one context: a run of them is passed at once.
_SIBLINGS = re.compile(rf"([ \t]*+)(?:{_ITEM}(?:{_BLANK}| {{1,4}}+(?!\[){_WORDS})(?=\1{_ITEM})\1)*+")
_RUNS = {
    "quote": re.compile(rf"([ \t]*+)[^\n]*+\n(?:\1>(?!>>++{_BLANK})[^\n]*+\n)*+"),
    "heading": re.compile(rf"([ \t]*+)[^\n]*+\n(?:\1{_HEADING}[^\n]*+\n)*+"),
    "indented": re.compile(rf"([ \t]*+)[^\n]*+\n(?:\1[^\n]*+\n|{_BLANK})*+"),
    "text": re.compile(rf"([ \t]*+)[^\n]*+\n{_PARAGRAPH}(?:(?:{_BLANK})++\1(?!\[){_WORDS}{_PARAGRAPH})*+"),
}

# Inlines

_ATTRIBUTES = (
    rf"(?:[ \t\n]++[A-Za-z_:][A-Za-z0-9_.:-]*+"
    rf"""(?:{_SPACES}={_SPACES}(?:[^ \t\n"'=<>`\0]++|'[^'\0]*+'|"[^"\0]*+"))?+)*+{_SPACES}"""
)
_INLINE = (
    r"(?:\\[!-/:-?\[-`{-~])++"
    r"|(?P<hidden>(?:`[^`\0]++`(?!`)|\\@|<!--(?:-?>|[^-\0]*+-->)"
    rf"|<(?!(?ai:pre|code|a|style|script|textarea)[ \t\n/>])[A-Za-z][A-Za-z0-9-]*+{_ATTRIBUTES}/?+>"
    rf"|</[A-Za-z][A-Za-z0-9-]*+{_SPACES}>|<\?[^<>\0]*+>|<![A-Za-z\[][^<>\0]*+>"
    r"|<[A-Za-z][A-Za-z0-9+.-]{1,31}+:[^\0- <>\x7f]*+>)++)"
    rf"|(?P<element><(?ai:pre|code|a|style|script|textarea){_ATTRIBUTES}/?+>)"
    r"|(?P<comment><!--)|(?P<ticks>`++)"
)
_BRACKETS = (
    r"|(?P<link>!?+\[[^][\\`<\0]*+\]\([^\0- ()<>\\\x7f]*+\))|(?P<pair>\[[^][\\`<\0]*+\])|(?P<open>\[++)|(?P<close>\]++)"
)
_PLAIN = re.compile(_INLINE)
_LINKED = re.compile(_INLINE + _BRACKETS)
_CODE = re.compile(r"(`++)(?:[^`\0]++|(?!\1(?!`))`++)*+\1")
_TICKS = re.compile(r"`++")
_NAME = re.compile(r"[A-Za-z]++")
_NAMED = re.compile(_LABEL)
_URL = re.compile(r"(?<![A-Za-z0-9+.-])[A-Za-z0-9+.-]++://[^\s<]*+|(?<![A-Za-z0-9])(?ai:www\.|mailto:)[^\s<]++")


def visible(text: str) -> str:
    """Return the text with a space for each character that a reader does not see as running text; newlines stay."""
    source = text.replace(_EDGE, " ").replace("\r\n", " \n").replace("\r", "\n") + "\n"
    blocks = _Blocks(source)
    inlines = _Inlines(blocks.marked(), blocks.labels)
    seen = _blanked(_blanked(text, blocks.hidden), inlines.hidden)
    return _URL.sub(lambda url: " " * len(url[0]), seen)


def _blanked(text: str, spans: list[tuple[int, int]]) -> str:
    blank = text.encode("latin-1", "replace").translate(_INK).decode("latin-1")
    pieces, done = [], 0
    for start, end in spans:
        pieces += text[done:start], blank[start:end]
        done = end
    return "".join([*pieces, text[done:]])


@cache
def _fence(char: str, base: int) -> re.Pattern[str]:
    """Return the pattern of a fenced block in a container whose content starts at a column."""
    groups, rest = divmod(base, _TAB)
    inside = rf"(?: {{4}}| {{0,3}}\t){{{groups}}}" + (rf"(?: {{{rest}}}| {{0,3}}\t)" if rest else "")
    closing = rf"{inside} {{0,3}}\1{char}*+{_BLANK}"
    return re.compile(
        rf"({char}{{3,}}+)[^\n]*+\n(?:(?!{closing})(?={inside}|{_BLANK})[^\n]*+\n)*+(?:{closing})?+",
    )


@cache
def _closing(name: str) -> re.Pattern[str]:
    return re.compile(rf"</{name}{_SPACES}>", re.ASCII | re.IGNORECASE)


@cache
def _destination() -> re.Pattern[str]:
    """Return the pattern of what follows a link's text; compiled late, as 32 levels of parentheses take 3 ms."""
    words = r"[^\0-\x20\x7f()\\]++|\\[!-/:-@\[-`{-~]?+"
    nested = rf"(?:{words})*+"
    for _ in range(31):
        nested = rf"(?:{words}|\({nested}\))*+"
    return re.compile(rf"\({_SPACES}(?:{_ANGLED}|(?!<){nested})(?:[ \t\n]++{_TITLE})?+{_SPACES}\)")


def _label(bracketed: str) -> str:
    return " ".join(bracketed[1:-1].split()).casefold()


def _width(indent: str) -> int:
    return len(indent.expandtabs(_TAB))


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
        self.hidden: list[tuple[int, int]] = []
        self.labels: set[str] = set()
        self._text = text
        self._marked: list[str] = []
        self._done = 0
        self._offsets: list[int] = []  # the columns where the content of the open list items starts
        self._paragraph = False
        at = 0
        while at < len(text):
            at = self._line(at)

    def marked(self) -> str:
        """Return the text with edges in place of hidden blocks, of a block's first mark and of its last newline."""
        text = "".join([*self._marked, self._text[self._done :], _EDGE]).replace("\n\n", _EDGE + "\n")
        return re.sub(r"\n(?=[ \t]++\n)", _EDGE, text)

    def _hide(self, start: int, end: int) -> None:
        self.hidden.append((start, end))
        self._mark(start, end, _EDGE * (end - start))

    def _edge(self, start: int, end: int) -> None:
        self._mark(start, end, _EDGE + self._text[start + 1 : end].replace("\n", _EDGE))

    def _mark(self, start: int, end: int, marks: str) -> None:
        self._marked += self._text[self._done : start], marks
        self._done = end

    def _line(self, start: int) -> int:
        """Read the line at a position, or the run of its kind; return where the next one starts."""
        text, position, bullet = self._text, start, ""
        while True:
            line = _line_at(text, position)
            kind = line.lastgroup or ""
            if kind == "blank":
                self._paragraph = False
                return _end(_BLANKS, text, position)
            at = line.start(kind)
            column = _width(text[start:at])
            depth = bisect_right(self._offsets, column)
            base = self._offsets[depth - 1] if depth else 0
            if column - base >= _TAB or column > _DEEPEST:
                kind = "text" if self._paragraph else "indented"
            elif kind in ("item", "rule"):
                kind = self._listed(kind, at, bullet, directly=self._paragraph and depth == len(self._offsets))
            if self._paragraph and kind in ("text", "definition"):
                return _end(_LAZY, text, _end(_REST, text, at))
            del self._offsets[depth:]
            if kind != "item":
                run = _RUNS.get(kind, _REST) if position == start else _REST
                return self._block(kind, at, _end(run, text, position), base)
            self._paragraph = False
            if position == start and (last := _end(_SIBLINGS, text, start) - (at - start)) > start:
                self._edge(at, last)
                return last
            self._edge(at, at + 1)
            bullet = text[at]
            position = self._item(start, at, column, line.end())
            if text[position - 1] == "\n":
                return position

    def _listed(self, kind: str, at: int, bullet: str, *, directly: bool) -> str:
        """Return what a line that begins with a bullet, a number or a rule's character is; `directly` after words."""
        if directly and _UNDERLINE.match(self._text, at):
            return "rule"
        # What follows "- " on its line cannot be a rule of "-": the whole line would have been one.
        if self._text[at] != bullet and _RULE.match(self._text, at):
            return "rule"
        return "text" if kind == "rule" or (directly and not _INTERRUPTING.match(self._text, at)) else "item"

    def _item(self, start: int, at: int, column: int, end: int) -> int:
        """Open a list item whose marker ends at `end`; return where its content, or else the next line, starts."""
        offset = column + end - at + 1
        content = _end(_GAP, self._text, end)
        if self._text[content] == "\n":
            if not _BLANKS.match(self._text, content + 1):
                self._offsets.append(offset)
            return content + 1
        if (inside := _width(self._text[start:content])) - offset < _TAB:
            offset, end = inside, content
        self._offsets.append(offset)
        return end

    def _block(self, kind: str, at: int, end: int, base: int) -> int:
        """Take in the block that begins at a position and, by its lines, ends at another; return where it does."""
        text = self._text
        if kind == "fence":
            end = _end(_fence(text[at], base), text, at)
        elif kind == "raw":
            closed = _comment(text, at) if text[at + 1] == "!" else _element(text, at, at)
            self._hide(at, closed)
            at, end = closed - 1, _end(_REST, text, closed)
        elif kind == "definition" and (defined := _end(_DEFINITIONS, text, at)) > at:
            self.labels.update(map(_label, set(_DEFINITION.findall(text, at, defined))))
            self._hide(at, defined)
            end = defined
        if kind in ("fence", "quote", "indented"):
            self._hide(at, end)
        elif kind in ("heading", "rule", "raw"):
            self._edge(max(at, self._done), end)
        self._paragraph = kind in ("definition", "text")
        return end


class _Inlines:
    """What a reader does not see inside running text: code, tags, comments, whole elements, links."""

    def __init__(self, text: str, labels: set[str]) -> None:
        """Read a text with edges, one of them its last character."""
        self.hidden: list[tuple[int, int]] = []
        self._text = text
        self._labels = labels
        self._last_link = len(text) if labels else text.rfind("](", 0, text.rfind(")") + 1)
        self._edge = -1
        self._openers: list[int] = []
        self._dead = 0  # so many of the openers, the first ones, hold a link and so are none themselves
        self._ticks: dict[int, int] | None = None  # where this block's last run of so many backticks starts
        self._readers: dict[str, Callable[[int, int], int]] = {
            "open": self._open,
            "close": self._close,
            "pair": self._link,
            "link": self._simple_link,
            "ticks": self._code,
            "comment": lambda start, _: self._hide(start, _comment(text, start)),
            "element": lambda start, end: self._hide(start, end if text[end - 2] == "/" else _element(text, start, end)),
        }
        at = 0
        while at < len(text):
            at = self._read(at)

    def _read(self, at: int) -> int:
        """Take in what is found from a position on, until something reaches further than its pattern: return where."""
        for found in (_LINKED if at <= self._last_link else _PLAIN).finditer(self._text, at):
            kind = found.lastgroup
            if kind == "hidden":
                self.hidden.append(found.span())
            elif kind:
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
        if self._text[start] == "[":
            self._dead = len(self._openers)
        return self._hide(start, end)

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
