"""How a webhook's delivery travels: headers, body, signature; unsigned until `sign` is called."""
# ruff: noqa: TRY003  (the sentences are GitLab's)

import base64
import hashlib
import hmac
import json
import re
import uuid

from .records import Json
from .state import State
from .tables import VERSION

Headers = dict[str, str]
_VERSIONS = {"2023": "16.0.0", "18.1": "18.1.0"}
_LATER_HEADERS = {
    "2023": ("Idempotency-Key", "webhook-id", "webhook-timestamp"),
    "18.1": ("webhook-id", "webhook-timestamp"),
}
_SIGNING_TOKEN = re.compile(r"whsec_[A-Za-z0-9+/]{43}=")


def signing_key(token: object) -> bytes | None:
    """The 32 bytes behind a signing token; None for anything GitLab would not accept as one."""
    text = str(token)
    return base64.b64decode(text.removeprefix("whsec_")) if _SIGNING_TOKEN.fullmatch(text) else None


def sign(headers: Headers, body: bytes, token: str, now: float | None = None) -> Headers:
    """Return the headers with `webhook-signature` (Standard Webhooks, v1); `now` sets the timestamp
    anew first.
    """
    key = signing_key(token)
    if key is None:
        raise ValueError("a signing token is whsec_ and 32 bytes in base64")
    stamped = headers if now is None else {**headers, "webhook-timestamp": str(int(now))}
    signed = f"{stamped['webhook-id']}.{stamped['webhook-timestamp']}.".encode() + body
    signature = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return {**stamped, "webhook-signature": f"v1,{signature}"}


def with_token(headers: Headers, token: str) -> Headers:
    """Return the headers with the secret token, the older way to authenticate."""
    return {**headers, "X-Gitlab-Token": token}


def headers(
    state: State, event: str, *, webhook_id: str | None = None, vintage: str = "19"
) -> Headers:
    """What every delivery carries; the id stays the same when it is sent again, and GitLab before
    19.0 has none.
    """
    number = webhook_id or str(uuid.uuid4())
    found = {
        "Content-Type": "application/json",
        "User-Agent": f"GitLab/{_VERSIONS.get(vintage, VERSION)}",
        "Idempotency-Key": number,
        "webhook-id": number,
        "webhook-timestamp": str(int(state.clock())),
        "X-Gitlab-Event": event,
        "X-Gitlab-Webhook-UUID": str(uuid.uuid4()),
        "X-Gitlab-Event-UUID": str(uuid.uuid4()),
        "X-Gitlab-Instance": state.url,
    }
    return {
        name: value for name, value in found.items() if name not in _LATER_HEADERS.get(vintage, ())
    }


def minified(payload: Json) -> bytes:
    """As GitLab sends it: no blanks, UTF-8 as it is."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
