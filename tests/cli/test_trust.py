"""Trust policies and providers as the descriptors make them fit; each way to be wrong is named."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from cli import trust

URL = "https://gitlab.com"
PROJECT = {"id": 7, "path_with_namespace": "group/app", "default_branch": "main"}
PROVIDER = "arn:aws:iam::123456789012:oidc-provider/gitlab.com"
SUB = "project_path:group/app:ref_type:branch:ref:main"
Json = dict[str, Any]


def role(**conditions: object) -> Json:
    asked = {"aud": "gitlab-claude-trigger", "sub": [SUB, "project_path:group/web:x"]}
    asked |= {"project_id": ["7", "8"], "ref_protected": "true", "pipeline_source": "trigger"}
    claims = {k: v for k, v in (asked | conditions).items() if v is not None}
    equal = {f"gitlab.com:{name}": value for name, value in claims.items()}
    statement = {
        "Effect": "Allow",
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Principal": {"Federated": PROVIDER},
        "Condition": {"StringEquals": equal},
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def names(document: Json, url: str = URL) -> list[str]:
    return [each.check for each in trust.of_role(document, url, PROJECT)]


def test_the_stack_s_role_and_a_role_of_several_statements_fit() -> None:
    assert names(role()) == []
    several = role(sub="project_path:others/app:ref_type:branch:ref:main")
    several["Statement"] += role()["Statement"]
    assert names(several) == []
    like = role(sub=None)
    pattern = {"gitlab.com:sub": "project_path:group/*:ref_type:branch:ref:main"}
    like["Statement"][0]["Condition"]["StringLike"] = pattern
    assert names(like) == []


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (role(aud="https://gitlab.com"), ["job_aud"]),
        (role(sub="project_path:group/app:ref_type:branch:ref:master"), ["job_sub"]),
        (role(sub="project_path:group/[a]pp:ref_type:branch:ref:main"), ["job_sub"]),
        (role(project_id="8"), ["job_project_id"]),
        (role(pipeline_source="push"), ["job_pipeline_source"]),
        (role(sub=None, project_id=None), ["job_trust_open"]),
        ({"Statement": []}, ["job_issuer"]),
        ({}, ["job_issuer"]),
    ],
)
def test_a_role_that_keeps_the_job_out_or_lets_all_in_is_named(
    document: Json, found: list[str]
) -> None:
    assert names(document) == found


def test_a_role_of_another_gitlab_is_named() -> None:
    assert names(role(), "https://gitlab.example.com") == ["job_issuer"]


def test_iam_s_provider_needs_our_audience_and_no_thumbprint() -> None:
    def look(provider: Json | None) -> list[str]:
        return [each.check for each in trust.of_oidc_provider(provider, URL)]

    assert look({"Url": "gitlab.com", "ClientIDList": ["x", "gitlab-claude-trigger"]}) == []
    assert look({"Url": "gitlab.com", "ClientIDList": ["https://gitlab.com"]}) == ["job_aud"]
    assert look({"Url": "git.example.com", "ClientIDList": []}) == ["job_issuer"]
    assert look(None) == ["job_provider"]


POOL = "principalSet://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/gitlab"
FEDERATION: Json = {
    "state": "ACTIVE",
    "oidc": {"issuerUri": URL, "allowedAudiences": ["gitlab-claude-trigger"]},
    "attributeCondition": 'assertion.project_id in ["7", "8"] && assertion.ref_protected == "true"',
}
POLICY: Json = {
    "bindings": [
        {
            "role": "roles/iam.workloadIdentityUser",
            "members": [f"{POOL}/attribute.project_id/{each}" for each in (7, 8)],
        }
    ]
}


def pooled(provider: Json = FEDERATION, policy: Json = POLICY) -> list[str]:
    return [each.check for each in trust.of_pool(provider, policy, URL, PROJECT)]


def test_the_bootstrap_s_provider_and_one_by_hand_fit() -> None:
    assert pooled() == []
    by_hand = FEDERATION | {"attributeCondition": "assertion.project_id=='7' && true"}
    by_hand["oidc"] = by_hand["oidc"] | {"issuerUri": f"{URL}/"}
    assert pooled(by_hand) == []
    assert pooled(FEDERATION | {"attributeCondition": "assertion.namespace_id == '3'"}) == []
    whole = copy.deepcopy(POLICY)
    whole["bindings"][0]["members"] = [f"{POOL}/*"]
    assert pooled(policy=whole) == []


@pytest.mark.parametrize(
    ("breaks", "found"),
    [
        (lambda p, _: p.update(disabled=True), "job_provider"),
        (lambda p, _: p.update(state="DELETED"), "job_provider"),
        (lambda p, _: p["oidc"].update(issuerUri="https://git.example.com"), "job_issuer"),
        (lambda p, _: p["oidc"].update(allowedAudiences=[URL]), "job_aud"),
        (lambda p, _: p.update(attributeCondition='assertion.project_id in ["8"]'), "job_project_id"),
        (lambda _, q: q["bindings"][0]["members"].pop(0), "job_account"),
        (lambda _, q: q.clear(), "job_account"),
    ],
)  # fmt: skip
def test_a_provider_that_keeps_the_job_out_is_named(
    breaks: Callable[[Json, Json], object], found: str
) -> None:
    provider, policy = copy.deepcopy(FEDERATION), copy.deepcopy(POLICY)
    breaks(provider, policy)
    assert pooled(provider, policy) == [found]
