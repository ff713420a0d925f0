"""The local platform's secrets: files of their owner's, replaced at once."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from cli.installation import GITLAB, WEBHOOK, Finding, Unusable
from cli.local import Local
from functions.local.adapters import Store
from shared.outcome.reasons import Reason


def found(local: Local) -> list[Finding]:
    return [each for check in local.checks().values() for each in check()]


def test_a_document_is_replaced_and_nobody_else_s_to_read(tmp_path: Path) -> None:
    local = Local({"STATE_DIR": str(tmp_path / "state"), "URL": "https://claude.example.com"})
    assert local.read(GITLAB) == ""
    for text in ("first", "second"):
        local.write(GITLAB, text)
        assert local.read(GITLAB) == text
    (file,) = (tmp_path / "state").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert found(local) == []
    assert local.read(WEBHOOK) == ""


def test_a_half_written_file_of_an_earlier_run_is_in_nobody_s_way(tmp_path: Path) -> None:
    (tmp_path / "gitlab_secrets.new").write_text("half")
    local = Local({"STATE_DIR": str(tmp_path)})
    local.write(GITLAB, "whole")
    assert local.read(GITLAB) == "whole"


def test_without_its_address_it_cannot_be_reached() -> None:
    with pytest.raises(Unusable, match="set URL in the settings file"):
        Local({}).url()


def test_what_waits_too_long_and_what_was_given_up_is_found_while_another_process_writes(
    tmp_path: Path,
) -> None:
    local, store = Local({"STATE_DIR": str(tmp_path)}), Store(tmp_path)
    assert found(local) == []
    long_ago, put = time.time() - 3600, "INSERT INTO requests (run, thread, body, since, taken)"
    with store.transaction() as database:
        database.execute(f"{put} VALUES ('a', 't', '{{}}', ?, 1)", (long_ago,))  # a worker has it
    assert found(local) == []
    with store.transaction() as database:
        database.execute(f"{put} VALUES ('b', 't', '{{}}', ?, 0)", (long_ago,))
        database.execute("INSERT INTO records VALUES ('dead//b', 1, '{}', 0)")
    assert [(each.check, each.reason) for each in found(local)] == [
        ("queue", Reason.PART_BROKEN),
        ("dead_letters", Reason.DEAD_LETTER),
    ]
    store.close()


def test_a_state_that_cannot_be_read_is_a_sentence(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "state.sqlite3")) as other:
        other.execute("CREATE TABLE theirs (a)")
    with pytest.raises(Unusable, match="cannot be read"):
        found(Local({"STATE_DIR": str(tmp_path)}))
