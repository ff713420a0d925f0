"""Signing in: each provider's variables, and the missing one named."""

import base64
import json
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qs

import pytest

from job.failures import Failure
from job.inputs import Inputs
from job.job_log import Log
from job.signin import API_IDENTITY_TOKEN, IDENTITY_TOKEN
from job.signin import variables as sign_in
from tests.support.job.model import AWS_KEYS, Model

TOKEN = {IDENTITY_TOKEN: "h.c.s\n", API_IDENTITY_TOKEN: "h.c.s"}
BEDROCK = Inputs(provider="bedrock", region="eu-central-1", model="eu.anthropic.claude-opus-5-5")
VERTEX = Inputs(provider="vertex", region="global", model="claude-opus-5-5")
PLATFORM = Inputs(provider="anthropic-aws", region="eu-west-1")
FOUNDRY = Inputs(provider="foundry", model="our-opus")
AZURE = {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client"}
GOOGLE = {
    "GCP_PROJECT_ID": "p",
    "GCP_WORKLOAD_IDENTITY_PROVIDER": "projects/1/providers/g",
    "GCP_SERVICE_ACCOUNT": "a@p",
}


@pytest.fixture
def provider() -> Iterator[Model]:
    with Model() as listening:
        yield listening


def variables(
    inputs: Inputs,
    environment: Mapping[str, str],
    sent: Mapping[str, object] | None = None,
    log: Log | None = None,
) -> dict[str, str]:
    silent = Log(lambda _: None, lambda: 0.0)
    return sign_in(inputs, environment, sent or {}, log or silent)


def test_an_api_key_is_all_the_claude_api_needs() -> None:
    found = variables(Inputs(), {"ANTHROPIC_API_KEY": "k", "AWS_ROLE_ARN": "r"})
    assert found == {"ANTHROPIC_API_KEY": "k"}


@pytest.mark.parametrize(
    "given",
    [
        {"CLAUDE_CODE_OAUTH_TOKEN": "sk-ant-oat01-seat"},
        {"ANTHROPIC_AUTH_TOKEN": "sk-gateway", "ANTHROPIC_BASE_URL": "https://llm.example.com"},
    ],
    ids=["a subscription's token", "a gateway"],
)
def test_the_claude_api_takes_other_credentials_than_a_key(given: dict[str, str]) -> None:
    assert variables(Inputs(), given | {"AWS_ROLE_ARN": "r"}) == given


def test_claude_platform_on_aws_gets_a_session_or_a_key_and_its_workspace(provider: Model) -> None:
    workspace = {"ANTHROPIC_AWS_WORKSPACE_ID": "wrkspc_1"}
    role = TOKEN | {"AWS_ROLE_ARN": "arn", "AWS_ENDPOINT_URL_STS": provider.url}
    found = variables(PLATFORM, workspace | role)
    expected = {"CLAUDE_CODE_USE_ANTHROPIC_AWS": "1", "AWS_REGION": "eu-west-1", **workspace}
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    assert found == expected | dict(zip(keys, AWS_KEYS[:3], strict=True))
    key = {"ANTHROPIC_AWS_API_KEY": "k", "ANTHROPIC_AWS_BASE_URL": "https://p"}
    assert variables(PLATFORM, workspace | key) == expected | key


def test_on_claude_platform_on_aws_the_trigger_function_s_model_fills_in() -> None:
    job = {"ANTHROPIC_AWS_WORKSPACE_ID": "wrkspc_1", "ANTHROPIC_AWS_API_KEY": "k"}
    sent = {"provider": "anthropic", "id": "claude-opus-5-5"}
    assert variables(PLATFORM, job, sent)["ANTHROPIC_MODEL"] == sent["id"]


def test_foundry_gets_a_token_of_the_application(provider: Model) -> None:
    at = {"AZURE_AUTHORITY_HOST": f"{provider.url}/", "ANTHROPIC_FOUNDRY_RESOURCE": "our-claude"}
    found = variables(FOUNDRY, TOKEN | AZURE | at)
    assert found == {
        "CLAUDE_CODE_USE_FOUNDRY": "1",
        "ANTHROPIC_FOUNDRY_RESOURCE": "our-claude",
        "ANTHROPIC_FOUNDRY_AUTH_TOKEN": "entra-token",
        "ANTHROPIC_MODEL": "our-opus",
    }
    (asked,) = provider.requests
    assert asked.path == "/tenant/oauth2/v2.0/token"
    fields = parse_qs(asked.text)
    assert fields["client_assertion"] == ["h.c.s"]
    assert fields["client_id"] == ["client"]
    assert fields["scope"] == ["https://cognitiveservices.azure.com/.default"]


def test_foundry_takes_a_key_and_an_address_of_its_own() -> None:
    given = {"ANTHROPIC_FOUNDRY_API_KEY": "k", "ANTHROPIC_FOUNDRY_BASE_URL": "https://gw/anthropic"}
    found = variables(FOUNDRY, given | AZURE | {"ANTHROPIC_FOUNDRY_RESOURCE": "our-claude"})
    chosen = {"CLAUDE_CODE_USE_FOUNDRY": "1", "ANTHROPIC_MODEL": "our-opus"}
    assert found == chosen | given


def test_bedrock_gets_a_session_of_the_role_as_long_as_the_run(provider: Model) -> None:
    job = {"AWS_ROLE_TO_ASSUME": "arn", "CI_PROJECT_ID": "7", "CI_JOB_ID": "9"}
    found = variables(BEDROCK, TOKEN | job | {"AWS_ENDPOINT_URL_STS": provider.url})
    assert (found["CLAUDE_CODE_USE_BEDROCK"], found["AWS_REGION"]) == ("1", "eu-central-1")
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    assert tuple(found[name] for name in names) == AWS_KEYS[:3]
    (asked,) = provider.requests
    fields = ("RoleArn=arn", "RoleSessionName=gitlab-7-9", "WebIdentityToken=h.c.s", "Seconds=1800")
    assert [field for field in fields if field not in asked.text] == []


def test_bedrock_takes_a_bearer_token_or_keys_where_there_is_no_role() -> None:
    bearer = {"AWS_BEARER_TOKEN_BEDROCK": "b"}
    assert variables(BEDROCK, bearer).items() >= bearer.items()
    keys = {"AWS_ACCESS_KEY_ID": "i", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
    assert variables(BEDROCK, keys).items() >= keys.items()


def google_at(provider: Model) -> dict[str, str]:
    at = {"GCP_STS_URL": f"{provider.url}/google/v1/token", "GCP_IAM_URL": f"{provider.url}/google"}
    return TOKEN | GOOGLE | at


def test_vertex_gets_an_access_token_of_the_service_account(provider: Model) -> None:
    found = variables(VERTEX, google_at(provider) | {"ANTHROPIC_CUSTOM_HEADERS": "x-team: a"})
    assert (found["CLAUDE_CODE_USE_VERTEX"], found["CLOUD_ML_REGION"]) == ("1", "global")
    assert found["ANTHROPIC_VERTEX_PROJECT_ID"] == "p"
    headers = "x-team: a\nAuthorization: Bearer google-token"
    assert found["ANTHROPIC_CUSTOM_HEADERS"] == headers
    exchanged, token = provider.requests
    assert exchanged.body["audience"] == "//iam.googleapis.com/projects/1/providers/g"
    assert exchanged.body["subjectToken"] == "h.c.s"
    assert token.path.endswith("/serviceAccounts/a@p:generateAccessToken")
    assert token.headers["authorization"] == "Bearer sts-token"
    assert token.body["lifetime"] == "1800s"


@pytest.mark.parametrize("project", ["", "$GCP_PROJECT_ID"])
def test_without_a_project_it_is_the_provider_s(provider: Model, project: str) -> None:
    found = variables(VERTEX, google_at(provider) | {"GCP_PROJECT_ID": project})
    assert found["ANTHROPIC_VERTEX_PROJECT_ID"] == "1"


def test_the_identity_token_never_reaches_claude_and_credentials_are_hidden(
    provider: Model,
) -> None:
    oidc = {
        "ANTHROPIC_FEDERATION_RULE_ID": "f",
        "ANTHROPIC_ORGANIZATION_ID": "o",
        "ANTHROPIC_BASE_URL": provider.url,
    }
    role = {"AWS_ROLE_ARN": "r", "AWS_ENDPOINT_URL_STS": provider.url}
    entra = AZURE | {"AZURE_AUTHORITY_HOST": provider.url}
    workspace, resource = {"ANTHROPIC_AWS_WORKSPACE_ID": "w"}, {"ANTHROPIC_FOUNDRY_RESOURCE": "r"}
    cases = [
        (BEDROCK, role, AWS_KEYS[1]),
        (VERTEX, google_at(provider), "google-token"),
        (Inputs(provider="anthropic-oidc"), oidc, "federated-token"),
        (PLATFORM, role | workspace, AWS_KEYS[1]),
        (FOUNDRY, entra | resource, "entra-token"),
        (Inputs(), {"CLAUDE_CODE_OAUTH_TOKEN": "canary-seat"}, "canary-seat"),
        (Inputs(), {"ANTHROPIC_AUTH_TOKEN": "canary-gateway"}, "canary-gateway"),
        (PLATFORM, {"ANTHROPIC_AWS_API_KEY": "canary-aws", **workspace}, "canary-aws"),
        (FOUNDRY, {"ANTHROPIC_FOUNDRY_API_KEY": "canary-azure", **resource}, "canary-azure"),
    ]
    for inputs, environment, secret in cases:
        lines: list[str] = []
        log = Log(lines.append, lambda: 0.0)
        found = variables(inputs, TOKEN | environment, log=log)
        assert "h.c.s" not in str(found)
        assert secret in str(found)
        log.line(secret)
        assert lines == ["[MASKED]\n"]


def test_a_provider_that_refuses_the_exchange_is_quoted_in_the_log(provider: Model) -> None:
    lines: list[str] = []
    log = Log(lines.append, lambda: 0.0)
    elsewhere = {"AWS_ROLE_ARN": "r", "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9"}
    refusing = google_at(provider) | {"GCP_STS_URL": f"{provider.url}/nowhere"}
    with pytest.raises(Failure, match="could not be reached"):
        variables(BEDROCK, TOKEN | elsewhere, log=log)
    with pytest.raises(Failure, match="did not accept the job's identity"):
        variables(VERTEX, refusing, log=log)
    assert "URLError" in lines[0]
    assert "404: " in lines[2]


def test_what_a_provider_compares_of_the_token_is_in_the_log_and_nothing_else(
    provider: Model,
) -> None:
    told = {
        "aud": "gitlab-claude-trigger",
        "iss": "https://gitlab.example.com",
        "sub": "project_path:g/p",
    }
    payload = base64.urlsafe_b64encode(json.dumps(told | {"user_email": "ada@x"}).encode()).decode()
    token = f"header.{payload.rstrip('=')}.canary-signature"
    lines: list[str] = []
    refusing = google_at(provider) | {"GCP_STS_URL": f"{provider.url}/no", IDENTITY_TOKEN: token}
    with pytest.raises(Failure):
        variables(VERTEX, refusing, log=Log(lines.append, lambda: 0.0))
    assert lines[1] == f"GitLab's identity token has {json.dumps(told)}\n"
    assert not [line for line in lines if "canary" in line or payload[:20] in line]


def test_region_and_model_of_the_trigger_function_fill_in(provider: Model) -> None:
    sent = {"provider": "bedrock", "region": "us-east-1", "id": "us.anthropic.claude-opus-5-5"}
    job = TOKEN | {"AWS_ROLE_ARN": "r", "AWS_ENDPOINT_URL_STS": provider.url}
    found = variables(Inputs(provider="bedrock"), job, sent)
    assert (found["AWS_REGION"], found["ANTHROPIC_MODEL"]) == (sent["region"], sent["id"])


@pytest.mark.parametrize(
    "sent",
    [
        {"provider": "bedrock", "region": "us-east-1", "id": "us.anthropic.claude-opus-5-5"},
        {"id": "--x $(id)"},
        {"id": "--x"},
        {"id": "x $(id)"},
        {"id": ["x"]},
    ],
)
def test_a_model_of_another_provider_or_shape_is_left_out(sent: dict[str, object]) -> None:
    key = {"ANTHROPIC_API_KEY": "k"}
    assert variables(Inputs(), key, sent) == key


@pytest.mark.parametrize(
    ("inputs", "environment", "name"),
    [
        (Inputs(), {}, "ANTHROPIC_API_KEY"),
        (
            Inputs(provider="anthropic-oidc"),
            {"ANTHROPIC_FEDERATION_RULE_ID": "f"},
            "ANTHROPIC_ORGANIZATION_ID",
        ),
        (BEDROCK, {}, "AWS_ROLE_ARN"),
        (BEDROCK, {"AWS_ROLE_ARN": "r"}, IDENTITY_TOKEN),
        (BEDROCK._replace(region=""), {"AWS_ROLE_ARN": "r"}, "region"),
        (BEDROCK._replace(model=""), {"AWS_ROLE_ARN": "r"}, "model"),
        (VERTEX, {}, "GCP_WORKLOAD_IDENTITY_PROVIDER"),
        (VERTEX, {"GCP_WORKLOAD_IDENTITY_PROVIDER": "pools/g"}, "GCP_PROJECT_ID"),
        (VERTEX, GOOGLE | {"GCP_SERVICE_ACCOUNT": "$GCP_SERVICE_ACCOUNT"}, "GCP_SERVICE_ACCOUNT"),
        (VERTEX._replace(region=""), GOOGLE, "region"),
        (PLATFORM, {"ANTHROPIC_AWS_API_KEY": "k"}, "ANTHROPIC_AWS_WORKSPACE_ID"),
        (PLATFORM, {"ANTHROPIC_AWS_WORKSPACE_ID": "w"}, "AWS_ROLE_ARN"),
        (PLATFORM._replace(region=""), {"ANTHROPIC_AWS_WORKSPACE_ID": "w"}, "region"),
        (FOUNDRY, AZURE, "ANTHROPIC_FOUNDRY_RESOURCE"),
        (FOUNDRY, {"ANTHROPIC_FOUNDRY_RESOURCE": "r"}, "AZURE_TENANT_ID"),
        (FOUNDRY, AZURE | {"ANTHROPIC_FOUNDRY_RESOURCE": "r"}, IDENTITY_TOKEN),
        (FOUNDRY._replace(model=""), {}, "model"),
    ],
)
def test_what_is_missing_is_named(inputs: Inputs, environment: dict[str, str], name: str) -> None:
    with pytest.raises(Failure) as failure:
        variables(inputs, environment)
    assert name in failure.value.text
