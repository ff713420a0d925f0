"""Write the program into templates/claude.yml, the one file consumers get; `--check` compares.

The program is job/ and what it imports of shared/.
"""
# ruff: noqa: INP001  (a script, not a package)

import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
COMPONENT = ROOT / "templates" / "claude.yml"
SOURCES = ("job/*.py", "shared/__init__.py", "shared/contract/*.py")
BEGIN = "# The program, written by templates/generate.py from job/ and shared/contract/: begin"
END = "# The program: end"
_LAST = "END_OF_FILE"


def sources() -> list[Path]:
    """Return the program's files, relative to the root of the repository."""
    found = (path for pattern in SOURCES for path in sorted(ROOT.glob(pattern)))
    return [path.relative_to(ROOT) for path in found]


def embedded(path: Path) -> str:
    """Return the shell lines that write one file below `$program`; raise ValueError if none can."""
    text = (ROOT / path).read_text(encoding="utf-8")
    if _LAST in text or "$[[" in text or "\t" in text:
        message = f"{path} holds {_LAST}, $[[ or a tab, none of which can stand in the component"
        raise ValueError(message)
    return f"cat > \"$program/{path.as_posix()}\" <<'{_LAST}'\n{text}{_LAST}\n"


def program() -> str:
    """Return the shell lines that write the program into the folder `$program`."""
    paths = sources()
    folders = dict.fromkeys(path.parent.as_posix() for path in paths)
    made = " ".join(f'"$program/{folder}"' for folder in folders)
    return f"mkdir -p {made}\n" + "".join(embedded(path) for path in paths)


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
