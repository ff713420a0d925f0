"""The two signed calls of `receive`, beside what boto3's own clients send."""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError

from functions.aws import calls
from tests.support.platforms.aws_runtime import Server

SECRET = {"SecretId": "webhook"}
MOMENT = datetime(2026, 11, 28, tzinfo=UTC)
MESSAGE = {
    "QueueUrl": "https://sqs.eu-central-1.amazonaws.com/123456789012/runs.fifo",
    "MessageBody": "{}",
    "MessageGroupId": "thread",
    "MessageDeduplicationId": "run",
}
SENT = [
    ("secretsmanager", "secretsmanager.GetSecretValue", "1.1", SECRET, "get_secret_value"),
    ("sqs", "AmazonSQS.SendMessage", "1.0", MESSAGE, "send_message"),
]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 0.5  # an error's traceback keeps its connection open
    seen: list[tuple[str, dict[str, str], Any]]
    answer: tuple[int, bytes]
    goes_away: bool

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        status, text = self.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
        self.close_connection = self.goes_away

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Handler]]:
    handler = type("Service", (Handler,), {"seen": [], "answer": (200, b"{}"), "goes_away": False})
    server = Server(handler)
    url = f"http://127.0.0.1:{server.server_port}"
    for name, value in {
        "AWS_REGION": "eu-central-1",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "canary",
        "AWS_SESSION_TOKEN": "canary-session",
        "AWS_ENDPOINT_URL": url,
    }.items():
        monkeypatch.setenv(name, value)
    yield handler
    calls.session(url).close()
    calls.session.cache_clear()
    server.stop()


@pytest.mark.parametrize(("service", "action", "version", "fields", "method"), SENT)
def test_a_call_is_the_one_that_the_sdk_s_client_sends(
    aws: type[Handler], service: str, action: str, version: str, fields: Any, method: str
) -> None:
    calls.call(service, action, fields, version=version)
    client: Any = boto3.Session().client(service)
    getattr(client, method)(**fields)
    client.close()
    ours, theirs = aws.seen
    assert ours[0] == theirs[0]
    assert ours[2] == theirs[2]
    for name in ("content-type", "x-amz-target", "x-amz-security-token"):
        assert ours[1][name] == theirs[1][name]
    # Date and time of the signature differ; who signs, for which service, in which form do not.
    scopes = [re.sub(r"Signature=\w+", "", each[1]["authorization"]) for each in (ours, theirs)]
    credentials = [scope.partition(",")[0] for scope in scopes]
    assert credentials[0] == credentials[1]
    assert credentials[0].endswith(f"/eu-central-1/{service}/aws4_request")


def test_the_signature_covers_target_token_and_text(
    aws: type[Handler], monkeypatch: pytest.MonkeyPatch
) -> None:
    def signature() -> str:
        calls.call(*SENT[0][:2], SECRET)
        return aws.seen[-1][1]["authorization"].rpartition("=")[2]

    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: MOMENT, raising=False)
    first = signature()
    signed = aws.seen[-1][1]["authorization"]
    assert {"host", "x-amz-date", "x-amz-security-token", "x-amz-target"} <= set(
        signed.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    )
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    assert signature() != first


def test_what_aws_refuses_is_told_by_its_name_alone(aws: type[Handler]) -> None:
    aws.answer = (
        400,
        b'{"__type": "com.amazonaws.secretsmanager#AccessDeniedException", "Message": "canary"}',
    )
    with pytest.raises(calls.CallError) as told:
        calls.call(*SENT[0][:2], SECRET)
    assert str(told.value) == "400 AccessDeniedException"


@pytest.mark.parametrize("text", [b"<html>Service Unavailable</html>", b"[]", b'"no"', b""])
def test_an_answer_that_is_not_aws_s_is_an_error(aws: type[Handler], text: bytes) -> None:
    aws.answer = (503, text)
    with pytest.raises(calls.CallError, match="503 "):
        calls.call(*SENT[0][:2], SECRET)


def test_a_connection_that_died_meanwhile_is_replaced_once(aws: type[Handler]) -> None:
    aws.goes_away = True
    for _ in range(3):
        calls.call(*SENT[1][:2], MESSAGE)
    assert len(aws.seen) == 3


def test_a_service_that_hangs_is_given_up_in_time(
    aws: type[Handler], monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(handler: Handler) -> None:
        time.sleep(1.5)
        handler.close_connection = True

    monkeypatch.setattr(aws, "do_POST", hang)
    began = time.monotonic()
    with pytest.raises(ReadTimeoutError):
        calls.call(*SENT[1][:2], MESSAGE)
    assert time.monotonic() - began < 2.2


@pytest.mark.parametrize(
    ("service", "region", "variables", "url"),
    [
        ("sqs", "eu-central-1", {}, "https://sqs.eu-central-1.amazonaws.com"),
        ("sqs", "cn-north-1", {}, "https://sqs.cn-north-1.amazonaws.com.cn"),
        ("sqs", "us-east-1", {"AWS_ENDPOINT_URL": "http://a"}, "http://a"),
        ("sqs", "us-east-1", {"AWS_ENDPOINT_URL_SQS": "http://b", "AWS_ENDPOINT_URL": "http://a"}, "http://b"),
        ("secretsmanager", "us-east-1", {"AWS_ENDPOINT_URL_SECRETS_MANAGER": "http://c"}, "http://c"),
    ],
)  # fmt: skip
def test_the_endpoint_is_the_region_s_or_the_sdk_s_variable_s(
    monkeypatch: pytest.MonkeyPatch, service: str, region: str, variables: dict[str, str], url: str
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_SECRETS_MANAGER"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert calls._endpoint(service, region) == url
