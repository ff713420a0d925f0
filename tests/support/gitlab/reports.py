"""What GitLab has to tell of a pipeline that failed: logs, test reports, bridges, its merge
request, as lib/api/ci/{jobs,pipelines}.rb answer it.
"""

import re
from typing import Any

from . import ci_entities
from .pipelines import pipeline_of
from .records import DEVELOPER, REPORTER, Json, Record, User
from .routing import Answer, Request, no_record, not_found, route
from .state import State


def head_pipeline(state: State, merge_request: Record) -> Record | None:
    """The newest pipeline of a merge request's branch or of itself, of whichever commit:
    `MergeRequest#head_pipeline`.
    """
    project, iid = merge_request["source_project_id"], merge_request["iid"]
    refs = (f"refs/merge-requests/{iid}/{kind}" for kind in ("head", "merge", "train"))
    ours = {merge_request["source_branch"], *refs}
    found = (state.pipelines[n] for n in reversed(state.ids("pipelines", project)))
    return next((pipeline for pipeline in found if pipeline["ref"] in ours), None)


@route("GET", "projects/:id/jobs/:job_id/trace")
def trace(state: State, request: Request) -> Answer:
    """The whole log as text: no part of it can be asked for."""
    project = request.project()
    job = state.jobs.get(request.id("job_id"))
    if job is None or job["project_id"] != project.id:
        raise not_found()
    request.require(project, REPORTER)
    return Answer(200, job["trace"])


@route("GET", "projects/:id/jobs/:job_id/artifacts/:folder/:name")
def artifact(state: State, request: Request) -> Answer:
    """One file out of a job's archive, which GitLab's Workhorse takes out: nothing leads elsewhere.

    `archive` of a job are its files by path, {} once they have expired; `access: developer` is what
    our job says. lib/api/ci/job_artifacts.rb.
    """
    project = request.project()
    job = state.jobs.get(request.id("job_id"))
    if job is None or job["project_id"] != project.id:
        raise not_found()
    request.require(project, DEVELOPER)
    text = job["archive"].get(f"{request.values['folder']}/{request.values['name']}")
    if text is None:
        raise not_found()
    return Answer(200, text)


@route("GET", "projects/:id/pipelines/:pipeline_id/bridges")
def bridges(state: State, request: Request) -> Answer:
    """The jobs that start other pipelines."""
    _, pipeline = pipeline_of(state, request)
    scope = str(request.params.get("scope", ""))
    found = [each for each in pipeline["bridges"] if each["status"] == scope or not scope]
    page, headers = request.page(found)
    return Answer(200, [_bridge(state, each, pipeline) for each in page], headers)


def _bridge(state: State, record: Record, pipeline: Record) -> Json:
    told = ci_entities.job(state, record, pipeline)
    for name in ("artifacts", "runner", "archived", "tag_list"):
        del told[name]
    child = state.pipelines[record["downstream"]] if record["downstream"] else None
    below = ci_entities.pipeline_basic(state, child) if child else None
    return {**told, "downstream_pipeline": below}


@route("GET", "projects/:id/pipelines/:pipeline_id/test_report")
def test_report(state: State, request: Request) -> Answer:
    """All cases; `suites` of a pipeline are as tests give them: name, cases, perhaps an error."""
    _, pipeline = pipeline_of(state, request)
    suites = [{**_counted(each), "test_cases": each["cases"]} for each in pipeline["suites"]]
    counts = ("total_count", "success_count", "failed_count", "skipped_count", "error_count")
    whole = {name: sum(suite[name] for suite in suites) for name in counts}
    return Answer(200, {"total_time": 0, **whole, "test_suites": suites})


@route("GET", "projects/:id/pipelines/:pipeline_id/test_report_summary")
def test_report_summary(state: State, request: Request) -> Answer:
    """Counts only."""
    _, pipeline = pipeline_of(state, request)
    suites = [{**_counted(each), "build_ids": []} for each in pipeline["suites"]]
    names = ("success", "failed", "skipped", "error")
    counts = {name: sum(suite[f"{name}_count"] for suite in suites) for name in names}
    total = {"time": 0, "count": sum(counts.values()), **counts, "suite_error": None}
    return Answer(200, {"total": total, "test_suites": suites})


_QUALITY = re.compile(
    r"query\(\$path: ID!, \$iid: ID!\) \{ project\(fullPath: \$path\) \{ pipeline\(iid: \$iid\) \{ "
    r"codeQualityReports\(first: (\d+)\) \{ count nodes \{ ([\w ]+) \} \} \} \} \}"
)
_OF_FINDING = {"description", "fingerprint", "severity", "path", "line", "webUrl"}


def graphql(state: State, user: User | None, asked: Json) -> Json:
    """Answer the one query that is asked of GraphQL, as ee/app/graphql/ee/types/ci/pipeline_type.rb
    and app/graphql/types/ci/code_quality_degradation_type.rb do; `premium` is GitLab's edition.
    """
    query, variables = " ".join(str(asked.get("query")).split()), asked.get("variables") or {}
    found = _QUALITY.fullmatch(query)
    fields = found[2].split() if found else []
    if not found or not state.premium or not _OF_FINDING.issuperset(fields):
        message = "Field 'codeQualityReports' doesn't exist on type 'Pipeline'"
        return {"errors": [{"message": message}]}
    project = state.find_project(variables["path"])
    if project is None or user is None or not state.can_see(user, project):
        return {"data": {"project": None}}
    ours = (state.pipelines[n] for n in state.ids("pipelines", project.id))
    pipeline = next((each for each in ours if str(each["iid"]) == variables["iid"]), None)
    if pipeline is None or state.level(project.id, user.id) < REPORTER:
        return {"data": {"project": {"pipeline": None}}}
    nodes = [{name: each.get(name) for name in fields} for each in pipeline["quality"]]
    shown = {"count": len(nodes), "nodes": nodes[: int(found[1])]} if nodes else None
    return {"data": {"project": {"pipeline": {"codeQualityReports": shown}}}}


def _counted(suite: Record) -> dict[str, Any]:
    statuses = [case["status"] for case in suite["cases"]]
    names = ("success", "failed", "skipped", "error")
    counts = {f"{name}_count": statuses.count(name) for name in names}
    told = {"name": suite["name"], "total_time": 0, "total_count": len(statuses), **counts}
    return {**told, "suite_error": suite.get("suite_error")}


@route("GET", "projects/:id/repository/commits/:sha")
def show_commit(state: State, request: Request) -> Answer:
    """What is asked of a commit: its parents, which a test has told."""
    known = state.commits.get((request.project().id, request.values["sha"]))
    if known is None:
        raise no_record()
    return Answer(200, {"id": request.values["sha"], "parent_ids": known.get("parents", [])})
