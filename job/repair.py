"""What failed in the pipeline of a merge request: read by the job, for Claude to repair.

Logs are strangers' text, and pipeline variables are for everybody to see: so the job asks GitLab
with its own token, before Claude starts, and hands it on as data. What is not the code's fault is
said without Claude.
"""

from __future__ import annotations

import re
import string
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from job import branch, merge_request, messages, reports, traces
from job.failures import Failure, Reason
from job.gitlab import GitLab, GitLabError
from shared.contract.ai_flow import MERGE_REQUEST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from job.branch import Context
    from job.request import Request

MOST_JOBS, LARGEST, LARGEST_LOG = 10, 32_000, 12_000  # logs, and characters of all and of one
_LOG_READ, _LONGEST_LOG = 131_072, 200_000_000  # bytes: of its end, and beyond which it has none
_DEEPEST, _MOST_CHILDREN = 2, 5  # child pipelines: GitLab allows two levels
_LIVE = (
    "created", "waiting_for_resource", "preparing", "waiting_for_callback", "pending", "running",
    "scheduled", "canceling",
)  # fmt: skip
# Why a job can fail that no change of the code mends: app/models/concerns/enums/ci/commit_status.rb
# in GitLab. https://docs.gitlab.com/ci/yaml/#retrywhen explains most.
_NOT_THE_CODE = (
    "api_failure", "stuck_or_timeout_failure", "runner_system_failure", "runner_unsupported",
    "stale_schedule", "archived_failure", "scheduler_failure", "data_integrity_failure",
    "user_blocked", "project_deleted", "ci_quota_exceeded", "no_matching_runner",
    "builds_disabled", "environment_creation_failure", "deployment_rejected",
    "failed_outdated_deployment_job", "forward_deployment_failure",
    "stuck_pending_with_matching_runners", "stuck_pending_no_matching_runners",
    "no_updates_running", "no_updates_canceling", "runner_external_dependency_failure",
    "runner_interrupted", "protected_environment_failure", "insufficient_bridge_permissions",
    "insufficient_upstream_permissions", "secrets_provider_not_found", "ip_restriction_failure",
    "reached_downstream_pipeline_trigger_rate_limit", "duo_workflow_not_allowed",
    "job_router_failure", "job_token_expired", "id_token_burned_project_path",
)  # fmt: skip
# A job with debug logging prints all its variables, and shows that to Developers only:
# https://docs.gitlab.com/ci/variables/variables_troubleshooting/#enable-debug-logging
_DEBUG = re.compile(rb"(?:export |\$)['\"$]*CI_JOB_TOKEN ?=")

# "fix the pipeline" and the like, with nothing that says how: what counts as a repair.
_VERB = "fix|repair|mend|heal|unbreak|repariere|behebe|répare|corrige|arregla|repara|исправь|почини"
_RED = "failing|failed|broken|red|rote|fehlgeschlagene|cassée?|rota|roto|упавший"
_THING = (
    "(?:ci(?:/cd)?|gitlab|merge request|mr)?[ -]?(?:pipelines?|ci(?:/cd)?|builds?|jobs?|checks?)"
)
_SMALL = "the|this|our|my|that|these|those|all|die|le|la|el"
_WHERE = r"(?: (?:in|on|of|for) (?:this|the) (?:merge request|mr|branch))?"
_ASKS = rf"(?:{_VERB})(?: (?:{_SMALL}))?(?: (?:{_RED}))*"
_PIPELINE = rf"{_THING}|пайплайн|конвейер"
_REPAIR = re.compile(
    rf"(?:(?:please|hey|could you|can you|would you|bitte),? )*(?:"
    rf"{_ASKS} (?:{_PIPELINE}){_WHERE}"
    rf"|(?:{_VERB})(?: (?:{_SMALL}))? (?:{_RED}) tests?{_WHERE}"
    rf"|(?:make|get|turn)(?: (?:{_SMALL}))? (?:{_PIPELINE}) (?:green|pass|work)"
    r"|请?(?:修复|修好|修)(?:一下)?(?:这个|失败的)*(?:流水线|管道|构建|作业)"
    r"|パイプラインを?(?:修正|直)して(?:ください)?"
    r")(?: again)?(?:,? (?:please|now|bitte|thanks|thank you))*",
    re.IGNORECASE,
)
_LONGEST_ASK = 200  # characters
_END = string.punctuation + " \u3002\uff01\uff1f"
# Where one of these words stands, what failed is worth knowing, whatever is asked.
_ABOUT = re.compile(
    rf"\bCI(?:/CD)?\b|(?i:\bpipelines?\b|\b(?:{_RED}) (?:builds?|jobs?|tests?|checks?)\b"
    r"|\b(?:builds?|jobs?|tests?|checks?) (?:(?:is|are|has|have|do(?:es)?|did) )?"
    r"(?:fail|red\b|broken)"
    r"|流水线|パイプライン|파이프라인|пайплайн|конвейер)"
)


