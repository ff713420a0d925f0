import json
import subprocess
import sys

import pytest

from shared.incoming.mention import may_occur
from shared.installation.readers import SettingsError, Variable, number
from shared.installation.settings import Settings, required
from tests import ROOT
from tests.support.fakes import settings


def test_the_defaults_are_the_documented_ones() -> None:
    found = settings()
    assert found.gitlab_url == "https://gitlab.com"
    assert found.host == "gitlab.com"
    assert found.phrases == ("@claude",)
    assert (found.model.provider.name, found.model.region, found.model.id) == ("anthropic", "", "")
    assert (found.pipeline_ref, found.minimum_role, found.enabled) == ("default", 30, True)
    assert (found.runs_per_thread, found.runs_per_user_per_hour, found.runs_per_day) == (6, 20, 200)
    assert found.labels == {"claude"}
    assert found.language == "en"
    assert not found.allowed_models
    assert not found.prompts
    assert found.auto is None
    assert not found.reads_forks
    assert settings(FORKS="read-only").reads_forks
    assert (found.max_turns, found.max_minutes) == (40, 30)
    assert found.serves(1, "any/project/at/all")


def test_an_empty_variable_counts_as_not_set() -> None:
    assert settings(GITLAB_URL="", MINIMUM_ROLE=" ", TRIGGER_PHRASE="") == settings()


def test_lists_and_letter_case_are_forgiving() -> None:
    found = settings(
        TRIGGER_PHRASE=" @claude , @ai.bot-2 ",
        ALLOWED_BOTS="Renovate, x",
        MINIMUM_ROLE="Maintainer",
        ENABLED="False",
    )
    assert found.phrases == ("@claude", "@ai.bot-2")
    assert found.allowed_bots == {"renovate", "x"}
    assert (found.minimum_role, found.enabled) == (40, False)


@pytest.mark.parametrize(
    ("allowed", "served"),
    [
        ("*", True),
        ("group/app", True),
        ("Group/App", True),
        ("group/*", True),
        ("7", True),
        ("x, 7", True),
        ("group", False),
        ("8", False),
        ("77", False),
        ("group/ap", False),
        ("*/other", False),
        ("group/[b-z]*", False),
    ],
)
def test_projects_are_let_in_by_path_id_or_glob(allowed: str, served: bool) -> None:
    assert settings(ALLOWED_PROJECTS=allowed).serves(7, "group/app") is served


@pytest.mark.parametrize(
    ("provider", "region", "model", "variables"),
    [
        ("anthropic", "", "claude-opus-5-5", {"ANTHROPIC_MODEL": "claude-opus-5-5"}),
        ("anthropic", "eu", "", {}),
        ("bedrock", "eu-central-1", "", {"AWS_REGION": "eu-central-1"}),
        (
            "bedrock",
            "us-gov-west-1",
            "us-gov.anthropic.claude-opus-4-5-20251101-v1:0",
            {
                "AWS_REGION": "us-gov-west-1",
                "ANTHROPIC_MODEL": "us-gov.anthropic.claude-opus-4-5-20251101-v1:0",
            },
        ),
        (
            "vertex",
            "global",
            "claude-haiku-4-5@20251001",
            {"CLOUD_ML_REGION": "global", "ANTHROPIC_MODEL": "claude-haiku-4-5@20251001"},
        ),
        ("vertex", "europe-west1", "", {"CLOUD_ML_REGION": "europe-west1"}),
    ],
)
def test_region_and_model_travel_under_the_provider_s_own_names(
    provider: str, region: str, model: str, variables: dict[str, str]
) -> None:
    assert (
        settings(MODEL_PROVIDER=provider, MODEL_REGION=region, MODEL=model).model.variables()
        == variables
    )


