"""The small parts: progress, session, installation, MCP configuration, words of a merge request, artifacts."""

import json
from pathlib import Path
from typing import Any

import pytest

from job import artifacts, install, mcp, merge_request, session
from job.artifacts import Folders
from job.failures import Failure
from job.inputs import Inputs
from job.job_log import Log
from job.progress import Progress
from job.request import Request

ISSUE = Request("r", "mention", "x", {}, kind="issue", iid=5, author_id=42, author="ada")
SESSION = "0fa2141e-4352-46a1-a1b2-a556995d4d04"


class Clock:
    time = 0.0

    def __call__(self) -> float:
        return self.time


def quiet_log(written: list[str]) -> Log:
    return Log(written.append, lambda: 0.0)


def todo(content: str, status: str = "pending") -> dict[str, Any]:
    todos = [{"content": content, "status": status}]
    return {
        "type": "assistant",
        "message": {
            "content": [{"type": "tool_use", "name": "TodoWrite", "input": {"todos": todos}}]
        },
    }


def test_the_to_do_list_is_shown_at_most_every_fifteen_seconds() -> None:
    clock, shown, lines = Clock(), list[str](), list[str]()
    progress = Progress(quiet_log(lines), clock, shown.append, "job 9")
    progress.event(todo("one"))
    assert shown == []
    clock.time = 15.0
    progress.event({"type": "system"})
    clock.time = 29.0
    progress.event(todo("two"))
    clock.time = 31.0
    progress.event(todo("three"))
    clock.time = 60.0
    progress.event({"type": "system"})
    assert [text.rpartition(" ")[2] for text in shown] == ["one", "three"]


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"message": 5},
        {"message": {"content": "x"}},
        {"message": {"content": [5, {"type": "tool_use", "input": 5}]}},
        todo("x")
        | {
            "message": {
                "content": [{"type": "tool_use", "name": "TodoWrite", "input": {"todos": "x"}}]
            }
        },
    ],
)
def test_an_event_of_another_shape_disturbs_nothing(event: dict[str, Any]) -> None:
    Progress(quiet_log([]), Clock(), lambda _: None, "j").event(event)


def test_a_conversation_comes_back_for_its_own_issue_only(tmp_path: Path) -> None:
    config, cache, folder = tmp_path / "config", tmp_path / "cache", tmp_path / "work tree"
    folder.mkdir()
    file = config / "projects" / "somewhere" / f"{SESSION}.jsonl"
    file.parent.mkdir(parents=True)
    file.write_text("{}\n")
    session.save(cache, "issue-5", config, SESSION)
    new = tmp_path / "new"
    assert session.restore(cache, "issue-5", new, folder) == SESSION
    (place,) = (new / "projects").iterdir()
    assert place.name.endswith("-work-tree")
    assert session.restore(cache, "issue-6", tmp_path / "newer", folder) == ""
    assert session.restore(cache, "", tmp_path / "newer", folder) == ""


def test_a_file_that_is_no_conversation_is_not_taken_up(tmp_path: Path) -> None:
    (tmp_path / "issue-5").mkdir()
    (tmp_path / "issue-5" / "--x.jsonl").write_text("")
    assert session.restore(tmp_path, "issue-5", tmp_path / "new", tmp_path) == ""


def folders(tmp_path: Path) -> Folders:
    made = Folders(tmp_path / "private", tmp_path / "private" / "cache")
    made.cache.mkdir(parents=True)
    return made


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


NPM = """test -z "$GITLAB_ACCESS_TOKEN" || exit 9
prefix="$PWD"
test -f package.json || exit 8
mkdir -p "$prefix/node_modules/.bin"
printf '#!/bin/sh\\necho "2.1.330 (Claude Code)"\\n' > "$prefix/node_modules/.bin/claude"
chmod +x "$prefix/node_modules/.bin/claude"
echo once >> "$(dirname "$0")/installed"
"""


def test_claude_is_installed_once_and_without_secrets(tmp_path: Path) -> None:
    script(tmp_path / "bin" / "npm", NPM)
    given = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "GITLAB_ACCESS_TOKEN": "canary"}
    place = folders(tmp_path)
    for _ in range(2):
        found = install.claude(
            "2.1.330",
            given,
            lambda name, version: install.package(
                name, version, folders=place, environment=given, log=quiet_log([])
            ),
        )
        assert found == str(
            place.cache / "claude-code-2.1.330" / "node_modules" / ".bin" / "claude"
        )
    assert (tmp_path / "bin" / "installed").read_text() == "once\n"


def test_the_image_s_claude_is_taken_if_it_is_the_version_or_any_will_do(tmp_path: Path) -> None:
    image = script(tmp_path / "bin" / "claude", 'echo "2.1.330 (Claude Code)"')
    given = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}

    def none(name: str, version: str) -> Path:
        raise AssertionError((name, version))

    assert install.claude("2.1.330", given, none) == install.claude("", given, none) == str(image)
    with pytest.raises(AssertionError, match=r"2\.1\.331"):
        install.claude("2.1.331", given, none)


