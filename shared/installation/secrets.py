"""The two secret documents and a value that cannot leak by accident. It reads no store itself."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, NamedTuple, NoReturn, TypeVar

from shared.outcome.reasons import Reason, Retry

Document = TypeVar("Document")

MAX_AGE = 300.0  # seconds a document is used without asking the store again
# Seconds before a mismatch may cause another read: forged deliveries must not cost a call each.
MIN_AGE = 30.0

# Names that a webhook's token is bound to: project ids, and paths of projects and groups in lower
# case; None stands for every project.
Names = tuple[str, ...] | None

_EVERY = "*"
_SHORTEST_KEY = 32  # characters of a signing key
# https://docs.gitlab.com/user/reserved_names/: what slugs are made of.
_OF_PATHS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_.-/")


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


class WebhookToken(Secret):
    """A webhook's token, its SHA-256, and the names of the projects that it may speak for."""

    __slots__ = ("digest", "names")

    def __init__(self, value: str, names: Names = None) -> None:
        """Keep the value and the names."""
        from hashlib import sha256  # noqa: PLC0415  not on the cold path: it loads OpenSSL

        super().__init__(value)
        self.digest, self.names = sha256(value.encode()).digest(), names


class SigningKey(WebhookToken):
    """A signing token's key in base64, and its HMAC-SHA256 of nothing yet: to be copied."""

    __slots__ = ("mac",)

    def __init__(self, value: str, names: Names = None) -> None:
        """Keep the value and the names."""
        import hmac  # noqa: PLC0415  not on the cold path: it loads OpenSSL
        from base64 import b64decode  # noqa: PLC0415

        super().__init__(value, names)
        # Copied it takes two thirds of the time of one made anew for each delivery.
        self.mac = hmac.new(b64decode(value), digestmod="sha256")


