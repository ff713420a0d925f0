"""Cut link labels and footnotes that no reader sees: `[words]: #`, `[x][words]`, `[^1]: words`.

Rules: CommonMark 0.31.2; https://docs.gitlab.com/user/markdown/#footnotes. A label without a blank
says no more than an address and stays; so does one that stands in running text as well, and a line
that goes on with a paragraph. A footnote is hidden where no `[^1]` refers to it.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator

from shared.markdown.code import BREAK, CONTAINER, blocks
from shared.markdown.syntax import ANGLED, LABEL, TITLE

_NOTE = r"\[\^[^][ \t\n]++\]"
DEFINED_TARGET = rf":[ \t]*+(?>(?:\n[ \t>]*+)?)(?:{ANGLED}|(?!<)[^ \t\n]++)"
DEFINED_TITLE = rf"(?:[ \t]++(?>(?:\n[ \t>]*+)?)|\n[ \t>]*+){TITLE}(?={BREAK})"
_DEFINING = rf"(?P<label>{LABEL}){DEFINED_TARGET}(?>(?:{DEFINED_TITLE})?)(?={BREAK})"
_PLACE = re.compile(
    rf"\n{CONTAINER}(?:(?P<definition>{_DEFINING})|(?P<note>(?P<number>{_NOTE}):))"
    rf"|(?<=[]!])(?P<reference>{LABEL})|(?P<text>{_NOTE}|{LABEL})"
)
_INDENTED = r"(?>(?:\n[ \t>]*+(?=\n))*)\n(?>(?: *+>)*)(?: {4}| {0,3}\t)[^\n]*+"
_NOTE_TEXT = re.compile(
    rf"[^\n]*+(?>(?:\n(?!{BREAK}|{CONTAINER}{_NOTE}:)[^\n]*+)*)(?>(?:{_INDENTED})*)"
)
_SURELY_TEXT = re.compile(r"[^\W\d_][^<>\n]*+\n")  # such a line begins or continues a paragraph


def without_hidden(text: str) -> str:
    r"""Return the text without hidden labels and footnotes; blocks of code stay as they are.

    >>> without_hidden("[evil words]: #\na [link][1]\n\n[1]: http://x")
    '\na [link][1]\n\n[1]: http://x'
    """
    if "]:" not in text:
        return text
    text = f"\n{text}\n"
    places = list(_places(text))
    hidden = {name for kind, name, _, _ in places if kind in ("definition", "note")}
    hidden -= {name for kind, name, _, _ in places if kind == "text"}
    hidden = {name for name in hidden if " " in name or name.startswith("[^")}
    code = [(start + 1, end + 1) for start, end in blocks(text[1:-1])] if hidden else []
    pieces, done = list[str](), 1
    for kind, name, start, end in places:
        block = bisect_right(code, (start, len(text))) - 1
        in_code = block >= 0 and start < code[block][1]
        if name in hidden and start >= done and not in_code:
            pieces.append(text[done:start])
            done = end
            if kind == "note":
                done = _NOTE_TEXT.match(text, end).end()  # type: ignore[union-attr]  # any text
    return "".join([*pieces, text[done:-1]])


def _places(text: str) -> Iterator[tuple[str, str, int, int]]:
    """Yield for each label its kind, its name in one spelling, and where it starts and ends.

    The kinds are definition (with its target and title), note (a footnote's number and colon),
    reference (behind another pair of brackets, or an image's), and text.
    """
    last, paragraph = -1, False
    for place in _PLACE.finditer(text):
        kind = group = str(place.lastgroup)
        start, end = place.span(group)
        if group == "definition":
            line = text.rfind("\n", 0, place.start()) + 1
            paragraph = paragraph if place.start() == last else bool(_SURELY_TEXT.match(text, line))
            kind, last = "text" if paragraph else group, place.end()
        elif group == "reference":
            # Its brackets stay: they make of another text a link's or an image's.
            start, end = start + 1, end - 1
        label = place["label"] or place["number"] or place[group]
        yield kind, " ".join(label.split()).casefold(), start, end
