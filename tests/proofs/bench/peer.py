"""pr-agent's Lambda for GitLab beside our bundle, where PR_AGENT names a virtual environment of it.

That is one with `pip install "pr-agent[gitlab,lambda]" awslambdaric`; it takes Python 3.12.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.proofs.bench.lambdas import OURS, SMALL, Process, event, stage
from tests.proofs.bench.measure import memory, spent
from tests.proofs.rows import Row
from tests.support.fakes import SECRET_TOKEN

STARTS, WARM = 5, 30
_PEER = "pr_agent.servers.gitlab_lambda_webhook.lambda_handler"
# Neither token is ever sent: a comment in an issue makes it call nobody.
_SETTINGS = {
    "CONFIG__GIT_PROVIDER": "gitlab",
    "GITLAB__SHARED_SECRET": SECRET_TOKEN,
    "GITLAB__PERSONAL_ACCESS_TOKEN": "none",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # or it asks GitHub for one at import
}
_VERSION = "from importlib.metadata import version; print(version('pr-agent'))"


def run() -> Iterator[Row]:
    """Measure both in turn: a new process, then comments of 5 KB in an issue, without a mention."""
    if not os.environ.get("PR_AGENT"):
        return
    python = str(Path(os.environ["PR_AGENT"]).absolute() / "bin" / "python")
    found = subprocess.run([python, "-c", _VERSION], capture_output=True, text=True, check=True)
    name = f"pr-agent {found.stdout.strip()}"
    with stage() as (folder, _, by_token), TemporaryDirectory() as empty:
        seen = [
            (_measured(sys.executable, OURS, folder, by_token, "/"), _peer(python, Path(empty)))
            for _ in range(STARTS)
        ]
    for place, (test, bar, unit) in enumerate(
        (("init", 120, "ms"), ("reject, 5 KB", 100, "ms"), ("memory in use", 8, "MB"))
    ):
        pairs = [(theirs[place], ours[place]) for ours, theirs in seen]
        times = statistics.median(theirs / ours for theirs, ours in pairs)
        theirs, ours = map(statistics.median, zip(*pairs, strict=True))
        figures = f"{times:.1f} ({theirs:.2f} / {ours:.2f} {unit})"
        yield Row(f"{name}, {test} / ours", f"≥ {bar}", figures, times >= bar)


def _peer(python: str, folder: Path) -> tuple[float, float, float]:
    return _measured(python, _PEER, folder, _SETTINGS, "/webhook")


def _measured(
    python: str, handler: str, folder: Path, environment: dict[str, str], path: str
) -> tuple[float, float, float]:
    """Return the milliseconds of init and of a warm reject, and the MB held then."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", python)
        process = Process(folder, environment, handler)
    try:
        asked = event(SMALL, "token")
        asked["rawPath"] = asked["requestContext"]["http"]["path"] = path  # type: ignore[index]
        init = spent([process.pid])
        answer = process.function.invoke(asked)
        assert answer["statusCode"] == 200, answer
        return init, process.invocation(asked, WARM), memory(process.pid)
    finally:
        process.stop()
