import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contract import marks
from shared.incoming.event import Branches, Event, PipelineEvent
from shared.outcome import messages
from shared.outcome.reasons import Reason, Stop
from shared.runs.detect import ask, request
from shared.runs.request import MAX_REQUEST, RunRequest, TrackRequest, digest, from_json, run_id
from tests.support import fakes
from tests.support.fakes import NOTE, run


def read(text: str) -> RunRequest:
    back = from_json(text)
    assert isinstance(back, RunRequest)
    return back


@given(st.text())
def test_a_request_reads_back_as_it_was_written(instruction: str) -> None:
    asked = request(
        NOTE._replace(branches=Branches("f", "main", None, "abc"), position={"new_line": 3}),
        instruction,
        "h",
    )
    back = read(asked.to_json())
    assert back == asked._replace(instruction=back.instruction)
    assert back.instruction == instruction or len(instruction) > MAX_REQUEST // 12


@pytest.mark.parametrize("letter", ["a", "é", "好", "🚀", '"', "\x00", "\uffff"])
def test_a_request_is_small_whatever_the_note(letter: str) -> None:
    for length in (0, 5_000, 60_000, 1_000_000):
        text = request(NOTE, letter * length, "gitlab.com").to_json()
        assert text.isascii()
        assert len(text) <= MAX_REQUEST
        assert read(text).digest == digest(letter * length)


def test_a_text_too_long_to_travel_leaves_its_digest() -> None:
    back = read(request(NOTE, "a" * MAX_REQUEST, "gitlab.com").to_json())
    assert back.instruction is None
    assert back.digest == digest("a" * MAX_REQUEST)


def test_the_longest_names_leave_room_for_the_request() -> None:
    long = "好" * 1024
    note = NOTE._replace(
        project_path=long,
        default_branch=long,
        author=long,
        branches=Branches(long, long, 7, long),
        position={"old_path": long, "new_path": long},
    )
    assert len(request(note, "x" * 100_000, "gitlab.com").to_json()) <= MAX_REQUEST


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"version": 1}',
        '{"version": 2}',
        '{"version": 2, "event": {}}',
        '{"pipeline_id": 1}',
        "7",
    ],
)
def test_anything_else_is_no_request(text: str) -> None:
    with pytest.raises(ValueError, match=r"request|JSON|Expecting"):
        from_json(text)


def test_an_unknown_field_is_no_request() -> None:
    data = json.loads(run().to_json()) | {"extra": 1}
    with pytest.raises(ValueError, match="request"):
        from_json(json.dumps(data))


def test_the_run_id_names_the_object_and_nothing_else() -> None:
    ids = {
        run_id("gitlab.com", 7, "note", 77),
        run_id("gitlab.com", 7, "issue", 77),
        run_id("gitlab.com", 8, "note", 77),
        run_id("gitlab.com", 7, "note", 78),
        run_id("gitlab.example.com", 7, "note", 77),
    }
    assert len(ids) == 5
    assert run_id("gitlab.com", 7, "note", 77) == run_id("gitlab.com", 7, "note", 77)
    assert all(len(each) == 32 and each.isalnum() for each in ids)


def test_a_thread_is_an_issue_or_merge_request() -> None:
    assert run().thread == "7/issue/5"
    assert run(NOTE._replace(note_id=102, discussion_id="e" * 40)).thread == run().thread
    assert run(NOTE._replace(kind="merge_request")).thread != run().thread


def test_a_look_at_a_pipeline_reads_back_as_it_was_written() -> None:
    asked = TrackRequest(7, 31, "waiting_for_resource")
    assert from_json(asked.to_json()) == asked
    assert (asked.id, asked.message_id, asked.thread) == (
        "track-7-31-waitingforresource",
        asked.id,
        "track/7/31",
    )
    assert TrackRequest(7, 31, "../é /x").id == "track-7-31-x"


ISSUE = NOTE._replace(
    note_id=0,
    discussion_id=None,
    texts=("It breaks", "Since Monday."),
    before=("", ""),
    occasion="9",
)


def asked(event: Event, **environment: str) -> tuple[str, str | None]:
    request = ask(event, fakes.settings(**environment))
    assert isinstance(request, RunRequest)
    return request.event.name, request.instruction


def refused(event: Event | PipelineEvent, **environment: str) -> Reason:
    with pytest.raises(Stop) as stop:
        ask(event, fakes.settings(**environment))
    return stop.value.reason


