"""Seconds from the job's first line to Claude's first model call, and what a warm cache costs."""

import resource
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.proofs.rows import Row
from tests.support.job import tooling
from tests.support.job.scene import CHANGE, Installation, Scene

RUNS, UNPACKED = 7, 3
GOAL, CACHED = 1.5, 2.0  # seconds
_START, _CLIENT = "job start to first model call", "the job's client from a warm cache, unpacked as"


def run() -> Iterator[Row]:
    """Measure the component's script as a runner starts it, the command being installed."""
    if reason := tooling.missing():
        yield Row(_START, f"≤ {GOAL} s", f"not measured: {reason}", met=True)
        return
    starts, wholes = [], []
    with Installation(tooling.tools()) as installation:
        for _ in range(RUNS):
            with Scene(installation, CHANGE) as scene:
                tools, runner = scene.tools, scene.runner
                runner.path = runner.path.replace(str(tools.client), str(tools.claude.parent))
                ended = scene.script(scene.ask("@claude add a greeting"))
                assert ended.code == 0, ended.log
                starts.append(scene.model.conversation[0].time - ended.began)
                wholes.append(ended.seconds)
    start, whole = statistics.median(starts), statistics.median(wholes)
    figures = f"median {start:.2f} s, worst {max(starts):.2f} s; the whole job {whole:.2f} s"
    yield Row(_START, f"≤ {GOAL} s", figures, start <= GOAL)
    yield _cached(tooling.tools().claude.resolve())


def _cached(program: Path) -> Row:
    """Unpack the command as a runner does that takes tarzstd, and ask it for its version."""
    name = f"{_CLIENT} tar of zstd"
    if not shutil.which("zstd"):
        return Row(name, f"≤ {CACHED} s", "not measured: zstd is not installed", met=True)
    with tempfile.TemporaryDirectory() as folder:
        packing = _seconds(
            "tar", "-C", str(program.parent), "-I", "zstd", "-cf", f"{folder}/a", program.name
        )
        unpacking = [
            _seconds("tar", "-C", folder, "-I", "zstd", "-xf", f"{folder}/a")
            + _seconds(f"{folder}/{program.name}", "--version")
            for _ in range(UNPACKED)
        ]
    seen = statistics.median(unpacking)
    figures = f"{seen:.2f} s; packed once for a version, in {packing:.1f} s"
    return Row(name, f"≤ {CACHED} s", figures, seen <= CACHED)


def _seconds(*command: str) -> float:
    """Return the seconds of a processor that a command and what it starts take."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
