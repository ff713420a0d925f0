"""Sign in at the model's provider: which variables Claude Code gets, and which are missing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from job import exchange, messages, refusals
from job.exchange import Login
from job.failures import Failure, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.inputs import Inputs
    from job.job_log import Log

# The names that the component's id_tokens have; the second is for the Claude API.
IDENTITY_TOKEN, API_IDENTITY_TOKEN = "CLAUDE_IDENTITY_TOKEN", "CLAUDE_API_IDENTITY_TOKEN"

# Variables whose values are masked in the log and in artifacts.
SECRETS = (
    "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS",
    "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_AWS_API_KEY",
    "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK",
    "ANTHROPIC_FOUNDRY_API_KEY", "ANTHROPIC_FOUNDRY_AUTH_TOKEN",
    IDENTITY_TOKEN, API_IDENTITY_TOKEN,
)  # fmt: skip

_HEADERS = "ANTHROPIC_CUSTOM_HEADERS"
_GOOGLE_PROJECT = re.compile(r"/projects/([a-z0-9-]+)/", re.ASCII)
_ID_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@._:/[]-")


def variables(
    inputs: Inputs, environment: Mapping[str, str], sent: Mapping[str, object], log: Log
) -> dict[str, str]:
    """Return the variables that sign Claude Code in; raise Failure for the first that is missing.

    GitLab's identity token is exchanged here, so that Claude gets what lasts no longer than a run.
    `sent` is the model that the trigger function chose: provider, region, id. What the provider
    says goes to the log, the credentials are hidden in it.

    Sources: https://code.claude.com/docs/en/authentication, …/llm-gateway, …/amazon-bedrock,
    …/google-vertex-ai, …/claude-platform-on-aws, …/microsoft-foundry and
    https://platform.claude.com/docs/en/manage-claude/workload-identity-federation
    """
    family = inputs.provider.partition("-")[0]
    chosen = sent if sent.get("provider") in (None, family) else {}
    region = inputs.region or _id(chosen.get("region"))
    model = inputs.model or _id(chosen.get("id")) or environment.get("ANTHROPIC_MODEL", "")
    if family != "anthropic" and not model:
        expected = messages.MODEL_EXPECTED.format(provider=family)
        raise Failure(Reason.INPUT_INVALID, name="model", expected=expected)
    seconds = inputs.timeout_minutes * 60
    try:
        found = _PROVIDERS[inputs.provider](environment, region, seconds)
    except exchange.RefusedError as error:
        log.line(messages.EXCHANGE_REFUSED.format(error=error))
        name = API_IDENTITY_TOKEN if inputs.provider == "anthropic-oidc" else IDENTITY_TOKEN
        log.line(messages.CLAIMS.format(claims=exchange.claims(environment[name])))
        raise refusals.exchange(str(error), inputs.provider) from None
    log.hide(*(found[name] for name in SECRETS if name in found))
    headers = [environment.get(_HEADERS, ""), found.pop(_HEADERS, "")]
    log.hide(headers[1].rpartition(" ")[2])
    return {
        **({_HEADERS: "\n".join(filter(None, headers))} if any(headers) else {}),
        **({"ANTHROPIC_MODEL": model} if model else {}),
        **found,
    }


def _anthropic(environment: Mapping[str, str], _region: str, _seconds: float) -> dict[str, str]:
    # A gateway's bearer token, a key, a subscription's token: the client takes the first it has.
    names = ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN")
    if not any(environment.get(name) for name in names):
        _need(environment, "ANTHROPIC_API_KEY", messages.NO_CLAUDE_API)
    return _pick(environment, *names, "ANTHROPIC_BASE_URL")


def _anthropic_oidc(environment: Mapping[str, str], _region: str, seconds: float) -> dict[str, str]:
    for name in ("ANTHROPIC_FEDERATION_RULE_ID", "ANTHROPIC_ORGANIZATION_ID"):
        _need(environment, name, messages.NO_EXCHANGE)
    fields = {
        "federation_rule_id": "ANTHROPIC_FEDERATION_RULE_ID",
        "organization_id": "ANTHROPIC_ORGANIZATION_ID",
        "service_account_id": "ANTHROPIC_SERVICE_ACCOUNT_ID",
        "workspace_id": "ANTHROPIC_WORKSPACE_ID",
    }
    named = {
        field: environment[name].strip() for field, name in fields.items() if environment.get(name)
    }
    found = _pick(environment, "ANTHROPIC_BASE_URL")
    token = exchange.anthropic(
        _login(environment, seconds, API_IDENTITY_TOKEN), named, found.get("ANTHROPIC_BASE_URL", "")
    )
    return {**found, "ANTHROPIC_AUTH_TOKEN": token, "ANTHROPIC_BETAS": exchange.OAUTH}


def _bedrock(environment: Mapping[str, str], region: str, seconds: float) -> dict[str, str]:
    found = {
        "CLAUDE_CODE_USE_BEDROCK": "1",
        **_pick(environment, "ANTHROPIC_BEDROCK_BASE_URL", "AWS_CA_BUNDLE"),
    }
    key, purpose = "AWS_BEARER_TOKEN_BEDROCK", messages.NO_BEDROCK
    return {**found, **_aws(environment, region, seconds, key, purpose)}


def _anthropic_aws(environment: Mapping[str, str], region: str, seconds: float) -> dict[str, str]:
    workspace = _need(environment, "ANTHROPIC_AWS_WORKSPACE_ID", messages.NO_CLAUDE_AWS)
    found = {
        "CLAUDE_CODE_USE_ANTHROPIC_AWS": "1",
        "ANTHROPIC_AWS_WORKSPACE_ID": workspace,
        **_pick(environment, "ANTHROPIC_AWS_BASE_URL", "AWS_CA_BUNDLE"),
    }
    key, purpose = "ANTHROPIC_AWS_API_KEY", messages.NO_CLAUDE_AWS
    return {**found, **_aws(environment, region, seconds, key, purpose)}


def _aws(
    environment: Mapping[str, str], region: str, seconds: float, key: str, purpose: str
) -> dict[str, str]:
    """Return the region and a role's session, else the key of that name, else access keys."""
    region = region or environment.get("AWS_REGION", "")
    if not region:
        expected = messages.AWS_REGION_EXPECTED
        raise Failure(Reason.INPUT_INVALID, name="region", expected=expected)
    found = {"AWS_REGION": region}
    role = environment.get("AWS_ROLE_ARN") or environment.get("AWS_ROLE_TO_ASSUME")
    if role:
        project, job = environment.get("CI_PROJECT_ID", ""), environment.get("CI_JOB_ID", "")
        name, url = f"gitlab-{project}-{job}", environment.get("AWS_ENDPOINT_URL_STS", "")
        login = _login(environment, seconds)
        return {**found, **exchange.aws(login, role.strip(), region, name, url)}
    if environment.get(key):
        return {**found, **_pick(environment, key)}
    if not environment.get("AWS_ACCESS_KEY_ID"):
        _need(environment, "AWS_ROLE_ARN", purpose)
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return {**found, **_pick(environment, *keys)}


