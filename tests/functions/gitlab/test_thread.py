"""What we write in a thread: reactions, replies, their later versions."""

import pytest

from functions.gitlab import GitLab
from shared.contract.ai_flow import COMMIT, MERGE_REQUEST, SNIPPET
from shared.gitlab.values import GitLabError, Reply
from shared.incoming.event import Event
from tests.support.fakes import NOTE
from tests.support.gitlab.server import Fault
from tests.support.gitlab.server import GitLab as StandIn
from tests.support.gitlab_adapter import secrets


def comment(server: StandIn, *, internal: bool = False) -> Event:
    note = server.note(7, "issue", 5, author_id=42, body="@claude fix it", internal=internal)
    return NOTE._replace(note_id=note["id"], discussion_id=note["discussion_id"], internal=internal)


def replies(server: StandIn, note: Event) -> list[dict[str, object]]:
    return [each for each in server.notes.values() if each["id"] != note.note_id]


def test_eyes_are_put_on_the_note_once(server: StandIn, gitlab: GitLab) -> None:
    note = comment(server)
    for _ in range(2):
        gitlab.award(note, "eyes")
    assert [award["name"] for award in server.emoji.values()] == ["eyes"]


def test_an_emoji_whose_id_is_known_is_taken_away_without_a_search(
    server: StandIn, gitlab: GitLab
) -> None:
    note = comment(server)
    award_id = gitlab.award(note, "eyes")
    assert award_id in server.emoji
    assert gitlab.award(note, "eyes") == 0, "it is there already"
    gitlab.withdraw(note, "eyes", award_id)
    assert not server.emoji
    assert [call.method for call in server.calls][-1] == "DELETE"
    assert not [call for call in server.calls if call.method == "GET"]


def test_an_emoji_that_was_put_there_anew_is_searched_for(server: StandIn, gitlab: GitLab) -> None:
    note = comment(server)
    former = gitlab.award(note, "eyes")
    gitlab.withdraw(note, "eyes", former)
    gitlab.award(note, "eyes")
    gitlab.withdraw(note, "eyes", former)
    assert not server.emoji


def test_an_award_without_an_id_is_one_all_the_same(server: StandIn, gitlab: GitLab) -> None:
    note = comment(server)
    for answer in (b"[]", b"{}", b'{"id": "7"}'):
        server.fault("POST *", Fault("odd", acts=False, answer=(201, (), answer)))
        assert gitlab.award(note, "eyes") == 0


def test_only_our_own_emoji_is_taken_away_and_one_that_is_not_there_is_fine(
    server: StandIn, gitlab: GitLab
) -> None:
    server.user(43, "eve")
    server.member(7, 43, 30)
    server.api_token("glpat-eve", 43)
    note = comment(server)
    for which in (gitlab, GitLab(server.url, secrets("glpat-eve"))):
        for emoji in ("eyes", "x"):
            which.award(note, emoji)
    for _ in range(2):
        gitlab.withdraw(note, "eyes")
    assert sorted((each["user_id"], each["name"]) for each in server.emoji.values()) == [
        (43, "eyes"),
        (43, "x"),
        (99, "x"),
    ]


def test_an_emoji_that_somebody_takes_away_meanwhile_is_fine(
    server: StandIn, gitlab: GitLab
) -> None:
    note = comment(server)
    gitlab.award(note, "eyes")
    server.fault("DELETE *", Fault.status(404))
    gitlab.withdraw(note, "eyes")
    server.fault("DELETE *", Fault.status(403))
    with pytest.raises(GitLabError):
        gitlab.withdraw(note, "eyes")


@pytest.mark.parametrize("kind", ["issue", MERGE_REQUEST])
def test_what_was_opened_is_marked_read_and_answered_itself(
    server: StandIn, gitlab: GitLab, kind: str
) -> None:
    server.merge_request(
        7, 5, source_branch="feature", title="@claude fix it", description="Please."
    )
    server.issues[7, 5].update(title="@claude fix it", description="Please.")
    here = NOTE._replace(kind=kind, note_id=0, discussion_id=None)
    gitlab.award(here, "eyes")
    [award] = server.emoji.values()
    assert (award["awardable_type"], award["name"]) == (
        "MergeRequest" if kind == MERGE_REQUEST else "Issue",
        "eyes",
    )
    gitlab.withdraw(here, "eyes")
    assert not server.emoji
    target = gitlab.target(here)
    assert (target.title, target.description) == ("@claude fix it", "Please.")
    number = gitlab.reply(here, "on it <!-- mark -->")
    assert gitlab.replied(here, "<!-- mark -->") == Reply(number, "on it <!-- mark -->")
    assert all("/discussions" not in call.path for call in server.calls)


@pytest.mark.parametrize("internal", [False, True])
def test_a_reply_joins_the_discussion_and_its_confidentiality(
    server: StandIn, gitlab: GitLab, internal: bool
) -> None:
    note = comment(server, internal=internal)
    number = gitlab.reply(note, "on it <!-- mark -->")
    [reply] = replies(server, note)
    assert (reply["discussion_id"], reply["internal"]) == (note.discussion_id, internal)
    assert gitlab.replied(note, "<!-- mark -->") == Reply(number, "on it <!-- mark -->")
    assert reply["id"] == number
    assert gitlab.replied(note, "<!-- other -->") is None


