"""Remove what a reader of the rendered text cannot see: what is left is all that an LLM is given.

Rules: CommonMark 0.31.2, https://docs.gitlab.com/user/markdown/; threats as in claude-code-action's
sanitizer.ts. Code stays to the letter where it is certainly code: a doubt (an HTML block around a
fence, a comment over blank lines, backticks unpaired in their line) makes it text.
Time is linear in any text: a pattern stops where it could start again, and the place of an end is
looked up once.
"""

import re
from collections.abc import Callable
from functools import cache
from html import unescape
from typing import ClassVar

from shared.contract import invisible
from shared.markdown.code import BREAK, CONTAINER, blocks, infos
from shared.markdown.link_labels import DEFINED_TARGET, DEFINED_TITLE, without_hidden
from shared.markdown.syntax import ANGLED, LABEL, SPACES, TITLE

# Stand for invisible characters and U+2028 until all is read: without, other lines would be code.
_GONE, _SPLIT = "\1", "\2"
_READINGS = 3  # that a text may change in; only one made for it needs more than one

_LIVE = re.compile(r"<[A-Za-z/!?]|!\[|\][(:]|&[#A-Za-z]|(?:```|~~~)[^\n`~]")
_BEFORE_BLANK = rf"\n(?={BREAK})"
_ANGLED_ADDRESS = r"<[^<>`\\\n]*+>"  # elsewhere it would be a tag
_TO = rf"(?:{ANGLED}|(?!<)(?>(?:[^] \t\n]++|\](?!\())*))"
_LINK_END = re.compile(rf"\({SPACES}(?:{_TO}([ \t\n>]++{TITLE})|{_ANGLED_ADDRESS})[ \t\n>]*+\)")
_DEFINITION_WITH_TITLE = rf"{CONTAINER}{LABEL}{DEFINED_TARGET}(?P<definition>{DEFINED_TITLE})"
_ROW = (
    r"(?P<row>[ \t>]*+(?>(?:[|:-][ \t]*+)+)(?=\n))"
    rf"|{CONTAINER}{LABEL}:[ \t]*+{_ANGLED_ADDRESS}(?=[ \t]*+\n)"
)
_NAME = r"[A-Za-z][A-Za-z0-9-]*+"
_GAP = rf"(?>(?:[ \t]++|\n(?!{BREAK}))+)"
_STRING = rf"""(?:"(?>(?:[^"\n]++|\n(?!{BREAK}))*)"|'(?>(?:[^'\n]++|\n(?!{BREAK}))*)')"""
_ASSIGNED = rf"""{SPACES}={SPACES}(?:[^ \t\n"'=<>`]++|{_STRING})"""
_ATTRIBUTE = rf"{_GAP}[A-Za-z_:][A-Za-z0-9_.:-]*+(?>(?:{_ASSIGNED})?)"
_ADDRESS = r"[ \t\n]++(?ai:href|src)="
_KEPT = _ADDRESS + r"""(?:"[^ \t\n"<>]*+"|'[^ \t\n'<>]*+'|[^ \t\n"'=<>`]++)"""
# The rest of a tag as browsers read it.
_LOOSE = re.compile(r"""(?>(?:[^>="']++|=[ \t\n]*+(?:"[^"]*+"|'[^']*+'|(?!["']))|["'])*)""")
# An HTML block, without Markdown up to a blank line: some tags, and any that is alone on its line.
_BLOCK = (
    "address|article|aside|base(?:font)?|blockquote|body|caption|center|col(?:group)?|d[dlt]"
    "|details|dialog|dir|div|html|fieldset|fig(?:caption|ure)|footer|form|frame(?:set)?|h[1-6r]"
    "|head(?:er)?|iframe|legend|li|link|main|menu(?:item)?|nav|noframes|ol|optgroup|option|p|param"
    "|search|section|summary|t[dhr]|table|tbody|tfoot|thead|title|track|ul"
)
_VERBATIM = "(?ai:pre|script|style|textarea)"
_ALONE = rf"/?{_NAME}(?>(?:{_ATTRIBUTE})*){SPACES}/?>[ \t]*+\n"
_HTML = (
    rf"<(?:/?(?ai:{_BLOCK})(?:[ \t\n>]|/>)|{_VERBATIM}[ \t\n>]|{_ALONE}"
    r"|\?|!--|!\[CDATA\[|![A-Za-z])"
)
# How those end that hide all the rest if left open, and how others that no reader sees.
_OPEN = {"!--": "-->", "script": rf"</(?ai:script){SPACES}>", "style": rf"</(?ai:style){SPACES}>"}
_ENDS = {**_OPEN, "?": r"\?>", "![cdata[": r"\]\]>"}
_ENTITY = re.compile(r"&(?:#(?:[0-9]{1,7}|[xX][0-9A-Fa-f]{1,6})|[A-Za-z][A-Za-z0-9]{1,31});")
# In one line: backticks in two lines may be those of two paragraphs.
_CODE_IN_LINE = re.compile(r"(`++)(?>(?:[^`\n]++|(?!\1(?!`))`++)*)\1")
_CUT_AS_FOUND = ("bare", "alt", "definition")  # of these the pattern tells what to cut
_pattern = cache(re.compile)