@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        ({"GITLAB_URL": "gitlab.com"}, "GITLAB_URL"),
        ({"GITLAB_URL": "https://[fe80::1%eth0]"}, "GITLAB_URL"),
        ({"GITLAB_PROXY": "proxy.example.com:3128"}, "GITLAB_PROXY"),
        ({"GITLAB_PROXY": "https://proxy.example.com:3128"}, "GITLAB_PROXY"),
        ({"GITLAB_PROXY": "http://proxy.example.com"}, "GITLAB_PROXY"),
        ({"GITLAB_PROXY": "http://proxy.example.com:3128/a"}, "GITLAB_PROXY"),
        ({"GITLAB_URL": "http://gitlab.example.com"}, "GITLAB_URL"),
        ({"GITLAB_URL": "ftp://gitlab.com"}, "GITLAB_URL"),
        ({"GITLAB_URL": "https://"}, "GITLAB_URL"),
        ({"GITLAB_URL": "https://gitlab.com:99999"}, "GITLAB_URL"),
        ({"GITLAB_URL": "https://gitlab.com/?x=1"}, "GITLAB_URL"),
        ({"TRIGGER_PHRASE": "claude"}, "TRIGGER_PHRASE"),
        ({"TRIGGER_PHRASE": "@claude, /ai"}, "TRIGGER_PHRASE"),
        ({"TRIGGER_PHRASE": "@"}, "TRIGGER_PHRASE"),
        ({"TRIGGER_PHRASE": ","}, "TRIGGER_PHRASE"),
        ({"MODEL_PROVIDER": "openai"}, "MODEL_PROVIDER"),
        ({"MODEL_PROVIDER": "bedrock"}, "MODEL_REGION"),
        ({"MODEL_PROVIDER": "bedrock", "MODEL_REGION": "global"}, "MODEL_REGION"),
        ({"MODEL_PROVIDER": "vertex"}, "MODEL_REGION"),
        ({"MODEL_PROVIDER": "vertex", "MODEL_REGION": "eu-central-1"}, "MODEL_REGION"),
        ({"MODEL": "opus"}, "MODEL"),
        (
            {"MODEL_PROVIDER": "bedrock", "MODEL_REGION": "eu-west-1", "MODEL": "claude-opus-5-5"},
            "MODEL",
        ),
        (
            {
                "MODEL_PROVIDER": "bedrock",
                "MODEL_REGION": "eu-west-1",
                "MODEL": "apac.anthropic.claude-opus-5",
            },
            "MODEL",
        ),
        ({"PIPELINE_REF": "main"}, "PIPELINE_REF"),
        ({"FORKS": "true"}, "FORKS"),
        ({"LANGUAGE": "zh"}, "LANGUAGE"),
        ({"MINIMUM_ROLE": "boss"}, "MINIMUM_ROLE"),
        ({"RUNS_PER_DAY": "many"}, "RUNS_PER_DAY"),
        ({"RUNS_PER_DAY": "10000"}, "RUNS_PER_DAY"),
        ({"RUNS_PER_THREAD": "-1"}, "RUNS_PER_THREAD"),
        *(
            ({"BUDGET_PER_RUN": text}, "BUDGET_PER_RUN")
            for text in (
                "five",
                "-1",
                "$5",
                "2,50",
                "1e3",
                "nan",
                "inf",
                ".",
                "٤",
                "2.5000001",
                "5 USD",
            )
        ),
        ({"BUDGET_PER_RUN": "1", "BUDGET_PER_USER_DAY": "many"}, "BUDGET_PER_USER_DAY"),
        ({"BUDGET_PER_USER_DAY": "10"}, "BUDGET_PER_USER_DAY"),
        ({"BUDGET_PER_RUN": "0", "BUDGET_PER_PROJECT_MONTH": "1"}, "BUDGET_PER_PROJECT_MONTH"),
        (
            {"BUDGET_PER_RUN": "2.5", "BUDGET_PER_INSTALLATION_MONTH": "2.49"},
            "BUDGET_PER_INSTALLATION_MONTH",
        ),
        ({"ENABLED": "yes"}, "ENABLED"),
        ({"MAX_TURNS": "-1"}, "MAX_TURNS"),
        ({"MAX_TURNS": "10000"}, "MAX_TURNS"),
        ({"MAX_TURNS": "4.5"}, "MAX_TURNS"),
        ({"MAX_TURNS": "٤"}, "MAX_TURNS"),
        ({"MAX_MINUTES": "30m"}, "MAX_MINUTES"),
        ({"ALLOWED_MODELS": "opus"}, "ALLOWED_MODELS"),
        ({"ALLOWED_MODELS": "claude-opus-5-5, eu.anthropic.claude-opus-5-5"}, "ALLOWED_MODELS"),
        (
            {
                "MODEL_PROVIDER": "bedrock",
                "MODEL_REGION": "eu-west-1",
                "ALLOWED_MODELS": "us.anthropic.claude-opus-5",
            },
            "ALLOWED_MODELS",
        ),
        (
            {"MODEL_PROVIDER": "vertex", "MODEL_REGION": "eu", "ALLOWED_MODELS": "claude-3.5"},
            "ALLOWED_MODELS",
        ),
        ({"PROMPTS": "Look at security first."}, "PROMPTS"),
        ({"PROMPTS": "{'review': 'x'}"}, "PROMPTS"),
        ({"PROMPTS": '{"review": "x"'}, "PROMPTS"),
        ({"PROMPTS": '["review"]'}, "PROMPTS"),
        ({"PROMPTS": "null"}, "PROMPTS"),
        ({"PROMPTS": '{"implement": "x"}'}, "PROMPTS"),
        ({"PROMPTS": '{"review": 1}'}, "PROMPTS"),
        ({"AUTO": "true"}, "AUTO"),
        ({"AUTO": "review: merged"}, "AUTO"),
        ({"AUTO": "targets: main"}, "AUTO"),
    ],
)
def test_a_wrong_setting_is_named_with_what_was_found_and_expected(
    environment: dict[str, str], variable: str
) -> None:
    with pytest.raises(SettingsError) as error:
        Settings.read(environment)
    assert str(error.value).startswith(f"{variable}: found ")
    assert "expected " in str(error.value)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("", 0),
        ("0", 0),
        ("0.00", 0),
        ("2.50", 2_500_000),
        ("7", 7_000_000),
        ("7.", 7_000_000),
        (".5", 500_000),
        ("0.000001", 1),
        (" 999999999 ", 999_999_999_000_000),
    ],
)
def test_an_amount_of_dollars_is_read_to_the_letter(text: str, amount: int) -> None:
    assert settings(BUDGET_PER_RUN=text).budget_per_run == amount
    assert not settings(BUDGET_PER_RUN=text, BUDGET_PER_USER_DAY="0").has_budgets


