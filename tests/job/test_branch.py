"""Which branch a run works on, and what becomes of the changes: against the stand-in, with git."""

import re
import shutil
from typing import Any
from unittest.mock import Mock

import pytest

from job import branch, messages, publish
from job.audience import Audience
from job.branch import Branch, Context
from job.claude import Result
from job.failures import Failure
from job.git import GitError
from job.gitlab import GitLab
from job.inputs import Inputs
from job.job_log import Log
from job.merge_request import Summary
from job.request import Request
from shared.contract.marks import ENDED, of_job, of_push, of_run
from tests.support.gitlab import diffs
from tests.support.gitlab.faults import Fault
from tests.support.job.clone import OWN, PROJECT, TOKEN, Clone

PUBLIC = Audience()
RESULT = Result("", 1, 0.0, {}, "", None)
SUMMARY = Summary("Add a file", "I added it.")


class Case:
    """A run in a clone; `lines` is the job's log."""

    def __init__(
        self,
        clone: Clone,
        inputs: Inputs | None = None,
        *,
        audience: Audience = PUBLIC,
        **request: Any,
    ) -> None:
        self.clone, self.gitlab = clone, clone.gitlab
        self.lines: list[str] = []
        self.workspace = clone.make()
        environment = {
            "CI_PROJECT_ID": str(PROJECT),
            "CI_PROJECT_URL": "https://gitlab.example.com/group/app",
            "CI_DEFAULT_BRANCH": "main",
            "CI_COMMIT_REF_NAME": "main",
            "CI_JOB_ID": "9",
        }
        self.context = Context(
            gitlab=GitLab(f"{clone.gitlab.url}/api/v4", str(PROJECT), TOKEN, pause=lambda _: None),
            request=Request("r", "mention", "x", {}, **request),
            inputs=inputs or Inputs(),
            user={"id": OWN, "username": "claude", "name": "Claude Bot"},
            environment=environment,
            log=Log(self.lines.append, lambda: 0.0),
            audience=audience,
        )

    def choose(self) -> Branch:
        return branch.choose(self.workspace, self.context)

    def publish(self, chosen: Branch, files: dict[str, str]) -> publish.Published:
        """Change files as Claude would, commit and publish."""
        self.workspace.guard()
        for name, text in files.items():
            (self.clone.folder / name).write_text(text)
        changes = self.workspace.changes()
        commit = publish.keep(self.workspace, changes, SUMMARY.title, RESULT, self.context)
        return publish.publish(
            self.workspace, chosen, commit, changes, SUMMARY, "[job 9](u)", self.context
        )


def merge_request(clone: Clone, **fields: Any) -> str:
    """Open merge request 3 for the branch `feature`, which changes a file; return its commit."""
    head = clone.gitlab.commit(PROJECT, "feature", {"app.py": "2\n"}, parent="main")
    clone.gitlab.merge_request(PROJECT, 3, source_branch="feature", author_id=OWN, **fields)
    clone.gitlab.merge_requests[PROJECT, 3]["sha"] = head
    return head


def test_an_issue_gets_a_branch_of_its_own_from_the_default_branch(clone: Clone) -> None:
    case = Case(clone, kind="issue", iid=5)
    assert case.choose() == Branch("claude/issue-5-9", "main", None)
    assert case.workspace.head == clone.main


def test_a_pipeline_by_hand_gets_a_branch_too(clone: Clone) -> None:
    assert Case(clone, Inputs(branch_prefix="bot/")).choose().name == "bot/run-9"


def test_a_second_request_in_an_issue_goes_on_where_the_first_ended(clone: Clone) -> None:
    first = Case(clone, kind="issue", iid=5)
    made = first.publish(first.choose(), {"new.txt": "n\n"})
    assert made.url.endswith("/merge_requests/1")
    again = first.choose()
    assert (again.name, again.known and again.known["iid"]) == ("claude/issue-5-9", 1)
    assert first.workspace.head == made.commit


def test_a_merge_request_is_worked_on_with_its_diff(clone: Clone) -> None:
    head = merge_request(clone)
    chosen = Case(clone, kind="merge_request", iid=3, sha=head).choose()
    assert (chosen.name, chosen.target, chosen.remarks) == ("feature", "main", ())
    assert b"+2" in (chosen.diff or b"")


