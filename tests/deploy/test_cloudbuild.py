"""`cloudbuild.yaml`: parsed strictly, and run from end to end with a gcloud that takes notes."""

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from shared.installation.providers import PROVIDERS, beside
from shared.installation.settings import VARIABLES, Settings
from shared.outcome.reasons import Reason
from shared.runs.record import LEASE
from tests import ROOT
from tests.support.deploy import environment, google
from tests.support.deploy.google import Workspace, value
from tests.support.deploy.template import source

FUNCTIONS = ("receive", "dispatch", "sweep")
BUILT_IN = {"PROJECT_ID", "PROJECT_NUMBER", "BUILD_ID", "LOCATION"}
URLS = {
    f"run services describe claude-{name}": f"https://claude-{name}-abc.run.app"
    for name in FUNCTIONS
}
POLICY = {"alpha monitoring policies create": "projects/my-project/alertPolicies/1"}
VERTEX = {"MODEL_PROVIDER": "vertex", "MODEL_REGION": "us-east5", "MODEL": "claude-opus-5-5"}


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def under(settings: dict[str, str]) -> dict[str, str]:
    return {f"_{name}": value for name, value in settings.items()}


# --- the file ---


def test_the_build_is_one_that_cloud_build_reads() -> None:
    cloudbuild = pytest.importorskip("google.cloud.devtools.cloudbuild_v1")
    json_format = pytest.importorskip("google.protobuf.json_format")
    parsed = json_format.ParseDict(google.build(), cloudbuild.Build.pb()())
    assert len(parsed.steps) == len(google.build()["steps"])
    broken = google.build()
    broken["steps"][0]["entrypiont"] = "bash"
    with pytest.raises(json_format.ParseError, match="entrypiont"):
        json_format.ParseDict(broken, cloudbuild.Build.pb()())


def test_every_substitution_is_used_and_every_one_used_is_defined() -> None:
    build = google.build()
    used = google.references(json.dumps([build["steps"], build["serviceAccount"]]))
    defined = set(build["substitutions"])
    assert all(
        re.fullmatch(r"_[A-Z0-9_]+", name) and isinstance(build["substitutions"][name], str)
        for name in defined
    )
    assert used - BUILT_IN == defined


def test_functions_that_call_gitlab_do_so_from_the_subnet_if_there_is_one(
    workspace: Workspace,
) -> None:
    ran = workspace.build(URLS | POLICY, _SUBNET="inner", _NETWORK="ours")
    assert ran.status == 0, ran.output
    for name in FUNCTIONS:
        words = ran.only("run", "deploy", f"claude-{name}")
        inside = {"--network=ours", "--subnet=inner", "--vpc-egress=all-traffic"}
        assert inside & set(words) == (set() if name == "receive" else inside)
        assert google.complaints(words) == []
    words = workspace.build(URLS | POLICY).only("run", "deploy", "claude-dispatch")
    assert not [word for word in words if word.startswith("--subnet")]


def test_a_later_build_brings_the_dashboard_up_to_date(workspace: Workspace) -> None:
    there = {"monitoring dashboards list": "projects/1/dashboards/2"}
    there |= {"monitoring dashboards describe": "0123etag"}
    ran = workspace.build(URLS | POLICY | there)
    assert ran.status == 0, ran.output
    words = ran.only("monitoring", "dashboards", "update")
    assert words[3] == "projects/1/dashboards/2"
    assert google.complaints(words) == []
    shown = json.loads((workspace.folder / value(words, "--config-from-file")).read_text())
    source_ = json.loads((ROOT / "deploy" / "google" / "dashboard.json").read_text())
    assert shown == source_ | {"etag": "0123etag"}
    assert not [each for each in ran.commands if each[:3] == ["monitoring", "dashboards", "create"]]


