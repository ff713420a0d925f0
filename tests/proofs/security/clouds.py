"""The handlers of both clouds as fronts for `fuzz`: real handlers and request shapes, no SDK.

What the handlers read when they are imported comes from an environment without secrets; queue,
tokens and log are replaced by strict fakes, so that nothing is sent anywhere.
"""

import io
import time
from collections.abc import Mapping
from random import Random
from typing import Any

from functions.wiring import Installation
from shared.incoming.delivery import MAX_BODY, Delivery
from tests.proofs.security.fuzz import Answering, Strict
from tests.support import fakes
from tests.support.platforms.aws_events import url_event

CLOUDS = ("aws", "gcp")


def aws() -> Answering:
    """Return `functions.aws.handlers.receive` behind function-URL events (payload format 2.0)."""
    from functions.aws import handlers

    _replace(handlers)
    rng = Random(1)  # noqa: S311

    def answer(delivery: Delivery) -> tuple[int, str]:
        event = url_event(
            delivery.method, "/", delivery.headers, delivery.body, encode=rng.random() < 0.2
        )
        answered: Any = handlers.receive(event, None)
        return answered["statusCode"], answered["body"]

    return answer


def gcp() -> Answering:
    """Return `functions.gcp.handlers.receive` behind Flask requests."""
    from flask import Request

    from functions.gcp import handlers

    _replace(handlers)

    def answer(delivery: Delivery) -> tuple[int, str]:
        text, status, _ = handlers.receive(
            Request(environ(delivery.method, delivery.headers, delivery.body))
        )
        return status, text

    return answer


FRONTS = {"aws": aws, "gcp": gcp}


def _replace(handlers: Any) -> None:
    started = time.time()
    # A long run must not outlive its signatures: the handlers' clock stands still.
    handlers.INSTALLATION = Installation(
        fakes.settings(),
        queue=Strict(),
        records=fakes.Records(),
        webhook_secrets=lambda: fakes.WEBHOOK_SECRETS,
        gitlab_secrets=lambda: fakes.GITLAB_SECRETS,
        log=lambda *_: None,
        now=lambda: started,
    )


def environ(method: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Return a WSGI environment as gunicorn makes it: header values are Latin-1 of any bytes."""
    made: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        key = key if key == "CONTENT_TYPE" else f"HTTP_{key}"
        made[key] = value.encode("utf-8", "surrogatepass").decode("latin-1")
    return made


# Requests no client of GitLab sends; what there is to verify is missing or fits nothing.
_CHANGES: tuple[dict[str, Any], ...] = (
    {"body": None},
    {"body": "\ud800"},
    {"body": "%%%", "isBase64Encoded": True},
    {"body": "é", "isBase64Encoded": True},
    {"body": "e30", "isBase64Encoded": True},
    {"headers": {}},
)
ODD_EVENTS: tuple[dict[str, Any], ...] = (
    {},
    {"headers": {}},
    {"body": "x"},
    {"requestContext": {}},
    {"requestContext": {"http": {}}},
    {"requestContext": {"http": {"method": "POST"}}, "headers": {"webhook-signature": "v1,x"}},
    *(url_event("POST", "/", fakes.sign(b"{}"), b"{}") | change for change in _CHANGES),
)
ODD_LENGTHS = ("", "-1", "abc", "0", "1e3", "9" * 30, str(MAX_BODY + 1))


def odd(cloud: str) -> list[str]:
    """Return what went wrong with malformed requests: each must be answered 401, 405 or 413."""
    front, wrong = FRONTS[cloud](), []
    del front  # its replacements stay
    if cloud == "aws":
        from functions.aws import handlers as lambda_handlers

        for event in ODD_EVENTS:
            try:
                status: Any = lambda_handlers.receive(event, None)["statusCode"]
            except Exception as error:  # noqa: BLE001
                status = repr(error)
            wrong += [] if status in (401, 405) else [f"{event!r:.200} → {status}"]
        return wrong
    from flask import Request

    from functions.gcp import handlers

    for length in ODD_LENGTHS:
        made = environ("POST", fakes.sign(b"other"), b"{}") | {"CONTENT_LENGTH": length}
        try:
            status = handlers.receive(Request(made))[1]
        except Exception as error:  # noqa: BLE001
            status = repr(error)
        wrong += [] if status in (401, 413) else [f"Content-Length {length!r} → {status}"]
    return wrong
