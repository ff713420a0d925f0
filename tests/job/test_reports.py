"""Test reports of a pipeline: the failed ones in bounds, masked, and what cannot be read."""

from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

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

    def quality(self, *found: Record, premium: bool = True) -> dict[str, object] | None:
        self.gitlab.premium, self.pipeline["quality"] = premium, list(found)
        return reports.quality(self.client, "group/app", self.pipeline["iid"], Secrets().strange)


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


SMELL = {"severity": "MAJOR", "path": "a.rb", "line": 5, "description": "12 arguments (exceeds 4)"}


def test_code_quality_is_told_in_bounds_and_masked(reported: Reported) -> None:
    worst = {"severity": "BLOCKER", "path": "b", "line": None, "description": "A_TOKEN=x1 " * 100}
    told = reported.quality(worst, *[SMELL] * 70)
    assert told
    assert told["count"] == 71
    findings = told["findings"]
    assert isinstance(findings, list)
    first, second, *_ = findings
    assert len(findings) == 50
    assert second == SMELL
    assert (first["line"], len(first["description"])) == (None, 300)
    assert first["description"].startswith("A_TOKEN=[MASKED] ")


def test_where_there_is_no_code_quality_nothing_is_said(reported: Reported) -> None:
    assert reported.quality() is None
    assert reported.quality(SMELL, premium=False) is None
    (call, _) = reported.gitlab.calls
    assert (call.method, call.path, call.status) == ("POST", "/api/graphql", 200)
    reported.pipeline["iid"] = 4711
    wrong = reports.quality(reported.client, "group/app", 4712, str)
    assert (wrong, reports.quality(reported.client, "group/other", 4711, str)) == (None, None)


@pytest.mark.parametrize(
    "fault", [Fault.status(401), Fault.status(404), Fault.broken_json(), Fault.redirect("/x")]
)
def test_code_quality_that_is_refused_is_as_none(reported: Reported, fault: Fault) -> None:
    reported.gitlab.fault("POST /api/graphql", fault)
    assert reported.quality(SMELL) is None
    assert reported.gitlab.pending_faults == []


def test_code_quality_of_another_form_is_as_none(reported: Reported) -> None:
    assert reported.quality({**SMELL, "description": {"a": 1}, "line": "9"}) == {
        "count": 1,
        "findings": [{**SMELL, "description": "{'a': 1}", "line": None}],
    }
    more = {"count": 60, "nodes": [SMELL] * 60}
    data = {"project": {"pipeline": {"codeQualityReports": more}}}
    client = Mock(graphql=Mock(return_value={"data": data}))
    told = reports.quality(client, "p", 1, str)
    assert told
    assert len(told["findings"]) == 50
    answers: tuple[Any, ...] = (
        [],
        {"data": []},
        {"data": {"project": {"pipeline": {"codeQualityReports": "x"}}}},
    )
    for answer in answers:
        client = Mock(graphql=Mock(return_value=answer))
        assert reports.quality(client, "p", 1, str) is None
