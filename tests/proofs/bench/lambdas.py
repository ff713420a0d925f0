"""The bundle under Lambda's runtime client, beside an empty handler and one that loads all it has.

Each sample of a start is a process of its own, the handlers in turn.
"""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.proofs.bench.measure import memory, pairs, ratio, spent
from tests.proofs.rows import Row
from tests.support import fakes
from tests.support.deploy import bundles
from tests.support.platforms import aws_runtime
from tests.support.platforms.aws import _SERVICES, Aws
from tests.support.platforms.aws_events import url_event

SAMPLES, ROUNDS = 7, 9
# Invocations of a round: the stand-ins of AWS take their time for a mention.
WARM, WARM_LARGE, WARM_MENTIONS = 200, 15, 20
SMALL, LARGE = 5_000, 1_000_000  # characters of a note
OURS, EMPTY, ALL = "functions.aws.handlers.receive", "empty.handler", "everything.handler"
_EMPTY = """\
def handler(event, context):
    return {"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": "ok"}
"""
# What a handler does that loads and makes all its clients at import, as the SDKs' examples do.
_EVERYTHING = """\
import base64, hashlib, hmac, json, os, uuid
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
    note = json.loads(body).get("object_attributes", {}).get("note", "")
    if "@claude" in note:
        QUEUE.send_message(QueueUrl=os.environ["QUEUE_URL"], MessageBody=note, MessageGroupId="7",
                           MessageDeduplicationId=uuid.uuid4().hex)
    return {"statusCode": 200, "body": "ok"}
"""


# An answer: what is sent, in so many characters, and the most it may take of the other's time.
_ANSWERS = (
    ("reject, signed", "signed", EMPTY, ((SMALL, 1.20), (LARGE, 1.4))),
    ("reject, wrong signature", "forged", EMPTY, ((SMALL, 1.20), (LARGE, 1.4))),
    ("reject, secret token", "token", EMPTY, ((SMALL, 1.20), (LARGE, 1.4))),
    ("reject, wrong token", "wrong token", EMPTY, ((SMALL, 1.20), (LARGE, 1.4))),
    ("reject, another's pipeline, signed", "pipeline", EMPTY, ((SMALL, 1.20), (LARGE, 1.4))),
    ("mention, into the queue", "mention", ALL, ((SMALL, 1.5),)),
)
_NAMES = {EMPTY: "empty handler", ALL: "all at import"}
_TOKENS = json.dumps({"secret_tokens": [fakes.SECRET_TOKEN]})


class Start(NamedTuple):
    """One process: milliseconds of init, then with the first delivery; MB after each."""

    init: float
    answered: float
    memory: float
    memory_answered: float


class Process:
    """A function's only process."""

    def __init__(self, folder: Path, environment: dict[str, str], handler: str) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  closed by `stop`
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(aws_runtime, "ROOT", folder)
            unwritten = environment | {"PYTHONDONTWRITEBYTECODE": "1"}
            self.function = aws_runtime.Function(handler, unwritten, self._output, 20)
            self.function.wait_ready()
        [self.pid] = self.function.processes()
        # Moved from one processor to another, a process pays for it, and the other may not.
        os.sched_setaffinity(self.pid, {max(os.sched_getaffinity(0))})

    def invocation(self, event: dict[str, object], count: int) -> float:
        """Return the milliseconds of one invocation, of so many."""
        before = spent([self.pid])
        for _ in range(count):
            self.function.invoke(event)
        return (spent([self.pid]) - before) / count

    def stop(self) -> None:
        self.function.stop()
        self._output.close()


