"""Find only what is certainly a block of code; `visible` takes doubtful text for code as well."""

import re
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from shared.markdown.blocks import DEEPEST, TAB, Blocks
from shared.markdown.front_matter import fenced

Block = tuple[int, int, bool]

# What stands before a block in quotes and lists: their marks.
CONTAINER = r"[ \t]*+(?>(?:(?:>|(?:[-+*]|[0-9]{1,9}[.)])(?=[ \t]))[ \t]*+)*)"
BREAK = r"[ \t>]*+\n"
_DEPTH = 3  # of quotes in quotes; code further inside is read as text
_FENCE = re.compile(r"[ \t>]*+(`{3,}+|~{3,}+)[ \t]*+[\w.#:+-]{0,20}+([^\n]*+)")
_NEXT_FENCE = re.compile("\n" + _FENCE.pattern)


def blocks(text: str) -> list[tuple[int, int]]:
    r"""Return where blocks of code start and end, in quotes too, in order.

    One without length is a place behind which nothing is sure.

    >>> blocks("a\n\n    b")
    [(7, 9)]
    """
    return [(start, end) for start, end, _ in kinds(text)]


def kinds(text: str) -> list[Block]:
    """Return the same with a third value: whether it is fenced."""
    return _blocks(fenced(text) + "\n", _DEPTH)


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


def _blocks(text: str, depth: int) -> list[Block]:
    if not depth or not any(mark in text for mark in ("```", "~~~", "    ", "\t")):
        return []
    found: list[Block] = []
    quotes = [(0, -1)]  # the first is none
    for kind, start, end in Blocks(text).opaque:
        line = text.rfind("\n", 0, start) + 1
        touches = quotes[-1][1] == line
        if kind == "quote":
            first = quotes.pop()[0] if touches and not text[line:start].strip() else start
            quotes.append((first, end))
        elif kind == "fence" and text[start] == ">":
            if start == line:
                inside = text.find("\n", start) + 1
                code = _blocks(text[inside:end], depth - 1)
                found += [
                    (inside + first, inside + last, is_fence) for first, last, is_fence in code
                ]
        elif kind == "fence" or (kind == "indented" and not touches):
            # Indented behind a quote it may go on with the quote's paragraph.
            sure = len(text[line:start].expandtabs(TAB)) < DEEPEST
            found.append((start, end if sure else start, kind == "fence"))
    for start, end in quotes[1:]:
        found += _quoted(text, start, end, depth)
    return sorted(found)


def _quoted(text: str, start: int, end: int, depth: int) -> Iterator[Block]:
    """Find code in quoted lines; how far a tab behind their mark indents is left open."""
    lines = re.findall(r"[^\n]*\n", text[start:end])
    inner = [line.lstrip(" \t").removeprefix(">").removeprefix(" ") for line in lines]
    if any("\t" in line[: len(line) - len(line.lstrip())] for line in inner):
        return
    outer_ends, ends = (list(accumulate(map(len, each), initial=0)) for each in (lines, inner))
    for *span, is_fence in _blocks("".join(inner), depth - 1):
        rows = [bisect_left(ends, at, 1) for at in span]
        first, last = (
            start + outer_ends[row] - ends[row] + at for row, at in zip(rows, span, strict=True)
        )
        yield first, last, is_fence
