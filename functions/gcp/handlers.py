"""The Cloud Run functions: `receive` is public; `dispatch` (by Cloud Tasks) and `sweep` (on a schedule) are private."""

import json
import os
import time
from functools import cache
from typing import TYPE_CHECKING

from functions.gcp.adapters import PATIENT, QUICK, FirestoreRecords, TasksQueue, log, secret
from shared.incoming.delivery import MAX_BODY, Delivery
from shared.installation.secrets import Cached, GitLabSecrets, WebhookSecrets
from shared.installation.settings import Settings, required
from shared.receive import receive as answer

if TYPE_CHECKING:
    from flask import Request

    from shared.services import Services

Response = tuple[str, int, dict[str, str]]
_TEXT = {"Content-Type": "text/plain"}

_QUEUE = {
    "QUEUE": "projects/…/locations/…/queues/…",
    "DISPATCH_URL": "the URL of the function dispatch",
    "INVOKER_SERVICE_ACCOUNT": "the e-mail of the service account that may call dispatch",
}
_GITLAB = {"GOOGLE_CLOUD_PROJECT": "the project's id", "GITLAB_SECRETS_ID": "projects/…/secrets/…"}
_NEEDS = {
    "receive": {**_QUEUE, "WEBHOOK_SECRETS_ID": "projects/…/secrets/…"},
    "dispatch": _GITLAB,
    "sweep": {**_QUEUE, **_GITLAB},
}

# functions-framework names the function here: what that one needs is checked at cold start.
for _name, _expected in _NEEDS.get(os.environ.get("FUNCTION_TARGET", ""), {}).items():
    required(os.environ, _name, _expected)

SETTINGS = Settings.read(os.environ)
QUEUE = TasksQueue(
    os.environ.get("QUEUE", ""),
    os.environ.get("DISPATCH_URL", ""),
    os.environ.get("INVOKER_SERVICE_ACCOUNT", ""),
)
TOKENS = Cached(
    secret(os.environ.get("WEBHOOK_SECRETS_ID", ""), timeout=QUICK), WebhookSecrets.parse, time.time
)


def receive(request: "Request") -> Response:
    """Answer a webhook's delivery."""
    too_large = (request.content_length or 0) > MAX_BODY
    body = bytes(MAX_BODY + 1) if too_large else request.get_data(cache=False)
    delivery = Delivery(
        request.method, {name.lower(): value for name, value in request.headers}, body
    )
    answered = answer(
        delivery, settings=SETTINGS, secrets=TOKENS, queue=QUEUE, now=time.time, log=log
    )
    return answered.body, answered.status, {"Content-Type": answered.content_type}


def dispatch(request: "Request") -> Response:
    """Carry one task; anything but 2xx lets Cloud Tasks send it again, and 503 slows the whole queue down."""
    from shared.dispatch import dispatch as carry
    from shared.outcome.reasons import Reason, Retry
    from shared.runs.record import ATTEMPTS
    from shared.runs.request import from_json

    last = int(request.headers.get("X-CloudTasks-TaskRetryCount", "0")) >= ATTEMPTS - 1
    try:
        reason = carry(from_json(request.get_data()), _world(), last=last)
    except Retry as error:
        status = 409 if error.reason is Reason.BUSY else 503
        return f"{error.reason}\n", status, _TEXT | {"Retry-After": str(int(error.after) + 1)}
    except Exception as error:  # noqa: BLE001  the class alone: the text may quote the request
        log("ERROR", {"reason": str(Reason.DEFECT), "error": type(error).__name__})
        return f"{Reason.DEFECT}\n", 500, _TEXT
    return f"{reason}\n", 200, _TEXT


def sweep(request: "Request") -> Response:
    """Look for missed mentions on a schedule, or carry out an operator's order: see `shared.sweep.carry_out`."""
    from shared.sweep import carry_out

    order = request.get_json(silent=True) or {}
    return json.dumps(carry_out(order, _world(), QUEUE)), 200, {"Content-Type": "application/json"}


@cache
def _world() -> "Services":
    from functions.gitlab.thread import GitLab
    from shared.services import Services

    secrets = Cached(
        secret(os.environ["GITLAB_SECRETS_ID"], timeout=PATIENT), GitLabSecrets.parse, time.time
    )
    records = FirestoreRecords(
        os.environ["GOOGLE_CLOUD_PROJECT"], os.environ.get("CLAIMS_COLLECTION", "claims")
    )
    return Services(
        SETTINGS, secrets, records, GitLab(SETTINGS.gitlab_url, secrets), time.time, log
    )
