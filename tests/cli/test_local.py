"""The local platform's secrets: files of their owner's, replaced at once."""

from pathlib import Path

import pytest

from cli.installation import GITLAB, WEBHOOK, Unusable
from cli.local import Local


def test_a_document_is_replaced_and_nobody_else_s_to_read(tmp_path: Path) -> None:
    local = Local({"STATE_DIR": str(tmp_path / "state"), "URL": "https://claude.example.com"})
    assert local.read(GITLAB) == ""
    for text in ("first", "second"):
        local.write(GITLAB, text)
        assert local.read(GITLAB) == text
    (file,) = (tmp_path / "state").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(local.findings()) == []
    assert local.read(WEBHOOK) == ""


def test_a_half_written_file_of_an_earlier_run_is_in_nobody_s_way(tmp_path: Path) -> None:
    (tmp_path / "gitlab_secrets.new").write_text("half")
    local = Local({"STATE_DIR": str(tmp_path)})
    local.write(GITLAB, "whole")
    assert local.read(GITLAB) == "whole"


def test_without_its_address_it_cannot_be_reached() -> None:
    with pytest.raises(Unusable, match="set URL in the settings file"):
        Local({}).url()