@pytest.mark.parametrize(
    ("label", "found"),
    [
        ("", {"claude"}),
        ("none", set()),
        ("To Do::Claude", {"to do::claude"}),
        ("Prüfen", {"prüfen"}),
    ],
)
def test_the_label_is_read_in_any_letter_case_and_none_switches_it_off(
    label: str, found: set[str]
) -> None:
    assert settings(TRIGGER_LABEL=label).labels == found


def test_without_a_label_no_delivery_is_looked_at_for_one() -> None:
    assert settings(TRIGGER_PHRASE="@ai", TRIGGER_LABEL="none").prefilter == (
        "@ai",
        '"ai"',
        "ai_flow",
    )
    assert '"go"' in settings(TRIGGER_PHRASE="@ai", TRIGGER_LABEL="Go").prefilter


@pytest.mark.parametrize(
    "label", ["Übernehmen", 'ask "claude"', "R&D", "做", "a\\b", "NONE of that", "x/y <z>"]
)
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_delivery_with_the_label_is_looked_at_however_it_is_spelled(
    label: str, *, ascii_only: bool
) -> None:
    prefilter = settings(TRIGGER_PHRASE="@ai", TRIGGER_LABEL=label).prefilter
    for spelled in (label, label.upper(), label.lower()):
        body = json.dumps(
            {"labels": [{"title": spelled}]}, ensure_ascii=ascii_only, separators=(",", ":")
        )
        assert may_occur(body.encode(), prefilter)


def test_a_policy_lets_events_of_merge_requests_be_looked_at_and_its_reader_be_imported() -> None:
    body = b'{"object_kind":"merge_request","user":{}}'
    assert not may_occur(body, settings().prefilter)
    policed = settings(AUTO="review: opened")
    assert policed.auto
    assert policed.auto.starts == {"review": ("opened",)}
    for spaced in (body, body.replace(b":", b": ")):
        assert may_occur(spaced, policed.prefilter)
    assert not may_occur(b'{"object_kind":"issue"}', policed.prefilter)
    assert not may_occur(b'{"object_kind":"note","merge_request":{}}', policed.prefilter)
    program = "import shared.receive, shared.installation.settings as s, sys; s.Settings.read({})"
    told = subprocess.run(
        [sys.executable, "-c", f"{program}; print(*sys.modules)"],
        capture_output=True,
        check=True,
        text=True,
        cwd=ROOT,
    )
    assert not {"shared.installation.auto", "shared.policy"} & set(told.stdout.split())


def test_whose_name_is_a_phrase_is_asked_by_assigning() -> None:
    assert settings(TRIGGER_PHRASE="@Claude, @ai.bot-2").names == {"claude", "ai.bot-2"}


