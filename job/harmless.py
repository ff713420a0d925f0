"""Make an answer safe to post: no quick action, mention, HTML or image in it does anything."""

from __future__ import annotations

import re

from job import messages
from shared.contract.invisible import CHARACTERS

MOST = 60_000  # characters: a note may have 1 MiB, a person reads less

_FENCE = re.compile(r"( *)(`{3,}|~{3,})([^`]*)")
_RUN = re.compile(r"[`~]{3,}")
_QUICK_ACTION = re.compile(r"^(\s*)/(?=\w)")
_MENTION = re.compile(r"(?<!\w)@(?=[A-Za-z0-9_.])")
_INVISIBLE = re.compile(f"[\r\u2028-\u202f{CHARACTERS}]+")


def quiet(text: str) -> str:
    r"""Return Markdown that shows the same and does nothing.

    A line that begins with `/` is escaped wherever it stands, as GitLab would run it with our
    rights. Outside fenced code a mention gets an invisible character, `<` becomes an entity and an
    image a link. So that GitLab never sees text where we see code, fences are brought to the line's
    beginning, what else could be one is escaped, and an open one is closed.

    >>> quiet("/close <b>")
    '\\/close &lt;b>'
    """
    text = text.replace("\r\n", "\n")
    if len(text) > MOST:
        text = f"{text[:MOST]}\n\n{messages.CUT}"
    lines, fence, indent = [], "", 0
    for raw in _INVISIBLE.sub("", text).strip("\n").split("\n"):
        line, found = raw, _FENCE.fullmatch(raw)
        if fence:
            line = raw[min(indent, len(raw) - len(raw.lstrip(" "))) :]
            if re.fullmatch(rf" {{0,3}}{fence}{fence[0]}*\s*", line):
                line, fence = fence, ""
        elif found:
            indent, fence = len(found[1]), found[2]
            line = fence + re.sub(r"[^\w+#.-]", "", found[3])
        else:
            line = _prose(raw)
        lines.append(_QUICK_ACTION.sub(r"\1\\/", line))
    if fence:
        lines.append(fence)
    return "\n".join(lines)


def plain(text: str, most: int = 72) -> str:
    """Return one line without markup for a title or a list, of at most `most` characters.

    >>> plain("**Fix** `x` for @ada.")
    'Fix x for ada'
    """
    line = re.sub(r"[`*_<>\[\]\\~|]+", "", _INVISIBLE.sub("", text.replace("\n", " ")))
    line = _MENTION.sub("", re.sub(r"\s+", " ", line)).strip(" #-/:.")
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def _prose(line: str) -> str:
    line = _RUN.sub(lambda run: "".join(f"\\{mark}" for mark in run[0]), line)
    line = line.replace("<", "&lt;").replace("![", "!\\[")
    return _MENTION.sub("@\u200b", line)
