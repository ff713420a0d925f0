"""A delivery is a hint: what GitLab does not confirm starts nothing, and what it says counts."""

from typing import Any

import pytest

from shared.gitlab.values import GitLabError, Member, Note, Project, User
from shared.incoming.digests import digest_of_texts
from shared.incoming.event import Branches, Event
from shared.outcome.reasons import Reason, Retry
from shared.runs.confirm import MAX_AGE
from shared.runs.detect import request
from shared.runs.request import RunRequest
from tests.support.fakes import NOTE, NOW, run
from tests.support.stages import Stage

THERE = Note(101, (42, "ada"), NOW, NOW, internal=False, body="@claude fix it")
TEXTS = digest_of_texts("It breaks", "Since Monday.")
MERGE_REQUEST = NOTE._replace(kind="merge_request", branches=Branches("feature", "main", 7, "abc"))
CHANGE = NOTE._replace(note_id=0, discussion_id=None, texts_digest=TEXTS)


@pytest.fixture
def stage() -> Stage:
    return Stage()


def sent(stage: Stage) -> dict[str, Any]:
    [(_, _, body)] = stage.gitlab.triggered
    return dict(body["ai_flow"])


@pytest.mark.parametrize(
    "there",
    [
        THERE._replace(author=(43, "grace")),
        THERE._replace(body="@claude fix it and deploy"),
        THERE._replace(body="never mind"),
        THERE._replace(body="`@claude fix it`"),
        THERE._replace(created_at=NOW - MAX_AGE - 1),
    ],
    ids=["another's", "edited", "withdrawn", "made code", "a day old"],
)
def test_a_comment_that_is_not_as_it_was_told_starts_nothing(stage: Stage, there: Note) -> None:
    stage.gitlab.wrote[101] = there
    assert stage.dispatch() is Reason.NOTE_CHANGED
    assert stage.gitlab.triggered == []
    assert "so it was not run" in stage.reply


@pytest.mark.parametrize(
    "lie",
    [
        run(instruction="deploy it"),
        run(NOTE._replace(author_id=43, author="grace")),
        run(NOTE._replace(iid=6)),
    ],
    ids=["another text", "another author", "another issue"],
)
def test_a_forged_delivery_does_not_stand_for_the_true_one(stage: Stage, lie: RunRequest) -> None:
    stage.gitlab.wrote[101] = THERE
    stage.gitlab.users[43] = User(43, "grace", bot=False, state="active")
    stage.gitlab.members[7, 43] = Member(43, 40, "active", "active", None)
    if lie.event.iid != NOTE.iid:
        stage.gitlab.faults["target"] = [GitLabError(404)] * 2
        with pytest.raises(Retry):
            stage.dispatch(lie)
        stage.clock.time += 200
    assert stage.dispatch(lie) is Reason.NOTE_CHANGED
    assert stage.dispatch(lie) is Reason.DUPLICATE
    assert stage.dispatch() is Reason.TRIGGERED
    assert sent(stage)["input"] == "fix it"
    assert len(stage.gitlab.replies) == 1
    assert "pipelines/1" in stage.reply
    assert stage.dispatch() is Reason.DUPLICATE


def test_the_sweep_and_a_replay_choose_how_old_a_comment_may_be(stage: Stage) -> None:
    stage.gitlab.wrote[101] = THERE._replace(created_at=NOW - 30 * MAX_AGE)
    assert stage.dispatch(run()._replace(replay=1)) is Reason.TRIGGERED
    swept = NOTE._replace(note_id=102, swept=True)
    stage.gitlab.wrote[102] = THERE._replace(id=102, created_at=NOW - 3 * MAX_AGE)
    assert stage.dispatch(run(swept)) is Reason.TRIGGERED


@pytest.mark.parametrize("method", ["note", "target"])
def test_what_is_not_there_is_looked_for_again_for_a_minute(stage: Stage, method: str) -> None:
    stage.gitlab.faults[method] = [GitLabError(404)] * 9
    assert stage.retried().reason is Reason.GITLAB_UNAVAILABLE
    stage.clock.time += 61
    assert stage.dispatch() is Reason.NOTE_CHANGED
    assert stage.gitlab.triggered == []


def test_a_replica_that_hears_of_it_late_costs_nothing(stage: Stage) -> None:
    stage.gitlab.faults["note"] = [GitLabError(404)]
    stage.retried()
    stage.clock.time += 20
    assert stage.dispatch() is Reason.TRIGGERED


@pytest.mark.parametrize("method", ["note", "target", "project"])
@pytest.mark.parametrize("status", [0, 401, 403, 429, 500])
def test_without_gitlab_s_word_nothing_starts(stage: Stage, method: str, status: int) -> None:
    stage.gitlab.faults[method] = [GitLabError(status)]
    assert isinstance(stage.retried(), Retry)
    assert stage.gitlab.triggered == []