def test_commits_that_the_person_has_not_seen_end_the_run(clone: Clone) -> None:
    merge_request(clone)
    with pytest.raises(Failure, match="branch_moved"):
        Case(clone, kind="merge_request", iid=3, sha="c" * 40).choose()


def test_where_the_include_says_so_they_are_worked_on_and_remembered(clone: Clone) -> None:
    head = merge_request(clone)
    inputs = Inputs(branch_moved="continue")
    case = Case(clone, inputs, kind="merge_request", iid=3, sha="c" * 40)
    assert "had moved on" in "".join(case.choose().remarks)
    assert case.workspace.head == head


def test_what_gitlab_does_not_show_is_said_with_its_status(clone: Clone) -> None:
    case = Case(clone, kind="merge_request", iid=4)
    with pytest.raises(Failure, match=r"show the merge request \(HTTP 404\)"):
        case.choose()
    assert "GitLab answered 404" in "".join(case.lines)


def test_a_branch_that_cannot_be_fetched_is_named(clone: Clone) -> None:
    merge_request(clone)
    case = Case(clone, kind="merge_request", iid=3)
    fetch = case.workspace.fetch

    def broken(branch: str) -> str:
        if branch == "feature":
            raise GitError
        return fetch(branch)

    case.workspace.fetch = broken  # type: ignore[method-assign]
    with pytest.raises(Failure, match="The branch `feature` could not be fetched"):
        case.choose()


# What is read and no more.


def of_a_fork(clone: Clone, **request: Any) -> Case:
    """A run in a fork's merge request into `release`, which changes a file and brings guidance."""
    clone.gitlab.commit(PROJECT, "release", {"app.py": "r\n", "CLAUDE.md": "release\n"}, "main")
    clone.gitlab.merge_request(
        PROJECT,
        3,
        source_branch="feature",
        target_branch="release",
        source_project_id=8,
        sha="f" * 40,
        diffs=[diffs.change("app.py", "r\n", "evil\n"), diffs.change("CLAUDE.md", "", "evil\n")],
    )
    return Case(clone, kind="merge_request", iid=3, read_only=True, **request)


