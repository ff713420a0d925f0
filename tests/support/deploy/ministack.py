"""The AWS emulator `ministack` as a fixture of tests: started on loopback, given a bundle, a
template and its parameters.

It translates and deploys the template as CloudFormation does, serves the function URL and runs the
handlers as Lambda functions on this machine's own Python; it enforces no IAM policy and knows no
IAM OIDC provider.
"""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import boto3
import pytest
from botocore.config import Config

from tests.support.deploy import template

KEYS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
}


class Refused(Exception):
    """CloudFormation did not create the stack; the text says why."""


class Stack:
    """A stack that was created."""

    def __init__(self, cloud: "Ministack", name: str) -> None:
        self.cloud, self.name = cloud, name
        formation = cloud.client("cloudformation")
        described = formation.describe_stacks(StackName=name)["Stacks"][0]
        self.outputs = {
            each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", [])
        }
        found = formation.describe_stack_resources(StackName=name)["StackResources"]
        self.resources = {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}

    def deliver(
        self, headers: Mapping[str, str], body: bytes, method: str = "POST"
    ) -> tuple[int, str]:
        """Send a request to the function URL as GitLab would, and return status and body."""
        host = self.outputs["WebhookUrl"].removeprefix("https://").rstrip("/")
        sent = {**headers, "Host": host}
        request = urllib.request.Request(f"{self.cloud.url}/", body or None, sent, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310  loopback
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def secret(self, output: str) -> str:
        """Return what a secret holds."""
        found = self.cloud.client("secretsmanager").get_secret_value(SecretId=self.outputs[output])
        return str(found["SecretString"])

    def fill_in(self, output: str, document: object) -> None:
        """Put a new document into a secret, as the docs tell people to."""
        client = self.cloud.client("secretsmanager")
        client.put_secret_value(SecretId=self.outputs[output], SecretString=json.dumps(document))

    def messages(self, queue: str) -> int:
        """Return how many messages a queue of the stack holds, visible or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        url = self.resources[queue]
        found = self.cloud.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)[
            "Attributes"
        ]
        return sum(map(int, found.values()))


class Ministack:
    """The emulator in a process of its own, on a free port of 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url, self._folder = f"http://127.0.0.1:{self.port}", folder
        self._clients: dict[str, Any] = {}

    def __enter__(self) -> Self:
        quiet = {
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self.port),
            "IOT_MTLS_ENABLED": "0",
            "LOG_LEVEL": "INFO",
        }
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "PYTHONWARN"))
        }
        with (self._folder / "ministack.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ministack"],
                env=clean | KEYS | quiet | {"TMPDIR": str(self._folder)},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/_ministack/health", timeout=5):  # noqa: S310  loopback
                    return self
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"ministack does not answer:\n{self.output()}")
                time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        for client in self._clients.values():
            client.close()
        os.killpg(self._process.pid, signal.SIGKILL)  # its functions too
        self._process.wait()

    def output(self) -> str:
        """Return what the emulator and the functions wrote."""
        return (self._folder / "ministack.log").read_text(errors="replace")

    def client(self, service: str) -> Any:
        """Return an SDK client for the emulator."""
        if service not in self._clients:
            keys = {
                "aws_access_key_id": "test",
                "aws_secret_access_key": "test",
                "region_name": "us-east-1",
            }
            once = Config(retries={"total_max_attempts": 1})
            self._clients[service] = boto3.client(
                service, endpoint_url=self.url, config=once, **keys
            )
        return self._clients[service]

    def upload(self, bundle: Path, key: str = "bundle.zip") -> None:
        """Put a bundle where the template finds it."""
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            for path in sorted(bundle.rglob("*")):
                archive.write(path, path.relative_to(bundle))
        s3 = self.client("s3")
        s3.create_bucket(Bucket="code-bucket")
        s3.put_object(Bucket="code-bucket", Key=key, Body=packed.getvalue())

    def create(self, name: str, **parameters: str) -> Stack:
        """Create a stack from the translated template; Refused with CloudFormation's reason."""
        return self._change(
            "create_stack",
            name,
            [{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        )

    def update(self, name: str, key: str = "bundle.zip", **parameters: str) -> Stack:
        """Change a stack's parameters, or its code; all else stays, as `sam deploy` leaves it."""
        same = {"UsePreviousValue": True}
        given = [
            {"ParameterKey": each}
            | ({"ParameterValue": parameters[each]} if each in parameters else same)
            for each in template.source()["Parameters"]
        ]
        return self._change("update_stack", name, given, key)

    def _change(
        self, call: str, name: str, given: list[dict[str, Any]], key: str = "bundle.zip"
    ) -> Stack:
        body = json.dumps(template.translated(key=key))
        s3, formation = self.client("s3"), self.client("cloudformation")
        s3.put_object(
            Bucket="code-bucket", Key="template.json", Body=body.encode()
        )  # it is too long to be sent inline
        url = f"{self.url}/code-bucket/template.json"
        try:
            getattr(formation, call)(
                StackName=name, TemplateURL=url, Parameters=given, Capabilities=["CAPABILITY_IAM"]
            )
        except formation.exceptions.ClientError as error:
            raise Refused(str(error)) from error
        deadline = time.monotonic() + 60
        while (state := self._state(name)).endswith("IN_PROGRESS") and time.monotonic() < deadline:
            time.sleep(0.1)
        if state not in ("CREATE_COMPLETE", "UPDATE_COMPLETE"):
            events = formation.describe_stack_events(StackName=name)["StackEvents"]
            reasons = [each.get("ResourceStatusReason", "") for each in events]
            raise Refused("\n".join(filter(None, [state, *reasons])))
        return Stack(self, name)

    def _state(self, name: str) -> str:
        described = self.client("cloudformation").describe_stacks(StackName=name)
        return str(described["Stacks"][0]["StackStatus"])
