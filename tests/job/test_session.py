"""A conversation in the CI cache: back for its own issue or merge request only."""

import os
from pathlib import Path

from job import session

SESSION = "0fa2141e-4352-46a1-a1b2-a556995d4d04"
OLDER = "11111111-4352-46a1-a1b2-a556995d4d04"


def test_a_conversation_comes_back_for_its_own_issue_only(tmp_path: Path) -> None:
    config, cache, folder = tmp_path / "config", tmp_path / "cache", tmp_path / "work tree"
    folder.mkdir()
    file = config / "projects" / "somewhere" / f"{SESSION}.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("{}\n")
    session.save(cache, "issue-5", config, SESSION)
    new = tmp_path / "new"
    assert session.restore(cache, "issue-5", new, folder) == SESSION
    (project,) = (new / "projects").iterdir()
    assert project.name.endswith("-work-tree")
    assert (project / f"{SESSION}.jsonl").read_text() == "{}\n"
    assert session.restore(cache, "issue-6", tmp_path / "newer", folder) == ""
    assert session.restore(cache, "", tmp_path / "newer", folder) == ""


def test_a_file_that_is_no_conversation_is_not_taken_up(tmp_path: Path) -> None:
    (tmp_path / "issue-5").mkdir()
    (tmp_path / "issue-5" / "--x.jsonl").write_text("")
    assert session.restore(tmp_path, "issue-5", tmp_path / "new", tmp_path) == ""


def test_of_several_conversations_the_newest_is_taken_up(tmp_path: Path) -> None:
    (tmp_path / "issue-5").mkdir()
    for time, name in enumerate((SESSION, OLDER)):
        (tmp_path / "issue-5" / f"{name}.jsonl").write_text("")
        os.utime(tmp_path / "issue-5" / f"{name}.jsonl", (1000 - time, 1000 - time))
    assert session.restore(tmp_path, "issue-5", tmp_path / "new", tmp_path) == SESSION


def test_an_id_that_is_none_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "config" / "projects" / "p").mkdir(parents=True)
    (tmp_path / "config" / "projects" / "p" / "x.jsonl").write_text("")
    session.save(tmp_path / "cache", "issue-5", tmp_path / "config", "x")
    assert not (tmp_path / "cache").exists()
