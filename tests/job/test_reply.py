"""The one reply: found, edited, never doubled, against the GitLab stand-in."""

from collections.abc import Iterator
from typing import Any

import pytest

from job.failures import Failure, Reason
from job.gitlab import GitLab as Client
from job.reply import Report, Thread, failed, finished, working
from job.request import Request
from shared.contract.marks import cost, of_run
from shared.contract.marks import pushed as pushed_by
from shared.contract.version import VERSION
from tests.support.gitlab.server import Fault, GitLab

OWN, OTHER, ADA, RUN = 1, 2, 42, "ab" * 16
STARTED = f"Claude is on it.\n\n{of_run(RUN)}"


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    with GitLab() as made:
        for number, name in ((OWN, "claude"), (OTHER, "trigger"), (ADA, "ada")):
            made.user(number, name)
        made.project(7, "group/app")
        for number in (OWN, OTHER, ADA):
            made.member(7, number, 30)
        made.api_token("glpat-own", OWN)
        made.issue(7, 5)
        made.note(7, "issue", 5, author_id=ADA, body="@claude fix it", discussion_id="d" * 40)
        yield made


def thread(gitlab: GitLab, *, author: str = "", pipeline: str = "31", **request: Any) -> Thread:
    client = Client(f"{gitlab.url}/api/v4", "7", "glpat-own", pause=lambda _: None)
    asked = Request(RUN, "mention", "fix it", {}, kind="issue", iid=5, discussion_id="d" * 40)
    return Thread(client, asked._replace(**request), {"id": OWN}, author, pipeline)


def ours(gitlab: GitLab, author: int = OWN, body: str = STARTED) -> int:
    note = gitlab.note(7, "issue", 5, author_id=author, body=body, discussion_id="d" * 40)
    return int(note["id"])


def bodies(gitlab: GitLab) -> list[str]:
    return [note["body"] for note in gitlab.notes.values() if note["author_id"] != ADA]


def test_the_trigger_function_s_reply_is_edited(gitlab: GitLab) -> None:
    ours(gitlab)
    found = thread(gitlab)
    found.find()
    found.update("Working.")
    found.say("Done.")
    (body,) = bodies(gitlab)
    assert body.splitlines() == [
        "Done.",
        "",
        f"<!-- gitlab-claude-version {VERSION} -->",
        "",
        "<!-- gitlab-claude-job pipeline=31 state=ended -->",
        f"<!-- gitlab-claude-trigger run={RUN} -->",
    ]


def test_while_claude_works_the_jobs_beside_it_are_named_and_asked_for_once(
    gitlab: GitLab,
) -> None:
    gitlab.member(7, OWN, 40)
    gitlab.trigger_token("glptt-1", 7, OWN)
    number = ours(gitlab)
    client = Client(f"{gitlab.url}/api/v4", "7", "glpat-own")
    pipeline = client.post("trigger/pipeline", {"token": "glptt-1", "ref": "main"})["id"]
    gitlab.job(pipeline, "de_ploy")
    found = thread(gitlab, pipeline=str(pipeline))
    found.find()
    for _ in range(2):
        found.update("Working.")
        body = gitlab.notes[number]["body"]
        assert body.startswith("Working.\n\nIn the same pipeline: de\\_ploy.\n\n<!--")
    assert len([call for call in gitlab.calls if call.path.endswith("/jobs")]) == 1
    found.say("Done.")
    assert gitlab.notes[number]["body"].startswith("Done.\n\n<!--")


def test_it_is_found_among_the_newest_notes_where_no_discussion_is_known(gitlab: GitLab) -> None:
    ours(gitlab)
    thread(gitlab, discussion_id="").say("Done.")
    assert len(bodies(gitlab)) == 1


def test_a_reply_that_came_late_is_edited_all_the_same(gitlab: GitLab) -> None:
    found = thread(gitlab)
    found.find()
    found.update("Working.")
    assert bodies(gitlab) == []
    ours(gitlab)
    found.say("Done.")
    assert len(bodies(gitlab)) == 1


@pytest.mark.parametrize(
    ("author", "body"),
    [
        (ADA, of_run(RUN)),
        (OTHER, of_run(RUN)),
        (OWN, f"{of_run(RUN)} and more"),
        (OWN, of_run(RUN[:-1])),
        (OWN, of_run("cd" * 16)),
    ],
)
def test_a_note_that_only_looks_like_ours_is_left_alone(
    gitlab: GitLab, author: int, body: str
) -> None:
    number = ours(gitlab, author, body)
    thread(gitlab).say("Done.")
    assert gitlab.notes[number]["body"] == body
    written = [note["body"] for note in gitlab.notes.values()]
    assert len([text for text in written if text.startswith("Done.")]) == 1


def test_another_user_s_reply_is_answered_where_it_cannot_be_edited(gitlab: GitLab) -> None:
    ours(gitlab, OTHER)
    thread(gitlab, author="trigger").say("Done.")
    assert [text.partition("\n")[0] for text in bodies(gitlab)] == ["Claude is on it.", "Done."]


def test_a_discussion_that_is_gone_gets_a_note_as_internal_as_the_question(gitlab: GitLab) -> None:
    thread(gitlab, discussion_id="e" * 40, internal=True).say("Done.")
    (note,) = [note for note in gitlab.notes.values() if note["author_id"] == OWN]
    assert note["internal"]