def test_a_fork_s_diff_is_read_beside_the_target_and_nothing_of_it_is_fetched(
    clone: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = of_a_fork(clone, sha="f" * 40)
    monkeypatch.setattr(case.workspace, "fetch_commit", Mock(side_effect=AssertionError))
    chosen = case.choose()
    assert (chosen.target, chosen.known, chosen.unfetched) == ("release", None, "f" * 40)
    assert b"-r\n+evil" in (chosen.diff or b"")
    assert chosen.remarks == ()
    assert (clone.folder / "app.py").read_text() == "r\n"
    # Of the target branch, too, what configures agents stays out: the default branch's is here.
    assert (clone.folder / "CLAUDE.md").read_text() == "target\n"


def test_a_fork_that_moved_on_is_read_as_it_is_now_and_that_is_said(clone: Clone) -> None:
    assert "had moved on" in "".join(of_a_fork(clone, sha="e" * 40).choose().remarks)


def test_a_fork_whose_target_is_gone_is_read_beside_the_default_branch(clone: Clone) -> None:
    case = of_a_fork(clone)
    clone.gitlab.merge_requests[PROJECT, 3]["target_branch"] = "gone"
    assert "`gone` is gone" in "".join(case.choose().remarks)
    assert case.workspace.head == clone.main


@pytest.mark.parametrize("told", ["main", "release", None])
def test_a_target_that_was_changed_since_the_question_is_said(
    clone: Clone, told: str | None
) -> None:
    case = of_a_fork(clone)
    context = {"merge_request": {"iid": 3, "target_branch": told}}
    request = case.context.request._replace(context=context)
    case.context = case.context._replace(request=request)
    said = "".join(case.choose().remarks)
    assert ("changed since you asked, from `main` to `release`" in said) is (told == "main")


def test_a_fork_is_not_read_where_the_trigger_does_not_say_so(clone: Clone) -> None:
    case = of_a_fork(clone)
    case.context = case.context._replace(request=case.context.request._replace(read_only=False))
    with pytest.raises(Failure, match="comes from another project"):
        case.choose()


# Branches that move.


def replied(
    clone: Clone, commit: str, author: int = OWN, kind: str = "merge_request", iid: int = 3
) -> None:
    """A reply in the merge request that says it has pushed a commit."""
    marks = f"{of_push(commit)}\n{of_job(7, ENDED)}\n{of_run('r')}"
    body = f"Claude has finished.\n\n{marks}"
    clone.gitlab.note(PROJECT, kind, iid, author_id=author, body=body)


def test_what_our_own_runs_pushed_since_the_question_is_no_move(clone: Clone) -> None:
    seen = merge_request(clone)
    for number in (1, 2):
        case = Case(clone, kind="merge_request", iid=3, sha=seen)
        made = case.publish(case.choose(), {f"new{number}.txt": "n\n"})
        replied(clone, made.commit)
        shutil.rmtree(clone.folder)
        shutil.rmtree(clone.private)
        clone.private.mkdir()
    chosen = Case(clone, kind="merge_request", iid=3, sha=seen).choose()
    assert chosen.remarks == ()
    assert (clone.folder / "new2.txt").exists()


def test_what_a_run_of_the_issue_pushed_is_no_move_either(clone: Clone) -> None:
    clone.gitlab.issue(PROJECT, 5)
    name = "claude/issue-5-7"
    seen = clone.gitlab.commit(PROJECT, name, {"app.py": "2\n"}, parent="main")
    clone.gitlab.merge_request(PROJECT, 3, source_branch=name, author_id=OWN, sha=seen)
    replied(clone, clone.gitlab.commit(PROJECT, name, {"more.py": "m\n"}), kind="issue", iid=5)
    assert Case(clone, kind="merge_request", iid=3, sha=seen).choose().remarks == ()


@pytest.mark.parametrize("theirs", ["on top", "below", "only said"])
def test_what_somebody_else_pushed_is_a_move(clone: Clone, theirs: str) -> None:
    seen = merge_request(clone)
    clone.gitlab.user(2, "mallory")
    commits = [clone.gitlab.commit(PROJECT, "feature", {name: "x\n"}) for name in ("a", "b")]
    if theirs == "only said":
        for commit in commits:
            replied(clone, commit, author=2)
    else:
        replied(clone, commits[0 if theirs == "on top" else 1])
    with pytest.raises(Failure, match="branch_moved"):
        Case(clone, kind="merge_request", iid=3, sha=seen).choose()


@pytest.mark.parametrize("command", ["review", "explain"])
def test_what_only_reads_goes_on_and_pushes_nothing(clone: Clone, command: str) -> None:
    head = merge_request(clone)
    case = Case(clone, kind="merge_request", iid=3, sha="c" * 40, command=command)
    chosen = case.choose()
    assert chosen.remarks == (messages.REMARK_BRANCH_MOVED,)
    made = case.publish(chosen, {"new.txt": "n\n"})
    assert made == publish.Published("", "", (messages.REMARK_MOVED_KEPT,))
    assert clone.gitlab.head(PROJECT, "feature") == head


@pytest.mark.parametrize("state", ["merged", "closed"])
def test_where_a_merge_request_takes_no_changes_they_get_a_branch_of_their_own(
    clone: Clone, state: str
) -> None:
    merge_request(clone, state=state)
    case = Case(clone, kind="merge_request", iid=3, sha="c" * 40)
    if state == "merged":
        clone.gitlab.commit(PROJECT, "main", {"app.py": "2\n", "more.py": "m\n"})
    clone.gitlab.delete(PROJECT, "feature")
    chosen = case.choose()
    assert (chosen.name, chosen.target) == ("claude/merge_request-3-9", "main")
    assert b"+2" in (chosen.diff or b"")
    assert (clone.folder / "app.py").read_text() == "2\n"
    assert (clone.folder / "more.py").exists() == (state == "merged")
    made = case.publish(chosen, {"new.txt": "n\n"})
    assert made.url.endswith("/merge_requests/4")
    assert clone.gitlab.head(PROJECT, chosen.name) == made.commit


def test_a_second_request_in_a_merged_merge_request_goes_on_where_the_first_ended(
    clone: Clone,
) -> None:
    merge_request(clone, state="merged")
    case = Case(clone, kind="merge_request", iid=3)
    made = case.publish(case.choose(), {"new.txt": "n\n"})
    assert case.choose().name == "claude/merge_request-3-9"
    assert case.workspace.head == made.commit


@pytest.mark.parametrize("source", ["main", "release"])
def test_a_default_or_protected_branch_is_never_pushed_to(clone: Clone, source: str) -> None:
    clone.gitlab.commit(PROJECT, "production", {"old.txt": "o\n"}, parent="main")
    head = clone.gitlab.commit(PROJECT, source, {"app.py": "2\n"}, parent="main")
    clone.gitlab.projects[PROJECT].protected["release"] = 40
    clone.gitlab.merge_request(
        PROJECT, 3, source_branch=source, target_branch="production", author_id=OWN, sha=head
    )
    case = Case(clone, kind="merge_request", iid=3, sha=head)
    chosen = case.choose()
    assert (chosen.name, chosen.target) == ("claude/merge_request-3-9", source)
    assert b"+2" in (chosen.diff or b"")
    assert case.publish(chosen, {"new.txt": "n\n"}).url
    assert clone.gitlab.head(PROJECT, source) == head


def test_an_open_merge_request_whose_branch_is_gone_gets_its_changes_on_a_new_one(
    clone: Clone,
) -> None:
    head = merge_request(clone)
    clone.gitlab.delete(PROJECT, "feature")
    chosen = Case(clone, kind="merge_request", iid=3, sha=head).choose()
    assert (chosen.name, chosen.target) == ("claude/merge_request-3-9", "main")
    assert (clone.folder / "app.py").read_text() == "2\n"


def test_a_target_that_is_gone_is_said_and_the_default_branch_stands_in(clone: Clone) -> None:
    merge_request(clone, target_branch="stack")
    clone.gitlab.merge_requests[PROJECT, 3]["target_branch"] = "x`@all"
    said = "".join(Case(clone, kind="merge_request", iid=3).choose().remarks)
    assert "is gone" in said
    assert "@all" not in said
    shutil.rmtree(clone.folder)
    clone.gitlab.merge_requests[PROJECT, 3]["target_branch"] = "stack"
    case = Case(clone, kind="merge_request", iid=3)
    chosen = case.choose()
    assert (chosen.name, chosen.asked_in) == ("feature", True)
    assert "The target branch `stack` is gone" in "".join(chosen.remarks)
    assert case.publish(chosen, {"new.txt": "n\n"}).commit


def test_where_our_own_branch_was_deleted_the_issue_starts_afresh(clone: Clone) -> None:
    clone.gitlab.merge_request(PROJECT, 1, source_branch="claude/issue-5-7", author_id=OWN)
    case = Case(clone, kind="issue", iid=5)
    chosen = case.choose()
    assert (chosen.name, chosen.known) == ("claude/issue-5-9", None)
    assert case.workspace.head == clone.main


def test_a_branch_deleted_while_claude_worked_is_not_made_again(clone: Clone) -> None:
    merge_request(clone)
    case = Case(clone, kind="merge_request", iid=3)
    chosen = case.choose()
    clone.gitlab.delete(PROJECT, "feature")
    with pytest.raises(Failure, match="Somebody deleted `feature` while Claude worked"):
        case.publish(chosen, {"new.txt": "n\n"})
    assert "feature" not in clone.gitlab.projects[PROJECT].branches


@pytest.mark.parametrize(
    "name", ["fix/a,b", "fix#1", "50%", "a@b", "it's", "$HOME", "größe", "修复", "fix/🐛"]
)
def test_a_branch_of_any_name_is_worked_on_and_pushed_to(clone: Clone, name: str) -> None:
    head = clone.gitlab.commit(PROJECT, name, {"app.py": "2\n"}, parent="main")
    clone.gitlab.merge_request(PROJECT, 3, source_branch=name, author_id=OWN, sha=head)
    case = Case(clone, kind="merge_request", iid=3, sha=head)
    made = case.publish(case.choose(), {"new.txt": "n\n"})
    assert clone.gitlab.head(PROJECT, name) == made.commit


# Conflicts with the target.


def conflicting(clone: Clone) -> str:
    """Let `main` and `feature` change the same line, and each a file of its own."""
    head = clone.gitlab.commit(PROJECT, "feature", {"app.py": "2\n", "f": "f\n"}, parent="main")
    clone.gitlab.commit(PROJECT, "main", {"app.py": "3\n", "m": "m\n", "CLAUDE.md": "new\n"})
    clone.gitlab.merge_request(PROJECT, 3, source_branch="feature", author_id=OWN, sha=head)
    return head


def test_conflicts_are_resolved_in_a_merge_of_the_target(clone: Clone) -> None:
    head = conflicting(clone)
    case = Case(clone, kind="merge_request", iid=3, sha=head)
    case.context = case.context._replace(request=case.context.request._replace(input="rebase"))
    chosen = case.choose()
    assert chosen.conflicts == ("app.py",)
    assert "<<<<<<<" in (clone.folder / "app.py").read_text()
    assert (clone.folder / "m").exists()
    made = case.publish(chosen, {"app.py": "23\n"})
    assert made.remarks == (messages.REMARK_MERGED,)
    path = clone.gitlab.repository(PROJECT)
    parents = clone.gitlab.git(path, "log", "-1", "--format=%P", "feature").split()
    assert parents == [head, clone.gitlab.head(PROJECT, "main")]
    files = clone.gitlab.git(path, "ls-tree", "--name-only", "feature").splitlines()
    assert {"m", "f"} <= set(files)
    assert clone.gitlab.git(path, "show", "feature:app.py") == "23"
    assert clone.gitlab.git(path, "show", "feature:CLAUDE.md") == "new"
    assert b"+23" in case.workspace.patch(made.commit)


def test_conflicts_can_be_resolved_from_the_issue_too(clone: Clone) -> None:
    name = "claude/issue-5-7"
    head = clone.gitlab.commit(PROJECT, name, {"app.py": "2\n"}, parent="main")
    target = clone.gitlab.commit(PROJECT, "main", {"app.py": "3\n"})
    clone.gitlab.merge_request(PROJECT, 3, source_branch=name, author_id=OWN, sha=head)
    case = Case(clone, kind="issue", iid=5)
    case.context = case.context._replace(request=case.context.request._replace(input="rebase"))
    made = case.publish(case.choose(), {"app.py": "23\n"})
    path = clone.gitlab.repository(PROJECT)
    assert clone.gitlab.git(path, "log", "-1", "--format=%P", made.commit) == f"{head} {target}"


@pytest.mark.parametrize("files", [{"app.py": "<<<<<<< ours\n2\n"}, {"other": "x\n"}])
def test_a_conflict_that_is_left_is_not_pushed(clone: Clone, files: dict[str, str]) -> None:
    head = conflicting(clone)
    case = Case(clone, kind="merge_request", iid=3)
    case.context = case.context._replace(request=case.context.request._replace(input="conflict"))
    made = case.publish(case.choose(), files)
    assert made.commit == ""
    assert "conflicts with the target branch are left in `app.py`" in "".join(made.remarks)
    assert clone.gitlab.head(PROJECT, "feature") == head


def test_conflicts_that_nothing_was_done_about_are_said(clone: Clone) -> None:
    conflicting(clone)
    case = Case(clone, kind="merge_request", iid=3)
    chosen = case.choose()
    assert chosen.conflicts == ()
    case.context = case.context._replace(request=case.context.request._replace(input="conflict"))
    chosen = case.choose()
    case.workspace.guard()
    changes = case.workspace.changes()
    (said,) = publish.beside(case.workspace, chosen, changes)
    assert "are left in `app.py`" in said


def test_of_more_files_than_a_remark_names_the_number_is_told() -> None:
    workspace, files = Mock(left=()), tuple(f"{number}.py" for number in range(13))
    workspace.contents.collisions.return_value = files
    (said,) = publish.beside(workspace, Mock(conflicts=()), [])
    assert "`9.py`, and 3 more differ only in case" in said
    assert "`10.py`" not in said


def test_without_a_conflict_nothing_is_merged(clone: Clone) -> None:
    head = merge_request(clone)
    case = Case(clone, kind="merge_request", iid=3)
    case.context = case.context._replace(request=case.context.request._replace(input="conflict"))
    chosen = case.choose()
    made = case.publish(chosen, {"new.txt": "n\n"})
    path = clone.gitlab.repository(PROJECT)
    assert clone.gitlab.git(path, "log", "-1", "--format=%P", made.commit) == head


# The diff.


def test_a_diff_that_cannot_be_had_is_said_and_a_review_ends_with_that(clone: Clone) -> None:
    unrelated = clone.gitlab.git(
        clone.gitlab.repository(PROJECT), "commit-tree", f"{clone.main}^{{tree}}", "-m", "x"
    )
    clone.gitlab.commit(PROJECT, "feature", {"app.py": "2\n"}, parent=unrelated)
    clone.gitlab.merge_request(PROJECT, 3, source_branch="feature", author_id=OWN)
    chosen = Case(clone, kind="merge_request", iid=3).choose()
    assert chosen.diff is None
    assert chosen.remarks == (messages.REMARK_NO_DIFF,)
    shutil.rmtree(clone.folder)
    with pytest.raises(Failure, match="so nothing was reviewed"):
        Case(clone, kind="merge_request", iid=3, command="review").choose()


def test_a_diff_that_is_cut_is_said(clone: Clone) -> None:
    clone.gitlab.commit(PROJECT, "feature", {"a.txt": "long line\n" * 50_000}, parent="main")
    clone.gitlab.merge_request(PROJECT, 3, source_branch="feature", author_id=OWN)
    chosen = Case(clone, kind="merge_request", iid=3).choose()
    assert chosen.remarks == (messages.REMARK_DIFF_CUT,)


def test_a_change_in_a_merge_request_is_pushed_to_its_branch(clone: Clone) -> None:
    merge_request(clone)
    case = Case(clone, kind="merge_request", iid=3)
    made = case.publish(case.choose(), {"new.txt": "n\n"})
    assert made.url == ""
    assert clone.gitlab.head(PROJECT, "feature") == made.commit
    shown = clone.gitlab.show(PROJECT, "feature")
    assert "Author: Claude Bot <1-claude@users.noreply.gitlab.example.com>" in shown
    assert "Asked for in !3." in shown


def test_the_commit_has_the_address_that_the_user_chose(clone: Clone) -> None:
    case = Case(clone, kind="issue", iid=5)
    case.context = case.context._replace(user={"name": "Bot", "commit_email": "bot@example.com"})
    case.publish(case.choose(), {"new.txt": "n\n"})
    assert "Author: Bot <bot@example.com>" in clone.gitlab.show(PROJECT, "claude/issue-5-9")


@pytest.mark.parametrize(
    ("path", "named"), [(".gitlab-ci.yml", ""), ("ci/all", "ci/all"), ("ci/child.yml", "ci/all")]
)
def test_a_push_that_changes_ci_configuration_starts_no_pipeline_and_says_so(
    clone: Clone, path: str, named: str
) -> None:
    merge_request(clone)
    files = {"ci/all": "a: {trigger: {include: ci/child.yml}}\n", "ci/child.yml": "b: {}\n"}
    clone.gitlab.commit(PROJECT, "feature", files)
    case = Case(clone, kind="merge_request", iid=3)
    options: list[bool] = []
    case.workspace.commits.push = lambda *_, skip_ci: options.append(skip_ci)  # type: ignore[method-assign]
    environment = {**case.context.environment, "CI_CONFIG_PATH": named}
    case.context = case.context._replace(environment=environment)
    made = case.publish(case.choose(), {path: "a: {script: b}\n"})
    assert options == [True]
    assert made.remarks == (
        "CI configuration was changed, so the push started no pipeline: read it first.",
    )


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("! [rejected] (fetch first)", "pushed_meanwhile"),
        ("! [rejected] (non-fast-forward)", "pushed_meanwhile"),
        ("! [remote rejected] (pre-receive hook declined)", "push_rule"),
        ("remote: HTTP Basic: Access denied", "push_rejected"),
    ],
)
def test_a_push_that_fails_is_told_by_its_cause(clone: Clone, said: str, reason: str) -> None:
    case = Case(clone, kind="issue", iid=5)

    def push(*_: object, **__: object) -> None:
        raise GitError(said)

    case.workspace.commits.push = push  # type: ignore[method-assign]
    with pytest.raises(Failure, match=reason):
        case.publish(case.choose(), {"new.txt": "n\n"})
    assert said in "".join(case.lines)


