"""`template.yaml` deployed to an AWS emulator, and the way of a mention through it: from the function URL to the reply."""

import io
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli import checks
from cli.__main__ import main
from functions.aws import adapters
from shared.receive import HEALTH
from tests.support.deploy import bundles, sam
from tests.support.deploy.ministack import KEYS, Ministack, Refused, Stack
from tests.support.fakes import API_TOKEN, SIGNING_TOKEN, TRIGGER_TOKEN
from tests.support.gitlab import hooks
from tests.support.gitlab.server import GitLab
from tests.support.gitlab_adapter import one_project

PROJECT, AUTHOR, OURS = 7, 42, 99
ARN = "arn:aws:iam::123456789012:oidc-provider/gitlab.com"
BEDROCK = {
    "ModelProvider": "bedrock",
    "JobProjects": "group/app@main",
    "JobProjectIds": "1234",
    "GitLabOidcProviderArn": ARN,
}
VERTEX = {"ModelProvider": "vertex"}

pytestmark = pytest.mark.timeout(600)  # the first time the SAM CLI is installed


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ministack]:
    folder = tmp_path_factory.mktemp("ministack")
    with Ministack(folder) as running:
        running.upload(bundles.here())
        yield running


@pytest.fixture(scope="module")
def gitlab() -> Iterator[GitLab]:
    with GitLab() as gitlab:
        one_project(gitlab)
        yield gitlab


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sam")


@pytest.fixture(scope="module")
def deployed(cloud: Ministack, gitlab: GitLab, clone: Path) -> Stack:
    """The stack by the docs' own commands, where the SAM CLI can be had."""
    return sam.deploy(cloud, clone, "claude", GitLabUrl=gitlab.url)


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest, cloud: Ministack, gitlab: GitLab) -> Stack:
    """The stack that a mention travels through: that one, or else one that the emulator makes of the same template."""
    try:
        created: Stack = request.getfixturevalue("deployed")
    except pytest.skip.Exception:
        created = cloud.create("claude", GitLabUrl=gitlab.url)
    created.fill_in("WebhookSecrets", {"signing_tokens": [SIGNING_TOKEN]})
    return created


def mention(gitlab: GitLab, text: str = "@claude fix it") -> tuple[dict[str, str], bytes]:
    """Write a comment and return its signed delivery."""
    headers, body = gitlab.note_hook(gitlab.note(PROJECT, "issue", 5, author_id=AUTHOR, body=text))
    return gitlab.sign(headers, body, SIGNING_TOKEN), body


