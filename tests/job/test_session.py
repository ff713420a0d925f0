"""A conversation in the CI cache: back for its own issue or merge request only."""

import os
from pathlib import Path

import pytest

from job import messages, prompts, session
from job.claude import Result, Run
from job.failures import Failure, Reason
from job.request import Request
from tests.support.job.clone import Clone

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


def test_what_a_conversation_has_cost_does_not_come_back(tmp_path: Path) -> None:
    (tmp_path / "issue-5").mkdir()
    said = '{"type":"user","message":"{\\"type\\":\\"cost-state\\","}\n'
    cost = '{"type":"cost-state","totalCostUSD":1}\n'
    (tmp_path / "issue-5" / f"{SESSION}.jsonl").write_text(f"{said}{cost}{said}{cost}")
    session.restore(tmp_path, "issue-5", tmp_path / "new", tmp_path)
    (file,) = (tmp_path / "new").rglob("*.jsonl")
    assert file.read_text() == said * 2


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


ASKED = Request("r", "mention", "continue", {}, "issue", 5)
PATCH = b"diff --git a/new.txt b/new.txt\nnew file mode 100644\n--- /dev/null\n+++ b/new.txt\n"
PATCH += b"@@ -0,0 +1 @@\n+half\n"


def run(folder: Path) -> Run:
    file = folder / "home" / ".claude" / "projects" / "p" / f"{SESSION}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{}\n")
    return Run("claude", folder, folder / "home", folder, folder, "asked\n", {}, 9.0)


def result(reason: Reason | None) -> Result:
    failure = Failure(reason, limit=1, status=1) if reason else None
    return Result("", 1, 0.0, {}, SESSION, failure)


@pytest.mark.parametrize(
    ("answer", "asks"),
    [
        ("Which one?", True),
        ("**Which one do you mean?**\n", True),
        ('Do you mean "both?"', True),
        ("要哪一个？", True),
        ("Why? It was the cache.", False),
        ("", False),
    ],
)
def test_who_is_asked_something_is_told_how_to_answer(
    tmp_path: Path, answer: str, asks: bool
) -> None:
    ended = result(None)._replace(answer=answer)
    remarks = session.keep(run(tmp_path), tmp_path / "cache", ASKED, ended, b"")
    assert remarks == ((messages.REMARK_ANSWER,) if asks else ())
    nowhere = session.keep(run(tmp_path), tmp_path / "cache", ASKED._replace(kind=""), ended, b"")
    assert nowhere == ()


@pytest.mark.parametrize("reason", [Reason.MAX_TURNS, Reason.MAX_BUDGET, Reason.TIME_LIMIT])
def test_what_a_limit_ended_is_kept_with_its_changes_and_put_back(
    clone: Clone, tmp_path: Path, reason: Reason
) -> None:
    cache, made = tmp_path / "cache", run(tmp_path)
    remarks = session.keep(made, cache, ASKED, result(reason), PATCH)
    assert remarks == (messages.REMARK_CONTINUE,)
    workspace = clone.open()
    workspace.guard()
    told = session.taken_up(made, workspace, cache, ASKED).message
    assert told == f"{prompts.TAKEN_UP}asked\n"
    assert (clone.folder / "new.txt").read_text() == "half\n"
    assert [change.path for change in workspace.changes()] == ["new.txt"]
    again = session.taken_up(made, workspace, cache, ASKED).message  # they are there already
    assert again == f"{prompts.NOT_TAKEN_UP}asked\n"


@pytest.mark.parametrize("reason", [None, Reason.CLAUDE_FAILED])
def test_what_ended_otherwise_leaves_no_changes(tmp_path: Path, reason: Reason | None) -> None:
    cache, made = tmp_path / "cache", run(tmp_path)
    session.keep(made, cache, ASKED, result(Reason.MAX_TURNS), PATCH)
    assert session.keep(made, cache, ASKED, result(reason), PATCH) == ()
    assert [path.name for path in (cache / "issue-5").iterdir()] == [f"{SESSION}.jsonl"]


def test_a_question_in_between_neither_sees_nor_loses_the_changes(
    clone: Clone, tmp_path: Path
) -> None:
    cache, made = tmp_path / "cache", run(tmp_path)
    session.keep(made, cache, ASKED, result(Reason.MAX_TURNS), PATCH)
    question = ASKED._replace(command="explain")
    workspace = clone.open()
    workspace.guard()
    assert session.taken_up(made, workspace, cache, question) == made
    assert session.keep(made, cache, question, result(None), b"") == ()
    assert session.taken_up(made, workspace, cache, ASKED) != made


def test_where_no_conversation_is_kept_nobody_is_told_to_go_on(tmp_path: Path) -> None:
    made = run(tmp_path)
    lost = result(Reason.MAX_TURNS)._replace(session="")
    assert session.keep(made, tmp_path / "cache", ASKED, lost, PATCH) == ()
