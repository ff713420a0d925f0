"""Labels of links, and footnotes, that no reader sees: `[words]: #`, `[x][words]`, `[^1]: words` without any `[^1]`.

Rules: CommonMark 0.31.2; https://docs.gitlab.com/user/markdown/#footnotes. A label without a blank says no more than an
address and stays; so does one that stands in running text as well, and a line that goes on with a paragraph.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator

from shared.markdown.code import BREAK, MARK, blocks
from shared.markdown.syntax import ANGLED, LABEL, TITLE

_NOTE = r"\[\^[^][ \t\n]++\]"
ITS_TARGET = rf":[ \t]*+(?>(?:\n[ \t>]*+)?)(?:{ANGLED}|(?!<)[^ \t\n]++)"
ITS_TITLE = rf"(?:[ \t]++(?>(?:\n[ \t>]*+)?)|\n[ \t>]*+){TITLE}(?={BREAK})"
_PLACE = re.compile(
    rf"\n{MARK}(?:(?P<definition>(?P<label>{LABEL}){ITS_TARGET}(?>(?:{ITS_TITLE})?)(?={BREAK}))|(?P<note>(?P<number>{_NOTE}):))"
    rf"|(?<=[]!])(?P<reference>{LABEL})|(?P<seen>{_NOTE}|{LABEL})"
)
_INDENTED = r"(?>(?:\n[ \t>]*+(?=\n))*)\n(?>(?: *+>)*)(?: {4}| {0,3}\t)[^\n]*+"
_NOTE_TEXT = re.compile(rf"[^\n]*+(?>(?:\n(?!{BREAK}|{MARK}{_NOTE}:)[^\n]*+)*)(?>(?:{_INDENTED})*)")
_PARAGRAPH = re.compile(r"[^\W\d_][^<>\n]*+\n")  # such a line can be nothing else


def without_unseen(text: str) -> str:
    """Return the text without them; blocks of code stay as they are."""
    if "]:" not in text:
        return text
    text = f"\n{text}\n"
    places = list(_places(text))
    unseen = {name for kind, name, _, _ in places if kind in ("definition", "note")}
    unseen -= {name for kind, name, _, _ in places if kind == "seen"}
    unseen = {name for name in unseen if " " in name or name.startswith("[^")}
    code, pieces, done = blocks(text) if unseen else [], list[str](), 1
    for kind, name, start, end in places:
        block = bisect_right(code, (start, len(text))) - 1
        if name in unseen and start >= done and (block < 0 or start >= code[block][1]):
            pieces.append(text[done:start])
            done = _NOTE_TEXT.match(text, end).end() if kind == "note" else end  # type: ignore[union-attr]  # any text
    return "".join([*pieces, text[done:-1]])


def _places(text: str) -> Iterator[tuple[str, str, int, int]]:
    """Yield for each label its kind, its name in one spelling, and where it and what defines it starts and ends."""
    last, paragraph = -1, False
    for place in _PLACE.finditer(text):
        kind = group = str(place.lastgroup)
        if group == "definition":
            line = text.rfind("\n", 0, place.start()) + 1
            paragraph = paragraph if place.start() == last else bool(_PARAGRAPH.match(text, line))
            kind, last = "seen" if paragraph else group, place.end()
        name = " ".join((place["label"] or place["number"] or place[group]).split()).casefold()
        edge = (
            1 if group == "reference" else 0
        )  # its brackets stay: they make of another text a link's or an image's
        yield kind, name, place.start(group) + edge, place.end(group) - edge
