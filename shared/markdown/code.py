"""Where a Markdown text certainly is a block of code, in quotes too. `shared.markdown.visible` calls code whatever may be."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from shared.markdown.blocks import DEEPEST, TAB, Blocks

MARK = r"[ \t]*+(?>(?:(?:>|(?:[-+*]|[0-9]{1,9}[.)])(?=[ \t]))[ \t]*+)*)"  # before a block in quotes and lists
BREAK = r"[ \t>]*+\n"
_DEPTH = 3  # of quotes in quotes; code further inside is read as text
_FENCE = re.compile(r"[ \t>]*+(`{3,}+|~{3,}+)[ \t]*+[\w.#:+-]{0,20}+([^\n]*+)")
_NEXT_FENCE = re.compile("\n" + _FENCE.pattern)


def blocks(text: str) -> list[tuple[int, int]]:
    """Return where they start and end, in order; one without length is a place behind which nothing is sure."""
    return _Code(text + "\n", _DEPTH).found


def infos(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Find what stands behind the language in the first lines of fenced code: nobody sees it."""
    fence, line = "", _FENCE.match(text, start)
    while line:
        if not fence:
            fence = line[1]
            yield line.span(2)
        elif line[1].startswith(fence) and not line[2].strip():
            fence = ""
        line = _NEXT_FENCE.search(text, line.end(), end)


class _Code(Blocks):
    def __init__(self, text: str, depth: int) -> None:
        self.found: list[tuple[int, int]] = []
        self._depth, self._quotes = depth, [(0, -1)]
        if depth and any(mark in text for mark in ("```", "~~~", "    ", "\t")):
            super().__init__(text)
            for start, end in self._quotes[1:]:
                self._quoted(start, re.findall(r"[^\n]*\n", text[start:end]))
            self.found.sort()

    def _block(self, kind: str, at: int, run: int) -> int:
        text, end = self._text, super()._block(kind, at, run)
        line = text.rfind("\n", 0, at) + 1
        touches = self._quotes[-1][1] == line
        if kind == "quote":
            first = self._quotes.pop()[0] if touches and not text[line:at].strip() else at
            self._quotes.append((first, end))
        elif kind == "fence" and text[at] == ">":
            inside = text.find("\n", at) + 1
            code = _Code(text[inside:end], self._depth - 1).found if at == line else ()
            self.found += [(inside + first, inside + last) for first, last in code]
        elif kind == "fence" or (
            kind == "indented" and not touches
        ):  # behind a quote it may go on with its paragraph
            self.found.append((at, end if len(text[line:at].expandtabs(TAB)) < DEEPEST else at))
        return end

    def _quoted(self, start: int, lines: list[str]) -> None:
        """Find code in quoted lines; how far a tab behind their mark indents is left open."""
        inner = [line.lstrip(" \t").removeprefix(">").removeprefix(" ") for line in lines]
        if any("\t" in line[: len(line) - len(line.lstrip())] for line in inner):
            return
        outer_ends, ends = (list(accumulate(map(len, each), initial=0)) for each in (lines, inner))
        for span in _Code("".join(inner), self._depth - 1).found:
            rows = [bisect_left(ends, at, 1) for at in span]
            first, last = (
                start + outer_ends[row] - ends[row] + at for row, at in zip(rows, span, strict=True)
            )
            self.found.append((first, last))
