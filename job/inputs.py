"""The component's inputs as the program uses them, checked once."""

from __future__ import annotations

import re
from typing import Callable, NamedTuple

from job.failures import Failure, Reason
from shared.contract.ai_flow import LANGUAGES

PROVIDERS = ("anthropic", "anthropic-oidc", "anthropic-aws", "bedrock", "vertex", "foundry")

# What Claude may use without asking. Bash is not among them: it sees every variable it is given.
TOOLS = ("Read", "Edit", "Write", "Glob", "Grep", "TodoWrite")
READING = ("Read", "Glob", "Grep")  # all there is where a fork's merge request is read


class Plain(str):
    """The name of a variable in the input `environment` whose value is no secret."""

    __slots__ = ()


class Inputs(NamedTuple):
    """The inputs; an empty text stands for `not given`."""

    provider: str = "anthropic"
    region: str = ""
    model: str = ""
    fallback_model: str = ""
    claude_version: str = ""
    prompt_file: str = ""
    max_turns: int = 40
    max_budget_usd: float = 5.0
    timeout_minutes: float = 30.0
    allowed_tools: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    mcp: str = "none"
    mcp_config: str = ""
    mcp_variables: tuple[str, ...] = ()
    skills: str = ""
    branch_prefix: str = "claude/"
    branch_moved: str = "stop"
    repair_tries: int = 3
    confidential_changes: str = "patch"
    draft: bool = True
    labels: str = ""
    resume: bool = False
    unprotected_commands: bool = False
    reply_author: str = ""
    language: str = ""
    token_variable: str = "GITLAB_ACCESS_TOKEN"  # noqa: S105  a name
    signing_key_variable: str = ""
    git_note: bool = False
    prompt: str = ""

    @property
    def guided(self) -> bool:
        """Whether they say what to do where nobody asks for anything."""
        return bool(self.prompt or (self.prompt_file and "*" not in self.prompt_file))


class _Check(NamedTuple):
    pattern: str
    expected: str


_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_PATH = r"(?![-/])[^\0:]*"
_PREFIX = r"[A-Za-z0-9][A-Za-z0-9._/-]*"
_CHECKS = {
    "provider": _Check("|".join(PROVIDERS), "one of " + ", ".join(PROVIDERS)),
    "region": _Check(r"[a-z0-9-]*", "a region such as eu-central-1"),
    "model": _Check(r"(?!-)[A-Za-z0-9@._:/\[\]-]*", "a full model id"),
    "fallback_model": _Check(
        r"(?:(?!-)[A-Za-z0-9@._:/\[\]-]+(?:,(?!$)|$))*", "full model ids such as A,B"
    ),
    "claude_version": _Check(r"([0-9]+\.[0-9]+\.[0-9]+)?", "a version such as 2.1.332"),
    "prompt_file": _Check(_PATH, "a path in the repository"),
    "max_turns": _Check(r"[1-9][0-9]{0,3}", "a whole number from 1 to 9999"),
    "max_budget_usd": _Check(r"[0-9]+(\.[0-9]+)?", "an amount in US dollars such as 5 or 0.5"),
    "timeout_minutes": _Check(r"[0-9]+(\.[0-9]+)?", "a number of minutes"),
    "mcp": _Check("none|gitlab", "none or gitlab"),
    "mcp_config": _Check(_PATH, "a path in the repository"),
    "mcp_variables": _Check(rf"(?:{_NAME}(?:[, ]+|$))*", "names of CI/CD variables, such as A, B"),
    "skills": _Check(_PATH, "a path in the repository"),
    "branch_prefix": _Check(_PREFIX, "the beginning of a branch name such as claude/"),
    "branch_moved": _Check("stop|continue", "stop or continue"),
    "repair_tries": _Check(r"[0-9]{1,3}", "a whole number from 0 to 999"),
    "confidential_changes": _Check("patch|push", "patch or push"),
    "draft": _Check("true|false", "true or false"),
    "resume": _Check("true|false", "true or false"),
    "environment": _Check(
        rf"(?:{_NAME}(?::plain)?(?:[, ]+|$))*", "names of CI/CD variables, such as A, B:plain"
    ),
    "unprotected_commands": _Check("true|false", "true or false"),
    "language": _Check("|".join(LANGUAGES), "one of " + ", ".join(LANGUAGES)),
    "token_variable": _Check(_NAME, "the name of a CI/CD variable"),
    "signing_key_variable": _Check(_NAME, "the name of a CI/CD variable"),
    "git_note": _Check("true|false", "true or false"),
}
_UNKNOWN = "no such input"
_TOOLS_EXPECTED = "expected tools such as Bash(npm test)"
_PLAIN_BASH = (
    "Bash without a command would let anything run; name the command, as in Bash(npm test)"
)
# A tool, or a tool with a rule in parentheses that may hold commas and blanks: `Bash(npm test)`.
_TOOL = re.compile(r"[A-Za-z][A-Za-z0-9_*-]*(?:\([^()]*\))?")


