"""One HTTP request of a GitLab webhook, and whether GitLab really sent it. It looks at no content."""

import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import NamedTuple

from shared.installation.secrets import Secret, WebhookSecrets
from shared.outcome.reasons import Reason, Stop

TOLERANCE = 300  # seconds a signature's time may be away from ours, both ways, as the Standard Webhooks libraries do
MAX_BODY = 25 * 1024 * 1024  # GitLab's own limit for a webhook's body (REQUEST_BODY_SIZE_LIMIT)

_UNIX_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)


class Delivery(NamedTuple):
    """A request as it came: upper-case method, header values under lower-case names, raw body."""

    method: str
    headers: Mapping[str, str]
    body: bytes


class VerifiedDelivery(NamedTuple):
    """The body of a delivery that GitLab sent: the only thing an event is read from."""

    body: bytes


def has_credentials(delivery: Delivery) -> bool:
    """Tell whether the delivery claims to be from GitLab at all, before any secret is read."""
    return bool(delivery.headers.get("webhook-signature") or delivery.headers.get("x-gitlab-token"))


def verify(delivery: Delivery, secrets: WebhookSecrets, now: float) -> VerifiedDelivery:
    """Return the body if a configured token signed it (or, with secret tokens only, came with it).

    `now` is in Unix seconds. Raises Stop with the reason. A configured signing token makes the signature required.
    Source: https://www.standardwebhooks.com and GitLab's app/services/web_hook_service.rb (`build_headers`).
    """
    if secrets.signing_keys:
        _verify_signature(delivery, secrets.signing_keys, now)
    elif not _is_one_of(delivery.headers.get("x-gitlab-token", ""), secrets.secret_tokens):
        raise Stop(Reason.TOKEN_WRONG)
    return VerifiedDelivery(delivery.body)


def _verify_signature(delivery: Delivery, keys: Iterable[Secret], now: float) -> None:
    headers = delivery.headers
    webhook_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    signatures = headers.get("webhook-signature", "")
    # A dot in the id would let one signature stand for two splits of id, time and body.
    if (
        not webhook_id
        or "." in webhook_id
        or not signatures
        or not _UNIX_SECONDS.fullmatch(timestamp)
    ):
        raise Stop(Reason.SIGNATURE_MISSING)
    if abs(int(now) - int(timestamp)) > TOLERANCE:
        raise Stop(Reason.SIGNATURE_STALE)
    signed = _bytes(f"{webhook_id}.{timestamp}.") + delivery.body
    entries = [_bytes(entry) for entry in signatures.split(" ")]
    found = False
    for key in keys:
        digest = hmac.digest(b64decode(key.reveal()), signed, sha256)
        expected = b"v1," + b64encode(digest)
        for entry in entries:
            found |= hmac.compare_digest(entry, expected)
    if not found:
        raise Stop(Reason.SIGNATURE_WRONG)


def _is_one_of(presented: str, tokens: Iterable[Secret]) -> bool:
    # Digests hide the length too; every token is compared, so the time tells nothing about which one was close.
    digest = sha256(_bytes(presented)).digest()
    found = False
    for token in tokens:
        found |= hmac.compare_digest(digest, sha256(_bytes(token.reveal())).digest())
    return found and presented != ""


def _bytes(text: str) -> bytes:
    # Headers may hold anything, lone surrogates included; configured tokens are ASCII, so such a value never matches.
    return text.encode("utf-8", "surrogatepass")
