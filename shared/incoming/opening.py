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

ON_THREADS = ("help", "status", "stop", "retry", "budget")  # commands only where they stand alone
BLANKS = " \t\u00a0\u3000"
_WIDE = "，：；。！？、｡､･・﹐﹑﹒﹔﹕﹖﹗"  # noqa: RUF001  no blank follows these
PUNCTUATION = f",:;.!?…‥·¡¿{_WIDE}،؛؟۔।॥։፡።፣፤។"  # noqa: RUF001  as people write it
_KNOWN = rf"(?i:{'|'.join(messages.OPTIONS)})(?![\w-])"
_LONG = "‐‑‒–—―−－"  # noqa: RUF001
# Keyboards make one dash of two; without an option's name behind it, a dash is punctuation.
DASHES = rf"(?:--(?=[A-Za-z])|[{_LONG}]{{1,2}}(?={_KNOWN}))"
_DASH = rf"(?:[{_LONG}]{{1,3}}(?!{_KNOWN})|-{{1,2}}(?=[{BLANKS}\n]))"
# Between a mention that begins a line and the text; always matches.
_AFTER_NAME = rf"[{PUNCTUATION}]*+[{BLANKS}]*+(?>(?:{_DASH}[{BLANKS}]*+)?)"
# What people set around a word; an emoji may be a name between colons, as GitLab's menu writes it.
_OPENING_MARKS, _CLOSING_MARKS = "*_~(（【", "*_~)\\]}>\"'»”’」』】）"  # noqa: RUF001
_EMOJI = "\u2190-\u21ff\u231a-\u23ff\u2600-\u27bf\u2b00-\u2bff\u20e3\U0001f000-\U0001faff"
_MORE = rf"{PUNCTUATION}{_EMOJI}{BLANKS}{invisible.CHARACTERS}"
_NAMED_EMOJI = r":[a-z0-9_+-]{1,60}+:"
_CLOSED = rf"(?>(?:{_NAMED_EMOJI}|[{_CLOSING_MARKS}{_MORE}])*)"
DRESS = rf"(?>(?:{_NAMED_EMOJI}|[{_OPENING_MARKS}{_MORE}])*)"
_ENDS = rf"{PUNCTUATION}{invisible.CHARACTERS}"
WORD_END = rf"(?=[\s{_ENDS}]|[{_CLOSING_MARKS}](?![A-Za-z0-9_])|\Z)[{_ENDS}{_CLOSING_MARKS}]*+"
SEPARATOR = rf"(?:[=:：＝][{BLANKS}]*+|[{BLANKS}]*+)"  # noqa: RUF001
NAME, VALUE = r"[^\s=:：＝]++", rf"[^\s{_WIDE}]*+[{_WIDE}]*+"  # noqa: RUF001
_OPTIONS = rf"(?>(?:[{BLANKS}]*+{DASHES}{NAME}{SEPARATOR}{VALUE})*)"
_NAMES = "|".join((*PROMPTED, IMPLEMENT, *ON_THREADS))
_COMMAND = rf"(?i:{_NAMES}){WORD_END}"
_OPENING = (
    rf"{_CLOSED}(?>(?:{_DASH})?){DRESS}(?P<line>\s*+)(?P<options>{_OPTIONS})"
    rf"(?>(?P<gap>\s*+){DRESS}(?P<command>{_COMMAND})(?P<more>{_OPTIONS}))?"
)
# A mail's, behind a line break; RFC 3676, 4.3.
_SIGNATURE = r"--[ \t]*+\n[\s\S]*+|(?:[–—]|Sent from )[^\n]*+"  # noqa: RUF001

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
    command = invisible.without(found["command"] or "").rstrip(_CLOSING_MARKS)
    options, more = found["options"], found["more"] or ""
    rest = text[found.end() :]
    alone = command.rstrip(PUNCTUATION + _CLOSING_MARKS).lower() in ON_THREADS
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
    """Tell whether what follows a command leaves it alone.

    That is nothing, marks and emoji, or on lines of their own a signature and what a mail quotes.
    """
    words = rest[_pattern(_CLOSED).match(rest).end() :]  # type: ignore[union-attr]  # it matches ""
    apart, own = "\n" in words[: len(words) - len(words.lstrip())], _unquoted(words).strip()
    return not own or (apart and bool(_pattern(_SIGNATURE).fullmatch(own)))


def _unquoted(text: str) -> str:
    """Cut off the quoted lines at a text's end, and the line above that says whose they are.

    That is never the first, which goes on behind the command.
    """
    lines = text.rstrip().split("\n")
    count = len(lines)
    while lines and (lines[-1].startswith(">") or not lines[-1].strip()):
        lines.pop()
    if 1 < len(lines) < count and lines[-1].rstrip().endswith(":"):
        lines.pop()
    return "\n".join(lines)