@pytest.mark.parametrize(
    ("known", "fault", "what"),
    [
        (None, "POST */merge_requests", r"to `claude/issue-5-9`, but .* a merge request"),
        ({"iid": 1}, "GET */merge_requests/1", "update the merge request"),
    ],
    ids=["open", "update"],
)
def test_a_merge_request_that_gitlab_refuses_is_said_with_its_words_in_the_log(
    clone: Clone, known: dict[str, object] | None, fault: str, what: str
) -> None:
    case = Case(clone, kind="issue", iid=5)
    chosen = case.choose()._replace(known=known)
    clone.gitlab.fault(fault, Fault.status(403, message="not here"))
    with pytest.raises(Failure, match=rf"{what} \(HTTP 403\)"):
        case.publish(chosen, {"new.txt": "n\n"})
    assert "not here" in "".join(case.lines)


def test_a_pushed_branch_without_a_merge_request_is_told_with_where_to_open_one(
    clone: Clone,
) -> None:
    case = Case(clone, kind="issue", iid=5)
    clone.gitlab.fault("POST */merge_requests", Fault.status(502))
    with pytest.raises(Failure) as failure:
        case.publish(case.choose(), {"new.txt": "n\n"})
    assert (
        "[Open it by hand](https://gitlab.example.com/group/app/-/merge_requests/new?"
        "merge_request%5Bsource_branch%5D=claude%2Fissue-5-9&"
        "merge_request%5Btarget_branch%5D=main)"
    ) in failure.value.text
    assert clone.gitlab.head(PROJECT, "claude/issue-5-9")


