"""SQS, DynamoDB and Secrets Manager through their SDK; what all stores keep is in `test_ports.py`."""

import json
import sys
from collections.abc import Iterator

import pytest

from functions.aws import adapters
from shared.contract.version import VERSION
from tests.support import fakes
from tests.support.platforms.aws import Aws


@pytest.fixture(scope="module")
def aws() -> Iterator[Aws]:
    """An installation whose queue nobody reads."""
    platform = Aws("http://127.0.0.1:9", fakes.WEBHOOK_SECRETS, fakes.GITLAB_SECRETS)
    platform.receivers = platform.dispatchers = 0
    with platform:
        yield platform


def test_a_record_carries_its_time_to_live_where_dynamodb_looks_for_it(aws: Aws) -> None:
    aws.records().write("run/1", "{}", None, 1_772_678_400)
    assert aws.items() == [
        {
            "key": {"S": "run/1"},
            "version": {"N": "1"},
            "text": {"S": "{}"},
            "expires": {"N": "1772678400"},
        }
    ]


def test_a_message_comes_again_after_the_seconds_told_within_sqs_s_limits(aws: Aws) -> None:
    aws.send("{}", "thread")
    [record] = aws.take()
    queue = aws.queue()
    for after, seconds in ((4.2, 5), (0, 1), (1e9, 11 * 3600), (-7, 0)):
        queue.later(record["receiptHandle"], after)
        assert seconds - 1 < aws.hidden()[0] <= seconds


def test_a_secret_is_read_anew_each_time(aws: Aws) -> None:
    aws.records()  # the adapters of this process call the same services
    read = adapters.secret(aws._webhook)
    assert read() == fakes.WEBHOOK_SECRETS
    aws._client("secretsmanager").put_secret_value(SecretId=aws._webhook, SecretString="rotated")
    assert read() == "rotated"
    aws._client("secretsmanager").put_secret_value(SecretId=aws._webhook, SecretBinary=b"no text")
    assert read() == ""


def test_a_line_that_stands_for_several_deliveries_counts_as_many(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Made by an earlier test of this process, it writes to that one's output.
    for handler in adapters._logger().handlers:
        monkeypatch.setattr(handler, "stream", sys.stdout)
    adapters.log("WARNING", {"outcome": "refused", "reason": "token_wrong", "count": 48})
    adapters.log("INFO", {"outcome": "queued", "reason": "queued"})
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["Runs"] for line in lines if "_aws" in line] == [[48.0], [1.0]]
    assert [line["version"] for line in lines if "outcome" in line] == [VERSION, VERSION]