def until(happened: Callable[[], bool], cloud: Ministack, seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, cloud.output()[-4000:]
        time.sleep(0.1)


def test_the_commands_of_the_docs_deploy_it(deployed: Stack) -> None:
    assert deployed.deliver({}, b"", "GET")[0] == 200


def test_a_colleague_deploys_with_the_settings_file_and_changes_nothing_else(
    deployed: Stack, cloud: Ministack, clone: Path
) -> None:
    def parameters() -> dict[str, str]:
        described = cloud.client("cloudformation").describe_stacks(StackName="claude")
        found = described["Stacks"][0]["Parameters"]
        return {each["ParameterKey"]: each["ParameterValue"] for each in found}

    before = parameters()
    prompts = '{"fix": "Say \\"why\\" first."}'
    shown = sam.again(cloud, clone, f"STACK=claude\nRUNS_PER_DAY=77\nPROMPTS={prompts}\n")
    after = parameters()
    assert json.loads(after.pop("Prompts")) == json.loads(prompts)
    assert after == {name: value for name, value in before.items() if name != "Prompts"} | {
        "RunsPerDay": "77"
    }
    assert deployed.outputs["WebhookUrl"] in shown
    assert deployed.deliver({}, b"", "GET")[0] == 200


def test_the_function_url_answers_and_refuses_what_nobody_signed(
    stack: Stack, gitlab: GitLab
) -> None:
    assert stack.deliver({}, b"", "GET") == (200, HEALTH)
    headers, body = mention(gitlab)
    assert stack.deliver(headers | {"webhook-signature": "v1,AAAA"}, body)[0] == 401
    assert stack.deliver(headers, body.replace(b"fix it", b"fix up"))[0] == 401


def test_a_mention_waits_while_the_tokens_are_not_filled_in_and_then_becomes_one_pipeline(
    stack: Stack, gitlab: GitLab, cloud: Ministack
) -> None:
    assert json.loads(stack.secret("GitLabSecrets")) == {"api_token": "", "trigger_tokens": {}}
    headers, body = mention(gitlab)
    status, answer = stack.deliver(headers, body)
    assert (status, json.loads(answer)["outcome"]) == (202, "queued")
    logs = cloud.client("logs")

    def told() -> bool:
        events = logs.filter_log_events(logGroupName=stack.resources["DispatchLogs"])["events"]
        return any("secrets_unavailable" in event["message"] for event in events)

    until(told, cloud)
    assert not gitlab.pipelines
    stack.fill_in("GitLabSecrets", {"api_token": API_TOKEN, "trigger_tokens": {"*": TRIGGER_TOKEN}})
    until(lambda: stack.messages("Runs") == 0, cloud)
    assert len(gitlab.pipelines) == 1
    assert [award["name"] for award in gitlab.emoji.values()] == ["eyes"]
    replies = [note["body"] for note in gitlab.notes.values() if note["author_id"] == OURS]
    assert len(replies) == 1
    assert "/-/pipelines/" in replies[0]
    assert stack.deliver(headers, body)[0] == 202  # GitLab may send a delivery twice
    until(lambda: stack.messages("Runs") == 0, cloud)
    assert len(gitlab.pipelines) == 1


def test_sweep_runs_and_takes_an_operator_s_order(stack: Stack, cloud: Ministack) -> None:
    for order, expected in (({}, "found"), ({"replay": "all"}, "replayed")):
        answer = cloud.client("lambda").invoke(
            FunctionName=stack.outputs["SweepFunction"], Payload=json.dumps(order)
        )
        told = answer["Payload"].read().decode()
        assert "FunctionError" not in answer, told
        assert expected in json.loads(told)


def test_what_dispatch_cannot_carry_ends_in_the_dead_letters(
    stack: Stack, cloud: Ministack
) -> None:
    sqs, url = cloud.client("sqs"), stack.resources["Runs"]
    given = sqs.get_queue_attributes(
        QueueUrl=url, AttributeNames=["RedrivePolicy", "VisibilityTimeout"]
    )["Attributes"]
    redrive = json.loads(given["RedrivePolicy"])
    sooner = {
        "VisibilityTimeout": "1",
        "RedrivePolicy": json.dumps(redrive | {"maxReceiveCount": 2}),
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes=sooner)
    sqs.send_message(
        QueueUrl=url, MessageBody="poison", MessageGroupId="x", MessageDeduplicationId="x"
    )
    until(lambda: stack.messages("DeadLetters") == 1, cloud)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={name: given[name] for name in sooner})


def test_the_generated_secret_token_is_one_that_receive_takes(
    cloud: Ministack, gitlab: GitLab
) -> None:
    created = cloud.create("generated", GitLabUrl=gitlab.url)
    generated = json.loads(created.secret("WebhookSecrets"))
    assert len(generated["secret_token"]) == 48
    headers, body = gitlab.note_hook(
        gitlab.note(PROJECT, "issue", 5, author_id=AUTHOR, body="nothing for us")
    )
    wrong, _ = created.deliver(gitlab.with_token(headers, "another"), body)
    status, answer = created.deliver(gitlab.with_token(headers, generated["secret_token"]), body)
    assert (wrong, status) == (401, 200), answer
    assert json.loads(answer)["reason"] == "no_mention"


def reason(stack: Stack, gitlab: GitLab) -> str:
    headers, body = mention(gitlab)
    return str(json.loads(stack.deliver(headers, body)[1])["reason"])


def test_a_changed_parameter_reaches_the_url_that_gitlab_calls(
    cloud: Ministack, gitlab: GitLab
) -> None:
    before = cloud.create("changed", GitLabUrl=gitlab.url, AllowedProjects="another/project")
    before.fill_in("WebhookSecrets", {"signing_tokens": [SIGNING_TOKEN]})
    assert reason(before, gitlab) == "project_not_allowed"
    after = cloud.update("changed", AllowedProjects="*", Enabled="false")
    assert after.outputs["WebhookUrl"] == before.outputs["WebhookUrl"]
    assert after.secret("WebhookSecrets") == json.dumps(
        {"signing_tokens": [SIGNING_TOKEN]}
    )  # filled in, and still so
    assert reason(after, gitlab) == "disabled"


