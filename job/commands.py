"""Which commands Claude ran, and how each ended, as Claude Code's events tell it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from job import messages

if TYPE_CHECKING:
    from collections.abc import Mapping

_TOOL = "Bash"
# The client's words at the beginning of what it says of a command that failed; what was not allowed
# to run has others.
_ENDED = re.compile(r"Exit code ([0-9]{1,3})\b")
_TIMED_OUT = "Command timed out"


class Commands:
    """Takes Claude's blocks as they come; `ended` maps each command to how it last ended."""

    def __init__(self) -> None:
        """Know none yet."""
        self._running: dict[str, str] = {}
        self.ended: dict[str, str] = {}

    def block(self, block: Mapping[str, Any]) -> None:
        """Note a call of a command, or what became of one."""
        if block.get("type") == "tool_use" and block.get("name") == _TOOL:
            given = block.get("input")
            if isinstance(given, dict) and not given.get("run_in_background"):
                self._running[str(block.get("id"))] = str(given.get("command", ""))
        elif block.get("type") == "tool_result":
            command = self._running.pop(str(block.get("tool_use_id")), "")
            end = _end(block)
            if command and end:
                self.ended.pop(command, None)  # the last time counts, in its place
                self.ended[command] = end


def _end(block: Mapping[str, Any]) -> str:
    """Return how a command ended, or "" for one that did not run."""
    if not block.get("is_error"):
        return messages.RAN_WELL
    said = block.get("content")
    if isinstance(said, list):
        said = " ".join(str(each.get("text", "")) for each in said if isinstance(each, dict))
    found = _ENDED.match(str(said))
    if found:
        return messages.RAN_BADLY.format(status=found[1])
    return messages.RAN_TOO_LONG if _TIMED_OUT in str(said) else ""
