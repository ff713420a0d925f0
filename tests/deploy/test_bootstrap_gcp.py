"""`deploy/bootstrap-gcp.sh`, run with a gcloud that takes notes: who may do what, and what is made under which name."""

import json
from pathlib import Path

import pytest

from shared.runs.record import ATTEMPTS, pause
from tests.support.deploy import google
from tests.support.deploy.google import Ran, Workspace, value
from tests.support.platforms.cloud_tasks import Limits

FUNCTIONS = ("receive", "dispatch", "sweep")
VERTEX = {"MODEL_PROVIDER": "vertex", "MODEL_REGION": "us-east5", "MODEL": "claude-opus-5-5"}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def bootstrap(workspace: Workspace, *words: str, **chosen: str) -> Ran:
    answers = {"projects describe": "123456789012"}
    ran = workspace.run(
        ["sh", "deploy/bootstrap-gcp.sh", *words], {"PROJECT_ID": "my-project", **chosen}, answers
    )
    assert ran.status == 0, ran.output
    return ran


def bindings(ran: Ran) -> set[tuple[str, str, str]]:
    found = set()
    for command in ran.commands:
        if "add-iam-policy-binding" in command:
            place = next(
                word
                for word in command[command.index("add-iam-policy-binding") + 1 :]
                if not word.startswith("-")
            )
            member = value(command, "--member").removeprefix("serviceAccount:").partition("@")[0]
            found.add(
                (member, value(command, "--role").removeprefix("roles/"), place.partition("@")[0])
            )
    return found


def test_each_account_may_do_exactly_what_it_must(workspace: Workspace) -> None:
    found = bindings(bootstrap(workspace))
    assert {each for each in found if each[0] != "claude-build"} == {
        ("claude-receive", "secretmanager.secretAccessor", "claude-webhook-secrets"),
        ("claude-receive", "cloudtasks.enqueuer", "claude-runs"),
        ("claude-receive", "iam.serviceAccountUser", "claude-invoker"),
        ("claude-dispatch", "secretmanager.secretAccessor", "claude-gitlab-secrets"),
        ("claude-dispatch", "datastore.user", "my-project"),
        ("claude-sweep", "secretmanager.secretAccessor", "claude-gitlab-secrets"),
        ("claude-sweep", "datastore.user", "my-project"),
        ("claude-sweep", "cloudtasks.enqueuer", "claude-runs"),
        ("claude-sweep", "iam.serviceAccountUser", "claude-invoker"),
        ("allUsers", "run.invoker", "claude-receive"),
        ("claude-invoker", "run.invoker", "claude-dispatch"),
        ("claude-invoker", "run.invoker", "claude-sweep"),
    }
    build = {role for account, role, _ in found if account == "claude-build"}
    assert not [
        role
        for role in build
        if role in ("owner", "editor", "run.admin") or "secret" in role or "Admin" in role
    ]
    assert {
        place
        for account, role, place in found
        if account == "claude-build" and role == "iam.serviceAccountUser"
    } == {
        *(f"claude-{name}" for name in FUNCTIONS),
        "claude-invoker",
        "claude-build",
    }


def test_the_bootstrap_makes_the_names_that_the_build_uses(workspace: Workspace) -> None:
    made = bootstrap(workspace, **VERTEX, JOB_PROJECT_IDS="7")
    answers = {"run services describe": "https://x.run.app"}
    built = workspace.build(answers, **{f"_{name}": each for name, each in VERTEX.items()})
    given = json.loads((workspace.folder / "build" / "env" / "sweep.json").read_text())
    queue = made.only("tasks", "queues", "create")
    assert (
        given["QUEUE"]
        == f"projects/my-project/locations/{value(queue, '--location')}/queues/{queue[3]}"
    )
    accounts = {
        each[3] for each in made.commands if each[:3] == ["iam", "service-accounts", "create"]
    }
    used = {
        value(each, "--service-account").partition("@")[0]
        for each in built.commands
        if each[:2] == ["run", "deploy"]
    }
    assert (
        used | {given["INVOKER_SERVICE_ACCOUNT"].partition("@")[0], "claude-build", "claude-job"}
        == accounts
    )
    secrets = {each[2] for each in made.commands if each[:2] == ["secrets", "create"]}
    mounted = value(built.only("run", "deploy", "claude-receive"), "--set-secrets")
    webhook = mounted.partition("=")[2].removesuffix(":latest")
    assert {webhook, given["GITLAB_SECRETS_ID"].rpartition("/")[2]} == secrets
    ttl = made.only("firestore", "fields", "ttls", "update", "expires")
    assert value(ttl, "--collection-group") == given["CLAIMS_COLLECTION"]
    services = {each[2] for each in made.commands if each[:2] == ["run", "deploy"]}
    assert services == {f"claude-{name}" for name in FUNCTIONS}


def test_the_bootstrap_writes_no_secret_but_an_empty_one_to_mount_and_may_run_again(
    workspace: Workspace,
) -> None:
    ran = bootstrap(workspace)
    [added] = [each for each in ran.commands if each[:3] == ["secrets", "versions", "add"]]
    assert added[3:] == ["claude-webhook-secrets", "--data-file=-"]
    assert not [each for each in ran.commands if "delete" in each]
    there = {
        "tasks queues describe": "",
        "secrets describe": "",
        "secrets versions list claude-webhook-secrets": "projects/1/secrets/x/versions/1",
        "run services describe": "",
        "firestore databases": "",
    }
    there |= {"iam service-accounts describe": ""}
    again = workspace.run(["sh", "deploy/bootstrap-gcp.sh"], {"PROJECT_ID": "my-project"}, there)
    assert again.status == 0
    assert not [
        each
        for each in again.commands
        if {"create", "add"} & set(each) or each[:2] == ["run", "deploy"]
    ]
    assert again.only("tasks", "queues", "update", "claude-runs")


