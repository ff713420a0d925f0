"""What of a text by people its readers could have seen: all that an LLM is given. It decides nothing about mentions.

Rules: CommonMark 0.31.2, https://docs.gitlab.com/user/markdown/; threats as in claude-code-action's sanitizer.ts.
Code stays to the letter where it is certainly code. `shared.markdown.visible` finds its blocks, but calls code whatever may be;
here a doubt (an HTML block around a fence, a comment over blank lines, backticks unpaired in their line) makes it text.
Time is linear in any text: a pattern stops where it could start again, and the place of an end is looked up once.
"""

import re
from functools import cache
from html import unescape

from shared.contract import invisible
from shared.markdown.code import BREAK, MARK, blocks, infos
from shared.markdown.link_labels import ITS_TARGET, ITS_TITLE, without_unseen
from shared.markdown.syntax import ANGLED, LABEL, SPACES, TITLE

_GONE, _SPLIT = (
    "\1",
    "\2",
)  # stand for the unseen and for U+2028 until all is read: without, other lines would be code
_READINGS = 3  # that a text may change in; only one made for it needs more than one

_LIVE = re.compile(r"<[A-Za-z/!?]|!\[|\][(:]|&[#A-Za-z]|(?:```|~~~)[^\n`~]")
_BLANK = rf"\n(?={BREAK})"
_NO_TAG = r"<[^<>`\\\n]*+>"  # in this place it is an address
_TO = rf"(?:{ANGLED}|(?!<)(?>(?:[^] \t\n]++|\](?!\())*))"
_TITLED = re.compile(rf"\({SPACES}(?:{_TO}([ \t\n>]++{TITLE})|{_NO_TAG})[ \t\n>]*+\)")
_DEFINITION = rf"{MARK}{LABEL}{ITS_TARGET}(?P<definition>{ITS_TITLE})"
_ROW = rf"(?P<row>[ \t>]*+(?>(?:[|:-][ \t]*+)+)(?=\n))|{MARK}{LABEL}:[ \t]*+{_NO_TAG}(?=[ \t]*+\n)"
_NAME = r"[A-Za-z][A-Za-z0-9-]*+"
_GAP = rf"(?>(?:[ \t]++|\n(?!{BREAK}))+)"
_STRING = rf"""(?:"(?>(?:[^"\n]++|\n(?!{BREAK}))*)"|'(?>(?:[^'\n]++|\n(?!{BREAK}))*)')"""
_VALUE = rf"""{SPACES}={SPACES}(?:[^ \t\n"'=<>`]++|{_STRING})"""
_ATTRIBUTE = rf"{_GAP}[A-Za-z_:][A-Za-z0-9_.:-]*+(?>(?:{_VALUE})?)"
_ADDRESS = r"[ \t\n]++(?ai:href|src)="
_KEPT = _ADDRESS + r"""(?:"[^ \t\n"<>]*+"|'[^ \t\n'<>]*+'|[^ \t\n"'=<>`]++)"""
_LOOSE = re.compile(
    r"""(?>(?:[^>="']++|=[ \t\n]*+(?:"[^"]*+"|'[^']*+'|(?!["']))|["'])*)"""
)  # as browsers read a tag
# An HTML block: some tags, and any that is alone on its line. Up to a blank line it holds no Markdown.
_BLOCK = (
    "address|article|aside|base(?:font)?|blockquote|body|caption|center|col(?:group)?|d[dlt]|details|dialog|dir|div|html"
    "|fieldset|fig(?:caption|ure)|footer|form|frame(?:set)?|h[1-6r]|head(?:er)?|iframe|legend|li|link|main|menu(?:item)?"
    "|nav|noframes|ol|optgroup|option|p|param|search|section|summary|t[dhr]|table|tbody|tfoot|thead|title|track|ul"
)
_VERBATIM = "(?ai:pre|script|style|textarea)"
_ALONE = rf"/?{_NAME}(?>(?:{_ATTRIBUTE})*){SPACES}/?>[ \t]*+\n"
_HTML = rf"<(?:/?(?ai:{_BLOCK})(?:[ \t\n>]|/>)|{_VERBATIM}[ \t\n>]|{_ALONE}|\?|!--|!\[CDATA\[|![A-Za-z])"
_OPEN = {"!--": "-->", "script": rf"</(?ai:script){SPACES}>", "style": rf"</(?ai:style){SPACES}>"}
_ENDS = {**_OPEN, "?": r"\?>", "![cdata[": r"\]\]>"}
_ENTITY = re.compile(r"&(?:#(?:[0-9]{1,7}|[xX][0-9A-Fa-f]{1,6})|[A-Za-z][A-Za-z0-9]{1,31});")
_CODE = re.compile(
    r"(`++)(?>(?:[^`\n]++|(?!\1(?!`))`++)*)\1"
)  # over a line's end it may be two paragraphs' backticks
_PLAIN = ("bare", "alt", "definition")  # the pattern itself tells what to cut
_pattern = cache(re.compile)


