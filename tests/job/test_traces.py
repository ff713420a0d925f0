"""The end of a log as text: nothing of a terminal's, of GitLab's, of a secret, and not too much."""

import time

import pytest

from job.masking import Secrets
from job.traces import LONGEST_LINE, MOST_LINES, tail
from shared.contract.provenance import MASK

STAMP = "2026-11-29T01:02:03.123456Z 0"


def shown(text: str, room: int = 99_999, *, whole: bool = True) -> str:
    return tail(text.encode(), str, room, whole=whole)


@pytest.mark.parametrize(
    ("log", "text"),
    [
        ("\x1b[31;1mERROR: Job failed: exit code 1\n\x1b[0;m", "ERROR: Job failed: exit code 1"),
        ("\x1b[0Ksection_start:17:step_script[collapsed=true]\r\x1b[0KRun\n", "Run"),
        ("\x1b[0Ksection_end:17:step_script\r\x1b[0K", ""),
        (f"{STAMP}1O one\n{STAMP}1E two\n{STAMP}1O+ and more\n", "one\ntwo and more"),
        ("\x1b]8;;https://a.b\x1b\\link\x1b]8;;\x07 \x1b(Bx\x1b=", "link x"),
        (" 1%\r 50%\r100%\r\n\r\nend\r\n", "100%\n\nend"),
        ("a\x00b\u202ec\u200bd\x08", "abcd"),
        ("", ""),
        ("\xff only a replacement", "\xff only a replacement"),
    ],
)
def test_what_a_terminal_or_gitlab_would_not_show_is_not_there(log: str, text: str) -> None:
    assert shown(log) == text


def test_bytes_that_are_no_text_are_shown_as_such() -> None:
    assert tail(b"a \xff\xfe b", str, 99, whole=True) == "a \ufffd\ufffd b"


def test_the_last_lines_count_in_bounds() -> None:
    log = "\n".join(f"line {number}" for number in range(1000))
    lines = shown(log).split("\n")
    assert (len(lines), lines[-1]) == (MOST_LINES, "line 999")
    assert shown(log, 20) == "line 998\nline 999"
    assert shown("x" * 5000) == "x" * LONGEST_LINE
    assert shown("x" * 5000, 10) == ""


def test_a_line_whose_beginning_is_not_there_is_left_out() -> None:
    assert shown("lpat-half-a-token\nwhole", whole=False) == "whole"


def test_a_secret_is_masked_before_anything_is_cut() -> None:
    secrets = Secrets()
    secrets.add("canary-of-the-job")
    text = "x" * (LONGEST_LINE - 8) + "canary-\x1b[31mof-the-job"
    assert "canary" not in tail(text.encode(), secrets.strange, 99_999, whole=True)
    assert shown("a \x1b[31mb") == "a b"


@pytest.mark.parametrize(
    "line",
    [
        "++ export DB_PASSWORD={}",
        "API_TOKEN='{}' make deploy",
        "curl https://a.b/c?private_token={}&d=1",
        "deploy --db-password={}",
        'AWS_SECRET_ACCESS_KEY="{}"',
        "psql postgres://app:{}@db:5432/app",
        "fatal: https://:{}@gitlab.example.com/a.git",
        "> Authorization: Bearer {}",
        "< set-cookie: {}",
        "PRIVATE-TOKEN: {}",
        "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN OPENSSH PRIVATE KEY-----\n{}",
        "glpat-{}",
        "AKIA" + "A1" * 8 + "{}",
    ],
)
def test_what_looks_like_a_secret_of_another_job_is_masked(line: str) -> None:
    value = "" if line.startswith("AKIA") else "hunter2hunter2hunter2"
    told = Secrets().strange(line.format(value))
    assert MASK in told
    assert not value or value not in told


@pytest.mark.parametrize(
    "line",
    [
        "SyntaxError: Unexpected token: punc (})",
        "KeyError: 'key'",
        "expected password: x to equal y",
        "https://gitlab.example.com/a@b",
        "TOKENS=3 tokens=4",
        "sorted(rows, key=lambda row: row.id)",
        "[gw0] PASSED test_token",
    ],
)
def test_what_a_test_says_of_itself_stays(line: str) -> None:
    assert Secrets().strange(line) == line


@pytest.mark.parametrize(
    "log",
    [
        "\x1b[" * 65_000,
        "section_start:" * 9_000,
        "section_start:1:a[" * 7_000,
        "\x1b]" * 65_000,
        "2026-11-29T" * 12_000,
        "A_" * 65_000,
        "A-" * 65_000,
        "a " * 65_000,
        "://a:" * 26_000,
        "cookie:" * 18_000,
        "-----BEGIN PRIVATE KEY-----" * 9_000,
        "://" * 80_000,
        "\r" * 226_000,
    ],
)
def test_a_hostile_log_takes_no_long_time(log: str) -> None:
    began = time.process_time()
    tail(log.encode(), Secrets().strange, 12_000, whole=True)
    assert time.process_time() - began < 1.0
