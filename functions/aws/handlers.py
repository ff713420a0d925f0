"""The Lambda handlers: `receive` (function URL), `dispatch` (SQS) and `sweep` (schedule)."""

import os
from typing import Any

from functions.aws.adapters import DynamoRecords, SqsQueue, log, prepare, secret
from functions.wiring import Installation, read_settings
from shared.incoming.delivery import Delivery
from shared.outcome.reasons import Reason, Retry, TriggerError

_QUEUE = {"QUEUE_URL": "the SQS queue's URL"}
_BEHIND = {
    **_QUEUE,
    "CLAIMS_TABLE": "the DynamoDB table's name",
    "GITLAB_SECRETS_ID": "a secret's name or ARN",
}
NEEDS = {
    "receive": {**_QUEUE, "WEBHOOK_SECRETS_ID": "a secret's name or ARN"},
    "dispatch": _BEHIND,
    "sweep": _BEHIND,
}

# Lambda names the handler in _HANDLER: what that one needs is checked at cold start.
_FUNCTION = os.environ.get("_HANDLER", "").rpartition(".")[2]
QUEUE = SqsQueue(os.environ.get("QUEUE_URL", ""))
INSTALLATION = Installation(
    read_settings(os.environ, NEEDS.get(_FUNCTION, {})),
    queue=QUEUE,
    records=DynamoRecords(os.environ.get("CLAIMS_TABLE", "")),
    webhook_secrets=secret(os.environ.get("WEBHOOK_SECRETS_ID", "")),
    gitlab_secrets=secret(os.environ.get("GITLAB_SECRETS_ID", "")),
    log=log,
)
if _FUNCTION in ("dispatch", "sweep"):
    INSTALLATION.prepare()
    prepare()


def receive(event: dict[str, Any], _context: object) -> dict[str, object]:
    """Answer a function URL's request.

    Payload format 2.0: https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html.
    """
    answer = INSTALLATION.receive(_delivery(event))
    headers = {"content-type": answer.content_type}
    return {"statusCode": answer.status, "headers": headers, "body": answer.body}


def dispatch(event: dict[str, Any], context: object) -> dict[str, object]:
    """Carry out a batch of the queue; what is to come again is returned as `batchItemFailures`."""
    from aws_lambda_powertools.utilities.batch import (
        SqsFifoPartialProcessor,
        process_partial_response,
    )

    processor = SqsFifoPartialProcessor(skip_group_on_error=True)
    processor.raise_on_entire_batch_failure = False  # its constructor does not take it
    return dict(process_partial_response(event, _carry, processor, context))  # type: ignore[arg-type]


def sweep(event: dict[str, Any], _context: object) -> dict[str, object]:
    """Look for missed mentions on a schedule, or carry out an operator's task."""
    return INSTALLATION.sweep(event)


def _carry(record: Any) -> None:  # Powertools finds the record by this name
    from shared.runs.record import ATTEMPTS, pause

    attempt = int(record.attributes.approximate_receive_count)
    try:
        last = attempt >= ATTEMPTS
        reason = INSTALLATION.dispatch(record.body, last=last, name=record.message_id)
    except Retry as error:
        QUEUE.later(record.receipt_handle, error.after)
        raise
    except Exception as error:
        INSTALLATION.log_defect(error)
        QUEUE.later(record.receipt_handle, pause(attempt))
        raise
    if reason is Reason.DEAD_LETTER:
        raise TriggerError(reason)  # so the message reaches the dead-letter queue and its alarm


def _delivery(event: dict[str, Any]) -> Delivery:
    method = event.get("requestContext", {}).get("http", {}).get("method", "")
    text = event.get("body") or ""
    try:
        body = _decoded(text) if event.get("isBase64Encoded") else text.encode()
    except ValueError:  # not base64, or not even text
        body = b""  # what was sent is not known: no signature fits it, and it mentions nobody
    headers = event.get("headers", {})
    if "x-gitlab-event" not in headers:  # a function URL has them in lower case, others may not
        headers = {name.lower(): value for name, value in headers.items()}
    return Delivery(method.upper(), headers, body)


def _decoded(text: str) -> bytes:
    from base64 import b64decode  # not on the cold path

    return b64decode(text, validate=True)
