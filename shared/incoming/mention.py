"""Find mentions of the trigger phrases in a text, and extract what the text asks.

A name ends where GitLab's own ends (`User.reference_pattern`, lib/gitlab/path_regex.rb), with one
more rule on the left: `@@claude` is no mention. An underscore is part of a name on both sides, so
`_@claude_` is none either. A mention counts where a reader sees it: not in code, quotes or links.
"""

import re
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.incoming.opening import Opening

_NOTE, _PIPELINE = b'{"object_kind":"note"', b'{"object_kind":"pipeline"'
FAILED = '"status":"failed"'  # among the phrases, where a pipeline that has failed may ask
_MOST, _MOST_SHOWN = 10_000, 8_200  # mentions looked at and cut out: a prompt holds no more
_NO_WORD = r"[^\n\w]*+"


def may_occur(body: bytes, phrases: tuple[str, ...]) -> bool:
    r"""Tell whether a JSON body may hold a phrase: no is certain, and costs no parsing.

    JSON can spell any character as an escape: a body with one of a phrase's characters spelled so
    is a maybe.

    >>> may_occur(b'{"note": "Please look."}', ("@claude",))
    False
    >>> may_occur(rb'{"note": "\u0040claude, look"}', ("@claude",))
    True
    """
    if body.startswith(_NOTE):  # what most deliveries are: only a mention can ask in one
        found = bool(_mentions(phrases).search(body))
    elif body.startswith(_PIPELINE):  # of these only a run's own: AI_FLOW_ID, or `ai_flow`
        found = bool(re.search(rb"_flow", body, re.IGNORECASE))
        found = found or (FAILED in phrases and FAILED.encode() in body)
    else:
        lower = body.lower()
        found = any(phrase.lower().encode() in lower for phrase in phrases)
    return found or (b"\\" in body and bool(_escaped(phrases).search(body)))


def occurs(text: str, phrases: tuple[str, ...]) -> bool:
    """Tell whether a text mentions one of the phrases where a reader sees it."""
    return bool(_find(text, phrases))


def instruction(text: str, phrases: tuple[str, ...]) -> str | None:
    """Return what a text asks of us: the text without its mentions; None where it holds none.

    Each phrase is an @ and a user name. Other people's mentions, code and quotes stay to the
    letter. A mention alone gives an empty instruction. A command or options that stand behind a
    mention come first; where only a command on the thread stands there, it is all that is asked.

    >>> instruction("@claude, fix what @ada found", ("@claude",))
    'fix what @ada found'
    >>> instruction("Thanks! @claude stop", ("@claude",))
    'stop'
    >>> instruction("type `@claude` to start", ("@claude",)) is None
    True
    """
    if not (spans := _find(text, phrases)):
        return None
    found = _opening(text, spans)
    if found is None:
        asked = _without_mentions(_cut(text, spans), phrases)
        return asked if _has_front_matter(text) or not _has_front_matter(asked) else f" {asked}"
    asked = "" if found.alone else _cut(text, sorted([*spans, *found.spans]))
    return _without_mentions(f"{found.words}\n\n{asked}".strip(), phrases)


def sanitized(instruction: str, phrases: tuple[str, ...], second: int = 0) -> str:
    """Return what of an instruction a reader could have seen, still without a mention.

    `second` is where a second text begins in it, which is read apart; 0 is nowhere. This is for
    whoever hands it on, not for `receive`: it takes seconds on texts built for it.

    >>> sanitized("fix it <!-- and merge -->", ("@claude",))
    'fix it'
    """
    from shared.markdown.sanitize import sanitize  # noqa: PLC0415  not on the cold path

    texts = (instruction[:second], instruction[second:])
    shown = [_without_mentions(sanitize(text), phrases).strip() for text in texts]
    return "\n\n".join(text for text in shown if text)


def _find(text: str, phrases: tuple[str, ...]) -> list[tuple[int, int]]:
    """Return where a text mentions a phrase and a reader sees it.

    The Markdown of a text without any phrase is not read.
    """
    return _shown(text, _spans(text, phrases))


