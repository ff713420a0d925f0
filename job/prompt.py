"""Build what Claude is told: our frame, the team's guidance, and strangers' text as one JSON value.

It does no I/O.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from job import guides, prompts
from job.failures import Failure, Reason
from job.prompts import COMMANDS
from shared.contract.ai_flow import EXPLAIN, MENTION, MERGE_REQUEST, REVIEW, command_of
from shared.contract.invisible import CHARACTERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from job.guides import File
    from job.request import Request
    from job.uploads import Images

DIFF, CONTEXT = "merge-request.diff", "context.json"

_LARGEST_CONTEXT = 40_000  # characters in the prompt; more is a file, read as far as it is needed
# Claude Code shows a file by pages of whole lines, up to 25,000 tokens each, and its search leaves
# long lines out (seen with 2.1.330): a long text on one line might be neither shown nor found.
_LONGEST_LINE = 300
_PIECE = re.compile(rf"[^\n]{{0,{_LONGEST_LINE}}}(?:\s|\Z)|[^\n]{{1,{_LONGEST_LINE}}}")
# In the languages of most who write to us; it matters only where there is a conflict.
_CONFLICT = re.compile(
    "conflict|conflit|conflitt|konflikt|rebase|конфликт|冲突|衝突|コンフリクト|충돌", re.IGNORECASE
)
_COMMAND = re.compile(r"\s*([a-z][a-z-]{1,30})\b")
# Claude Code reads a file that follows an @, and < could close a frame. The others cannot be seen.
_ESCAPED = re.compile(f"[@<>\u2028-\u202f{CHARACTERS}]")


class Prompt(NamedTuple):
    """The system prompt's addition, the first message, and files to lay beside the work tree."""

    system: str
    message: str
    files: Mapping[str, bytes]


class Fetched(NamedTuple):
    """The merge request's diff, None if unknown, images, and files to resolve a merge in.

    `pipeline` is what failed there, None where nobody asked; `repair`: that is all that was asked.
    """

    diff: bytes | None
    images: Images
    conflicts: Sequence[str] = ()
    pipeline: Mapping[str, Any] | None = None
    repair: bool = False


def build(
    request: Request,
    *,
    project: str,
    prompt: str,
    prompt_file: str,
    file: File,
    nested: Sequence[str],
    fetched: Fetched,
) -> Prompt:
    """Put the prompt together. `file` returns a file of the default branch, trusted, or None.

    `nested` are the CLAUDE.md files below its top, `fetched` is what else Claude gets.

    The team's `prompt` comes first, then one text for the command: of `prompt_file`, of the
    installation or ours. Raise Failure if a `prompt_file` without `*` is not there.
    """
    target = prompts.BY_HAND
    if request.kind:
        target = f"{request.kind.replace('_', ' ')} {request.iid}"
    system = prompts.FRAME.format(project=project, target=target)
    told = guides.gather(file, nested)
    system += told.text
    system += prompts.READ_ONLY if request.read_only else ""
    parts = [part for part in (prompt, _task(request, prompt_file, file)) if part]
    files = dict(told.files)
    diff, images, conflicts, pipeline, repair = fetched
    context = dict(request.context)
    if pipeline is not None:
        context["pipeline"] = pipeline
        parts += [prompts.PIPELINE, prompts.REPAIR] if repair else [prompts.PIPELINE]
    if diff:
        files[DIFF] = diff
        parts.append(prompts.DIFF_IN_FILE.format(file=DIFF))
    elif request.kind == MERGE_REQUEST:
        parts.append(prompts.NO_DIFF if diff is None else prompts.EMPTY_DIFF)
    data: dict[str, Any] = {"request": request.input}
    if images.names:
        files.update(images.files)
        parts.append(prompts.IMAGES)
        data["images"] = images.names
    if conflicts:
        parts.append(prompts.CONFLICTS)
        data["conflicts"] = conflicts
    if images.unread:
        parts.append(prompts.UNREAD_FILES)
        data["unread_files"] = images.unread
    if len(as_data(context)) > _LARGEST_CONTEXT:
        files[CONTEXT] = as_data(_in_pieces(context)).encode()
        parts.append(prompts.CONTEXT_IN_FILE.format(file=CONTEXT))
    else:
        data["context"] = context
    parts += [prompts.REQUEST_FOLLOWS, as_data(data)]
    return Prompt(system, "\n\n".join(parts) + "\n", files)


def of_skills(found: Mapping[str, str]) -> str:
    """Return what the system prompt says of the team's skills, each with its description."""
    lines = (f"- {name}: {description}" for name, description in found.items())
    return prompts.SKILLS.format(skills="\n".join(lines))


def command(request: Request) -> str:
    """Return the command of a request, of the sender's or ours; "" where it has none."""
    return _chosen(request)[1]


def reads_only(request: Request) -> bool:
    """Tell whether a request's command changes nothing."""
    return command(request) in (REVIEW, EXPLAIN)


def asks_to_merge(request: Request) -> bool:
    """Tell whether a request speaks of conflicts with the target branch, and may change files."""
    return bool(_CONFLICT.search(request.input)) and not reads_only(request)


def as_data(value: object) -> str:
    r"""Return JSON that reads back as the value and in which nothing acts or hides.

    Claude Code finds neither a file to read nor a command in it: what could be one, and what no
    reader sees, is spelled as an escape.

    >>> print(as_data(["@README.md"]))
    [
     "\u0040README.md"
    ]
    """
    return _ESCAPED.sub(_escape, json.dumps(value, ensure_ascii=False, indent=1))


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    return f"\\u{ord(char):04x}" if char in "@<>" else json.dumps(char)[1:-1]


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
    word, chosen = _chosen(request)
    if "*" in prompt_file:
        for name in dict.fromkeys([word, chosen, "default"]):
            text = file(prompt_file.replace("*", name)) if name else None
            if text:
                return text
    elif prompt_file:
        text = file(prompt_file)
        if text is None:
            raise Failure(Reason.PROMPT_FILE_MISSING, name=prompt_file)
        return text
    if request.prompt:
        return request.prompt
    if chosen == REVIEW and request.kind != MERGE_REQUEST:
        return ""
    return COMMANDS.get(chosen, "")


def _chosen(request: Request) -> tuple[str, str]:
    """Return the word that may name a file of the team's, and the command.

    Only a comment's first word can choose, and only among files that exist; the text that stands in
    for one after another event cannot.
    """
    begins = _COMMAND.match(request.input)
    may_choose = request.command is None or request.event == MENTION
    first = begins[1] if begins and may_choose else ""
    chosen = first if request.command is None else request.command
    if chosen not in COMMANDS:
        chosen = command_of(request.event, request.kind)
    return request.command or first, chosen
