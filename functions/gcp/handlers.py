"""The Cloud Run functions: `receive` is public, `dispatch` is private and called by Cloud Tasks."""

import os
import time
from functools import cache
from typing import TYPE_CHECKING

from functions.gcp.adapters import PATIENT, QUICK, FirestoreRecords, TasksQueue, log, secret
from shared.delivery import MAX_BODY, Delivery
from shared.receive import receive as answer
from shared.secret import Cached, GitLabSecrets, WebhookSecrets
from shared.settings import Settings, required

if TYPE_CHECKING:
    from flask import Request

    from shared.dispatch import World

Response = tuple[str, int, dict[str, str]]

_NEEDS = {
    "receive": {
        "QUEUE": "projects/…/locations/…/queues/…",
        "DISPATCH_URL": "the URL of the function dispatch",
        "INVOKER_SERVICE_ACCOUNT": "the e-mail of the service account that may call dispatch",
        "WEBHOOK_SECRETS_ID": "projects/…/secrets/…",
    },
    "dispatch": {"GOOGLE_CLOUD_PROJECT": "the project's id", "GITLAB_SECRETS_ID": "projects/…/secrets/…"},
}

# functions-framework names the function here: what that one needs is checked at cold start.
for _name, _expected in _NEEDS.get(os.environ.get("FUNCTION_TARGET", ""), {}).items():
    required(os.environ, _name, _expected)

SETTINGS = Settings.read(os.environ)
QUEUE = TasksQueue(
    os.environ.get("QUEUE", ""), os.environ.get("DISPATCH_URL", ""), os.environ.get("INVOKER_SERVICE_ACCOUNT", "")
)
TOKENS = Cached(secret(os.environ.get("WEBHOOK_SECRETS_ID", ""), timeout=QUICK), WebhookSecrets.parse, time.time)


def receive(request: "Request") -> Response:
    """Answer a webhook's delivery."""
    too_large = (request.content_length or 0) > MAX_BODY
    body = bytes(MAX_BODY + 1) if too_large else request.get_data(cache=False)
    delivery = Delivery(request.method, {name.lower(): value for name, value in request.headers}, body)
    answered = answer(delivery, settings=SETTINGS, secrets=TOKENS, queue=QUEUE, now=time.time, log=log)
    return answered.body, answered.status, {"Content-Type": answered.content_type}


def dispatch(request: "Request") -> Response:
    """Carry one task; 503 lets Cloud Tasks send it again."""
    from shared.dispatch import dispatch as carry  # noqa: PLC0415  not on the cold path of `receive`
    from shared.outcome import Retry  # noqa: PLC0415
    from shared.run import RunRequest  # noqa: PLC0415

    try:
        reason = carry(RunRequest.from_json(request.get_data()), _world())
    except Retry as error:
        return f"{error.reason}\n", 503, {"Content-Type": "text/plain", "Retry-After": str(int(error.after) + 1)}
    return f"{reason}\n", 200, {"Content-Type": "text/plain"}


@cache
def _world() -> "World":
    from functions.gitlab import GitLab  # noqa: PLC0415  not on the cold path of `receive`
    from shared.dispatch import World  # noqa: PLC0415

    secrets = Cached(secret(os.environ["GITLAB_SECRETS_ID"], timeout=PATIENT), GitLabSecrets.parse, time.time)
    records = FirestoreRecords(os.environ["GOOGLE_CLOUD_PROJECT"], os.environ.get("CLAIMS_COLLECTION", "claims"))
    return World(SETTINGS, secrets, records, GitLab(SETTINGS.gitlab_url, secrets), time.time, log)
