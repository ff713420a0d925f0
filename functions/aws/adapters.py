"""The AWS ports: SQS, DynamoDB, Secrets Manager, CloudWatch.

Every SDK is imported on first need and kept.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from functions.aws import calls
from shared.contract.version import VERSION

if TYPE_CHECKING:
    from shared.runs.request import RunRequest, TrackRequest

NAMESPACE = "gitlab-claude-trigger"
_LONGEST = 11 * 3600  # seconds; SQS allows 12 hours, counted from when a message was received
_LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40}

_PATIENT = {  # `dispatch` has the time its lease gives
    "connect_timeout": 2.0,
    "read_timeout": 3.0,
    "retries": {"total_max_attempts": 2, "mode": "standard"},
}


class SqsQueue:
    """An SQS FIFO queue: one group per thread, one deduplication id per request.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fifo-queues.html
    """

    def __init__(self, url: str) -> None:
        """Take the queue's URL."""
        self._url = url

    def put(self, request: "RunRequest | TrackRequest") -> None:
        """Send the request."""
        message = {
            "QueueUrl": self._url,
            "MessageBody": request.to_json(),
            "MessageGroupId": request.thread,
            "MessageDeduplicationId": request.message_id,
        }
        calls.call("sqs", "AmazonSQS.SendMessage", message)

    def later(self, receipt_handle: str, after: float) -> None:
        """Let a received message come again after `after` seconds, at most 11 hours."""
        seconds = max(0, min(int(after) + 1, _LONGEST))
        client("sqs").change_message_visibility(
            QueueUrl=self._url, ReceiptHandle=receipt_handle, VisibilityTimeout=seconds
        )


class DynamoRecords:
    """A DynamoDB table with the key `key` and the TTL attribute `expires`.

    Records of an index have its name as `index`, by which the secondary index `listed` finds them.
    """

    def __init__(self, table: str) -> None:
        """Take the table's name."""
        self._table = table

    def read(self, key: str) -> tuple[str | None, object]:
        """Return the record and its version number, read consistently."""
        found = client("dynamodb").get_item(
            TableName=self._table, Key={"key": {"S": key}}, ConsistentRead=True
        )
        item = found.get("Item")
        return (item["text"]["S"], int(item["version"]["N"])) if item else (None, None)

    def write(self, key: str, text: str, version: object, expires: int) -> object:
        """Put the item on condition that the version is still the one read."""
        dynamodb = client("dynamodb")
        following = 1 if version is None else int(str(version)) + 1
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(#version)"}
        if version is not None:
            condition = {
                "ConditionExpression": "#version = :read",
                "ExpressionAttributeValues": {":read": {"N": str(version)}},
            }
        item = {
            "key": {"S": key},
            "text": {"S": text},
            "version": {"N": str(following)},
            "expires": {"N": str(expires)},
        }
        index, listed, _ = key.partition("//")
        if listed:
            item["index"] = {"S": index}
        try:
            dynamodb.put_item(
                TableName=self._table,
                Item=item,
                ExpressionAttributeNames={"#version": "version"},
                **condition,
            )
        except dynamodb.exceptions.ConditionalCheckFailedException:
            return None
        return following

    def delete(self, key: str) -> None:
        """Delete the item."""
        client("dynamodb").delete_item(TableName=self._table, Key={"key": {"S": key}})

    def listed(self, index: str, most: int) -> list[tuple[str, str]]:
        """Query the index, page by page: a secondary index is read as it was a moment ago."""
        found = (
            client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self._table,
                IndexName="listed",
                KeyConditionExpression="#index = :index",
                ExpressionAttributeNames={"#index": "index"},
                ExpressionAttributeValues={":index": {"S": index}},
                PaginationConfig={"MaxItems": most, "PageSize": most},
            )
        )
        return [(item["key"]["S"], item["text"]["S"]) for page in found for item in page["Items"]]


def secret(secret_id: str) -> Callable[[], str]:
    """Return a function that reads a secret of Secrets Manager, each time anew."""

    def read() -> str:
        wanted = {"SecretId": secret_id}
        found = calls.call("secretsmanager", "secretsmanager.GetSecretValue", wanted, version="1.1")
        return str(found.get("SecretString", ""))

    return read


def log(severity: str, fields: Mapping[str, object]) -> None:
    """Write one line through Powertools' Logger and count it under its reason.

    `count` tells how often, where the line stands for several deliveries.
    """
    from aws_lambda_powertools import single_metric
    from aws_lambda_powertools.metrics import MetricUnit

    reason = str(fields.get("reason"))
    _logger().log(_LEVELS[severity], reason, extra={**fields, "version": VERSION})
    count = int(str(fields.get("count", 1)))
    with single_metric("Runs", MetricUnit.Count, count, namespace=NAMESPACE) as metric:
        metric.add_dimension(name="reason", value=reason)


def prepare() -> None:
    """Load and make what `dispatch` and `sweep` always need."""
    import aws_lambda_powertools.metrics
    import aws_lambda_powertools.utilities.batch  # noqa: F401

    client("dynamodb"), client("sqs"), _logger()


@cache
def client(service: str) -> Any:
    """Return the SDK's client for a service, made once per process."""
    import boto3
    from botocore.config import Config

    return boto3.client(service, config=Config(**_PATIENT))


@cache
def _logger() -> Any:
    from aws_lambda_powertools import Logger

    return Logger(service=NAMESPACE)
