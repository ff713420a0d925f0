"""What stands around an event, as GitLab tells it."""

from typing import Any

import pytest
from gitlab import Gitlab

from functions.gitlab import GitLab, client, surroundings
from shared.contract.ai_flow import MERGE_REQUEST
from shared.gitlab.values import Diff, GitLabError, HeadPipeline, Note, Target
from shared.incoming.event import Branches
from tests.support.fakes import NOTE
from tests.support.gitlab import diffs
from tests.support.gitlab.faults import Fault
from tests.support.gitlab.server import GitLab as StandIn

HERE = NOTE._replace(kind=MERGE_REQUEST, iid=3)


def test_an_issue_is_told_as_it_is(server: StandIn, gitlab: GitLab) -> None:
    made = server.issue(
        7,
        6,
        title="It breaks",
        description="Since Monday.",
        state="closed",
        labels=["bug", "p1"],
        author_id=42,
        assignees=[42, 99],
        confidential=True,
    )
    found = gitlab.target(NOTE._replace(iid=6))
    assert found.updated_at == pytest.approx(made["updated_at"], abs=0.01)
    assert found._replace(updated_at=0.0) == Target(
        "It breaks",
        "Since Monday.",
        "closed",
        ("bug", "p1"),
        (42, "ada"),
        None,
        confidential=True,
        assignees=("ada", "claude"),
    )
    with pytest.raises(GitLabError) as error:
        gitlab.target(NOTE._replace(iid=4711))
    assert error.value.status == 404


@pytest.mark.parametrize("source", [7, 8])
def test_a_merge_request_is_told_with_its_branches(
    server: StandIn, gitlab: GitLab, source: int
) -> None:
    made = server.merge_request(
        7,
        3,
        source_branch="feature",
        source_project_id=source,
        sha="a" * 40,
        title="Draft: it",
        author_id=42,
        reviewers=[99],
    )
    found = gitlab.target(HERE)
    assert found.updated_at == pytest.approx(made["updated_at"], abs=0.01)
    ends = Branches("feature", "main", source, "a" * 40)
    there = Target(
        "Draft: it", "", "opened", (), (42, "ada"), ends, reviewers=("claude",), draft=True
    )
    assert found._replace(updated_at=0.0) == there


def test_a_merge_request_is_told_with_its_latest_pipeline(server: StandIn, gitlab: GitLab) -> None:
    for iid in (3, 4):
        server.merge_request(7, iid, source_branch=f"feature-{iid}", sha="a" * 40, author_id=42)
    made = server.pipeline(7, ref="feature-3", sha="b" * 40, user_id=42, source="push")
    server.set_pipeline(made["id"], "failed")
    found = gitlab.target(HERE).pipeline
    assert found
    assert found.ended_at == pytest.approx(made["finished_at"], abs=0.01)
    red = HeadPipeline(made["id"], "failed", "b" * 40, "feature-3", (42, "ada"))
    assert found._replace(ended_at=0.0) == red
    assert gitlab.target(HERE._replace(iid=4)).pipeline is None


def test_a_branch_s_open_merge_requests_are_found_without_those_of_forks_and_drafts(
    server: StandIn, gitlab: GitLab
) -> None:
    told: tuple[tuple[int, dict[str, Any]], ...] = (
        (6, {"target_branch": "stable"}),
        (3, {}),
        (4, {"source_project_id": 8}),
        (5, {"state": "closed"}),
        (7, {"source_branch": "other"}),
        (8, {"title": "Draft: x", "target_branch": "next"}),
    )
    for iid, fields in told:
        branch: dict[str, Any] = {"source_branch": "a/b c", "author_id": 42}
        server.merge_request(7, iid, **branch | fields)
    assert gitlab.open_of_branch(7, "a/b c") == [3, 6]
    assert gitlab.open_of_branch(7, "main") == []


def test_a_commit_is_told_with_its_parents(server: StandIn, gitlab: GitLab) -> None:
    server.commits[7, "c" * 40] = {"parents": ["a" * 40, "b" * 40]}
    assert gitlab.parents(7, "c" * 40) == ("a" * 40, "b" * 40)
    with pytest.raises(GitLabError):
        gitlab.parents(7, "d" * 40)


def test_a_file_is_told_as_it_stands_on_a_branch(server: StandIn, gitlab: GitLab) -> None:
    server.files[7, "main"] = {".gitlab/claude-auto.conf": "review: ready  # f\u00fcr alle\n"}
    found = gitlab.file(7, ".gitlab/claude-auto.conf", "main")
    assert found
    assert found.text == "review: ready  # f\u00fcr alle\n"
    # As `git hash-object --stdin` has it.
    assert found.blob == "4c08b76c440536911b92275723e45a71023be63f"
    assert gitlab.file(7, ".gitlab/claude-auto.conf", "feature/a b&c") is None
    assert gitlab.file(7, "another", "main") is None


def test_a_file_that_is_no_base64_is_no_answer(server: StandIn, gitlab: GitLab) -> None:
    server.files[7, "main"] = {"a": "b"}
    call = "GET /api/v4/projects/7/repository/files/a"
    answer = 200, (("Content-Type", "application/json"),), b'{"content": "a", "blob_id": "1"}'
    server.fault(call, Fault("no base64", acts=False, answer=answer))
    with pytest.raises(GitLabError):
        gitlab.file(7, "a", "main")