def test_a_merge_request_that_was_opened_although_the_answer_was_lost_is_found(
    clone: Clone,
) -> None:
    case = Case(clone, kind="issue", iid=5)
    clone.gitlab.fault("POST */merge_requests", Fault.status(502, acts=True))
    made = case.publish(case.choose(), {"new.txt": "n\n"})
    assert made.url.endswith("/merge_requests/1")


def test_a_merge_request_that_was_closed_meanwhile_gets_no_push(clone: Clone) -> None:
    head = merge_request(clone)
    case = Case(clone, kind="merge_request", iid=3)
    chosen = case.choose()
    clone.gitlab.merge_requests[PROJECT, 3]["state"] = "closed"
    with pytest.raises(Failure, match="merge_request_closed"):
        case.publish(chosen, {"new.txt": "n\n"})
    assert clone.gitlab.head(PROJECT, "feature") == head


def test_what_is_pushed_for_an_internal_question_names_no_issue(clone: Clone) -> None:
    clone.gitlab.merge_request(PROJECT, 1, source_branch="claude/issue-5-7", author_id=OWN)
    case = Case(clone, audience=Audience(internal=True, push=True), kind="issue", iid=5)
    chosen = case.choose()
    assert (chosen.name, chosen.known) == ("claude/run-9", None)
    case.publish(chosen, {"new.txt": "x\n"})
    made = clone.gitlab.merge_requests[PROJECT, 2]
    seen = re.sub(r"<!--.*?-->", "", made["description"]).replace("[job 9](u)", "")
    assert "5" not in made["title"] + seen
    repository = clone.gitlab.repository(PROJECT)
    assert "#5" not in clone.gitlab.git(repository, "log", "-1", "--format=%B", chosen.name)


