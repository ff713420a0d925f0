"""One installation for the job's end-to-end tests: stand-ins, local platform, runner.

Every test gets a project of its own; nothing is started twice that can be shared.
"""

import itertools
import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from tests.support.fakes import API_TOKEN, WEBHOOK_SECRETS, sign
from tests.support.gitlab.git import GitLabWithGit
from tests.support.gitlab.records import Record
from tests.support.gitlab.server import Delivery
from tests.support.job.model import Model, Turn, say, use
from tests.support.job.runner import COMPONENT, Ended, Runner
from tests.support.job.tooling import Tools
from tests.support.platforms.local import Local

BOT, ADA, MALLORY = 1, 42, 43
JOB_TOKEN = "glpat-canary-of-the-job"
MODEL_KEY = "sk-ant-canary-of-the-model"
SIGNING_KEY = "canary-of-the-signing-key-of-the-trigger"
IDENTITY = "canary-header.canary-claims.canary-signature"
POOL = "projects/1/locations/global/workloadIdentityPools/gitlab/providers/gitlab"
CHANGE: list[Turn] = [
    [say("I write it."), use("Write", file_path="hello.txt", content="hello\n")],
    [say("Title: Add a greeting\n\nI added `hello.txt`.")],
]
ANSWER: list[Turn] = [[say("It greets.")]]


class Installation:
    """What all tests of a module share."""

    def __init__(self, tools: Tools, **settings: str) -> None:
        self.tools, self.settings = tools, settings
        self.numbers = itertools.count(1000)

    def __enter__(self) -> Self:
        self.gitlab = GitLabWithGit().__enter__()
        gitlab = self.gitlab
        gitlab.user(BOT, "claude", bot=True)
        gitlab.user(ADA, "ada")
        gitlab.user(MALLORY, "mallory")
        gitlab.api_token(API_TOKEN, BOT)
        gitlab.api_token(JOB_TOKEN, BOT, ("api", "write_repository"))
        tokens = {str(number): f"glptt-{number}" for number in range(1000, 1200)}
        secrets = json.dumps(
            {"api_token": API_TOKEN, "trigger_tokens": tokens, "signing_keys": [SIGNING_KEY]}
        )
        limits = {"RUNS_PER_THREAD": "0", "RUNS_PER_USER_PER_HOUR": "0", "RUNS_PER_DAY": "0"}
        settings = {"AUTO": "fix: failed", **self.settings}
        self.local = Local(gitlab.url, WEBHOOK_SECRETS, secrets, **limits, **settings)
        self.local.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.local.stop()
        self.gitlab.__exit__(kind, error, trace)


