"""Front matter: what stands between two marks at a text's very beginning is a block of code.

Rules: https://docs.gitlab.com/user/markdown/#front-matter; lib/gitlab/front_matter.rb, which makes
a fence of each of the two marks, whatever stands between, before Markdown is read.
"""

import re

from shared.markdown.syntax import match_end

_NEWLINE = r"(?:\r\n|\r|\n)"
_MARK = r"(?:---|\+\+\+|;;;)"
_LINE_END = re.compile(_NEWLINE)
_OPENING = re.compile(rf"(?>(?:[ \t\f\r\n]*[\r\n])?)(?P<mark>{_MARK})[ \t]*+[^\s]*+{_NEWLINE}")
# From a newline on: that is found at once.
_CLOSING = re.compile(rf"[\r\n](?:{_MARK}|\.\.\.)(?P<rest>[ \t\f]*+)(?={_NEWLINE}|\Z)")


def fenced(text: str) -> str:
    r"""Return the text with fences for the marks of its front matter, every character in its place.

    >>> fenced("---\na: b\n---\nc")
    '```\na: b\n```\nc'
    """
    opening = _OPENING.match(text, _behind_coding(text))
    closing = _CLOSING.search(text, opening.end() - 1) if opening else None
    if not opening or not closing:
        return text
    at, blanks = opening.start("mark"), " " * len(closing["rest"])
    inside = text[at + 3 : closing.start() + 1]
    return f"{text[:at]}```{inside}```{blanks}{text[closing.end() :]}"


def _behind_coding(text: str) -> int:
    """Return where the first line ends if it names the encoding: it may stand in front."""
    ends = [end for end in map(text.find, "\r\n") if end >= 0]
    if not ends or text.find("coding:", 0, min(ends)) < 0:
        return 0
    return match_end(_LINE_END, text, min(ends))
