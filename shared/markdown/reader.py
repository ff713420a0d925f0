"""Read once what of a Markdown text is to be cut out, because no reader sees it.

A pattern stops where it could start again, and the place of an end is looked up once.
"""

import re
from collections.abc import Callable
from functools import cache
from html import unescape
from typing import ClassVar

from shared.contract import invisible
from shared.markdown import rendered, tables
from shared.markdown.code import BREAK, CONTAINER, infos, kinds
from shared.markdown.front_matter import fenced
from shared.markdown.link_labels import DEFINED_TARGET, DEFINED_TITLE
from shared.markdown.syntax import ANGLED, BLOCK_TAG, LABEL, RP_END, SPACES, TITLE, VERBATIM

_LIVE = re.compile(r"<[A-Za-z/!?]|!\[|\][(:]|&[#A-Za-z]|(?:```|~~~)[^\n`~]|\$[^$%\\]*[%\\]|\|")
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
# An HTML block: some tags, and any that is alone on its line.
_ALONE = rf"/?{_NAME}(?>(?:{_ATTRIBUTE})*){SPACES}/?>[ \t]*+\n"
_HTML = rf"<(?:{BLOCK_TAG}|{_ALONE}|\?|!--|!\[CDATA\[|![A-Za-z])"
# How those end that hide all the rest if left open, and how others that no reader sees.
_OPEN = {
    "!--": "-->",
    "script": rf"</(?ai:script){SPACES}>",
    "style": rf"</(?ai:style){SPACES}>",
    "rp": RP_END,
}
_ENDS = {**_OPEN, "?": r"\?>", "![cdata[": r"\]\]>"}
ENTITY = re.compile(r"&(?:#(?:[0-9]{1,7}|[xX][0-9A-Fa-f]{1,6})|[A-Za-z][A-Za-z0-9]{1,31});")
# In one line: backticks in two lines may be those of two paragraphs.
_CODE_IN_LINE = re.compile(r"(`++)(?>(?:[^`\n]++|(?!\1(?!`))`++)*)\1")
# https://docs.gitlab.com/user/markdown/#math-equations
_LINES = rf"[^$\n]|\n(?!{BREAK})"
_FORMULA = re.compile(
    rf"\$(?:`[^`\n]++`\$|\$(?>(?:{_LINES}|\$(?!\$))+)\$\$"
    rf"|(?![\s$])(?>(?:{_LINES})+)(?<!\s)\$(?![0-9]))"
)
_CUT_AS_FOUND = ("bare", "alt", "definition")  # of these the pattern tells what to cut
_pattern = cache(re.compile)


def is_invisible(entity: str) -> bool:
    """Tell whether a character reference stands for a character that no reader sees."""
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
    comment = r"!--|\?|!\[CDATA\[|(?ai:script|style|rp)(?=[ \t\n/>])|"
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
        first = r"<&!$\]\["
    else:
        brackets = ""
        closing = rf"(?<=\]){titled}(?P<closing>)"
        first = r"<&$\]"
    both = (
        rf"(?<=<)(?:(?P<comment>{comment})|{tag})|(?<=&)(?P<entity>{ENTITY.pattern[1:]})"
        rf"|(?<=\$)(?P<formula>)|{brackets}{closing}"
    )
    if raw:
        return re.compile(rf"[{first}\n](?:{both}|(?<=\n){_DEFINITION_WITH_TITLE})")
    lines = (
        rf"(?P<blank>(?>(?:{BREAK}(?={BREAK}))*)[ \t>]*+(?=\n))|(?P<html>{CONTAINER}(?={_HTML}))"
        rf"|{_DEFINITION_WITH_TITLE}|{_ROW}"
    )
    inline = r"(?<=\\)[!-/:-@\[-`{-~]|(?<=`)(?P<ticks>`*+)"
    return re.compile(rf"[{first}\\`\n](?:{inline}|{both}|(?<=\n)(?:{lines}))")


class Reader:
    """What is to be cut out of a text; it stands between two newlines."""

    def __init__(self, text: str) -> None:
        """Read the text, once."""
        self._text = f"\n{text}\n"
        self._seen = f"\n{fenced(text)}\n"
        self._images = 0 <= text.find("![") < max(text.rfind("]("), text.rfind("]["))
        self._cuts: list[tuple[int, int]] = []
        self._code: list[tuple[int, int]] = []  # what is certainly some, in a block of its own
        self._places: dict[str, tuple[int, int, int]] = {}
        self._raw = 0  # up to here it is HTML, no Markdown
        # Where a comment or element begins that may hold blank lines, being a block of the page.
        self._whole = -1
        # That what follows is read as GitLab reads it; if not, none of it is taken for code.
        self._sure = True
        # Of this paragraph: that each line has closed its code, and that there are table rows.
        self._paired, self._rows = True, False
        self._openers: list[int] = []  # an image's is negative
        if _LIVE.search(text) or rendered.is_drawn(text):
            self._read_all(text)

    def clean(self) -> str:
        """Return the text without the cuts, drawn code's comments and cells beyond the header's."""
        cells = tables.excess(self._text, self._code) if "|" in self._text else []
        drawn = rendered.comments(self._seen, self._code) if rendered.is_drawn(self._text) else []
        pieces, done, last = [""], 1, len(self._text) - 1
        for start, end in sorted([*self._cuts, *cells, *drawn, (last, last)]):
            pieces.append(self._text[done : max(start, done)])
            done = max(end, done)
        return "".join(pieces)

    def _read_all(self, text: str) -> None:
        """Read what stands between blocks of code, as long as it is sure that they are some."""
        at = 0
        for start, end, is_fence in kinds(text):
            at = self._read(at, start + 1)
            self._sure = self._sure and start < end and max(at, self._raw) <= start + 1
            if not self._sure:
                break
            self._paired, self._rows, self._openers, at = True, False, [], end
            # An indented one starts with a blank here: what it holds is no fence.
            self._code.append((start + is_fence, end + 1))
            if is_fence:
                self._cuts += infos(self._seen, start + 1, end + 1)
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
        if is_invisible(found[0]):
            self._cuts.append(found.span())
        return 0

    def _formula(self, found: re.Match[str]) -> int:
        """Cut comments in a formula; what else is in it is read when there are none."""
        start = found.end() - 1
        formula = _FORMULA.match(self._text, start)
        hidden = list(rendered.formula_comments(formula[0].rstrip("`$"))) if formula else []
        for first, last in hidden:
            self._cut(start + first, start + last)
        return formula.end() if formula and hidden else 0

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
        elif _pattern(rf"{VERBATIM}[ \t\n>]").match(self._text, start + 1):
            self._raw = self._find(r"\n", self._find(f"</{VERBATIM}>", start)[1])[0]
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
        if kind == "rp" and _pattern("<[A-Za-z]").search(self._text, start + 2, last):
            end = len(self._text) - 1  # an element in it may have it go on
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

    _LOOKS: ClassVar[dict[str, Callable[["Reader", re.Match[str]], int]]] = {
        "blank": _blank,
        "row": _row,
        "image": _image,
        "opening": _opening,
        "entity": _entity,
        "formula": _formula,
        "ticks": _ticks,
        "html": _html,
        "comment": _comment,
        "tag": _tag,
        "loose": _loose,
        "closing": _closing,
    }
