"""AWS for tests: our handlers under the real Lambda runtime client, moto for AWS's services."""

import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cache
from http.client import HTTPConnection
from secrets import token_hex
from threading import Event, Lock, Thread
from typing import Any

import boto3
import pytest
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.sqs.models import sqs_backends
from werkzeug.serving import make_server

from functions.aws import adapters, calls
from tests.support.platforms import Answer, Platform
from tests.support.platforms.aws_events import FunctionUrl, Poller, take
from tests.support.platforms.aws_runtime import Function, lambda_environment
from tests.support.platforms.relay import Relay

_SERVICES = {"queue": "AWS_ENDPOINT_URL_SQS", "secrets": "AWS_ENDPOINT_URL_SECRETS_MANAGER"}
_KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
}


class Aws(Platform):
    """Function URL → receive → SQS FIFO → event source mapping → dispatch, secrets and table beside.

    The attributes below may be set before the start.
    """

    name = "aws"
    encodes = False  # whether the function URL sends every body as base64
    receivers = 1  # sandboxes of `receive`
    dispatchers = 2  # sandboxes of `dispatch`, each fed by a poller of its own
    polls = True  # False: only the test reads the queue
    batch_size = 1
    visibility = (
        10  # seconds until a message comes again that was neither deleted nor given another time
    )
    receives = 4  # times a message is received before it goes to the dead-letter queue

    def __init__(
        self, gitlab_url: str, webhook_secrets: str, gitlab_secrets: str, **settings: str
    ) -> None:
        super().__init__(gitlab_url, webhook_secrets, gitlab_secrets, **settings)
        self._faults = dict.fromkeys(_SERVICES, "")
        self._relays: dict[str, Relay] = {}
        self._stack = ExitStack()

    def start(self) -> None:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self._stack.close()
        self._relays = {}

    def _start(self) -> None:
        self._output = self._stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115  it is one
        self._moto = _Moto()
        self._stack.callback(self._moto.stop)
        for dependency, fault in self._faults.items():
            relay = self._relays[dependency] = Relay(self._moto.port)
            relay.fault = fault
            self._stack.callback(relay.stop)
        self._create(token_hex(4))
        detours = {
            name: f"http://127.0.0.1:{self._relays[each].port}" for each, name in _SERVICES.items()
        }
        self._receive = self._function(
            "receive", 10, self.receivers, WEBHOOK_SECRETS_ID=self._webhook, **detours
        )
        needs = {"CLAIMS_TABLE": self._table, "GITLAB_SECRETS_ID": self._api}
        self._dispatch = self._function("dispatch", 110, self.dispatchers, **needs)
        self._url = FunctionUrl(self._receive, encodes=self.encodes)
        self._stack.callback(self._url.stop)
        self._receive.wait_ready()
        self._dispatch.wait_ready()
        self._pollers = [self._poller() for _ in range(self.dispatchers if self.polls else 0)]

    def deliver(self, method: str, headers: Mapping[str, str], body: bytes) -> Answer:
        started = time.perf_counter()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(
                method, "/", body, {name: value.encode() for name, value in headers.items()}
            )
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        seconds = time.perf_counter() - started
        self._wake()
        return Answer(response.status, text, seconds)

    def settle(self, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while waiting := len(self._messages()):
            if time.monotonic() > deadline:
                message = f"{waiting} message(s) in the queue or under way after {seconds} s"
                raise TimeoutError(message)
            Event().wait(0.1)

    def output(self) -> str:
        size = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), size, 0).decode()

    def records(self) -> adapters.DynamoRecords:
        self._adopt()
        return adapters.DynamoRecords(self._table)

    def queue(self) -> adapters.SqsQueue:
        self._adopt()
        return adapters.SqsQueue(self._queue_url)

    @contextmanager
    def stalled(self, dependency: str) -> Iterator[None]:
        with self.faulty(dependency, "stall"):
            yield

    # AWS only

    @contextmanager
    def faulty(self, dependency: str, fault: str) -> Iterator[None]:
        """While entered, "queue" or "secrets" has a fault of `Relay` for `receive`.

        It may be entered before the start.
        """
        self._set_fault(dependency, fault)
        try:
            yield
        finally:
            self._set_fault(dependency, "")

    def cold_start(self) -> None:
        """Replace the process of `receive` by a new one, which has read no secret yet."""
        self._receive.renew()

    def receive(self, event: dict[str, Any]) -> Any:
        """Invoke `receive` with an event of our own; raise FunctionError."""
        return self._receive.invoke(event)

    def dispatch(self, records: list[dict[str, Any]]) -> Any:
        """Invoke `dispatch` with records of our own; raise FunctionError."""
        return self._dispatch.invoke({"Records": records})

    def send(self, body: str, group: str) -> str:
        """Put a message of our own into the queue and return its id."""
        sent = self._sqs.send_message(
            QueueUrl=self._queue_url,
            MessageBody=body,
            MessageGroupId=group,
            MessageDeduplicationId=token_hex(8),
        )
        self._wake()
        return str(sent["MessageId"])

    def take(self, count: int = 10) -> list[dict[str, Any]]:
        """Take messages out of the queue as an event's records; a poller (`polls`) is faster."""
        return take(self._sqs, self._queue_url, self._queue_arn, count)

    def dead_letters(self) -> list[str]:
        """Return the bodies of the messages in the dead-letter queue."""
        return [each["body"] for each in take(self._sqs, self._dead_url, "", 10)]

    def items(self) -> list[dict[str, Any]]:
        """Return the table's items as DynamoDB has them."""
        return list(self._dynamodb.scan(TableName=self._table)["Items"])

    def hidden(self) -> list[float]:
        """Return for how many seconds each message stays invisible: AWS tells nobody."""
        return [message.visible_at / 1000 - time.time() for message in self._messages()]

    def pass_time(self, seconds: float) -> None:
        """Let the queue's messages be so much older: each becomes visible as much sooner."""
        for message in self._messages():
            message.visible_at -= seconds * 1000

    def _messages(self) -> list[Any]:
        # The numbers that moto tells by HTTP miss a message that becomes visible while it counts.
        queue = sqs_backends["123456789012"]["us-east-1"].queues[self._queue_arn.rpartition(":")[2]]
        return list(queue._messages)

    def connections(self, dependency: str) -> int:
        """Return how many connections `receive` has made to "queue" or "secrets"."""
        return self._relays[dependency].accepted

    def environment(self, function: str) -> dict[str, str]:
        """Return the environment a function's process has."""
        own = self._receive if function == "receive" else self._dispatch
        return {**own.environment, **lambda_environment(f"functions.aws.handlers.{function}")}

    def processes(self) -> list[int]:
        """Return the ids of the functions' processes."""
        return self._receive.processes() + self._dispatch.processes()

    @property
    def port(self) -> int:
        """The function URL's port."""
        return int(self._url.server_port)

    def _create(self, mark: str) -> None:
        # moto's state belongs to the process: every platform has names of its own.
        self._sqs, secrets, self._dynamodb = (
            self._client(name) for name in ("sqs", "secretsmanager", "dynamodb")
        )
        self._dead_url = self._queue(f"dead-{mark}.fifo")
        redrive = {
            "deadLetterTargetArn": self._arn(self._dead_url),
            "maxReceiveCount": self.receives,
        }
        times = {"VisibilityTimeout": str(self.visibility)}
        self._queue_url = self._queue(
            f"runs-{mark}.fifo", RedrivePolicy=json.dumps(redrive), **times
        )
        self._queue_arn = self._arn(self._queue_url)
        self._webhook, self._api, self._table = (
            f"webhook-{mark}",
            f"gitlab-{mark}",
            f"claims-{mark}",
        )
        secrets.create_secret(Name=self._webhook, SecretString=self.webhook_secrets)
        secrets.create_secret(Name=self._api, SecretString=self.gitlab_secrets)
        self._dynamodb.create_table(
            TableName=self._table,
            KeySchema=[{"AttributeName": "key", "KeyType": "HASH"}],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("key", "index")
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "listed",
                    "KeySchema": [
                        {"AttributeName": "index", "KeyType": "HASH"},
                        {"AttributeName": "key", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["text"]},
                }
            ],
            BillingMode="PAY_PER_REQUEST",
        )

    def _queue(self, name: str, **attributes: str) -> str:
        created = self._sqs.create_queue(
            QueueName=name, Attributes={"FifoQueue": "true", **attributes}
        )
        return str(created["QueueUrl"])

    def _arn(self, url: str) -> str:
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return str(found["Attributes"]["QueueArn"])

    def _function(self, name: str, seconds: float, sandboxes: int, **environment: str) -> Function:
        common = {
            "GITLAB_URL": self.gitlab_url,
            "QUEUE_URL": self._queue_url,
            "AWS_ENDPOINT_URL": self._moto.url,
        }
        environment = {**common, **self.settings, **environment}
        function = Function(
            f"functions.aws.handlers.{name}", environment, self._output, seconds, sandboxes
        )
        self._stack.callback(function.stop)
        return function

    def _poller(self) -> Poller:
        poller = Poller(
            self._dispatch, self._sqs, self._queue_url, self._queue_arn, self.batch_size
        )
        self._stack.callback(poller.stop)
        return poller

    def _wake(self) -> None:
        for poller in self._pollers:
            poller.wake()

    def _set_fault(self, dependency: str, fault: str) -> None:
        self._faults[dependency] = fault
        if dependency in self._relays:
            self._relays[dependency].fault = fault

    def _client(self, service: str) -> Any:
        client = boto3.client(
            service,
            endpoint_url=self._moto.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        self._stack.callback(client.close)
        return client

    def _adopt(self) -> None:
        """Let the adapters here use our moto, until this stops or another one is adopted."""
        adapters.client.cache_clear()
        self._stack.callback(adapters.client.cache_clear)
        environment = self._stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in (_KEYS | {"AWS_ENDPOINT_URL": self._moto.url}).items():
            environment.setenv(name, value)
        for service in ("sqs", "dynamodb"):
            self._stack.callback(adapters.client(service).close)
        self._stack.callback(calls.session(self._moto.url).close)


class _Moto:
    """AWS's services by moto on a free port, one request at a time: it is not made for threads."""

    def __init__(self) -> None:
        application, lock = DomainDispatcherApplication(create_backend_app), Lock()
        # By itself moto looks through its folder and its patterns at every request.
        application.get_backend_for_host = cache(  # type: ignore[method-assign]
            application.get_backend_for_host
        )

        def answer(environ: Any, start_response: Any) -> Iterable[bytes]:
            with lock:
                answered: Iterable[bytes] = application(environ, start_response)
                return answered

        self._server = make_server("127.0.0.1", 0, answer, threaded=True, request_handler=_Quiet)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        """Close the port."""
        self._server.shutdown()
        self._thread.join()


class _Quiet(MotoRequestHandler):
    def log(self, *_: object) -> None:
        """Write no access log."""
