"""Build what Claude is told: our frame, the team's guidance, and strangers' text as one JSON value; it does no I/O."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from job.outcome import Ending, Failure
from job.prompts import COMMANDS, CONTEXT_IN_FILE, FRAME
from shared.contract.ai_flow import MENTION, MERGE_REQUEST, REVIEW, command_of
from shared.contract.invisible import CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.request import Request

DIFF, CONTEXT = "merge-request.diff", "context.json"

_LARGEST_CONTEXT = (
    40_000  # characters that travel in the prompt; more is a file, read only where it is needed
)
_LARGEST_GUIDE = 60_000
# Claude Code shows a file by pages of whole lines, up to 25,000 tokens each, and its search leaves long lines out (seen
# with 2.1.330): a long text on one line might be neither shown nor found.
_LONGEST_LINE = 300
_PIECE = re.compile(rf"[^\n]{{0,{_LONGEST_LINE}}}(?:\s|\Z)|[^\n]{{1,{_LONGEST_LINE}}}")
_COMMAND = re.compile(r"\s*([a-z][a-z-]{1,30})\b")
# Claude Code reads a file that follows an @, and < could close a frame. The others cannot be seen.
_ESCAPED = re.compile(f"[@<>\u2028-\u202f{CHARACTERS}]")

File = Callable[[str], "str | None"]


class Prompt(NamedTuple):
    """The system prompt's addition, the first message, and files to lay beside the work tree."""

    system: str
    message: str
    files: Mapping[str, bytes]


def build(
    request: Request, *, project: str, prompt: str, prompt_file: str, file: File, diff: bytes
) -> Prompt:
    """Put the prompt together. `file` returns a file of the default branch, which is trusted, or None.

    The team's `prompt` comes first, then one text for the command: of `prompt_file`, of the installation or ours.
    """
    target = (
        f"{request.kind.replace('_', ' ')} {request.iid}"
        if request.kind
        else "a pipeline started by hand"
    )
    guide = file("CLAUDE.md") or ""
    system = FRAME.format(project=project, target=target)
    if guide:
        system += (
            f"\nThe project's CLAUDE.md, from its default branch:\n\n{guide[:_LARGEST_GUIDE]}\n"
        )
    parts = [part for part in (prompt, _task(request, prompt_file, file)) if part]
    files: dict[str, bytes] = {DIFF: diff} if diff else {}
    if diff:
        parts.append(
            f"The merge request's diff is in the file {DIFF} of the second working directory."
        )
    data: dict[str, Any] = {"request": request.input}
    shown = as_data(request.context)
    if len(shown) > _LARGEST_CONTEXT:
        files[CONTEXT] = as_data(_in_pieces(request.context)).encode()
        parts.append(CONTEXT_IN_FILE.format(file=CONTEXT))
    else:
        data["context"] = request.context
    return Prompt(system, "\n\n".join([*parts, "The request:", as_data(data)]) + "\n", files)


def as_data(value: object) -> str:
    """Return JSON that reads back as the value and in which Claude Code finds neither a file to read nor a command.

    Nothing is lost: what could act or hide is spelled as an escape.
    """
    return _ESCAPED.sub(_escape, json.dumps(value, ensure_ascii=False, indent=1))


def _escape(found: re.Match[str]) -> str:
    return json.dumps(found[0])[1:-1] if ord(found[0]) > 0x7E else f"\\u{ord(found[0]):04x}"  # noqa: PLR2004


def _in_pieces(value: object) -> object:
    """Return the value with every long text as a list of pieces, which joined are the text."""
    if isinstance(value, dict):
        return {name: _in_pieces(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_in_pieces(each) for each in value]
    if isinstance(value, str) and len(value) > _LONGEST_LINE:
        return [piece for piece in _PIECE.findall(value) if piece]
    return value


def _task(request: Request, prompt_file: str, file: File) -> str:
    """Return the words for the command: of a file, else of the installation, else ours."""
    word, command = _chosen(request)
    if "*" in prompt_file:
        names = dict.fromkeys(name for name in (word, command, "default") if name)
        found = (file(prompt_file.replace("*", name)) for name in names)
        if chosen := next((text for text in found if text), ""):
            return chosen
    elif prompt_file:
        text = file(prompt_file)
        if text is None:
            raise Failure(Ending.PROMPT_FILE_MISSING, name=prompt_file)
        return text
    if request.prompt:
        return request.prompt
    if command == REVIEW and request.kind != MERGE_REQUEST:
        return ""
    return COMMANDS.get(command, "")


def _chosen(request: Request) -> tuple[str, str]:
    """Return the word that may name a file of the team's, and the command.

    A comment chooses among files that exist, nothing else; what an event brings along is no comment.
    """
    begins = _COMMAND.match(request.input)
    first = begins[1] if begins and (request.command is None or request.event == MENTION) else ""
    command = first if request.command is None else request.command
    if command not in COMMANDS:
        command = command_of(request.event, request.kind)
    return request.command or first, command
