"""A runner for pipelines of the GitLab stand-in: it clones with a job token and starts the real gitlab-ci-local."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped,unused-ignore]

from tests import ROOT
from tests.support.gitlab.git import GitLabWithGit
from tests.support.gitlab.records import Record
from tests.support.job.tooling import Tools

COMPONENT = ROOT / "templates" / "claude.yml"
JOB_TOKEN = "glcbt-job-token"
_PYTHON = """#!/bin/sh
case "$TRIGGER_PAYLOAD" in "{{"*) printf %s "$TRIGGER_PAYLOAD" > "{file}"; export TRIGGER_PAYLOAD="{file}";; esac
exec "{python}" "$@"
"""
_SECTION = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\r")


class Ended(NamedTuple):
    """A pipeline that was run: gitlab-ci-local's exit code, all output, and the job's own exit code if there was a job."""

    code: int
    log: str
    began: float
    seconds: float
    artifacts: Mapping[str, str]


class Runner:
    """`variables` are the project's CI/CD variables; `path` decides which commands the image has."""

    def __init__(
        self,
        gitlab: GitLabWithGit,
        tools: Tools,
        variables: Mapping[str, str],
        path: str | None = None,
    ) -> None:
        self.gitlab, self.tools, self.variables = gitlab, tools, dict(variables)
        self.path = path or f"{tools.folder}/node_modules/.bin:{tools.path}"
        self._cache: Path | None = None
        self._payloads: set[str] = set()
        self.folder = Path(tempfile.mkdtemp(prefix="runner-"))
        gitlab.job_tokens.add(JOB_TOKEN)
        shim = self.folder / "bin" / "python3"
        shim.parent.mkdir()
        shim.write_text(
            _PYTHON.format(
                python=shutil.which("python3", path=tools.path), file=self.folder / "payload"
            )
        )
        shim.chmod(0o755)
        self.path = f"{shim.parent}:{self.path}"

    def close(self) -> None:
        """Remove everything it made, and the folders of files that gitlab-ci-local leaves in /tmp."""
        shutil.rmtree(self.folder, ignore_errors=True)
        for file in Path("/tmp").glob("gitlab-ci-local-file-variables-*/TRIGGER_PAYLOAD"):  # noqa: S108
            with contextlib.suppress(OSError):
                if file.read_text() in self._payloads:
                    shutil.rmtree(file.parent)

    def run(self, pipeline: Record, *, source: str = "trigger") -> Ended:
        """Run a pipeline as GitLab's runner would, rules and all."""
        project = self.gitlab.projects[pipeline["project_id"]]
        clone = self._clone(pipeline, project.path)
        home = self._home(pipeline)
        began = time.monotonic()
        command = [
            str(self.tools.gitlab_ci_local),
            "--force-shell-executor",
            "--json-schema-validation=false",
        ]
        predefined = self._predefined(pipeline, source)
        command += ["--ignore-predefined-vars", ",".join(predefined)]
        for name, value in (predefined | self.variables).items():
            command += ["--variable", f"{name}={value.replace('$', '$$')}"]
        environment = {"PATH": self.path, "HOME": str(home), "LANG": "C.UTF-8"}
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=clone,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        self.gitlab.set_pipeline(pipeline["id"], "success" if process.returncode == 0 else "failed")
        self.clone = clone
        return Ended(
            process.returncode,
            output.decode("utf-8", "replace"),
            began,
            time.monotonic() - began,
            _artifacts(clone),
        )

    def script(
        self,
        pipeline: Record,
        inputs: Mapping[str, Any],
        *,
        during: Callable[["subprocess.Popen[bytes]"], None] | None = None,
    ) -> Ended:
        """Run the component's script alone, as a runner does once GitLab has chosen the job: for what rules do not touch."""
        spec, jobs = yaml.safe_load_all(COMPONENT.read_text())
        (job,) = jobs.values()
        (text,) = job["script"]
        values = {name: given["default"] for name, given in spec["spec"]["inputs"].items()} | dict(
            inputs
        )
        for name, value in values.items():
            text = text.replace(
                f"$[[ inputs.{name} ]]",
                str(value).lower() if isinstance(value, bool) else str(value),
            )
        clone = self._clone(pipeline, self.gitlab.projects[pipeline["project_id"]].path)
        environment = {
            "PATH": self.path,
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "LANG": "C.UTF-8",
            **self._predefined(pipeline, "trigger"),
            **self.variables,
        }
        payload = self.folder / "payload.json"
        for variable in pipeline["variables"]:
            file = variable["variable_type"] == "file"
            environment[variable["key"]] = (
                str(payload) if file else variable["value"].replace("$$", "$")
            )
            if file:
                payload.write_text(variable["value"])
        began = time.monotonic()
        command = ["bash", "-c", text]
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=clone,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if during:
            threading.Thread(target=during, args=(process,), daemon=True).start()
        try:
            output, _ = process.communicate(timeout=60)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        self.clone = clone
        return Ended(
            process.returncode,
            output.decode("utf-8", "replace"),
            began,
            time.monotonic() - began,
            _artifacts(clone),
        )

    def keep_cache(self) -> None:
        """Let the next job find what this one left in the cache's folder, as GitLab's cache would."""
        self._cache = self.clone / ".gitlab-claude" / "cache"

    def list(self, pipeline: Record, source: str, variables: Mapping[str, str]) -> list[str]:
        """Return the names of the jobs gitlab-ci-local would run."""
        clone = self._clone(pipeline, self.gitlab.projects[pipeline["project_id"]].path)
        home = self._home(pipeline)
        command = [
            str(self.tools.gitlab_ci_local),
            "--list-json",
            "--ignore-predefined-vars",
            "CI_PIPELINE_SOURCE",
        ]
        for name, value in ({"CI_PIPELINE_SOURCE": source} | dict(variables)).items():
            command += ["--variable", f"{name}={value}"]
        environment = {"PATH": self.path, "HOME": str(home)}
        done = subprocess.run(
            command,
            env=environment,
            cwd=clone,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return [job["name"] for job in json.loads(done.stdout) if job["when"] != "never"]

    def preview(self, pipeline: Record) -> str:
        """Return the fully expanded YAML."""
        clone = self._clone(pipeline, self.gitlab.projects[pipeline["project_id"]].path)
        command = [str(self.tools.gitlab_ci_local), "--preview"]
        environment = {"PATH": self.path, "HOME": str(self._home(pipeline))}
        return subprocess.run(
            command,
            env=environment,
            cwd=clone,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout

    def _clone(self, pipeline: Record, path: str) -> Path:
        clone = self.folder / f"build-{pipeline['id']}" / path
        if clone.exists():
            shutil.rmtree(clone.parent)
        clone.parent.mkdir(parents=True)
        url = self.gitlab.url.replace("://", f"://gitlab-ci-token:{JOB_TOKEN}@")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GIT_CONFIG_GLOBAL": "/dev/null",
        }
        subprocess.run(
            [
                "git",
                "clone",
                "-q",
                "--depth=20",
                "-b",
                pipeline["ref"],
                f"{url}/{path}.git",
                str(clone),
            ],
            env=environment,
            check=True,
        )
        if self._cache and self._cache.is_dir():
            shutil.copytree(self._cache, clone / ".gitlab-claude" / "cache", symlinks=True)
        exclude = clone / ".git" / "info" / "exclude"
        exclude.parent.mkdir(exist_ok=True)
        exclude.write_text(".gitlab-ci-local/\n")
        return clone

    def _home(self, pipeline: Record) -> Path:
        """Make a home with the pipeline's own variables, expanded or raw as GitLab's are.

        In `rules`, GitLab takes a file variable's content and gitlab-ci-local its path. So where the rules have nothing
        else to go by, the content is a plain variable, and the file is written as late as the job's `python3`.
        """
        home = self.folder / f"home-{pipeline['id']}"
        (home / ".gitlab-ci-local").mkdir(parents=True, exist_ok=True)
        alone = [variable["key"] for variable in pipeline["variables"]] == ["TRIGGER_PAYLOAD"]
        given: dict[str, Any] = {}
        for variable in pipeline["variables"]:
            value = variable["value"]
            if variable["variable_type"] == "file":
                self._payloads.add(value)
                given[variable["key"]] = (
                    value.replace("$", "$$") if alone else {"type": "file", "values": {"*": value}}
                )
            else:
                given[variable["key"]] = value
        (home / ".gitlab-ci-local" / "variables.yml").write_text(json.dumps({"global": given}))
        return home

    def _predefined(self, pipeline: Record, source: str) -> dict[str, str]:
        project = self.gitlab.projects[pipeline["project_id"]]
        url = f"{self.gitlab.url}/{project.path}"
        return {
            "CI_PIPELINE_SOURCE": source,
            "CI_PIPELINE_ID": str(pipeline["id"]),
            "CI_JOB_ID": str(pipeline["jobs"][0]["id"]),
            "CI_JOB_URL": f"{url}/-/jobs/{pipeline['jobs'][0]['id']}",
            "CI_JOB_TOKEN": JOB_TOKEN,
            "CI_API_V4_URL": f"{self.gitlab.url}/api/v4",
            "CI_SERVER_URL": self.gitlab.url,
            "CI_PROJECT_ID": str(project.id),
            "CI_PROJECT_PATH": project.path,
            "CI_PROJECT_URL": url,
            "CI_DEFAULT_BRANCH": project.default_branch,
            "CI_COMMIT_REF_NAME": pipeline["ref"],
        }


def _artifacts(clone: Path) -> dict[str, str]:
    folders = [*(clone / ".gitlab-ci-local" / "artifacts").glob("*/.gitlab-claude")] or [
        clone / ".gitlab-claude"
    ]
    return {
        path.name: path.read_text(errors="replace")
        for folder in folders
        for path in folder.glob("*")
        if path.is_file()
    }


def plain(log: str) -> str:
    """Return the log without colours and section marks."""
    return _SECTION.sub("", log)
