"""What invokes Lambda functions: a function URL and the poller of an SQS queue, each with AWS's own
event format.
"""

import base64
import time
from collections.abc import Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from threading import Event, Thread
from typing import Any
from uuid import uuid4

from tests.support.platforms.aws_runtime import Function, FunctionError, Server

# Bytes of an event: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_PAYLOAD = 6 * 1024 * 1024


class FunctionUrl(Server):
    """A function URL, payload format 2.0:
    https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html.

    `encodes`: False sends the body as text where it is UTF-8, True as base64 always.
    """

    def __init__(self, function: Function, *, encodes: bool = False) -> None:
        self.function, self.encodes = function, encodes
        super().__init__(_UrlHandler)

    def stop(self) -> None:
        """Stop the function and close the port."""
        self.function.stop()
        super().stop()


class _UrlHandler(BaseHTTPRequestHandler):
    wbufsize = -1
    server: FunctionUrl

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        names = {name.lower() for name in self.headers}
        headers = {name: ",".join(self.headers.get_all(name, [])) for name in names}
        event = url_event(self.command, self.path, headers, body, encode=self.server.encodes)
        if len(event.get("body", "")) > MAX_PAYLOAD:
            self._answer(
                413, {"content-type": "application/json"}, b'{"Message":"Request Entity Too Large"}'
            )
            return
        try:
            answer = self.server.function.invoke(event)
        except FunctionError:
            self._answer(502, {"content-type": "text/plain"}, b"Internal Server Error")
            return
        text = answer.get("body", "")
        data = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
        self._answer(answer["statusCode"], answer.get("headers", {}), data)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815  names of http.server

    def _answer(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def url_event(
    method: str, path: str, headers: Mapping[str, str], body: bytes, *, encode: bool = False
) -> dict[str, Any]:
    """Return the event of a function URL; `encode` as `FunctionUrl.encodes`."""
    host = "test.lambda-url.us-east-1.on.aws"
    raw_path, _, query = path.partition("?")
    http = {"method": method, "path": raw_path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": raw_path,
        "rawQueryString": query,
        "headers": dict(headers),
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "test",
            "domainName": host,
            "domainPrefix": "test",
            "http": http | {"userAgent": headers.get("user-agent", "")},
            "requestId": str(uuid4()),
            "routeKey": "$default",
            "stage": "$default",
            "time": time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime()),
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": False,
    }
    if not body:
        return event  # AWS leaves `body` out
    text = None if encode else _text(body)
    if text is None:
        return event | {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
    return event | {"body": text}


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


class Poller:
    """One poller of an event source mapping with ReportBatchItemFailures.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html.
    """

    def __init__(
        self, function: Function, sqs: Any, queue_url: str, queue_arn: str, batch_size: int
    ) -> None:
        self._function, self._sqs, self._url, self._arn, self._size = (
            function,
            sqs,
            queue_url,
            queue_arn,
            batch_size,
        )
        self._stopping, self._wake = Event(), Event()
        self._thread = Thread(target=self._run)
        self._thread.start()

    def wake(self) -> None:
        """Look at the queue now."""
        self._wake.set()

    def stop(self) -> None:
        """Stop the function and what it is doing."""
        self._stopping.set()
        self._wake.set()
        self._function.stop()
        self._thread.join()

    def _run(self) -> None:
        pause = 0.01
        while not self._stopping.is_set():
            records = take(self._sqs, self._url, self._arn, self._size)
            if records:
                self._carry(records)
                pause = 0.01
            elif self._wake.wait(pause):
                self._wake.clear()
                pause = 0.01
            else:
                pause = min(pause * 2, 0.2)

    def _carry(self, records: list[dict[str, Any]]) -> None:
        with suppress(
            FunctionError
        ):  # the messages come again when their visibility timeout is over
            failed = failures(
                self._function.invoke({"Records": records}), {each["messageId"] for each in records}
            )
            for record in records:
                if record["messageId"] not in failed:
                    self._sqs.delete_message(
                        QueueUrl=self._url, ReceiptHandle=record["receiptHandle"]
                    )


def take(sqs: Any, queue_url: str, queue_arn: str, count: int) -> list[dict[str, Any]]:
    """Receive messages as the records of an event."""
    received = sqs.receive_message(
        QueueUrl=queue_url,
        MaxNumberOfMessages=count,
        MessageSystemAttributeNames=["All"],
        MessageAttributeNames=["All"],
    )
    return [
        {
            "messageId": message["MessageId"],
            "receiptHandle": message["ReceiptHandle"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": message.get("MessageAttributes", {}),
            "md5OfBody": message["MD5OfBody"],
            "eventSource": "aws:sqs",
            "eventSourceARN": queue_arn,
            "awsRegion": "us-east-1",
        }
        for message in received.get("Messages", [])
    ]


def failures(answer: Any, ids: set[str]) -> set[str]:
    """Return the ids of the records that AWS takes as failed; an answer that makes no sense fails
    them all.
    """
    listed = (answer or {}).get("batchItemFailures") or []
    named = {item.get("itemIdentifier") for item in listed}
    return ids if named - ids else named
