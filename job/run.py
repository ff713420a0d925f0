"""The job from request to reply, in order; each step is another module's, each failure ends in one readable reply."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from job import (
    artifacts,
    branch,
    install,
    mcp,
    merge_request,
    prompt,
    reply,
    request,
    session,
    settings,
    signin,
)
from job.claude import Claude, Result, Run, arguments, environment
from job.git import Login
from job.gitlab import GitLab, GitLabError
from job.log import Log
from job.outcome import Ending, Failure
from job.progress import Progress
from job.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.artifacts import Folders

_RESERVE = 60.0  # seconds of GitLab's own time limit that are kept for commit, push and reply
_SECRETS = (
    *signin.SECRETS,
    mcp.TOKEN,
    "CI_JOB_TOKEN",
    "CI_REGISTRY_PASSWORD",
    "CI_DEPLOY_PASSWORD",
)


def main(command: list[str]) -> int:
    """Run the job with the settings file and the prompt file the component wrote; return its exit code."""
    given = dict(os.environ)
    log = Log(_say, time.time)
    log.hide(*(given[name] for name in _SECRETS if name in given))
    try:
        chosen = settings.parse(*(Path(path).read_text(encoding="utf-8") for path in command))
        log.hide(given.get(chosen.token_variable, ""))
        return Job(chosen, given, log).run()
    except Failure as failure:
        log.line(f"\nClaude could not start. {failure.text}")
        return failure.code


class Job:
    """One run of the job and what it learned so far."""

    def __init__(self, chosen: settings.Settings, given: Mapping[str, str], log: Log) -> None:
        """Read the request; raise Failure where there is none, or no token to answer with."""
        self._began, self._late = time.monotonic(), _since(given.get("CI_JOB_STARTED_AT", ""))
        self._given, self._log = given, log
        payload = given.get("TRIGGER_PAYLOAD")
        self._request = request.read(given, Path(payload) if payload else None)
        self._chosen = settings.lowered(chosen, self._request.turns, self._request.minutes)
        self._token = given.get(chosen.token_variable, "").strip()
        if not self._token:
            purpose = "nothing can be pushed or answered"
            raise Failure(Ending.VARIABLE_MISSING, name=chosen.token_variable, purpose=purpose)
        ca_file = given.get("CI_SERVER_TLS_CA_FILE") or None
        project = given.get("CI_PROJECT_ID", "")
        self._gitlab = GitLab(given["CI_API_V4_URL"], project, self._token, ca_file=ca_file)
        self._link = f"[job {given.get('CI_JOB_ID', '')}]({given.get('CI_JOB_URL', '')})"
        self._claude = Claude()
        self._canceled = False
        self._report: reply.Report | None = None

    def run(self) -> int:
        """Do the work; return the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._cancel)
        user = self._user()
        pipeline = self._given.get("CI_PIPELINE_ID", "")
        thread = reply.Thread(
            self._gitlab, self._request, user, self._chosen.reply_author, pipeline
        )
        thread.find()
        if thread.taken_by:
            self._log.line(
                f"This request has had its run in pipeline {thread.taken_by}. Nothing was done."
            )
            return 0
        thread.update(reply.working(self._link, []))
        course = branch.Course(
            self._gitlab, self._request, self._chosen, user, self._given, self._log
        )
        said, code = self._end(course, thread)
        try:
            thread.say(said)
        except GitLabError as error:
            self._log.line(f"The reply could not be written. {error}\n\n{said}")
            code = code or Ending.GITLAB_REFUSED.code
        return code

    def _end(self, course: branch.Course, thread: reply.Thread) -> tuple[str, int]:
        """Work, and return the last word and the exit code, whatever happened."""
        try:
            return self._work(course, thread), 0
        except Failure as error:
            failure = error
            self._log.line(f"\n{failure.text}")
        except Exception as error:  # noqa: BLE001  whatever it is, the person who asked is told
            failure = Failure(Ending.DEFECT, name=type(error).__name__)
            self._log.line(traceback.format_exc())
        return reply.failed(self._link, failure, self._report), failure.code

    def _work(self, course: branch.Course, thread: reply.Thread) -> str:
        """Everything between the first word and the last."""
        with artifacts.folders(Workspace.around(Path.cwd())) as folders:
            place = Workspace(
                Path.cwd(), folders.private, self._given, Login(self._project_git, self._token)
            )
            sign_in = signin.environment(
                self._chosen, self._given, folders.private, self._request.model
            )
            install_package = partial(
                install.package, folders=folders, given=self._given, log=self._log
            )
            with self._log.section("Claude Code"):
                program = install.claude(self._chosen.claude_version, self._given, install_package)
                self._log.line(program)
            with self._log.section("Branch"):
                chosen = branch.choose(place, course)
            words = prompt.build(
                self._request,
                project=self._given.get("CI_PROJECT_PATH", ""),
                prompt=self._chosen.prompt,
                prompt_file=self._chosen.prompt_file,
                file=place.file,
                diff=chosen.diff,
            )
            server = (
                mcp.server(self._given, folders.private, install_package)
                if self._chosen.mcp != "none"
                else None
            )
            run = self._prepared(place, folders, words)._replace(program=program, sign_in=sign_in)
            if server:
                run = run._replace(mcp=server.config, mcp_tools=server.tools)
            place.guard()
            return self._with_claude(place, folders, run, chosen, course, thread)

    def _with_claude(
        self,
        place: Workspace,
        folders: Folders,
        run: Run,
        chosen: branch.Branch,
        course: branch.Course,
        thread: reply.Thread,
    ) -> str:
        """Run Claude, publish what it changed and return the reply; artifacts are left either way."""
        transcript: list[str] = []
        result, patch = None, b""
        try:
            result = self._run_claude(run, folders, thread, transcript)
            if self._chosen.resume:
                session.save(
                    folders.cache / "sessions",
                    self._request.target,
                    run.home / ".claude",
                    result.session,
                )
            changes = place.changes()
            words = merge_request.words(result.answer, self._request)
            commit = branch.keep(place, changes, words.title, course) if changes else ""
            patch = place.patch(commit) if commit else b""
            if result.failure:
                said = (
                    ("What it had changed by then is in the job's artifacts: changes.patch.",)
                    if commit
                    else ()
                )
                self._report = self._reported(result)._replace(remarks=said)
                raise result.failure
            report = self._report = self._reported(result)._replace(answer=words.answer)
            if chosen.moved:
                report = report._replace(
                    remarks=("The branch had moved on since you asked: this is about its head.",)
                )
            if commit:
                made = branch.publish(place, chosen, commit, changes, words, self._link, course)
                remarks = report.remarks + made.remarks
                report = report._replace(
                    merge_request=made.url, pushed=made.commit, remarks=remarks
                )
            self._log.line(f"\n{report.merge_request or report.pushed or 'Nothing was changed.'}")
            return reply.finished(self._link, report)
        finally:
            artifacts.leave(place.folder, self._log, self._request.id, result, transcript, patch)

    def _prepared(self, place: Workspace, folders: Folders, words: prompt.Prompt) -> Run:
        """Write what Claude reads beside the work tree."""
        private = folders.private
        home, extra, system = private / "home", private / "context", private / "system-prompt.md"
        home.mkdir()
        extra.mkdir()
        system.write_text(words.system, encoding="utf-8", errors="replace")
        for name, content in words.files.items():
            (extra / name).write_bytes(content)
        resumed = ""
        if self._chosen.resume:
            resumed = session.restore(
                folders.cache / "sessions", self._request.target, home / ".claude", place.folder
            )
        return Run(
            "",
            place.folder,
            home,
            extra,
            system,
            words.message,
            {},
            None,
            (),
            resumed,
            self._deadline(),
        )

    def _deadline(self) -> float:
        """Seconds Claude has: the input's minutes, but never so many that GitLab ends the job before the reply."""
        used = time.monotonic() - self._began + self._late
        ours = self._chosen.timeout_minutes * 60 - used
        limit = self._given.get("CI_JOB_TIMEOUT", "")
        return min(ours, float(limit) - used - _RESERVE) if limit.isdecimal() else ours

    def _run_claude(
        self, run: Run, folders: Folders, thread: reply.Thread, transcript: list[str]
    ) -> Result:
        if self._canceled:
            raise Failure(Ending.CANCELED)
        progress = Progress(self._log, time.monotonic, thread.update, self._link)
        errors, began = folders.private / "stderr", time.monotonic()
        with self._log.section("Claude at work"), errors.open("wb") as stderr:
            result = self._claude.run(
                arguments(run, self._chosen), environment(run, self._chosen, self._given), run, self._chosen,
                progress.event, transcript.append, stderr,
            )  # fmt: skip
        self._seconds = time.monotonic() - began
        if result.failure:
            self._log.line(errors.read_bytes()[-4000:].decode("utf-8", "replace"))
        self._report = self._reported(result)
        return result

    def _reported(self, result: Result) -> reply.Report:
        return reply.Report("", result.turns, result.cost, self._seconds, result.denied)

    @property
    def _project_git(self) -> str:
        return f"{self._given['CI_PROJECT_URL']}.git"

    def _user(self) -> Mapping[str, object]:
        try:
            return self._gitlab.user()
        except GitLabError as error:
            self._log.line(str(error))
            if error.status in (401, 403):
                raise Failure(Ending.TOKEN_REJECTED, name=self._chosen.token_variable) from None
            raise Failure(Ending.GITLAB_UNAVAILABLE) from None

    def _cancel(self, _number: int, _frame: object) -> None:
        self._canceled = True
        self._claude.stop(Failure(Ending.CANCELED))


def _since(started: str) -> float:
    """Return the seconds GitLab has already counted, for cloning and caches; 0 where it does not say."""
    try:
        then = datetime.strptime(started.rstrip("Z"), "%Y-%m-%dT%H:%M:%S").replace(
            tzinfo=timezone.utc
        )
    except ValueError:
        return 0.0
    return min(max(time.time() - then.timestamp(), 0.0), 3600.0)


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
