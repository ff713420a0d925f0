"""A runner for pipelines of the GitLab stand-in.

It clones with a job token and starts the real gitlab-ci-local.
"""

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
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped,unused-ignore]

from tests import ROOT
from tests.support.gitlab.git import GitLabWithGit
from tests.support.gitlab.records import Record
from tests.support.job.programs import program
from tests.support.job.tooling import Tools

COMPONENT = ROOT / "templates" / "claude.yml"
JOB_TOKEN = "glcbt-job-token"
_SECONDS = 180
_TEXT = "AI_FLOW_INPUT"
# Stands before the image's python3: the file of TRIGGER_PAYLOAD is written as late as this.
_PYTHON = """\
case "$TRIGGER_PAYLOAD" in "{{"*)
  printf %s "$TRIGGER_PAYLOAD" > "{file}"
  export TRIGGER_PAYLOAD="{file}";;
esac
{begin}
exec "{python}" "$@"
"""
_SECTION = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\r")


class Ended(NamedTuple):
    """A pipeline that was run: the exit code, all output, and what the job left.

    The code is gitlab-ci-local's, or the job's own where its script was run alone.
    """

    code: int
    log: str
    began: float
    seconds: float
    artifacts: Mapping[str, str]


class Runner:
    """`variables` are the project's; `path` decides which commands the image has."""

    def __init__(
        self,
        gitlab: GitLabWithGit,
        tools: Tools,
        variables: Mapping[str, str],
        path: str | None = None,
    ) -> None:
        self.gitlab, self.tools, self.variables = gitlab, tools, dict(variables)
        self._cache: Path | None = None
        self.empty = False  # whether jobs find no checkout, as those of a runner project
        # What GitLab hands out in one environment alone: variables by name, texts by scope.
        self.scoped: Mapping[str, Mapping[str, str]] = {}
        # The command that starts the script, as another user for example.
        self.start: Callable[[Path], list[str]] = lambda _: []
        self.shell = ["bash"]
        self._payloads: set[str] = set()
        self.folder = Path(tempfile.mkdtemp(prefix="runner-"))
        self.folder.chmod(0o755)  # as the folder of GitLab's runner is
        gitlab.job_tokens.add(JOB_TOKEN)
        # What a test changes in the component's script.
        self.changed: Mapping[str, str] = {}
        self.python(str(shutil.which("python3", path=tools.path)))
        self.path = f"{self.folder / 'bin'}:{path or f'{tools.client}:{tools.path}'}"

    def python(self, path: str, begin: str = "") -> None:
        """Let this be the image's python3, which begins with a line of shell."""
        script = _PYTHON.format(python=path, file=self.folder / "payload", begin=begin)
        program(self.folder / "bin" / "python3", script)

    def close(self) -> None:
        """Remove everything it made, and the folders of files that gitlab-ci-local leaves."""
        shutil.rmtree(self.folder, ignore_errors=True)
        left = Path("/tmp").glob("gitlab-ci-local-file-variables-*/TRIGGER_PAYLOAD")  # noqa: S108
        for file in left:
            with contextlib.suppress(OSError):
                if file.read_text() in self._payloads:
                    shutil.rmtree(file.parent)

    def run(self, pipeline: Record, *, source: str = "trigger") -> Ended:
        """Run a pipeline as GitLab's runner would, rules and all.

        gitlab-ci-local reads the configuration in a checkout: of an empty one the program begins in
        another folder.
        """
        clone = self._clone(pipeline, emptied=False)
        if self.empty:
            left = self.folder / f"empty-{pipeline['id']}"
            left.mkdir()
            there = f'cd "{left}"; export CI_PROJECT_DIR="{left}"'
            self.python(str(shutil.which("python3", path=self.tools.path)), there)
        predefined = self._predefined(pipeline, source)
        variables = predefined | self.variables
        command = self._command(
            {name: value.replace("$", "$$") for name, value in variables.items()},
            "--force-shell-executor",
            "--json-schema-validation=false",
            "--ignore-predefined-vars",
            ",".join(predefined),
        )
        environment = {"PATH": self.path, "HOME": str(self._home(pipeline)), "LANG": "C.UTF-8"}
        ended = self._ended(command, environment, clone)
        status = "success" if ended.code == 0 else "failed"
        self.gitlab.set_pipeline(pipeline["id"], status)
        return ended

    def script(
        self,
        pipeline: Record,
        inputs: Mapping[str, Any],
        *,
        during: Callable[["subprocess.Popen[bytes]"], None] | None = None,
    ) -> Ended:
        """Run the component's script alone, as a runner does once GitLab has chosen the job.

        That is for what rules do not touch. `during` runs beside it.
        """
        environment = {
            "PATH": self.path,
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "LANG": "C.UTF-8",
            **self._predefined(pipeline, "trigger"),
            **self.variables,
        }
        for variable in pipeline["variables"]:
            value = variable["value"].replace("$$", "$")
            if variable["variable_type"] == "file":
                (self.folder / "payload.json").write_text(variable["value"])
                value = str(self.folder / "payload.json")
            environment[variable["key"]] = value
        clone = self._clone(pipeline)
        script = self.folder / f"script-{pipeline['id']}"
        text = _script(inputs)
        for old, new in self.changed.items():
            assert old in text
            text = text.replace(old, new)
        script.write_text(text)
        return self._ended(
            [*self.start(clone), *self.shell, str(script)], environment, clone, during
        )

    def created_at(self, pipeline: Record) -> str:
        """Return when a pipeline was created, as GitLab's variable has it: to the second, UTC."""
        created = datetime.fromtimestamp(pipeline["created_at"], UTC)
        return created.strftime("%Y-%m-%dT%H:%M:%SZ")

    def keep_cache(self) -> None:
        """Let the next job find what this one left in the cache's folder, as GitLab would."""
        self._cache = self.clone / ".gitlab-claude" / "cache"

    def jobs(self, pipeline: Record, source: str, variables: Mapping[str, str]) -> list[str]:
        """Return the names of the jobs gitlab-ci-local would run."""
        done = self._asked(
            pipeline,
            {"CI_PIPELINE_SOURCE": source, **variables},
            "--list-json",
            "--json-schema-validation=false",  # `preview` looks at the file
            "--ignore-predefined-vars",
            "CI_PIPELINE_SOURCE",
        )
        return [job["name"] for job in json.loads(done) if job["when"] != "never"]

    def preview(self, pipeline: Record) -> str:
        """Return the fully expanded YAML."""
        return self._asked(pipeline, {}, "--preview")

    def _asked(self, pipeline: Record, variables: Mapping[str, str], *options: str) -> str:
        """Return what gitlab-ci-local says; raise RuntimeError with its words."""
        said = self.folder / "said"  # of a pipe that is read slowly it would leave out the end
        with said.open("wb") as file:
            done = subprocess.run(
                self._command(variables, *options),
                env={"PATH": self.path, "HOME": str(self._home(pipeline))},
                cwd=self._clone(pipeline),
                stdout=file,
                stderr=subprocess.PIPE,
                check=False,
                timeout=_SECONDS,
            )
        if done.returncode:
            raise RuntimeError(done.stderr.decode())
        return said.read_text()

    def _command(self, variables: Mapping[str, str], *options: str) -> list[str]:
        command = [str(self.tools.gitlab_ci_local), *options]
        for name, value in variables.items():
            command += ["--variable", f"{name}={value}"]
        return command

    def _ended(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        clone: Path,
        during: Callable[["subprocess.Popen[bytes]"], None] | None = None,
    ) -> Ended:
        """Run a command to its end, and end what it has started."""
        self.clone = clone
        began = time.monotonic()
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
            output, _ = process.communicate(timeout=_SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        seconds, log = time.monotonic() - began, output.decode("utf-8", "replace")
        return Ended(process.returncode, log, began, seconds, _artifacts(clone))

    def _clone(self, pipeline: Record, *, emptied: bool = True) -> Path:
        path = self.gitlab.projects[pipeline["project_id"]].path
        clone = self.folder / f"build-{pipeline['id']}" / path
        if clone.exists():
            shutil.rmtree(clone.parent)
        clone.parent.mkdir(parents=True)
        url = self.gitlab.url.replace("://", f"://gitlab-ci-token:{JOB_TOKEN}@")
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder)}
        environment["GIT_CONFIG_GLOBAL"] = "/dev/null"
        command = ["git", "clone", "-q", "--template=", "--depth=20", "-b", pipeline["ref"]]
        subprocess.run([*command, f"{url}/{path}.git", str(clone)], env=environment, check=True)
        if self.empty and emptied:  # GIT_STRATEGY: empty
            shutil.rmtree(clone)
            clone.mkdir()
        if self._cache and self._cache.is_dir():
            shutil.copytree(self._cache, clone / ".gitlab-claude" / "cache", symlinks=True)
        if not (self.empty and emptied):
            exclude = clone / ".git" / "info" / "exclude"
            exclude.parent.mkdir(exist_ok=True)
            exclude.write_text(".gitlab-ci-local/\n")
        return clone

    def _home(self, pipeline: Record) -> Path:
        """Make a home with the pipeline's own variables, expanded or raw as GitLab's are.

        In `rules`, GitLab takes a file variable's content and gitlab-ci-local its path. So where
        the rules have nothing else to go by, the content is a plain variable, and the file is
        written as late as the job's `python3`.
        """
        home = self.folder / f"home-{pipeline['id']}"
        (home / ".gitlab-ci-local").mkdir(parents=True, exist_ok=True)
        alone = not any(
            variable["value"] for variable in pipeline["variables"] if variable["key"] == _TEXT
        )
        variables: dict[str, Any] = {}
        for variable in pipeline["variables"]:
            value = variable["value"]
            if variable["variable_type"] == "file":
                self._payloads.add(value)
                file = {"type": "file", "values": {"*": value}}
                value = value.replace("$", "$$") if alone else file
            variables[variable["key"]] = value
        for name, values in self.scoped.items():
            variables[name] = {"type": "variable", "values": dict(values)}
        written = json.dumps({"global": variables})
        (home / ".gitlab-ci-local" / "variables.yml").write_text(written)
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
            "CI_PROJECT_VISIBILITY": project.visibility,
            "CI_PIPELINE_CREATED_AT": self.created_at(pipeline),
            "CI_PROJECT_URL": url,
            "CI_DEFAULT_BRANCH": project.default_branch,
            "CI_COMMIT_REF_NAME": pipeline["ref"],
        }


@cache
def component() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the component's inputs and its job, read once: it is a third of a megabyte of YAML."""
    spec, jobs = yaml.safe_load_all(COMPONENT.read_text())
    (job,) = jobs.values()
    return spec["spec"]["inputs"], job


def _script(inputs: Mapping[str, Any]) -> str:
    """Return the component's script with these inputs, or their defaults, filled in."""
    given, job = component()
    (text,) = job["script"]
    defaults = {name: described["default"] for name, described in given.items()}
    for name, value in (defaults | dict(inputs)).items():
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        text = text.replace(f"$[[ inputs.{name} ]]", shown)
    return str(text)


def _artifacts(clone: Path) -> dict[str, str]:
    """Return what GitLab keeps: what the component names, also where its script ran alone."""
    _, job = component()
    named = {Path(path).name for path in job["artifacts"]["paths"]}
    kept = [*(clone / ".gitlab-ci-local" / "artifacts").glob("*/.gitlab-claude")]
    return {
        path.name: path.read_text(errors="replace")
        for folder in kept or [clone / ".gitlab-claude"]
        for path in folder.glob("*")
        if path.is_file() and path.name in named
    }


def plain(log: str) -> str:
    """Return the log without colours and section marks."""
    return _SECTION.sub("", log)