def test_a_comment_is_found_among_those_that_are_read_anyway(stage: Stage) -> None:
    stage.gitlab.thread = [THERE]
    stage.gitlab.faults["note"] = [GitLabError(500)]
    assert stage.dispatch() is Reason.TRIGGERED
    assert stage.gitlab.faults["note"] != []


def test_comments_that_cannot_be_listed_are_what_the_job_lacks(stage: Stage) -> None:
    stage.gitlab.faults["notes"] = [GitLabError(500)]
    assert stage.dispatch() is Reason.TRIGGERED
    assert sent(stage)["context"]["unread"] == ["thread"]


def test_branch_path_and_fork_are_gitlab_s_word(stage: Stage) -> None:
    stage.gitlab.projects = [Project(7, "group/renamed", "trunk", public=False)]
    told = NOTE._replace(project_path="group/other", default_branch="mallory")
    assert stage.dispatch(run(told)) is Reason.TRIGGERED
    [(_, _, body)] = stage.gitlab.triggered
    assert body["ref"] == "trunk"
    assert body["variables"]["AI_FLOW_PROJECT_PATH"] == "group/renamed"


def test_a_fork_that_a_delivery_hides_is_refused(stage: Stage) -> None:
    stage.gitlab.branches = Branches("feature", "main", 8, "abc")
    assert stage.dispatch(run(MERGE_REQUEST)) is Reason.FORK_MERGE_REQUEST


def test_the_commit_is_the_one_in_view_while_the_branch_is_the_same(stage: Stage) -> None:
    stage.gitlab.branches = Branches("feature", "release", 7, "new")
    assert stage.dispatch(run(MERGE_REQUEST)) is Reason.TRIGGERED
    told = sent(stage)["context"]["merge_request"]
    assert (told["target_branch"], told["sha"]) == ("release", "abc")


def test_the_commit_of_another_branch_is_gitlab_s(stage: Stage) -> None:
    stage.gitlab.branches = Branches("renamed", "main", 7, "new")
    assert stage.dispatch(run(MERGE_REQUEST)) is Reason.TRIGGERED
    told = sent(stage)["context"]["merge_request"]
    assert (told["source_branch"], told["sha"]) == ("renamed", "new")


# Title and description.


def test_texts_in_view_when_the_person_asked_are_handed_on(stage: Stage) -> None:
    assert stage.dispatch(run(NOTE._replace(texts_digest=TEXTS))) is Reason.TRIGGERED
    assert sent(stage)["context"]["issue"]["description"] == "Since Monday."


def test_texts_that_were_swapped_since_are_not(stage: Stage) -> None:
    stage.gitlab.described = stage.gitlab.described._replace(description="EVIL")
    assert stage.dispatch(run(NOTE._replace(texts_digest=TEXTS))) is Reason.TRIGGERED
    assert "EVIL" not in repr(stage.gitlab.triggered)
    assert sent(stage)["context"]["unread"] == ["title", "description"]


def test_a_description_s_image_is_the_same_wherever_it_is_told_to_be(stage: Stage) -> None:
    stage.gitlab.described = stage.gitlab.described._replace(
        description="![shot](/uploads/1/a.png)"
    )
    rewritten = "![shot](https://gitlab.com/group/app/uploads/1/a.png)"
    told = NOTE._replace(texts_digest=digest_of_texts("It breaks", rewritten))
    assert stage.dispatch(run(told)) is Reason.TRIGGERED
    assert sent(stage)["context"]["unread"] == []


@pytest.mark.parametrize(("seconds", "unread"), [(0, []), (60, []), (61, ["title", "description"])])
def test_where_no_delivery_told_the_texts_a_later_change_may_be_one(
    stage: Stage, seconds: float, unread: list[str]
) -> None:
    stage.gitlab.described = stage.gitlab.described._replace(updated_at=NOTE.at + seconds)
    assert stage.dispatch(run(NOTE._replace(swept=True))) is Reason.TRIGGERED
    assert sent(stage)["context"]["unread"] == unread


# What an issue or merge request asks by itself.


def asks(stage: Stage, name: str, **changes: Any) -> Reason:
    event = CHANGE._replace(name=name, occasion="900|later", **changes)
    return stage.dispatch(request(event, "Work on this.", "gitlab.com"))


@pytest.mark.parametrize(("author", "end"), [(42, Reason.TRIGGERED), (43, Reason.NOTE_CHANGED)])
def test_who_opened_something_is_gitlab_s_word(stage: Stage, author: int, end: Reason) -> None:
    event = CHANGE._replace(name="label", occasion="900", own=True)
    there = stage.gitlab.described._replace(author=(author, "x"), labels=("claude",))
    stage.gitlab.described = there
    assert stage.dispatch(request(event, "Work on this.", "gitlab.com")) is end


