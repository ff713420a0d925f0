"""The bundle under Lambda's runtime client, beside an empty handler and one that loads all it has.

Each sample is a process of its own, the handlers in turn. Times are of its processor, as the
kernel counts them: what else the machine does is not in them.
"""

import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.proofs.rows import Row
from tests.support import fakes
from tests.support.deploy import bundles
from tests.support.platforms import aws_runtime
from tests.support.platforms.aws import _SERVICES, Aws
from tests.support.platforms.aws_events import url_event

SAMPLES, WARM = 7, 300
OURS, EMPTY, ALL = "functions.aws.handlers.receive", "empty.handler", "everything.handler"
_EMPTY = """\
def handler(event, context):
    return {"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": "ok"}
"""
# What a handler does that loads and makes all its clients at import, as the SDKs' examples do.
_EVERYTHING = """\
import base64, hashlib, hmac, json, os
import boto3, gitlab
from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.utilities import batch
SECRETS, QUEUE, TABLE = (boto3.client(each) for each in ("secretsmanager", "sqs", "dynamodb"))
LOGGER, METRICS = Logger(service="x"), Metrics(namespace="x", service="x")
SECRET = None
def handler(event, context):
    global SECRET
    if SECRET is None:
        document = SECRETS.get_secret_value(SecretId=os.environ["WEBHOOK_SECRETS_ID"])
        SECRET = json.loads(document["SecretString"])["signing_tokens"][0].removeprefix("whsec_")
    headers, body = event["headers"], event["body"].encode()
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = base64.b64encode(hmac.digest(base64.b64decode(SECRET), signed, hashlib.sha256))
    if not hmac.compare_digest(b"v1," + digest, headers["webhook-signature"].encode()):
        return {"statusCode": 401, "body": ""}
    return {"statusCode": 200, "body": str("@claude" in json.loads(body)["object_attributes"]["note"])}
"""


class Start(NamedTuple):
    """One process: milliseconds of init, then of the first delivery; MB after each."""

    init: float
    first: float
    memory: float
    memory_first: float


class _Process:
    """A function's only process, and what the kernel says of it."""

    def __init__(self, folder: Path, handler: str, environment: dict[str, str]) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  closed by `stop`
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(aws_runtime, "ROOT", folder)
            unwritten = environment | {"PYTHONDONTWRITEBYTECODE": "1"}
            self.function = aws_runtime.Function(handler, unwritten, self._output, 20)
            self.function.wait_ready()
        [self._pid] = self.function.processes()

    def spent(self) -> float:
        """Return the milliseconds of a processor that it has taken so far."""
        tasks = Path(f"/proc/{self._pid}/task").glob("*/schedstat")
        return sum(int(task.read_text().split()[0]) for task in tasks) / 1e6

    def memory(self) -> float:
        """Return the MB that it holds."""
        status = Path(f"/proc/{self._pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def stop(self) -> None:
        self.function.stop()
        self._output.close()


def run() -> Iterator[Row]:
    """Measure starts, then warm answers."""
    with _stage() as (folder, environment):
        starts: dict[str, list[Start]] = {OURS: [], EMPTY: [], ALL: []}
        for _ in range(SAMPLES):
            for handler, seen in starts.items():
                seen.append(_start(folder, handler, environment))
        yield from _start_rows(starts)
        yield from _warm_rows(folder, environment)


@contextmanager
def _stage() -> Iterator[tuple[Path, dict[str, str]]]:
    platform = Aws("http://127.0.0.1:9", fakes.WEBHOOK_SECRETS, fakes.GITLAB_SECRETS)
    platform.polls, platform.dispatchers = False, 0
    with platform, tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "bundle"
        shutil.copytree(bundles.here(), folder)
        (folder / "empty.py").write_text(_EMPTY)
        (folder / "everything.py").write_text(_EVERYTHING)
        # Not by the relays of the faults.
        direct = dict.fromkeys(("AWS_ENDPOINT_URL", *_SERVICES.values()), platform._moto.url)
        yield folder, dict(platform._receive.environment) | direct


def _start(folder: Path, handler: str, environment: dict[str, str]) -> Start:
    process = _Process(folder, handler, environment)
    try:
        init, memory = process.spent(), process.memory()
        answer = process.function.invoke(_event(5_000))
        assert answer["statusCode"] == 200, answer
        return Start(init, process.spent() - init, memory, process.memory())
    finally:
        process.stop()


def _event(size: int, *, kind: str = "signed") -> dict[str, object]:
    body = json.dumps(fakes.payload("x" * size), separators=(",", ":")).encode()
    headers = dict(fakes.sign(body, time.time()))
    if kind == "wrong":
        headers["webhook-signature"] = "v1,AAAA"
    return url_event("POST", "/", headers, body)


def _median(starts: list[Start], read: str) -> float:
    return float(statistics.median(getattr(each, read) for each in starts))


def _start_rows(starts: dict[str, list[Start]]) -> Iterator[Row]:
    ours, empty, everything = starts[OURS], starts[EMPTY], starts[ALL]
    yield ratio("init / empty handler", _median(ours, "init"), _median(empty, "init"), 1.35, "ms")
    answered, loaded = (
        statistics.median(each.init + each.first for each in seen) for seen in (ours, everything)
    )
    yield ratio(
        "init and first answered signed delivery / all at import", answered, loaded, 0.35, "ms"
    )
    yield ratio(
        "memory after the first delivery / empty handler",
        _median(ours, "memory_first"),
        _median(empty, "memory_first"),
        2.0,
        "MB",
    )


def _warm_rows(folder: Path, environment: dict[str, str]) -> Iterator[Row]:
    processes = {name: _Process(folder, name, environment) for name in (OURS, EMPTY)}
    try:
        for title, size, kind, bar in (
            ("reject, signed, 5 KB / empty handler", 5_000, "signed", 1.20),
            ("reject, wrong signature, 5 KB / empty handler", 5_000, "wrong", 1.20),
            ("reject, signed, 1 MB / empty handler", 1_000_000, "signed", 1.4),
        ):
            event = _event(size, kind=kind)
            found = {name: _warm(process, event) for name, process in processes.items()}
            yield ratio(title, found[OURS], found[EMPTY], bar, "ms")
    finally:
        for process in processes.values():
            process.stop()


def _warm(process: _Process, event: dict[str, object]) -> float:
    """Return the milliseconds of one invocation, of the best of five rounds."""
    count = WARM if len(str(event)) < 100_000 else WARM // 10
    process.function.invoke(event)
    rounds = []
    for _ in range(5):
        before = process.spent()
        for _ in range(count):
            process.function.invoke(event)
        rounds.append((process.spent() - before) / count)
    return min(rounds)


def ratio(test: str, ours: float, theirs: float, bar: float, unit: str) -> Row:
    """Return the row of a ratio that is to be at most `bar`."""
    seen = ours / theirs
    return Row(test, f"≤ {bar}", f"{seen:.2f} ({ours:.2f} / {theirs:.2f} {unit})", seen <= bar)
