"""`python -m tests.proofs.job_bench`: seconds until Claude's first model call.

They count from the job's first line, without the installation of the claude command.
"""

import statistics
import sys

from tests.support.job import tooling
from tests.support.job.scene import CHANGE, Installation, Scene

RUNS = 7
GOAL = 1.5  # seconds


def main() -> int:
    """Measure the component's script as a runner starts it; return 0 if the goal is kept."""
    if reason := tooling.missing():
        print(f"not measured: {reason}")
        return 0
    starts, wholes = [], []
    with Installation(tooling.tools()) as installation:
        for _ in range(RUNS):
            with Scene(installation, CHANGE) as scene:
                ended = scene.script(scene.ask("@claude add a greeting"))
                if ended.code:
                    print(ended.log)
                    return 1
                starts.append(scene.model.conversation[0].time - ended.began)
                wholes.append(ended.seconds)
    start, whole = statistics.median(starts), statistics.median(wholes)
    measured = f"median {start:.2f} s, worst {max(starts):.2f} s (goal {GOAL} s)"
    print(f"job start to first model call: {measured}")
    print(f"whole job, change to merge request and reply: median {whole:.2f} s")
    return int(start > GOAL)


if __name__ == "__main__":
    sys.exit(main())
