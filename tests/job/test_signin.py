"""Signing in: each provider's variables, and the missing one named."""

import json
from pathlib import Path

import pytest

from job.failures import Failure
from job.inputs import Inputs
from job.signin import IDENTITY_TOKEN, variables

TOKEN = {IDENTITY_TOKEN: "h.c.s\n"}
BEDROCK = Inputs(provider="bedrock", region="eu-central-1", model="eu.anthropic.claude-opus-5-5")
VERTEX = Inputs(provider="vertex", region="global", model="claude-opus-5-5")
GOOGLE = {
    "GCP_PROJECT_ID": "p",
    "GCP_WORKLOAD_IDENTITY_PROVIDER": "projects/1/providers/g",
    "GCP_SERVICE_ACCOUNT": "a@p",
}


def test_an_api_key_is_all_the_claude_api_needs(tmp_path: Path) -> None:
    found = variables(Inputs(), {"ANTHROPIC_API_KEY": "k", "AWS_ROLE_ARN": "r"}, tmp_path, {})
    assert found == {"ANTHROPIC_API_KEY": "k"}


def test_bedrock_assumes_the_role_with_the_token_file(tmp_path: Path) -> None:
    job = {"AWS_ROLE_TO_ASSUME": "arn", "CI_PROJECT_ID": "7", "CI_JOB_ID": "9"}
    found = variables(BEDROCK, TOKEN | job, tmp_path, {})
    assert (found["CLAUDE_CODE_USE_BEDROCK"], found["AWS_REGION"]) == ("1", "eu-central-1")
    assert (found["AWS_ROLE_ARN"], found["AWS_ROLE_SESSION_NAME"]) == ("arn", "gitlab-7-9")
    file = Path(found["AWS_WEB_IDENTITY_TOKEN_FILE"])
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("h.c.s", 0o600)


def test_bedrock_takes_a_bearer_token_or_keys_where_there_is_no_role(tmp_path: Path) -> None:
    bearer = {"AWS_BEARER_TOKEN_BEDROCK": "b"}
    assert variables(BEDROCK, bearer, tmp_path, {}).items() >= bearer.items()
    keys = {"AWS_ACCESS_KEY_ID": "i", "AWS_SECRET_ACCESS_KEY": "s", "AWS_SESSION_TOKEN": "t"}
    assert variables(BEDROCK, keys, tmp_path, {}).items() >= keys.items()


def test_vertex_gets_an_external_account_that_reads_the_token_file(tmp_path: Path) -> None:
    found = variables(VERTEX, TOKEN | GOOGLE, tmp_path, {})
    assert (found["CLAUDE_CODE_USE_VERTEX"], found["CLOUD_ML_REGION"]) == ("1", "global")
    assert found["ANTHROPIC_VERTEX_PROJECT_ID"] == "p"
    account = json.loads(Path(found["GOOGLE_APPLICATION_CREDENTIALS"]).read_text())
    assert account["audience"] == "//iam.googleapis.com/projects/1/providers/g"
    assert account["token_url"] == "https://sts.googleapis.com/v1/token"
    impersonation = account["service_account_impersonation_url"]
    assert impersonation.startswith("https://iamcredentials.googleapis.com/")
    assert Path(account["credential_source"]["file"]).read_text() == "h.c.s"


def test_the_identity_token_itself_is_in_no_variable(tmp_path: Path) -> None:
    oidc = {"ANTHROPIC_FEDERATION_RULE_ID": "f", "ANTHROPIC_ORGANIZATION_ID": "o"}
    cases = [
        (BEDROCK, {"AWS_ROLE_ARN": "r"}),
        (VERTEX, GOOGLE),
        (Inputs(provider="anthropic-oidc"), oidc),
    ]
    for inputs, environment in cases:
        assert "h.c.s" not in str(variables(inputs, TOKEN | environment, tmp_path, {}).values())


def test_region_and_model_of_the_trigger_function_fill_in(tmp_path: Path) -> None:
    sent = {"provider": "bedrock", "region": "us-east-1", "id": "us.anthropic.claude-opus-5-5"}
    found = variables(Inputs(provider="bedrock"), TOKEN | {"AWS_ROLE_ARN": "r"}, tmp_path, sent)
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
def test_a_model_of_another_provider_or_shape_is_left_out(
    tmp_path: Path, sent: dict[str, object]
) -> None:
    key = {"ANTHROPIC_API_KEY": "k"}
    assert variables(Inputs(), key, tmp_path, sent) == key


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
        (VERTEX, {}, "GCP_PROJECT_ID"),
        (VERTEX, {"GCP_PROJECT_ID": "p"}, "GCP_WORKLOAD_IDENTITY_PROVIDER"),
        (VERTEX, GOOGLE | {"GCP_SERVICE_ACCOUNT": "$GCP_SERVICE_ACCOUNT"}, "GCP_SERVICE_ACCOUNT"),
        (VERTEX._replace(region=""), GOOGLE, "region"),
    ],
)
def test_what_is_missing_is_named(
    tmp_path: Path, inputs: Inputs, environment: dict[str, str], name: str
) -> None:
    with pytest.raises(Failure) as failure:
        variables(inputs, environment, tmp_path, {})
    assert name in failure.value.text
