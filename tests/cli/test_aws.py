"""A stack as the operator meets it, on moto; the real template's is in tests/deploy."""

import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from cli.aws import Aws
from cli.installation import GITLAB, WEBHOOK, Finding, Unusable
from functions.aws import adapters
from shared.outcome.reasons import Reason

URL = "https://abc.lambda-url.us-east-1.on.aws/"


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    adapters.client.cache_clear()
    with mock_aws(config={"core": {"reset_boto3_session": False}}):  # it reads its models once
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
        "AwsRoleToAssume": "arn:aws:iam::123456789012:role/job",
        "ModelRegion": "eu-west-1",
    }
    parameters = {"TriggerPhrase": "@ai", "AlarmEmail": "ops@example.com"}
    role = "arn:aws:iam::123456789012:role/functions"
    boto3.client("iam").create_role(RoleName="functions", AssumeRolePolicyDocument="{}")
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": "python3.13",
            "Role": role,
            "Handler": "index.f",
            "Code": {"ZipFile": "f = 1"},
        },
    }
    template: dict[str, Any] = {
        "Parameters": {n: {"Type": "String", "Default": value} for n, value in parameters.items()},
        "Resources": {
            "ReceiveFunction": function,
            "DispatchFunction": function,
            "AlarmTopic": {"Type": "AWS::SNS::Topic"},
            "SweepFunctionClock": {
                "Type": "AWS::Events::Rule",
                "Properties": {"ScheduleExpression": "rate(5 minutes)", "State": "ENABLED"},
            },
        },
        "Outputs": {name: {"Value": value} for name, value in outputs.items()},
    }
    formation = boto3.client("cloudformation")
    formation.create_stack(StackName="claude", TemplateBody=json.dumps(template))
    connect_functions()
    return Aws({})


def connect_functions() -> None:
    """Let receive be public, dispatch be fed and the alarms be heard, as SAM would."""
    functions, queue, here = boto3.client("lambda"), boto3.client("sqs"), Aws({})
    runs = queue.create_queue(QueueName="runs")["QueueUrl"]
    known = queue.get_queue_attributes(QueueUrl=runs, AttributeNames=["QueueArn"])
    for action in ("InvokeFunctionUrl", "InvokeFunction"):
        functions.add_permission(
            FunctionName=here._resource("ReceiveFunction"),
            StatementId=action,
            Action=f"lambda:{action}",
            Principal="*",
        )
    functions.create_event_source_mapping(
        FunctionName=here._resource("DispatchFunction"),
        EventSourceArn=known["Attributes"]["QueueArn"],
    )
    boto3.client("sns").subscribe(
        TopicArn=here._resource("AlarmTopic"), Protocol="email", Endpoint="ops@example.com"
    )


def found(stack: Aws) -> list[Finding]:
    return [each for check in stack.checks().values() for each in check()]


def test_address_settings_and_secrets_are_the_stack_s(stack: Aws) -> None:
    assert stack.url() == URL
    environment = {"TRIGGER_PHRASE": "@ai", "ALARM_EMAIL": "ops@example.com"}
    assert stack.environment() == environment
    stack.write(WEBHOOK, '{"secret_tokens": ["x"]}')
    assert (stack.read(WEBHOOK), stack.read(GITLAB)) == ('{"secret_tokens": ["x"]}', "{}")
    role = "arn:aws:iam::123456789012:role/job"
    assert stack.job_variables() == {"AWS_ROLE_TO_ASSUME": role, "AWS_REGION": "eu-west-1"}


def test_a_healthy_stack_has_no_findings_and_a_broken_one_each_by_name(stack: Aws) -> None:
    assert found(stack) == []
    queue = boto3.client("sqs")
    dead = queue.get_queue_url(QueueName="dead")["QueueUrl"]
    queue.send_message(QueueUrl=dead, MessageBody="a run")
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
    by_name = {each.check: each for each in found(stack)}
    assert by_name["dead_letters"].reason is Reason.DEAD_LETTER
    assert by_name["alarms"].cure == "Look at the log."
    assert len(by_name) == 2


def switch_off_the_queue() -> None:
    functions = boto3.client("lambda")
    (mapping,) = functions.list_event_source_mappings()["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)


def forbid(*actions: str) -> Callable[[], None]:
    def remove() -> None:
        for action in actions:
            boto3.client("lambda").remove_permission(
                FunctionName=Aws({})._resource("ReceiveFunction"), StatementId=action
            )

    return remove


def unsubscribe() -> None:
    sns = boto3.client("sns")
    (subscription,) = sns.list_subscriptions()["Subscriptions"]
    sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])


def pause() -> None:
    boto3.client("events").disable_rule(Name=Aws({})._resource("SweepFunctionClock"))


@pytest.mark.parametrize(
    ("breaks", "names"),
    [
        (forbid("InvokeFunction"), ["function_url"]),
        (forbid("InvokeFunctionUrl"), ["function_url"]),
        (forbid("InvokeFunctionUrl", "InvokeFunction"), ["function_url", "function_url"]),
        (switch_off_the_queue, ["queue"]),
        (pause, ["schedule"]),
        (unsubscribe, ["alarm_mail"]),
    ],
)
def test_each_part_that_is_off_closed_or_unconfirmed_is_found(
    stack: Aws, breaks: Callable[[], None], names: list[str]
) -> None:
    breaks()
    assert [each.check for each in found(stack)] == names


def test_a_subscription_that_waits_for_its_confirmation_tells_nobody(
    stack: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Topic:
        def list_subscriptions_by_topic(self, TopicArn: str) -> dict[str, Any]:  # noqa: ARG002, N803
            return {"Subscriptions": [{"SubscriptionArn": "PendingConfirmation"}]}

    real = adapters.client
    monkeypatch.setattr("cli.aws.client", lambda name: Topic() if name == "sns" else real(name))
    assert [each.check for each in found(stack)] == ["alarm_mail"]


def test_the_trust_of_the_job_s_role_is_held_against_each_project(stack: Aws) -> None:
    iam, project = boto3.client("iam"), {"id": 7, "path_with_namespace": "group/app"}
    arn = iam.create_open_id_connect_provider(
        Url="https://gitlab.com", ClientIDList=["gitlab-claude-trigger"]
    )["OpenIDConnectProviderArn"]
    equal = {
        "gitlab.com:aud": "gitlab-claude-trigger",
        "gitlab.com:sub": ["project_path:group/app:ref_type:branch:ref:main"],
    }
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": arn},
        "Condition": {"StringEquals": equal},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_role(RoleName="job", AssumeRolePolicyDocument=document)

    def looked(branch: str) -> list[str]:
        place = project | {"default_branch": branch}
        return [each.check for each in stack.trusts("https://gitlab.com", place)]

    assert looked("main") == []
    assert looked("master") == ["job_sub"]
    iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert looked("main") == ["job_provider"]


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
    asked = ("function_url", "queue", "schedule", "dead_letters", "alarms", "alarm_mail")
    for name in asked:
        with pytest.raises(Unusable, match="AWS refuses"):
            list(stack.checks()[name]())
    with pytest.raises(Unusable, match="AWS refuses"):
        list(stack.trusts("https://gitlab.com", {}))