class Found(NamedTuple):
    """What to tell Claude of the pipeline, nothing of what nobody asked about.

    `number` says which try to repair it this is, or 0.
    """

    told: Mapping[str, Any] = {}
    number: int = 0
    remarks: tuple[str, ...] = ()


def asked(request: Request) -> bool:
    """Tell whether a request is for a repair of its merge request's pipeline, and nothing else.

    One that says how in words of its own is a request like any other.
    """
    words = " ".join(request.input.split()).rstrip(_END)
    short = request.kind == MERGE_REQUEST and len(words) <= _LONGEST_ASK
    return short and bool(_REPAIR.fullmatch(words))


def find(request: Request, context: Context) -> Found:
    """Return what failed in the latest pipeline of the merge request, if that is asked about.

    For a repair, raise Failure where none may be tried any more, or where nothing failed that a
    change of the code could mend.
    """
    strict = asked(request)
    about = request.kind == MERGE_REQUEST and _ABOUT.search(" ".join(request.input.split()))
    if request.read_only or not (strict or about):  # a fork's pipelines are not this project's
        return Found()
    try:
        number = _number(context, request) if strict else 0
        return _Reader(request, context, strict=strict).read()._replace(number=number)
    except GitLabError as error:
        context.log.line(str(error))
        if strict:
            raise Failure(Reason.PIPELINE_UNREADABLE, status=error.status) from None
        return Found({"unread": str(error.status)})


def _number(context: Context, request: Request) -> int:
    most = context.inputs.repair_tries
    before = merge_request.repairs(context.gitlab, request.target, branch.writer(context))
    if before >= most:
        raise Failure(Reason.REPAIRS_SPENT, most=most)
    return before + 1


