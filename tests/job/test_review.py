"""One batch of notes on the lines, all of it or a reply with everything; no draft stays."""

from collections.abc import Iterator

import pytest

from job import diff, review
from job.audience import Audience
from job.failures import Failure, Reason
from job.request import Request
from tests.support.gitlab import contract, diffs
from tests.support.gitlab.faults import Fault
from tests.support.gitlab.server import GitLab
from tests.support.job.reviewed import ADA, BOT, PROJECT, TOKEN, Reviewed, finding

OLD = "".join(f"line {number}\n" for number in range(1, 41))
NEW = OLD.replace("line 10\n", "line ten\n").replace("line 20\n", "")
FILES = [diffs.change("a.py", OLD, NEW, was="b.py"), {"new_path": "c.png", "old_path": "c.png"}]
DRAFTS = f"/api/v4/projects/{PROJECT}/merge_requests/3/draft_notes"


@pytest.fixture
def reviewed() -> Iterator[Reviewed]:
    with GitLab() as gitlab:
        scene = Reviewed(gitlab)
        scene.push(FILES, {"a.py": NEW})
        yield scene
        assert gitlab.drafts == {} or any(each["note"] == "mine" for each in gitlab.drafts.values())
        assert [problem for call in gitlab.calls for problem in contract.check(call)] == []


@pytest.mark.parametrize(
    ("command", "kind", "internal", "wanted"),
    [
        ("review", "merge_request", False, True),
        ("fix", "merge_request", False, False),
        ("review", "issue", False, False),
        ("review", "merge_request", True, False),  # no note on a line is internal
    ],
)
def test_findings_stand_on_lines_where_a_merge_request_is_reviewed_in_public(
    command: str, kind: str, internal: bool, wanted: bool
) -> None:
    request = Request("1", "mention", "", {}, kind=kind, iid=3, command=command, internal=internal)
    assert review.wanted(request, Audience(internal=internal)) is wanted


def test_findings_stand_on_their_lines_and_the_rest_in_the_reply(reviewed: Reviewed) -> None:
    found = [
        finding("a.py", 10, suggestion="line 10"),
        finding("a.py", 12, first_line=11),
        finding("b.py", 20, side="old"),
        finding("a.py", 39),  # folded
        finding("a.py", 400, text="Nowhere."),
        finding("gone.py", 1),
    ]
    said = reviewed.review(found)
    placed = [note["position"] for note in reviewed.notes()]
    assert [(at.get("old_line"), at.get("new_line")) for at in placed] == [
        (None, 10), (12, 12), (20, None), (40, 39)
    ]  # fmt: skip
    assert "```suggestion:-0+0\nline 10\n```" in reviewed.notes()[0]["body"]
    assert "lines of the merge request: 4." in said
    assert "`a.py:400` **major**: Nowhere." in said
    assert "`gone.py:1`" in said
    assert "Looked at: 1 of 2 changed files" in said
    assert "`c.png` (GitLab shows no changed lines)" in said
    publishes = [call for call in reviewed.gitlab.calls if call.path.endswith("bulk_publish")]
    assert len(publishes) == 1


def test_a_second_review_tells_nothing_twice_and_resolves_what_was_mended(
    reviewed: Reviewed,
) -> None:
    reviewed.review([finding("a.py", 10), finding("a.py", 12)])
    assert "not told again: 2." in reviewed.review([finding("a.py", 10), finding("a.py", 12)])
    mended = NEW.replace("line ten\n", "line 10\n").replace("line 30\n", "line thirty\n")
    reviewed.push([diffs.change("a.py", OLD, mended, was="b.py")], {"a.py": mended})
    said = reviewed.review([finding("a.py", 12)])
    assert "now resolved: 1." in said
    assert [note.get("resolved_by_id") for note in reviewed.notes()] == [BOT, None]


def test_the_summary_names_what_was_not_looked_at(reviewed: Reviewed) -> None:
    said = reviewed.review([], not_reviewed=("a.py", "unknown.py"))
    assert "Looked at: 0 of 2" in said
    assert "`a.py` (left out by Claude)" in said
    assert "unknown.py" not in said


