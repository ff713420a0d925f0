"""Read the inlines of a Markdown text: code, HTML, links and images, which are no running text."""

import re
from collections.abc import Callable
from functools import reduce
from itertools import islice
from typing import ClassVar

from shared.markdown.syntax import (
    ANGLED,
    EDGE,
    LABEL,
    SPACES,
    TITLE,
    closing_end,
    label_key,
    match_end,
)

# What matches without a group's name is hidden as it stands. What matches a named group is looked
# at by `Inlines._READERS` of that name; "escape" alone is passed.
_ELEMENT = r"(?ai:pre|code|a|style|script|textarea|rp)"
_VALUE = rf"""{SPACES}={SPACES}(?:[^ \t\n"'=<>`\0]++|'[^'\0]*+'|"[^"\0]*+")"""
_ATTRS = rf"(?>(?:[ \t\n]++[A-Za-z_:][A-Za-z0-9_.:-]*+(?>(?:{_VALUE})?))*){SPACES}"
_COMMENT = r"(?:-?>|[^-\0]*+-->)"
_OTHER = (
    rf"!--{_COMMENT}|![A-Za-z\[][^<>\0]*+>|\?[^<>\0]*+>"
    r"|[A-Za-z][A-Za-z0-9+.-]{1,31}+:[^\0- <>\x7f]*+>"
)
_NAME = r"[A-Za-z][A-Za-z0-9-]*+"
_NAMED_TAG = rf"(?={_NAME}[ \t\n/>])"  # most of what only looks like a tag ends here
_ANY_TAG = rf"{_NAME}{_ATTRS}/?+>"
_NO_NAME = rf"/{_NAME}{SPACES}>|{_OTHER}"
_TAG = rf"(?:{_NAMED_TAG}(?!{_ELEMENT}{_ATTRS}>){_ANY_TAG}|{_NO_NAME})"
_INLINE = (
    r"(?<=\\)(?:(?P<escape>[!-/:-?\[-`{-~](?>(?:\\[!-/:-?\[-`{-~])*))|@)"
    r"|(?<=`)(?:[^`\0]++`(?!`)|(?P<ticks>`*+))"
    rf"|(?<=<)(?:(?P<element>{_NAMED_TAG}{_ELEMENT}{_ATTRS}>|!--(?!{_COMMENT}))"
    rf"|(?:{_NAMED_TAG}{_ANY_TAG}|{_NO_NAME})(?>(?:<{_TAG})*))"
)
_BRACKET = (
    r"(?<=\[)(?:[^][\\`<\0]*+\](?:(?P<link>\([^\0- ()<>\\\x7f]*+\))|(?P<pair>))|(?P<open>\[*+))"
)
_NO_TAG = r"(?<!<(?![A-Za-z!/?]))"  # found at once
_PLAIN = re.compile(rf"[\\`<]{_NO_TAG}(?:{_INLINE})")
_LINKED = re.compile(rf"[][\\`<]{_NO_TAG}(?:{_INLINE}|{_BRACKET}|(?<=\])(?P<close>\]*+))")
_CODE = re.compile(r"(`++)(?>(?:[^`\0]++|(?!\1(?!`))`++)*)\1")
_NAMED = re.compile(LABEL)
_WORD = r"[^\0-\x20\x7f()\\]++|\\[!-/:-@\[-`{-~]?+"
_NESTED = reduce(
    lambda inside, _: rf"(?>(?:{_WORD}|\({inside}\))*)", range(32), rf"(?>(?:{_WORD})*)"
)
_TARGET = re.compile(rf"\({SPACES}(?:{ANGLED}|(?!<){_NESTED})(?>(?:[ \t\n]++{TITLE})?){SPACES}\)")

_CLOSER_LOOK = 20  # times what it costs to find a mark