class _Reader:
    """One merge request's latest pipeline, as GitLab shows it to the job's token."""

    def __init__(self, request: Request, context: Context, *, strict: bool) -> None:
        self._request, self._context, self._strict = request, context, strict
        self._gitlab: GitLab = context.gitlab
        self._masked: Callable[[str], str] = context.log.secrets.strange
        self._room, self._logs = LARGEST, MOST_JOBS
        self._unread: list[str] = []
        self._shown = True

    def read(self) -> Found:
        """Return what is known of the pipeline; raise Failure where a repair has nothing to do."""
        project = self._context.environment["CI_PROJECT_ID"]
        found = merge_request.current(self._gitlab, self._request.iid, project)
        pipeline, head = found.get("head_pipeline"), str(found.get("sha"))
        if not isinstance(pipeline, dict):
            return self._nothing(Reason.PIPELINE_MISSING, commit=head[:8])
        name, status = int(pipeline["id"]), str(pipeline.get("status"))
        if not self._is_of(pipeline, head):
            return self._nothing(Reason.PIPELINE_OF_BEFORE, pipeline=name, commit=head[:8])
        own = self._context.environment.get("CI_PIPELINE_ID") == str(name)
        if status in _LIVE and self._strict and not own:
            return self._nothing(Reason.PIPELINE_RUNS, pipeline=name)
        jobs = list(self._failed(name))
        wrong = self._masked(str(pipeline.get("yaml_errors") or ""))[:LARGEST_LOG]
        if not jobs and not wrong:
            return self._nothing(Reason.NOTHING_FAILED, pipeline=name, status=status)
        counted = [job for job in jobs if not job.get("allow_failure")] or jobs
        why = sorted({str(job.get("failure_reason")) for job in counted})
        if self._strict and not wrong and all(reason in _NOT_THE_CODE for reason in why):
            return self._nothing(Reason.NOT_THE_CODE, pipeline=name, reasons=", ".join(why))
        return self._told(pipeline, jobs, wrong)

    def _nothing(self, reason: Reason, **values: object) -> Found:
        """Say why there is nothing to repair: to the person, or else to Claude."""
        if self._strict:
            raise Failure(reason, **values)
        return Found({"note": reason.sentence.format(**values)})

    def _is_of(self, pipeline: Mapping[str, Any], head: str) -> bool:
        """Tell whether a pipeline is that of the merge request's head.

        One of merged results has a commit of GitLab's, whose parent it is:
        https://docs.gitlab.com/ci/pipelines/merged_results_pipelines/
        """
        commit, ref = str(pipeline.get("sha")), str(pipeline.get("ref"))
        if re.fullmatch(r"refs/merge-requests/[0-9]+/train", ref):
            return True  # a push takes the merge request off the train; its commit may be rebased
        if commit == head or not re.fullmatch(r"refs/merge-requests/[0-9]+/merge", ref):
            return commit == head
        made = self._gitlab.get(f"repository/commits/{commit}")
        return head in (made or {}).get("parent_ids", [])

    def _failed(self, pipeline: int, depth: int = 0) -> Iterator[Mapping[str, Any]]:
        """Yield a pipeline's failed jobs, and those of the child pipelines that failed with it.

        https://docs.gitlab.com/api/jobs/#list-all-jobs-by-pipeline leaves both retried jobs and
        bridges out.
        """
        for job in self._gitlab.pages(f"pipelines/{pipeline}/jobs", 5, scope="failed"):
            if isinstance(job, dict) and job.get("status") == "failed":
                yield job
        if depth == _DEEPEST:
            return
        for bridge in self._bridges(pipeline)[:_MOST_CHILDREN]:
            child = bridge.get("downstream_pipeline") or {}
            ours = str(child.get("project_id")) == self._context.environment["CI_PROJECT_ID"]
            inner: list[Mapping[str, Any]] = []
            try:
                inner += self._failed(int(child["id"]), depth + 1) if ours else []
            except GitLabError as error:
                self._unread.append(f"child pipeline: HTTP {error.status}")
            yield from inner or [bridge]

    def _bridges(self, pipeline: int) -> list[dict[str, Any]]:
        bridges: list[dict[str, Any]] = []
        try:
            listed = self._gitlab.pages(f"pipelines/{pipeline}/bridges", 1, scope="failed")
            bridges += (each for each in listed if isinstance(each, dict))
        except GitLabError as error:
            self._unread.append(f"bridges: HTTP {error.status}")
        return [each for each in bridges if each.get("status") == "failed"]

    def _told(
        self, pipeline: Mapping[str, Any], jobs: list[Mapping[str, Any]], wrong: str
    ) -> Found:
        self._shown = self._logs_may_be_told()
        jobs.sort(key=lambda job: bool(job.get("allow_failure")))
        told: dict[str, Any] = {
            "id": pipeline["id"],
            "status": pipeline.get("status"),
            "commit": pipeline.get("sha"),
            "web_url": pipeline.get("web_url"),
            "failed_jobs": [self._job(job) for job in jobs[:100]],
        }
        if wrong:
            told["configuration_errors"] = wrong
        if self._shown:
            told["tests"], unread = reports.tests(self._gitlab, pipeline["id"], self._masked)
            self._unread += unread
            told.update(self._quality(pipeline))
        if self._unread:
            told["unread"] = self._unread
        return Found(told, remarks=() if self._shown else (messages.REMARK_NO_LOGS,))

    def _quality(self, pipeline: Mapping[str, Any]) -> dict[str, Any]:
        environment = self._context.environment
        if str(pipeline.get("project_id")) != environment["CI_PROJECT_ID"]:
            return {}  # a fork's
        path = environment.get("CI_PROJECT_PATH", "")
        found = reports.quality(self._gitlab, path, pipeline.get("iid"), self._masked)
        return {"code_quality": found} if found else {}

    def _logs_may_be_told(self) -> bool:
        """Tell whether who reads the reply may read the logs that Claude quotes there.

        https://docs.gitlab.com/ci/pipelines/settings/#change-which-users-can-view-your-pipelines
        """
        audience = self._context.audience
        if audience.internal or audience.private:
            return True
        with suppress(GitLabError):
            project = self._gitlab.project()
            everybody = project.get("builds_access_level") in (None, "enabled", "public")
            return everybody and project.get("public_jobs") is True
        return False

    def _job(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """Return a failed job as it is told, with the end of its log as far as there is room."""
        names = ("id", "name", "stage", "failure_reason", "allow_failure", "web_url")
        told = {name: _short(job.get(name)) for name in names}
        if "downstream_pipeline" in job:
            return {**told, "downstream_pipeline": True}
        if not self._shown:
            return told
        self._logs -= 1
        room = min(self._room, LARGEST_LOG)
        if self._logs < 0 or room <= 0:
            return {**told, "log_unread": "too many logs"}
        debug: list[object] = []
        try:
            path = f"jobs/{int(job['id'])}/trace"
            data, whole = self._gitlab.end_of(
                path, _LOG_READ, _LONGEST_LOG, lambda part: debug.append(_DEBUG.search(part))
            )
        except GitLabError as error:
            return {**told, "log_unread": f"HTTP {error.status}" if error.status else "no answer"}
        if any(debug):
            return {**told, "log_unread": "a debug log: it holds all variables"}
        text = traces.tail(data, self._masked, room, whole=whole)
        self._room -= len(text)
        return {**told, "log_end": text}


def _short(value: object) -> object:
    return value[:500] if isinstance(value, str) else value