class Scene:
    """One project with one issue, a model with a script, and the project's runner."""

    def __init__(
        self, installation: Installation, turns: list[Turn], inputs: Mapping[str, Any] | None = None
    ) -> None:
        self.gitlab, self.local = installation.gitlab, installation.local
        self.tools = installation.tools
        self.model = Model(turns)
        self.number = next(installation.numbers)
        self.path = f"group/app-{self.number}"
        self.inputs: dict[str, Any] = {"claude_version": "2.1.332", **(inputs or {})}
        gitlab, number = self.gitlab, self.number
        gitlab.project(number, self.path)
        gitlab.member(number, BOT, 40)
        gitlab.member(number, ADA, 30)
        gitlab.trigger_token(f"glptt-{number}", number, BOT)
        gitlab.issue(number, 5, title="Greet", author_id=ADA)
        files = {"templates/claude.yml": COMPONENT.read_text(), "README.md": "An app.\n"}
        gitlab.commit(number, "main", files)
        self.include(self.inputs)

    def include(self, inputs: Mapping[str, Any]) -> None:
        """Let the project's .gitlab-ci.yml include the component with these inputs."""
        include = {"include": [{"local": "templates/claude.yml", "inputs": inputs}]}
        self.gitlab.commit(self.number, "main", {".gitlab-ci.yml": json.dumps(include)})

    def __enter__(self) -> Self:
        self.model.__enter__()
        self.runner = Runner(self.gitlab, self.tools, self.variables())
        return self

    def __exit__(self, *_: object) -> None:
        self.runner.close()
        self.model.__exit__()

    def variables(self) -> dict[str, str]:
        """The project's CI/CD variables, as the set-up pages name them."""
        url = self.model.url
        by_provider = {
            "anthropic": {"ANTHROPIC_API_KEY": MODEL_KEY, "ANTHROPIC_BASE_URL": url},
            "anthropic-oidc": {
                "ANTHROPIC_FEDERATION_RULE_ID": "fdrl_1",
                "ANTHROPIC_ORGANIZATION_ID": "00000000-0000-0000-0000-000000000001",
                "ANTHROPIC_SERVICE_ACCOUNT_ID": "svac_1",
                "ANTHROPIC_BASE_URL": url,
            },
            "anthropic-aws": {
                "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/claude",
                "AWS_ENDPOINT_URL_STS": f"{url}/sts",
                "ANTHROPIC_AWS_WORKSPACE_ID": "wrkspc_1",
                "ANTHROPIC_AWS_BASE_URL": url,
            },
            "foundry": {
                "AZURE_TENANT_ID": "tenant",
                "AZURE_CLIENT_ID": "client",
                "AZURE_AUTHORITY_HOST": url,
                "ANTHROPIC_FOUNDRY_BASE_URL": f"{url}/anthropic",
            },
            "bedrock": {
                "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/claude",
                "AWS_ENDPOINT_URL_STS": f"{url}/sts",
                "ANTHROPIC_BEDROCK_BASE_URL": f"{url}/bedrock",
            },
            "vertex": {
                "GCP_WORKLOAD_IDENTITY_PROVIDER": POOL,
                "GCP_SERVICE_ACCOUNT": "claude@project.iam.gserviceaccount.com",
                "GCP_PROJECT_ID": "project",
                "GCP_STS_URL": f"{url}/google/v1/token",
                "GCP_IAM_URL": f"{url}/google",
                "ANTHROPIC_VERTEX_BASE_URL": f"{url}/vertex/v1",
            },
        }
        return {
            "GITLAB_ACCESS_TOKEN": JOB_TOKEN,
            "CLAUDE_CODE_MAX_RETRIES": "0",
            "CLAUDE_IDENTITY_TOKEN": IDENTITY,
            "CLAUDE_API_IDENTITY_TOKEN": IDENTITY,
            **by_provider[self.inputs.get("provider", "anthropic")],
        }

    def ask(self, text: str, kind: str = "issue", iid: int = 5, **note: Any) -> Record:
        """Write a comment, deliver it, let the local platform work; return the new pipeline."""
        written = self.gitlab.note(self.number, kind, iid, author_id=ADA, body=text, **note)
        self.note = written
        [made] = self.deliver(self.gitlab.note_hook(written))
        return made

    def deliver(self, delivery: Delivery, status: int = 202) -> list[Record]:
        """Deliver what GitLab tells, let the local platform work; return the new pipelines."""
        before = set(self.gitlab.pipelines)
        headers, body = delivery
        answer = self.local.deliver("POST", headers | sign(body, time.time()), body)
        assert answer.status == status, answer.body
        self.local.settle()
        new = [self.gitlab.pipelines[number] for number in set(self.gitlab.pipelines) - before]
        return [pipeline for pipeline in new if pipeline["project_id"] == self.number]

    def pipeline(self) -> Record:
        """A pipeline of the default branch without variables, for what only looks at the YAML."""
        return self.trigger({"token": f"glptt-{self.number}", "ref": "main"})

    def trigger(self, body: Mapping[str, Any]) -> Record:
        """Start a pipeline as another sender would; return it."""
        url = f"{self.gitlab.url}/api/v4/projects/{self.number}/trigger/pipeline"
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
            return self.gitlab.pipelines[json.load(response)["id"]]

    def merge_request(
        self, branch: str, files: Mapping[str, str | None], target: str = "main", iid: int = 3
    ) -> str:
        """Push a branch with these files and open a merge request for it; return its commit."""
        commit = self.gitlab.commit(self.number, branch, files, parent=target)
        self.gitlab.merge_request(
            self.number, iid, source_branch=branch, target_branch=target, sha=commit, author_id=ADA
        )
        return commit

    def run(self, pipeline: Record) -> Ended:
        """Run the pipeline through gitlab-ci-local."""
        return self.runner.run(pipeline)

    def script(
        self, pipeline: Record, during: Callable[["subprocess.Popen[bytes]"], None] | None = None
    ) -> Ended:
        """Run the component's script alone.

        `during` runs beside it, once Claude has called the model.
        """

        def wait(process: "subprocess.Popen[bytes]") -> None:
            self.model.called.wait(30)
            if during:
                during(process)
            if self.model.hold:
                self.model.hold.set()

        return self.runner.script(pipeline, self.inputs, during=wait if during else None)

    def replies(self) -> list[str]:
        """What our own user has written in this project."""
        notes = [note for note in self.gitlab.notes.values() if note["project_id"] == self.number]
        return [note["body"] for note in notes if note["author_id"] == BOT]

    def reply(self) -> str:
        """The one reply: there must be neither none nor a second."""
        found = self.replies()
        assert len(found) == 1, found
        return found[0]

    def merge_requests(self) -> list[Record]:
        """The project's merge requests."""
        return [
            record
            for (project, _), record in self.gitlab.merge_requests.items()
            if project == self.number
        ]

    def posted(self, path: str) -> dict[str, Any]:
        """The body of the one POST below the project to this path."""
        whole = f"/projects/{self.number}/{path}"
        calls = [call for call in self.gitlab.calls if call.method == "POST"]
        (body,) = [call.json for call in calls if call.path.endswith(whole)]
        return dict(body)

    def git(self, *arguments: str) -> str:
        """Run git in the project's repository."""
        return self.gitlab.git(self.gitlab.repository(self.number), *arguments)

    def everything_said(self, ended: Ended) -> str:
        """All that a reader may ever see of a run: log, artifacts, notes, merge requests."""
        written = [
            *self.replies(),
            *(record["description"] + record["title"] for record in self.merge_requests()),
        ]
        return "\n".join([ended.log, *ended.artifacts.values(), *written])
