"""The two calls that `receive` makes, signed and sent by botocore, without a client of its own.

A client reads the service's model and every endpoint of AWS: most of what a new instance would do
before its first answer.
"""

import json
import os
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.httpsession import URLLib3Session

_TIMEOUTS = (1.0, 1.2)  # seconds to connect and to read: `receive` answers within 3 whatever hangs
_OK = 200


class CallError(Exception):
    """AWS refused a call; the message is "400 AccessDeniedException"."""


class _Keys:
    """What Lambda gives a function: its role's credentials, as environment variables."""

    def __init__(self) -> None:
        self.access_key = os.environ["AWS_ACCESS_KEY_ID"]
        self.secret_key = os.environ["AWS_SECRET_ACCESS_KEY"]
        self.token = os.environ.get("AWS_SESSION_TOKEN")


def call(
    service: str, action: str, fields: dict[str, str], *, version: str = "1.0"
) -> dict[str, Any]:
    """Return what a service of the AWS JSON protocol answers (`version` of the protocol).

    `action` as in the header X-Amz-Target, such as "secretsmanager.GetSecretValue". Tried once; a
    connection that died while Lambda was frozen is replaced. Raises CallError where AWS refuses,
    botocore's HTTPClientError where it is not reached.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html
    """
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.exceptions import ConnectionClosedError

    region = os.environ["AWS_REGION"]
    headers = {"Content-Type": f"application/x-amz-json-{version}", "X-Amz-Target": action}
    url = _endpoint(service, region)
    request = AWSRequest("POST", url, headers, json.dumps(fields).encode())
    SigV4Auth(_Keys(), service, region).add_auth(request)
    prepared = request.prepare()
    try:
        answer = session(url).send(prepared)
    except ConnectionClosedError:
        answer = session(url).send(prepared)
    if answer.status_code != _OK:
        message = f"{answer.status_code} {_refusal(answer.content)}"
        raise CallError(message)
    return dict(json.loads(answer.content))


def _refusal(content: bytes) -> str:
    try:
        return str(dict(json.loads(content)).get("__type")).rpartition("#")[2]
    except (TypeError, ValueError):
        return "without a word of AWS's"


def _endpoint(service: str, region: str) -> str:
    """Return a service's URL, or what the SDKs' own variables put in its place.

    https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html
    """
    variable = {"secretsmanager": "AWS_ENDPOINT_URL_SECRETS_MANAGER"}.get(
        service, f"AWS_ENDPOINT_URL_{service.upper()}"
    )
    usual = f"https://{service}.{region}.amazonaws.com{'.cn' * region.startswith('cn-')}"
    return os.environ.get(variable) or os.environ.get("AWS_ENDPOINT_URL") or usual


@cache
def session(url: str) -> "URLLib3Session":
    """Return the connections to a service, made once per process."""
    from botocore.httpsession import URLLib3Session
    from botocore.utils import get_environ_proxies

    bundle = os.environ.get("AWS_CA_BUNDLE") or True
    return URLLib3Session(bundle, get_environ_proxies(url), _TIMEOUTS)
