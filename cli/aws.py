"""The stack of template.yaml, through CloudFormation, Secrets Manager, Lambda and CloudWatch."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cli import trust
from cli.installation import HOW_TO_DEPLOY, WEBHOOK, Check, Finding, Unusable
from functions.aws.adapters import client
from shared.installation.settings import VARIABLES
from shared.installation.settings_file import PLACES, parameter_name
from shared.outcome.reasons import Reason

_STANDING = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE")


class Aws:
    """One stack, in the account and region of the operator's own credentials."""

    name = "aws"

    def __init__(self, settings: Mapping[str, str]) -> None:
        """Take the settings file's settings."""
        self._stack_name = settings.get("STACK") or "claude"

    def url(self) -> str:
        """Return the function URL."""
        return self._outputs["WebhookUrl"]

    def environment(self) -> Mapping[str, str]:
        """Return the stack's parameters under the names of the settings."""
        parameters = {
            each["ParameterKey"]: each.get("ParameterValue", "")
            for each in self._stack.get("Parameters", [])
        }
        names = (*VARIABLES, *PLACES["aws"])
        return {
            name: parameters[parameter_name(name)]
            for name in names
            if parameter_name(name) in parameters
        }

    def read(self, document: str) -> str:
        """Return a secret's current version."""
        secrets = client("secretsmanager")
        with _told():
            try:
                found = secrets.get_secret_value(SecretId=self._secret(document))
            except secrets.exceptions.ResourceNotFoundException:  # it has no version yet
                return ""
        return str(found.get("SecretString", ""))

    def write(self, document: str, text: str) -> None:
        """Make a new current version of a secret."""
        secrets, name = client("secretsmanager"), self._secret(document)
        with _told():
            secrets.put_secret_value(SecretId=name, SecretString=text)

    def job_variables(self) -> Mapping[str, str]:
        """Return the role of a job on Bedrock, and what it is to call."""
        outputs = self._outputs
        if "AwsRoleToAssume" not in outputs:
            return {}
        return {
            "AWS_ROLE_TO_ASSUME": outputs["AwsRoleToAssume"],
            "AWS_REGION": outputs["ModelRegion"],
        }

    def look(self) -> str | None:
        """Invoke `sweep` with the task `look`."""
        name = self._outputs["SweepFunction"]
        with _told():
            called = client("lambda").invoke(FunctionName=name, Payload=b'{"look": true}')
        answer = json.loads(called["Payload"].read() or b"{}")
        if called.get("FunctionError") or "gitlab" not in answer:
            return "the function sweep failed: its log says why"
        return "" if answer["gitlab"] == "answers" else str(answer["gitlab"])

    def checks(self) -> Mapping[str, Check]:
        """Return what is looked at: the stack, its public address, queue, schedule and alarms."""
        return {
            "stack": self._stands,
            "function_url": self._public,
            "queue": self._carried,
            "schedule": self._scheduled,
            "dead_letters": self._dead_letters,
            "alarms": self._alarms,
            "alarm_mail": self._alarm_mail,
        }

    def trusts(self, url: str, project: Mapping[str, Any]) -> Iterator[Finding]:
        """Look at the trust policy of the job's role, and the identity provider it names."""
        arn = self._outputs.get("AwsRoleToAssume")
        if not arn:  # the model is not on Bedrock
            return
        iam = client("iam")
        with _told():
            role = iam.get_role(RoleName=arn.rpartition("/")[2])["Role"]
        document = role["AssumeRolePolicyDocument"]
        yield from trust.of_role(document, url, project)
        federated = str(document["Statement"][0].get("Principal", {}).get("Federated", ""))
        with _told():
            try:
                provider = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=federated)
            except iam.exceptions.NoSuchEntityException:
                provider = None
        yield from trust.of_oidc_provider(provider, url)

    def _stands(self) -> Iterator[Finding]:
        status = str(self._stack["StackStatus"])
        if status not in _STANDING:
            cure = "Look at the stack's events in CloudFormation, then run make deploy-aws."
            yield _part("stack", f"the stack is in {status}", cure)

    def _public(self) -> Iterator[Finding]:
        """Look at the permissions that a function URL takes to be public; since 2025-10 two.

        https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
        """
        functions, name = client("lambda"), self._resource("ReceiveFunction")
        with _told():
            try:
                policy = json.loads(functions.get_policy(FunctionName=name)["Policy"])
            except functions.exceptions.ResourceNotFoundException:  # it has none
                policy = {"Statement": []}
        granted = {
            str(each.get("Action"))
            for each in policy["Statement"]
            if each.get("Effect") == "Allow" and each.get("Principal") in ("*", {"AWS": "*"})
        }
        for action in ("lambda:InvokeFunctionUrl", "lambda:InvokeFunction"):
            if not {action, "lambda:*"} & granted:
                text = f"the webhook's address is not public: {action} is not allowed to everybody"
                cure = "Run make deploy-aws with a newer SAM CLI; see whether a policy forbids it."
                yield _part("function_url", text, cure)

    def _carried(self) -> Iterator[Finding]:
        """Look whether dispatch is fed: a mapping that is off leaves every run waiting."""
        name = self._resource("DispatchFunction")
        with _told():
            found = client("lambda").list_event_source_mappings(FunctionName=name)
        states = [str(each.get("State")) for each in found["EventSourceMappings"]]
        if not states or "Disabled" in states:
            cure = "Enable the trigger of the function dispatch in Lambda, or run make deploy-aws."
            yield _part("queue", "dispatch does not take what waits in the queue", cure)

    def _scheduled(self) -> Iterator[Finding]:
        name = self._resource("SweepFunctionClock")
        with _told():
            found = client("events").describe_rule(Name=name)
        if found.get("State", "").startswith("DISABLED"):
            cure = f"aws events enable-rule --name {name}"
            yield _part("schedule", "the schedule of sweep is off", cure)

    def _dead_letters(self) -> Iterator[Finding]:
        dead = self._waiting("DeadLettersUrl")
        if dead:
            cure = 'Mend the cause, then invoke sweep with {"replay": "all"}.'
            yield Finding("dead_letters", Reason.DEAD_LETTER, f"{dead} were given up", cure)

    def _alarms(self) -> Iterator[Finding]:
        prefix = f"{self._stack_name}-"
        with _told():
            found = client("cloudwatch").describe_alarms(AlarmNamePrefix=prefix, StateValue="ALARM")
        for alarm in found.get("MetricAlarms", []):
            cure = str(alarm.get("AlarmDescription") or "See CloudWatch.")
            yield _part("alarms", f"alarm {alarm['AlarmName']} is on", cure)

    def _alarm_mail(self) -> Iterator[Finding]:
        """Look whether whoever is to be told of alarms has confirmed that they want to be."""
        mail = self.environment().get("ALARM_EMAIL")
        if not mail:
            return
        topic = self._resource("AlarmTopic")
        with _told():
            found = client("sns").list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
        if not [each for each in found if each["SubscriptionArn"].startswith("arn:")]:
            text = f"{mail} is not told of alarms: the subscription is not confirmed"
            cure = "Follow the link in AWS's message; it ends after 3 days: then subscribe anew."
            yield _part("alarm_mail", text, cure)

    @cached_property
    def _stack(self) -> dict[str, Any]:
        with _told():
            try:
                found = client("cloudformation").describe_stacks(StackName=self._stack_name)
            except ClientError as error:
                if error.response["Error"]["Code"] != "ValidationError":
                    raise
                message = f"there is no stack {self._stack_name}: {HOW_TO_DEPLOY}"
                raise Unusable(message) from error
        return dict(found["Stacks"][0])

    @property
    def _outputs(self) -> dict[str, str]:
        outputs = {e["OutputKey"]: e["OutputValue"] for e in self._stack.get("Outputs", [])}
        if "WebhookUrl" not in outputs:
            message = f"the stack is in {self._stack['StackStatus']}: {HOW_TO_DEPLOY}"
            raise Unusable(message)
        return outputs

    def _secret(self, document: str) -> str:
        return self._outputs["WebhookSecrets" if document == WEBHOOK else "GitLabSecrets"]

    def _waiting(self, queue: str) -> int:
        names = ["ApproximateNumberOfMessages"]
        url = self._outputs[queue]
        with _told():
            found = client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)
        return int(found["Attributes"][names[0]])

    def _resource(self, name: str) -> str:
        """Return what a resource of the template is called in AWS."""
        with _told():
            found = client("cloudformation").describe_stack_resource(
                StackName=self._stack_name, LogicalResourceId=name
            )
        return str(found["StackResourceDetail"]["PhysicalResourceId"])


def _part(check: str, seen: str, cure: str) -> Finding:
    return Finding(check, Reason.PART_BROKEN, seen, cure)


@contextmanager
def _told() -> Iterator[None]:
    """Turn an SDK's error into a sentence: its own text may quote what was sent."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        name = code or type(error).__name__
        message = f"AWS refuses ({name}): sign in with the right to read the stack and its secrets"
        raise Unusable(message) from None