def parse(text: str, prompt: str = "") -> Inputs:
    """Read `name=value` lines; raise Failure for the first that cannot be used."""
    lines = (line.partition("=") for line in text.splitlines() if line.strip())
    given = {name.strip(): value.strip() for name, _, value in lines}
    for name, value in given.items():
        if name not in Inputs._fields:
            raise Failure(Reason.INPUT_INVALID, name=name, expected=_UNKNOWN)
        check = _CHECKS.get(name)
        if check and value and not re.fullmatch(check.pattern, value):
            expected = f"expected {check.expected}"
            raise Failure(Reason.INPUT_INVALID, name=name, expected=expected)
    values = {name: _READERS.get(name, str)(value) for name, value in given.items() if value}
    return Inputs(**{**values, "prompt": prompt.strip()})  # type: ignore[arg-type]


def lowered(inputs: Inputs, turns: int, minutes: int, dollars: float = 0.0) -> Inputs:
    """Return the inputs with the limits a comment or the installation sets, if they are lower.

    0 sets none.
    """
    return inputs._replace(
        max_budget_usd=min(inputs.max_budget_usd, dollars or inputs.max_budget_usd),
        max_turns=min(inputs.max_turns, turns or inputs.max_turns),
        timeout_minutes=min(inputs.timeout_minutes, minutes or inputs.timeout_minutes),
    )


def tools(text: str) -> tuple[str, ...]:
    """Return the tools of a list with commas or blanks; raise Failure for any that is none.

    >>> tools("Bash(npm test), WebFetch(domain:a.b)")
    ('Bash(npm test)', 'WebFetch(domain:a.b)')
    """
    found = tool_names(text)
    if _TOOL.sub("", text).strip(", "):
        raise Failure(Reason.INPUT_INVALID, name="allowed_tools", expected=_TOOLS_EXPECTED)
    if any(tool in ("Bash", "Bash(*)", "Bash()", "Bash(:*)") for tool in found):
        raise Failure(Reason.INPUT_INVALID, name="allowed_tools", expected=_PLAIN_BASH)
    return found


def tool_names(text: str) -> tuple[str, ...]:
    """Return whatever is a tool's name in a text, with its rule."""
    return tuple(_TOOL.findall(text))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


def _variables(text: str) -> tuple[str, ...]:
    found = [name.partition(":") for name in _names(text)]
    return tuple(Plain(name) if mark else name for name, mark, _ in found)


def _flag(text: str) -> bool:
    return text == "true"


_READERS: dict[str, Callable[[str], object]] = {
    "max_turns": int,
    "repair_tries": int,
    "max_budget_usd": float,
    "timeout_minutes": float,
    "draft": _flag,
    "resume": _flag,
    "git_note": _flag,
    "unprotected_commands": _flag,
    "allowed_tools": tools,
    "environment": _variables,
    "mcp_variables": _names,
}
