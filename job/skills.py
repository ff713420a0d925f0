"""Skills of the team for Claude: a folder of the default branch, copied where it reads its own.

What a branch holds in `.claude/skills` stays unread: https://code.claude.com/docs/en/skills
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from job import prompt
from job.failures import Failure, Reason
from job.git import GitError
from job.inputs import TOOLS, tool_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from job.git import Git
    from job.inputs import Inputs
    from job.workspace import Workspace

# Claude's own tool for them.
TOOL = "Skill"
# None may start commands that nobody named: as it is read, or by hooks.
SETTINGS = (
    '{"disableAllHooks": true, "disableBundledSkills": true, "disableSkillShellExecution": true}'
)

_MOST, _LARGEST = 500, 5_000_000  # files, and bytes of all
_LONGEST = 1_000  # characters of a description
_LISTED = re.compile(rb"(100644|100755) blob ([0-9a-f]+) +([0-9]+)\t([^\0]+)\0")
_SKILL = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)/SKILL\.md")
# What of YAML's front matter is read: keys in the first column, and what goes on below them.
_KEY = r"[\"']?[A-Za-z-]+[\"']?:(?:[ \t].*)?"
_PLAIN = re.compile(rf"(?:{_KEY}(?:\n(?:{_KEY}|[ \t].*|#.*|- .*)?)*\n?)?")
_FRONT = re.compile(r"\A---[ \t]*\n(.*?)^---[ \t]*$", re.MULTILINE | re.DOTALL)
_ALLOWED = re.compile(r"^[\"']?allowed-tools[\"']?[ \t]*:(.*(?:\n(?:[ \t-].*)?)*)", re.MULTILINE)
_DESCRIPTION = re.compile(r"^description[ \t]*:[ \t>|-]*(.*(?:\n[ \t]+.*)*)", re.MULTILINE)

_NO_FOLDER = "expected a folder of the default branch with <skill>/SKILL.md in it"
_NOT_PLAIN = (
    "`{skill}`: expected <skill>/SKILL.md that begins with ---, plain lines `key: value`, ---"
)
_TOO_LARGE = f"its files are more than {_MOST}, or than {_LARGEST // 1_000_000} MB"
_NOT_ALLOWED = "`{skill}` asks for {tools}, which the input allowed_tools does not name"


class _File(NamedTuple):
    path: str
    executable: bool
    blob: str


def given(home: Path, system: Path, workspace: Workspace, inputs: Inputs) -> tuple[str, ...]:
    """Lay the skills of the input where Claude Code reads its own, in `home`; return their names.

    The file `system` tells it of them. Raise Failure as `copy` does.
    """
    if not inputs.skills:
        return ()
    found = copy(workspace, inputs.skills, home / ".claude", inputs.allowed_tools)
    with system.open("a", encoding="utf-8", errors="replace") as file:
        file.write(prompt.of_skills(found))
    return tuple(found)


def copy(
    workspace: Workspace, folder: str, config: Path, allowed: Collection[str]
) -> dict[str, str]:
    """Copy a folder of the default branch to Claude Code's own skills, in `config`.

    Return the description of each by its name. Links and submodules are left out. Raise Failure if
    there is no skill, if they are too large, or if one asks for a tool that is neither everybody's
    nor `allowed`.
    """
    files = list(_listed(workspace.clone, f"{workspace.trusted}:{folder.strip('/')}"))
    told: dict[str, str] = {}
    for file in files:
        content = workspace.clone.run("cat-file", "blob", file.blob)
        skill = _SKILL.fullmatch(file.path)
        if skill:
            text = content.decode("utf-8", "replace").replace("\r\n", "\n")
            told[skill[1]] = _checked(file.path, text, allowed)
        elif file.path.rpartition("/")[2].lower() == "skill.md":  # unread here, maybe not there
            raise _wrong(_NOT_PLAIN.format(skill=file.path))
        path = config / "skills" / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if file.executable else 0o644)
    if not told:
        raise _wrong(_NO_FOLDER)
    return told


def _listed(clone: Git, tree: str) -> Iterator[_File]:
    try:
        told = clone.run("ls-tree", "-r", "-l", "-z", "--full-tree", tree)
    except GitError:
        raise _wrong(_NO_FOLDER) from None
    found = _LISTED.findall(told)
    if len(found) > _MOST or sum(int(size) for _, _, size, _ in found) > _LARGEST:
        raise _wrong(_TOO_LARGE)
    for mode, blob, _, path in found:
        if b".." not in path.split(b"/"):
            yield _File(path.decode("utf-8", "surrogateescape"), mode == b"100755", blob.decode())


def _checked(path: str, text: str, allowed: Collection[str]) -> str:
    """Return a skill's description; raise Failure if it allows what the include does not."""
    front = _FRONT.match(text)
    if (front and not _PLAIN.fullmatch(front[1])) or (not front and "---" in text[:9]):
        raise _wrong(_NOT_PLAIN.format(skill=path))
    asks, told = (each.search(front[1] if front else "") for each in (_ALLOWED, _DESCRIPTION))
    named = tool_names(asks[1]) if asks else ()
    more = [name for name in named if name not in (*TOOLS, *allowed)]
    if more:
        raise _wrong(_NOT_ALLOWED.format(skill=path, tools=", ".join(more)))
    return " ".join(told[1].split())[:_LONGEST] if told else ""


def _wrong(expected: str) -> Failure:
    return Failure(Reason.INPUT_INVALID, name="skills", expected=expected)