def test_a_secret_whose_versions_cannot_be_listed_gets_no_empty_one(workspace: Workspace) -> None:
    command = ["sh", "deploy/bootstrap-gcp.sh"]
    ran = workspace.run(command, {"PROJECT_ID": "my-project"}, refused="versions")
    assert ran.status != 0
    assert not [each for each in ran.commands if each[:3] == ["secrets", "versions", "add"]]


def test_the_queue_outlasts_a_gitlab_that_is_away_for_two_hours(workspace: Workspace) -> None:
    queue = bootstrap(workspace, DISPATCH_CONCURRENCY="3").only("tasks", "queues", "create")

    def seconds(flag: str) -> float:
        return float(value(queue, flag).removesuffix("s"))

    limits = Limits(
        int(value(queue, "--max-attempts")),
        seconds("--min-backoff"),
        seconds("--max-backoff"),
        int(value(queue, "--max-doublings")),
        int(value(queue, "--max-concurrent-dispatches")),
    )
    # Cloud Tasks has no dead-letter queue: where the attempt that is to record the dead letter dies, others follow.
    assert limits.attempts >= ATTEMPTS + 5
    assert (limits.concurrent, seconds("--max-retry-duration")) == (3, 0)
    assert [limits.pause(attempt) for attempt in range(1, ATTEMPTS)] == [
        pause(attempt) for attempt in range(1, ATTEMPTS)
    ]
    assert sum(limits.pause(attempt) for attempt in range(1, ATTEMPTS)) > 2 * 3600


def test_vertex_trusts_the_named_projects_on_protected_branches_only(workspace: Workspace) -> None:
    ran = bootstrap(
        workspace,
        "job",
        MODEL_REGION="eu",
        JOB_PROJECT_IDS="7,8",
        GITLAB_URL="https://git.example.com",
    )
    provider = ran.only("iam", "workload-identity-pools", "providers", "create-oidc", "claude")
    assert value(provider, "--attribute-condition") == (
        'assertion.project_id in ["7", "8"] && assertion.ref_protected == "true" && assertion.pipeline_source == "trigger"'
    )
    assert value(provider, "--issuer-uri") == "https://git.example.com"
    assert value(provider, "--allowed-audiences") == "gitlab-claude-trigger"
    pool = (
        "//iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/gitlab"
    )
    assert {each for each in bindings(ran) if each[0].startswith("principalSet")} == {
        (
            f"principalSet:{pool}/attribute.project_id/{number}",
            "iam.workloadIdentityUser",
            "claude-job",
        )
        for number in "78"
    }
    role = ran.only("iam", "roles", "create", "claudeCaller")
    assert value(role, "--permissions") == "aiplatform.endpoints.predict"
    roles = {each[1] for each in bindings(ran) if each[0] == "claude-job"}
    assert roles == {"projects/my-project/roles/claudeCaller"}
    assert not [each for each in ran.commands if each[0] in ("run", "tasks", "secrets")]
    assert (
        f"GCP_WORKLOAD_IDENTITY_PROVIDER={pool.removeprefix('//iam.googleapis.com/')}/providers/claude"
        in ran.output
    )
    assert "GCP_SERVICE_ACCOUNT=claude-job@my-project.iam.gserviceaccount.com" in ran.output


def test_the_bootstrap_says_what_is_missing(workspace: Workspace) -> None:
    for chosen, sentence in (
        ({}, "set PROJECT_ID"),
        (
            {"PROJECT_ID": "p", "MODEL_PROVIDER": "vertex", "MODEL_REGION": "global"},
            "set JOB_PROJECT_IDS",
        ),
        ({"PROJECT_ID": "p", "MODEL_PROVIDER": "vertex"}, "MODEL_REGION: found None"),
    ):
        ran = workspace.run(["sh", "deploy/bootstrap-gcp.sh"], chosen)
        assert ran.status != 0
        assert sentence in ran.output


def test_gcloud_knows_every_command_and_flag(workspace: Workspace) -> None:
    commands = bootstrap(workspace, **VERTEX, JOB_PROJECT_IDS="7").commands
    assert len(commands) > 40
    assert [found for command in commands for found in google.complaints(command)] == []


def test_an_organisation_that_forbids_all_users_gets_the_other_switch_and_all_rights(
    workspace: Workspace,
) -> None:
    answers = {"projects describe": "123456789012"}
    command, chosen = ["sh", "deploy/bootstrap-gcp.sh"], {"PROJECT_ID": "my-project"}
    free = workspace.run(command, chosen, answers)
    ran = workspace.run(command, chosen, answers, refused="--member=allUsers")
    assert ran.status == 0, ran.output
    words = ran.only("run", "services", "update", "claude-receive")
    assert "--no-invoker-iam-check" in words
    assert bindings(ran) == bindings(free)
    assert "update" not in {command[2] for command in free.commands if command[0] == "run"}
    assert google.complaints(words) == []