def test_a_mention_in_a_title_or_description_asks_with_both_and_with_its_own_words_first() -> None:
    assert asked(ISSUE._replace(texts=("Dark mode", "@claude review this"))) == (
        "mention",
        "review this\n\nDark mode",
    )
    assert asked(ISSUE._replace(texts=("@claude add it", "All of it."))) == (
        "mention",
        "add it\n\nAll of it.",
    )
    assert asked(ISSUE._replace(texts=("@claude add it", "@claude please"))) == (
        "mention",
        "add it\n\nplease",
    )
    assert refused(ISSUE) is Reason.NOTHING_NEW


@pytest.mark.parametrize(
    ("before", "texts", "asks"),
    [
        (("a", "b"), ("a", "@claude b"), True),
        (("a", "b"), ("@claude a", "b"), True),
        (("a", "@claude b"), ("a", "@claude bc"), False),
        (("a", "@claude b"), ("a", "b"), False),
        (("a", "@claude b"), ("@claude a", "@claude b"), True),
        (("a", "`@claude` b"), ("a", "@claude b"), True),
        (("a", "@claude b"), ("a", "`@claude` b"), False),
    ],
)
def test_an_edit_asks_only_where_it_adds_the_mention(
    before: tuple[str, ...], texts: tuple[str, ...], *, asks: bool
) -> None:
    edit = ISSUE._replace(before=before, texts=texts)
    assert asked(edit)[0] == "mention" if asks else refused(edit) is Reason.NOTHING_NEW


@pytest.mark.parametrize(
    ("added", "name"),
    [
        ((("assign", "claude"),), "assign"),
        ((("assign", "Claude"),), "assign"),
        ((("assign_reviewer", "claude"), ("label", "claude")), "assign_reviewer"),
        ((("label", "claude"),), "label"),
        ((("assign", "bob"), ("label", "Claude")), "label"),
    ],
)
def test_to_assign_us_to_ask_for_our_review_or_to_add_our_label_is_to_ask(
    added: tuple[tuple[str, str], ...], name: str
) -> None:
    assert asked(ISSUE._replace(added=added)) == (name, messages.PROMPTS[name])


@pytest.mark.parametrize(
    ("added", "environment"),
    [
        ((("assign", "claude-bot"),), {}),
        ((("assign", "claude"),), {"TRIGGER_PHRASE": "@bot"}),
        ((("label", "bug"), ("label", "claude::later")), {}),
        ((("label", "claude"),), {"TRIGGER_LABEL": "none"}),
        ((("label", ""), ("assign", "")), {"TRIGGER_LABEL": "none"}),
        ((("label", "claude"),), {"TRIGGER_LABEL": "ask-claude"}),
    ],
)
def test_others_are_assigned_and_other_labels_added(
    added: tuple[tuple[str, str], ...], environment: dict[str, str]
) -> None:
    assert refused(ISSUE._replace(added=added), **environment) is Reason.NOTHING_NEW


def test_a_mention_says_more_than_an_assignment() -> None:
    both = ISSUE._replace(texts=("@claude hi", ""), added=(("assign", "claude"),))
    assert asked(both)[0] == "mention"


def test_a_comment_without_a_mention_asks_nothing() -> None:
    assert refused(NOTE._replace(texts=("hello",))) is Reason.NO_MENTION
    assert refused(NOTE._replace(texts=(f"@claude {marks.TRIGGER}",))) is Reason.OWN_NOTE


def test_the_closed_doors_hold_for_every_way_to_ask() -> None:
    for event in (
        NOTE,
        ISSUE._replace(added=(("assign", "claude"),)),
        PipelineEvent(7, "group/app", 31, "running"),
    ):
        assert refused(event, ALLOWED_PROJECTS="8") is Reason.PROJECT_NOT_ALLOWED
    assert (
        refused(NOTE._replace(internal=True), SERVE_CONFIDENTIAL="false") is Reason.CONFIDENTIAL_OFF
    )


def test_a_pipeline_asks_for_a_look() -> None:
    request = ask(PipelineEvent(7, "group/app", 31, "running"), fakes.settings())
    assert request == TrackRequest(7, 31, "running")


def test_one_asking_has_one_id_and_the_next_another() -> None:
    add = ISSUE._replace(added=(("assign", "claude"),))
    first, again = (ask(add, fakes.settings()).id for _ in range(2))
    later = ask(add._replace(occasion="9|2026|"), fakes.settings()).id
    other = ask(add._replace(kind="merge_request"), fakes.settings()).id
    assert first == again
    assert len({first, later, other, run().id}) == 4
