"""The lines of docs/running-tests.md: the real Claude Code runs each, and says how it ended."""

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from job.claude import Claude, Run, arguments, variables
from job.inputs import Inputs, parse
from job.job_log import Log
from job.progress import Progress
from tests import ROOT
from tests.support.job import tooling
from tests.support.job.model import Model, say, use

pytestmark = pytest.mark.skipif(bool(tooling.missing()), reason=tooling.missing())

PAGE = (ROOT / "docs" / "running-tests.md").read_text()
TABLE = PAGE.partition("<!-- recipes: begin -->")[2].partition("<!-- recipes: end -->")[0]
ROWS = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in TABLE.splitlines()[3:]]
TOOLS, NAMES = (", ".join(filter(None, (row[at] for row in ROWS))) for at in (2, 3))
PROJECT = {
    "package.json": '{"scripts": {"test": "node -e 0", "lint": "exit 3"}}',
    "test_it.py": (
        "import unittest\nclass It(unittest.TestCase):\n    def test(self):\n        pass\n"
    ),
    "Cargo.toml": '[package]\nname = "it"\nversion = "0.1.0"\nedition = "2021"\n',
    "src/lib.rs": "#[test]\nfn it() {}\n",
    "Makefile": "all:\n\ttrue\ntest:\n\ttrue\n",
    "CMakeLists.txt": (
        "cmake_minimum_required(VERSION 3.10)\nproject(it NONE)\nenable_testing()\n"
        "add_test(NAME it COMMAND true)\n"
    ),
}
# Commands that run the project above where their tool is there, and how they end.
RUN = {
    "npm test": "✔",
    "npm run lint": "exit 3",
    "python3 -m pytest": "✔",
    "python3 -m unittest": "✔",
    "cargo test": "✔",
    "make": "✔",
    "make test": "✔",
    "cmake -B build": "✔",
    "ctest --test-dir build": "✔",
}


def commands() -> list[str]:
    return [command.removesuffix(" *") for command in re.findall(r"Bash\(([^()]*)\)", TOOLS)]


def ran(
    folder: Path,
    asked: Sequence[str],
    environment: Mapping[str, str],
    *,
    allowed: str = TOOLS,
    names: str = NAMES,
) -> dict[str, str]:
    """Let Claude run these commands with the recipes' inputs; return what the reply would tell."""
    inputs: Inputs = parse(f"allowed_tools={allowed}\nenvironment={names}\n")
    turn = [use("Bash", command=command, description="d") for command in asked]
    with Model([turn, [say("Done.")]]) as model:
        home, work = folder / "home", folder / "work"
        (folder / "system").write_text("")
        for made in (home, work, folder / "extra"):
            made.mkdir(exist_ok=True)
        signed = {"ANTHROPIC_API_KEY": "k", "ANTHROPIC_BASE_URL": model.url}
        run = Run(
            str(tooling.tools().claude), work, home, folder / "extra", folder / "system",
            "test it", signed, 120.0,
        )  # fmt: skip
        progress = Progress(Log(lambda _: None, lambda: 0.0), lambda: 0.0, lambda _: None, "j")
        with (folder / "stderr").open("wb") as stderr:
            result = Claude().run(
                arguments(run, inputs),
                variables(run, inputs, environment),
                run, inputs, progress.event, lambda _: None, stderr,
            )  # fmt: skip
    assert (result.failure, dict(result.denied)) == (None, {})
    return progress.commands


def test_no_command_of_the_page_is_denied(tmp_path: Path) -> None:
    shell = tmp_path / "bin"
    shell.mkdir()
    for name in ("bash", "sh", "env", "cat", "pwd"):
        (shell / name).symlink_to(str(shutil.which(name)))
    told = ran(tmp_path, commands(), {"PATH": str(shell)})
    assert set(told) == set(commands())
    assert set(told.values()) == {"exit 127"}  # none of the tools is there


def test_where_the_tool_is_the_tests_run(tmp_path: Path) -> None:
    for name, text in PROJECT.items():
        (tmp_path / "work" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "work" / name).write_text(text)
    path = f"{tooling.tools().path}:{os.environ['PATH']}"
    tools = {"pytest": "python3", "unittest": "python3"}
    asked = [
        each
        for each in RUN
        if shutil.which(tools.get(each.split()[-1], each.split()[0]), path=path)
    ]
    homes = {
        name: os.environ.get(name) or str(Path.home() / folder)
        for name, folder in (("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup"))
    }
    told = ran(tmp_path, asked, {"PATH": path, **homes})
    assert told == {each: RUN[each] for each in asked}, json.dumps(told)


def test_the_page_s_variables_are_the_time_that_a_command_has(tmp_path: Path) -> None:
    (names,) = re.findall(r'environment: "(BASH.*)"', PAGE)
    (given,) = re.findall(r"variables: \{(BASH.*)\}", PAGE)
    limits = {each.partition(":")[0]: "500" for each in given.split(", ")}
    assert {f"{name}:plain" for name in limits} == set(names.split(", "))
    environment = {"PATH": f"{tooling.tools().path}:{os.environ['PATH']}", **limits}
    told = ran(tmp_path, ["sleep 9"], environment, allowed="Bash(sleep *)", names=names)
    assert told == {"sleep 9": "exit 143"}


def test_each_line_is_an_input_that_the_job_takes() -> None:
    assert len(ROWS) >= 10
    for _, image, allowed, names in ROWS:
        read = parse(f"allowed_tools={allowed}\nenvironment={names}\n")
        assert read.allowed_tools
        assert image