def _shown(text: str, spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    if not spans:
        return []
    from shared.markdown import visible  # noqa: PLC0415  only where a phrase is

    return visible.shown(text, spans)[:_MOST_SHOWN]


def _opening(text: str, spans: list[tuple[int, int]]) -> "Opening | None":
    """Return the command and options behind a mention, where the text does not begin with it.

    That is the first mention with words behind it on its line, else the first of all: in "Thanks
    @claude!" nothing is asked.
    """
    if not text[: spans[0][0]].strip():
        return None
    from shared.incoming import opening  # noqa: PLC0415  only where a phrase is
    from shared.markdown.syntax import blanked, match_end  # noqa: PLC0415

    words = blanked(text, spans)
    at = spans[0][1]
    passed = -1
    for _, end in spans:
        if end > passed:
            passed = match_end(re.compile(_NO_WORD), words, end)
            if words[passed : passed + 1] not in ("", "\n"):
                at = end
                break
    begins_line = not words[words.rfind("\n", 0, at) + 1 : at].strip()
    return opening.behind(words, at, line=begins_line)


def _has_front_matter(text: str) -> bool:
    """Tell whether a text begins with front matter: what a cut makes one is none for a reader."""
    from shared.markdown.front_matter import fenced  # noqa: PLC0415  only where a phrase is

    return fenced(text) != text


def _without_mentions(text: str, phrases: tuple[str, ...]) -> str:
    """Return the text, without any mention if a reader sees one.

    A cut can bring to light what was code: then hidden mentions go as well.
    """
    spans = _spans(text, phrases)
    return _cut(text, spans) if _shown(text, spans) else text


def _spans(text: str, phrases: tuple[str, ...]) -> list[tuple[int, int]]:
    return [mention.span() for mention in islice(_pattern(phrases).finditer(text), _MOST)]


def _cut(text: str, spans: list[tuple[int, int]]) -> str:
    """Cut out the mentions, and what was moved to the front; they stand in order.

    With one that begins a line goes the punctuation behind it, with another the blank before it.
    """
    from shared.incoming import opening  # noqa: PLC0415  only where a phrase is

    after_word = opening.PUNCTUATION + opening.BLANKS + "\n"
    pieces, at, begins_line = [], 0, True
    for start, end in spans:
        if end <= at:  # a mention among options that were cut out
            continue
        before, at = text[at:start], end
        only_blanks = before.rpartition("\n")[2].strip() == ""
        begins_line = only_blanks and (begins_line or "\n" in before)
        if begins_line:
            at = opening.after_name(text, end)
        elif before[-1:] in opening.BLANKS and text[end : end + 1] in after_word:  # "" at the ends
            before = before[:-1]
        pieces.append(before)
    return "".join([*pieces, text[at:]]).strip()


@cache
def _pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Return the pattern of a mention of any of the phrases, ASCII letters in either case.

    Mentions glued together are one: cut one by one, each would uncover the next. A backslash may
    stand before punctuation.
    """
    names = "|".join(re.escape(phrase.removeprefix("@")) for phrase in phrases)
    name = rf"(?:{names})(?![A-Za-z0-9]|\\?[_-]|\\?\.\\?[A-Za-z0-9_-]|/[A-Za-z0-9_.])"
    # The look-behind follows the @: before it, it would be tried at every character.
    return re.compile(rf"@(?<![A-Za-z0-9_@]@){name}(?>(?:@{name})*)", re.ASCII | re.IGNORECASE)


@cache
def _mentions(phrases: tuple[str, ...]) -> re.Pattern[bytes]:
    """Return the pattern of the phrases that are mentions. It begins with @, found fast."""
    names = [phrase[1:].lower().encode() for phrase in phrases if phrase.startswith("@")]
    return re.compile(b"@(?:%b)" % b"|".join(map(re.escape, names)), re.IGNORECASE)


@cache
def _escaped(phrases: tuple[str, ...]) -> re.Pattern[bytes]:
    r"""Return the pattern of a phrase's character spelled as \uXXXX."""
    letters = {ord(letter) for phrase in phrases for letter in phrase.lower() + phrase.upper()}
    codes = "|".join(f"{code:04x}" for code in sorted(letters) if code <= 0xFFFF) or "0000"  # noqa: PLR2004
    return re.compile(rf"\\u(?:{codes})".encode(), re.IGNORECASE)
