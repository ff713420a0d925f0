"""`cloudbuild.yaml` and the bootstrap script as they run, with a `gcloud` that takes notes.

Where the real gcloud is installed, each noted command is held against its own tree of commands and
flags.
"""

import copy
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml  # type: ignore[import-untyped]

from tests import ROOT

PROJECT = {
    "PROJECT_ID": "my-project",
    "PROJECT_NUMBER": "123456789012",
    "BUILD_ID": "b",
    "LOCATION": "global",
}
_REFERENCE = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)\}|\$([A-Z_][A-Z0-9_]*)")

# Notes its words; a command that begins like one of the test's answers prints it, and what has none
# is not there to describe. A script calls it some 60 times: it starts no process but the shell.
_GCLOUD = r"""#!/bin/sh
command= missing=0
for word; do
  printf '%s\0' "$word" >>"$NOTES"
  case $word in -*) ;; *) command="$command $word" ;; esac
  if [ "$word" = describe ]; then missing=1; fi
done
printf '\036\0' >>"$NOTES"
case ${command# } in
{answers}
esac
exit $missing
"""


class Ran(NamedTuple):
    """What a script did: its exit status, what it printed, and each gcloud command."""

    status: int
    output: str
    commands: list[list[str]]

    def only(self, *words: str) -> list[str]:
        """Return the one command that begins so."""
        found = [command for command in self.commands if command[: len(words)] == list(words)]
        assert len(found) == 1, found
        return found[0]


def value(command: Sequence[str], flag: str) -> str:
    """Return what a command gives a flag."""
    return next(word.partition("=")[2] for word in command if word.startswith(f"{flag}="))


@cache
def _build() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "cloudbuild.yaml").read_text()))


def build() -> dict[str, Any]:
    """Return `cloudbuild.yaml`."""
    return copy.deepcopy(_build())


def references(text: str) -> set[str]:
    """Return the substitutions a text refers to."""
    return {found[1] or found[2] for found in _REFERENCE.finditer(text) if found[0] != "$$"}


def substituted(text: str, values: Mapping[str, str]) -> str:
    """Return the text as Cloud Build hands it to a step."""
    return _REFERENCE.sub(
        lambda found: "$" if found[0] == "$$" else values[found[1] or found[2]], text
    )


class Workspace:
    """A folder with the project's sources, and a path on which `gcloud` takes notes."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._notes = folder / "workspace", folder / "notes"
        folder.mkdir(exist_ok=True)
        for name in ("deploy", "functions", "shared"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, self.folder / name, ignore=ignored)
        self._bin = folder / "bin"
        self._bin.mkdir()
        self._install("python3", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')

    def _install(self, name: str, text: str) -> None:
        (self._bin / name).write_text(text)
        (self._bin / name).chmod(0o755)

    def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str] | None = None,
        answers: Mapping[str, str] | None = None,
        refused: str = "",
    ) -> Ran:
        """Run a command in the workspace; gcloud fails where a word of a command is `refused`."""
        answered = (
            f"  {shlex.quote(begin)}*) echo {shlex.quote(answer)}; exit 0 ;;"
            for begin, answer in (answers or {}).items()
        )
        policy = f'case " $* " in *{shlex.quote(refused)}*) exit 1 ;; esac\n' if refused else ""
        script = _GCLOUD.replace("{answers}", "\n".join(answered)).replace(
            "exit $m", policy + "exit $m"
        )
        self._install("gcloud", script)
        self._notes.write_text("")
        path = os.pathsep.join([str(self._bin), "/usr/bin", "/bin"])
        common = {
            "PATH": path,
            "HOME": str(self.folder),
            "NOTES": str(self._notes),
        }
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=common | dict(environment or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        noted = [each.split("\0")[:-1] for each in self._notes.read_text().split("\x1e\0")[:-1]]
        return Ran(done.returncode, done.stdout + done.stderr, noted)

    def step(
        self, step: Mapping[str, Any], chosen: Mapping[str, str], answers: Mapping[str, str]
    ) -> Ran:
        """Run a step of the build with these substitutions."""
        values = PROJECT | build()["substitutions"] | dict(chosen)
        words = [step["entrypoint"], *(substituted(word, values) for word in step["args"])]
        variables = dict(substituted(each, values).split("=", 1) for each in step.get("env", []))
        return self.run(words, variables, answers)

    def build(self, answers: Mapping[str, str], **chosen: str) -> Ran:
        """Run the whole build, as far as it goes."""
        commands: list[list[str]] = []
        output = ""
        for step in build()["steps"]:
            ran = self.step(step, chosen, answers)
            commands, output = commands + ran.commands, output + ran.output
            if ran.status:
                return Ran(ran.status, f"{output}\n[step {step['id']} failed]", commands)
        return Ran(0, output, commands)


_INSTALLED = shutil.which("gcloud")  # now: a test may put one of its own before it


@cache
def _tree() -> dict[str, Any] | None:
    path = (
        Path(_INSTALLED).resolve().parents[1] / "data" / "cli" / "gcloud_completions.py"
        if _INSTALLED
        else Path("/nowhere")
    )
    return dict(runpy.run_path(str(path))["STATIC_COMPLETION_CLI_TREE"]) if path.exists() else None


def complaints(command: Sequence[str]) -> list[str]:
    """Return what the real gcloud does not know about a command; skip if not installed."""
    tree = _tree()
    if tree is None:
        pytest.skip("gcloud is not installed here")
    node, words = tree, list(command)
    while words and words[0] in node.get("commands", {}):
        node = node["commands"][words.pop(0)]
    if node.get("commands"):
        return [f"no such command: {' '.join(command)}"]
    flags = {**tree.get("flags", {}), **node.get("flags", {})}
    given = [word.partition("=")[0] for word in words if word.startswith("--")]
    return [
        flag
        for flag in given
        if flag not in flags and f"--{flag.removeprefix('--no-')}" not in flags
    ]
