"""What a sweep looks at, as GitLab tells it."""

from functions.gitlab import GitLab
from shared.contract.ai_flow import MERGE_REQUEST
from shared.gitlab.values import Project
from shared.incoming.event import Event
from tests.support.gitlab.server import GitLab as StandIn

PROJECT = Project(7, "group/app", "main", public=False)


def test_a_sweep_sees_comments_on_issues_and_merge_requests(
    server: StandIn, gitlab: GitLab
) -> None:
    sha = "c" * 40
    server.merge_request(7, 3, source_branch="feature")
    server.snippet(7, 6)
    server.known_commit(7, sha)
    server.note(
        7, "commit", sha, author_id=42, body="@claude on a commit"
    )  # GitLab does not tell which
    server.note(7, "snippet", 6, author_id=42, body="@claude on a snippet")
    server.note(7, "issue", 5, author_id=42, body="said by GitLab", system=True)
    position = {"new_path": "app.py", "new_line": 3, "head_sha": sha, "position_type": "text"}
    for kind, iid, more in (
        ("issue", 5, {"internal": True}),
        ("merge_request", 3, {"position": position}),
    ):
        server.note(7, kind, iid, author_id=42, body=f"@claude in {kind}", **more)
    first, second = gitlab.comments(PROJECT, server.clock() - 60)
    assert (first.event.kind, first.event.iid, first.event.internal) == ("issue", 5, True)
    assert first.event.texts == ("@claude in issue",)
    assert (second.event.kind, second.event.iid, second.event.internal) == (MERGE_REQUEST, 3, False)
    assert second.event.position == {"new_path": "app.py", "new_line": 3, "head_sha": sha}
    assert not first.edited
    assert abs(first.created_at - server.clock()) < 60
    assert first.event.at == first.created_at
    assert isinstance(first.event, Event)
