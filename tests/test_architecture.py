"""Imports run one way: functions to shared; inside shared from use cases to rules; and the core knows no library."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

USE_CASES = {"receive", "dispatch", "sweep", "track", "thread_commands"}
CORE = sorted((ROOT / "shared").rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_core_imports_the_standard_library_and_itself(path: Path) -> None:
    roots = {name.partition(".")[0] for name in imports(path)}
    assert roots <= sys.stdlib_module_names | {"shared"}
    assert not roots & {
        "asyncio",
        "http",
        "logging",
        "os",
        "pathlib",
        "socket",
        "subprocess",
        "threading",
        "time",
    }


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_rule_imports_a_use_case(path: Path) -> None:
    names = {name.split(".")[1] for name in imports(path) if name.startswith("shared.")}
    assert not names & USE_CASES or path.parent.name == "shared"


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_pattern_has_a_possessive_group(path: Path) -> None:
    # Python before 3.11.5 matches them wrongly (gh-106052); Debian 12 has 3.11.2. Atomic groups are right everywhere.
    assert not re.search(r"\)(?:[*+?]|\{+[0-9,]+\}+)\+", path.read_text())


@pytest.mark.parametrize("platform", ["aws", "gcp", "local"])
def test_no_platform_imports_another(platform: str) -> None:
    for path in (ROOT / "functions" / platform).glob("*.py"):
        others = {f"functions.{name}" for name in ("aws", "gcp", "local") if name != platform}
        assert not {name for name in imports(path) if name.startswith(tuple(others))}
        assert not {
            name for name in imports(path) if name.partition(".")[0] in ("tests", "job", "cli")
        }


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "functions").rglob("*.py")) + CORE,
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_file_opens_with_what_it_is_for_and_stays_readable(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))
    assert len(path.read_text().splitlines()) <= 320
