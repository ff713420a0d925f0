"""A stack as the operator meets it, on moto; the real template's is in tests/deploy."""

import io
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from cli.aws import Aws
from cli.installation import GITLAB, WEBHOOK, Unusable
from functions.aws import adapters
from shared.outcome.reasons import Reason

URL = "https://abc.lambda-url.us-east-1.on.aws/"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    adapters.client.cache_clear()
    with mock_aws():
        yield
    adapters.client.cache_clear()


@pytest.fixture
def stack(aws: None) -> Aws:  # noqa: ARG001
    secrets, queue = boto3.client("secretsmanager"), boto3.client("sqs")
    for name in ("hook", "api"):
        secrets.create_secret(Name=name, SecretString="{}")
    dead = queue.create_queue(QueueName="dead")["QueueUrl"]
    outputs = {"WebhookUrl": URL, "WebhookSecrets": "hook", "GitLabSecrets": "api"}
    outputs |= {
        "SweepFunction": "sweep",
        "DeadLettersUrl": dead,
        "AwsRoleToAssume": "arn:role",
        "ModelRegion": "eu-west-1",
    }
    template: dict[str, Any] = {
        "Parameters": {"TriggerPhrase": {"Type": "String", "Default": "@ai"}},
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    formation = boto3.client("cloudformation")
    formation.create_stack(StackName="claude", TemplateBody=json.dumps(template))
    return Aws({})


def test_address_settings_and_secrets_are_the_stack_s(stack: Aws) -> None:
    assert stack.url() == URL
    assert stack.environment() == {"TRIGGER_PHRASE": "@ai"}
    stack.write(WEBHOOK, '{"secret_tokens": ["x"]}')
    assert (stack.read(WEBHOOK), stack.read(GITLAB)) == ('{"secret_tokens": ["x"]}', "{}")
    assert stack.job_variables() == {"AWS_ROLE_TO_ASSUME": "arn:role", "AWS_REGION": "eu-west-1"}


def test_a_healthy_stack_has_no_findings_and_a_broken_one_each_by_name(stack: Aws) -> None:
    assert list(stack.findings()) == []
    queue = boto3.client("sqs")
    queue.send_message(QueueUrl=queue.list_queues()["QueueUrls"][0], MessageBody="a run")
    watch = boto3.client("cloudwatch")
    watch.put_metric_alarm(
        AlarmName="claude-Errors",
        AlarmDescription="Look at the log.",
        MetricName="m",
        Namespace="n",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        Statistic="Sum",
    )
    watch.set_alarm_state(AlarmName="claude-Errors", StateValue="ALARM", StateReason="x")
    found = {each.check: each for each in stack.findings()}
    assert found["dead_letters"].reason is Reason.DEAD_LETTER
    assert found["alarms"].cure == "Look at the log."
    assert len(found) == 2


@pytest.mark.usefixtures("aws")
def test_no_stack_no_credentials_and_half_a_stack_are_sentences() -> None:
    with pytest.raises(Unusable, match="there is no stack claude: deploy first: make deploy-aws"):
        Aws({}).url()
    formation = boto3.client("cloudformation")
    template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    formation.create_stack(StackName="half", TemplateBody=json.dumps(template))
    with pytest.raises(Unusable, match="the stack is in CREATE_COMPLETE: deploy first"):
        Aws({"STACK": "half"}).url()


@pytest.mark.parametrize(
    ("payload", "failed", "seen"),
    [
        ({"gitlab": "answers"}, None, ""),
        ({"gitlab": "tls: the certificate"}, None, "tls: the certificate"),
        ({"errorMessage": "canary"}, "Unhandled", "the function sweep failed: its log says why"),
    ],
)
def test_the_function_tells_what_it_sees_of_gitlab(
    stack: Aws,
    monkeypatch: pytest.MonkeyPatch,
    payload: dict[str, str],
    failed: str | None,
    seen: str,
) -> None:
    class Lambda:
        def invoke(self, FunctionName: str, Payload: bytes) -> dict[str, Any]:  # noqa: N803
            assert (FunctionName, json.loads(Payload)) == ("sweep", {"look": True})
            answer = {"Payload": io.BytesIO(json.dumps(payload).encode())}
            return answer | ({"FunctionError": failed} if failed else {})

    monkeypatch.setattr("cli.aws.client", lambda _: Lambda())
    monkeypatch.setattr(Aws, "_outputs", {"SweepFunction": "sweep"})
    assert stack.look() == seen


def test_rights_that_are_missing_are_a_sentence_and_no_finding(
    stack: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.url()

    class Refusing:
        exceptions = boto3.client("secretsmanager").exceptions

        def __getattr__(self, name: str) -> Any:
            error = {"Error": {"Code": "AccessDeniedException", "Message": "a canary"}}
            raise ClientError(error, name)

    monkeypatch.setattr("cli.aws.client", lambda _: Refusing())
    for ask in (lambda: stack.read(GITLAB), lambda: stack.write(GITLAB, "x"), stack.look):
        with pytest.raises(Unusable, match=r"^AWS refuses \(AccessDeniedException\): sign in"):
            ask()
    with pytest.raises(Unusable, match="AWS refuses"):
        list(stack.findings())
