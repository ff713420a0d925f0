"""A pipeline that failed: who asks for its repair, what is told of it, and what is said without."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from job import repair
from job.audience import Audience
from job.branch import Context
from job.failures import Failure, Reason
from job.gitlab import GitLab as Client
from job.inputs import Inputs
from job.job_log import Log
from job.repair import MOST_JOBS, Found, asked, find
from job.request import Request
from shared.contract.marks import ENDED, of_job, of_repair, of_run
from tests.support.gitlab.faults import Fault
from tests.support.gitlab.records import Record
from tests.support.gitlab.server import GitLab

BOT, ADA, PROJECT, IID = 1, 42, 7, 3
PRIVATE = Audience(private=True)
SMELL = {"severity": "MAJOR", "path": "a.rb", "line": 5, "description": "12 arguments (exceeds 4)"}
REQUEST = Request("r", "mention", "fix the pipeline", {}, kind="merge_request", iid=IID)


class Broken:
    """A merge request whose pipeline has failed; `log` of a job that the tests run in."""

    def __init__(self, gitlab: GitLab) -> None:
        self.gitlab = gitlab
        gitlab.user(BOT, "claude")
        gitlab.user(ADA, "ada")
        gitlab.project(PROJECT, "group/app", visibility="private")
        gitlab.member(PROJECT, BOT, 30)
        gitlab.api_token("glpat-own", BOT)
        self.merge_request = gitlab.merge_request(PROJECT, IID, source_branch="feature")
        self.pipeline = self.made()
        self.lines: list[str] = []

    def made(self, sha: str = "", status: str = "failed", **fields: Any) -> Record:
        head = sha or self.merge_request["sha"]
        made = self.gitlab.pipeline(PROJECT, ref="feature", sha=head, user_id=ADA, source="push")
        made |= {"status": status, **fields}
        return made

    def job(self, name: str = "test", trace: str = "boom\n", **fields: Any) -> Record:
        job = self.gitlab.job(self.pipeline["id"], name)
        job |= {"status": "failed", "failure_reason": "script_failure", "trace": trace, **fields}
        return job

    def context(self, audience: Audience = PRIVATE, **inputs: Any) -> Context:
        client = Client(f"{self.gitlab.url}/api/v4", str(PROJECT), "glpat-own", pause=lambda _: 0)
        environment = {"CI_PROJECT_ID": str(PROJECT), "CI_PIPELINE_ID": "99"}
        environment["CI_PROJECT_PATH"] = "group/app"
        log = Log(self.lines.append, lambda: 0.0, ["canary-of-the-job"])
        user = {"id": BOT}
        return Context(client, REQUEST, Inputs(**inputs), user, environment, log, audience)

    def found(self, text: str = "fix the pipeline", **how: Any) -> Found:
        found = find(REQUEST._replace(input=text), self.context(**how))
        assert found
        return found

    def refused(self, **how: Any) -> Failure:
        with pytest.raises(Failure) as error:
            self.found(**how)
        return error.value


@pytest.fixture
def broken() -> Iterator[Broken]:
    with GitLab() as gitlab:
        yield Broken(gitlab)


@pytest.mark.parametrize(
    "text",
    [
        "fix the pipeline",
        "Fix the Pipeline.",
        "please fix the failing pipeline",
        "fix pipeline!",
        "fix CI",
        "fix the CI/CD pipeline",
        "repair the pipeline",
        "fix the build",
        "fix the failed jobs",
        "fix the failing tests",
        "fix the merge request pipeline",
        "fix the pipeline in this MR, please",
        "make the pipeline green again",
        "get CI green",
        "can you fix the pipeline?",
        "修复流水线",
        "请修复一下失败的流水线。",
        "repariere die Pipeline",
    ],
)
def test_a_repair_is_asked_for_in_plain_words(text: str) -> None:
    assert asked(REQUEST._replace(input=text))
    assert not asked(REQUEST._replace(input=text, kind="issue"))


@pytest.mark.parametrize(
    "text",
    [
        "fix the pipeline by pinning pytest",
        "fix the pipeline definition so that deploys run on tags",
        "fix the build script",
        "fix the parser",
        "fix it",
        "explain why the pipeline failed",
        "do not fix the pipeline",
        "fix the tests",
        "",
    ],
)
def test_whoever_says_how_asks_for_something_else(text: str) -> None:
    assert not asked(REQUEST._replace(input=text))


def test_the_pipeline_is_looked_at_only_where_somebody_speaks_of_it(broken: Broken) -> None:
    broken.job()
    context = broken.context()
    assert find(REQUEST._replace(input="fix the typo"), context) == Found()
    assert find(REQUEST._replace(kind="issue"), context) == Found()
    assert broken.gitlab.calls == []
    assert find(REQUEST._replace(input="ci sono errori di battitura"), context) == Found()
    assert broken.gitlab.calls == []
    for text in (
        "does CI pass?",
        "why did the pipeline fail?",
        "the tests are failing since Monday: why?",
    ):
        found = broken.found(text)
        assert (found.number, found.told["failed_jobs"][0]["log_end"]) == (0, "boom")


def test_what_failed_is_told(broken: Broken) -> None:
    broken.job("lint", "\x1b[31mline 1\x1b[0m\nE501\n", allow_failure=True)
    job = broken.job("unit", "assert 1 == 2\n", stage="check")
    broken.job("fine")["status"] = "success"
    told = broken.found().told
    assert told["status"] == "failed"
    assert told["commit"] == broken.merge_request["sha"]
    assert told["web_url"].endswith(f"/-/pipelines/{broken.pipeline['id']}")
    assert told["failed_jobs"] == [
        {
            "id": job["id"],
            "name": "unit",
            "stage": "check",
            "failure_reason": "script_failure",
            "allow_failure": False,
            "web_url": f"{broken.gitlab.url}/group/app/-/jobs/{job['id']}",
            "log_end": "assert 1 == 2",
        },
        {**told["failed_jobs"][1], "name": "lint", "log_end": "line 1\nE501"},
    ]
    assert told["tests"] == {"count": 0, "success": 0, "failed": 0, "error": 0}


def test_logs_are_bounded_in_number_and_in_all(broken: Broken) -> None:
    for number in range(MOST_JOBS + 3):
        broken.job(f"job {number}", "x" * 900 + "\n")
    jobs = broken.found().told["failed_jobs"]
    assert len(jobs) == MOST_JOBS + 3
    assert sum("log_end" in job for job in jobs) == MOST_JOBS
    assert jobs[-1]["log_unread"] == "too many logs"
    for job in broken.pipeline["jobs"]:
        job["trace"] = ("y" * 900 + "\n") * 60
    found = broken.found()
    assert sum(len(job.get("log_end", "")) for job in found.told["failed_jobs"]) <= repair.LARGEST
    assert len(json.dumps(found.told)) < 2 * repair.LARGEST


def test_of_a_huge_log_the_end_is_read(broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    broken.job("big", "first\n" + "z" * 99 + "\n" + ("filler\n" * 500_000) + "the cause\n")
    (job,) = broken.found().told["failed_jobs"]
    assert job["log_end"].endswith("\nthe cause")
    assert "first" not in job["log_end"]
    monkeypatch.setattr(repair, "_LONGEST_LOG", 1_000_000)
    (job,) = broken.found().told["failed_jobs"]
    assert job["log_unread"] == "no answer"


def test_secrets_in_a_log_are_masked(broken: Broken) -> None:
    broken.job(trace="canary-of-the-job\nexport X_TOKEN=hunter2\nglpat-aaaaaaaaaaaaaaaaaaaa\n")
    (job,) = broken.found().told["failed_jobs"]
    assert job["log_end"] == "[MASKED]\nexport X_TOKEN=[MASKED]\n[MASKED]"


@pytest.mark.parametrize("before", [0, 65_530])
@pytest.mark.parametrize("after", [0, 140_000])
@pytest.mark.parametrize("line", ["++ export CI_JOB_TOKEN=[MASKED]", "$CI_JOB_TOKEN='x'"])
def test_a_debug_log_is_not_told(broken: Broken, line: str, before: int, after: int) -> None:
    more = "\n".join(["x" * 99] * (after // 100))
    broken.job(trace=f"{'x' * before}{line}\n{more}\n++ export DSN=db:hunter2\n")
    (job,) = broken.found().told["failed_jobs"]
    assert "hunter2" not in str(job)
    assert "debug" in job["log_unread"]


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize(
    ("call", "kept"),
    [
        ("*/jobs/*/trace", "log_unread"),
        ("*/bridges", "unread"),
        ("*/test_report_summary", "unread"),
        ("*/test_report", "unread"),
    ],
)
def test_what_gitlab_does_not_show_is_named(
    broken: Broken, call: str, kept: str, status: int
) -> None:
    broken.job()
    broken.pipeline["suites"] = [{"name": "u", "cases": [{"status": "failed", "name": "a"}]}]
    broken.gitlab.fault(f"GET {call}", Fault.status(status))
    told = broken.found().told
    found = told["failed_jobs"][0] if kept == "log_unread" else told
    assert str(status) in str(found[kept])


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("call", ["*/merge_requests/3", "*/pipelines/*/jobs", "*/notes"])
def test_without_the_jobs_a_repair_ends_and_a_question_goes_on(
    broken: Broken, call: str, status: int
) -> None:
    broken.job()
    broken.gitlab.fault(f"GET {call}", Fault.status(status))
    assert f"({status})" in broken.refused().text
    if "notes" not in call:
        broken.gitlab.fault(f"GET {call}", Fault.status(status))
        assert broken.found("why is the pipeline red?").told == {"unread": str(status)}


# --- what is said without Claude ------------------------------------------------------------------


def test_a_merge_request_without_a_pipeline_says_so(broken: Broken) -> None:
    del broken.gitlab.pipelines[broken.gitlab.ids("pipelines", PROJECT).pop()]
    assert broken.refused().reason is Reason.PIPELINE_MISSING
    assert "no pipeline" in broken.found("explain the pipeline").told["note"]


def test_a_pipeline_of_another_head_is_not_the_one(broken: Broken) -> None:
    broken.job()
    broken.pipeline["sha"] = "a" * 40
    assert broken.refused().reason is Reason.PIPELINE_OF_BEFORE


def test_a_pipeline_of_merged_results_is_that_of_its_parent(broken: Broken) -> None:
    broken.job()
    broken.pipeline |= {"sha": "a" * 40, "ref": f"refs/merge-requests/{IID}/merge"}
    broken.gitlab.commits[PROJECT, "a" * 40] = {"parents": [broken.merge_request["sha"]]}
    assert broken.found().told["failed_jobs"]
    broken.gitlab.commits[PROJECT, "a" * 40] = {"parents": ["b" * 40]}
    assert broken.refused().reason is Reason.PIPELINE_OF_BEFORE


@pytest.mark.parametrize("status", ["created", "pending", "running", "canceling"])
def test_a_pipeline_that_has_not_ended_is_waited_for(broken: Broken, status: str) -> None:
    broken.job()
    broken.pipeline["status"] = status
    assert broken.refused().reason is Reason.PIPELINE_RUNS
    assert broken.found("why does the pipeline fail").told["failed_jobs"]


def test_the_pipeline_of_the_job_itself_is_not_waited_for(broken: Broken) -> None:
    broken.job()
    broken.pipeline["status"] = "running"
    context = broken.context()
    own = {**context.environment, "CI_PIPELINE_ID": str(broken.pipeline["id"])}
    assert find(REQUEST, context._replace(environment=own))


@pytest.mark.parametrize("status", ["success", "canceled", "skipped", "manual"])
def test_where_nothing_failed_nothing_is_repaired(broken: Broken, status: str) -> None:
    broken.pipeline["status"] = status
    refusal = broken.refused()
    assert refusal.reason is Reason.NOTHING_FAILED
    assert f"`{status}`" in refusal.text


@pytest.mark.parametrize(
    "why", ["runner_system_failure", "stuck_or_timeout_failure", "ci_quota_exceeded"]
)
def test_what_is_not_the_code_is_said_without_claude(broken: Broken, why: str) -> None:
    broken.job("a", failure_reason=why)
    broken.job("lint", allow_failure=True)
    refusal = broken.refused()
    assert refusal.reason is Reason.NOT_THE_CODE
    assert f"`{why}`" in refusal.text
    broken.job("b")
    assert len(broken.found().told["failed_jobs"]) == 3


def test_a_configuration_that_gitlab_refuses_is_told(broken: Broken) -> None:
    broken.pipeline["yaml_errors"] = "jobs:test config should implement script: API_KEY=x1"
    told = broken.found().told
    assert told["configuration_errors"].endswith("script: API_KEY=[MASKED]")
    assert told["failed_jobs"] == []


def test_a_child_pipeline_s_jobs_are_read_and_another_project_s_are_not(broken: Broken) -> None:
    child, far = broken.made(), broken.made()
    broken.gitlab.ids("pipelines", PROJECT)[-2:] = []
    job = broken.gitlab.job(child["id"], "inner")
    job |= {"status": "failed", "failure_reason": "script_failure", "trace": "within\n"}
    far["project_id"] = 8
    broken.gitlab.projects[8] = broken.gitlab.projects[PROJECT]
    for name, downstream in (("child", child), ("far", far)):
        bridge = broken.job(name)
        broken.pipeline["jobs"].remove(bridge)
        broken.pipeline["bridges"].append({**bridge, "downstream": downstream["id"]})
    inner, bridge = broken.found().told["failed_jobs"]
    assert (inner["name"], inner["log_end"]) == ("inner", "within")
    assert (bridge["name"], bridge["downstream_pipeline"]) == ("far", True)
    assert "log_end" not in bridge


def test_a_child_pipeline_that_is_not_shown_is_named(broken: Broken) -> None:
    child = broken.made()
    broken.gitlab.ids("pipelines", PROJECT).pop()
    bridge = broken.job("child")
    broken.pipeline["jobs"].remove(bridge)
    broken.pipeline["bridges"].append({**bridge, "downstream": child["id"]})
    broken.gitlab.fault(f"GET */pipelines/{child['id']}/jobs", Fault.status(404))
    told = broken.found().told
    assert told["failed_jobs"][0]["downstream_pipeline"] is True
    assert told["unread"] == ["child pipeline: HTTP 404"]


def test_a_long_request_is_read_in_no_time(broken: Broken) -> None:
    began = time.process_time()
    for text in ("!" * 60_000 + "a", "fix " * 15_000, "please " * 9_000, "the build " * 6_000):
        assert not asked(REQUEST._replace(input=text))
        find(REQUEST._replace(input=text), broken.context())
    assert time.process_time() - began < 1.0


def test_a_fork_s_pipeline_is_not_read(broken: Broken) -> None:
    broken.job()
    broken.merge_request["source_project_id"] = 9
    assert broken.refused().reason is Reason.FORK


def test_where_a_fork_is_read_a_word_of_its_pipeline_ends_nothing(broken: Broken) -> None:
    broken.job()
    broken.merge_request["source_project_id"] = 9
    why = REQUEST._replace(input="Why does the pipeline fail?", read_only=True)
    assert find(why, broken.context()) == Found()


# --- who may read it ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("audience", "public_jobs", "told"),
    [
        (PRIVATE, False, True),
        (Audience(), True, True),
        (Audience(), False, False),
        (Audience(internal=True), False, True),
    ],
    ids=["members only", "logs for everybody", "logs for members", "asked internally"],
)
def test_logs_are_read_only_where_the_reply_s_readers_may_read_them(
    broken: Broken, audience: Audience, public_jobs: bool, told: bool
) -> None:
    broken.job(trace="what only members may know\n")
    broken.gitlab.premium = True
    broken.pipeline["quality"] = [SMELL]
    broken.gitlab.projects[PROJECT].visibility = "private" if audience.private else "public"
    broken.gitlab.projects[PROJECT].public_jobs = public_jobs
    found = broken.found(audience=audience)
    assert ("log_end" in found.told["failed_jobs"][0]) == told
    assert ("tests" in found.told) == told
    assert ("code_quality" in found.told) == told
    assert len(found.remarks) == (not told)
    asked_for = [call.path for call in broken.gitlab.calls if "/trace" in call.path]
    assert bool(asked_for) == told


def test_code_quality_is_told_of_a_pipeline_of_this_project_alone(broken: Broken) -> None:
    broken.job()
    assert "code_quality" not in broken.found().told
    broken.gitlab.premium = True
    broken.pipeline["quality"] = [SMELL]
    assert broken.found().told["code_quality"] == {"count": 1, "findings": [SMELL]}
    reader = repair._Reader(REQUEST, broken.context(), strict=True)
    fork = {"project_id": 8, "iid": broken.pipeline["iid"]}  # whose number is one of ours, too
    assert reader._quality(fork) == {}


def test_a_project_that_is_not_shown_counts_as_keeping_its_logs(broken: Broken) -> None:
    broken.job()
    broken.gitlab.fault(f"GET */projects/{PROJECT}", Fault.status(403))
    assert "log_end" not in broken.found(audience=Audience()).told["failed_jobs"][0]


# --- how often ------------------------------------------------------------------------------------


def reply(broken: Broken, number: int, author: int = BOT, end: str = "") -> None:
    marks = f"{of_repair(number)}\n\n{of_job(5, ENDED)}\n{of_run(f'run{number}')}"
    body = f"Done.\n\n{marks}{end}"
    broken.gitlab.note(PROJECT, "merge_request", IID, author_id=author, body=body)


def test_tries_are_counted_by_our_own_replies(broken: Broken) -> None:
    broken.job()
    assert broken.found().number == 1
    reply(broken, 1)
    reply(broken, 2)
    reply(broken, 9, author=ADA)
    reply(broken, 9, end="\n\nno mark at the end")
    assert broken.found().number == 3
    reply(broken, 3)
    refusal = broken.refused()
    assert refusal.reason is Reason.REPAIRS_SPENT
    assert "3 tries" in refusal.text
    assert broken.found("fix the pipeline: pin pytest below 9").number == 0
    with pytest.raises(Failure):
        find(REQUEST, broken.context(repair_tries=0))


def test_an_older_try_is_found_behind_many_notes(broken: Broken) -> None:
    broken.job()
    reply(broken, 3)
    for number in range(150):
        broken.gitlab.note(PROJECT, "merge_request", IID, author_id=ADA, body=f"note {number}")
    assert broken.refused().reason is Reason.REPAIRS_SPENT
