"""The log of another job as text: without colours and GitLab's marks, its end, without secrets."""

from __future__ import annotations

import re
from typing import Callable

from shared.contract.invisible import without

MOST_LINES, LONGEST_LINE = 200, 1_000  # of one log, and characters
# ECMA-48: a control sequence, a command to the terminal such as a link, any other escape.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b\n]*(?:\x07|\x1b\\)?|[ -/]*[0-~])")
# https://docs.gitlab.com/ci/jobs/job_logs/#custom-collapsible-sections
_SECTION = re.compile(r"section_(?:start|end):[0-9]+:[\w.-]+(?:\[[^\]\r\n]{0,200}\])?\r?", re.ASCII)
# What a runner puts before a line; with a + the line goes on with the one before: TIMESTAMP_HEADER
# in GitLab's lib/gitlab/ci/trace/stream.rb.
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6}Z [0-9a-f]{2}[EO]"
_STAMP, _GOES_ON = re.compile(rf"^{_TIME}[+ ]", re.MULTILINE), re.compile(rf"\n{_TIME}\+")


def tail(data: bytes, masked: Callable[[str], str], room: int, *, whole: bool) -> str:
    r"""Return the last lines of a log, in at most `room` characters.

    `data` is the log, or if not `whole` its end, of which the first line is not all there. Secrets
    are masked before anything is cut, so that none is left in part.

    >>> tail(b"section_start:1:a\r\x1b[0K\x1b[31;1mred\x1b[0;m\n 1%\r100%\n", str, 99, whole=True)
    'red\n100%'
    """
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    if not whole:
        text = text.partition("\n")[2]
    text = _STAMP.sub("", _GOES_ON.sub("", text))
    text = _SECTION.sub("", _ESCAPE.sub("", text)).rstrip()
    drawn = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    lines = masked(without("\n".join(drawn))).split("\n")[-MOST_LINES:]
    kept: list[str] = []
    for line in reversed([each.rstrip()[:LONGEST_LINE] for each in lines]):
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return "\n".join(reversed(kept)).strip("\n")
