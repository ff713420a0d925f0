"""Read how people begin what they ask: a mention, then options, a command, options, then the text.

What people set between is passed: punctuation of any script, dashes, closing brackets and marks.
"""

import re
from functools import cache
from typing import NamedTuple

from shared.contract import invisible
from shared.contract.ai_flow import IMPLEMENT
from shared.installation.readers import PROMPTED
from shared.outcome import messages

ON_THREADS = ("help", "status", "stop", "retry")  # commands only where they stand alone
BLANKS = " \t\u00a0\u3000"
PUNCTUATION = ",:;.!?，：；。！？、…"  # noqa: RUF001  as people write it
_KNOWN = rf"(?i:{'|'.join(messages.OPTIONS)})(?![\w-])"
# Keyboards make one dash of two; without an option's name behind it, a dash is punctuation.
DASHES = rf"(?:--(?=[A-Za-z])|[–—](?={_KNOWN}))"  # noqa: RUF001
_DASH = rf"(?:[–—](?!{_KNOWN})|-(?=[{BLANKS}]))"  # noqa: RUF001
# Between a mention that begins a line and the text; always matches.
_AFTER_NAME = rf"[{PUNCTUATION}]*+[{BLANKS}]*+(?>(?:{_DASH}[{BLANKS}]*+)?)"
_CLOSED = rf"""[*_~)\]}}>"'»”’」』】）{PUNCTUATION}{BLANKS}{invisible.CHARACTERS}]*+"""  # noqa: RUF001
_OPTIONS = rf"(?>(?:[{BLANKS}]*+{DASHES}[^\s=]++(?:=|[{BLANKS}]*+)\S*+)*)"
_NAMES = "|".join((*PROMPTED, IMPLEMENT, *ON_THREADS))
_COMMAND = rf"(?i:{_NAMES})(?=[\s{PUNCTUATION}]|\Z)[{PUNCTUATION}]*+"
_OPENING = (
    rf"{_CLOSED}(?>(?:{_DASH})?)(?P<line>\s*+)(?P<options>{_OPTIONS})"
    rf"(?>(?P<gap>\s*+)(?P<command>{_COMMAND})(?P<more>{_OPTIONS}))?"
)
# A mail's, behind a line break; RFC 3676, 4.3.
_SIGNATURE = r"--[ \t]*+\n[\s\S]*+|[–—][^\n]*+"  # noqa: RUF001

_pattern = cache(re.compile)  # on first use: `receive` loads this file for each cold start


class Opening(NamedTuple):
    """What stands behind a mention: `words` as one line, `spans` where it is to be cut out."""

    words: str
    spans: list[tuple[int, int]]
    alone: bool  # a command on the thread, and nothing but options with it


def behind(text: str, at: int, *, line: bool) -> Opening | None:
    """Return the options and the command behind a mention that ends at a position.

    `line` tells that the mention begins its line: then they may stand on a later one. A command
    that more text follows on its line stays in the text, which would not read without.

    >>> behind("Thanks! @claude stop", 15, line=False).words
    'stop'
    """
    found = _pattern(_OPENING).match(text, at)
    if not found or (not line and "\n" in found["line"]):
        return None
    command, options, more = found["command"] or "", found["options"], found["more"] or ""
    rest = text[found.end() :]
    alone = command.strip(PUNCTUATION).lower() in ON_THREADS
    if (alone and not is_nothing(rest)) or (not line and "\n" in (found["gap"] or "")):
        command, more, alone = "", "", False
    words = " ".join(f"{options} {command} {more}".split())
    spans = [found.span("options"), found.span("more")][: 1 + bool(command)]
    if command and not rest.partition("\n")[0].strip():
        spans = [(found.start("options"), found.end())]
    return Opening(words, [span for span in spans if span[0] < span[1]], alone) if words else None


def after_name(text: str, at: int) -> int:
    """Return where the text begins behind a mention that begins a line and ends at a position."""
    found = _pattern(_AFTER_NAME).match(text, at)
    return found.end() if found else at


def is_nothing(rest: str) -> bool:
    """Tell whether what follows a command leaves it alone: blanks, or a signature on a new line."""
    words = rest.strip()
    apart = "\n" in rest[: len(rest) - len(rest.lstrip())]
    return not words or (apart and bool(_pattern(_SIGNATURE).fullmatch(words)))
