"""One HTTP request of a GitLab webhook, and whether GitLab sent it. The content is not read."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from shared.installation.secrets import Names, SigningKey, WebhookSecrets, WebhookToken
from shared.outcome.reasons import Reason, Stop

# Seconds a signature's time may differ from ours, both ways, as in the Standard Webhooks libraries.
TOLERANCE = 300
MAX_BODY = 25 * 1024 * 1024  # bytes: GitLab's own limit (REQUEST_BODY_SIZE_LIMIT)

_MAX_DIGITS = 12  # of a time in Unix seconds


class Delivery(NamedTuple):
    """A request as it came: upper-case method, header values under lower-case names, raw body."""

    method: str
    headers: Mapping[str, str]
    body: bytes


class VerifiedDelivery(NamedTuple):
    """The body of a delivery that GitLab sent: the only thing an event is read from.

    `names` are what the tokens that it came with are bound to; None speaks for every project.
    """

    body: bytes
    names: Names = None


def has_credentials(delivery: Delivery) -> bool:
    """Tell whether the delivery claims to be from GitLab at all, before any secret is read."""
    return bool(delivery.headers.get("webhook-signature") or delivery.headers.get("x-gitlab-token"))


def verify(delivery: Delivery, secrets: WebhookSecrets, now: float) -> VerifiedDelivery:
    """Return the body if a configured token signed it (or, with secret tokens only, came with it).

    `now` is in Unix seconds. Raises Stop with the reason. A configured signing token makes the
    signature required.
    Source: https://www.standardwebhooks.com and GitLab's app/services/web_hook_service.rb
    (`build_headers`).

    >>> secrets = WebhookSecrets.parse('{"secret_tokens": ["long-and-random"]}')
    >>> verify(Delivery("POST", {"x-gitlab-token": "long-and-random"}, b"{}"), secrets, now=0)
    VerifiedDelivery(body=b'{}', names=None)
    >>> verify(Delivery("POST", {"x-gitlab-token": "guess"}, b"{}"), secrets, now=0)
    Traceback (most recent call last):
    shared.outcome.reasons.Stop: token_wrong: The secret token is not one of the ...
    """
    matched: Sequence[WebhookToken]
    if secrets.signing_keys:
        matched = _signed_with(delivery, secrets.signing_keys, now)
    else:
        presented = delivery.headers.get("x-gitlab-token", "")
        matched = _came_with(presented, secrets.secret_tokens)
    return VerifiedDelivery(delivery.body, _names_of(matched))


def _names_of(matched: Sequence[WebhookToken]) -> Names:
    """Return what tokens may speak for together."""
    names = [token.names for token in matched]
    if None in names:
        return None
    return tuple(dict.fromkeys(name for each in names if each for name in each))


def _signed_with(delivery: Delivery, keys: Iterable[SigningKey], now: float) -> list[SigningKey]:
    """Return the keys that signed the delivery, at least one; raise Stop."""
    from base64 import b64encode  # noqa: PLC0415  not on the cold path
    from hmac import compare_digest  # noqa: PLC0415

    webhook_id = delivery.headers.get("webhook-id", "")
    timestamp = delivery.headers.get("webhook-timestamp", "")
    signatures = delivery.headers.get("webhook-signature", "")
    # A dot in the id would let one signature stand for two splits of id, time and body.
    id_is_sound = webhook_id and "." not in webhook_id
    if not (id_is_sound and signatures and _is_time(timestamp)):
        raise Stop(Reason.SIGNATURE_MISSING)
    if abs(int(now) - int(timestamp)) > TOLERANCE:
        raise Stop(Reason.SIGNATURE_STALE)
    begins = _bytes(f"{webhook_id}.{timestamp}.")
    entries = [_bytes(entry) for entry in signatures.split(" ")]
    matched = []
    for key in keys:
        mac = key.mac.copy()
        mac.update(begins)
        mac.update(delivery.body)
        expected = b"v1," + b64encode(mac.digest())
        found = False
        for entry in entries:
            found |= compare_digest(entry, expected)
        if found:
            matched.append(key)
    if not matched:
        raise Stop(Reason.SIGNATURE_WRONG)
    return matched


def _is_time(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


def _came_with(presented: str, tokens: Iterable[WebhookToken]) -> list[WebhookToken]:
    """Return the tokens that were presented, at least one; raise Stop."""
    from hashlib import sha256  # noqa: PLC0415  not on the cold path
    from hmac import compare_digest  # noqa: PLC0415

    # Digests hide the length too; every token is compared, so that the time tells nothing about
    # which one was close.
    digest = sha256(_bytes(presented)).digest()
    matched = [token for token in tokens if compare_digest(digest, token.digest)]
    if not matched or presented == "":
        raise Stop(Reason.TOKEN_WRONG)
    return matched


def _bytes(text: str) -> bytes:
    # Headers may hold anything, lone surrogates included; configured tokens are ASCII, so that such
    # a value never matches.
    return text.encode("utf-8", "surrogatepass")
