"""Sign in at the model's provider: which variables Claude Code gets, and which are missing; it calls nobody."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from job.outcome import Ending, Failure

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from job.settings import Settings

IDENTITY_TOKEN = "CLAUDE_IDENTITY_TOKEN"  # noqa: S105  the name that the component's id_tokens gives it

# Secrets among them: they are masked in the log and in artifacts.
SECRETS = (
    "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS", "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK", IDENTITY_TOKEN,
)  # fmt: skip

_EVERYWHERE = ("ANTHROPIC_CUSTOM_HEADERS",)
_GOOGLE_STS = "https://sts.googleapis.com/v1/token"
_GOOGLE_IAM = "https://iamcredentials.googleapis.com"


def environment(
    settings: Settings, given: Mapping[str, str], private: Path, sent: Mapping[str, object]
) -> dict[str, str]:
    """Return the variables that sign Claude Code in; write the identity token and what points to it into `private`.

    Sources: https://code.claude.com/docs/en/amazon-bedrock, …/google-vertex-ai and
    https://platform.claude.com/docs/en/manage-claude/workload-identity-federation
    """
    family = settings.provider.partition("-")[0]
    ours = sent if sent.get("provider") in (None, family) else {}
    region = settings.region or _word(ours.get("region"))
    model = settings.model or _word(ours.get("id")) or given.get("ANTHROPIC_MODEL", "")
    if family != "anthropic" and not model:
        raise Failure(
            Ending.INPUT_INVALID, name="model", expected=f"{family} needs a full model id"
        )
    found = {name: given[name] for name in _EVERYWHERE if given.get(name)}
    found |= {"ANTHROPIC_MODEL": model} if model else {}
    return found | _PROVIDERS[settings.provider](given, private, region)


def _anthropic(given: Mapping[str, str], _private: Path, _region: str) -> dict[str, str]:
    if not given.get("ANTHROPIC_AUTH_TOKEN"):
        _need(given, "ANTHROPIC_API_KEY", "Claude cannot be called")
    return _pick(given, "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL")


def _anthropic_oidc(given: Mapping[str, str], private: Path, _region: str) -> dict[str, str]:
    purpose = "GitLab's identity token cannot be exchanged for a Claude API token"
    for name in ("ANTHROPIC_FEDERATION_RULE_ID", "ANTHROPIC_ORGANIZATION_ID"):
        _need(given, name, purpose)
    return {
        **_pick(
            given, "ANTHROPIC_FEDERATION_RULE_ID", "ANTHROPIC_ORGANIZATION_ID", "ANTHROPIC_SERVICE_ACCOUNT_ID",
            "ANTHROPIC_WORKSPACE_ID", "ANTHROPIC_BASE_URL",
        ),
        "ANTHROPIC_IDENTITY_TOKEN_FILE": str(_token_file(given, private)),
    }  # fmt: skip


def _bedrock(given: Mapping[str, str], private: Path, region: str) -> dict[str, str]:
    region = region or given.get("AWS_REGION", "")
    if not region:
        raise Failure(Ending.INPUT_INVALID, name="region", expected="bedrock needs an AWS region")
    found = {
        "CLAUDE_CODE_USE_BEDROCK": "1",
        "AWS_REGION": region,
        **_pick(given, "ANTHROPIC_BEDROCK_BASE_URL", "AWS_ENDPOINT_URL_STS", "AWS_CA_BUNDLE"),
    }
    role = given.get("AWS_ROLE_ARN") or given.get("AWS_ROLE_TO_ASSUME")
    if role:
        session = f"gitlab-{given.get('CI_PROJECT_ID', '')}-{given.get('CI_JOB_ID', '')}"
        token = str(_token_file(given, private))
        return found | {
            "AWS_ROLE_ARN": role, "AWS_WEB_IDENTITY_TOKEN_FILE": token, "AWS_ROLE_SESSION_NAME": session,
        }  # fmt: skip
    if given.get("AWS_BEARER_TOKEN_BEDROCK"):
        return found | _pick(given, "AWS_BEARER_TOKEN_BEDROCK")
    if not given.get("AWS_ACCESS_KEY_ID"):
        _need(given, "AWS_ROLE_ARN", "Amazon Bedrock cannot be called")
    return found | _pick(given, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def _vertex(given: Mapping[str, str], private: Path, region: str) -> dict[str, str]:
    region = region or given.get("CLOUD_ML_REGION", "")
    if not region:
        raise Failure(
            Ending.INPUT_INVALID,
            name="region",
            expected="vertex needs a location such as global or eu",
        )
    purpose = "Vertex AI cannot be called"
    project = given.get("ANTHROPIC_VERTEX_PROJECT_ID") or given.get("GCP_PROJECT_ID")
    if not project:
        _need(given, "GCP_PROJECT_ID", purpose)
    audience = _need(given, "GCP_WORKLOAD_IDENTITY_PROVIDER", purpose).removeprefix("https:")
    account = _need(given, "GCP_SERVICE_ACCOUNT", purpose)
    iam = given.get("GCP_IAM_URL") or _GOOGLE_IAM
    # https://google.aip.dev/auth/4117: an external account whose subject token is read from a file.
    credentials = {
        "type": "external_account",
        "audience": audience
        if audience.startswith("//")
        else f"//iam.googleapis.com/{audience.lstrip('/')}",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": given.get("GCP_STS_URL") or _GOOGLE_STS,
        "service_account_impersonation_url": f"{iam}/v1/projects/-/serviceAccounts/{account}:generateAccessToken",
        "credential_source": {"file": str(_token_file(given, private)), "format": {"type": "text"}},
    }
    path = _write(private / "google.json", json.dumps(credentials))
    return {
        "CLAUDE_CODE_USE_VERTEX": "1",
        "CLOUD_ML_REGION": region,
        "ANTHROPIC_VERTEX_PROJECT_ID": str(project),
        "GOOGLE_APPLICATION_CREDENTIALS": str(path),
        **_pick(given, "ANTHROPIC_VERTEX_BASE_URL"),
    }


_PROVIDERS = {
    "anthropic": _anthropic,
    "anthropic-oidc": _anthropic_oidc,
    "bedrock": _bedrock,
    "vertex": _vertex,
}


def _need(given: Mapping[str, str], name: str, purpose: str) -> str:
    value = given.get(name, "").strip()
    # A variable that GitLab leaves out, as it is protected and the branch is not, stays as its own name in places.
    if not value or value == f"${name}":
        raise Failure(Ending.VARIABLE_MISSING, name=name, purpose=purpose)
    return value


def _token_file(given: Mapping[str, str], private: Path) -> Path:
    token = given.get(IDENTITY_TOKEN, "").strip()
    if not token:
        raise Failure(Ending.IDENTITY_TOKEN_MISSING, name=IDENTITY_TOKEN)
    return _write(private / "identity-token", token)  # without a line's end: it would be sent along


def _write(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return path


def _pick(given: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: given[name].strip() for name in names if given.get(name)}


def _word(value: object) -> str:
    """Return a region or model id that the trigger function sent, if it looks like one."""
    allowed = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@._:/[]-")
    return (
        value
        if isinstance(value, str) and set(value) <= allowed and not value.startswith("-")
        else ""
    )