@pytest.mark.parametrize("internal", [False, True])
def test_a_note_that_was_not_delivered_is_answered_in_its_discussion(
    server: StandIn, gitlab: GitLab, internal: bool
) -> None:
    note = comment(server, internal=internal)
    number = gitlab.reply(note._replace(discussion_id=None), "on it <!-- mark -->")
    [reply] = replies(server, note)
    assert (reply["discussion_id"], reply["internal"]) == (note.discussion_id, internal)
    assert gitlab.replied(note._replace(discussion_id=None), "<!-- mark -->") == Reply(
        number, "on it <!-- mark -->"
    )


@pytest.mark.parametrize("internal", [False, True])
def test_where_there_is_no_discussion_the_reply_stands_alone(
    server: StandIn, gitlab: GitLab, internal: bool
) -> None:
    gone = NOTE._replace(note_id=4711, discussion_id=None, internal=internal)
    number = gitlab.reply(gone, "on it <!-- mark -->")
    [reply] = replies(server, gone)
    assert reply["internal"] is internal
    assert gitlab.replied(gone, "<!-- mark -->") == Reply(number, "on it <!-- mark -->")


def test_what_others_wrote_is_no_reply_of_ours(server: StandIn, gitlab: GitLab) -> None:
    note = comment(server)
    server.note(
        7, "issue", 5, author_id=42, body="> <!-- mark -->", discussion_id=note.discussion_id
    )
    assert gitlab.replied(note, "<!-- mark -->") is None


def test_a_reply_is_read_and_changed_by_its_id(server: StandIn, gitlab: GitLab) -> None:
    note = comment(server)
    number = gitlab.reply(note, "queued <!-- mark -->")
    for _ in range(2):
        gitlab.edit_reply(note, number, "running <!-- mark -->")
    assert gitlab.read_reply(note, number) == "running <!-- mark -->"
    assert gitlab.replied(note, "<!-- mark -->") == Reply(number, "running <!-- mark -->")
    assert len(replies(server, note)) == 1
    assert gitlab.read_reply(note, 4711) is None
    with pytest.raises(GitLabError) as error:
        gitlab.edit_reply(note, 4711, "text")
    assert error.value.status == 404


def test_a_reply_is_deleted_once(server: StandIn, gitlab: GitLab) -> None:
    note = comment(server)
    number = gitlab.reply(note, "queued <!-- mark -->")
    for _ in range(2):
        gitlab.delete_reply(note, number)
    assert gitlab.read_reply(note, number) is None
    server.fault("DELETE *", Fault.status(403))
    with pytest.raises(GitLabError) as error:
        gitlab.delete_reply(note, number)
    assert error.value.status == 403


def test_a_reply_that_may_be_written_all_the_same_is_unsure(
    server: StandIn, gitlab: GitLab
) -> None:
    note = comment(server)
    number = gitlab.reply(note, "queued")
    server.fault("PUT *", Fault.act_then_reset())
    with pytest.raises(GitLabError) as error:
        gitlab.edit_reply(note, number, "running")
    assert error.value.unsure
    server.fault("GET *", Fault.status(503))
    with pytest.raises(GitLabError) as error:
        gitlab.read_reply(note, number)
    assert not error.value.unsure


@pytest.mark.parametrize("thread", [False, True])
@pytest.mark.parametrize("kind", [COMMIT, SNIPPET])
def test_commits_and_snippets_are_answered_where_they_take_an_answer(
    server: StandIn, gitlab: GitLab, kind: str, thread: bool
) -> None:
    sha = "c" * 40
    server.known_commit(7, sha)
    server.snippet(7, 6)
    note = server.note(
        7, kind, sha if kind == COMMIT else 6, author_id=42, body="@claude", thread=thread
    )
    place = {"commit": sha, "iid": 0} if kind == COMMIT else {"iid": 6}
    here = NOTE._replace(
        kind=kind, note_id=note["id"], discussion_id=note["discussion_id"], **place
    )
    gitlab.award(here, "no_entry_sign")
    number = gitlab.reply(here, "no <!-- mark -->")
    [reply] = replies(server, here)
    assert (reply["id"], reply["discussion_id"] == here.discussion_id) == (number, thread)
    assert gitlab.replied(here, "<!-- mark -->") == Reply(number, "no <!-- mark -->")
    gitlab.edit_reply(here, number, "never <!-- mark -->")
    assert gitlab.read_reply(here, number) == "never <!-- mark -->"
    gitlab.withdraw(here, "no_entry_sign")
    assert not server.emoji


def test_a_discussion_that_takes_no_reply_gets_a_note_beside_it(
    server: StandIn, gitlab: GitLab
) -> None:
    note = comment(server)
    refusal = Fault.status(400, message="400 Bad request - Discussion can not be replied to.")
    server.fault(
        f"POST /api/v4/projects/7/issues/5/discussions/{note.discussion_id}/notes", refusal
    )
    number = gitlab.reply(note, "on it")
    assert [each["id"] for each in replies(server, note)] == [number]


def test_merge_requests_are_answered_under_their_own_path(server: StandIn, gitlab: GitLab) -> None:
    server.merge_request(7, 5, source_branch="feature")
    note = server.note(7, "merge_request", 5, author_id=42, body="@claude")
    here = NOTE._replace(
        kind=MERGE_REQUEST, note_id=note["id"], discussion_id=note["discussion_id"]
    )
    gitlab.award(here, "eyes")
    gitlab.reply(here, "on it")
    assert gitlab.note(here).body == "@claude"
    assert all("/merge_requests/5/" in call.path for call in server.calls)
