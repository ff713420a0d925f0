"""Test reports of a pipeline: the failed ones in bounds, masked, and what cannot be read."""

from collections.abc import Iterator

import pytest

from job import reports
from job.gitlab import GitLab as Client
from job.masking import Secrets
from tests.support.gitlab.faults import Fault
from tests.support.gitlab.records import Record
from tests.support.gitlab.server import GitLab

CASE = {"status": "failed", "name": "adds", "classname": "sums", "file": "a.py"}


class Reported:
    """A pipeline with reports, and a client that reads them."""

    def __init__(self, gitlab: GitLab) -> None:
        self.gitlab = gitlab
        gitlab.user(1, "claude")
        gitlab.project(7, "group/app")
        gitlab.member(7, 1, 30)
        gitlab.api_token("glpat-own", 1)
        self.pipeline = gitlab.pipeline(7, ref="a", sha="a" * 40, user_id=1)
        self.client = Client(f"{gitlab.url}/api/v4", "7", "glpat-own", pause=lambda _: 0)

    def read(self, *cases: Record, **suite: str) -> tuple[dict[str, object] | None, list[str]]:
        self.pipeline["suites"] = [{"name": "unit", "cases": cases, **suite}]
        return reports.tests(self.client, self.pipeline["id"], Secrets().strange)


@pytest.fixture
def reported() -> Iterator[Reported]:
    with GitLab() as gitlab:
        yield Reported(gitlab)


def test_what_failed_is_told_in_bounds_and_masked(reported: Reported) -> None:
    told, unread = reported.read(
        {**CASE, "system_output": "E" * 5000},
        {**CASE, "name": "fine", "status": "success"},
        {**CASE, "name": "typed", "status": "error", "system_output": {"message": "A_TOKEN=x1"}},
        suite_error="no XML",
    )
    assert told
    assert (told["count"], told["failed"], told["error"], unread) == (3, 1, 1, [])
    cases = told["cases"]
    assert isinstance(cases, list)
    error, adds, typed = cases
    assert error["system_output"] == "no XML"
    assert (adds["suite"], adds["name"], len(adds["system_output"])) == ("unit", "adds", 1000)
    assert "A_TOKEN=[MASKED]" in typed["system_output"]


def test_no_more_than_a_few_tests_are_told(reported: Reported) -> None:
    told, _ = reported.read(*[CASE] * 40)
    assert told
    assert (told["failed"], len(told["cases"])) == (40, 15)  # type: ignore[arg-type]


def test_the_whole_report_is_asked_for_only_where_something_failed(reported: Reported) -> None:
    told, _ = reported.read({**CASE, "status": "success"})
    assert told == {"count": 1, "success": 1, "failed": 0, "error": 0}
    assert len(reported.gitlab.calls) == 1


@pytest.mark.parametrize("call", ["test_report_summary", "test_report"])
@pytest.mark.parametrize(
    ("fault", "why"),
    [(Fault.status(403), "403"), (Fault.status(404), "404"), (Fault.broken_json(), "tests: ")],
)
def test_what_cannot_be_read_is_named(
    reported: Reported, call: str, fault: Fault, why: str
) -> None:
    reported.gitlab.fault(f"GET */{call}", fault)
    told, unread = reported.read(CASE)
    assert told is None
    assert why in unread[0]


def test_a_report_too_large_to_read_is_named(
    reported: Reported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "_LARGEST", 50)
    assert reported.read(CASE) == (None, ["tests: too large, or not as GitLab's API has them"])
