"""Where the time of a new instance goes, step by step, and of a warm answer: why not less."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile

from tests import ROOT
from tests.proofs.bench.lambdas import OURS, SMALL, event, stage
from tests.proofs.rows import Row
from tests.support import fakes
from tests.support.platforms.aws_runtime import lambda_environment
from tests.support.platforms.gcp import INVOKER, QUEUE

RUNS, REPEATED = 7, 2_000
_AWS = {
    "Python and Lambda's client": "import awslambdaric.bootstrap",
    "`receive`": "import functions.aws.handlers as ours",
    "OpenSSL, for any signature": "import hmac",
    "HTTP and TLS (urllib3, http.client, email, ssl)": "import urllib3",
    "botocore's signer and what it imports": "import botocore.auth",
    "the secret read, the delivery answered": "ours.receive(event, None)",
}
_GOOGLE = {
    "Python and functions-framework": "import functions_framework",
    "`receive`": "import functions.gcp.handlers as ours",
    "the secret read": "ours.INSTALLATION._tokens.get()",
    "for a mention, google-auth and requests": "import google.auth.transport.requests",
    "for a mention, google-cloud-tasks": "import google.cloud.tasks_v2",
    "for a mention, its client, over REST": "from functions.gcp import adapters; adapters._tasks()",
}
_WARM = {
    "a signed delivery without a mention, 5 KB": "ours.receive(event, None)",
    "its signature": "mac = keyed.copy(); mac.update(body); mac.digest()",
    "the look at its bytes": "mention.may_occur(body, ours.INSTALLATION._settings.prefilter)",
    "json.loads of it, which that spares": "json.loads(body)",
}
# Tells what each statement of the list on standard input takes: milliseconds and MB.
_PROGRAM = """\
import json, sys, time
def held():
    return int(open("/proc/self/status").read().partition("VmRSS:")[2].split()[0]) / 1024
event, statements, warm, count = json.load(sys.stdin)
seen, spent, memory, scope = [], 0.0, 0.0, {"event": event}
for statement in statements:
    exec(statement, scope)
    now, holds = time.process_time() * 1000, held()
    seen.append((now - spent, holds - memory))
    spent, memory = now, holds
if warm:
    scope["body"] = event["body"].encode()
    exec("import hmac, json; from shared.incoming import mention", scope)
    exec("keyed = hmac.new(b'key', digestmod='sha256')", scope)
for statement in warm:
    loop = compile(f"for _ in range({count}): {statement}", "", "exec")
    exec(loop, scope)
    began = time.process_time()
    exec(loop, scope)
    seen.append(((time.process_time() - began) * 1000 / count, 0.0))
print(json.dumps(seen))
"""


def run() -> Iterator[Row]:
    """Measure every step; no step has a goal of its own."""
    with stage() as (folder, signed, _):
        environment = signed | lambda_environment(OURS)
        yield from _rows("Lambda", folder, environment, _AWS, _WARM)
    anywhere = "http://127.0.0.1:9"
    with NamedTemporaryFile("w") as secret:
        secret.write(fakes.WEBHOOK_SECRETS)
        secret.flush()
        environment = {
            "FUNCTION_TARGET": "receive",
            "QUEUE": QUEUE,
            "DISPATCH_URL": anywhere,
            "INVOKER_SERVICE_ACCOUNT": INVOKER,
            "WEBHOOK_SECRETS_FILE": secret.name,
            "CLOUD_TASKS_ENDPOINT": anywhere,
        }
        yield from _rows("Cloud Run", ROOT, environment, _GOOGLE, {})


def _rows(
    where: str,
    folder: Path,
    environment: Mapping[str, str],
    steps: Mapping[str, str],
    warm: Mapping[str, str],
) -> Iterator[Row]:
    asked = json.dumps([event(SMALL), [*steps.values()], [*warm.values()], REPEATED])
    seen = [_once(folder, environment, asked) for _ in range(RUNS)]
    for place, name in enumerate((*steps, *warm)):
        spent, held = (statistics.median(each[place][of] for each in seen) for of in (0, 1))
        if name in steps:
            yield Row(f"{where}: {name}", "", f"{spent:.1f} ms, {held:.1f} MB", met=True)
        else:
            yield Row(f"warm: {name}", "", f"{spent * 1000:.1f} µs", met=True)


def _once(folder: Path, environment: Mapping[str, str], asked: str) -> list[tuple[float, float]]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder), **environment},
        input=asked,
        capture_output=True,
        text=True,
        check=True,
    )
    told: list[tuple[float, float]] = json.loads(done.stdout.splitlines()[-1])
    return told
