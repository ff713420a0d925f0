"""Who asked by an assignment, a review request, a label or something new, as GitLab tells it."""

import pytest

from functions.gitlab import GitLab
from shared.contract.ai_flow import ASSIGN, ASSIGN_REVIEWER, ISSUE, LABEL, MERGE_REQUEST
from shared.gitlab.values import Project
from shared.incoming.digests import digest_of_texts
from shared.incoming.event import Branches
from tests.support.gitlab.faults import Fault
from tests.support.gitlab.server import GitLab as StandIn

PROJECT = Project(7, "group/app", "main", public=False)
_HOUR = 3600.0


@pytest.fixture
def now(server: StandIn, monkeypatch: pytest.MonkeyPatch) -> float:
    """An hour after issue 5 was opened."""
    time = server.clock() + _HOUR
    monkeypatch.setattr(server, "clock", lambda: time)
    return time


def test_what_was_opened_or_changed_since_is_told_as_if_it_had_just_been_opened(
    server: StandIn, gitlab: GitLab, now: float
) -> None:
    assert not list(gitlab.changed_targets(PROJECT, now - 60))
    server.edit_issue(7, 5, user_id=42, labels=["claude"], confidential=True)
    server.merge_request(
        7, 3, source_branch="feature", title="Faster", description="@claude review", author_id=42
    )
    issue, merge_request = gitlab.changed_targets(PROJECT, now - 60)
    assert (issue.kind, issue.iid, issue.internal) == (ISSUE, 5, True)
    assert issue.added == ((LABEL, "claude"),)
    assert issue.at == pytest.approx(now - _HOUR, abs=1)
    assert (merge_request.kind, merge_request.iid) == (MERGE_REQUEST, 3)
    assert merge_request.texts == ("Faster", "@claude review")
    assert merge_request.texts_digest == digest_of_texts("Faster", "@claude review")
    sha = server.merge_requests[7, 3]["sha"]
    assert merge_request.branches == Branches("feature", "main", 7, sha)
    assert merge_request.author_id == 42
    [opened] = gitlab.askings(merge_request, now - 60)
    assert opened == merge_request


def test_a_label_was_added_by_whom_gitlab_says(server: StandIn, gitlab: GitLab, now: float) -> None:
    server.user(43, "bob")
    server.member(7, 43, 30)
    server.edit_issue(7, 5, user_id=43, labels=["claude", "bug"])
    server.edit_issue(7, 5, user_id=42, labels=["claude"])
    [issue] = gitlab.changed_targets(PROJECT, now - 60)
    label, bug = gitlab.askings(issue, now - 60)
    assert (label.added, label.author_id, label.author) == (((LABEL, "claude"),), 43, "bob")
    assert (label.texts, label.before) == (issue.texts, issue.texts)
    assert label.at == pytest.approx(now, abs=0.01)
    assert label.texts_digest == issue.texts_digest
    assert bug.added == ((LABEL, "bug"),)
    # One change is one request, whatever it added.
    assert label.occasion == bug.occasion != issue.occasion


def test_assignments_and_reviews_are_read_from_what_gitlab_itself_noted(
    server: StandIn, gitlab: GitLab, now: float
) -> None:
    server.merge_request(7, 3, source_branch="feature")
    server.merge_requests[7, 3]["created_at"] -= _HOUR
    for text in (
        "assigned to @claude and @ada and unassigned @bob",
        "requested review from @claude and removed review request for @eve",
        "unassigned @claude",
        "mentioned in commit assigned to @claude",
    ):
        server.note(7, "merge_request", 3, author_id=42, body=text, system=True)
    server.note(7, "merge_request", 3, author_id=42, body="assigned to @claude")
    [merge_request] = gitlab.changed_targets(PROJECT, now - 60)
    told = [each.added[0] for each in gitlab.askings(merge_request, now - 60)]
    assert told == [(ASSIGN, "claude"), (ASSIGN, "ada"), (ASSIGN_REVIEWER, "claude")]


@pytest.mark.parametrize("text", ["changed the description", "changed title from **a** to **b**"])
def test_texts_that_were_edited_since_are_nobody_s_request(
    server: StandIn, gitlab: GitLab, now: float, text: str
) -> None:
    server.edit_issue(7, 5, user_id=42, labels=["claude"], description="@claude delete it")
    server.note(7, "issue", 5, author_id=42, body=text, system=True)
    [issue] = gitlab.changed_targets(PROJECT, now - 60)
    [label] = gitlab.askings(issue, now - 2 * _HOUR)
    assert label.added == ((LABEL, "claude"),)
    assert label.texts_digest == ""


def test_a_project_without_issues_has_its_merge_requests_looked_at(
    server: StandIn, gitlab: GitLab, now: float
) -> None:
    server.merge_request(7, 3, source_branch="feature")
    off = Fault("off", acts=False, answer=(403, (), b'{"message": "403 Forbidden"}'))
    server.fault("GET */projects/7/issues", off)
    [found] = gitlab.changed_targets(PROJECT, now - 60)
    assert found.kind == MERGE_REQUEST
