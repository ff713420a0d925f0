"""The job's folders: where a branch cannot lead them, and without secrets."""

import json
from pathlib import Path

import pytest

from job import artifacts
from job.claude import Result
from job.failures import Failure, Reason
from job.job_log import Log

LOG = Log(lambda _: None, lambda: 0.0, ["canary-secret"])


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    return tmp_path / "work"


@pytest.mark.parametrize("kind", ["link", "file", "folder"])
def test_artifacts_are_written_where_a_branch_cannot_lead_them(
    tmp_path: Path, workspace: Path, kind: str
) -> None:
    outside, folder = tmp_path / "outside", workspace / ".gitlab-claude"
    outside.mkdir()
    if kind == "link":
        folder.symlink_to(outside)
    elif kind == "file":
        folder.write_text("x")
    else:
        folder.mkdir()
        (folder / ".ours").touch()
        (folder / "changes.patch").symlink_to(outside / "x")
    with artifacts.folders(workspace) as made:
        artifacts.leave(made.private, LOG, "r", None, [], b"patch")
    assert list(outside.iterdir()) == []
    assert (folder / "changes.patch").read_bytes() == b"patch"
    assert not folder.is_symlink()


def test_the_cache_is_out_of_claude_s_reach_and_comes_back(workspace: Path) -> None:
    folder = workspace / ".gitlab-claude"
    (folder / "cache" / "x").mkdir(parents=True)
    (folder / "cache" / "sessions" / "issue-5").mkdir(parents=True)
    (folder / "cache" / "sessions" / "issue-5" / "x").touch()
    with artifacts.folders(workspace) as made:
        assert (made.cache / "x").is_dir()
        assert not (folder / "cache").exists()
        assert not (made.cache / "sessions").exists()
        assert (made.sessions / "issue-5" / "x").is_file()
        artifacts.leave(made.private, LOG, "r", None, [], b"p")
    assert (folder / "cache" / "sessions" / "issue-5" / "x").is_file()
    assert (folder / "cache" / "x").is_dir()
    assert (folder / "changes.patch").is_file()
    assert not made.private.exists()


def test_result_and_transcript_hold_no_secret(workspace: Path) -> None:
    failure = Failure(Reason.MAX_TURNS, limit=3)
    result = Result("canary-secret", 3, 0.5, {"Bash": 2}, "s", failure)
    with artifacts.folders(workspace) as made:
        artifacts.leave(made.private, LOG, "r", result, ["canary-secret\n", "b\n"], b"")
    folder = workspace / ".gitlab-claude"
    assert json.loads((folder / "result.json").read_text()) == {
        "answer": "[MASKED]", "turns": 3, "cost": 0.5, "denied": {"Bash": 2}, "session": "s",
        "failure": "max_turns", "run": "r",
    }  # fmt: skip
    assert (folder / "transcript.jsonl").read_text() == "[MASKED]\nb\n"
    assert not (folder / "changes.patch").exists()
