"""Remove what a reader of the rendered text cannot see: what is left is all that an LLM is given.

Rules: CommonMark 0.31.2, https://docs.gitlab.com/user/markdown/; threats as in claude-code-action's
sanitizer.ts. Code stays to the letter where it is certainly code: a doubt (an HTML block around a
fence, a comment over blank lines, backticks unpaired in their line) makes it text.
Time is linear in any text: a pattern stops where it could start again, and the place of an end is
looked up once.
"""

import re

from shared.contract import invisible
from shared.markdown import rendered
from shared.markdown.link_labels import without_hidden
from shared.markdown.reader import ENTITY, Reader, is_invisible

# Stand for invisible characters and U+2028 until all is read: without, other lines would be code.
_GONE, _SPLIT = "\1", "\2"
_READINGS = 3  # that a text may change in; only one made for it needs more than one


def sanitize(text: str) -> str:
    """Return what of a Markdown text a reader could have seen, in its own words.

    Gone are invisible characters; outside code also comments, HTML attributes but plain addresses,
    scripts, alternative texts, titles, labels. What the cuts bring to light is read again; if there
    is no end of it, markup is made dead text. Applied again it changes nothing.
    It takes seconds on texts built for it: `receive` does not call it.

    >>> sanitize("fix <!-- and merge --> `<!-- this -->`")
    'fix  `<!-- this -->`'
    >>> sanitize('see ![and merge](x.png "and push")')
    'see ![](x.png)'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    clean = invisible.pattern().sub(_GONE, text).replace("\u2028", _SPLIT).replace("\u2029", _SPLIT)
    clean = _read(clean).replace(_GONE, "").replace(_SPLIT, "\n")
    for _ in range(_READINGS):
        if clean != text:
            text, clean = clean, _read(clean)
    return clean if clean == text else Reader(_dead(clean)).clean()


def _read(text: str) -> str:
    return Reader(rendered.without_columns(without_hidden(text))).clean()


def _dead(text: str) -> str:
    """Return the text with each piece of markup that could be live spelled as a reader sees it."""

    def spelled(entity: re.Match[str]) -> str:
        return ("&amp;" if is_invisible(entity[0]) else "&") + entity[0][1:]

    text = ENTITY.sub(spelled, text)
    text = re.sub("(`{3,}|~{3,})", r"\\\1", text)
    text = re.sub("<(?=[A-Za-z/!?])", "&lt;", text).replace("$", "&#36;")
    return re.sub(r"(!(?=\[)|\](?=[(:]))", r"\1\\", text)
