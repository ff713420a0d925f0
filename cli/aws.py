"""The stack of template.yaml, through CloudFormation, Secrets Manager, Lambda and CloudWatch."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from cli.installation import HOW_TO_DEPLOY, WEBHOOK, Finding, Unusable
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

    def findings(self) -> Iterator[Finding]:
        """Return a stack that stands half, runs that were given up, alarms that went off."""
        status = str(self._stack["StackStatus"])
        if status not in _STANDING:
            cure = "Look at the stack's events in CloudFormation, then run make deploy-aws."
            yield Finding("stack", Reason.PART_BROKEN, f"the stack is in {status}", cure)
        dead = self._waiting("DeadLettersUrl")
        if dead:
            cure = 'Mend the cause, then invoke sweep with {"replay": "all"}.'
            yield Finding("dead_letters", Reason.DEAD_LETTER, f"{dead} were given up", cure)
        for alarm in self._alarms():
            cure = str(alarm.get("AlarmDescription") or "See CloudWatch.")
            yield Finding("alarms", Reason.PART_BROKEN, f"alarm {alarm['AlarmName']} is on", cure)

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

    def _alarms(self) -> list[dict[str, Any]]:
        prefix = f"{self._stack_name}-"
        with _told():
            found = client("cloudwatch").describe_alarms(AlarmNamePrefix=prefix, StateValue="ALARM")
        return list(found.get("MetricAlarms", []))


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
