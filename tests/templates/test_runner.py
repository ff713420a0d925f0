"""A runner project serves three others, with the real Claude Code and the component's script."""

import json
import time
from collections.abc import Iterator

import pytest

from job.failures import ExitCode
from tests.support.fakes import API_TOKEN, WEBHOOK_SECRETS, sign
from tests.support.gitlab.records import Record
from tests.support.job import tooling
from tests.support.job.runner import Ended, plain
from tests.support.job.scene import ADA, BOT, CHANGE, JOB_TOKEN, Installation, Scene
from tests.support.platforms.local import Local

pytestmark = pytest.mark.skipif(bool(tooling.missing()), reason=tooling.missing())

RUNNER, PATH = 1190, "team/claude-runner"


class Asking(Scene):
    """A project whose runs are another's: no component, no trigger token, no CI/CD variable."""

    def __init__(self, installation: Installation, local: Local) -> None:
        super().__init__(installation, CHANGE)
        self.local = local
        deploys = '{"stages": ["build", "deploy"], "deploy": {"script": "false"}}'
        self.gitlab.commit(self.number, "main", {".gitlab-ci.yml": deploys})

    def asked(self, text: str) -> Record:
        """Ask, and return the one new pipeline, which is in the runner project."""
        before = set(self.gitlab.pipelines)
        written = self.gitlab.note(self.number, "issue", 5, author_id=ADA, body=text)
        headers, body = self.gitlab.note_hook(written)
        headers |= sign(body, time.time())
        assert self.local.deliver("POST", headers, body).status == 202
        self.local.settle()
        made = set(self.gitlab.pipelines) - before
        assert len(made) == 1, self.local.output()
        pipeline: Record = self.gitlab.pipelines[made.pop()]
        assert pipeline["project_id"] == RUNNER
        return pipeline

    def served(self, pipeline: Record, environment: str = "", token: str = JOB_TOKEN) -> Ended:
        """Run the pipeline's job as GitLab hands it out: empty, with the environment's token."""
        variables = {each["key"]: each["value"] for each in pipeline["variables"]}
        name = environment or f"claude/{variables['AI_FLOW_PROJECT_ID']}"
        self.runner.empty = True
        self.runner.variables |= {"CI_ENVIRONMENT_NAME": name, "GITLAB_ACCESS_TOKEN": token}
        return self.script(pipeline)


@pytest.fixture(scope="module")
def local(installation: Installation) -> Iterator[Local]:
    """An installation whose one trigger token is the runner project's."""
    gitlab = installation.gitlab
    gitlab.project(RUNNER, PATH, visibility="private")
    gitlab.member(RUNNER, BOT, 40)
    gitlab.trigger_token("glptt-runner", RUNNER, BOT)
    job = (
        '{"claude": {"rules": [{"if": "$CI_PIPELINE_SOURCE == \\"trigger\\""}], "script": "true"}}'
    )
    gitlab.commit(RUNNER, "main", {".gitlab-ci.yml": job, "secret.txt": "of the runner"})
    secrets = json.dumps({"api_token": API_TOKEN, "trigger_tokens": {str(RUNNER): "glptt-runner"}})
    local = Local(gitlab.url, WEBHOOK_SECRETS, secrets, RUNNER_PROJECT=PATH)
    local.start()
    yield local
    local.stop()


@pytest.fixture
def asking(installation: Installation, local: Local) -> Iterator[Asking]:
    with Asking(installation, local) as scene:
        yield scene


@pytest.mark.parametrize("kind", ["deploys", "public", "no variables"])
def test_each_project_has_its_answer_and_merge_request(asking: Asking, kind: str) -> None:
    project = asking.gitlab.projects[asking.number]
    project.visibility = "public" if kind == "public" else "private"
    project.variables_role = "no_one_allowed" if kind == "no variables" else "developer"
    pipeline = asking.asked("@claude add a greeting")
    assert "http" not in asking.reply()  # who reads here may not see the runner project
    ended = asking.served(pipeline)
    assert ended.code == 0, plain(ended.log)
    (merge_request,) = asking.merge_requests()
    assert merge_request["source_branch"].startswith("claude/issue-5-")
    assert "I added `hello.txt`." in asking.reply()
    assert "+hello" in asking.gitlab.show(asking.number, merge_request["source_branch"])
    told = "".join([asking.reply(), merge_request["description"]])
    assert PATH not in told
    assert not [each for each in asking.gitlab.pipelines.values() if each["project_id"] != RUNNER]


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
