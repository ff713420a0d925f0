"""Show what Claude is doing: a line per step in the job's log, its to-do list on the reply; it stops nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from job import reply

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from job.log import Log

_LONGEST = 300
_TELLING = ("file_path", "path", "pattern", "command", "query", "url")


class Progress:
    """Takes Claude's events as they come."""

    def __init__(
        self, log: Log, clock: Callable[[], float], show: Callable[[str], object], link: str
    ) -> None:
        """`show` edits the reply; it is called at most every `reply.EVERY` seconds."""
        self._log, self._clock, self._show, self._link = log, clock, show, link
        self._shown = clock()
        self._todos: list[Mapping[str, str]] = []
        self._new = False

    def event(self, event: Mapping[str, Any]) -> None:
        """Note one event."""
        for block in _blocks(event):
            if block.get("type") == "text" and event.get("type") == "assistant":
                self._log.line(str(block.get("text", "")))
            elif block.get("type") == "tool_use":
                self._tool(str(block.get("name")), block.get("input"))
            elif block.get("type") == "tool_result" and block.get("is_error"):
                self._log.line(f"  ✗ {str(block.get('content'))[:_LONGEST]}")
        if self._new and self._clock() - self._shown >= reply.EVERY:
            self._shown, self._new = self._clock(), False
            self._show(reply.working(self._link, self._todos))

    def _tool(self, name: str, given: object) -> None:
        details = given if isinstance(given, dict) else {}
        if name == "TodoWrite":
            todos = details.get("todos")
            self._todos = (
                [_todo(each) for each in todos if isinstance(each, dict)]
                if isinstance(todos, list)
                else []
            )
            self._new = True
        about = next((str(details[key]) for key in _TELLING if details.get(key)), "")
        self._log.line(f"→ {name} {about[:_LONGEST]}".rstrip())


def _todo(given: Mapping[str, object]) -> Mapping[str, str]:
    return {"content": str(given.get("content", "")), "status": str(given.get("status", "pending"))}


def _blocks(event: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    message = event.get("message")
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, list):
        yield from (block for block in content if isinstance(block, dict))
