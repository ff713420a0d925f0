"""The Lambda handlers: `receive` behind a function URL, `dispatch` behind the queue, `sweep` on a schedule."""

import os
import time
from base64 import b64decode
from functools import cache
from typing import TYPE_CHECKING, Any

from functions.aws.adapters import DynamoRecords, SqsQueue, log, secret
from shared.incoming.delivery import Delivery
from shared.installation.secrets import Cached, GitLabSecrets, WebhookSecrets
from shared.installation.settings import Settings, required
from shared.receive import receive as answer

if TYPE_CHECKING:
    from shared.services import Services


_BEHIND = {
    "QUEUE_URL": "the SQS queue's URL",
    "CLAIMS_TABLE": "the DynamoDB table's name",
    "GITLAB_SECRETS_ID": "a secret's name or ARN",
}
_NEEDS = {
    "receive": {"QUEUE_URL": "the SQS queue's URL", "WEBHOOK_SECRETS_ID": "a secret's name or ARN"},
    "dispatch": _BEHIND,
    "sweep": _BEHIND,
}

# Lambda names the function's handler here: what that one needs is checked at cold start.
for _name, _expected in _NEEDS.get(os.environ.get("_HANDLER", "").rpartition(".")[2], {}).items():
    required(os.environ, _name, _expected)

SETTINGS = Settings.read(os.environ)
QUEUE = SqsQueue(os.environ.get("QUEUE_URL", ""))
TOKENS = Cached(
    secret(os.environ.get("WEBHOOK_SECRETS_ID", ""), quick=True), WebhookSecrets.parse, time.time
)


def receive(event: dict[str, Any], _context: object) -> dict[str, object]:
    """Answer a function URL's request (payload format 2.0)."""
    delivery = _delivery(event)
    answered = answer(
        delivery, settings=SETTINGS, secrets=TOKENS, queue=QUEUE, now=time.time, log=log
    )
    return {
        "statusCode": answered.status,
        "headers": {"content-type": answered.content_type},
        "body": answered.body,
    }


def dispatch(event: dict[str, Any], context: object) -> dict[str, object]:
    """Carry a batch of the queue; what is to come again is returned as `batchItemFailures`."""
    from aws_lambda_powertools.utilities.batch import (
        SqsFifoPartialProcessor,
        process_partial_response,
    )

    processor = SqsFifoPartialProcessor(skip_group_on_error=True)
    processor.raise_on_entire_batch_failure = False  # its constructor does not take it
    return dict(process_partial_response(event, _carry, processor, context))  # type: ignore[arg-type]


def sweep(event: dict[str, Any], _context: object) -> dict[str, object]:
    """Look for missed mentions on a schedule, or carry out an operator's order: see `shared.sweep.carry_out`."""
    from shared.sweep import carry_out

    return carry_out(event, _world(), QUEUE)


def _carry(record: Any) -> None:  # noqa: ANN401  Powertools finds the record by this name
    from shared.dispatch import dispatch as carry
    from shared.outcome.reasons import Reason, Retry, TriggerError
    from shared.runs.record import ATTEMPTS, pause
    from shared.runs.request import from_json

    attempt = int(record.attributes.approximate_receive_count)
    try:
        reason = carry(from_json(record.body), _world(), last=attempt >= ATTEMPTS)
    except Retry as error:
        QUEUE.later(record.receipt_handle, error.after)
        raise
    except Exception as error:
        log(
            "ERROR", {"reason": str(Reason.DEFECT), "error": type(error).__name__}
        )  # its text may quote the record
        # What cannot be read will hardly ever be: it must not hold its thread up for long.
        QUEUE.later(record.receipt_handle, 0 if isinstance(error, ValueError) else pause(attempt))
        raise
    if reason is Reason.DEAD_LETTER:
        raise TriggerError(
            reason
        )  # the message goes to the dead-letter queue as well, where its alarm is


@cache
def _world() -> "Services":
    from functions.gitlab.thread import GitLab
    from shared.services import Services

    secrets = Cached(secret(os.environ["GITLAB_SECRETS_ID"]), GitLabSecrets.parse, time.time)
    records = DynamoRecords(os.environ["CLAIMS_TABLE"])
    return Services(
        SETTINGS, secrets, records, GitLab(SETTINGS.gitlab_url, secrets), time.time, log
    )


def _delivery(event: dict[str, Any]) -> Delivery:
    method = event.get("requestContext", {}).get("http", {}).get("method", "")
    text = event.get("body") or ""
    try:
        body = b64decode(text, validate=True) if event.get("isBase64Encoded") else text.encode()
    except ValueError:  # not base64, or not even text
        body = b""  # what was sent is not known: no signature fits it, and it mentions nobody
    return Delivery(
        method.upper(),
        {name.lower(): value for name, value in event.get("headers", {}).items()},
        body,
    )