def test_of_a_diff_that_is_cut_no_file_passes_for_one_that_claude_got(reviewed: Reviewed) -> None:
    forged = "evil.py\n+++ b/evil.py\ndiff --git a/evil.py b/evil.py\n"
    names = [f"{number}.py" for number in range(6)] + ["cut.py", "evil.py"]
    files = [diffs.change(name, "", forged) for name in ("a.py", "x b/evil.py")]
    reviewed.push(files + [diffs.change(name, "", "e\n" * 20_000) for name in names], {})
    client = reviewed.client
    said = reviewed.begin([], told=diff.listed(client, 3, reviewed.record["sha"])).post()
    assert "Looked at: 8 of 10 changed files" in said
    for name in names[6:]:
        assert f"`{name}` (beyond the part of the diff that Claude got)" in said


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (f"POST {DRAFTS}", Fault.status(403)),
        (f"POST {DRAFTS}", Fault.status(500)),
        (f"POST {DRAFTS}", Fault.act_then_reset()),
        (f"GET {DRAFTS}", Fault.status(404)),
        (f"POST {DRAFTS}/bulk_publish", Fault.status(500)),
        (f"GET {DRAFTS.replace('draft_notes', 'diffs')}", Fault.status(403)),
        (f"GET {DRAFTS.replace('draft_notes', 'discussions')}", Fault.status(403)),
    ],
)
def test_what_gitlab_refuses_stands_in_the_reply_whole(
    reviewed: Reviewed, call: str, fault: Fault
) -> None:
    reviewed.gitlab.fault(call, fault)
    said = reviewed.review([finding("a.py", 10), finding("a.py", 12)])
    assert "GitLab took no notes on the lines" in said
    assert "`a.py:10`" in said
    assert "`a.py:12`" in said
    assert reviewed.notes() == []


def test_a_publication_whose_answer_is_lost_is_seen(reviewed: Reviewed) -> None:
    reviewed.gitlab.fault(f"POST {DRAFTS}/bulk_publish", Fault.act_then_reset())
    said = reviewed.review([finding("a.py", 10)])
    assert "lines of the merge request: 1." in said
    assert len(reviewed.notes()) == 1


def test_nothing_is_posted_for_a_head_that_moved_on(reviewed: Reviewed) -> None:
    late = reviewed.begin([finding("a.py", 10)])
    reviewed.push(FILES, {"a.py": NEW})
    assert "not at the commit that was reviewed" in late.post()
    assert reviewed.notes() == []


def test_a_head_that_moves_while_drafts_are_written_takes_them_away(reviewed: Reviewed) -> None:
    late = reviewed.begin([finding("a.py", 10), finding("a.py", 12)])
    write = late._draft

    def and_push(placed: review._Placed) -> bool:
        done = write(placed)
        reviewed.push(FILES, {"a.py": NEW})
        return done

    late._draft = and_push  # type: ignore[method-assign]
    said = late.post()
    assert "not at the commit that was reviewed" in said
    assert "`a.py:10`" in said
    assert reviewed.notes() == []


def test_a_run_that_is_canceled_leaves_no_draft(reviewed: Reviewed) -> None:
    late = reviewed.begin([finding("a.py", 10), finding("a.py", 12)])
    write = late._draft

    def and_cancel(placed: review._Placed) -> bool:
        write(placed)
        raise Failure(Reason.CANCELED)

    late._draft = and_cancel  # type: ignore[method-assign]
    with pytest.raises(Failure):
        late.post()
    assert reviewed.gitlab.drafts == {}


def test_drafts_of_a_killed_run_are_cleared_and_a_persons_own_are_left(reviewed: Reviewed) -> None:
    stale = "x\n\n<!-- gitlab-claude-trigger finding=ab-cd-1 -->"
    for note in (stale, "mine"):
        reviewed.client.post("merge_requests/3/draft_notes", {"note": note})
    said = reviewed.review([finding("a.py", 10)])
    assert "a review of their own pending" in said
    assert "`a.py:10`" in said
    assert [draft["note"] for draft in reviewed.gitlab.drafts.values()] == ["mine"]


def test_more_than_fifty_findings_are_in_the_reply(reviewed: Reviewed) -> None:
    found = [finding("a.py", 1 + number % 39, text=f"Finding {number}.") for number in range(60)]
    said = reviewed.review(found)
    assert "lines of the merge request: 50." in said
    assert said.count("**major**") == 10


def test_a_stranger_cannot_pass_for_ours(reviewed: Reviewed) -> None:
    reviewed.review([finding("a.py", 10)])
    (ours,) = reviewed.notes()
    ours["author_id"] = ADA
    assert "lines of the merge request: 1." in reviewed.review([finding("a.py", 10)])
    assert TOKEN not in ours["body"]


def test_where_gitlab_counts_otherwise_a_suggestion_is_shown_as_code() -> None:
    old, new = "a\nb\n", "a\n++ b;\nb\nc\n"
    with GitLab() as gitlab:
        scene = Reviewed(gitlab)
        scene.push([diffs.change("a.c", old, new)], {"a.c": new})
        scene.review([finding("a.c", 4, suggestion="d")])
        (note,) = scene.notes()
        assert note["position"]["new_line"] == 3  # GitLab shows the line there
        assert "```\nd\n```" in note["body"]  # and would replace its own third line
        assert "suggestion" not in note["body"]
