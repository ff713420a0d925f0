"""The job where no tool is needed: what ends it before it begins, and the time it has."""

import json
from pathlib import Path

import pytest

from job import messages
from job.failures import ExitCode, Failure
from job.inputs import Inputs
from job.job_log import Log
from job.run import Job, main
from job.step import Step
from shared.contract.marks import of_run
from shared.contract.version import VERSION
from tests.support.catalogues import spoken
from tests.support.gitlab.server import GitLab

ENVIRONMENT = {
    "AI_FLOW_INPUT": "fix it",
    "GITLAB_ACCESS_TOKEN": "glpat-x",
    "CI_API_V4_URL": "http://127.0.0.1:1/api/v4",
    "CI_PROJECT_ID": "7",
    "CI_PROJECT_URL": "http://127.0.0.1:1/group/app",
}


def job(inputs: Inputs, **variables: str) -> Job:
    return Job(inputs, ENVIRONMENT | variables, Log(lambda _: None, lambda: 0.0))


def test_claude_gets_the_input_s_minutes_less_what_is_used() -> None:
    assert 1790 < job(Inputs())._deadline() <= 1800


def test_the_minutes_and_turns_of_a_comment_hold_where_they_are_fewer(tmp_path: Path) -> None:
    flow = {"version": 1, "id": "r", "input": "fix it", "options": {"turns": 7, "minutes": 60}}
    (tmp_path / "payload").write_text(json.dumps({"ai_flow": flow}))
    made = job(Inputs(), TRIGGER_PAYLOAD=str(tmp_path / "payload"))
    assert made._inputs == Inputs(max_turns=7)
    assert made._deadline() > 1790


def test_without_a_token_the_variable_is_named() -> None:
    with pytest.raises(Failure, match="GITLAB_ACCESS_TOKEN"):
        job(Inputs(), GITLAB_ACCESS_TOKEN=" ")
    with pytest.raises(Failure, match="OUR_BOT"):
        job(Inputs(token_variable="OUR_BOT"))


def test_what_is_asked_internally_is_kept_out_of_log_and_cache(tmp_path: Path) -> None:
    flow = {"version": 2, "id": "r", "input": None, "context": {"issue": {"iid": 5}}}
    (tmp_path / "payload").write_text(json.dumps({"ai_flow": flow}))
    lines: list[str] = []
    log = Log(lines.append, lambda: 0.0)
    given = ENVIRONMENT | {"TRIGGER_PAYLOAD": str(tmp_path / "payload")}
    made = Job(Inputs(resume=True), given, log)
    log.line("what somebody wrote")
    assert lines == [f"{messages.STEPS_ONLY}\n"]
    assert not made._inputs.resume


@pytest.mark.parametrize(
    ("before", "moved", "stands", "says"),
    [
        (False, False, False, True),
        (True, True, False, False),
        (False, True, False, False),
        (False, True, True, True),  # what is on the lines already has its summary
    ],
)
def test_a_run_that_nobody_asked_for_says_nothing_where_newer_commits_have_come(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    before: bool,
    moved: bool,
    stands: bool,
    says: bool,
) -> None:
    seen = "a" * 40
    context = {"merge_request": {"iid": 3, "sha": seen}}
    flow = {"version": 1, "id": "r", "event": "auto", "input": "review", "context": context}
    (tmp_path / "payload").write_text(json.dumps({"ai_flow": flow}))
    monkeypatch.setattr("job.confine.end_with_parent", lambda: None)
    monkeypatch.setattr("job.cancel.Cancel.catch", lambda *_: None)
    with GitLab() as gitlab:
        gitlab.user(1, "claude")
        gitlab.project(7, "group/app")
        gitlab.member(7, 1, 40)
        gitlab.api_token("glpat-x", 1)
        gitlab.merge_request(7, 3, source_branch="f", sha="b" * 40 if before else seen)
        gitlab.note(7, "merge_request", 3, author_id=1, body=f"Queued.\n\n{of_run('r')}")
        given = {"CI_API_V4_URL": f"{gitlab.url}/api/v4", "TRIGGER_PAYLOAD": f"{tmp_path}/payload"}
        made = job(Inputs(), **given)

        def outcome(_: object, step: Step, __: object) -> tuple[str, int]:
            gitlab.merge_requests[7, 3]["sha"] = "b" * 40 if moved else seen
            step.stands = stands
            return "Reviewed.", 0

        monkeypatch.setattr(made, "_outcome", outcome)
        assert made.run() == 0
        said = [note["body"].partition("\n")[0] for note in gitlab.notes.values()]
    assert said == ["Reviewed."] * says


@pytest.mark.parametrize("inputs", ["provider=openai\n", "allowed_tools=Bash\n"])
def test_a_wrong_input_ends_the_job_with_its_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], inputs: str
) -> None:
    file = tmp_path / "inputs"
    file.write_text(inputs)
    assert main([str(file)]) == ExitCode.SETTINGS
    assert "Claude could not start. The component's input `" in capsys.readouterr().out


def test_a_secret_is_masked_from_the_first_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITLAB_ACCESS_TOKEN", "canary-token")
    file = tmp_path / "inputs"
    file.write_text("model=canary-token --x\n")
    assert main([str(file)]) == ExitCode.SETTINGS
    assert "canary-token" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("input_", "told", "spoken_"),
    [
        ("", "zh-CN", "Claude 已完成。"),
        ("zh-CN", None, "Claude 已完成。"),
        ("en", "zh-CN", "Claude has finished."),
        ("zh-CN", "en", "Claude 已完成。"),
        ("", None, "Claude has finished."),
        ("", "tlh", "Claude has finished."),
        ("", ["zh-CN"], "Claude has finished."),
    ],
)
def test_the_input_s_language_is_spoken_else_the_trigger_s(
    tmp_path: Path, input_: str, told: object, spoken_: str
) -> None:
    flow = {"version": 1, "id": "r", "input": "fix it", "language": told}
    (tmp_path / "payload").write_text(json.dumps({"ai_flow": flow}))
    with spoken("en"):
        job(Inputs(language=input_), TRIGGER_PAYLOAD=str(tmp_path / "payload"))
        assert spoken_ == messages.FINISHED


def test_without_the_trigger_the_input_s_language_is_spoken_from_the_first_failure_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in {"inputs": "language=zh-CN\n", "prompt": ""}.items():
        (tmp_path / name).write_text(text)
    with spoken("en"):
        assert main([str(tmp_path / "inputs"), str(tmp_path / "prompt")]) == ExitCode.SETTINGS
    first, _, rest = capsys.readouterr().out.partition("\n")
    assert first == f"gitlab-claude-trigger {VERSION}"
    assert "Claude 无法启动。流水线没有携带请求" in rest
