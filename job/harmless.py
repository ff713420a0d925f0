r"""Make what Claude says safe to post: no mention, quick action, closing word or HTML in it acts.

What GitLab acts on, and where: a mention is `(?<!\w)@name` with Ruby's `\w`, which is ASCII, in
the text of a rendered page outside code and links (`User.reference_pattern`); a quick action is a
line of a paragraph that is in no list or quote (`Banzai::Filter::QuickActionFilter`); an issue is
closed by the raw text of a description or commit message, code included:
https://docs.gitlab.com/administration/issue_closing_pattern/
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict

from job import messages
from shared.contract.invisible import CHARACTERS

MOST = 60_000  # characters: a note may have 1 MiB, a person reads less

_BREAK, _JOINER = "\u200b", "\u2060"  # neither is seen; the second allows no line break either
_FENCE = re.compile(r"( *)(`{3,}|~{3,})([^`]*)")
_RUN = re.compile(r"`{3,}|~{3,}")  # what somebody might take for a fence is none of ours
_SUGGESTION = re.compile(r"suggestion(?::-[0-9]+\+[0-9]+)?")
_QUICK_ACTION = re.compile(r"^(\s*)/(?=\w)")
# GitLab's quote of several lines ends at such a line, even where a code block in it has no end:
# https://docs.gitlab.com/user/markdown/#multiline-blockquote
_QUOTE_END = re.compile(r" {0,3}>{3,}\s*")
_SIGNS = (
    "\u203c\u2049\u2122\u2139\u2190-\u21ff\u231a-\u23ff\u24c2\u25aa-\u27bf\u2934\u2935\u2b00-\u2bff\u3030\u303d"
    "\u3297\u3299\U0001f000-\U0001faff"
)
_EMOJI = rf"[#*0-9]\ufe0f\u20e3|[{_SIGNS}]\ufe0f?(?:\u200d[{_SIGNS}]\ufe0f?)*"
# An invisible character may be part of an emoji, and nothing else.
_INVISIBLE = re.compile(f"({_EMOJI})|[\r\u2028-\u202f{CHARACTERS}]+")
# GitLab's default pattern, without its word boundary, and with whatever might be a reference.
_CLOSES = (
    r"(?:[Cc]los(?:e[sd]?|ing)|[Ff]ix(?:e[sd]|ing)?|[Rr]esolv(?:e[sd]?|ing)"
    r"|[Ii]mplement(?:s|ed|ing)?)"
    r"(?=:? +(?:[Ii]ssues? +)?(?:[^ \n]*(?:#|://|\[(?:issue|work_item):)|[A-Z][A-Z0-9_]+-[0-9]))"
)
_CLOSING, _CLOSING_BLANK = re.compile(_CLOSES), re.compile(rf"({_CLOSES}:?) ")
_SPAN = re.compile(r"(?<![\\`])(`{1,2})(?!`)(.+?)(?<!`)\1(?!`)")  # as `quiet` leaves it
_SIGN = re.compile(r"[!-/:-@ \[-`{-~]")
# A draft is marked as Gitlab::Regex.merge_request_draft has it, or as it was before GitLab 14.8.
_IN_FRONT = re.compile(
    r"\A(?:[ /#]+|[-*] |\[(?:draft|wip)\]|\(draft\)|(?:draft|wip):)+", re.IGNORECASE
)
_SKIP_CI = re.compile(r"\[(?=(?:ci[ _-]skip|skip[ _-]ci)\])", re.IGNORECASE)
_NAME = r"(?=[A-Za-z0-9_.\\&])"  # what follows the @ of a mention, or may be rendered as that
# Signs in a row are read at once: behind a letter the first is no mention's, and may stay.
_MENTIONS = re.compile(rf"(?<!@)((?<![A-Za-z0-9])|@)@+{_NAME}")
# Addresses in which an @ is part of a link for certain: no sign in them could end what they stand
# in, and they are addresses for each of GitLab's readers.
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,}(?::[0-9]{1,4})?"
_LINKS = (
    rf"<https?://{_HOST}(?:[/?#][A-Za-z0-9/.:?=&%#~+_,;@-]*)?>"
    rf"|(?<![^\s(])https?://{_HOST}/(?:[A-Za-z0-9/.-]*/)?@"
)
# What a line is read by: escapes, code, and all that could act. An @ may be spelled as an entity.
_TOKEN = re.compile(
    rf"{_LINKS}"
    r"|\\[!-/:-@\[-`{-~]|`+|~{3,}|<|!\[|\]\(|\[\[|\$|&(?:commat|#0*64|#[xX]0*40);"
    rf"|(?<![A-Za-z0-9])@{_NAME}|{_CLOSES}"
)
_ALWAYS = {"<": "&lt;", "\\<": "&lt;", "![": "!\\[", "\\@": f"\\@{_BREAK}"}
_SIMPLE_LINK = re.compile(r"\]\([^\s\"'()<>`\\]*\)")  # whose address ends where it seems to
_PIPE = re.compile(r"(?<!\\)(?:\\\\)*\|")
_DELIMITER = re.compile(r"^(?=[^|\n]*\|)(?=[^-\n]*-)[|:\- \t>*+0-9.)]+$", re.MULTILINE)
_ADDRESS = ("://", "www.", "mailto:", "xmpp:")
_LONGEST_ADDRESS = max(map(len, _ADDRESS))
_ITEM = re.compile(r"\s*(?:[-*+:]|[0-9]{1,9}[.)]|\[\^)")  # its content may be indented
_MARKUP = re.compile(r"[\\`*_\[\]<>|~$&!#]")


def quiet(text: str) -> str:
    r"""Return Markdown that shows the same and does nothing.

    Outside code a line that begins with `/` is escaped, as GitLab would run it with our rights; a
    mention and a closing word get an invisible character, `<` becomes an entity and an image a
    link. So that GitLab never sees text where we see code, fences are brought to the line's
    beginning, what else could be one is escaped, and an open one is closed. Code and addresses stay
    to the letter where GitLab must see them as such as well.

    >>> quiet("/close <b> `List<T>`")
    '\\/close &lt;b> `List<T>`'
    """
    text = text.replace("\r\n", "\n")
    if len(text) > MOST:
        text = f"{text[:MOST]}\n\n{messages.CUT}"
    text = _visible(text).strip("\n")
    prose = _Prose(in_tables=bool(_DELIMITER.search(text)))
    lines, fence, indent, quotes = [], "", 0, False
    for raw in text.split("\n"):
        line, found = raw, _FENCE.fullmatch(raw)
        if fence:
            line = raw[min(indent, len(raw) - len(raw.lstrip(" "))) :]
            if re.fullmatch(rf" {{0,3}}{fence}{fence[0]}*\s*", line):
                line, fence = fence, ""
            elif quotes and _QUOTE_END.fullmatch(line):
                line = _JOINER + line
        elif found:
            indent, fence = len(found[1]), found[2]
            prose.interrupt()
            line = fence + _language(found[3].strip())
        elif not prose.is_code(raw):
            quotes |= ">>>" in raw
            line = _QUICK_ACTION.sub(r"\1\\/", prose.line(raw))
        lines.append(line)
    if fence:
        lines.append(fence)
    return "\n".join(lines)


def unclosing(text: str) -> str:
    """Return a `quiet` description in which no word closes an issue, not even one in code.

    Code in which one would is spelled as HTML: it shows and copies the same.

    >>> unclosing("So: `Fixes #5`")
    'So: <code>Fixes&#32;&#35;5</code>'
    """
    lines: list[str] = []
    code: list[str] = []  # a block's lines so far, its fence among them
    fence = ""
    for line in text.split("\n"):
        if code:
            code.append(line)
            if re.fullmatch(rf" {{0,3}}{fence}{fence[0]}*\s*", line):
                lines += _still_block(code)
                code = []
        elif found := _FENCE.fullmatch(line):
            fence, code = found[2], [line]
        else:
            lines.append(_still_spans(line))
    return _still("\n".join([*lines, *code]))


def plain(text: str, most: int = 72) -> str:
    """Return one line for a title or a commit's subject, of at most `most` characters.

    It loses what acts: a slash, a # or `Draft:` in front, the @ of a mention, characters that
    nobody sees; closing words and `[skip ci]` get an invisible one. Of markup it loses backticks
    only: the other signs may be part of a name.

    >>> plain("Fix get_user() for @ada, <T> and __init__.")
    'Fix get_user() for ada, <T> and __init__'
    """
    return _short(_IN_FRONT.sub("", _line(text)), most)


def literal(text: str, most: int) -> str:
    r"""Return one line, in which nothing acts either, as Markdown that shows it to the letter.

    >>> literal("Mend __init__", 72)
    'Mend \\_\\_init\\_\\_'
    """
    return _MARKUP.sub(r"\\\g<0>", _short(_line(text), most))


def _visible(text: str) -> str:
    """Return a text without the characters that nobody sees."""
    return _INVISIBLE.sub(lambda found: found[1] or "", text)


def _line(text: str) -> str:
    """Return a text as one line without mentions, backticks and characters that nobody sees."""
    line = _visible(text.replace("\n", " ")).replace("`", "")
    return _MENTIONS.sub(r"\1", re.sub(r"\s+", " ", line)).lstrip(" /").rstrip()


def _short(line: str, most: int) -> str:
    """Return a line of so many characters at most, in which no word acts."""
    line = _SKIP_CI.sub(f"[{_JOINER}", _still(line.rstrip(" -:.")))
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def _still(text: str) -> str:
    """Return a text in which an invisible character keeps each closing word from its issue."""
    return _CLOSING.sub(rf"\g<0>{_JOINER}", text)


def _still_spans(line: str) -> str:
    """Return a line in which code on one line closes nothing."""

    def spelled(span: re.Match[str]) -> str:
        code = span[2]
        if "|" in code or not _CLOSING.search(code):  # a bar is more than itself in a table
            return span[0]
        return f"<code>{_SIGN.sub(lambda sign: f'&#{ord(sign[0])};', code)}</code>"

    return _SPAN.sub(spelled, line)


def _still_block(code: list[str]) -> list[str]:
    """Return the lines of a block of code that closes nothing, given with its fences."""
    body = "\n".join(code[1:-1])
    if not _CLOSING.search(body):
        return code
    body = body.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    body = _CLOSING_BLANK.sub(r"\1&#32;", body)
    return [f"<pre><code>{body}", "</code></pre>"]


def _language(info: str) -> str:
    return info if _SUGGESTION.fullmatch(info) else re.sub(r"[^\w+#.-]", "", info)


class _Prose:
    """Reads the lines outside fences, and remembers of a paragraph whether its code is certain.

    Inline code is what GitLab must see as code too: a pair of backtick runs on one line, where all
    runs without a partner are escaped. It is in doubt where a link's address or title, a wiki link,
    math, a table's cell or a bare address may have taken one of the pair; from there on to the
    paragraph's end nothing is taken for code.
    """

    def __init__(self, *, in_tables: bool) -> None:
        """Take whether the text has a table's delimiter row anywhere."""
        self._in_tables = in_tables
        self._in_item, self._after_blank = False, True
        self._read, self._address = 0, False  # of a line: how far, and is the last word an address
        self._begin()

    def _begin(self) -> None:
        self._sure, self._dollar, self._wiki = True, False, False

    def interrupt(self) -> None:
        """Note that a fence ended the paragraph."""
        self._begin()
        self._after_blank = False

    def is_code(self, line: str) -> bool:
        """Tell whether a line is indented code for certain, and note what it means for the next."""
        blank, after_blank = not line.strip(), self._after_blank
        if blank:
            self._begin()
            self._after_blank = True
            return False
        indented = line.startswith(("    ", "\t")) and not _RUN.search(line)
        if indented and after_blank and not self._in_item:
            return True  # and so are the lines below it that are indented
        if _ITEM.match(line):
            self._in_item = True
        elif after_blank and not line[0].isspace():
            self._in_item = False
        self._after_blank = False
        return False

    def line(self, line: str) -> str:
        """Return the line in which nothing acts."""
        runs: dict[int, list[int]] = defaultdict(list)
        for run in re.finditer("`+", line):
            runs[len(run[0])].append(run.start())
        pieces, at = [], 0
        self._read, self._address = 0, False
        while found := _TOKEN.search(line, at):
            start, sign = found.start(), found[0]
            pieces.append(line[at:start])
            at = found.end()
            if sign[0] in "`~":
                end = self._code_end(line, start, at, runs[len(sign)])
                pieces.append(line[start:end] if end else self._escaped(sign))
                at = end or at
            else:
                pieces.append(self._harmless(line, start, sign))
        return "".join([*pieces, line[at:]])

    def _code_end(self, line: str, start: int, at: int, partners: list[int]) -> int:
        """Return where the code ends that a run at `start` opens, or 0 where none is certain."""
        length, next_one = at - start, bisect_left(partners, at)
        if not self._sure or length > 2 or next_one == len(partners):  # noqa: PLR2004  3: a fence
            return 0
        code = line[at : partners[next_one]]
        self._sure = not (
            (self._dollar and "$" in code)
            or (self._wiki and "]]" in code)
            or (self._in_tables and _PIPE.search(code))
            or self._in_address(line, start)
        )
        return partners[next_one] + length if self._sure else 0

    def _in_address(self, line: str, start: int) -> bool:
        """Tell whether the word that reaches `start` holds an address; none is read twice."""
        part = line[max(self._read - _LONGEST_ADDRESS, 0) : start].lower().replace("\t", " ")
        _, blank, word = part.rpartition(" ")
        found = any(address in word for address in _ADDRESS)
        self._read, self._address = start, found or (self._address and not blank)
        return self._address

    def _escaped(self, run: str) -> str:
        """Escape a run that opens nothing; where nothing is code for us, short ones may stay."""
        return run if not self._sure and len(run) < 3 else "".join(f"\\{mark}" for mark in run)  # noqa: PLR2004

    def _harmless(self, line: str, start: int, sign: str) -> str:
        if sign == "](":
            self._sure = self._sure and bool(_SIMPLE_LINK.match(line, start))
        self._dollar |= sign == "$"
        self._wiki |= sign == "[["
        if "://" in sign:
            return sign
        if sign[0] in "@&":
            return f"@{_BREAK}"
        return f"{sign}{_JOINER}" if sign[0].isalpha() else _ALWAYS.get(sign, sign)