def run() -> Iterator[Row]:
    """Measure starts, then warm answers."""
    with stage() as (folder, signed, by_token):
        starts = [
            {handler: _start(folder, signed, handler) for handler in (OURS, EMPTY, ALL)}
            for _ in range(SAMPLES)
        ]
        for title, read, other, bar, unit in (
            ("init / empty handler", "init", EMPTY, 1.35, "ms"),
            (
                "init and first answered signed delivery / all at import",
                "answered",
                ALL,
                0.35,
                "ms",
            ),
            ("memory after init / empty handler", "memory", EMPTY, 1.3, "MB"),
            (
                "memory after the first delivery / empty handler",
                "memory_answered",
                EMPTY,
                2.0,
                "MB",
            ),
        ):
            seen = [(getattr(each[OURS], read), getattr(each[other], read)) for each in starts]
            yield ratio(title, seen, bar, unit)
        yield from _answers(folder, signed, by_token)


@contextmanager
def stage() -> Iterator[tuple[Path, dict[str, str], dict[str, str]]]:
    """Give the bundle, and two environments: a signing token, and a secret token instead."""
    platform = Aws("http://127.0.0.1:9", fakes.WEBHOOK_SECRETS, fakes.GITLAB_SECRETS)
    platform.polls, platform.dispatchers = False, 0
    with platform, tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "bundle"
        shutil.copytree(bundles.here(), folder)
        (folder / "empty.py").write_text(_EMPTY)
        (folder / "everything.py").write_text(_EVERYTHING)
        # Not by the relays of the faults.
        direct = dict.fromkeys(("AWS_ENDPOINT_URL", *_SERVICES.values()), platform._moto.url)
        signed = dict(platform._receive.environment) | direct
        secrets = platform._client("secretsmanager")
        # Of a name of its own: the stand-in outlives this stage.
        made = secrets.create_secret(Name=Path(name).name, SecretString=_TOKENS)
        yield folder, signed, signed | {"WEBHOOK_SECRETS_ID": made["Name"]}


def _start(folder: Path, environment: dict[str, str], handler: str) -> Start:
    process = Process(folder, environment, handler)
    try:
        init, held = spent([process.pid]), memory(process.pid)
        answer = process.function.invoke(event(SMALL))
        assert answer["statusCode"] == 200, answer
        return Start(init, spent([process.pid]), held, memory(process.pid))
    finally:
        process.stop()


def event(size: int, kind: str = "signed") -> dict[str, object]:
    """Return a function URL's event of so many characters, of a kind as in `_ANSWERS`."""
    text = "x" * size
    payload: dict[str, object] = fakes.payload(f"@claude {text}" if kind == "mention" else text)
    if kind == "pipeline":
        attributes = {"id": 31, "source": "push", "status": "running", "variables": []}
        payload = {"object_kind": "pipeline", "object_attributes": attributes, "title": text}
    body = json.dumps(payload, separators=(",", ":")).encode()
    headers = dict(fakes.sign(body, time.time()))
    if kind == "forged":
        headers["webhook-signature"] = "v1,AAAA"
    if kind.endswith("token"):
        right = kind == "token"
        headers = {"x-gitlab-token": fakes.SECRET_TOKEN if right else "x" * 19}
    return url_event("POST", "/", headers, body)


def _answers(folder: Path, signed: dict[str, str], by_token: dict[str, str]) -> Iterator[Row]:
    start = partial(Process, folder)
    ours = {kind: start(of, OURS) for kind, of in (("signed", signed), ("token", by_token))}
    others = {handler: start(signed, handler) for handler in (EMPTY, ALL)}
    try:
        for title, kind, other, sizes in _ANSWERS:
            mine = ours["token" if kind.endswith("token") else "signed"]
            for size, bar in sizes:
                asked, large = event(size, kind), size == LARGE
                count = WARM_MENTIONS if kind == "mention" else WARM_LARGE if large else WARM
                mine.function.invoke(asked)
                once = [partial(each.invocation, asked, count) for each in (mine, others[other])]
                name = f"{title}, {'1 MB' if large else '5 KB'} / {_NAMES[other]}"
                yield ratio(name, pairs(once[0], once[1], ROUNDS), bar, "ms")
    finally:
        for each in (*ours.values(), *others.values()):
            each.stop()