def test_a_run_that_another_pipeline_worked_on_is_taken(gitlab: GitLab) -> None:
    thread(gitlab).say("Done.")
    again, same = thread(gitlab, pipeline="32"), thread(gitlab, pipeline="31")
    again.find()
    same.find()
    assert (again.taken_by, same.taken_by) == ("31", "")


def test_a_reply_is_taken_away_wherever_it_stands(gitlab: GitLab) -> None:
    ours(gitlab)
    for _ in range(2):
        thread(gitlab).withdraw()
    assert bodies(gitlab) == []
    ours(gitlab, OTHER)
    thread(gitlab, author="trigger").withdraw()  # GitLab refuses
    assert len(bodies(gitlab)) == 1


def test_while_the_job_works_its_mark_says_so(gitlab: GitLab) -> None:
    ours(gitlab)
    found = thread(gitlab)
    found.find()
    found.update("Working.")
    assert bodies(gitlab) == [
        f"Working.\n\n<!-- gitlab-claude-version {VERSION} -->\n\n<!-- gitlab-claude-job pipeline=31 state=working -->\n{of_run(RUN)}"
    ]


@pytest.mark.parametrize("pushed", ["", "a" * 40])
def test_what_a_run_cost_stands_in_front_of_its_last_marks(gitlab: GitLab, pushed: str) -> None:
    ours(gitlab)
    thread(gitlab).say("Done.", pushed, 0.42)
    [body] = bodies(gitlab)
    assert (cost(body, 31), pushed_by(body)) == (420_000, pushed)
    thread(gitlab).say("Done.", pushed, None)
    assert [cost(body, 31) for body in bodies(gitlab)] == [None]


@pytest.mark.parametrize("state", ["", " state=working", " state=ended"])
def test_a_mark_of_any_state_is_known(gitlab: GitLab, state: str) -> None:
    ours(gitlab, body=f"Words.\n\n<!-- gitlab-claude-job pipeline=31{state} -->\n{of_run(RUN)}")
    again, same = thread(gitlab, pipeline="32"), thread(gitlab, pipeline="31")
    again.find()
    same.find()
    assert (again.taken_by, same.taken_by) == ("31", "")


def test_a_mark_that_the_answer_shows_takes_nothing(gitlab: GitLab) -> None:
    shown = "```\n<!-- gitlab-claude-job pipeline=99 state=ended -->\n```"
    thread(gitlab).say(shown)
    same = thread(gitlab)
    same.find()
    assert same.taken_by == ""


def test_progress_that_cannot_be_shown_stops_nobody(gitlab: GitLab) -> None:
    ours(gitlab)
    found = thread(gitlab)
    found.find()
    gitlab.fault("PUT *", Fault.status(500))
    found.update("Working.")
    assert gitlab.pending_faults == []
    assert "Working." not in bodies(gitlab)[0]


def test_while_claude_works_its_to_do_list_shows() -> None:
    todos = [
        {"content": "Read @all", "status": "completed"},
        {"content": "/close", "status": "in_progress"},
        {"content": "c", "status": "?"},
    ]
    assert working("[job 9](u)", todos).splitlines() == [
        "Claude is at work: [job 9](u).",
        "",
        "- [x] Read all",
        "- [ ] ▶ close",
        "- [ ] c",
    ]
    assert "… and 5 more" in working("j", [{"content": "x", "status": "pending"}] * 25)


def test_the_last_word_says_what_it_took_and_what_was_denied() -> None:
    report = Report("Because.", 3, 0.1234, 75.2, {"Bash": 2}, "https://gitlab/mr/1")
    text = finished("[job 9](u)", report)
    assert "**Merge request: https://gitlab/mr/1**" in text
    assert text.endswith("3 turns · $0.12 · 1 min 15 s · not allowed: Bash (2) · [job 9](u)")


def test_a_branch_s_name_in_a_failure_calls_nobody() -> None:
    failure = Failure(Reason.PUSH_REJECTED, branch="a`@all`b", name="T")
    assert "`a`@\u200ball`b`" in failed("j", failure)


def test_names_in_the_to_do_list_stay_names() -> None:
    shown = working("j", [{"content": "Mend __init__ of <T>", "status": "pending"}])
    assert shown.endswith(r"- [ ] Mend \_\_init\_\_ of \<T\>")


def test_a_failure_says_cause_and_cure_and_keeps_the_answer() -> None:
    failure = Failure(Reason.MAX_TURNS, limit=40)
    assert failed("j", failure) == (
        "Claude could not finish. Claude stopped at the limit of 40 turns. Ask for less at once, "
        "or raise the limit: the comment's own, else the input max_turns.\n"
        "\n"
        "Job: j."
    )
    assert "/x" not in failed("j", failure, Report("/x", 1, 0, 1, {})).replace("\\/x", "")


def test_the_commands_that_ran_are_told_as_code_in_which_nothing_acts() -> None:
    ended = {"npm test": "✔", "echo `id`\n/close @ada <b>": "exit 1", "x" * 200: "timed out"}
    text = finished("j", Report("Done.", 1, 0.0, 1.0, {}, commands=ended))
    (line,) = [each for each in text.splitlines() if each.startswith("Commands: ")]
    assert line.startswith("Commands: `npm test` ✔, `echo 'id' /close @")
    assert f"`{'x' * 119}…` timed out." in line
    many = {f"make {number}": "✔" for number in range(12)}
    text = failed("j", Failure(Reason.CANCELED), Report("", 1, 0.0, 1.0, {}, commands=many))
    assert "`make 11` ✔, and 2 more." in text
    assert "`make 1`" not in text
