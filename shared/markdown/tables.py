"""Find the cells of tables that no reader sees: those beyond the header's.

Rules: https://github.github.com/gfm/#tables-extension-. A bar behind a backslash ends no cell; one
in code does. What may or may not belong to a table is taken to.
"""

import re
from bisect import bisect_right
from functools import lru_cache
from math import inf

from shared.markdown.syntax import BLOCK_TAG, match_end

_CELL = r"[ \t]*+:?-++:?[ \t]*+"
_DELIMITERS = re.compile(
    rf"\n(?P<before>[ \t>]*+)(?P<row>(?![-+*][ \t])\|?{_CELL}(?>(?:\|{_CELL})*)\|?)[ \t]*+(?=\n)"
)
_BEFORE = re.compile(r"[ \t]*+(?>(?:(?:>|(?:[-+*]|[0-9]{1,9}[.)])(?=[ \t]))[ \t]*+)*)")
_BAR = re.compile(r"(?<!\\)\|")
_OTHER_BLOCK = (
    rf"\#{{1,6}}[ \t\n]|`{{3}}|~{{3}}|(?:[-+*]|[0-9]{{1,9}}[.)])[ \t]|(?:[-_*][ \t]*+){{3,}}\n"
    rf"|<(?:{BLOCK_TAG}|[?!])|\n"
)
_OTHER = re.compile(_OTHER_BLOCK)


def excess(text: str, code: list[tuple[int, int]], most: float = inf) -> list[tuple[int, int]]:
    r"""Return where the cells beyond the header's start and end, in order; none within the code.

    The text ends with a newline. What follows too many rows with such cells, or too many like those
    below a header, counts as one more.

    >>> excess("|a|\n|-|\n|b| c |\n", [])
    [(11, 15)]
    """
    found: list[tuple[int, int]] = []
    text, done = f"\n{text}", 0
    for number, row in enumerate(_DELIMITERS.finditer(text)):
        if number >= most and row.start() >= done:
            found.append((row.start() + 1, len(text)))
            break
        if row.start() < done or not ("|" in row["row"] or ":" in row["row"]):
            continue
        done, cells = row.end(), _cells(row["row"])
        start = text.rfind("\n", 0, row.start()) + 1
        header = match_end(_BEFORE, text, start)
        block = bisect_right(code, (row.start("row") - 1, len(text))) - 1
        in_code = block >= 0 and row.start("row") - 1 < code[block][1]
        if in_code or _OTHER.match(text, header) or not row.start():
            continue
        if _cells(text[header : row.start()]) == cells:
            done = _rows(text, row.end() + 1, row["before"].count(">"), cells, found, most)
    return [(start - 1, end - 1) for start, end in found]


def _rows(  # noqa: PLR0913, PLR0917
    text: str, at: int, quotes: int, cells: int, found: list[tuple[int, int]], most: float
) -> int:
    """Take in the rows of a table from a line on; return where they end."""
    rows = _rows_up_to_excess(quotes, cells)
    while (row := rows.match(text, at)) and row["excess"] is not None:
        found.append(row.span("excess"))
        at = row.end()
        if len(found) >= most:
            found.append((at, len(text)))
            return len(text)
    return row.end() if row else at


@lru_cache(maxsize=64)
def _rows_up_to_excess(quotes: int, cells: int) -> re.Pattern[str]:
    before = rf"[ \t]*+(?>(?:>[ \t]*+){{{quotes}}})(?:(?=[|A-Za-z])|(?!>|{_OTHER_BLOCK}))"
    cell = r"[^|\n]*+(?>(?:(?<=\\)\|[^|\n]*+)*)\|"
    first = rf"\|?+(?>(?:{cell}){{{cells}}})"
    fitting = rf"{before}(?!{first}[ \t]*+[^ \t\n])[^\n]*+\n"
    return re.compile(rf"(?>(?:{fitting})*)(?:{before}{first}(?P<excess>[^\n]*+)\n)?")


def _cells(row: str) -> int:
    row = row.strip(" \t").removeprefix("|")
    bars = [bar.start() for bar in _BAR.finditer(row)]
    return len(bars) + (not bars or bars[-1] < len(row) - 1)
