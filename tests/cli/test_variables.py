"""The job's variables come from the deployed cloud or the settings file, and are renewed."""

from collections.abc import Mapping
from typing import Any

import pytest

from cli import local
from tests.support.operator_scene import Scene

ROLE = "arn:aws:iam::123456789012:role/claude-job"
VERTEX = {
    "GCP_WORKLOAD_IDENTITY_PROVIDER": "projects/1/locations/global/workloadIdentityPools/g/providers/c",
    "GCP_SERVICE_ACCOUNT": "claude-job@p.iam.gserviceaccount.com",
    "GCP_PROJECT_ID": "my-project",
}
BEDROCK = {
    "MODEL_PROVIDER": "bedrock",
    "MODEL_REGION": "eu-central-1",
    "MODEL": "eu.anthropic.claude-opus-5-5",
}
ON_VERTEX = {"MODEL_PROVIDER": "vertex", "MODEL_REGION": "eu", "MODEL": "claude-opus-5-5"}


def chosen(stage: Scene, **lines: str) -> None:
    stage.settings(URL=stage.read()["URL"], **lines)


def values(stage: Scene) -> dict[str, Any]:
    known: Mapping[str, Any] = stage.gitlab.ci_variables[7]
    return {name: each["value"] for name, each in known.items() if not each["hidden"]}


def test_a_model_of_a_cloud_asks_for_no_key(stage: Scene) -> None:
    stage.settings(
        URL=stage.read()["URL"], MODEL_PROVIDER="vertex", MODEL_REGION="eu", MODEL="claude-opus-5-5"
    )
    shown = stage.setup()
    assert "the job's variables for vertex are yours to set: docs/vertex.md" in shown
    assert list(stage.gitlab.ci_variables[7]) == ["GITLAB_ACCESS_TOKEN"]
    assert "provider: vertex" in stage.gitlab.files[7, "claude-setup"][".gitlab-ci.yml"]


@pytest.mark.parametrize(
    ("provider", "given"), [(BEDROCK, {"AWS_ROLE_TO_ASSUME": ROLE}), (ON_VERTEX, VERTEX)]
)
def test_what_the_settings_file_says_of_the_job_s_cloud_is_written(
    stage: Scene, provider: Mapping[str, str], given: Mapping[str, str]
) -> None:
    other = VERTEX | {"AWS_ROLE_TO_ASSUME": ROLE}
    chosen(stage, **provider, **other)
    shown = stage.setup()
    assert "yours to set" not in shown
    assert values(stage) == dict(given)
    assert all(each["protected"] for each in stage.gitlab.ci_variables[7].values())
    calls = len(stage.gitlab.calls)
    stage.setup()
    assert {call.method for call in stage.gitlab.calls[calls:]} == {"GET"}
    stage.merge()
    assert stage.findings() == []
    assert stage.run("remove", "--project", "7")[0] == 0
    assert not stage.gitlab.ci_variables[7]


def test_a_role_that_is_another_now_is_renewed_and_a_person_s_value_stays(
    stage: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployed = {"AWS_ROLE_TO_ASSUME": "arn:first", "AWS_REGION": "eu-central-1"}
    monkeypatch.setattr(local.Local, "job_variables", lambda _: deployed)
    chosen(stage, **BEDROCK)
    stage.setup()
    stage.gitlab.ci_variables[7]["AWS_REGION"] |= {"value": "us-east-1", "description": "ours"}
    deployed["AWS_ROLE_TO_ASSUME"] = ROLE
    assert "CI/CD variable AWS_ROLE_TO_ASSUME (protected)" in stage.setup()
    assert values(stage) == {"AWS_ROLE_TO_ASSUME": ROLE, "AWS_REGION": "us-east-1"}


def test_what_nobody_has_said_is_named(stage: Scene) -> None:
    chosen(stage, **ON_VERTEX, GCP_PROJECT_ID="my-project")
    missing = "GCP_WORKLOAD_IDENTITY_PROVIDER, GCP_SERVICE_ACCOUNT when it stands"
    assert missing in stage.setup()
    assert values(stage) == {"GCP_PROJECT_ID": "my-project"}
