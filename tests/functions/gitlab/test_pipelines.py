"""Pipelines, from the trigger call to their end."""

import json
from collections.abc import Iterator
from typing import Any, cast

import pytest

from functions.gitlab import GitLab, client, pipelines
from functions.gitlab.client import PAGE, Client
from functions.gitlab.pipelines import Pipelines
from shared.gitlab.values import GitLabError, Job, Progress
from shared.installation.secrets import Secret
from tests.support.fakes import NOW, TRIGGER_TOKEN
from tests.support.gitlab.server import Fault
from tests.support.gitlab.server import GitLab as StandIn
from tests.support.gitlab_adapter import BODY


def test_a_trigger_creates_a_pipeline_and_the_token_travels_in_the_body(
    server: StandIn, gitlab: GitLab
) -> None:
    pipeline = gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY)
    assert pipeline.id in server.pipelines
    assert pipeline.url == f"{server.url}/group/app/-/pipelines/{pipeline.id}"
    [call] = server.calls
    assert call.json == BODY | {"token": TRIGGER_TOKEN}
    assert TRIGGER_TOKEN not in f"{call.path} {call.query} {call.headers}"
    assert "private-token" not in call.headers


def test_a_refusal_brings_gitlab_s_message_for_comparing(gitlab: GitLab) -> None:
    with pytest.raises(GitLabError) as error:
        gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY | {"ref": "gone"})
    assert (error.value.status, error.value.unsure) == (400, False)
    assert "Reference not found" in error.value.message
    with pytest.raises(GitLabError) as error:
        gitlab.trigger(7, Secret("glptt-other"), BODY)
    assert error.value.status == 404


def test_a_pipeline_is_found_again_by_its_run_id(server: StandIn, gitlab: GitLab) -> None:
    before = server.clock() - 100
    for run_id in ("aaaa", "bbbb"):
        gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY | {"ai_flow": {"id": run_id}})
    gitlab.trigger(
        7,
        Secret(TRIGGER_TOKEN),
        BODY | {"ai_flow": {"id": "dddd", "input": '{"ai_flow": {"id": "bbbb"}}'}},
    )
    found = gitlab.find_pipeline(7, "bbbb", before)
    assert found
    assert found.id == sorted(server.pipelines)[1]
    assert gitlab.find_pipeline(7, "cccc", before) is None
    assert gitlab.find_pipeline(7, "bbbb", server.clock() + 200) is None


def test_many_pipelines_are_read_page_by_page(
    server: StandIn, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAGE", 2)
    for run_id in ("aaaa", "bbbb", "cccc", "dddd"):
        gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY | {"ai_flow": {"id": run_id}})
    found = gitlab.find_pipeline(7, "aaaa", server.clock() - 100)
    assert found
    assert found.id == min(server.pipelines)
    assert gitlab.find_pipeline(7, "eeee", server.clock() - 100) is None
    assert {
        call.query["per_page"] for call in server.calls if call.path.endswith("/pipelines")
    } == {"2"}


class Listing:
    """A client that has so many pipelines to list, each with its mark, and counts its calls."""

    def __init__(self, number: int) -> None:
        self.marks, self.calls = [f"{each:032x}" for each in range(number)], 0

    def pages(self, *_: object, start: int) -> Iterator[dict[str, Any]]:
        for first in range((start - 1) * PAGE, len(self.marks), PAGE):
            self.calls += 1
            for number in range(first, min(first + PAGE, len(self.marks))):
                yield {"id": number, "created_at": "2026-02-02T02:40:00Z"}

    def page(self, path: str) -> list[dict[str, str]]:
        self.calls += 1
        mark = self.marks[int(path.split("/")[-2])]
        return [{"key": "TRIGGER_PAYLOAD", "value": json.dumps({"ai_flow": {"nonce": mark}})}]


def test_looking_for_twice_as_many_costs_twice_as_much() -> None:
    cost = []
    for count in (100, 200, 1000):
        listing = Listing(count)
        there = Pipelines(cast("Client", listing))
        found = [there.find_pipeline(7, mark, NOW) for mark in listing.marks]
        assert [each and each.id for each in found] == list(range(count))
        cost.append(listing.calls / count)
    assert cost[0] == 2  # a page of the list and the variables of each
    assert max(cost) < 2.1


def test_what_has_moved_to_a_page_before_is_found_all_the_same(
    server: StandIn, gitlab: GitLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (client, pipelines):
        monkeypatch.setattr(module, "PAGE", 2)
    for mark in ("aaaa", "bbbb", "cccc", "dddd"):
        gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY | {"ai_flow": {"id": mark}})
    assert gitlab.find_pipeline(7, "cccc", server.clock())
    for gone in sorted(server.pipelines)[:2]:  # as if somebody had deleted them
        server.pipelines[gone]["source"] = "push"
    found = gitlab.find_pipeline(7, "dddd", server.clock())
    assert found
    assert found.id == max(server.pipelines)
    assert gitlab.find_pipeline(7, "eeee", server.clock()) is None


