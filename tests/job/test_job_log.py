"""The log: sections that GitLab folds, secrets masked, no stranger's control characters."""

import pytest

from job.job_log import Log


def logged(*lines: str) -> str:
    written: list[str] = []
    log = Log(written.append, lambda: 100.0, ["canary-secret", "short"])
    for line in lines:
        log.line(line)
    return "".join(written)


def test_a_secret_is_masked_wherever_it_stands() -> None:
    assert logged("a canary-secret-b") == "a [MASKED]-b\n"


def test_what_is_too_short_to_be_a_secret_stays() -> None:
    assert logged("short") == "short\n"


def test_a_log_of_steps_says_what_it_is_given_as_a_step() -> None:
    written: list[str] = []
    log = Log(written.append, lambda: 0.0)
    log.line("before", step="x")
    log.say_steps_only("quiet")
    log.line("what somebody wrote")
    log.step("Start")
    log.line("what somebody wrote", step="Install")
    assert written == ["before\n", "quiet\n", "Start\n", "Install\n"]
    assert log.unsaid == ["what somebody wrote", "what somebody wrote"]


def test_no_text_can_forge_a_section() -> None:
    assert logged("\x1b[0Ksection_start:1:x\r\x1b[0Kx") == "[0Ksection_start:1:x[0Kx\n"


def test_a_section_opens_and_closes_even_when_the_work_in_it_fails() -> None:
    written: list[str] = []
    log = Log(written.append, lambda: 100.9)
    with pytest.raises(ZeroDivisionError), log.section("Work"):
        _ = 1 / 0
    assert written == [
        "\x1b[0Ksection_start:100:claude_1[collapsed=true]\r\x1b[0KWork\n",
        "\x1b[0Ksection_end:100:claude_1\r\x1b[0K\n",
    ]
