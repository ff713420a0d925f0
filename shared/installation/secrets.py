"""The two secret documents and a value that cannot leak by accident. It reads no store itself."""

import hmac
import json
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Generic, NamedTuple, NoReturn, TypeVar

from shared.outcome.reasons import Reason, Retry

Document = TypeVar("Document")

MAX_AGE = 300.0  # seconds a document is used without asking the store again
# Seconds before a mismatch may cause another read: forged deliveries must not cost a call each.
MIN_AGE = 30.0


class Secret:
    """A string that shows itself only through `reveal()`, not in logs, errors or comparisons."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Keep the value."""
        self._value = value

    def reveal(self) -> str:
        """Return the value, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        """Return a mask."""
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        """Return a mask in f-strings too."""
        return repr(self)

    def __eq__(self, other: object) -> NoReturn:
        """Refuse: `==` takes a time that depends on the value. Use `hmac.compare_digest`."""
        message = "a Secret is compared with hmac.compare_digest only"
        raise TypeError(message)

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled."""
        message = "a Secret is never serialised"
        raise TypeError(message)


class SecretError(ValueError):
    """A secret document is not as documented; the message names the place and never the content."""


class WebhookSecrets(NamedTuple):
    """What `receive` needs: signing keys (base64) and secret tokens, several for rotation."""

    signing_keys: tuple[Secret, ...]
    secret_tokens: tuple[Secret, ...]

    @classmethod
    def parse(cls, document: str) -> "WebhookSecrets":
        """Read `{"signing_tokens": ["whsec_…"], "secret_tokens": ["…"]}`; raise SecretError.

        `secret_token`, one string, counts as well: Secrets Manager can generate no list.
        """
        data = _object(
            document, "WEBHOOK_SECRETS", ("signing_tokens", "secret_tokens", "secret_token")
        )
        data["secret_token"] = [data["secret_token"]] if "secret_token" in data else []
        signing = tuple(Secret(_signing_key(t)) for t in _strings(data, "signing_tokens"))
        tokens = tuple(
            Secret(t) for key in ("secret_tokens", "secret_token") for t in _strings(data, key)
        )
        if not signing and not tokens:
            message = (
                "WEBHOOK_SECRETS holds no token: give signing_tokens or secret_tokens at least one"
                " entry"
            )
            raise SecretError(message)
        return cls(signing, tokens)


class GitLabSecrets(NamedTuple):
    """What `dispatch` needs: a token for GitLab's API, and pipeline trigger tokens.

    Trigger tokens stand under a project's id, its path, or `*` for all others.
    """

    api_token: Secret
    trigger_tokens: Mapping[str, Secret]

    @classmethod
    def parse(cls, document: str) -> "GitLabSecrets":
        """Read `{"api_token": "…", "trigger_tokens": {"*": "glptt-…"}}`; raise SecretError.

        Both are required.
        """
        data = _object(document, "GITLAB_SECRETS", ("api_token", "trigger_tokens"))
        api_token, tokens = data.get("api_token"), data.get("trigger_tokens")
        if not isinstance(api_token, str) or not _is_token(api_token):
            message = (
                "GITLAB_SECRETS: api_token must be a non-empty string: without it nobody can be"
                " authorised"
            )
            raise SecretError(message)
        if not isinstance(tokens, dict) or not tokens or not all(map(_is_token, tokens.values())):
            message = (
                "GITLAB_SECRETS: trigger_tokens must be an object with at least one token:"
                ' {"*": "glptt-…"}'
            )
            raise SecretError(message)
        return cls(Secret(api_token), {key: Secret(value) for key, value in tokens.items()})

    def nonce(self, seed: str) -> str:
        """Return 32 hex digits that only a holder of the API token can make of a seed."""
        key = self.api_token.reveal().encode()
        return hmac.new(key, seed.encode(), sha256).hexdigest()[:32]

    def trigger_token(self, project_id: int, project_path: str) -> Secret | None:
        """Return the token for the project: by id, by path, or the one under `*`."""
        keys = (str(project_id), project_path, "*")
        return next((self.trigger_tokens[key] for key in keys if key in self.trigger_tokens), None)


class Cached(Generic[Document]):
    """A document kept for MAX_AGE.

    A failed read is never kept, and does not take away the copy at hand.
    """

    def __init__(
        self, read: Callable[[], str], parse: Callable[[str], Document], now: Callable[[], float]
    ) -> None:
        """Take how to read the store, how to understand it, and the clock (seconds)."""
        self._read, self._parse, self._now = read, parse, now
        self._document: Document | None = None
        self._read_at = self._tried_at = 0.0

    def get(self, *, fresh: bool = False) -> Document:
        """Return the document.

        `fresh`, after a mismatch, asks the store again once MIN_AGE has passed.
        Raises Retry(SECRETS_UNAVAILABLE) when there is no copy and the store gives none.
        """
        now = self._now()
        current = now - self._read_at < (MIN_AGE if fresh else MAX_AGE)
        if self._document is not None and (current or now - self._tried_at < MIN_AGE):
            return self._document
        self._tried_at = now
        try:
            self._document = self._parse(self._read())
        except Exception as error:  # noqa: BLE001
            # The store's own error may quote what it holds: only its class goes on.
            if self._document is None:
                raise Retry(Reason.SECRETS_UNAVAILABLE) from _Unreadable(error)
            return self._document
        self._read_at = now
        return self._document


class _Unreadable(Exception):
    """Why a store gave no document: our own message, or the class of a foreign error."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error) if isinstance(error, SecretError) else type(error).__name__)


def _object(document: str, name: str, keys: tuple[str, ...]) -> dict[str, object]:
    try:
        data = json.loads(document)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        message = f"{name} must be a JSON object with {' and '.join(keys)}"
        raise SecretError(message)
    unknown = sorted(set(data) - set(keys))
    if unknown:
        message = f"{name} knows {' and '.join(keys)} only; {len(unknown)} other name(s) found"
        raise SecretError(message)
    return data


def _is_token(value: object) -> bool:
    # Header values are printable ASCII, and GitLab's tokens are too.
    return (
        isinstance(value, str)
        and value.isascii()
        and value.isprintable()
        and value.strip() == value != ""
    )


def _strings(data: dict[str, object], key: str) -> list[str]:
    values = data.get(key, [])
    if not isinstance(values, list) or not all(map(_is_token, values)):
        message = f"WEBHOOK_SECRETS: {key} must be a list of non-empty printable ASCII strings"
        raise SecretError(message)
    return values


def _signing_key(token: str) -> str:
    # GitLab: whsec_ + base64 of 32 bytes; Standard Webhooks: 24 to 64 bytes, the prefix optional.
    key = token.removeprefix("whsec_")
    try:
        size = len(b64decode(key, validate=True))
    except Base64Error:
        size = 0
    if not 24 <= size <= 64:  # noqa: PLR2004
        message = (
            "WEBHOOK_SECRETS: signing_tokens must be whsec_ and the base64 of 24 to 64 bytes, as"
            " GitLab shows them"
        )
        raise SecretError(message)
    return key
