"""The Cloud Run functions: `receive`, public; `dispatch` (Cloud Tasks) and `sweep` (schedule)."""

import json
import os
from typing import TYPE_CHECKING

from functions.gcp.adapters import FirestoreRecords, TasksQueue, log, mounted, secret
from functions.wiring import Installation, read_settings
from shared.incoming.delivery import MAX_BODY, Delivery
from shared.outcome.reasons import Reason, Retry

if TYPE_CHECKING:
    from flask import Request

Response = tuple[str, int, dict[str, str]]  # body, status, headers: as Flask takes it
_TEXT = {"Content-Type": "text/plain"}
_JSON = {"Content-Type": "application/json"}

_QUEUE = {
    "QUEUE": "projects/…/locations/…/queues/…",
    "DISPATCH_URL": "the URL of the function dispatch",
    "INVOKER_SERVICE_ACCOUNT": "the e-mail of the service account that may call dispatch",
}
_GITLAB = {"GOOGLE_CLOUD_PROJECT": "the project's id", "GITLAB_SECRETS_ID": "projects/…/secrets/…"}
NEEDS = {
    "receive": {**_QUEUE, "WEBHOOK_SECRETS_FILE": "where the secret is mounted"},
    "dispatch": _GITLAB,
    "sweep": {**_QUEUE, **_GITLAB},
}

# What is the matter with one task, and no reason to slow others down.
_THEIRS = (Reason.BUSY, Reason.REQUEST_UNREADABLE, Reason.RECORD_UNREADABLE)

# functions-framework names the function: what that one needs is checked at cold start.
_FUNCTION = os.environ.get("FUNCTION_TARGET", "")
INSTALLATION = Installation(
    read_settings(os.environ, NEEDS.get(_FUNCTION, {})),
    queue=TasksQueue(
        os.environ.get("QUEUE", ""),
        os.environ.get("DISPATCH_URL", ""),
        os.environ.get("INVOKER_SERVICE_ACCOUNT", ""),
    ),
    records=FirestoreRecords(
        os.environ.get("GOOGLE_CLOUD_PROJECT", ""), os.environ.get("CLAIMS_COLLECTION", "claims")
    ),
    webhook_secrets=mounted(os.environ.get("WEBHOOK_SECRETS_FILE", "")),
    gitlab_secrets=secret(os.environ.get("GITLAB_SECRETS_ID", "")),
    log=log,
)


def receive(request: "Request") -> Response:
    """Answer a webhook's delivery."""
    too_large = (request.content_length or 0) > MAX_BODY
    body = bytes(MAX_BODY + 1) if too_large else request.get_data(cache=False)
    headers = {name.lower(): value for name, value in request.headers}
    answer = INSTALLATION.receive(Delivery(request.method, headers, body))
    return answer.body, answer.status, {"Content-Type": answer.content_type}


def dispatch(request: "Request") -> Response:
    """Carry out one task; unless answered 2xx it comes again, and 503 slows the whole queue down.

    https://cloud.google.com/python/docs/reference/cloudtasks/latest/google.cloud.tasks_v2.types.HttpRequest
    """
    from shared.runs.record import ATTEMPTS

    last = int(request.headers.get("X-CloudTasks-TaskRetryCount", "0")) >= ATTEMPTS - 1
    name = request.headers.get("X-CloudTasks-TaskName", "")
    try:
        reason = INSTALLATION.dispatch(request.get_data(), last=last, name=name)
    except Retry as error:
        status = 409 if error.reason in _THEIRS else 503
        return f"{error.reason}\n", status, _TEXT | {"Retry-After": str(int(error.after) + 1)}
    except Exception as error:  # noqa: BLE001  whatever it is, the task has to come again
        INSTALLATION.log_defect(error)
        return f"{Reason.DEFECT}\n", 500, _TEXT
    return f"{reason}\n", 200, _TEXT


def sweep(request: "Request") -> Response:
    """Look for missed mentions on a schedule, or carry out an operator's task."""
    task = request.get_json(silent=True) or {}
    return json.dumps(INSTALLATION.sweep(task)), 200, _JSON
