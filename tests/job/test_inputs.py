"""The component's inputs: read, checked, and each mistake named."""

import pytest

from job.failures import ExitCode, Failure
from job.inputs import Inputs, Plain, lowered, parse, tools


def test_nothing_given_is_the_defaults() -> None:
    assert parse("provider=\nmodel=\n") == Inputs()


def test_a_variable_can_be_marked_as_no_secret() -> None:
    inputs = parse("environment=NPM_TOKEN, NODE_ENV:plain CI_X")
    assert inputs.environment == ("NPM_TOKEN", "NODE_ENV", "CI_X")
    assert [name for name in inputs.environment if isinstance(name, Plain)] == ["NODE_ENV"]


def test_each_kind_of_input_is_read() -> None:
    inputs = parse(
        "provider=bedrock\nmax_turns=7\nmax_budget_usd=0.5\ntimeout_minutes=2\n"
        "draft=false\nresume=true\nenvironment=A, B_2\n"
        "allowed_tools=Bash(npm test), Bash(git log --oneline *) WebFetch\n",
        "Be brief.\n",
    )
    assert inputs.provider == "bedrock"
    assert parse("fallback_model=claude-a,eu.b-v1:0").fallback_model == "claude-a,eu.b-v1:0"
    assert (inputs.max_turns, inputs.max_budget_usd, inputs.timeout_minutes) == (7, 0.5, 2.0)
    assert (inputs.draft, inputs.resume, inputs.prompt) == (False, True, "Be brief.")
    assert inputs.allowed_tools == ("Bash(npm test)", "Bash(git log --oneline *)", "WebFetch")
    assert inputs.environment == ("A", "B_2")


@pytest.mark.parametrize(
    "line",
    [
        "provider=openai",
        "model=--settings=x",
        "model=a b",
        "fallback_model=a b",
        "fallback_model=a,",
        "fallback_model=a,-b",
        "claude_version=latest",
        "prompt_file=/etc/passwd",
        "prompt_file=-x",
        "max_turns=0",
        "max_turns=many",
        "max_budget_usd=-1",
        "branch_prefix=-x",
        "branch_moved=maybe",
        "draft=yes",
        "environment=A;B",
        "environment=A:secret",
        "environment=" + "A" * 60 + "!",
        "plain=A",
        "confidential_changes=maybe",
        "token_variable=A B",
        "region=EU;x",
        "mcp=github",
        "allowed_tools=Bash",
        "allowed_tools=Read, Bash(*)",
        "allowed_tools=Bash(npm test) && x",
    ],
)
def test_a_wrong_input_is_named(line: str) -> None:
    with pytest.raises(Failure) as failure:
        parse(line)
    assert failure.value.code == ExitCode.SETTINGS
    assert f"`{line.partition('=')[0]}`" in failure.value.text


def test_an_input_nobody_knows_is_named() -> None:
    with pytest.raises(Failure, match="colour"):
        parse("colour=red")


def test_a_rule_with_commas_and_blanks_is_one_tool() -> None:
    found = tools("Bash(make a, b), mcp__gitlab__get_issue")
    assert found == ("Bash(make a, b)", "mcp__gitlab__get_issue")


@pytest.mark.parametrize(
    ("turns", "minutes", "limits"),
    [
        (0, 0, (40, 30.0)),
        (5, 0, (5, 30.0)),
        (0, 10, (40, 10.0)),
        (400, 10**30, (40, 30.0)),
        (40, 30, (40, 30.0)),
    ],
)
def test_what_a_comment_asks_for_only_lowers_a_limit(
    turns: int, minutes: int, limits: tuple[int, float]
) -> None:
    inputs = lowered(Inputs(), turns, minutes)
    assert (inputs.max_turns, inputs.timeout_minutes) == limits


@pytest.mark.parametrize(("dollars", "limit"), [(0.0, 5.0), (2.5, 2.5), (10.0, 5.0)])
def test_what_the_installation_lets_a_run_spend_only_lowers_the_limit(
    dollars: float, limit: float
) -> None:
    assert lowered(Inputs(), 0, 0, dollars).max_budget_usd == limit