def test_every_step_waits_for_steps_before_it_and_the_check_comes_first() -> None:
    seen: set[str] = set()
    for step in google.build()["steps"]:
        assert set(step.get("waitFor", [])) <= seen
        assert step.get("waitFor") or not seen, (
            f"{step['id']} would wait for all before it: say for which"
        )
        seen.add(step["id"])
    assert google.build()["steps"][0]["id"] == "check"


def test_a_script_s_own_variables_are_escaped() -> None:
    for step in google.build()["steps"]:
        for text in step["args"]:
            assert google.references(text) <= BUILT_IN | set(google.build()["substitutions"])
            assert not re.search(r"(?<!\$)\$[a-z0-9]", text), (
                f"{step['id']}: write $$ before a shell variable"
            )


def test_settings_reach_a_script_through_its_environment_only() -> None:
    # Cloud Build puts a substitution into the text of a script: a phrase or a list could end a
    # quotation there.
    free = {f"_{name}" for name in VARIABLES} | {"_ALARM_EMAIL", "_REGION"}
    for step in google.build()["steps"]:
        assert not free & google.references("\n".join(step["args"]))


def test_substitutions_and_parameters_have_the_same_names_and_defaults() -> None:
    parameters = {name.lower(): each for name, each in source()["Parameters"].items()}
    substitutions = google.build()["substitutions"]
    for name, default in substitutions.items():
        # CloudFormation asks for the region itself, and knows subnets by their ids alone.
        if name not in ("_REGION", "_SUBNET", "_NETWORK"):
            assert str(parameters[name.replace("_", "").lower()]["Default"]) == default


# --- the build, run ---


def test_the_build_deploys_three_functions_with_what_each_may_and_must_have(
    workspace: Workspace,
) -> None:
    ran = workspace.build(URLS | POLICY, **under(VERTEX))
    assert ran.status == 0, ran.output
    for name in FUNCTIONS:
        command = ran.only("run", "deploy", f"claude-{name}")
        assert value(command, "--region") == "us-east5"
        assert value(command, "--function") == name
        assert value(command, "--base-image") == "python313"
        assert value(command, "--ingress") == ("all" if name == "receive" else "internal")
        assert (
            value(command, "--service-account")
            == f"claude-{name}@my-project.iam.gserviceaccount.com"
        )
        assert float(value(command, "--timeout")) < LEASE
        assert not [
            word for word in command if "unauthenticated" in word
        ]  # the bootstrap says who may call it
        assert (workspace.folder / value(command, "--env-vars-file")).exists()
        assert (workspace.folder / value(command, "--source") / "main.py").exists()
    mounted = value(ran.only("run", "deploy", "claude-receive"), "--set-secrets")
    given = json.loads((workspace.folder / "build" / "env" / "receive.json").read_text())
    assert mounted == f"{given['WEBHOOK_SECRETS_FILE']}=claude-webhook-secrets:latest"
    schedule = ran.only("scheduler", "jobs", "create", "http", "claude-sweep")
    assert (value(schedule, "--location"), value(schedule, "--schedule")) == (
        "us-east4",
        "*/5 * * * *",
    )
    assert (
        value(schedule, "--uri")
        == value(schedule, "--oidc-token-audience")
        == "https://claude-sweep-abc.run.app"
    )
    assert "https://claude-receive-abc.run.app" in ran.output