@pytest.mark.parametrize(
    ("environment", "models"),
    [
        (
            {"ALLOWED_MODELS": "claude-opus-5-5 , claude-haiku-5-5,"},
            ("claude-opus-5-5", "claude-haiku-5-5"),
        ),
        (
            {
                "MODEL_PROVIDER": "bedrock",
                "MODEL_REGION": "eu-west-1",
                "ALLOWED_MODELS": "eu.anthropic.claude-opus-5-5,global.anthropic.claude-opus-5-5",
            },
            ("eu.anthropic.claude-opus-5-5", "global.anthropic.claude-opus-5-5"),
        ),
        (
            {
                "MODEL_PROVIDER": "vertex",
                "MODEL_REGION": "eu",
                "ALLOWED_MODELS": "claude-haiku-4-5@20251001",
            },
            ("claude-haiku-4-5@20251001",),
        ),
    ],
)
def test_a_comment_may_choose_among_models_that_the_provider_has(
    environment: dict[str, str], models: tuple[str, ...]
) -> None:
    assert settings(**environment).allowed_models == models


@pytest.mark.parametrize("value", ["0", "1", "9999", " 7 "])
def test_limits_of_a_comment_s_options_are_whole_numbers(value: str) -> None:
    found = settings(MAX_TURNS=value, MAX_MINUTES=value)
    assert found.max_turns == found.max_minutes == int(value)


def test_a_number_ends_at_its_own_variable_s_most() -> None:
    variable = Variable("CALLS", "7", "Spend", most=70, zero="none")
    assert number(variable, {"CALLS": "70"}) == 70
    for value in ("71", "070"):
        with pytest.raises(SettingsError, match="up to 70; 0: none"):
            number(variable, {"CALLS": value})


def test_prompts_are_texts_by_command_or_event() -> None:
    texts = dict.fromkeys(
        ("review", "fix", "explain", "assign", "assign_reviewer", "label"),
        "Tu, was hier steht: 🤖\n",
    )
    assert settings(PROMPTS=json.dumps(texts)).prompts == texts
    assert settings(PROMPTS="{}").prompts == settings(PROMPTS=" ").prompts == {}


def test_a_wrong_prompt_is_not_repeated() -> None:
    for wrong in ('{"review": "canary', '{"review": ["canary"]}', '"canary"'):
        with pytest.raises(SettingsError) as error:
            settings(PROMPTS=wrong)
        assert "canary" not in str(error.value)


def test_a_password_in_the_address_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as error:
        settings(GITLAB_URL="https://oauth2:canary@gitlab.com")
    assert "canary" not in str(error.value)
    with pytest.raises(SettingsError) as error:
        settings(GITLAB_PROXY="http://me:canary@proxy.example.com:3128")
    assert "canary" not in str(error.value)


def test_an_address_may_be_an_ipv6_literal() -> None:
    here = settings(GITLAB_URL="https://[2001:db8::1]:8443/gitlab/")
    assert (here.host, here.gitlab_url) == (
        "[2001:db8::1]:8443",
        "https://[2001:db8::1]:8443/gitlab",
    )


def test_plain_http_is_for_this_machine() -> None:
    assert (
        settings(GITLAB_URL="http://127.0.0.1:3000/gitlab/").gitlab_url
        == "http://127.0.0.1:3000/gitlab"
    )


def test_what_a_platform_needs_must_be_there() -> None:
    assert required({"QUEUE_URL": " x "}, "QUEUE_URL", "a URL") == "x"
    for environment in ({}, {"QUEUE_URL": " "}):
        with pytest.raises(SettingsError, match=r"QUEUE_URL: found .* expected a URL"):
            required(environment, "QUEUE_URL", "a URL")


@pytest.mark.parametrize(
    ("text", "runner"),
    [
        ("", ""),
        ("Group/claude-runner", "group/claude-runner"),
        ("70", "70"),
        ("group/* = 70, other/* = other/runner", "70"),
        ("other/* = other/runner", ""),
        ("7 = 70", "70"),
    ],
)
def test_the_first_entry_that_fits_says_where_a_job_runs(text: str, runner: str) -> None:
    assert settings(RUNNER_PROJECT=text).runner_of(7, "Group/App") == runner


@pytest.mark.parametrize(
    "text",
    ["runner", "a/b, c/d", "group/* =", "= a/b", "a/* = b/*", "https://x.org/a/b", "a/b,c=d/e"],
)
def test_a_runner_project_is_one_id_or_path(text: str) -> None:
    with pytest.raises(SettingsError, match=r"RUNNER_PROJECT: found .* such as group/"):
        settings(RUNNER_PROJECT=text)


def test_a_runner_project_that_may_ask_would_run_for_itself() -> None:
    with pytest.raises(SettingsError, match="ALLOWED_PROJECTS does not name"):
        settings(RUNNER_PROJECT="group/runner", ALLOWED_PROJECTS="Group/Runner, group/app")
    found = settings(RUNNER_PROJECT="group/runner")
    assert not found.serves(70, "group/Runner")
    assert found.is_runner(70, "group/Runner")
    assert found.serves(7, "group/app")
