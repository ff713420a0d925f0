"""The secrets of the tests in every spelling in which they could leak, and who looks for them."""

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote

from tests.support.fakes import API_TOKEN, SECRET_TOKEN, SIGNING_TOKEN, TRIGGER_TOKEN

SECRETS = (API_TOKEN, SECRET_TOKEN, SIGNING_TOKEN, TRIGGER_TOKEN)


def spellings(secret: str) -> set[str]:
    """Return the secret raw, as base64 at its three alignments, URL-encoded, in JSON, in halves."""
    encoded = {
        base64.b64encode(b"x" * shift + secret.encode()).decode()[4:-4] for shift in range(3)
    }
    middle = len(secret) // 2
    return encoded | {
        secret,
        quote(secret, safe=""),
        json.dumps(secret)[1:-1],
        secret[:middle],
        secret[middle:],
    }


def found_in(text: str, secrets: Iterable[str] = SECRETS) -> list[str]:
    """Return the spellings of secrets that a text holds."""
    return [spelling for secret in secrets for spelling in spellings(secret) if spelling in text]
