"""The use case behind the public URL: verify, detect, store, answer. It makes no call to GitLab."""

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from shared.contract.version import VERSION
from shared.incoming import delivery, mention
from shared.outcome.reasons import Outcome, Reason, Stop, TriggerError

if TYPE_CHECKING:
    from shared.installation.secrets import Cached, WebhookSecrets
    from shared.installation.settings import Settings
    from shared.runs.request import RunRequest, TrackRequest
    from shared.runs.store import Queue
    from shared.services import Log

HEALTH = f"gitlab-claude-trigger {VERSION} listens for GitLab webhooks here.\n"

_STATUS = {Outcome.QUEUED: 202, Outcome.IGNORED: 200, Outcome.REFUSED: 401, Outcome.ERROR: 503}
_STATUS_OF_REASON = {Reason.METHOD_NOT_ALLOWED: 405, Reason.BODY_TOO_LARGE: 413}


class Answer(NamedTuple):
    """An HTTP answer: status, content type, body."""

    status: int
    content_type: str
    body: str


def receive(  # noqa: PLR0913  one argument per port
    request: delivery.Delivery,
    *,
    settings: "Settings",
    secrets: "Cached[WebhookSecrets]",
    queue: "Queue",
    now: Callable[[], float],
    log: "Log",
) -> Answer:
    """Answer one request. `now` returns Unix seconds.

    202 means stored, 503 that it could not be verified or stored. A verified delivery is never
    answered 4xx or 5xx for what is in it: GitLab switches off hooks that answer with errors.
    Whatever is refused goes to `log`, which has to bear floods (`functions.wiring.Sparing`).
    """
    if request.method in ("GET", "HEAD"):
        return Answer(200, "text/plain; charset=utf-8", HEALTH)
    try:
        verified = _verify(request, secrets, now)
    except TriggerError as error:
        reason = error.reason
        if reason.outcome is Outcome.ERROR:
            log("ERROR", {"reason": str(reason), "error": str(error.__cause__)})
        else:
            log("WARNING", {"outcome": str(reason.outcome), "reason": str(reason)})
        return _answer(reason)
    try:
        if not mention.may_occur(verified.body, settings.prefilter):
            return _answer(Reason.NO_MENTION)
        asked = _detect(verified, settings, log)
    except Stop as error:
        return _answer(error.reason)
    except Exception as error:  # noqa: BLE001  see above: whatever is in it
        log("ERROR", {"reason": str(Reason.DEFECT), "error": type(error).__name__})
        return _answer(Reason.DEFECT)
    return _put(asked, queue, log)


def _verify(
    request: delivery.Delivery, secrets: "Cached[WebhookSecrets]", now: Callable[[], float]
) -> delivery.VerifiedDelivery:
    if request.method != "POST":
        raise Stop(Reason.METHOD_NOT_ALLOWED)
    if len(request.body) > delivery.MAX_BODY:
        raise Stop(Reason.BODY_TOO_LARGE)
    if not delivery.has_credentials(request):
        raise Stop(Reason.UNSIGNED)
    tokens = secrets.get()
    try:
        return delivery.verify(request, tokens, now())
    except Stop:
        rotated = secrets.get(fresh=True)
        if rotated is tokens:
            raise
        return delivery.verify(request, rotated, now())


def _detect(
    verified: delivery.VerifiedDelivery, settings: "Settings", log: "Log"
) -> "RunRequest | TrackRequest":
    # What one delivery of a hundred needs is no part of a cold start.
    from shared.incoming import payloads  # noqa: PLC0415
    from shared.log_fields import severity  # noqa: PLC0415
    from shared.runs import detect, request  # noqa: PLC0415

    event = payloads.parse(verified)
    try:
        bound = detect.bound(event, verified.names)
    except Stop as error:
        reason = error.reason
        fields = {"outcome": str(reason.outcome), "reason": str(reason)}
        log(severity(reason), fields | {"project_id": event.project_id})
        raise
    asked = detect.ask(event, settings)
    if not settings.enabled:
        raise Stop(Reason.DISABLED)
    # A look at a run's pipeline says what GitLab says, whoever asked for it.
    starts = isinstance(asked, request.RunRequest) or asked.repair
    return asked._replace(bound=bound) if starts else asked


def _put(asked: "RunRequest | TrackRequest", queue: "Queue", log: "Log") -> Answer:
    from shared.log_fields import entry, severity  # noqa: PLC0415  not on the cold path

    try:
        queue.put(asked)
    except Exception as error:  # noqa: BLE001  platforms raise what they like
        log("ERROR", entry(Reason.QUEUE_UNAVAILABLE, asked, error=type(error).__name__))
        return _answer(Reason.QUEUE_UNAVAILABLE, asked.id)
    log(severity(Reason.QUEUED), entry(Reason.QUEUED, asked))
    return _answer(Reason.QUEUED, asked.id)


@lru_cache  # most are told again and again
def _answer(reason: Reason, run_id: str | None = None) -> Answer:
    status = _STATUS_OF_REASON.get(reason, _STATUS[reason.outcome])
    run = f'"{run_id}"' if run_id else "null"
    # Names and hex digits only: no JSON encoder is needed.
    body = f'{{"outcome": "{reason.outcome}", "reason": "{reason}", "run": {run}}}'
    return Answer(status, "application/json", body)