def test_changes_that_must_not_be_pushed_say_why(clone: Clone) -> None:
    case = Case(clone, audience=Audience(internal=True), kind="issue", iid=5)
    made = case.publish(case.choose(), {"app.py": "2\n"})
    assert (made.url, made.commit) == ("", "")
    assert "`confidential_changes: push`" in "".join(made.remarks)
    assert set(clone.gitlab.projects[PROJECT].branches) == {"main"}
    assert not clone.gitlab.merge_requests


def test_a_change_that_brings_a_secret_is_not_pushed_and_the_file_is_named(clone: Clone) -> None:
    clone.gitlab.commit(PROJECT, "main", {"known.txt": "canary-token\n"}, parent="main")
    case = Case(clone)
    chosen = case.choose()
    case.context.log.hide("canary-token")
    (clone.folder / "keep.txt").unlink()
    files = {
        "known.txt": "canary-token and more\n",
        "a`@all.txt": "bmV3IGNhbmFyeS10b2tlbg==\n",
        "nekot-yranac": "x\n",
    }
    made = case.publish(chosen, files)
    (said,) = made.remarks
    assert "known.txt" not in said
    assert "nekot-yranac" in said
    assert "@all" not in said
    assert made.commit == ""
    assert set(clone.gitlab.projects[PROJECT].branches) == {"main"}
    assert not clone.gitlab.merge_requests


