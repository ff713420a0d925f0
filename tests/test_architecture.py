"""How the house is built: which way imports run, what each file is, and where its tests stand."""

import ast
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path

from tests import ROOT

# What the core would need to wait, to reach out, or to know where it runs.
OUTSIDE = {"asyncio", "http", "logging", "os", "pathlib", "socket", "subprocess", "threading"}
OUTSIDE |= {"time"}
NEW_SINCE_3_9 = {"tomllib"}  # of the standard library

CORE, FUNCTIONS, CLI, JOB, DEPLOY = (
    sorted((ROOT / folder).rglob("*.py"))
    for folder in ("shared", "functions", "cli", "job", "deploy")
)
CONTRACT = [path for path in CORE if path.parent.name == "contract"]
LONGEST = 40  # lines of a function of the core, its decorators and docstring counted

# Modules whose tests stand elsewhere.
_BY_MASK = "seen through shared.markdown.visible, which has the tests"
TESTED_ELSEWHERE = {
    "shared/markdown/blocks.py": _BY_MASK,
    "shared/markdown/inlines.py": _BY_MASK,
    "shared/markdown/syntax.py": _BY_MASK,
    "shared/markdown/front_matter.py": _BY_MASK,
    "shared/markdown/tables.py": _BY_MASK,
    "shared/markdown/reader.py": "seen through shared.markdown.sanitize, which has the tests",
    "shared/markdown/rendered.py": "seen through shared.markdown.sanitize, which has the tests",
    "shared/incoming/opening.py": "seen through shared.incoming.mention, which has the tests",
    "functions/gitlab/__init__.py": "it only puts the groups together, each of which has tests",
    "job/step.py": "with the real client, in tests/templates/test_journeys.py and test_failures.py",
    "job/commits.py": "with the work tree whose changes it takes, in tests/job/test_workspace.py",
    "job/publish.py": "with the branch that is published, in tests/job/test_branch.py",
    "job/folders.py": "made and cleared by job.artifacts, which has the tests",
    "job/identity.py": "with real users and the real client, in tests/templates/test_identity.py",
    "job/confine.py": "with real users and the real client, in tests/templates/test_identity.py",
    "job/closing.py": "with what else acts, in tests/job/test_harmless.py",
    "job/exchange.py": "seen through job.signin, which has the tests",
    "cli/__main__.py": "every test of the program comes through it",
    "cli/api.py": "seen through cli.setup and cli.doctor, which have the tests",
    "cli/checks.py": "seen through cli.doctor, which has the tests",
    "cli/connection.py": "seen through cli.setup, which has the tests",
    "cli/installation.py": "seen through cli.setup, which has the tests",
    "cli/platforms.py": "every test of the program comes through it",
    "cli/proof.py": "seen through cli.setup, which has the tests",
    "deploy/check.py": "run as the build runs it, in tests/deploy/test_cloudbuild.py",
}
# Tests of no one module.
OF_SEVERAL = {
    "shared/test_examples.py": "the examples in all docstrings",
    "cli/test_journeys.py": "the README's commands, on every platform and edition of GitLab",
    "functions/test_bound_tokens.py": "one hook against the other projects, on the local platform",
    "functions/test_events.py": "the events of the field, on every platform",
    "functions/test_calls.py": "what one mention costs GitLab, on the local platform",
    "functions/test_large.py": "projects of GitLab's largest size",
    "functions/test_platforms.py": "what platforms promise alike",
    "functions/test_ports.py": "the adapters of all platforms against the ports",
    "functions/test_reports.py": "reports about other triggers, through the core and the adapter",
    "functions/test_rates.py": "how often GitLab is called",
}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def of(*files: list[Path]) -> Callable[[Callable[[Path], None]], Callable[[], None]]:
    """Let a test that looks at one file look at all of these, and name each that fails."""

    def made(test: Callable[[Path], None]) -> Callable[[], None]:
        def over_all() -> None:
            told = []
            for path in chain(*files):
                try:
                    test(path)
                except AssertionError as error:
                    told.append(f"{name(path)}: {error}")
            assert not told, "\n".join(told)

        over_all.__doc__ = test.__doc__
        return over_all

    return made


@cache
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def imports(path: Path) -> Iterator[str]:
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in nodes(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def behaves(path: Path) -> bool:
    """Tell whether a module does anything: values, constants and protocols have no tests."""
    bodies = (statement for function in functions(path) for statement in function.body)
    return not all(
        isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) for each in bodies
    )


# Imports: what import-linter does not see. The layers stand in pyproject.toml.


@of(CORE)
def test_the_core_imports_the_standard_library_and_itself(path: Path) -> None:
    roots = {each.partition(".")[0] for each in imports(path)}
    assert roots <= sys.stdlib_module_names | {"shared"}
    assert not roots & OUTSIDE


@of(CONTRACT)
def test_the_contract_needs_python_3_9_and_its_standard_library_only(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 9))
    others = {each for each in imports(path) if not each.startswith("shared.contract")}
    roots = {each.partition(".")[0] for each in others}
    assert roots <= sys.stdlib_module_names - NEW_SINCE_3_9


# Files.


@of(CORE, FUNCTIONS, CLI, JOB, DEPLOY)
def test_a_file_opens_with_what_it_is_for(path: Path) -> None:
    module = nodes(path)[0]
    assert isinstance(module, ast.Module)
    assert ast.get_docstring(module)


@of(CORE, CLI)
def test_no_function_is_longer_than_a_reader_can_hold(path: Path) -> None:
    lines = []
    for each in functions(path):
        first = min([each.lineno, *(decorator.lineno for decorator in each.decorator_list)])
        lines.append((each.name, (each.end_lineno or first) - first + 1))
    assert [(each, count) for each, count in lines if count > LONGEST] == []


@of(CORE)
def test_no_pattern_has_a_possessive_group(path: Path) -> None:
    # Python before 3.11.5 matches them wrongly (gh-106052); Debian 12 has 3.11.2. Atomic groups are
    # right everywhere.
    assert not re.search(r"\)(?:[*+?]|\{+[0-9,]+\}+)\+", path.read_text())


# Tests.


@of(CORE, FUNCTIONS, CLI, JOB, DEPLOY)
def test_a_module_has_its_tests_where_one_looks_for_them(path: Path) -> None:
    mirrored = ROOT / "tests" / path.relative_to(ROOT).with_name(f"test_{path.stem}.py")
    elsewhere = name(path) in TESTED_ELSEWHERE
    assert not behaves(path) or mirrored.is_file() != elsewhere, mirrored


@of([
    path
    for folder in ("shared", "functions", "cli", "job")
    for path in sorted((ROOT / "tests" / folder).rglob("test_*.py"))
])  # fmt: skip
def test_a_test_file_is_named_after_its_module(path: Path) -> None:
    module = path.relative_to(ROOT / "tests").with_name(path.name.removeprefix("test_"))
    named = str(path.relative_to(ROOT / "tests")) in OF_SEVERAL
    assert (ROOT / module).is_file() != named, module


def test_no_exception_outlives_its_file() -> None:
    assert [each for each in TESTED_ELSEWHERE if not (ROOT / each).is_file()] == []
    assert [each for each in OF_SEVERAL if not (ROOT / "tests" / each).is_file()] == []
