"""Front matter: what stands between two marks at a text's very beginning is a block of code.

Rules: https://docs.gitlab.com/user/markdown/#front-matter; lib/gitlab/front_matter.rb, which makes
a fence of each of the two marks, whatever stands between, before Markdown is read.
"""

import re

_NEWLINE = r"(?:\r\n|\r|\n)"
_MARK = r"(?:---|\+\+\+|;;;)"
_OPENING = re.compile(
    rf"(?>(?:[^\r\n]*coding:[^\r\n]*{_NEWLINE})?)(?>(?:[ \t\f\r\n]*[\r\n])?)"
    rf"(?P<mark>{_MARK})[ \t]*+[^\s]*+{_NEWLINE}"
)
_CLOSING = re.compile(rf"(?:(?<=\n)|(?<=\r))(?:{_MARK}|\.\.\.)(?P<rest>[ \t\f]*+)(?={_NEWLINE}|\Z)")


def fenced(text: str) -> str:
    r"""Return the text with fences for the marks of its front matter, every character in its place.

    >>> fenced("---\na: b\n---\nc")
    '```\na: b\n```\nc'
    """
    opening = _OPENING.match(text)
    closing = _CLOSING.search(text, opening.end()) if opening else None
    if not opening or not closing:
        return text
    at, blanks = opening.start("mark"), " " * len(closing["rest"])
    inside = text[at + 3 : closing.start()]
    return f"{text[:at]}```{inside}```{blanks}{text[closing.end() :]}"
