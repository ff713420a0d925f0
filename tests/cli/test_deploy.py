"""What is run with which words, without a question; what is refused before anything is run."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cli import deploy as deploying
from cli.__main__ import main
from cli.installation import Unusable
from tests.support.deploy import google, template


class Standing:
    """An installation that is deployed already, or not yet."""

    def __init__(self, name: str, environment: Mapping[str, str] | None) -> None:
        self.name, self._environment = name, environment

    def url(self) -> str:
        return "https://receive.example.com"

    def environment(self) -> Mapping[str, str]:
        if self._environment is None:
            raise Unusable("nothing there")  # noqa: TRY003
        return self._environment


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    commands: list[list[str]] = []
    monkeypatch.setattr(deploying, "run", lambda command, *_: commands.append(list(command)))
    return commands


def deploy(name: str, known: Mapping[str, str] | None, **settings: str) -> None:
    standing: Any = Standing(name, known)
    assert deploying.deploy(settings, standing, dry=False) == 0


def test_aws_is_asked_nothing_and_keeps_what_is_not_named(ran: list[list[str]]) -> None:
    deploy(
        "aws", {}, STACK="ours", TRIGGER_PHRASE="@claude, @ai", PROMPTS='{"fix": "a \\"b\\"\\n"}'
    )
    assert ran[0] == ["sam", "build"]
    words = ran[1]
    assert words[:4] == ["sam", "deploy", "--stack-name", "ours"]
    assert "--guided" not in words
    assert "--no-confirm-changeset" in words
    given = words[words.index("--parameter-overrides") + 1 :]
    read = dict(each.split("=", 1) for each in given)
    assert read["TriggerPhrase"] == '"@claude, @ai"'
    assert json.loads(read["Prompts"][1:-1].replace('\\"', '"')) == {"fix": 'a "b"\n'}
    assert set(read) <= set(template.source()["Parameters"])


def test_google_is_given_again_what_is_deployed(
    ran: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    known = {"MINIMUM_ROLE": "maintainer", "TRIGGER_PHRASE": "@claude", "QUEUE": "not ours to set"}
    deploy("google", known, PROJECT_ID="p", TRIGGER_PHRASE="@claude,@ai", ALARM_EMAIL="o@x.org")
    (words,) = ran
    assert words[:4] == ["gcloud", "beta", "builds", "submit"]
    given = google.value(words, "--substitutions")
    assert given[0] == given[2] == "^"
    read = dict(each.split("=", 1) for each in given[3:].split(given[1]))
    assert read == {
        "_MINIMUM_ROLE": "maintainer",
        "_TRIGGER_PHRASE": "@claude,@ai",
        "_ALARM_EMAIL": "o@x.org",
    }
    shown = capsys.readouterr().out
    assert "deployed: https://receive.example.com" in shown
    assert "make setup PROJECT=" in shown


def test_a_first_deployment_needs_no_setting(ran: list[list[str]]) -> None:
    deploy("google", None, PROJECT_ID="p")
    deploy("aws", None)
    assert ran[0][-1] == "--project=p"
    assert "--parameter-overrides" not in ran[2]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("PLATFORM=local\n", "make run serves on this machine"),
        ("PLATFORM=aws\nMODEL_REGION=mars\nMODEL_PROVIDER=bedrock\n", "MODEL_REGION: found 'mars'"),
        ("PLATFORM=aws\nMODEL=claude-opus-4-20250514\n", "set MODEL to one that answers"),
        ("PLATFORM=aws\nMINIMUM_ROLL=owner\n", "line 2 of the settings file"),
        ("PLATFORM=google\n", "set PROJECT_ID"),
        ("PLATFORM=google\nPROJECT_ID=p\nREGION=mars\n", "REGION: found 'mars'"),
        ('PLATFORM=google\nPROJECT_ID=p\nPROMPTS={"fix": "$HOME"}\n', "a setting has a $"),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_run(
    tmp_path: Path,
    ran: list[list[str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    settings: str,
    words: str,
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no gcloud to ask
    file = tmp_path / "claude.env"
    file.write_text(settings)
    assert main(["deploy", "--settings", str(file)]) == 2
    assert words in capsys.readouterr().err
    assert ran == []


def test_a_dry_run_runs_nothing(ran: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    standing: Any = Standing("aws", {})
    assert deploying.deploy({}, standing, dry=True) == 0
    assert ran == []
    assert capsys.readouterr().out.count("would run") == 2


def test_a_tool_that_fails_or_is_missing_is_named() -> None:
    with pytest.raises(Unusable, match="false failed"):
        deploying.run(["false"])
    with pytest.raises(Unusable, match="no-such-tool is not installed"):
        deploying.run(["no-such-tool"])


def test_the_bootstrap_gets_the_same_settings(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Mapping[str, str]] = []
    monkeypatch.setattr(deploying, "run", lambda _, environment: seen.append(environment))
    file = tmp_path / "claude.env"
    file.write_text("PLATFORM=google\nPROJECT_ID=p\nMODEL_PROVIDER=anthropic\n")
    assert main(["bootstrap", "--settings", str(file)]) == 0
    assert seen[0]["PROJECT_ID"] == "p"