def test_what_was_created_long_after_the_call_is_not_looked_at(
    server: StandIn, gitlab: GitLab
) -> None:
    for run_id in ("aaaa", "bbbb"):
        gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY | {"ai_flow": {"id": run_id}})
    first, second = sorted(server.pipelines)
    server.pipelines[second]["created_at"] += 3600
    server.calls.clear()
    assert gitlab.find_pipeline(7, "bbbb", server.clock()) is None
    paths = [call.path for call in server.calls]
    assert f"/api/v4/projects/7/pipelines/{first}/variables" in paths
    assert f"/api/v4/projects/7/pipelines/{second}/variables" not in paths


def started(gitlab: GitLab) -> int:
    """Return the id of a pipeline with the stand-in's one job."""
    return gitlab.trigger(7, Secret(TRIGGER_TOKEN), BODY).id


def test_a_pipeline_is_followed_to_its_end(server: StandIn, gitlab: GitLab) -> None:
    number = started(gitlab)
    [job] = server.pipelines[number]["jobs"]
    job_url = f"{server.url}/group/app/-/jobs/{job['id']}"
    for status in ("pending", "running"):
        server.set_pipeline(number, status)
        progress = gitlab.progress(7, number)
        assert progress
        assert (progress.status, progress.over, progress.failed) == (status, False, None)
        began = status == "running"
        assert progress.jobs == (Job(job["id"], status, "", job_url, job["name"], began),)
        assert abs(progress.created_at - server.clock()) < 60
    server.set_pipeline(number, "failed", failure_reason="job_execution_timeout")
    server.pipelines[number].update(started_at=1000.0, finished_at=1061.0)
    failed = Job(job["id"], "failed", "job_execution_timeout", job_url, job["name"])
    progress = gitlab.progress(7, number)
    assert progress
    url = f"{server.url}/group/app/-/pipelines/{number}"
    told = Progress("failed", 61, progress.created_at, (failed,), url, "trigger", "main")
    assert progress == told
    assert (progress.over, progress.failed) == (True, failed)


def test_the_jobs_of_a_pipeline_that_stands_as_before_are_not_read_again(
    server: StandIn, gitlab: GitLab
) -> None:
    number = started(gitlab)
    server.set_pipeline(number, "running")
    first = gitlab.progress(7, number)
    assert first
    assert gitlab.jobs(7, number) == first.jobs
    server.calls.clear()
    assert gitlab.progress(7, number, first) == first
    assert [call.path for call in server.calls] == [f"/api/v4/projects/7/pipelines/{number}"]
    server.set_pipeline(number, "success")
    second = gitlab.progress(7, number, first)
    assert second
    assert [job.status for job in second.jobs] == ["success"]


def test_a_job_that_may_fail_is_not_what_a_pipeline_failed_of(
    server: StandIn, gitlab: GitLab
) -> None:
    number = started(gitlab)
    may_fail = server.job(number, "lint", allow_failure=True)["id"]
    progress = gitlab.progress(7, number)
    assert progress
    assert may_fail in [job.id for job in progress.jobs]
    server.set_pipeline(number, "failed", failure_reason="script_failure")
    progress = gitlab.progress(7, number)
    assert progress
    assert [job.id for job in progress.jobs] == [server.pipelines[number]["jobs"][0]["id"]]


def test_a_pipeline_that_is_gone_is_told_from_a_gitlab_that_is(
    server: StandIn, gitlab: GitLab
) -> None:
    assert gitlab.progress(7, 4711) is None
    number = started(gitlab)
    for path in ("pipelines/*/jobs", "pipelines/*"):
        server.fault(f"GET /api/v4/projects/7/{path}", Fault.status(502))
        with pytest.raises(GitLabError) as error:
            gitlab.progress(7, number)
        assert (error.value.status, error.value.unsure) == (502, False)


def test_a_pipeline_is_cancelled_and_one_that_has_ended_stays_as_it_is(
    server: StandIn, gitlab: GitLab
) -> None:
    number = started(gitlab)
    for _ in range(2):
        gitlab.cancel(7, number)
    assert server.pipelines[number]["status"] == "canceled"
    done = started(gitlab)
    server.set_pipeline(done, "success")
    gitlab.cancel(7, done)
    assert server.pipelines[done]["status"] == "success"


def test_a_token_that_may_not_cancel_is_told_403(server: StandIn, gitlab: GitLab) -> None:
    number = started(gitlab)
    server.member(7, 99, 30)  # the default branch is protected
    with pytest.raises(GitLabError) as error:
        gitlab.cancel(7, number)
    assert error.value.status == 403


def test_one_call_tells_where_the_newest_pipelines_stand(server: StandIn, gitlab: GitLab) -> None:
    numbers = [started(gitlab) for _ in range(3)]
    server.set_pipeline(numbers[0], "failed")
    server.calls.clear()
    told = list(gitlab.newest_pipelines(7))
    assert [number for number, _ in told] == numbers[::-1]
    assert [progress.status for _, progress in told] == ["created", "created", "failed"]
    assert len(server.calls) == 1
