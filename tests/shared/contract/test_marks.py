"""The marks to the letter: replies that older versions wrote bear them too."""

import time

import pytest

from shared.contract import marks
from shared.contract.version import VERSION

RUN = "0123456789abcdef0123456789abcdef"
OF_RUN = f"<!-- gitlab-claude-trigger run={RUN} -->"
WORKING = "<!-- gitlab-claude-job pipeline=3 state=working -->"
ENDED = "<!-- gitlab-claude-job pipeline=3 state=ended -->"
COST = "<!-- gitlab-claude-cost 1.500000 -->"


def test_a_reply_is_known_by_its_run() -> None:
    assert marks.of_run(RUN) == OF_RUN
    assert marks.TRIGGER == "<!-- gitlab-claude-trigger"


def test_a_job_s_note_is_known_by_its_pipeline_and_state() -> None:
    assert marks.of_job(3, marks.WORKING) == WORKING
    assert marks.of_job("3", marks.ENDED) == ENDED


@pytest.mark.parametrize("push", ["", f"{marks.of_push('a' * 40)}\n"], ids=["", "pushed"])
def test_a_repair_is_known_by_the_mark_before_the_others(push: str) -> None:
    repair = marks.of_repair(2)
    assert repair == "<!-- gitlab-claude-repair 2 -->"
    whole = f"Done.\n\n{repair}\n\n{push}{ENDED}\n{OF_RUN}"
    assert marks.repair(whole) == 2
    assert marks.pushed(whole) == ("a" * 40 if push else "")
    paid = f"Done.\n\n{repair}\n\n{marks.of_cost(1.5)}\n\n{push}{ENDED}\n{OF_RUN}"
    assert (marks.repair(paid), marks.cost(paid, 3)) == (2, 1_500_000)
    for other in (f"{whole}\n\n{OF_RUN}", f"{repair}\n\nDone.\n\n{ENDED}\n{OF_RUN}", ""):
        assert marks.repair(other) == 0


@pytest.mark.parametrize(
    ("mark", "job", "answer", "pipeline"),
    [
        ("", False, False, ""),
        (WORKING, True, False, "3"),
        (ENDED, True, True, "3"),
        ("<!-- gitlab-claude-job pipeline=3 -->", True, True, "3"),
        ("<!-- gitlab-claude-job pipeline=3 state=a-b -->", False, False, ""),
        ("<!-- gitlab-claude-job pipeline=x -->", False, False, ""),
        ("<!-- gitlab-claude-job pipeline=3 state=ended", False, False, ""),
    ],
    ids=["none", "working", "ended", "of an old version", "odd state", "no number", "open"],
)
def test_what_a_job_wrote_is_known_by_its_mark(
    mark: str, *, job: bool, answer: bool, pipeline: str
) -> None:
    body = f"Some text.\n\n{mark}\n{OF_RUN}"
    assert marks.has_job(body) is job
    assert marks.has_answer(body) is answer
    assert marks.pipeline_of(body) == pipeline


def test_a_job_s_last_mark_counts() -> None:
    other = "<!-- gitlab-claude-job pipeline=1 state={} -->"
    assert marks.has_answer(f"{other.format('working')} {ENDED}")
    assert not marks.has_answer(f"{other.format('ended')} {WORKING}")
    assert marks.pipeline_of(f"{other.format('ended')} {WORKING}") == "3"


def test_a_finding_is_told_by_the_mark_at_its_end() -> None:
    mark = "<!-- gitlab-claude-trigger finding=5f3a-0b1c-2 -->"
    assert marks.of_finding("5f3a", "0b1c", 2) == mark
    assert marks.finding(f"Text.\n\n{mark}") == ("5f3a", "0b1c", 2)
    assert marks.finding(f"{mark}\n\nText.") is None
    assert marks.has_answer(f"Text.\n\n{mark}")  # the next run is to know what was found