def sanitize(text: str) -> str:
    """Return what of a Markdown text a person could have seen, in its own words; applied again it changes nothing.

    Gone are invisible characters; outside code also comments, HTML attributes but plain addresses, scripts, alt texts,
    titles, labels. What the cuts bring to light is read again; if there is no end of it, markup is made dead text.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    seen = invisible.PATTERN.sub(_GONE, text).replace("\u2028", _SPLIT).replace("\u2029", _SPLIT)
    seen = _Reader(without_unseen(seen)).seen().replace(_GONE, "").replace(_SPLIT, "\n")
    for _ in range(_READINGS):
        if seen != text:
            text, seen = seen, _Reader(without_unseen(seen)).seen()
    return seen if seen == text else _dead(seen)


def _dead(text: str) -> str:
    """Return the text with each piece of markup that could be live spelled as a reader sees it."""
    text = _ENTITY.sub(
        lambda found: ("&amp;" if _is_unseen(found[0]) else "&") + found[0][1:], text
    )
    text = re.sub("(`{3,}|~{3,})", r"\\\1", text)
    return re.sub(r"(!(?=\[)|\](?=[(:]))", r"\1\\", re.sub("<(?=[A-Za-z/!?])", "&lt;", text))


def _is_unseen(entity: str) -> bool:
    char = unescape(entity)  # empty for what HTML forbids
    return char in "\r\u2028\u2029" or bool(invisible.PATTERN.search(char))


@cache
def _tokens(*, raw: bool, images: bool) -> re.Pattern[str]:
    """Return the pattern of what is to be looked at, a name for each kind; what has none is passed.

    Raw HTML has no code, no escapes, and tags that only a browser takes for some. Without images few brackets matter.
    """
    end = rf"(?={SPACES}/?>)"
    tag = rf"(?P<bare>(?>(?:(?!{_ADDRESS}){_ATTRIBUTE})+)){end}|(?P<tag>(?>(?:{_ATTRIBUTE})+)){end}"
    tag = rf"{_NAME}(?!(?>(?:{_KEPT})*){end})(?:{tag})"
    tag += rf"|/?{_NAME}(?!(?>(?:{_KEPT})*){end})(?P<loose>)" if raw else ""
    comment = r"!--|\?|!\[CDATA\[|(?ai:script|style)(?=[ \t\n/>])|" + (
        "!|/(?![A-Za-z>])" if raw else "![A-Za-z]"
    )
    titled = f"(?={_TITLED.pattern})"
    alt = rf"(?:(?P<alt>[^][\\`<&!\n]++)|)\](?=[(\[])(?!{titled})"
    brackets = rf"(?<=!)\[(?:{alt}|(?P<image>\[*+))|(?<=\[)(?P<opening>\[*+)|" if images else ""
    closing = r"(?<=\])" + (r"\]*+" if images else titled) + "(?P<closing>)"
    both = rf"(?<=<)(?:(?P<comment>{comment})|{tag})|(?<=&)(?P<entity>{_ENTITY.pattern[1:]})|{brackets}{closing}"
    lines = rf"(?P<blank>(?>(?:{BREAK}(?={BREAK}))*)[ \t>]*+(?=\n))|(?P<html>{MARK}(?={_HTML}))|{_DEFINITION}|{_ROW}"
    inline = r"(?<=\\)[!-/:-@\[-`{-~]|(?<=`)(?P<ticks>`*+)"
    first = r"<&!\]\[" if images else r"<&\]"
    markdown = rf"[{first}\\`\n](?:{inline}|{both}|(?<=\n)(?:{lines}))"
    return re.compile(rf"[{first}\n](?:{both}|(?<=\n){_DEFINITION})" if raw else markdown)


class _Reader:
    """What is to be cut out of a text; it stands between two newlines."""

    def __init__(self, text: str) -> None:
        self._text = f"\n{text}\n"
        self._images = 0 <= text.find("![") < max(text.rfind("]("), text.rfind("]["))
        self._cuts: list[tuple[int, int]] = []
        self._places: dict[str, tuple[int, int, int]] = {}
        self._raw = 0  # up to here it is HTML, no Markdown
        self._whole = (
            -1
        )  # where a comment or element begins that may hold blank lines, being a block of the page
        self._sure = True  # that what follows is read as GitLab reads it; if not, none of it is taken for code
        self._paired, self._rows = (
            True,
            False,
        )  # in this paragraph each line has closed its code; there are table rows
        self._openers: list[int] = []  # an image's is negative
        at, live = 0, _LIVE.search(text)
        for start, end in blocks(text) if live else ():
            at = self._read(at, start + 1)
            self._sure = self._sure and start < end and max(at, self._raw) <= start + 1
            if not self._sure:
                break
            self._paired, self._rows, self._openers, at = True, False, [], end
            self._cuts += infos(self._text, start + 1, end + 1)
        if live:
            self._read(at, len(self._text))

    def seen(self) -> str:
        """Return the text without the cuts."""
        ends = [1, *(end for _, end in self._cuts)]
        starts = [*(start for start, _ in self._cuts), len(self._text) - 1]
        return "".join([self._text[end:start] for end, start in zip(ends, starts, strict=True)])

    def _read(self, at: int, stop: int) -> int:
        """Look at all that is found from a position on; one that reaches further, or changes how to read, restarts."""
        while at < stop:
            raw = at < self._raw
            end = min(stop, self._raw + 1) if raw else stop  # lookaheads see the newline
            for found in _tokens(raw=raw, images=self._images).finditer(self._text, at, end):
                if (kind := found.lastgroup) in _PLAIN:
                    self._cuts.append(found.span(kind))
                elif kind and (after := self._look(kind, found)):
                    at = after
                    break
            else:
                at = max(at, min(end, self._raw)) if raw else end
        return at

    def _look(self, kind: str, found: re.Match[str]) -> int:
        """Take in one thing that was found; return where to go on, 0 for behind it."""
        start, end = found.span()
        if kind == "blank":
            self._paired, self._rows, self._openers = True, False, []
        elif kind == "row":
            self._rows = True
        elif kind in ("image", "opening"):
            self._openers += (
                (-start - 1, *range(start + 2, end)) if kind == "image" else range(start, end)
            )
        elif kind != "entity":
            return int(getattr(self, f"_{kind}")(found))
        elif _is_unseen(found[0]):
            self._cuts.append((start, end))
        return 0

    def _cut(self, start: int, end: int) -> int:
        while self._cuts and self._cuts[-1][0] >= start:
            self._cuts.pop()
        self._cuts.append((start, end))
        return end

    def _find(self, pattern: str, at: int) -> tuple[int, int]:
        """Return where a pattern is found from a position on, or the text's end; it looks at no place twice."""
        asked, start, end = self._places.get(pattern, (at, -1, -1))
        if not asked <= at <= start:
            found, last = _pattern(pattern).search(self._text, at), len(self._text) - 1
            start, end = found.span() if found else (last, last)
            self._places[pattern] = at, start, end
        return start, end

    def _ticks(self, found: re.Match[str]) -> int:
        code = _CODE.match(self._text, found.start()) if self._paired and self._sure else None
        self._paired = code is not None and not (
            self._rows and _pattern(r"(?<!\\)\|").search(code[0])
        )
        return code.end() if code and self._paired else 0

    def _html(self, found: re.Match[str]) -> int:
        """Enter a block of HTML: some kinds end with their line or a tag, the others with a blank line."""
        start = found.end()
        self._raw = blank = self._find(_BLANK, start)[0]
        if self._text[start + 1] in "!?":
            self._raw = self._find(r"\n", start)[0]
        elif _pattern(rf"{_VERBATIM}[ \t\n>]").match(self._text, start + 1):
            self._raw = self._find(r"\n", self._find(f"</{_VERBATIM}>", start)[1])[0]
        self._whole = start if found["html"] in ("", " ", "  ", "   ") else self._whole
        self._sure = self._sure and (start == self._whole or self._raw <= blank)
        return start

    def _comment(self, found: re.Match[str]) -> int:
        """Cut a comment, a script, or what a browser takes for a comment; left open it hides all the rest."""
        start, kind = found.start(), found["comment"].lower()
        raw, blank = start < self._raw, self._find(_BLANK, start)[0]
        last, end = self._find(_ENDS.get(kind, ">"), start + 2)
        if kind not in _OPEN and not raw and (last == end or blank < end):
            return 0
        self._sure = self._sure and (blank >= end or start == self._whole)
        if (
            not self._sure or "](" in self._text[start:end]
        ):  # it may hold the end of an image's text
            self._openers = [opener for opener in self._openers if opener < 0][:1]
            start = 1 - self._openers[0] if self._openers else start
        self._raw = max(self._raw, self._find(r"\n", end)[0]) if raw else self._raw
        return self._cut(start, end)

    def _tag(self, found: re.Match[str]) -> int:
        for attribute in _pattern(_ATTRIBUTE).finditer(self._text, *found.span("tag")):
            if not _pattern(_KEPT).fullmatch(attribute[0]):
                self._cut(*attribute.span())
        return 0

    def _loose(self, found: re.Match[str]) -> int:
        start = found.end()
        end = _LOOSE.match(self._text, start, self._raw).end()  # type: ignore[union-attr]  # any text is loose
        return self._cut(
            start, end if end == self._raw or self._text[end] == ">" else len(self._text) - 1
        )

    def _closing(self, found: re.Match[str]) -> int:
        """Cut the alternative text of an image and the title of an image or a link; a run's last bracket ends it."""
        end = found.end()
        del self._openers[max(len(self._openers) - (end - found.start() - 1), 0) :]
        opener = self._openers.pop() if self._openers else 0
        if opener < 0 and self._text[end] in "([":
            self._cut(1 - opener, end - 1)
        titled = _TITLED.match(self._text, end)
        if not titled or (end < self._raw and not titled[1]):
            return 0
        self._paired = self._paired and "`" not in titled[0]
        if titled[1]:
            self._cut(*titled.span(1))
        return titled.end()
