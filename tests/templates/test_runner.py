"""A runner project serves three others, with the real Claude Code and the component's script."""

import json
import time
from collections.abc import Iterator

import pytest
import yaml  # type: ignore[import-untyped,unused-ignore]

from cli.connection import FILE
from cli.proposal import include
from job.failures import ExitCode
from tests.support.fakes import API_TOKEN, WEBHOOK_SECRETS, sign
from tests.support.gitlab.records import Record
from tests.support.job import tooling
from tests.support.job.model import Turn
from tests.support.job.runner import COMPONENT, Ended, plain
from tests.support.job.scene import ADA, ANSWER, BOT, CHANGE, JOB_TOKEN, Installation, Scene
from tests.support.platforms.local import Local

pytestmark = pytest.mark.skipif(bool(tooling.missing()), reason=tooling.missing())

RUNNER, PATH = 1190, "team/claude-runner"
# Four stages, a deployment on main, and what fails.
DEPLOYS = {
    "stages": ["build", "test", "deploy", "after"],
    "build": {"stage": "build", "script": "true"},
    "test": {"stage": "test", "script": "false"},
    "deploy": {"stage": "deploy", "script": "true", "environment": "production"},
    "after": {"stage": "after", "script": "true"},
}


class Asking(Scene):
    """A project whose runs are another's: no component, no trigger token, no CI/CD variable."""

    def __init__(
        self, installation: Installation, local: Local, turns: list[Turn] = CHANGE
    ) -> None:
        super().__init__(installation, turns)
        self.local = local
        self.gitlab.commit(self.number, "main", {".gitlab-ci.yml": json.dumps(DEPLOYS)})

    def becomes(self, kind: str) -> None:
        """Be one of three: with a deployment, public with a confidential issue, no variables."""
        project = self.gitlab.projects[self.number]
        project.variables_role = "no_one_allowed" if kind == "no variables" else "developer"
        project.visibility = "public" if kind == "public" else "private"
        self.gitlab.issues[self.number, 5]["confidential"] = kind == "public"

    def asked(self, text: str, kind: str = "issue", iid: int = 5) -> Record:
        """Ask, and return the one new pipeline, which is in the runner project."""
        before = set(self.gitlab.pipelines)
        self.told(text, kind, iid)
        made = set(self.gitlab.pipelines) - before
        assert len(made) == 1, self.local.output()
        pipeline: Record = self.gitlab.pipelines[made.pop()]
        assert pipeline["project_id"] == RUNNER
        return pipeline

    def told(self, text: str, kind: str = "issue", iid: int = 5) -> None:
        """Write a comment, and let the trigger carry out what it says."""
        written = self.gitlab.note(self.number, kind, iid, author_id=ADA, body=text)
        headers, body = self.gitlab.note_hook(written)
        headers |= sign(body, time.time())
        assert self.local.deliver("POST", headers, body).status == 202
        self.local.settle()

    def moves(self, pipeline: Record, status: str) -> None:
        """Move a pipeline on; the runner project's webhook tells of it."""
        self.gitlab.set_pipeline(pipeline["id"], status)
        headers, body = self.gitlab.pipeline_hook(pipeline)
        assert self.local.deliver("POST", headers | sign(body, time.time()), body).status == 202
        self.local.settle()

    def served(self, pipeline: Record, environment: str = "", token: str = JOB_TOKEN) -> Ended:
        """Run the pipeline's script as GitLab hands it out: empty, with the environment's token."""
        variables = {each["key"]: each["value"] for each in pipeline["variables"]}
        name = environment or f"claude/{variables['AI_FLOW_PROJECT_ID']}"
        self.runner.empty = True
        self.runner.variables |= {"CI_ENVIRONMENT_NAME": name, "GITLAB_ACCESS_TOKEN": token}
        return self.script(pipeline)

    def whole(self, pipeline: Record) -> Ended:
        """Run the pipeline through gitlab-ci-local, which chooses job, environment and token."""
        self.runner.empty = True
        self.runner.variables.pop("GITLAB_ACCESS_TOKEN", None)
        scopes = {f"claude/{self.number}": JOB_TOKEN, f"claude/{RUNNER + 5}": "glpat-of-another"}
        self.runner.scoped = {"GITLAB_ACCESS_TOKEN": scopes}
        return self.run(pipeline)

    def own_pipelines(self) -> list[Record]:
        """Return what ran anywhere but in the runner project."""
        return [each for each in self.gitlab.pipelines.values() if each["project_id"] != RUNNER]