def test_the_build_changes_nobody_s_rights_and_reads_no_secret(workspace: Workspace) -> None:
    ran = workspace.build(URLS | POLICY)
    assert not [
        each
        for each in ran.commands
        if "iam" in " ".join(each[:3]) or "add-iam-policy-binding" in each
    ]
    assert not [each for each in ran.commands if each[0] in ("secrets", "projects", "services")]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_gets_every_setting_it_reads_and_no_other(
    workspace: Workspace, name: str
) -> None:
    chosen = {
        "_TRIGGER_PHRASE": "@claude, @ai",
        "_ALLOWED_PROJECTS": "group/*, 7",
        "_GITLAB_URL": "https://git.example.com",
        "_TRIGGER_LABEL": "🤖 to do",
        "_ALLOWED_MODELS": "claude-opus-5-5,claude-haiku-5-5",
        "_PROMPTS": json.dumps(
            {"review": 'Say "no", it\'s fine; | a,b\n🤖 é @DISPATCH'}, ensure_ascii=False
        ),
    }
    assert workspace.build(URLS | POLICY, **chosen).status == 0
    written = (workspace.folder / "build" / "env" / f"{name}.json").read_text(encoding="utf-8")
    given = yaml.safe_load(written)  # which is how gcloud reads it
    assert given == json.loads(written)
    assert set(VARIABLES) | environment.needs("gcp")[name] <= set(given) <= environment.read("gcp")
    assert {key: given[key.removeprefix("_")] for key in chosen} == chosen
    assert Settings.read(given).prompts == json.loads(chosen["_PROMPTS"])
    assert (
        given.get("DISPATCH_URL", "https://claude-dispatch-abc.run.app")
        == "https://claude-dispatch-abc.run.app"
    )
    if name == "receive":
        assert not {"GITLAB_SECRETS_ID", "GOOGLE_CLOUD_PROJECT", "CLAIMS_COLLECTION"} & set(given)


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ({"_REGION": "eu"}, "REGION: found 'eu', expected a Cloud Run region such as europe-west1"),
        (
            {"_MODEL_PROVIDER": "vertex", "_MODEL_REGION": "eu-central-1"},
            "expected a Vertex AI location such as global",
        ),
        ({"_MODEL_PROVIDER": "vertex"}, "MODEL_REGION: found None"),
        (
            {
                "_MODEL_PROVIDER": "bedrock",
                "_MODEL_REGION": "eu-west-1",
                "_MODEL": "us.anthropic.claude-opus-5-5",
            },
            (
                "expected eu.anthropic.claude-opus-5-5 or global.anthropic.claude-opus-5-5"
                " for MODEL_REGION=eu-west-1"
            ),
        ),
        ({"_MODEL": "claude-3-opus-20240229"}, "retired"),
        ({"_MINIMUM_ROLE": "boss"}, "MINIMUM_ROLE: found 'boss'"),
        ({"_TRIGGER_PHRASE": "'; exit 0; '"}, "TRIGGER_PHRASE: found"),
        ({"_PROMPTS": '{"review": "Look at'}, "PROMPTS: found 'no JSON'"),
        ({"_ALLOWED_MODELS": "claude-opus-5-5,gpt"}, "ALLOWED_MODELS: found 'gpt'"),
        ({"_MAX_TURNS": "many"}, "MAX_TURNS: found 'many'"),
    ],
)
def test_what_is_wrong_ends_the_build_before_it_changes_anything(
    workspace: Workspace, chosen: dict[str, str], sentence: str
) -> None:
    ran = workspace.build(URLS | POLICY, **chosen)
    assert ran.status != 0
    assert "[step check failed]" in ran.output
    assert sentence in ran.output
    assert not ran.commands


def test_a_model_that_retires_soon_is_warned_about_and_deployed(workspace: Workspace) -> None:
    chosen = {"MODEL": "claude-sonnet-4-5-20250929", "PROJECT_ID": "p", "TODAY": "2026-11-01"}
    ran = workspace.run(["python3", "deploy/check.py"], chosen)
    assert (ran.status, "retires on 2026-11-30, in 29 days" in ran.output) == (0, True)
    ran = workspace.run(["python3", "deploy/check.py"], chosen | {"TODAY": "2026-12-01"})
    assert (ran.status, "retired on 2026-11-30" in ran.output) == (1, True)


@pytest.mark.parametrize("location", PROVIDERS["vertex"].regions.split())
def test_functions_and_queue_run_where_the_table_says(location: str) -> None:
    from deploy import check

    chosen = {"MODEL_PROVIDER": "vertex", "MODEL_REGION": location, "MODEL": "claude-opus-5-5"}
    assert check.regions(chosen) == beside(location)