def test_changed_code_reaches_the_url_that_gitlab_calls(
    cloud: Ministack, gitlab: GitLab, tmp_path: Path
) -> None:
    greeting, better = "listens for GitLab webhooks here.", "listens better now."
    before = cloud.create("older", GitLabUrl=gitlab.url)
    assert before.deliver({}, b"", "GET") == (200, HEALTH)
    shutil.copytree(bundles.here(), tmp_path / "newer")
    receive = tmp_path / "newer" / "shared" / "receive.py"
    receive.write_text(receive.read_text().replace(greeting, better))
    for compiled in receive.parent.glob("__pycache__/receive.*"):
        compiled.unlink()
    cloud.upload(tmp_path / "newer", "newer.zip")
    after = cloud.update("older", "newer.zip")
    assert after.outputs["WebhookUrl"] == before.outputs["WebhookUrl"]
    assert after.deliver({}, b"", "GET") == (200, HEALTH.replace(greeting, better))


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        (
            BEDROCK | {"ModelRegion": "eu-west-1", "Model": "us.anthropic.claude-opus-5-5"},
            "Profiles us. start in us-east-1",
        ),
        (
            BEDROCK | {"ModelRegion": "ap-northeast-1", "Model": "au.anthropic.claude-opus-5-5"},
            "Profiles au. start in",
        ),
        (
            BEDROCK | {"ModelRegion": "us-gov-west-1", "Model": "global.anthropic.claude-opus-5-5"},
            "begins with us-gov.",
        ),
        (
            BEDROCK | {"ModelRegion": "eu-west-1", "Model": "claude-opus-5-5"},
            "Bedrock takes an inference profile",
        ),
        (BEDROCK | {"ModelRegion": "eu-west-1"}, "Bedrock takes an inference profile"),
        (
            BEDROCK | {"ModelRegion": "global", "Model": "eu.anthropic.claude-opus-5-5"},
            "must be an AWS region with Bedrock",
        ),
        (
            BEDROCK
            | {
                "ModelRegion": "eu-west-1",
                "Model": "eu.anthropic.claude-opus-5-5",
                "JobProjects": "",
            },
            "Set JobProjects",
        ),
        (
            BEDROCK
            | {
                "ModelRegion": "eu-west-1",
                "Model": "eu.anthropic.claude-opus-5-5",
                "JobProjectIds": "",
            },
            "Set JobProjectIds",
        ),
        (
            BEDROCK
            | {"ModelRegion": "eu-west-1", "Model": "eu.anthropic.claude-sonnet-4-20250514-v1:0"},
            "This model is retired",
        ),
        (
            VERTEX | {"ModelRegion": "eu-central-1", "Model": "claude-opus-5-5"},
            "must be a Vertex AI location",
        ),
        (VERTEX | {"ModelRegion": "global"}, "Set Model to the id Vertex AI uses"),
        (
            VERTEX | {"ModelRegion": "global", "Model": "eu.anthropic.claude-opus-5-5"},
            "Set ModelProvider to bedrock",
        ),
        ({"ModelRegion": "eu-west-1"}, "The Claude API has no regions"),
        ({"Model": "claude-opus-4-5@20251101"}, "Model is an id of Vertex AI"),
    ],
)
def test_a_region_and_a_model_that_do_not_belong_together_are_refused_with_our_sentence(
    cloud: Ministack, parameters: dict[str, str], sentence: str
) -> None:
    with pytest.raises(Refused, match="Template error: rule") as refused:
        cloud.create("refused", **parameters)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    "parameters",
    [
        {"GitLabUrl": "gitlab.com"},
        {"TriggerPhrase": "claude"},
        {"Model": "apac.anthropic.claude-opus-5-5"},
        {"Model": "opus"},
        {"Model": "claude-3-5-sonnet-20241022"},
        {"MinimumRole": "boss"},
        {"JobProjects": "group/*@main"},
        {"JobProjects": "group/app"},
        {"AlarmEmail": "nobody"},
    ],
)
def test_a_parameter_that_cannot_be_right_is_refused(
    cloud: Ministack, parameters: dict[str, str]
) -> None:
    with pytest.raises(Refused, match=next(iter(parameters))):
        cloud.create("refused", **parameters)