@pytest.fixture(scope="module")
def local(installation: Installation) -> Iterator[Local]:
    """An installation whose one trigger token is the runner project's, as setup prepares that."""
    gitlab = installation.gitlab
    gitlab.project(RUNNER, PATH, visibility="private")
    gitlab.member(RUNNER, BOT, 40)
    gitlab.trigger_token("glptt-runner", RUNNER, BOT)
    written = yaml.safe_load(include("", "anthropic", "claude") or "")
    written["include"][0]["inputs"] |= {"claude_version": "2.1.332"}
    files = {".gitlab-ci.yml": json.dumps(written), "secret.txt": "of the runner"}
    gitlab.commit(RUNNER, "main", files | {FILE: COMPONENT.read_text()})
    secrets = json.dumps({"api_token": API_TOKEN, "trigger_tokens": {str(RUNNER): "glptt-runner"}})
    limits = {"RUNS_PER_THREAD": "0", "RUNS_PER_USER_PER_HOUR": "0", "RUNS_PER_DAY": "0"}
    local = Local(gitlab.url, WEBHOOK_SECRETS, secrets, RUNNER_PROJECT=PATH, **limits)
    local.start()
    yield local
    local.stop()


@pytest.fixture
def asking(installation: Installation, local: Local) -> Iterator[Asking]:
    with Asking(installation, local) as scene:
        yield scene


@pytest.mark.parametrize("kind", ["deploys", "no variables"])
def test_each_project_has_its_answer_and_merge_request(asking: Asking, kind: str) -> None:
    asking.becomes(kind)
    pipeline = asking.asked("@claude add a greeting")
    assert "http" not in asking.reply()  # who reads here may not see the runner project
    ended = asking.whole(pipeline)
    assert ended.code == 0, plain(ended.log)
    (merge_request,) = asking.merge_requests()
    assert merge_request["source_branch"].startswith("claude/issue-5-")
    assert "I added `hello.txt`." in asking.reply()
    assert "+hello" in asking.gitlab.show(asking.number, merge_request["source_branch"])
    told = "".join([asking.reply(), merge_request["description"]])
    assert PATH not in told
    assert not asking.own_pipelines()


def test_of_a_public_project_s_confidential_issue_nothing_is_said_in_public(
    asking: Asking,
) -> None:
    asking.becomes("public")
    pipeline = asking.asked("@claude add a greeting")
    ended = asking.whole(pipeline)
    assert ended.code == 0, plain(ended.log)
    assert "Nothing was pushed: whoever may read this project's code" in asking.reply()
    assert "add a greeting" not in ended.log
    assert "hello" not in ended.log
    assert not asking.merge_requests()
    assert list(asking.gitlab.projects[asking.number].branches) == ["main"]
    assert not asking.own_pipelines()


def test_a_merge_request_s_thread_gets_a_push_and_a_review(asking: Asking) -> None:
    before = asking.merge_request("feature", {"app.py": "x = 1\n"})
    ended = asking.served(asking.asked("@claude add a greeting", "merge_request", 3))
    assert ended.code == 0, plain(ended.log)
    assert "hello.txt" in asking.gitlab.show(asking.number, "feature")
    assert asking.git("rev-parse", "feature^").strip() == before
    asking.model.turns = list(ANSWER)
    ended = asking.served(asking.asked("@claude review", "merge_request", 3))
    assert ended.code == 0, plain(ended.log)
    assert "It greets." in asking.replies()[1]
    assert not asking.own_pipelines()


@pytest.mark.parametrize("kind", ["deploys", "public", "no variables"])
def test_status_stop_and_retry_reach_the_runner_project(asking: Asking, kind: str) -> None:
    asking.becomes(kind)
    pipeline = asking.asked("@claude add a greeting")
    asking.moves(pipeline, "running")
    assert "Claude is at work: job" in asking.reply()
    asking.told("@claude status")
    assert "running" in asking.replies()[-1]
    asking.told("@claude stop")
    assert asking.gitlab.pipelines[pipeline["id"]]["status"] == "canceled"
    asking.moves(pipeline, "canceled")
    assert "Cancelled" in asking.replies()[0]
    again = asking.asked("@claude retry")
    assert again["id"] != pipeline["id"]
    asking.moves(again, "success")
    assert not [each for each in asking.replies() if "http" in each]
    assert not asking.own_pipelines()


def test_a_run_for_one_project_has_no_way_to_another(
    installation: Installation, asking: Asking
) -> None:
    gitlab, other = installation.gitlab, asking.number
    pipeline = asking.asked("@claude add a greeting")
    refused = asking.served(pipeline, environment=f"claude/{RUNNER + 5}")
    assert refused.code == ExitCode.SETTINGS
    gitlab.user(77, "of-another", bot=True)
    gitlab.api_token("glpat-of-another", 77, ("api", "write_repository"))
    refused = asking.served(pipeline, token="glpat-of-another")
    assert refused.code == ExitCode.SETTINGS
    assert f"no project {other}" in plain(refused.log)
    assert not asking.merge_requests()
    assert asking.model.conversation == []


FORGED = ("claude/1/../{b}", "claude/0{a}", "claude/{b}/x", "production")


def test_an_environment_that_is_no_project_s_opens_none(asking: Asking) -> None:
    pipeline = asking.asked("@claude add a greeting")
    for name in FORGED:
        told = name.format(a=asking.number, b=RUNNER + 5)
        refused = asking.served(pipeline, environment=told)
        assert refused.code == ExitCode.SETTINGS, plain(refused.log)
    assert not asking.merge_requests()
    assert asking.model.conversation == []