def test_a_second_build_updates_what_the_first_one_made(workspace: Workspace) -> None:
    there = {
        "scheduler jobs describe": "",
        "alpha monitoring policies list": "projects/my-project/alertPolicies/1",
        "beta monitoring channels list": "projects/my-project/notificationChannels/1",
        "monitoring dashboards list": "projects/my-project/dashboards/1",
        "monitoring dashboards describe": "0123etag",
    }
    ran = workspace.build(URLS | there, _ALARM_EMAIL="ops@example.com")
    assert ran.status == 0, ran.output
    assert ran.only("scheduler", "jobs", "update", "http")
    made = [each for each in ran.commands if each[0] != "scheduler" and "create" in each]
    assert not made
    told = [
        each
        for each in ran.commands
        if "--set-notification-channels=projects/my-project/notificationChannels/1" in each
    ]
    assert len(told) == len(list((ROOT / "deploy" / "google" / "alerts").iterdir())) == 13


@pytest.mark.parametrize("reason", [Reason.DAY_LIMIT, Reason.BUDGET_INSTALLATION])
def test_an_alert_listens_to_what_dispatch_logs_for_the_operator(reason: Reason) -> None:
    listened = set[str]()
    for file in (ROOT / "deploy" / "google" / "alerts").iterdir():
        (condition,) = json.loads(file.read_text())["conditions"]
        heard = condition.get("conditionMatchedLog", {}).get("filter", "")
        if 'service_name="claude-dispatch"' in heard:
            listened.update(re.findall(r'jsonPayload\.reason="(\w+)"', heard))
    assert str(reason) in listened


# --- gcloud's own opinion ---


def test_gcloud_knows_every_command_and_flag(workspace: Workspace) -> None:
    assert google.complaints(["run", "deploy", "x", "--cpu-bost"]) == ["--cpu-bost"]
    assert google.complaints(["tasks", "queue", "create"])
    commands = workspace.build(URLS | POLICY, _ALARM_EMAIL="ops@example.com").commands
    assert len(commands) > 20
    assert [found for command in commands for found in google.complaints(command)] == []


@pytest.mark.skipif(shutil.which("gcloud") is None, reason="gcloud is not installed here")
def test_monitoring_would_read_the_alerts_and_the_dashboard(tmp_path: Path) -> None:
    sdk = Path(shutil.which("gcloud") or "").resolve().parents[1]
    python = sdk / "platform" / "bundledpythonunix" / "bin" / "python3"
    if not python.exists():
        pytest.skip("this gcloud brings no Python of its own")
    script = tmp_path / "read.py"
    script.write_text(
        "import json, sys\n"
        f"sys.path[:0] = [{str(sdk / 'lib')!r}, {str(sdk / 'lib' / 'third_party')!r}]\n"
        "from apitools.base.py import encoding\n"
        "from googlecloudsdk.generated_clients.apis.monitoring.v1 import monitoring_v1_messages\n"
        "from googlecloudsdk.generated_clients.apis.monitoring.v3 import monitoring_v3_messages\n"
        "for path in sys.argv[1:]:\n"
        "    dashboard = path.endswith('dashboard.json')\n"
        "    kind = monitoring_v1_messages.Dashboard if dashboard else"
        " monitoring_v3_messages.AlertPolicy\n"
        "    message = encoding.DictToMessage(json.load(open(path)), kind)\n"
        "    print(path, list(encoding.UnrecognizedFieldIter(message)))\n"
    )
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"displayName": "x", "combinre": "OR"}')
    files = [*(ROOT / "deploy" / "google").rglob("*.json"), wrong]
    ran = Workspace(tmp_path / "w").run([str(python), str(script), *map(str, files)])
    assert ran.status == 0, ran.output
    lines = ran.output.strip().splitlines()
    assert len(lines) == len(files) == 15
    assert [line for line in lines if not line.endswith(" []")] == [lines[-1]], ran.output
