"""Sign in at the model's provider: which variables Claude Code gets, and which are missing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from job import messages
from job.failures import Failure, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from job.inputs import Inputs

IDENTITY_TOKEN = "CLAUDE_IDENTITY_TOKEN"  # noqa: S105  the name that the component's id_tokens has

# Variables whose values are masked in the log and in artifacts.
SECRETS = (
    "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK",
    IDENTITY_TOKEN,
)  # fmt: skip

_GOOGLE_STS = "https://sts.googleapis.com/v1/token"
_GOOGLE_IAM = "https://iamcredentials.googleapis.com"
_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@._:/[]-")


def variables(
    inputs: Inputs, environment: Mapping[str, str], private: Path, sent: Mapping[str, object]
) -> dict[str, str]:
    """Return the variables that sign Claude Code in; raise Failure for the first that is missing.

    The identity token, and the file that points to it, are written into the folder `private`.
    `sent` is the model that the trigger function chose: provider, region, id.

    Sources: https://code.claude.com/docs/en/amazon-bedrock, …/google-vertex-ai and
    https://platform.claude.com/docs/en/manage-claude/workload-identity-federation
    """
    family = inputs.provider.partition("-")[0]
    chosen = sent if sent.get("provider") in (None, family) else {}
    region = inputs.region or _id(chosen.get("region"))
    model = inputs.model or _id(chosen.get("id")) or environment.get("ANTHROPIC_MODEL", "")
    if family != "anthropic" and not model:
        expected = messages.MODEL_EXPECTED.format(provider=family)
        raise Failure(Reason.INPUT_INVALID, name="model", expected=expected)
    headers = environment.get("ANTHROPIC_CUSTOM_HEADERS")
    return {
        **({"ANTHROPIC_CUSTOM_HEADERS": headers} if headers else {}),
        **({"ANTHROPIC_MODEL": model} if model else {}),
        **_PROVIDERS[inputs.provider](environment, private, region),
    }


def _anthropic(environment: Mapping[str, str], _private: Path, _region: str) -> dict[str, str]:
    if not environment.get("ANTHROPIC_AUTH_TOKEN"):
        _need(environment, "ANTHROPIC_API_KEY", messages.NO_CLAUDE_API)
    return _pick(environment, "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL")


def _anthropic_oidc(environment: Mapping[str, str], private: Path, _region: str) -> dict[str, str]:
    for name in ("ANTHROPIC_FEDERATION_RULE_ID", "ANTHROPIC_ORGANIZATION_ID"):
        _need(environment, name, messages.NO_EXCHANGE)
    found = _pick(
        environment,
        "ANTHROPIC_FEDERATION_RULE_ID",
        "ANTHROPIC_ORGANIZATION_ID",
        "ANTHROPIC_SERVICE_ACCOUNT_ID",
        "ANTHROPIC_WORKSPACE_ID",
        "ANTHROPIC_BASE_URL",
    )
    return {**found, "ANTHROPIC_IDENTITY_TOKEN_FILE": str(_token_file(environment, private))}


def _bedrock(environment: Mapping[str, str], private: Path, region: str) -> dict[str, str]:
    region = region or environment.get("AWS_REGION", "")
    if not region:
        expected = messages.AWS_REGION_EXPECTED
        raise Failure(Reason.INPUT_INVALID, name="region", expected=expected)
    found = {
        "CLAUDE_CODE_USE_BEDROCK": "1",
        "AWS_REGION": region,
        **_pick(environment, "ANTHROPIC_BEDROCK_BASE_URL", "AWS_ENDPOINT_URL_STS", "AWS_CA_BUNDLE"),
    }
    role = environment.get("AWS_ROLE_ARN") or environment.get("AWS_ROLE_TO_ASSUME")
    if role:
        project, job = environment.get("CI_PROJECT_ID", ""), environment.get("CI_JOB_ID", "")
        return {
            **found,
            "AWS_ROLE_ARN": role,
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(_token_file(environment, private)),
            "AWS_ROLE_SESSION_NAME": f"gitlab-{project}-{job}",
        }
    if environment.get("AWS_BEARER_TOKEN_BEDROCK"):
        return {**found, **_pick(environment, "AWS_BEARER_TOKEN_BEDROCK")}
    if not environment.get("AWS_ACCESS_KEY_ID"):
        _need(environment, "AWS_ROLE_ARN", messages.NO_BEDROCK)
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return {**found, **_pick(environment, *keys)}


def _vertex(environment: Mapping[str, str], private: Path, region: str) -> dict[str, str]:
    region = region or environment.get("CLOUD_ML_REGION", "")
    if not region:
        expected = messages.LOCATION_EXPECTED
        raise Failure(Reason.INPUT_INVALID, name="region", expected=expected)
    project = environment.get("ANTHROPIC_VERTEX_PROJECT_ID") or environment.get("GCP_PROJECT_ID")
    if not project:
        _need(environment, "GCP_PROJECT_ID", messages.NO_VERTEX)
    path = _write(private / "google.json", json.dumps(_external_account(environment, private)))
    return {
        "CLAUDE_CODE_USE_VERTEX": "1",
        "CLOUD_ML_REGION": region,
        "ANTHROPIC_VERTEX_PROJECT_ID": str(project),
        "GOOGLE_APPLICATION_CREDENTIALS": str(path),
        **_pick(environment, "ANTHROPIC_VERTEX_BASE_URL"),
    }


def _external_account(environment: Mapping[str, str], private: Path) -> dict[str, object]:
    """Return credentials whose subject token is read from a file.

    Source: https://google.aip.dev/auth/4117
    """
    name = "GCP_WORKLOAD_IDENTITY_PROVIDER"
    audience = _need(environment, name, messages.NO_VERTEX).removeprefix("https:")
    if not audience.startswith("//"):
        audience = f"//iam.googleapis.com/{audience.lstrip('/')}"
    account = _need(environment, "GCP_SERVICE_ACCOUNT", messages.NO_VERTEX)
    iam = environment.get("GCP_IAM_URL") or _GOOGLE_IAM
    path = f"v1/projects/-/serviceAccounts/{account}:generateAccessToken"
    token = {"file": str(_token_file(environment, private)), "format": {"type": "text"}}
    return {
        "type": "external_account",
        "audience": audience,
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": environment.get("GCP_STS_URL") or _GOOGLE_STS,
        "service_account_impersonation_url": f"{iam}/{path}",
        "credential_source": token,
    }


_PROVIDERS = {
    "anthropic": _anthropic,
    "anthropic-oidc": _anthropic_oidc,
    "bedrock": _bedrock,
    "vertex": _vertex,
}


def _need(environment: Mapping[str, str], name: str, purpose: str) -> str:
    value = environment.get(name, "").strip()
    # Where GitLab leaves a variable out, as it is protected and the branch is not, a reference to
    # it can stay as it was written.
    if not value or value == f"${name}":
        raise Failure(Reason.VARIABLE_MISSING, name=name, purpose=purpose)
    return value


def _token_file(environment: Mapping[str, str], private: Path) -> Path:
    token = environment.get(IDENTITY_TOKEN, "").strip()
    if not token:
        raise Failure(Reason.IDENTITY_TOKEN_MISSING, name=IDENTITY_TOKEN)
    return _write(private / "identity-token", token)  # without a newline: it would be sent along


def _write(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return path


def _pick(environment: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: environment[name].strip() for name in names if environment.get(name)}


def _id(value: object) -> str:
    """Return a region or model id that the trigger function sent, or "" if it looks like none."""
    known = isinstance(value, str) and set(value) <= _ID_CHARACTERS and not value.startswith("-")
    return str(value) if known else ""