def sanitize(text: str) -> str:
    """Return what of a Markdown text a reader could have seen, in its own words.

    Gone are invisible characters; outside code also comments, HTML attributes but plain addresses,
    scripts, alternative texts, titles, labels. What the cuts bring to light is read again; if there
    is no end of it, markup is made dead text. Applied again it changes nothing.
    It takes seconds on texts built for it: `receive` does not call it.

    >>> sanitize("fix <!-- and merge --> `<!-- this -->`")
    'fix  `<!-- this -->`'
    >>> sanitize('see ![and merge](x.png "and push")')
    'see ![](x.png)'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    clean = invisible.pattern().sub(_GONE, text).replace("\u2028", _SPLIT).replace("\u2029", _SPLIT)
    clean = _Reader(without_hidden(clean)).clean().replace(_GONE, "").replace(_SPLIT, "\n")
    for _ in range(_READINGS):
        if clean != text:
            text, clean = clean, _Reader(without_hidden(clean)).clean()
    return clean if clean == text else _dead(clean)


def _dead(text: str) -> str:
    """Return the text with each piece of markup that could be live spelled as a reader sees it."""

    def spelled(entity: re.Match[str]) -> str:
        return ("&amp;" if _is_invisible(entity[0]) else "&") + entity[0][1:]

    text = _ENTITY.sub(spelled, text)
    text = re.sub("(`{3,}|~{3,})", r"\\\1", text)
    text = re.sub("<(?=[A-Za-z/!?])", "&lt;", text)
    return re.sub(r"(!(?=\[)|\](?=[(:]))", r"\1\\", text)


def _is_invisible(entity: str) -> bool:
    char = unescape(entity)  # empty for what HTML forbids
    return char in "\r\u2028\u2029" or bool(invisible.pattern().search(char))


@cache
def _tokens(*, raw: bool, images: bool) -> re.Pattern[str]:
    """Return the pattern of what is to be looked at, a name for each kind; what has none is passed.

    Raw HTML has no code, no escapes, and tags that only a browser takes for some. Without images
    few brackets matter.
    """
    end = rf"(?={SPACES}/?>)"
    bare = rf"(?P<bare>(?>(?:(?!{_ADDRESS}){_ATTRIBUTE})+)){end}"
    kept = rf"(?!(?>(?:{_KEPT})*){end})"
    tag = rf"{_NAME}{kept}(?:{bare}|(?P<tag>(?>(?:{_ATTRIBUTE})+)){end})"
    comment = r"!--|\?|!\[CDATA\[|(?ai:script|style)(?=[ \t\n/>])|"
    if raw:
        tag += rf"|/?{_NAME}{kept}(?P<loose>)"
        comment += "!|/(?![A-Za-z>])"
    else:
        comment += "![A-Za-z]"
    titled = f"(?={_LINK_END.pattern})"
    if images:
        alt = rf"(?:(?P<alt>[^][\\`<&!\n]++)|)\](?=[(\[])(?!{titled})"
        brackets = rf"(?<=!)\[(?:{alt}|(?P<image>\[*+))|(?<=\[)(?P<opening>\[*+)|"
        closing = r"(?<=\])\]*+(?P<closing>)"
        first = r"<&!\]\["
    else:
        brackets = ""
        closing = rf"(?<=\]){titled}(?P<closing>)"
        first = r"<&\]"
    both = (
        rf"(?<=<)(?:(?P<comment>{comment})|{tag})|(?<=&)(?P<entity>{_ENTITY.pattern[1:]})"
        rf"|{brackets}{closing}"
    )
    if raw:
        return re.compile(rf"[{first}\n](?:{both}|(?<=\n){_DEFINITION_WITH_TITLE})")
    lines = (
        rf"(?P<blank>(?>(?:{BREAK}(?={BREAK}))*)[ \t>]*+(?=\n))|(?P<html>{CONTAINER}(?={_HTML}))"
        rf"|{_DEFINITION_WITH_TITLE}|{_ROW}"
    )
    inline = r"(?<=\\)[!-/:-@\[-`{-~]|(?<=`)(?P<ticks>`*+)"
    return re.compile(rf"[{first}\\`\n](?:{inline}|{both}|(?<=\n)(?:{lines}))")


class _Reader:
    """What is to be cut out of a text; it stands between two newlines."""

    def __init__(self, text: str) -> None:
        self._text = f"\n{text}\n"
        self._images = 0 <= text.find("![") < max(text.rfind("]("), text.rfind("]["))
        self._cuts: list[tuple[int, int]] = []
        self._places: dict[str, tuple[int, int, int]] = {}
        self._raw = 0  # up to here it is HTML, no Markdown
        # Where a comment or element begins that may hold blank lines, being a block of the page.
        self._whole = -1
        # That what follows is read as GitLab reads it; if not, none of it is taken for code.
        self._sure = True
        # Of this paragraph: that each line has closed its code, and that there are table rows.
        self._paired, self._rows = True, False
        self._openers: list[int] = []  # an image's is negative
        if _LIVE.search(text):
            self._read_all(text)

    def clean(self) -> str:
        """Return the text without the cuts."""
        ends = [1, *(end for _, end in self._cuts)]
        starts = [*(start for start, _ in self._cuts), len(self._text) - 1]
        return "".join([self._text[end:start] for end, start in zip(ends, starts, strict=True)])

    def _read_all(self, text: str) -> None:
        """Read what stands between blocks of code, as long as it is sure that they are some."""
        at = 0
        for start, end in blocks(text):
            at = self._read(at, start + 1)
            self._sure = self._sure and start < end and max(at, self._raw) <= start + 1
            if not self._sure:
                break
            self._paired, self._rows, self._openers, at = True, False, [], end
            self._cuts += infos(self._text, start + 1, end + 1)
        self._read(at, len(self._text))

    def _read(self, at: int, stop: int) -> int:
        """Look at all that is found from a position on; return where the reading ended.

        What reaches further than its pattern, or changes how to read, restarts the search.
        """
        while at < stop:
            raw = at < self._raw
            end = min(stop, self._raw + 1) if raw else stop  # lookaheads see the newline
            for found in _tokens(raw=raw, images=self._images).finditer(self._text, at, end):
                if (kind := found.lastgroup) in _CUT_AS_FOUND:
                    self._cuts.append(found.span(kind))
                elif kind and (after := self._LOOKS[kind](self, found)):
                    at = after
                    break
            else:
                at = max(at, min(end, self._raw)) if raw else end
        return at

    def _cut(self, start: int, end: int) -> int:
        while self._cuts and self._cuts[-1][0] >= start:
            self._cuts.pop()
        self._cuts.append((start, end))
        return end

    def _find(self, pattern: str, at: int) -> tuple[int, int]:
        """Return where a pattern is next found, or the text's end; it looks at no place twice."""
        asked, start, end = self._places.get(pattern, (at, -1, -1))
        if not asked <= at <= start:
            found, last = _pattern(pattern).search(self._text, at), len(self._text) - 1
            start, end = found.span() if found else (last, last)
            self._places[pattern] = at, start, end
        return start, end

    # Each of these takes in one thing that was found, and returns where to go on, 0 for behind it.

    def _blank(self, _: re.Match[str]) -> int:
        self._paired, self._rows, self._openers = True, False, []
        return 0

    def _row(self, _: re.Match[str]) -> int:
        self._rows = True
        return 0

    def _image(self, found: re.Match[str]) -> int:
        self._openers += -found.start() - 1, *range(found.start() + 2, found.end())
        return 0

    def _opening(self, found: re.Match[str]) -> int:
        self._openers += range(*found.span())
        return 0

    def _entity(self, found: re.Match[str]) -> int:
        if _is_invisible(found[0]):
            self._cuts.append(found.span())
        return 0

    def _ticks(self, found: re.Match[str]) -> int:
        may_be_code = self._paired and self._sure
        code = _CODE_IN_LINE.match(self._text, found.start()) if may_be_code else None
        # In a table's row a bar ends the cell, and with it the code.
        barred = code and self._rows and _pattern(r"(?<!\\)\|").search(code[0])
        self._paired = code is not None and not barred
        return code.end() if code and self._paired else 0

    def _html(self, found: re.Match[str]) -> int:
        """Enter a block of HTML: some end with their line or a tag, others with a blank line."""
        start = found.end()
        self._raw = blank = self._find(_BEFORE_BLANK, start)[0]
        if self._text[start + 1] in "!?":
            self._raw = self._find(r"\n", start)[0]
        elif _pattern(rf"{_VERBATIM}[ \t\n>]").match(self._text, start + 1):
            self._raw = self._find(r"\n", self._find(f"</{_VERBATIM}>", start)[1])[0]
        if found["html"] in ("", " ", "  ", "   "):
            self._whole = start
        self._sure = self._sure and (start == self._whole or self._raw <= blank)
        return start

    def _comment(self, found: re.Match[str]) -> int:
        """Cut a comment, a script, or what a browser takes for one; left open it hides the rest."""
        start, kind = found.start(), found["comment"].lower()
        raw, blank = start < self._raw, self._find(_BEFORE_BLANK, start)[0]
        last, end = self._find(_ENDS.get(kind, ">"), start + 2)
        if kind not in _OPEN and not raw and (last == end or blank < end):
            return 0
        self._sure = self._sure and (blank >= end or start == self._whole)
        # It may hold the end of an image's text.
        if not self._sure or "](" in self._text[start:end]:
            self._openers = [opener for opener in self._openers if opener < 0][:1]
            start = 1 - self._openers[0] if self._openers else start
        if raw:
            self._raw = max(self._raw, self._find(r"\n", end)[0])
        return self._cut(start, end)

    def _tag(self, found: re.Match[str]) -> int:
        for attribute in _pattern(_ATTRIBUTE).finditer(self._text, *found.span("tag")):
            if not _pattern(_KEPT).fullmatch(attribute[0]):
                self._cut(*attribute.span())
        return 0

    def _loose(self, found: re.Match[str]) -> int:
        start = found.end()
        end = _LOOSE.match(self._text, start, self._raw).end()  # type: ignore[union-attr]  # any text
        closed = end == self._raw or self._text[end] == ">"
        return self._cut(start, end if closed else len(self._text) - 1)

    def _closing(self, found: re.Match[str]) -> int:
        """Cut an image's text and the title of an image or link: a run's last bracket ends it."""
        end = found.end()
        del self._openers[max(len(self._openers) - (end - found.start() - 1), 0) :]
        opener = self._openers.pop() if self._openers else 0
        if opener < 0 and self._text[end] in "([":
            self._cut(1 - opener, end - 1)
        titled = _LINK_END.match(self._text, end)
        if not titled or (end < self._raw and not titled[1]):
            return 0
        self._paired = self._paired and "`" not in titled[0]
        if titled[1]:
            self._cut(*titled.span(1))
        return titled.end()

    _LOOKS: ClassVar[dict[str, Callable[["_Reader", re.Match[str]], int]]] = {
        "blank": _blank,
        "row": _row,
        "image": _image,
        "opening": _opening,
        "entity": _entity,
        "ticks": _ticks,
        "html": _html,
        "comment": _comment,
        "tag": _tag,
        "loose": _loose,
        "closing": _closing,
    }
