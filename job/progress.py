"""Show what Claude is doing: each step in the job's log, its to-do list in the reply."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Callable

from job import messages, reply
from job.commands import Commands
from job.inputs import TOOLS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from job.job_log import Log

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9@._:/\[\]-]{,127}", re.ASCII)
_MOST_MODELS = 5
_MOST_SPENT = 10**6  # US dollars
_LONGEST = 300  # characters of a line about a tool
# Names of tools that stand in the log also where it says steps only: others are the model's words.
_STEPS = (*TOOLS, "Bash", "WebFetch", "WebSearch", "Task")
_TELLING = ("file_path", "path", "pattern", "command", "query", "url")  # what a tool works on


class Progress:
    """Takes Claude's events as they come."""

    def __init__(
        self, log: Log, clock: Callable[[], float], show: Callable[[str], object], link: str
    ) -> None:
        """Take what edits the reply, `show`; it is called at most every `reply.EVERY` seconds."""
        self._log, self._clock, self._show, self._link = log, clock, show, link
        self._shown = clock()
        self._todos: list[Mapping[str, str]] = []
        self._new = False
        self._commands = Commands()
        self.models: tuple[str, ...] = ()
        self.version = self.session = ""

    def event(self, event: Mapping[str, Any]) -> None:
        """Note one event of Claude Code's `stream-json`."""
        self._client(event)
        for block in _blocks(event):
            self._commands.block(block)
            if block.get("type") == "text" and event.get("type") == "assistant":
                self._log.line(str(block.get("text", "")))
            elif block.get("type") == "tool_use":
                self._tool(str(block.get("name")), block.get("input"))
            elif block.get("type") == "tool_result" and block.get("is_error"):
                said = self._log.masked(str(block.get("content")))
                self._log.line(f"  ✗ {said[:_LONGEST]}", step="  ✗")
        if self._new and self._clock() - self._shown >= reply.EVERY:
            self._shown, self._new = self._clock(), False
            self._show(reply.working(self._link, self._todos))

    @property
    def commands(self) -> dict[str, str]:
        """Return the commands that ran, in order, and how each last ended."""
        return {self._log.masked(each): end for each, end in self._commands.ended.items()}

    def _client(self, event: Mapping[str, Any]) -> None:
        """Note which Claude Code and conversation it is, and which models it says have answered."""
        if event.get("type") == "system" and event.get("subtype") == "init":
            self.version = _plain(event.get("claude_code_version"))
            self.session = _plain(event.get("session_id"))
            self.models = tuple(filter(None, [_plain(event.get("model"))]))
        used = event.get("modelUsage") if event.get("type") == "result" else None
        if isinstance(used, dict) and used:
            self.models = tuple(filter(None, map(_plain, used)))[:_MOST_MODELS]

    def _tool(self, name: str, details: object) -> None:
        details = details if isinstance(details, dict) else {}
        if name == "TodoWrite":
            self._todos, self._new = self._masked(details.get("todos")), True
        about = next((str(details[key]) for key in _TELLING if details.get(key)), "")
        step = f"→ {name if name in _STEPS else messages.ANOTHER_TOOL}"
        self._log.line(f"→ {name} {self._log.masked(about)[:_LONGEST]}".rstrip(), step=step)

    def _masked(self, listed: object) -> list[Mapping[str, str]]:
        return [
            {name: self._log.masked(str(each.get(name, ""))) for name in ("content", "status")}
            for each in (listed if isinstance(listed, list) else [])
            if isinstance(each, dict)
        ]


def spent(said: object) -> float | None:
    """Return the US dollars that Claude Code says it has spent, None for what is no such amount."""
    if isinstance(said, bool) or not isinstance(said, (int, float)):
        return None
    return float(said) if 0 <= said < _MOST_SPENT else None


def _plain(value: object) -> str:
    """Return a version or a model's id, or "" for what has not the form of one."""
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""


def _blocks(event: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    message = event.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):
        yield from (block for block in content if isinstance(block, dict))
