"""`template.yaml` held against the code and AWS's own rules; nothing is deployed here."""

import io
import json
import re
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest

from functions.aws import adapters
from shared.installation.readers import SettingsError
from shared.installation.settings import VARIABLES, Settings
from shared.outcome.reasons import Reason
from shared.runs.record import ATTEMPTS, LEASE, pause
from tests import ROOT
from tests.support.deploy import environment
from tests.support.deploy.template import Json, functions, source, translated

FUNCTIONS = ("receive", "dispatch", "sweep")
REGIONS = ("us-east-1", "eu-central-1", "ap-northeast-1", "sa-east-1")


@pytest.fixture(scope="module")
def stack() -> Json:
    return translated()


@pytest.fixture(scope="module")
def resources(stack: Json) -> Json:
    return dict(stack["Resources"])


@pytest.fixture(scope="module")
def lint(stack: Json, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the linter says of the template as it is, and of the same with mistakes in it.

    It starts once for both; a remark begins with its file, `sound.json` or `broken.json`.
    """
    folder = tmp_path_factory.mktemp("lint")
    for name, template in (("sound", stack), ("broken", with_mistakes(stack))):
        (folder / f"{name}.json").write_text(json.dumps(template))
    program = str(Path(sys.executable).with_name("cfn-lint"))
    command = [program, "--format", "parseable", "-r", *REGIONS, "-t", *map(str, folder.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def with_mistakes(stack: Json) -> Json:
    broken: Json = json.loads(json.dumps(stack))
    broken["Resources"]["Runs"]["Properties"]["VisibilityTimeout"] = 10
    broken["Resources"]["SweepFunction"]["Properties"]["Runtime"] = "python3.99"
    *_, policy = broken["Resources"]["DispatchRole"]["Properties"]["Policies"]
    policy["PolicyDocument"]["Statement"][1]["Action"] = "sqs:Get"
    return broken


def test_the_translated_template_has_no_lint_in_any_region(lint: str) -> None:
    assert [line for line in lint.splitlines() if "broken.json:" not in line] == []


def test_the_linter_sees_what_it_would_miss_in_the_source(lint: str) -> None:
    found = re.findall(r"broken\.json:[\d:]*:([EW]\d{4}):", lint)
    assert {"E3505", "E3030", "W3037"} <= set(found)


# --- settings ---


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_gets_every_setting_it_reads_and_no_other(name: str) -> None:
    function = functions(translated())[f"{name.title()}Function"]["Properties"]
    given = function["Environment"]["Variables"]
    needs = environment.needs("aws")
    assert set(VARIABLES) | needs.get(name, set()) <= set(given)
    assert set(given) <= environment.read("aws")


def test_every_setting_is_a_parameter_of_the_same_name_and_default() -> None:
    template = source()
    given = template["Globals"]["Function"]["Environment"]["Variables"]
    for name, variable in VARIABLES.items():
        parameter = given[name]["Ref"]
        assert parameter.lower() == name.replace("_", "").lower()
        assert str(template["Parameters"][parameter]["Default"]) == variable.default


def test_what_a_parameter_takes_the_settings_take_too() -> None:
    template = source()
    given = template["Globals"]["Function"]["Environment"]["Variables"]
    for name in VARIABLES:
        parameter = template["Parameters"][given[name]["Ref"]]
        bounds = [parameter[bound] for bound in ("MinValue", "MaxValue") if bound in parameter]
        for value in parameter.get("AllowedValues", [parameter["Default"], *bounds]):
            region = {"bedrock": "eu-west-1", "vertex": "global"}.get(value, "")
            Settings.read({"MODEL_REGION": region} | {name: str(value)})
        assert (parameter["Type"] == "Number") is (len(bounds) == 2)
        if bounds:
            for beyond in (bounds[0] - 1, bounds[1] + 1):
                with pytest.raises(SettingsError):
                    Settings.read({name: str(beyond)})


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        (
            "AllowedModels",
            ("", "claude-opus-5-5", "eu.anthropic.claude-opus-4-5-20251101-v1:0, x@1"),
            ("a b", "a,", ","),
        ),
        ("Prompts", ("", '{"review": "Look, it\'s\nfine: {}"}'), ("review", "[]", '"x"')),
    ],
)
def test_a_parameter_s_pattern_refuses_what_the_settings_would(
    name: str, good: tuple[str, ...], bad: tuple[str, ...]
) -> None:
    pattern = source()["Parameters"][name]["AllowedPattern"]
    assert all(re.fullmatch(pattern, value) for value in good)
    assert not any(re.fullmatch(pattern, value) for value in bad)


def test_the_settings_at_their_longest_fit_into_a_function() -> None:
    # Lambda: all variables of a function together hold 4 KB.
    environment = {name: variable.default for name, variable in VARIABLES.items()}
    environment["PROMPTS"] = "x" * source()["Parameters"]["Prompts"]["MaxLength"]
    taken = sum(map(len, [*environment, *environment.values()]))
    assert taken < 3 * 1024  # the rest: lists, addresses, ids


def test_every_handler_is_one_that_is_written() -> None:
    named = {each["Properties"]["Handler"] for each in functions(source()).values()}
    assert named == {f"functions.aws.handlers.{name}" for name in FUNCTIONS}
    assert named == {f"functions.aws.handlers.{name}" for name in environment.handlers("aws")}


def test_the_console_shows_every_parameter_once_and_with_words() -> None:
    template = source()
    groups = template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    shown = [name for group in groups for name in group["Parameters"]]
    assert sorted(shown) == sorted(template["Parameters"])
    for parameter in template["Parameters"].values():
        assert parameter["Description"]
        assert "AllowedPattern" not in parameter or parameter["ConstraintDescription"]


# --- rights ---

LOGS = {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"]}


def of(name: str) -> dict[str, list[str]]:
    return {"Fn::GetAtt": [name, "Arn"]}


def secret(name: str) -> Json:
    chosen = {"Fn::If": [f"Create{name}", {"Ref": name}, {"Ref": f"{name}Arn"}]}
    return {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": chosen}


RIGHTS = {
    "Receive": [
        LOGS | {"Resource": of("ReceiveLogs")},
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": of("Runs")},
        secret("WebhookSecrets"),
    ],
    "Dispatch": [
        LOGS | {"Resource": of("DispatchLogs")},
        {
            "Effect": "Allow",
            "Action": [
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ChangeMessageVisibility",
            ],
            "Resource": of("Runs"),
        },
        {
            "Effect": "Allow",
            "Action": ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"],
            "Resource": of("Claims"),
        },
        secret("GitLabSecrets"),
    ],
    "Sweep": [
        LOGS | {"Resource": of("SweepLogs")},
        {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": of("Runs")},
        {
            "Effect": "Allow",
            "Action": ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"],
            "Resource": of("Claims"),
        },
        {
            "Effect": "Allow",
            "Action": "dynamodb:Query",
            "Resource": {"Fn::Sub": "${Claims.Arn}/index/listed"},
        },
        secret("GitLabSecrets"),
    ],
}


def test_functions_that_call_gitlab_are_in_the_subnets_if_there_are_any(resources: Json) -> None:
    for name in RIGHTS:
        network = resources[f"{name}Function"]["Properties"].get("VpcConfig")
        assert (network is None) == (name == "Receive")
        if network:
            assert network["Fn::If"][0] == "InNetwork"
            assert network["Fn::If"][2] == {"Ref": "AWS::NoValue"}
            policy = resources[f"{name}Role"]["Properties"]["Policies"][0]["Fn::If"]
            actions = policy[1]["PolicyDocument"]["Statement"][0]["Action"]
            assert policy[0] == "InNetwork"
            assert all(action.startswith("ec2:") for action in actions)


@pytest.mark.parametrize("name", RIGHTS)
def test_a_function_has_exactly_the_rights_it_needs(resources: Json, name: str) -> None:
    role = resources[f"{name}Role"]["Properties"]
    # AWS's own policies for Lambda and SQS hold for every queue and log group.
    assert "ManagedPolicyArns" not in role
    *network, policy = role["Policies"]
    assert [each["Fn::If"][0] for each in network] == ["InNetwork"] * (name != "Receive")
    assert policy["PolicyDocument"]["Statement"] == RIGHTS[name]
    assert resources[f"{name}Function"]["Properties"]["Role"] == of(f"{name}Role")


def test_nothing_else_has_rights(resources: Json) -> None:
    roles = {name for name, each in resources.items() if each["Type"] == "AWS::IAM::Role"}
    assert roles == {"ReceiveRole", "DispatchRole", "SweepRole", "JobRole"}
    assert not [each for each in resources.values() if "Policy" in each["Type"]]


def test_a_wildcard_in_a_resource_has_its_reason_beside_it() -> None:
    lines = (ROOT / "template.yaml").read_text().splitlines()
    for number, line in enumerate(lines):
        if re.search(r"arn:.*\*|claude-\*\"|streams$", line) and "AllowedPattern" not in line:
            assert any("# " in near for near in lines[number - 9 : number + 1]), line
        assert not re.fullmatch(r"\s+(- )?Resource: \"?\*\"?", line)  # without a comment


def test_only_receive_is_public(resources: Json) -> None:
    public = [
        name
        for name, each in resources.items()
        if each.get("Properties", {}).get("Principal") == "*"
    ]
    assert sorted(public) == [
        "ReceiveFunctionURLInvokeAllowPublicAccess",
        "ReceiveFunctionUrlPublicPermissions",
    ]


def test_the_url_that_gitlab_calls_leads_to_the_function_as_it_is(
    stack: Json, resources: Json
) -> None:
    # A version or an alias would serve the code and the settings it was published with.
    assert stack["Outputs"]["WebhookUrl"]["Value"] == {
        "Fn::GetAtt": ["ReceiveFunctionUrl", "FunctionUrl"]
    }
    assert resources["ReceiveFunctionUrl"]["Properties"] == {
        "TargetFunctionArn": {"Ref": "ReceiveFunction"},
        "AuthType": "NONE",
    }
    kinds = {each["Type"] for each in resources.values()}
    assert not kinds & {"AWS::Lambda::Version", "AWS::Lambda::Alias"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_new_code_changes_the_function(name: str) -> None:
    former, later = (
        functions(translated(key=key))[f"{name.title()}Function"]["Properties"]
        for key in ("former.zip", "later.zip")
    )
    assert former.pop("Code") != later.pop("Code")
    assert former == later


def test_no_output_and_no_variable_holds_a_secret(stack: Json) -> None:
    text = json.dumps([stack["Outputs"], functions(stack)])
    assert "resolve:secretsmanager" not in text
    assert "SecretString" not in text


def test_what_secrets_are_created_with_never_changes(resources: Json) -> None:
    # CloudFormation writes it again when it differs, over what people have filled in.
    assert (
        resources["GitLabSecrets"]["Properties"]["SecretString"]
        == '{"api_token": "", "trigger_tokens": {}}'
    )
    assert resources["WebhookSecrets"]["Properties"]["GenerateSecretString"] == {
        "SecretStringTemplate": '{"signing_tokens": []}',
        "GenerateStringKey": "secret_token",
        "PasswordLength": 48,
        "ExcludePunctuation": True,
    }


# --- queue and claims ---


def test_the_queue_outlasts_a_gitlab_that_is_away_for_two_hours(resources: Json) -> None:
    queue = resources["Runs"]["Properties"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == ATTEMPTS
    assert 2 * 3600 <= sum(map(pause, range(1, ATTEMPTS))) < queue["MessageRetentionPeriod"] / 10


def test_what_a_killed_dispatch_left_comes_again_when_its_claim_has_ended(resources: Json) -> None:
    seconds = resources["DispatchFunction"]["Properties"]["Timeout"]
    assert seconds < LEASE < resources["Runs"]["Properties"]["VisibilityTimeout"]
    source = resources["DispatchFunctionRun"]["Properties"]
    assert (source["BatchSize"], source["FunctionResponseTypes"]) == (
        1,
        ["ReportBatchItemFailures"],
    )


def test_dead_letters_are_kept_in_order_for_fourteen_days(resources: Json) -> None:
    assert resources["Runs"]["Properties"]["RedrivePolicy"]["deadLetterTargetArn"] == of(
        "DeadLetters"
    )
    dead = resources["DeadLetters"]["Properties"]
    assert (dead["FifoQueue"], dead["MessageRetentionPeriod"]) == (True, 14 * 86400)


def test_the_table_has_the_key_that_the_adapter_writes(resources: Json) -> None:
    written: list[Json] = []

    class Table:
        def get_item(self, **call: Any) -> Json:
            written.append(call)
            return {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adapters, "client", lambda _: Table())
        adapters.DynamoRecords("claims").read("x")
    (key,) = written[0]["Key"]
    table = resources["Claims"]["Properties"]
    assert table["KeySchema"] == [{"AttributeName": key, "KeyType": "HASH"}]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires", "Enabled": True}


# --- eyes ---


def alarms(resources: Json) -> dict[str, Json]:
    return {
        name: each["Properties"]
        for name, each in resources.items()
        if each["Type"] == "AWS::CloudWatch::Alarm"
    }


def test_every_alarm_says_what_to_do_and_tells_the_topic(resources: Json) -> None:
    found = alarms(resources)
    assert len(found) == 18
    for alarm in found.values():
        assert len(alarm["AlarmDescription"]) > 40
        assert alarm["AlarmActions"] == {
            "Fn::If": ["SendAlarms", [{"Ref": "AlarmTopic"}], {"Ref": "AWS::NoValue"}]
        }
        assert alarm["TreatMissingData"] == "notBreaching"


@pytest.mark.parametrize(
    "reason",
    [
        Reason.HOOK_DISABLED,
        Reason.DEAD_LETTER,
        Reason.SIGNATURE_WRONG,
        Reason.TOKEN_WRONG,
        Reason.MODEL_RETIRES,
        Reason.TOKEN_EXPIRES,
        Reason.HOOKS_UNSEEN,
        Reason.DAY_LIMIT,
        Reason.BUDGET_INSTALLATION,
    ],
)
def test_an_alarm_listens_to_the_metric_that_the_functions_write(
    resources: Json, reason: Reason
) -> None:
    with redirect_stdout(io.StringIO()) as printed:
        adapters.log("ERROR", {"reason": str(reason)})
    written = json.loads(printed.getvalue().splitlines()[-1])
    (metric,) = written["_aws"]["CloudWatchMetrics"]
    (dimensions,) = metric["Dimensions"]
    expected = {
        "Namespace": metric["Namespace"],
        "MetricName": metric["Metrics"][0]["Name"],
        "Dimensions": [{"Name": name, "Value": written[name]} for name in dimensions],
    }
    assert expected in [
        {key: alarm[key] for key in expected} for alarm in alarms(resources).values()
    ]


def test_a_flood_takes_a_part_of_the_account_s_functions_only() -> None:
    reserved = source()["Parameters"]["ReceiveReservedConcurrency"]
    assert reserved["Default"] == 50
    assert "give 0" in reserved["Description"]


def test_the_dashboard_is_json_and_shows_every_alarm(resources: Json) -> None:
    text, values = resources["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"]
    names = set(re.findall(r"\$\{([A-Za-z:.]+)\}", text))
    unknown = {name.partition(".")[0] for name in names if not name.startswith("AWS::")}
    assert unknown <= set(resources) | set(values) | set(source()["Parameters"])
    for name, value in values.items():
        shown = value["Fn::Sub"] if isinstance(value, dict) else value
        text = text.replace(f"${{{name}}}", shown)
    body = json.loads(re.sub(r"\$\{[^}]+\}", "x", text))
    assert len(body["widgets"]) == 9
    assert {name for name in names if name.endswith("Alarm.Arn")} == {
        f"{name}.Arn" for name in alarms(resources)
    }


def test_every_function_s_log_is_kept_for_the_time_that_was_asked_for(resources: Json) -> None:
    for name in FUNCTIONS:
        logs = resources[f"{name.title()}Function"]["Properties"]["LoggingConfig"]
        assert logs["LogFormat"] == "JSON"
        group = resources[logs["LogGroup"]["Ref"]]["Properties"]
        assert group["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    for name, each in resources.items():
        assert each.get("DeletionPolicy", "Delete") == "Delete", name
