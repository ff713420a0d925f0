"""Runs a module's tests against its mutants: `python -m tests.proofs.security.mutation MODULE`.

Nothing of ours is imported before a mutant stands in its place: each runs in a fork of a process
that has pytest and hypothesis at hand, so that it costs little more than its tests.
"""

import importlib.abc
import importlib.util
import json
import os
import signal
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, NamedTuple

import pytest
from hypothesis import Phase, settings

from tests import ROOT
from tests.proofs.security.mutants import Mutant, mutants

MOST = 50  # examples of hypothesis for a mutant
PATIENCE = 60.0  # seconds; a mutant that hangs is noticed
# Only the plugin that pyproject.toml asks for: to look for all of them takes longer than the tests.
# Failures are not shown.
OPTIONS = ("-x", "--timeout=20", "-ppytest_timeout", "--assert=plain")
_SLOW = (
    "test_no_text_expands_to_a_secret",
    "test_json_reads_back_to_the_letter",
    "test_a_long_value_is_cut_where_nothing_breaks",
)
_PAYLOAD = "shared/outgoing/test_payload.py"
_USED = tuple(f"shared/test_{each}.py" for each in ("dispatch", "start", "thread", "trigger"))
# What pytest is started with, one after the other until one of them notices; what takes long comes
# last.
TESTS: dict[str, tuple[tuple[str, ...], ...]] = {
    "contract.marks": (("shared/contract/test_marks.py",),),
    "incoming.delivery": (("shared/incoming/test_delivery.py",), ("shared/test_receive.py",)),
    "incoming.mention": (("shared/incoming/test_mention.py",),),
    "runs.access": (("shared/runs/test_access.py",),),
    "outgoing.payload": (
        (_PAYLOAD, *(f"--deselect=tests/{_PAYLOAD}::{test}" for test in _SLOW)),
        _USED,
        tuple(f"{_PAYLOAD}::{test}" for test in _SLOW),
    ),
    "outgoing.refusals": (("shared/outgoing/test_refusals.py",),),
    "outgoing.replies": (
        ("shared/outgoing/test_replies.py",),
        _USED,
    ),
}


class _Planted(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from given code and leaves all others alone."""

    def __init__(self, name: str, path: Path, code: CodeType) -> None:
        self._name, self._path, self._code = name, path, code

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None,  # noqa: ARG002
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> ModuleSpec | None:
        return (
            importlib.util.spec_from_file_location(name, self._path, loader=self)
            if name == self._name
            else None
        )

    def create_module(self, spec: ModuleSpec) -> None:  # noqa: ARG002
        return None

    def exec_module(self, module: ModuleType) -> None:
        exec(self._code, module.__dict__)  # noqa: S102  that is what an import does


class Seen(NamedTuple):
    """How many mutants of a module there are, and which lived."""

    module: str
    mutants: int
    survivors: tuple[str, ...]
    seconds: float


def _given(argument: str) -> str:
    return argument if argument.startswith("-") else f"tests/{argument}"


def _child(name: str, path: Path, code: CodeType, tests: Iterable[tuple[str, ...]]) -> int:
    """Run the tests in a fork; return its process id."""
    process = os.fork()
    if process:
        return process
    silence = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(silence, descriptor)
    status = 1
    try:
        sys.meta_path.insert(0, _Planted(name, path, code))
        # Most mutants do not live to see the second.
        status = next(
            (end for stage in tests if (end := int(pytest.main([*OPTIONS, *map(_given, stage)])))),
            0,
        )
    finally:
        os._exit(status)


def _outcomes(
    name: str, path: Path, some: Iterator[Mutant], tests: Iterable[tuple[str, ...]], processes: int
) -> Iterator[tuple[Mutant, bool]]:
    """Yield each mutant with whether the tests noticed it."""
    running: dict[int, tuple[Mutant, float]] = {}
    waiting: Mutant | None = next(some, None)
    while running or waiting:
        while waiting and len(running) < processes:
            running[_child(name, path, waiting.code, tests)] = waiting, time.monotonic()
            waiting = next(some, None)
        process, status = os.waitpid(-1, os.WNOHANG)
        if process in running:
            yield running.pop(process)[0], status != 0
        else:
            time.sleep(0.01)
        for late in [
            process
            for process, (_, began) in running.items()
            if time.monotonic() - began > PATIENCE
        ]:
            os.kill(late, signal.SIGKILL)


def run(module: str, *, every: int = 1, processes: int = 2) -> Seen:
    """Run every n-th mutant of a module; RuntimeError where the tests fail without one."""
    began, name = time.monotonic(), f"shared.{module}"
    path = ROOT.joinpath("shared", *module.split(".")).with_suffix(".py")
    tests = TESTS[module]
    sound = compile(path.read_text(), str(path), "exec")
    _, status = os.waitpid(_child(name, path, sound, tests), 0)
    if status:
        message = f"the tests of {name} fail without a mutant"
        raise RuntimeError(message)
    some = [mutant for number, mutant in enumerate(mutants(path)) if number % every == 0]
    lived = [
        mutant
        for mutant, killed in _outcomes(name, path, iter(some), tests, processes)
        if not killed
    ]
    lines = path.read_text().splitlines()
    survivors = tuple(
        f"{mutant} [{lines[mutant.line - 1].strip()}]"
        for mutant in sorted(lived, key=lambda each: each.line)
    )
    return Seen(module, len(some), survivors, time.monotonic() - began)


def main(names: list[str]) -> None:
    """Print what was seen as JSON, a module a line."""
    limited = settings.__init__

    def fewer(self: settings, parent: settings | None = None, **given: Any) -> None:
        limited(
            self,
            parent,
            **given
            | (
                {"max_examples": min(given["max_examples"], MOST)}
                if "max_examples" in given
                else {}
            ),
        )

    settings.__init__ = fewer  # type: ignore[method-assign]  # a mutant falls early or not at all
    quick = (Phase.explicit, Phase.generate)  # no shrinking: that a mutant fails is enough
    settings.register_profile(
        "mutants", database=None, derandomize=True, deadline=None, phases=quick
    )
    settings.load_profile("mutants")
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    every = int(os.environ.get("EVERY", "1"))
    for name in names or TESTS:
        print(json.dumps(run(name, every=every)._asdict()), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
