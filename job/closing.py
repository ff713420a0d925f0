"""Keep words such as `Closes #5` from closing an issue.

GitLab looks for them in the raw text of a description or commit message, code included:
https://docs.gitlab.com/administration/issue_closing_pattern/
"""

from __future__ import annotations

import re

JOINER = "\u2060"  # is not seen, and allows no line break
FENCE = re.compile(r"( *)(`{3,}|~{3,})([^`]*)")
# GitLab's default pattern, without its word boundary, and with whatever might be a reference.
CLOSES = (
    r"(?:[Cc]los(?:e[sd]?|ing)|[Ff]ix(?:e[sd]|ing)?|[Rr]esolv(?:e[sd]?|ing)"
    r"|[Ii]mplement(?:s|ed|ing)?)"
    r"(?=:? +(?:[Ii]ssues? +)?(?:[^ \n]*(?:#|://|\[(?:issue|work_item):)|[A-Z][A-Z0-9_]+-[0-9]))"
)
_CLOSING, _CLOSING_BLANK = re.compile(CLOSES), re.compile(rf"({CLOSES}:?) ")
_SPAN = re.compile(r"(?<![\\`])(`{1,2})(?!`)(.+?)(?<!`)\1(?!`)")  # as `quiet` leaves it
_SIGN = re.compile(r"[!-/:-@ \[-`{-~]")


def unclosing(text: str) -> str:
    """Return a `quiet` description in which no word closes an issue, not even one in code.

    Code in which one would is spelled as HTML: it shows and copies the same.

    >>> unclosing("So: `Fixes #5`")
    'So: <code>Fixes&#32;&#35;5</code>'
    """
    lines: list[str] = []
    code: list[str] = []  # a block's lines so far, its fence among them
    fence = ""
    for line in text.split("\n"):
        if code:
            code.append(line)
            if re.fullmatch(rf" {{0,3}}{fence}{fence[0]}*\s*", line):
                lines += _still_block(code)
                code = []
        elif found := FENCE.fullmatch(line):
            fence, code = found[2], [line]
        else:
            lines.append(_still_spans(line))
    return still("\n".join([*lines, *code]))


def still(text: str) -> str:
    """Return a text in which an invisible character keeps each closing word from its issue."""
    return _CLOSING.sub(rf"\g<0>{JOINER}", text)


def _still_spans(line: str) -> str:
    """Return a line in which code on one line closes nothing."""

    def spelled(span: re.Match[str]) -> str:
        code = span[2]
        if "|" in code or not _CLOSING.search(code):  # a bar is more than itself in a table
            return span[0]
        return f"<code>{_SIGN.sub(lambda sign: f'&#{ord(sign[0])};', code)}</code>"

    return _SPAN.sub(spelled, line)


def _still_block(code: list[str]) -> list[str]:
    """Return the lines of a block of code that closes nothing, given with its fences."""
    body = "\n".join(code[1:-1])
    if not _CLOSING.search(body):
        return code
    body = body.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    body = _CLOSING_BLANK.sub(r"\1&#32;", body)
    return [f"<pre><code>{body}", "</code></pre>"]
