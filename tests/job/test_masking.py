"""Secrets in what leaves the job: found in every spelling, and nothing else is taken for one."""

import base64
import json
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from job.masking import Secrets, held
from shared.contract.provenance import MASK

SECRET = "canary/of+the=job\u00e9"
LINES = ("MIIEvQIBADANBgkqhkiG9w0BAQEF", "AASCBKcwggSjAgEAAoIBAQDCanary")
KEY = "-----BEGIN PRIVATE KEY-----\n{}\n{}\n-----END PRIVATE KEY-----\n".format(*LINES)


def holding(*values: str) -> Secrets:
    secrets = Secrets()
    secrets.add(*values)
    return secrets


@pytest.mark.parametrize("before", [b"", b"x", b"xx", b"user:"])
def test_base64_is_found_wherever_the_secret_stands_in_it(before: bytes) -> None:
    encoded = base64.b64encode(before + SECRET.encode() + b" after").decode()
    masked = holding(SECRET).masked(f"a {encoded} b")
    assert MASK in masked
    assert len(masked.replace(MASK, "")) < len(before) * 2 + 20
    safe = base64.urlsafe_b64encode(before + SECRET.encode()).decode()
    assert MASK in holding(SECRET).masked(safe)


@pytest.mark.parametrize(
    "spelled",
    [
        SECRET,
        SECRET[::-1],
        quote(SECRET),
        quote(SECRET, safe=""),
        SECRET.encode().hex(),
        SECRET.encode().hex().upper(),
        json.dumps(SECRET)[1:-1],
    ],
)
def test_every_spelling_is_masked_and_found(spelled: str) -> None:
    secrets = holding(SECRET)
    assert secrets.masked(f"a {spelled} b") == f"a {MASK} b"
    assert secrets.are_in(f"x{spelled}".encode())


def test_a_secret_of_several_lines_is_masked_line_by_line() -> None:
    assert holding(KEY).masked(f"> {LINES[1]}.") == f"> {MASK}."
    assert holding(KEY).masked(json.dumps(KEY)) == f'"{MASK}\\n"'
    assert holding(KEY).masked("a PRIVATE KEY") == "a PRIVATE KEY"


@pytest.mark.parametrize(
    "token",
    [
        "sk-ant-api03-" + "a" * 20,
        *(f"gl{kind}-" + "A1_b" * 5 for kind in ("pat", "ptt", "cbt", "dt", "rt", "soat")),
        "AKIA" + "A" * 16,
        "ghp_" + "a" * 36,
        "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJwcm9qZWN0In0.c2lnbmF0dXJl",
    ],
)
def test_what_has_a_token_s_form_is_masked_unknown_as_it_is(token: str) -> None:
    assert Secrets().masked(f"it is {token}.").startswith(f"it is {MASK}")
    assert Secrets().without(token) == token
    assert not Secrets().are_in(token.encode())


@pytest.mark.parametrize("text", ["glpat-…", "a glptt-token", "sk-ant-", "AKIA", "eyJ.eyJ.x"])
def test_what_only_names_a_kind_of_token_stays(text: str) -> None:
    assert Secrets().masked(text) == text


def test_what_is_too_short_to_be_a_secret_stays() -> None:
    assert holding("short", "", " ").masked("short ") == "short "


def test_a_longer_secret_is_masked_before_the_one_it_holds() -> None:
    assert holding("canary", "canary-and-more").masked("canary-and-more") == MASK


def test_time_is_linear_in_the_text() -> None:
    secrets = holding(*(f"canary-number-{number}" for number in range(40)))

    def seconds(size: int) -> float:
        text = "glpat-x eyJ-AKIA canary-numbe " * size + "-eyJ" * size
        began = time.process_time()
        secrets.masked(text)
        return time.process_time() - began

    seconds(1000)
    few = min(seconds(20_000) for _ in range(3))
    assert seconds(160_000) < 24 * few


def test_values_are_secrets_by_name_by_choice_and_in_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(KEY)
    variables = {
        "NAMED": "canary-named",
        "OTHER_TOKEN": "canary-other-token",
        "DB_PASSWORD": "postgres",
        "NODE_ENV": "production-with-a-long-name",
        "DEPLOY_KEY": str(tmp_path / "key"),
        "MISSING_TOKEN": str(tmp_path / "no such file"),
    }
    assert list(held(variables, ["NAMED"])) == [
        "canary-named",
        "canary-other-token",
        str(tmp_path / "key"),
        KEY,
        str(tmp_path / "no such file"),
    ]
