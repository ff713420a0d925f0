"""Reports that a pipeline's jobs handed to GitLab: the tests that failed, and code quality."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from job import prompt
from job.gitlab import GitLab, GitLabError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_MOST, _LONGEST, _LARGEST = 15, 1_000, 20_000_000  # tests, characters of one's text, bytes
_WORST, _SMALL = 50, 300  # findings of code quality, characters of one's text
_QUALITY = """query($path: ID!, $iid: ID!) { project(fullPath: $path) { pipeline(iid: $iid) {
  codeQualityReports(first: %d) { count nodes { severity description path line } } } } }"""
_TEXTS = ("name", "classname", "file", "status", "system_output", "stack_trace")


def tests(
    gitlab: GitLab, pipeline: int, masked: Callable[[str], str]
) -> tuple[dict[str, Any] | None, list[str]]:
    """Return how many tests there were and what the failed ones say; and what could not be read.

    https://docs.gitlab.com/api/pipelines/#get-a-test-report-summary-for-a-pipeline; the whole
    report, which may be slow, is asked for where that names failures. `masked` takes secrets out.
    """
    try:
        total = gitlab.get(f"pipelines/{pipeline}/test_report_summary")["total"]
        told = {name: total.get(name) for name in ("count", "success", "failed", "error")}
        if total.get("failed") or total.get("error"):
            content = gitlab.download(f"pipelines/{pipeline}/test_report", _LARGEST)
            cases = list(_failed(json.loads(content)))[:_MOST]
            told["cases"] = [_shown(suite, case, masked) for suite, case in cases]
    except GitLabError as error:
        return None, [f"tests: HTTP {error.status}" if error.status else "tests: no answer"]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None, ["tests: too large, or not as GitLab's API has them"]
    return told, []


def quality(
    gitlab: GitLab, project: str, iid: object, masked: Callable[[str], str]
) -> dict[str, Any] | None:
    """Return how much the code quality reports found and the worst of it; None where there is none.

    The pipeline is named by the project's path and its number there. Only GraphQL has them, in
    GitLab Premium and Ultimate, sorted by severity:
    https://docs.gitlab.com/api/graphql/reference/#pipeline. Elsewhere, and where the token may not
    see them, there are none.
    """
    try:
        answer = gitlab.graphql(_QUALITY % _WORST, {"path": project, "iid": str(iid)}, _LARGEST)
        found = answer["data"]["project"]["pipeline"]["codeQualityReports"]
        nodes = [_finding(each, masked) for each in found["nodes"][:_WORST]]
        return {"count": int(found["count"]), "findings": nodes} if nodes else None
    except (GitLabError, KeyError, TypeError, ValueError, AttributeError, RecursionError):
        return None


def _finding(node: Mapping[str, Any], masked: Callable[[str], str]) -> dict[str, Any]:
    texts = {name: masked(str(node.get(name)))[:_SMALL] for name in ("severity", "path")}
    line = node.get("line")
    described = masked(str(node.get("description")))[:_SMALL]
    return {**texts, "line": line if type(line) is int else None, "description": described}


def _failed(report: Mapping[str, Any]) -> Iterator[tuple[object, Mapping[str, Any]]]:
    for suite in report["test_suites"]:
        if suite.get("suite_error"):
            yield suite.get("name"), {"status": "error", "system_output": suite["suite_error"]}
        for case in suite.get("test_cases") or []:
            if case.get("status") in ("failed", "error"):
                yield suite.get("name"), case


def _shown(suite: object, case: Mapping[str, Any], masked: Callable[[str], str]) -> dict[str, str]:
    told = {"suite": suite, **{name: case.get(name) for name in _TEXTS}}
    texts = {
        name: value if isinstance(value, str) else prompt.as_data(value)
        for name, value in told.items()
        if value
    }
    return {name: masked(text)[:_LONGEST] for name, text in texts.items()}