@pytest.mark.parametrize(
    ("npm", "words"),
    [("", "no npm"), ("echo 'npm error 404' >&2; exit 1", "2.1.330 could not be installed")],
)
def test_what_hinders_the_installation_is_said(tmp_path: Path, npm: str, words: str) -> None:
    if npm:
        script(tmp_path / "bin" / "npm", npm)
    given, place, lines = {"PATH": f"{tmp_path}/bin"}, folders(tmp_path), list[str]()
    given = given if not npm else {"PATH": f"{tmp_path}/bin:/usr/bin:/bin"}
    with pytest.raises(Failure, match=words):
        install.claude(
            "2.1.330",
            given,
            lambda name, version: install.package(
                name, version, folders=place, environment=given, log=quiet_log(lines)
            ),
        )
    assert not npm or "npm error 404" in "".join(lines)


def test_the_gitlab_mcp_server_reads_with_a_token_of_its_own(tmp_path: Path) -> None:
    given = {
        "PATH": str(tmp_path),
        mcp.TOKEN: "glpat-read",
        "CI_API_V4_URL": "https://g/api/v4",
        "CI_PROJECT_ID": "7",
        "GITLAB_ACCESS_TOKEN": "canary",
    }
    server = mcp.server(given, tmp_path, lambda name, version: tmp_path / f"{name}@{version}")
    (entry,) = json.loads(server.config.read_text())["mcpServers"].values()
    assert entry["command"].startswith(str(tmp_path / "@zereight"))
    assert entry["env"]["GITLAB_PERMISSION_MODE"] == "readonly"
    assert (
        entry["env"]["GITLAB_PERSONAL_ACCESS_TOKEN"],
        entry["env"]["GITLAB_ALLOWED_PROJECT_IDS"],
    ) == (
        "glpat-read",
        "7",
    )
    assert "canary" not in server.config.read_text()
    assert server.config.stat().st_mode & 0o777 == 0o600
    assert all(name.startswith("mcp__gitlab__") for name in server.tools)
    assert not [
        name
        for name in server.tools
        if any(verb in name for verb in ("create", "update", "delete", "merge_merge", "approve"))
    ]


def test_glab_serves_where_the_image_has_one_that_can(tmp_path: Path) -> None:
    glab = script(tmp_path / "glab", "exit 0")
    server = mcp.server({"PATH": str(tmp_path), mcp.TOKEN: "t"}, tmp_path, lambda *_: tmp_path)
    (entry,) = json.loads(server.config.read_text())["mcpServers"].values()
    assert (entry["command"], entry["args"]) == (str(glab), ["mcp", "serve"])
    assert "mcp__gitlab__glab_issue_view" in server.tools


def test_without_its_token_there_is_no_mcp_server(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=mcp.TOKEN):
        mcp.server({"PATH": ""}, tmp_path, lambda *_: tmp_path)


@pytest.mark.parametrize(
    ("answer", "title", "body"),
    [
        ("Title: Mend it\n\nMended.", "Mend it", "Mended."),
        ("**Title:** Mend it\n\nMended.", "Mend it", "Mended."),
        ("Mended.", "Changes for #5", "Mended."),
        ("Title: \n\nx", "Changes for #5", "x"),
        ("", "Changes for #5", ""),
    ],
)
def test_the_title_is_claude_s_if_it_gave_one(answer: str, title: str, body: str) -> None:
    assert merge_request.summary(answer, ISSUE) == (title, body)


def test_what_was_asked_internally_is_named_by_its_number() -> None:
    assert (
        merge_request.summary("Title: The secret\n\nx", ISSUE._replace(internal=True)).title
        == "Changes for #5"
    )


def test_the_commit_names_who_asked() -> None:
    message = merge_request.commit_message("Mend it", ISSUE, "gitlab.example.com")
    assert message.startswith("Mend it\n\nAsked for in #5.\n\n")
    assert "Co-authored-by: ada <42-ada@users.noreply.gitlab.example.com>\n" in message


@pytest.mark.parametrize("kind", ["link", "file", "folder"])
def test_artifacts_are_written_where_a_branch_cannot_lead_them(tmp_path: Path, kind: str) -> None:
    workspace, outside = tmp_path / "work", tmp_path / "outside"
    workspace.mkdir()
    outside.mkdir()
    place = workspace / ".gitlab-claude"
    if kind == "link":
        place.symlink_to(outside)
    elif kind == "file":
        place.write_text("x")
    else:
        place.mkdir()
        (place / "changes.patch").symlink_to(outside / "x")
    artifacts.leave(workspace, quiet_log([]), "r", None, [], b"patch")
    assert list(outside.iterdir()) == []
    assert (place / "changes.patch").read_bytes() == b"patch"
    assert not place.is_symlink()


def test_the_cache_is_out_of_claude_s_reach_and_comes_back(tmp_path: Path) -> None:
    workspace = tmp_path / "work"
    (workspace / ".gitlab-claude" / "cache" / "x").mkdir(parents=True)
    with artifacts.folders(workspace) as made:
        assert (made.cache / "x").is_dir()
        assert not (workspace / ".gitlab-claude" / "cache").exists()
        artifacts.leave(workspace, quiet_log([]), "r", None, [], b"p")
        private = made.private
    assert (workspace / ".gitlab-claude" / "cache" / "x").is_dir()
    assert (workspace / ".gitlab-claude" / "changes.patch").is_file()
    assert not private.exists()
    assert Inputs().resume is False
