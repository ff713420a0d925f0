"""Exchange GitLab's identity token for a short-lived credential, so that Claude never has it."""

from __future__ import annotations

import base64
import json
import re
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT = 20.0  # seconds
_LONGEST_ANSWER = 100_000  # bytes
_SHOWN = 500  # characters of the provider's own words
_NOTHING = "no credential in the answer"
_FORM = "application/x-www-form-urlencoded"
_SHORTEST = 900  # seconds: AWS gives no shorter session
_GOOGLE_STS = "https://sts.googleapis.com/v1/token"
_GOOGLE_IAM = "https://iamcredentials.googleapis.com"
_GOOGLE_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_CLAUDE_API = "https://api.anthropic.com"
_ENTRA = "https://login.microsoftonline.com"
_AZURE_SCOPE = "https://cognitiveservices.azure.com/.default"  # the one Claude Code asks for
# What Anthropic's own clients send with the exchange, and with the token that it gives.
OAUTH = "oauth-2025-04-20"
_FEDERATION = f"{OAUTH},oidc-federation-2026-04-01"
_KEYS = {
    "AWS_ACCESS_KEY_ID": "AccessKeyId",
    "AWS_SECRET_ACCESS_KEY": "SecretAccessKey",
    "AWS_SESSION_TOKEN": "SessionToken",
}


class RefusedError(Exception):
    """What the provider said instead of giving a credential."""


class Login(NamedTuple):
    """GitLab's identity token, and the seconds that a run may take."""

    token: str
    seconds: float

    @property
    def lifetime(self) -> int:
        """Return the seconds that a credential should last; above 3600 a provider has to agree."""
        return max(_SHORTEST, int(self.seconds))


def claims(token: str) -> str:
    """Return what a provider compares of an identity token, and nothing else of it: aud, iss, sub.

    >>> claims("header.eyJhdWQiOiAiYSIsICJqdGkiOiAxfQ.signature")
    '{"aud": "a", "iss": null, "sub": null}'
    """
    try:
        payload = token.split(".")[1]
        told = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return json.dumps({name: told.get(name) for name in ("aud", "iss", "sub")})
    except (ValueError, LookupError, AttributeError):
        return "no claims"


def aws(login: Login, role: str, region: str, session: str, url: str) -> dict[str, str]:
    """Return the variables of a role's session credentials; raise RefusedError.

    `url` stands for the region's own endpoint. Source:
    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
    """
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    body = {
        "Action": "AssumeRoleWithWebIdentity",
        "Version": "2011-06-15",
        "RoleArn": role,
        "RoleSessionName": session,
        "WebIdentityToken": login.token,
        "DurationSeconds": str(login.lifetime),
    }
    answer = _post(url or f"https://sts.{region}.{domain}/", urlencode(body), _FORM)
    found = {name: re.search(f"<{key}>([^<]+)</{key}>", answer) for name, key in _KEYS.items()}
    values = {name: match[1] for name, match in found.items() if match}
    if len(values) < len(_KEYS):
        raise RefusedError(_NOTHING)
    return values


def google(login: Login, audience: str, account: str, sts: str, iam: str) -> str:
    """Return an access token of a service account; raise RefusedError.

    `sts` and `iam` stand for Google's own addresses. Sources:
    https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token and
    https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateAccessToken
    """
    exchanged = _json(
        sts or _GOOGLE_STS,
        {
            "grantType": "urn:ietf:params:oauth:grant-type:token-exchange",
            "audience": audience,
            "scope": _GOOGLE_SCOPE,
            "requestedTokenType": "urn:ietf:params:oauth:token-type:access_token",
            "subjectToken": login.token,
            "subjectTokenType": "urn:ietf:params:oauth:token-type:jwt",
        },
        {},
        "access_token",
    )
    url = f"{iam or _GOOGLE_IAM}/v1/projects/-/serviceAccounts/{account}:generateAccessToken"
    wanted = {"scope": [_GOOGLE_SCOPE], "lifetime": f"{login.lifetime}s"}
    return _json(url, wanted, {"Authorization": f"Bearer {exchanged}"}, "accessToken")


def anthropic(login: Login, named: Mapping[str, str], url: str) -> str:
    """Return a token of the Claude API, valid as the federation rule says; raise RefusedError.

    `named` has the fields `federation_rule_id`, `organization_id` and what else is known. Source:
    https://platform.claude.com/docs/en/manage-claude/wif-reference
    """
    body = {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": login.token,
        **named,
    }
    whole = f"{(url or _CLAUDE_API).rstrip('/')}/v1/oauth/token"
    return _json(whole, body, {"anthropic-beta": _FEDERATION}, "access_token")


def azure(login: Login, tenant: str, client: str, url: str) -> str:
    """Return an access token of an Entra application; raise RefusedError.

    It lives an hour or a little more, as Entra decides. `url` stands for Entra's own address.
    Source: the third case of
    https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
    """
    body = {
        "grant_type": "client_credentials",
        "client_id": client,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": login.token,
        "scope": _AZURE_SCOPE,
    }
    whole = f"{(url or _ENTRA).rstrip('/')}/{quote(tenant, safe='')}/oauth2/v2.0/token"
    return _field(_post(whole, urlencode(body), _FORM), "access_token")


def _json(url: str, body: Mapping[str, object], headers: Mapping[str, str], field: str) -> str:
    return _field(_post(url, json.dumps(body), "application/json", headers), field)


def _field(answer: str, field: str) -> str:
    try:
        return str(json.loads(answer)[field])
    except (ValueError, KeyError, TypeError):
        raise RefusedError(_NOTHING) from None


def _post(url: str, body: str, kind: str, headers: Mapping[str, str] | None = None) -> str:
    """Send a body and return the answer; no redirect is followed, the token would go along."""
    whole = {"Content-Type": kind, **(headers or {})}
    request = urllib.request.Request(url, body.encode(), whole)  # noqa: S310  ours, or a variable
    opener = urllib.request.build_opener(_NoRedirect)
    try:
        with opener.open(request, timeout=_TIMEOUT) as response:
            return str(response.read(_LONGEST_ANSWER).decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        said = f"{error.code}: {error.read(_SHOWN).decode('utf-8', 'replace')}"
        raise RefusedError(said) from None
    except (OSError, ValueError) as error:
        raise RefusedError(type(error).__name__) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """Follow none."""
