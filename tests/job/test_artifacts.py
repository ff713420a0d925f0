"""The job's folders: where a branch cannot lead them, and without secrets."""

import json
import os
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


def test_a_folder_that_a_branch_passes_off_as_ours_leads_nowhere(
    workspace: Path, tmp_path: Path
) -> None:
    folder = workspace / ".gitlab-claude"
    folder.mkdir()
    (folder / ".ours").touch()
    (folder / "changes.patch").symlink_to(tmp_path / "outside")
    (folder / "log.txt").mkdir()
    log = Log(lambda _: None, lambda: 0.0)
    log.say_steps_only("")
    log.line("GitLab answered 404")
    artifacts.leave(workspace, log, "r", None, [], b"patch \xff")
    artifacts.leave_unsaid(workspace, log)
    assert not (tmp_path / "outside").exists()
    assert (folder / "changes.patch").read_bytes() == b"patch \xff"
    assert (folder / "log.txt").read_text() == "GitLab answered 404\n"


@pytest.mark.parametrize("kind", ["link", "file", "nothing"])
def test_what_is_left_unsaid_stays_in_the_workspace(
    workspace: Path, tmp_path: Path, kind: str
) -> None:
    folder = workspace / ".gitlab-claude"
    if kind == "link":
        folder.symlink_to(tmp_path)
    elif kind == "file":
        folder.touch()
    log = Log(lambda _: None, lambda: 0.0)
    log.say_steps_only("")
    log.line("x")
    artifacts.leave_unsaid(workspace, log)
    assert (folder / "log.txt").read_text() == "x\n"
    assert not folder.is_symlink()


def test_where_nothing_was_left_unsaid_there_is_no_such_file(workspace: Path) -> None:
    artifacts.leave_unsaid(workspace, Log(lambda _: None, lambda: 0.0))
    assert not (workspace / ".gitlab-claude").exists()


def test_a_patch_holds_no_secret_and_still_applies(workspace: Path) -> None:
    patch = b"+a = 'canary-secret'\n+b = 'glpat-aaaaaaaaaaaaaaaaaaaa'\n"
    artifacts.leave(workspace, LOG, "r", None, [], patch)
    left = (workspace / ".gitlab-claude" / "changes.patch").read_bytes()
    assert left == patch.replace(b"canary-secret", b"[MASKED]")


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


def test_what_is_cached_keeps_its_times_so_that_it_is_not_packed_again(workspace: Path) -> None:
    # The runner packs a cache where something in it is newer than the archive it came from:
    # `isFileChanged` in its commands/helpers/file_archiver.go.
    package = workspace / ".gitlab-claude" / "cache" / "claude-code-1"
    (package / "node_modules").mkdir(parents=True)
    (package / "node_modules" / "claude").touch()
    (package / "node_modules" / "link").symlink_to("claude")
    entries = [*package.rglob("*"), package]
    for path in entries:
        os.utime(path, (1000, 1000), follow_symlinks=False)
    with artifacts.folders(workspace) as made:
        assert (made.cache / "claude-code-1").is_dir()
    assert {path.lstat().st_mtime for path in entries} == {1000}


def test_what_a_killed_job_left_is_gone_but_not_what_a_neighbour_works_with(
    workspace: Path,
) -> None:
    (workspace.parent / f"{workspace.name}-x").mkdir()
    jobs = [
        artifacts.folders(workspace),
        artifacts.folders(workspace.parent / f"{workspace.name}-x"),
    ]
    killed, neighbour = [job.__enter__() for job in jobs]
    (killed.claude / "of another project").touch()
    with artifacts.folders(workspace):
        assert not killed.claude.parent.exists()
        assert neighbour.claude.is_dir()


def test_result_and_transcript_hold_no_secret(workspace: Path) -> None:
    failure = Failure(Reason.MAX_TURNS, limit=3)
    result = Result("canary-secret", 3, 0.5, {"Bash": 2}, "s", failure)
    with artifacts.folders(workspace) as made:
        told = result, ["canary-secret\n", "b\n"], b"", b"", '{"input": "canary-secret"}'
        artifacts.leave(made.private, LOG, "r", *told)
    folder = workspace / ".gitlab-claude"
    assert json.loads((folder / "result.json").read_text()) == {
        "answer": "[MASKED]", "turns": 3, "cost": 0.5, "denied": {"Bash": 2}, "session": "s",
        "failure": "max_turns", "run": "r", "models": [], "version": "",
        "commands": {}, "structured": None,
    }  # fmt: skip
    assert (folder / "transcript.jsonl").read_text() == "[MASKED]\nb\n"
    assert (folder / "statement.json").read_text() == '{"input": "[MASKED]"}\n'
    assert not (folder / "changes.patch").exists()
