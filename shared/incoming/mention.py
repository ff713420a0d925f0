"""Where a note speaks to us, and what it asks. It decides nothing about who may ask.

A name ends where GitLab's own ends (`User.reference_pattern`, lib/gitlab/path_regex.rb), with one more rule on the
left: `@@claude` is none. An underscore is part of a name on both sides, so `_@claude_` is no mention.
"""

import re
from functools import cache

_PUNCTUATION, _BLANKS = ",:;.!?", " \t"
_AFTER_NAME = re.compile(rf"[{_PUNCTUATION}]*+[{_BLANKS}]*+")


def may_occur(body: bytes, phrases: tuple[str, ...]) -> bool:
    """Tell whether a JSON body may hold a phrase: no is certain, and costs a look at the bytes instead of a parse.

    JSON can spell any character as an escape, so a body with one of the phrases' spelled so counts as a maybe.
    """
    found = body.lower()
    return any(phrase.lower().encode() in found for phrase in phrases) or bool(
        _escaped(phrases).search(found)
    )


def occurs(text: str, phrases: tuple[str, ...]) -> bool:
    """Tell whether a text mentions a phrase in the reader's sight."""
    return bool(_live(text, phrases))


def instruction(text: str, phrases: tuple[str, ...]) -> str | None:
    """Return what a text asks of us: the text without its mentions of the phrases; None when it holds none.

    Other people's mentions, code and quotes stay to the letter. A mention alone gives an empty instruction.
    """
    if not (spans := _live(text, phrases)):
        return None
    return _silent(_without(text, spans), phrases)


def sanitized(instruction: str, phrases: tuple[str, ...]) -> str:
    """Return what of an instruction a reader could have seen, still without a mention.

    This is for whoever hands it on, not for `receive`: it takes seconds on texts built for it.
    """
    from shared.markdown.sanitize import sanitize  # noqa: PLC0415  not on the cold path of `receive`

    return _silent(sanitize(instruction), phrases).strip()


def _silent(text: str, phrases: tuple[str, ...]) -> str:
    """Return the text without any mention, hidden or not, if one is live: a cut can bring to light what was code."""
    if not _live(text, phrases):
        return text
    return _without(text, [mention.span() for mention in _pattern(phrases).finditer(text)])


def _live(text: str, phrases: tuple[str, ...]) -> list[tuple[int, int]]:
    """Return where a text mentions a phrase in the reader's sight; a text without one costs no look at its Markdown."""
    spans = [mention.span() for mention in _pattern(phrases).finditer(text)]
    if not spans:
        return []
    from shared.markdown.visible import mask  # noqa: PLC0415  only where a phrase is

    seen = mask(text)
    return [(start, end) for start, end in spans if seen[start:end] == text[start:end]]


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    """Cut the spans out: one that begins a line with the punctuation behind it, another with the blank before it."""
    pieces, at, line_start = [], 0, True
    for start, end in spans:
        before, at = text[at:start], end
        line_start = before.rpartition("\n")[2].strip() == "" and (line_start or "\n" in before)
        after = _AFTER_NAME.match(text, end)
        if line_start and after:
            at = after.end()
        elif before[-1:] in _BLANKS and not text[end : end + 1].strip(
            _PUNCTUATION + _BLANKS + "\n"
        ):
            before = before[:-1]
        pieces.append(before)
    return "".join([*pieces, text[at:]]).strip()


@cache
def _pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Return one pattern that finds any of the phrases, each an @ and a GitLab name, ASCII letters in either case.

    Mentions glued together are one: cut one by one, each would uncover the next. A backslash may escape punctuation.
    """
    names = "|".join(re.escape(phrase.removeprefix("@")) for phrase in phrases)
    name = rf"(?:{names})(?![A-Za-z0-9]|\\?[_-]|\\?\.\\?[A-Za-z0-9_-]|/[A-Za-z0-9_.])"
    # The look-behind follows the @: before it, it would be tried at every character.
    return re.compile(rf"@(?<![A-Za-z0-9_@]@){name}(?>(?:@{name})*)", re.ASCII | re.IGNORECASE)


@cache
def _escaped(phrases: tuple[str, ...]) -> re.Pattern[bytes]:
    r"""Return the pattern of a phrase's character spelled as \uXXXX, in lower case."""
    letters = {ord(letter) for phrase in phrases for letter in phrase.lower() + phrase.upper()}
    codes = "|".join(f"{code:04x}" for code in sorted(letters) if code <= 0xFFFF) or "0000"  # noqa: PLR2004
    return re.compile(rf"\\u(?:{codes})".encode())