class WebhookSecrets(NamedTuple):
    """What `receive` needs: signing keys (base64) and secret tokens, several for rotation."""

    signing_keys: tuple[SigningKey, ...]
    secret_tokens: tuple[WebhookToken, ...]

    @classmethod
    def parse(cls, document: str) -> "WebhookSecrets":
        """Read `{"signing_tokens": ["whsec_…"], "secret_tokens": ["…"]}`; raise SecretError.

        An object instead of a list binds tokens to what they may speak for: a project by its id or
        path, all projects of a group by its path, or every project (`*`):
        `{"secret_tokens": {"group/app": "…", "77": ["…", "…"]}}`. `secret_token`, one string,
        counts as well, for every project: Secrets Manager can generate no list.
        """
        data = _object(
            document, "WEBHOOK_SECRETS", ("signing_tokens", "secret_tokens", "secret_token"), _once
        )
        data["secret_token"] = [data["secret_token"]] if "secret_token" in data else []
        signing = tuple(
            SigningKey(_signing_key(token), names)
            for token, names in _tokens(data, "signing_tokens")
        )
        tokens = tuple(
            WebhookToken(token, names)
            for key in ("secret_tokens", "secret_token")
            for token, names in _tokens(data, key)
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

    Trigger tokens stand under a project's id, its path, or `*` for all others. A proxy that asks
    who comes is told the name and password of `proxy_login`, with a colon between them. The first
    of the signing keys seals what a job is asked; the others are of earlier times.
    """

    api_token: Secret
    trigger_tokens: Mapping[str, Secret]
    proxy_login: Secret | None = None
    signing_keys: tuple[Secret, ...] = ()

    @classmethod
    def parse(cls, document: str) -> "GitLabSecrets":
        """Read `{"api_token": "…", "trigger_tokens": {"*": "glptt-…"}}`; raise SecretError.

        Both are required; `"proxy_login": "name:password"` may follow, and a list, `signing_keys`.
        """
        names = ("api_token", "trigger_tokens", "proxy_login", "signing_keys")
        data = _object(document, "GITLAB_SECRETS", names)
        login = data.get("proxy_login")
        if login is not None and not (_is_token(login) and ":" in str(login)):
            message = "GITLAB_SECRETS: proxy_login must be name:password, of printable ASCII"
            raise SecretError(message)
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
        by_project = {key: Secret(value) for key, value in tokens.items()}
        keys = _signing_keys(data.get("signing_keys", []))
        return cls(Secret(api_token), by_project, Secret(str(login)) if login else None, keys)

    def sealed(self, body: dict[str, object]) -> dict[str, object]:
        """Return a trigger call's body whose `ai_flow` is sealed, if there is a key."""
        from shared.contract import provenance  # noqa: PLC0415  not on the cold path

        flow = body["ai_flow"]
        if not self.signing_keys or not isinstance(flow, dict):
            return body
        made = provenance.seal(self.signing_keys[0].reveal(), flow)
        return body | {"ai_flow": flow | {provenance.SEAL: made}}

    def nonce(self, seed: str) -> str:
        """Return 32 hex digits that only a holder of the API token can make of a seed."""
        import hmac  # noqa: PLC0415  not on the cold path

        key = self.api_token.reveal().encode()
        return hmac.new(key, seed.encode(), "sha256").hexdigest()[:32]

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


def speaks_for(names: Names, project_id: int, project_path: str) -> bool:
    """Tell whether a token bound to these names may speak for a project.

    A name of digits is an id, never a group's path; any other is the project's path or that of one
    of its groups. GitLab tells no paths apart by case (`uniqueness` in its app/models/route.rb).

    >>> speaks_for(("group", "77"), 7, "Group/sub/app"), speaks_for(("group",), 7, "groupie/app")
    (True, False)
    >>> speaks_for(("77",), 77, ""), speaks_for(("77",), 7, "77/app"), speaks_for(None, 7, "")
    (True, False, True)
    """
    if names is None:
        return True
    path = project_path.lower()
    return str(project_id) in names or any(
        path == name or path.startswith(f"{name}/") for name in names if not name.isdigit()
    )


def _object(
    document: str,
    name: str,
    keys: tuple[str, ...],
    made_of: Callable[[list[tuple[str, object]]], dict[str, object]] = dict,
) -> dict[str, object]:
    try:
        data = json.loads(document, object_pairs_hook=made_of)
    except SecretError:
        raise
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


def _signing_keys(given: object) -> tuple[Secret, ...]:
    keys = given if isinstance(given, list) else [None]
    if not all(_is_token(key) and len(str(key)) >= _SHORTEST_KEY for key in keys):
        message = (
            "GITLAB_SECRETS: signing_keys must be a list of texts of 32 or more characters,"
            " made at random"
        )
        raise SecretError(message)
    return tuple(Secret(str(key)) for key in keys)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    # JSON lets a name come twice, and the last one would silently win.
    if len({name.lower() for name, _ in pairs}) < len(pairs):
        message = (
            "WEBHOOK_SECRETS holds a name twice (case does not count): "
            "give each project one entry, with all its tokens in a list"
        )
        raise SecretError(message)
    return dict(pairs)


def _tokens(data: dict[str, object], key: str) -> Iterator[tuple[str, Names]]:
    """Yield each token under a key, and what it is bound to."""
    given = data.get(key, [])
    if not isinstance(given, dict):
        yield from ((token, None) for token in _strings(given, key))
        return
    for name, value in given.items():
        names = _names(name, key)
        tokens = _strings([value] if isinstance(value, str) else value, key)
        if not tokens:
            message = (
                f"WEBHOOK_SECRETS: a project under {key} has no token: give it one, or remove it"
            )
            raise SecretError(message)
        yield from ((token, names) for token in tokens)


def _names(name: str, key: str) -> Names:
    path = name.lower()
    digits_of_no_id = path.isdigit() and path.startswith("0")
    sound = _OF_PATHS.issuperset(path) and all(path.split("/")) and not digits_of_no_id
    # A token that stands where its project should would bind nothing.
    if name != _EVERY and (not sound or path.startswith("whsec_")):
        message = (
            f"WEBHOOK_SECRETS: a name under {key} must be a project's id, the full path of a "
            "project or group without a slash at either end, or * for every project"
        )
        raise SecretError(message)
    return None if name == _EVERY else (path,)


def _strings(values: object, key: str) -> list[str]:
    if not isinstance(values, list) or not all(map(_is_token, values)):
        message = (
            f"WEBHOOK_SECRETS: {key} must be a list of non-empty printable ASCII strings, "
            "or an object of such lists (or of single strings) by project"
        )
        raise SecretError(message)
    return values


def _signing_key(token: str) -> str:
    from base64 import b64decode  # noqa: PLC0415  not on the cold path

    # GitLab: whsec_ + base64 of 32 bytes; Standard Webhooks: 24 to 64 bytes, the prefix optional.
    key = token.removeprefix("whsec_")
    try:
        size = len(b64decode(key, validate=True))
    except ValueError:  # binascii's Error is one
        size = 0
    if not 24 <= size <= 64:  # noqa: PLR2004
        message = (
            "WEBHOOK_SECRETS: signing_tokens must be whsec_ and the base64 of 24 to 64 bytes, as"
            " GitLab shows them"
        )
        raise SecretError(message)
    return key