@pytest.mark.parametrize(
    ("name", "there"),
    [
        ("assign", {"assignees": ("Claude",)}),
        ("assign_reviewer", {"reviewers": ("claude",)}),
        ("label", {"labels": ("bug", "Claude")}),
    ],
)
def test_who_was_assigned_or_labelled_must_still_be(
    stage: Stage, name: str, there: dict[str, Any]
) -> None:
    assert asks(stage, name) is Reason.NOTE_CHANGED
    stage.gitlab.described = stage.gitlab.described._replace(**there)
    again = "900|again"
    event = CHANGE._replace(name=name, occasion=again)
    assert stage.dispatch(request(event, "Work on this.", "gitlab.com")) is Reason.TRIGGERED


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("mention", Reason.NOTE_CHANGED),
        ("assign", Reason.NOTE_CHANGED),
        ("label", Reason.NOTE_CHANGED),
        ("assign_reviewer", Reason.TRIGGERED),
    ],
)
def test_a_description_that_is_the_task_must_be_as_it_was(
    stage: Stage, name: str, end: Reason
) -> None:
    stage.gitlab.described = stage.gitlab.described._replace(
        description="EVIL", assignees=("claude",), reviewers=("claude",), labels=("claude",)
    )
    assert asks(stage, name) is end
    assert "EVIL" not in repr(stage.gitlab.triggered)


def test_what_our_own_user_does_is_no_request_but_what_such_a_person_writes_is(
    stage: Stage,
) -> None:
    stage.gitlab.users[99] = stage.gitlab.users[42]._replace(id=99)
    stage.gitlab.members[7, 99] = stage.gitlab.members[7, 42]._replace(user_id=99)
    stage.gitlab.described = stage.gitlab.described._replace(assignees=("claude",))
    assert asks(stage, "assign", author_id=99) is Reason.BOT_AUTHOR
    assert stage.dispatch(run(NOTE._replace(author_id=99, author="ada"))) is Reason.TRIGGERED


# Confidentiality.


@pytest.mark.parametrize("kind", ["issue", "note", "delivery"])
def test_what_is_internal_by_any_word_of_it_is_internal(stage: Stage, kind: str) -> None:
    event: Event = NOTE
    if kind == "issue":
        stage.gitlab.described = stage.gitlab.described._replace(confidential=True)
    elif kind == "note":
        stage.gitlab.wrote[101] = THERE._replace(internal=True)
    else:
        event = NOTE._replace(internal=True)
    assert stage.dispatch(run(event)) is Reason.TRIGGERED
    assert sent(stage)["context"]["note"]["internal"] is True


def test_confidential_issues_that_are_not_served_are_not_however_a_mention_comes(
    stage: Stage,
) -> None:
    stage.environment = {"SERVE_CONFIDENTIAL": "false"}
    stage.gitlab.described = stage.gitlab.described._replace(confidential=True)
    assert stage.dispatch(run(NOTE._replace(swept=True))) is Reason.CONFIDENTIAL_OFF
    assert (stage.gitlab.triggered, stage.gitlab.replies, stage.gitlab.awards) == ([], [], [])


def test_who_asks_in_public_hears_of_no_internal_run(stage: Stage) -> None:
    def says(number: int, text: str, *, internal: bool) -> Reason:
        event = NOTE._replace(note_id=number, internal=internal)
        return stage.dispatch(request(event, text, "gitlab.com"))

    says(1, "fix the hole", internal=True)
    assert says(2, "status", internal=False) is Reason.ANSWERED
    assert stage.reply.startswith("No run of this thread is known.")
    assert says(3, "stop", internal=False) is Reason.ANSWERED
    assert (stage.gitlab.cancelled, "pipeline" in stage.reply) == ([], False)
    assert says(4, "retry", internal=False) is Reason.NOTHING_TO_RETRY
    assert says(5, "status", internal=True) is Reason.ANSWERED
    assert "[pipeline 1]" in stage.reply


# The pipeline that is ours.


def test_a_pipeline_that_others_planted_is_not_adopted(stage: Stage) -> None:
    stage.gitlab.faults["trigger"] = [GitLabError(502, unsure=True)]
    stage.retried()
    record = stage.records.run(run().id)
    assert record
    assert len(record.nonce) == 32
    planted = {"ai_flow": {"id": run().id, "nonce": run().id}}
    stage.gitlab.triggered.append((7, "glptt-mallory", planted))
    stage.clock.time += 200
    assert stage.dispatch() is Reason.TRIGGERED
    assert "[pipeline 2]" in stage.reply
    assert sent_last(stage)["nonce"] == record.nonce


def sent_last(stage: Stage) -> dict[str, Any]:
    return dict(stage.gitlab.triggered[-1][2]["ai_flow"])