def test_bedrock_s_role_is_for_the_named_projects_and_branches_only(cloud: Ministack) -> None:
    pair = {"ModelRegion": "eu-west-1", "Model": "eu.anthropic.claude-opus-5-5"}
    own = {
        "GitLabUrl": "https://git.example.com/gitlab",
        "JobProjects": "group/app@main,group/sub/web@release/1",
    }
    for name, parameters in (("dotcom", BEDROCK | pair), ("own", BEDROCK | pair | own)):
        created = cloud.create(name, **parameters)
        assert created.outputs["AwsRoleToAssume"].endswith(created.resources["JobRole"])
        assert (created.outputs["ModelRegion"], created.outputs["Model"]) == tuple(pair.values())
        role = cloud.client("iam").get_role(RoleName=created.resources["JobRole"])["Role"]
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Federated": ARN}
        assert statement["Condition"] == (
            {
                "StringEquals": {
                    "gitlab.com:aud": "gitlab-claude-trigger",
                    "gitlab.com:project_id": ["1234"],
                    "gitlab.com:sub": ["project_path:group/app:ref_type:branch:ref:main"],
                    "gitlab.com:ref_protected": "true",
                    "gitlab.com:pipeline_source": "trigger",
                }
            }
            if name == "dotcom"
            else {
                "StringEquals": {
                    "git.example.com/gitlab:aud": "gitlab-claude-trigger",
                    "git.example.com/gitlab:sub": [
                        "project_path:group/app:ref_type:branch:ref:main",
                        "project_path:group/sub/web:ref_type:branch:ref:release/1",
                    ],
                }
            }
        )
        policy = cloud.client("iam").get_role_policy(
            RoleName=created.resources["JobRole"], PolicyName="call-claude"
        )
        profile, models = policy["PolicyDocument"]["Statement"]
        assert profile["Resource"].endswith(":inference-profile/eu.anthropic.claude-*")
        assert profile["Resource"].split(":")[3] == "eu-west-1"
        assert (
            models["Condition"]["StringLike"]["bedrock:InferenceProfileArn"] == profile["Resource"]
        )


def test_removing_the_stack_leaves_nothing(cloud: Ministack) -> None:
    created = cloud.create("shortlived")
    formation = cloud.client("cloudformation")
    formation.delete_stack(StackName="shortlived")
    formation.get_waiter("stack_delete_complete").wait(
        StackName="shortlived", WaiterConfig={"Delay": 1}
    )
    names = {
        created.resources[each]
        for each in ("Claims", "WebhookSecrets", "GitLabSecrets", "ReceiveLogs")
    }
    tables = set(cloud.client("dynamodb").list_tables()["TableNames"])
    secrets = {each["Name"] for each in cloud.client("secretsmanager").list_secrets()["SecretList"]}
    groups = {
        each["logGroupName"] for each in cloud.client("logs").describe_log_groups()["logGroups"]
    }
    assert not names & (tables | secrets | groups)
    assert not [
        url for url in cloud.client("sqs").list_queues().get("QueueUrls", []) if "shortlived" in url
    ]


def test_setup_connects_a_project_to_the_stack_and_doctor_finds_what_is_there(
    stack: Stack,
    gitlab: GitLab,
    cloud: Ministack,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in (
        KEYS | {"AWS_ENDPOINT_URL": cloud.url, "GITLAB_TOKEN": "glpat-olga"}
    ).items():
        monkeypatch.setenv(name, value)
    adapters.client.cache_clear()
    # The emulator tells functions apart by the Host header.
    monkeypatch.setattr(
        hooks,
        "_post",
        lambda _, headers, body: (
            str((told := stack.deliver(headers, body))[0]),
            {},
            told[1].encode(),
        ),
    )
    monkeypatch.setattr(
        checks, "urlopen", lambda *_, **__: io.BytesIO(stack.deliver({}, b"", "GET")[1].encode())
    )
    gitlab.user(50, "olga")
    gitlab.project(17, "group/web", ci="ours")
    gitlab.member(17, 50, 40)
    gitlab.api_token("glpat-olga", 50)
    gitlab.fire_hooks = True
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-key")
    settings = tmp_path / "claude.env"
    settings.write_text(f"PLATFORM=aws\nGITLAB_URL={gitlab.url}\n")
    status = main(["setup", "--settings", str(settings), "--project", "group/web"])
    shown = capsys.readouterr()
    assert (status, "@claude help was answered" in shown.out) == (0, True), shown
    assert list(json.loads(stack.secret("WebhookSecrets"))["signing_tokens"]) == ["*", "17"]
    gitlab.wait_for_hooks()
    main(["doctor", "--json", "--settings", str(settings), "--project", "17"])
    found = json.loads(capsys.readouterr().out)
    # Another test of this stack may have left one, where it ran before.
    assert {each["check"] for each in found["findings"]} <= {"dead_letters"}
    assert found["unmade"] == []
    gitlab.fire_hooks = False
    adapters.client.cache_clear()