def test_a_comment_is_told_as_it_is(server: StandIn, gitlab: GitLab) -> None:
    made = server.note(7, "issue", 5, author_id=42, body="@claude fix it", internal=True)
    found = gitlab.note(NOTE._replace(note_id=made["id"]))
    assert (found.created_at, found.updated_at) == pytest.approx(
        (made["created_at"],) * 2, abs=0.01
    )
    there = Note(made["id"], (42, "ada"), 0, 0, internal=True, body="@claude fix it")
    assert found._replace(created_at=0, updated_at=0) == there


@pytest.mark.parametrize("gone", ["deleted", "elsewhere"])
def test_a_comment_that_is_not_there_is_a_404(server: StandIn, gitlab: GitLab, gone: str) -> None:
    made = server.note(7, "issue", 5, author_id=42, body="@claude fix it")
    server.issue(7, 6)
    if gone == "deleted":
        server.remove_note(made)
    with pytest.raises(GitLabError) as error:
        gitlab.note(NOTE._replace(note_id=made["id"], iid=5 if gone == "deleted" else 6))
    assert error.value.status == 404


def test_comments_come_newest_first_and_gitlab_s_own_notes_not_at_all(
    server: StandIn, gitlab: GitLab
) -> None:
    texts = [
        server.note(7, "issue", 5, author_id=42, body=f"number {number}") for number in range(3)
    ]
    server.note(7, "issue", 5, author_id=42, body="changed the title", system=True)
    secret = server.note(7, "issue", 5, author_id=99, body="among us", internal=True)
    found = list(gitlab.notes(NOTE))
    assert [note.body for note in found] == ["among us", "number 2", "number 1", "number 0"]
    assert [note.internal for note in found] == [True, False, False, False]
    last = found[-1]
    assert last == Note(
        texts[0]["id"],
        (42, "ada"),
        last.created_at,
        last.updated_at,
        internal=False,
        body="number 0",
    )
    assert abs(last.created_at - texts[0]["created_at"]) < 0.01
    assert found[0].id == secret["id"]
    server.notes[texts[0]["id"]]["updated_at"] += 5
    assert 4.9 < list(gitlab.notes(NOTE))[-1].updated_at - last.updated_at < 5.1


def test_notes_and_diffs_are_read_as_far_as_somebody_wants_them(
    server: StandIn, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE", 2)
    monkeypatch.setattr(surroundings, "_FEW", 2)
    server.merge_request(7, 3, source_branch="feature", diffs=diffs.many(5))
    for number in range(5):
        server.note(7, "merge_request", 3, author_id=42, body=f"number {number}")
    for read in (gitlab.notes, gitlab.diffs):
        server.calls.clear()
        first = next(iter(read(HERE)))
        assert first
        assert len(server.calls) == 1
        assert len(list(read(HERE))) == 5
        assert len(server.calls) == 4


def test_the_notes_of_a_discussion_are_known_by_id(server: StandIn, gitlab: GitLab) -> None:
    first = server.note(7, "issue", 5, author_id=42, body="why?")
    server.note(7, "issue", 5, author_id=42, body="elsewhere")
    second = server.note(
        7, "issue", 5, author_id=99, body="because", discussion_id=first["discussion_id"]
    )
    assert gitlab.discussion(NOTE._replace(discussion_id=first["discussion_id"])) == [
        first["id"],
        second["id"],
    ]
    with pytest.raises(GitLabError) as error:
        gitlab.discussion(NOTE)
    assert error.value.status == 404


def test_changed_files_say_what_became_of_them(server: StandIn, gitlab: GitLab) -> None:
    changes = [
        diffs.file("app.py", lines=2),
        diffs.file("new.py", new_file=True),
        diffs.file("old.py", deleted_file=True),
        diffs.file("b.py", was="a.py"),
        diffs.file("huge.py", too_large=True),
    ]
    server.merge_request(7, 3, source_branch="feature", diffs=changes)
    found = list(gitlab.diffs(HERE))
    assert [(each.old_path, each.new_path, each.change) for each in found] == [
        ("app.py", "app.py", "modified"),
        ("new.py", "new.py", "added"),
        ("old.py", "old.py", "deleted"),
        ("a.py", "b.py", "renamed"),
        ("huge.py", "huge.py", "modified"),
    ]
    assert found[0] == Diff("app.py", "app.py", "modified", changes[0]["diff"])
    assert found[-1].diff == ""


@pytest.mark.parametrize("read", ["note", "target", "notes", "discussion", "roles", "diffs"])
def test_what_the_context_reads_has_a_short_limit(
    server: StandIn, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    seen: list[object] = []
    send = Gitlab.http_request

    def limited(self: Gitlab, *args: Any, **options: Any) -> object:
        seen.append(options.get("timeout"))
        return send(self, *args, **options)

    monkeypatch.setattr(Gitlab, "http_request", limited)
    server.merge_request(7, 3, source_branch="feature")
    note = server.note(7, "merge_request", 3, author_id=42, body="@claude")
    here = HERE._replace(discussion_id=note["discussion_id"], note_id=note["id"])
    call = getattr(gitlab, read)
    found = call(7, [42]) if read == "roles" else call(here)
    assert found is not None
    list(found)
    assert seen == [client.BRIEFLY]