NOTED = Inputs(git_note=True)


def noted(clone: Clone, commit: str) -> str:
    """What git shows as the commit's note."""
    at = clone.gitlab.repository(PROJECT)
    return clone.gitlab.git(at, "notes", "--ref=claude", "show", commit)


def test_a_pushed_commit_has_its_statement_as_a_note_beside_those_of_others(clone: Clone) -> None:
    at = clone.gitlab.repository(PROJECT)
    clone.gitlab.git(at, "notes", "--ref=claude", "add", "-m", "earlier", clone.main)
    case = Case(clone, NOTED, kind="issue", iid=5)
    commit = case.publish(case.choose(), {"a.txt": "a\n"}).commit
    case.context.log.hide("canary-of-a-secret")
    publish.annotate(case.workspace, commit, "told, canary-of-a-secret", case.context)
    assert noted(clone, commit) == "told, [MASKED]"
    assert noted(clone, clone.main) == "earlier"
    shown = clone.gitlab.git(at, "log", "-1", "--format=%an %s", "refs/notes/claude")
    assert shown == f"Claude Bot Account for {commit}"
    assert "no git note" not in "".join(case.lines)


OTHERS = ["one", "another", "a third", "a fourth"]


def test_notes_of_jobs_at_once_are_all_kept(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(clone, NOTED, kind="issue", iid=5)
    commit = case.publish(case.choose(), {"a.txt": "a\n"}).commit
    push, at = case.workspace.commits._push, clone.gitlab.repository(PROJECT)
    others = iter(OTHERS)

    def meanwhile(*given: Any) -> None:
        for text in [next(others, "")]:
            if text:
                clone.gitlab.git(at, "notes", "--ref=claude", "append", "-m", text, clone.main)
        push(*given)

    monkeypatch.setattr(case.workspace.commits, "_push", meanwhile)
    assert publish.annotate(case.workspace, commit, "told", case.context) == ()
    assert noted(clone, commit) == "told"
    assert noted(clone, clone.main) == "\n\n".join(OTHERS)


@pytest.mark.parametrize("given", ["not wanted", "internal", "not pushed"])
def test_no_note_is_written_where_it_is_not_wanted_or_others_would_read_it(
    clone: Clone, given: str
) -> None:
    inputs = Inputs() if given == "not wanted" else NOTED
    case = Case(clone, inputs, audience=Audience(internal=given == "internal", private=True))
    commit = case.publish(case.choose(), {"a.txt": "a\n"}).commit
    publish.annotate(case.workspace, "" if given == "not pushed" else commit, "t", case.context)
    with pytest.raises(RuntimeError, match="no note found"):
        noted(clone, commit)


def test_a_note_that_gitlab_refuses_is_told_in_log_and_reply_and_fails_nothing(
    clone: Clone,
) -> None:
    at = clone.gitlab.repository(PROJECT)
    refuses = 'case $1 in refs/notes/*) echo "no notes here"; echo >> tried; exit 1;; esac'
    (at / "hooks" / "update").write_text(f"#!/bin/sh\n{refuses}\n")
    (at / "hooks" / "update").chmod(0o755)
    case = Case(clone, NOTED, kind="issue", iid=5)
    commit = case.publish(case.choose(), {"a.txt": "a\n"}).commit
    (remark,) = publish.annotate(case.workspace, commit, "told", case.context)
    assert "has no git note" in remark
    assert "no notes here" not in remark
    said = "".join(case.lines)
    assert said.count("The commit has no git note: ") == 1
    assert "no notes here" in said
    assert (at / "tried").read_text() == "\n\n"  # once more, as it may have been the line


def test_a_note_that_nobody_takes_ends_somewhere(clone: Clone) -> None:
    case = Case(clone, NOTED, kind="issue", iid=5)
    commit = case.publish(case.choose(), {"a.txt": "a\n"}).commit
    clone.gitlab.fault("GET *", *[Fault.status(503)] * 3)
    (remark,) = publish.annotate(case.workspace, commit, "told", case.context)
    assert "has no git note" in remark
    assert "503" in "".join(case.lines)
    assert len(clone.gitlab.pending_faults) == 1