def test_the_version_that_wrote_a_reply_stands_where_no_other_version_looks() -> None:
    body = marks.signed("Some text.", RUN)
    assert body == f"Some text.\n\n<!-- gitlab-claude-version {VERSION} -->\n\n{OF_RUN}"
    push = marks.of_push("a" * 40)
    worked = body.replace(OF_RUN, f"{push}\n{ENDED}\n{OF_RUN}")
    assert marks.pushed(worked) == "a" * 40
    assert (marks.has_answer(worked), marks.pipeline_of(worked)) == (True, "3")


COMMIT = "5f3a" * 10
OF_COMMIT = f"<!-- gitlab-claude-pushed {COMMIT} -->"


def test_our_part_of_a_text_that_people_edit_is_between_marks() -> None:
    assert marks.of_part("5f3a") == "<!-- gitlab-claude-trigger part=5f3a -->"
    assert marks.OURS == "<!-- gitlab-claude-trigger -->"


@pytest.mark.parametrize("last", [WORKING, ENDED])
def test_what_a_job_has_pushed_is_told_by_the_marks_at_the_end(last: str) -> None:
    assert marks.of_push(COMMIT) == OF_COMMIT
    assert marks.pushed(f"Done.\n\n{OF_COMMIT}\n{last}\n{OF_RUN}\n") == COMMIT


@pytest.mark.parametrize(
    "body",
    [
        "",
        f"Done.\n{OF_COMMIT}\n{ENDED}\n{OF_RUN}",
        f"Done.\n\n{OF_COMMIT}\n{OF_RUN}",
        f"Done.\n\n{OF_COMMIT}\n{ENDED}\n{OF_RUN}\n\nAnd more.",
        f"Done.\n\n<!-- gitlab-claude-pushed {COMMIT[1:]} -->\n{ENDED}\n{OF_RUN}",
        f"Done.\n\n<!-- gitlab-claude-pushed {'a' * 65} -->\n{ENDED}\n{OF_RUN}",
    ],
)
def test_no_other_place_tells_of_a_push(body: str) -> None:
    assert marks.pushed(body) == ""


@pytest.mark.parametrize("push", ["", f"{OF_COMMIT}\n"])
def test_what_a_job_has_cost_is_told_by_the_marks_at_the_end(push: str) -> None:
    assert marks.of_cost(12.3456789) == "<!-- gitlab-claude-cost 12.345679 -->"
    body = f"Done.\n\n{marks.of_cost(12.3)}\n\n{push}{ENDED}\n{OF_RUN}\n"
    assert marks.cost(body, 3) == 12_300_000
    assert marks.pushed(body) == (COMMIT if push else "")
    assert marks.cost(body, 4) is None


@pytest.mark.parametrize(
    "body",
    [
        "",
        f"Done.\n\n{ENDED}\n{OF_RUN}",
        f"Done.\n{COST}\n\n{ENDED}\n{OF_RUN}",
        f"Done.\n\n{COST}\n{ENDED}\n{OF_RUN}",
        f"Done.\n\n{COST}\n\n{WORKING}\n{OF_RUN}",
        f"Done.\n\n{COST}\n\n{ENDED}\n{OF_RUN}\n\nAnd more.",
        f"Done.\n\n{COST.replace('1.', '-1.')}\n\n{ENDED}\n{OF_RUN}",
        f"Done.\n\n{COST.replace('1.', '1234567890.')}\n\n{ENDED}\n{OF_RUN}",
    ],
)
def test_no_other_place_tells_of_a_cost(body: str) -> None:
    assert marks.cost(body, 3) is None


def test_a_reply_full_of_blanks_is_read_at_once() -> None:
    began = time.process_time()
    for blanks in (" " * 500_000, "\n" * 500_000, f"\n\n{COST}\n\n{ENDED}\n" * 8000):
        body = f"Done.\n\n{COST}\n\n{ENDED}\n{blanks}x\n\n"
        assert marks.cost(f"{body}{OF_RUN}", 3) is None
    assert time.process_time() - began < 0.5


def test_whose_reply_it_is_is_told_by_the_mark_at_its_end() -> None:
    assert marks.run_of(f"Done.\n{OF_RUN}\n") == RUN
    assert marks.run_of(f"{OF_RUN}\nDone.") == marks.run_of("") == ""