def _vertex(environment: Mapping[str, str], region: str, seconds: float) -> dict[str, str]:
    region = region or environment.get("CLOUD_ML_REGION", "")
    if not region:
        expected = messages.LOCATION_EXPECTED
        raise Failure(Reason.INPUT_INVALID, name="region", expected=expected)
    name = "GCP_WORKLOAD_IDENTITY_PROVIDER"
    audience = _need(environment, name, messages.NO_VERTEX).removeprefix("https:")
    if not audience.startswith("//"):
        audience = f"//iam.googleapis.com/{audience.lstrip('/')}"
    project = environment.get("ANTHROPIC_VERTEX_PROJECT_ID") or environment.get("GCP_PROJECT_ID")
    if not project or project == "$GCP_PROJECT_ID":
        # The provider's resource name has the project's number, which Vertex AI takes as well:
        # https://cloud.google.com/resource-manager/docs/creating-managing-projects
        found = _GOOGLE_PROJECT.search(audience)
        project = found[1] if found else _need(environment, "GCP_PROJECT_ID", messages.NO_VERTEX)
    account = _need(environment, "GCP_SERVICE_ACCOUNT", messages.NO_VERTEX)
    token = exchange.google(
        _login(environment, seconds),
        audience,
        account,
        environment.get("GCP_STS_URL", ""),
        environment.get("GCP_IAM_URL", ""),
    )
    return {
        "CLAUDE_CODE_USE_VERTEX": "1",
        # The client takes a token that is ready as it does for a gateway: in a header.
        "CLAUDE_CODE_SKIP_VERTEX_AUTH": "1",
        _HEADERS: f"Authorization: Bearer {token}",
        "CLOUD_ML_REGION": region,
        "ANTHROPIC_VERTEX_PROJECT_ID": project.strip(),
        **_pick(environment, "ANTHROPIC_VERTEX_BASE_URL"),
    }


def _foundry(environment: Mapping[str, str], _region: str, seconds: float) -> dict[str, str]:
    found = {"CLAUDE_CODE_USE_FOUNDRY": "1", **_pick(environment, "ANTHROPIC_FOUNDRY_BASE_URL")}
    if "ANTHROPIC_FOUNDRY_BASE_URL" not in found:  # the client takes one or the other
        name = "ANTHROPIC_FOUNDRY_RESOURCE"
        found[name] = _need(environment, name, messages.NO_FOUNDRY)
    if environment.get("ANTHROPIC_FOUNDRY_API_KEY"):
        return {**found, **_pick(environment, "ANTHROPIC_FOUNDRY_API_KEY")}
    names = ("AZURE_TENANT_ID", "AZURE_CLIENT_ID")
    tenant, client = (_need(environment, name, messages.NO_FOUNDRY) for name in names)
    url = environment.get("AZURE_AUTHORITY_HOST", "")
    token = exchange.azure(_login(environment, seconds), tenant, client, url)
    return {**found, "ANTHROPIC_FOUNDRY_AUTH_TOKEN": token}


_PROVIDERS = {
    "anthropic": _anthropic,
    "anthropic-oidc": _anthropic_oidc,
    "anthropic-aws": _anthropic_aws,
    "bedrock": _bedrock,
    "vertex": _vertex,
    "foundry": _foundry,
}


def _need(environment: Mapping[str, str], name: str, purpose: str) -> str:
    value = environment.get(name, "").strip()
    # Where GitLab leaves a variable out, as it is protected and the branch is not, a reference to
    # it can stay as it was written.
    if not value or value == f"${name}":
        raise Failure(Reason.VARIABLE_MISSING, name=name, purpose=purpose)
    return value


def _login(environment: Mapping[str, str], seconds: float, name: str = IDENTITY_TOKEN) -> Login:
    token = environment.get(name, "").strip()
    if not token:
        raise Failure(Reason.IDENTITY_TOKEN_MISSING, name=name)
    return Login(token, seconds)


def _pick(environment: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: environment[name].strip() for name in names if environment.get(name)}


def _id(value: object) -> str:
    """Return a region or model id that the trigger function sent, or "" if it looks like none."""
    known = isinstance(value, str) and set(value) <= _ID_CHARACTERS and not value.startswith("-")
    return str(value) if known else ""
