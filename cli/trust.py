"""Whether a cloud takes the job's identity token, by what its provider and role say: no I/O.

The claims are GitLab's (https://docs.gitlab.com/ci/secrets/id_token_authentication/); a job runs on
the default branch, in a pipeline that a trigger started (template.yaml, deploy/bootstrap-gcp.sh).
"""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from cli.installation import Finding
from shared.outcome.reasons import Reason

AUDIENCE = "gitlab-claude-trigger"
_ASSUME = "sts:AssumeRoleWithWebIdentity"
_PROJECT_IDS = re.compile(r"assertion\.project_id\s*(?:==|in)\s*(\[[^\]]*\]|'[^']*'|\"[^\"]*\")")
_QUOTED = re.compile(r"['\"]([^'\"]*)['\"]")


def claims(project: Mapping[str, Any]) -> dict[str, str]:
    """Return what the identity token of a project's job says, as far as it is known beforehand."""
    path, branch = str(project["path_with_namespace"]), str(project.get("default_branch"))
    return {
        "aud": AUDIENCE,
        "sub": f"project_path:{path}:ref_type:branch:ref:{branch}",
        "project_id": str(project["id"]),
        "project_path": path,
        "ref": branch,
        "ref_type": "branch",
        "ref_protected": "true",
        "pipeline_source": "trigger",
    }


def of_role(document: Mapping[str, Any], url: str, project: Mapping[str, Any]) -> Iterator[Finding]:
    """Look at an AWS role's trust policy.

    An Allow statement fits where each of its conditions on GitLab's claims does. Of one that does
    not, the first claim is told that keeps the job out; a statement without `sub` or `project_id`
    lets every project of that GitLab in.
    """
    host, expected = url.partition("://")[2], claims(project)
    cure = "Set JOB_PROJECTS (and JOB_PROJECT_IDS) to this project, then make deploy-aws."
    statements = [each for each in _listed(document.get("Statement")) if _assumes(each, host)]
    if not statements:
        yield _broken("job_issuer", f"the job's role trusts no identity token of {url}", cure)
    misfits = []
    for statement in statements:
        asked = dict(_asked(statement, host))
        if not {"sub", "project_id", "project_path"} & asked.keys():
            text = f"the job's role lets every project of {url} in"
            yield _broken("job_trust_open", text, cure)
        misfits.append([name for name in asked if not _fits(asked[name], expected.get(name))])
    if misfits and all(misfits):
        name = min(misfits, key=len)[0]
        text = f"the job's role does not take {name} {expected.get(name, '')} of this project"
        yield _broken(f"job_{name}", text, cure)


def of_oidc_provider(provider: Mapping[str, Any] | None, url: str) -> Iterator[Finding]:
    """Look at IAM's identity provider; none: it is gone. A thumbprint is not asked for.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetOpenIDConnectProvider.html
    """
    cure = "Run make deploy-aws, or add the audience to it in IAM: docs/bedrock.md"
    if provider is None:
        yield _broken("job_provider", "IAM has no identity provider for GitLab any more", cure)
    elif str(provider.get("Url", "")).removeprefix("https://") != url.partition("://")[2]:
        yield _broken("job_issuer", f"IAM's identity provider is not for {url}", cure)
    elif AUDIENCE not in provider.get("ClientIDList", []):
        yield _broken("job_aud", f"IAM's identity provider lacks the audience {AUDIENCE}", cure)


def of_pool(
    provider: Mapping[str, Any],
    policy: Mapping[str, Any],
    url: str,
    project: Mapping[str, Any],
) -> Iterator[Finding]:
    """Look at a provider of Workload Identity Federation and who may act as the service account.

    https://cloud.google.com/iam/docs/reference/rest/v1/projects.locations.workloadIdentityPools.providers
    """
    oidc, id_ = provider.get("oidc", {}), str(project["id"])
    cure = "Add the id to JOB_PROJECT_IDS, then sh deploy/bootstrap-gcp.sh job: docs/vertex.md"
    if provider.get("disabled") or provider.get("state", "ACTIVE") != "ACTIVE":
        yield _broken("job_provider", "the provider of the workload identity pool is off", cure)
    if str(oidc.get("issuerUri", "")).rstrip("/") != url:
        yield _broken("job_issuer", f"the workload identity provider is not for {url}", cure)
    if AUDIENCE not in oidc.get("allowedAudiences", []):
        text = f"the workload identity provider lacks the audience {AUDIENCE}"
        yield _broken("job_aud", text, cure)
    asked = _PROJECT_IDS.search(str(provider.get("attributeCondition", "")))
    if asked and id_ not in _QUOTED.findall(asked[1]):
        text = f"the workload identity provider's condition leaves project {id_} out"
        yield _broken("job_project_id", text, cure)
    members = [
        str(member)
        for binding in policy.get("bindings", [])
        if binding.get("role") == "roles/iam.workloadIdentityUser"
        for member in binding.get("members", [])
    ]
    ours = [each for each in members if "/attribute.project_id/" in each]
    others = len(members) > len(ours)  # by another attribute, or the whole pool
    if not others and not any(each.endswith(f"/attribute.project_id/{id_}") for each in ours):
        yield _broken("job_account", f"project {id_} may not act as the service account", cure)


def _assumes(statement: Mapping[str, Any], host: str) -> bool:
    """Tell whether a statement lets tokens of this GitLab in."""
    federated = _listed(_of(statement.get("Principal")).get("Federated"))
    return (
        statement.get("Effect") == "Allow"
        and _ASSUME in _listed(statement.get("Action"))
        and any(str(each).partition(":oidc-provider/")[2] == host for each in federated)
    )


def _asked(statement: Mapping[str, Any], host: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each claim that a statement asks for, with the values or patterns it takes."""
    for operator, conditions in _of(statement.get("Condition")).items():
        if operator in ("StringEquals", "StringLike"):
            for key, values in _of(conditions).items():
                issuer, _, claim = key.rpartition(":")
                if issuer == host:
                    yield claim, [str(each) for each in _listed(values)]


def _fits(taken: list[str], value: str | None) -> bool:
    """Tell whether a claim's value is taken; of one that is not known nothing is said."""
    # In fnmatch a bracket begins a class, in IAM it stands for itself.
    return value is None or any(fnmatchcase(value, each.replace("[", "[[]")) for each in taken)


def _broken(check: str, seen: str, cure: str) -> Finding:
    return Finding(check, Reason.PART_BROKEN, seen, cure)


def _listed(value: Any) -> list[Any]:
    """Return what JSON policies write alone or in a list."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _of(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
