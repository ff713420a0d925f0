"""Write the program of job/ into templates/claude.yml, the one file consumers get; `--check` only compares."""
# ruff: noqa: INP001  (a script, not a package)

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMPONENT = ROOT / "templates" / "claude.yml"
BEGIN, END = (
    "# The program, written by templates/generate.py from job/: begin",
    "# The program: end",
)
_LAST = "END_OF_FILE"


def program() -> str:
    """Return the shell lines that write job/'s files into the folder `$program`."""
    parts = []
    for path in sorted((ROOT / "job").glob("*.py")):
        text = path.read_text(encoding="utf-8")
        if _LAST in text or "$[[" in text or "\t" in text:
            message = (
                f"{path} holds {_LAST}, $[[ or a tab, none of which can stand in the component"
            )
            raise ValueError(message)
        parts.append(f"cat > \"$program/job/{path.name}\" <<'{_LAST}'\n{text}{_LAST}\n")
    return "".join(parts)


def component(current: str) -> str:
    """Return the component with the program as it is now."""
    head, _, rest = current.partition(BEGIN)
    _, _, tail = rest.partition(END)
    indent = head.rpartition("\n")[2]
    lines = [f"{indent}{line}" if line else "" for line in program().splitlines()]
    return f"{head}{BEGIN}\n" + "\n".join(lines) + f"\n{indent}{END}{tail}"


def main(arguments: list[str]) -> int:
    """Write the component, or with `--check` tell whether it is up to date."""
    current = COMPONENT.read_text(encoding="utf-8")
    wanted = component(current)
    if "--check" in arguments:
        if current != wanted:
            sys.stderr.write("templates/claude.yml is out of date: run templates/generate.py\n")
        return int(current != wanted)
    COMPONENT.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