class Inlines:
    """The inlines of the running text between blocks, whose last character is an edge.

    `hidden` is where those start and end that are no running text, in order. So is all that stands
    behind the first `most` of them, from `end` on; those that need a closer look weigh more.
    """

    def __init__(self, text: str, labels: set[str], most: int) -> None:
        """Read the text, in which these labels are defined."""
        self._left = most
        self.hidden: list[tuple[int, int]] = []
        self._text = text
        self._labels = labels
        self._last_link = len(text) if labels else text.rfind("](", 0, text.rfind(")") + 1)
        self._edge = -1  # where the block ends that is being read
        # Of that block: the open brackets, and how many of them, the first ones, hold a link and so
        # begin none themselves.
        self._openers: list[int] = []
        self._dead = 0
        # And where its last run of so many backticks starts, once somebody asked.
        self._runs: dict[int, int] | None = None
        at = 0
        while at < len(text) and self._left > 0:
            at = self._read(at)
        self.end = at
        if at < len(text):
            self._hide(at, len(text))

    def _read(self, at: int) -> int:
        """Read from a position on until something reaches further than its pattern.

        Return where it ends.
        """
        hidden, readers = self.hidden, self._READERS
        marks = (_LINKED if at <= self._last_link else _PLAIN).finditer(self._text, at)
        for found in islice(marks, self._left):
            self._left -= 1
            if (name := found.lastgroup) is None:
                hidden.append(found.span())
            elif name in readers:
                start, end = found.span()
                self._left -= _CLOSER_LOOK
                if start > self._edge:
                    self._edge = self._text.find(EDGE, start)
                    self._openers, self._dead, self._runs = [], 0, None
                if (after := readers[name](self, start, end)) != end:
                    return after
        return len(self._text) if self._left > 0 else found.end()

    def _hide(self, start: int, end: int) -> int:
        while self.hidden and self.hidden[-1][0] >= start:
            self.hidden.pop()
        self.hidden.append((start, end))
        return end

    def _ticks(self, start: int, end: int) -> int:
        if self._runs is None or self._runs.get(end - start, -1) > start:
            if (after := match_end(_CODE, self._text, start)) > start:
                return self._hide(start, after)
            later = re.compile("`++").finditer(self._text, end, self._edge)
            self._runs = {len(run[0]): run.start() for run in later}
        return end

    def _element(self, start: int, end: int) -> int:
        return self._hide(start, closing_end(self._text, start, end))

    def _open(self, start: int, end: int) -> int:
        self._openers += range(start, end)
        return end if start <= self._last_link else start

    def _close(self, start: int, end: int) -> int:
        """Read a run of closing brackets: only the first can end a label, only the last a link."""
        if end - start > 1 and self._openers:
            self._pair(self._openers.pop(), start + 1)
            del self._openers[max(len(self._openers) - (end - start - 2), 0) :]
            self._dead = min(self._dead, len(self._openers))
        return self._pair(self._openers.pop(), end) if self._openers else end

    def _pair(self, opener: int, end: int) -> int:
        """Hide the link or image whose text stands in brackets, if it is one.

        Return where to go on.
        """
        alive = len(self._openers) >= self._dead or self._text[opener - 1] == "!"
        self._dead = min(self._dead, len(self._openers))
        after = self._target(opener, end) if alive else 0
        return self._link(opener, after) if after else end

    def _link(self, opener: int, end: int) -> int:
        image = self._text[opener - 1] == "!"
        if not image:
            self._dead = len(self._openers)
        return self._hide(opener - image, end)

    def _target(self, opener: int, end: int) -> int:
        """Return where the link ends whose text ends at `end`, or 0 if it is none."""
        if self._text[end] == "(" and end <= self._last_link + 1:
            after = match_end(_TARGET, self._text, end)
            if after > end:
                return after
        if not self._labels:
            return 0
        full = _NAMED.match(self._text, end)  # [text][label]
        label = full or _NAMED.match(self._text, opener)  # [label][] or [label]
        if not label or label_key(label[0]) not in self._labels:
            return 0
        if full:
            return full.end()
        if label.end() != end:
            return 0
        return end + 2 * self._text.startswith("[]", end)

    _READERS: ClassVar[dict[str, Callable[["Inlines", int, int], int]]] = {
        "ticks": _ticks,
        "element": _element,
        "link": _link,
        "pair": _pair,
        "open": _open,
        "close": _close,
    }
