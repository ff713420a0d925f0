"""The job from request to reply, in order; each failure ends in one readable reply."""

from __future__ import annotations

import os
import sys
import time
import traceback
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from job import (
    artifacts,
    audience,
    branch,
    confine,
    deadline,
    forks,
    home,
    identity,
    inputs,
    install,
    masking,
    mcp,
    merge_request,
    messages,
    prompt,
    prompts,
    repair,
    reply,
    request,
    review,
    rights,
    servers,
    session,
    signin,
    signing,
    skills,
    sources,
    uploads,
    withheld,
)
from job.cancel import Cancel
from job.claude import Claude, Run
from job.failures import Failure, Reason
from job.git import Login
from job.gitlab import GitLab, GitLabError
from job.harmless import quiet
from job.job_log import Log
from job.step import Step
from job.workspace import Workspace
from shared.contract.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.folders import Folders


def main(paths: list[str]) -> int:
    """Run the job with the component's two files, inputs and prompt; return its exit code."""
    confine.withdraw()
    environment = dict(os.environ)
    log = Log(_write, time.time)
    log.hide(*masking.held(environment, (*signin.SECRETS, mcp.TOKEN, "CI_JOB_TOKEN")))
    try:
        given = inputs.parse(*(Path(path).read_text(encoding="utf-8") for path in paths))
        messages.speak(given.language)
        log.step(f"gitlab-claude-trigger {VERSION}")
        secret = [name for name in given.environment if not isinstance(name, inputs.Plain)]
        secret += [given.token_variable, given.signing_key_variable, *given.mcp_variables]
        log.hide(*masking.held(environment, secret))
        return Job(given, home.settle(environment, given.token_variable, log), log).run()
    except Failure as failure:
        log.step("\n" + messages.NOT_STARTED.format(failure=failure.text))
        return failure.code


class Job:
    """One run of the job and what it has learned so far."""

    def __init__(self, given: inputs.Inputs, environment: Mapping[str, str], log: Log) -> None:
        """Read the request; raise Failure if there is none, or no token to answer with."""
        self._began = time.monotonic()
        self._environment, self._log = environment, log
        payload = environment.get("TRIGGER_PAYLOAD")
        file = Path(payload) if payload else None
        self._request = request.read(environment, file, guided=given.guided)
        messages.speak(given.language or self._request.language)
        asked = self._request
        given = forks.lowered(given, asked)
        lowered = inputs.lowered(given, asked.turns, asked.minutes, asked.dollars)
        self._audience = audience.of(self._request, given, environment)
        self._inputs = lowered._replace(resume=given.resume and self._audience.keeps_session)
        if not self._audience.all_words:
            log.say_steps_only(messages.STEPS_ONLY)
        self._token = environment.get(given.token_variable, "").strip()
        if not self._token:
            name, purpose = given.token_variable, messages.NO_ANSWER
            raise Failure(Reason.VARIABLE_MISSING, name=name, purpose=purpose)
        ca_file = environment.get("CI_SERVER_TLS_CA_FILE") or None
        project = environment.get("CI_PROJECT_ID", "")
        url = environment["CI_API_V4_URL"]
        self._claude = Claude()
        self._cancel = Cancel(self._claude)
        self._gitlab = GitLab(
            url, project, self._token, ca_file=ca_file, masked=log.masked, pause=self._cancel.pause
        )
        job = messages.JOB_NAME.format(id=environment.get("CI_JOB_ID", ""))
        address = environment.get("CI_JOB_URL", "")
        self._link = f"[{job}]({address})" if address else job

    def run(self) -> int:
        """Do the work; return the exit code, or raise Failure if GitLab takes no token of ours."""
        self._cancel.catch(self._gitlab.hurry)
        confine.end_with_parent()
        user = self._user()
        if sources.own_push(self._environment, user):
            self._log.step(messages.OWN_PUSH)
            return 0
        rights.warn(self._gitlab, user, self._inputs, self._environment, self._log)
        pipeline = self._environment.get("CI_PIPELINE_ID", "")
        author = self._inputs.reply_author
        thread = reply.Thread(self._gitlab, self._request, user, author, pipeline)
        thread.find()
        if thread.taken_by:
            self._log.step(messages.TAKEN.format(pipeline=thread.taken_by))
            return 0
        if self._superseded(thread):
            return 0
        thread.update(reply.working(self._link, []))
        self._in_order()
        told = self._request, self._inputs, user, self._environment
        context = branch.Context(self._gitlab, *told, self._log, self._audience)
        step = Step(self._claude, self._cancel, context, thread, self._link)
        text, code = self._outcome(context, step, thread)
        artifacts.leave_unsaid(Workspace.around(Path.cwd()), self._log)
        if not step.stands and self._superseded(thread, step.pushed):
            return 0
        try:
            thread.say(text, step.pushed, step.cost)
        except GitLabError as error:
            failed = messages.REPLY_FAILED.format(error=error)
            self._log.line(f"{failed}\n\n{text}", step=f"HTTP {error.status}")
            code = code or Reason.GITLAB_REFUSED.code
        return code

    def _superseded(self, thread: reply.Thread, pushed: str = "") -> bool:
        """Leave a run without a word that nobody asked for, where newer commits have come."""
        if not merge_request.superseded(self._gitlab, self._request, pushed):
            return False
        thread.withdraw()
        self._log.step(messages.SUPERSEDED)
        return True

    def _outcome(
        self, context: branch.Context, step: Step, thread: reply.Thread
    ) -> tuple[str, int]:
        """Work, and return the last word and the exit code, whatever happened."""
        try:
            token = self._inputs.token_variable
            self._cancel.begin()
            self._request = withheld.read(self._request, self._gitlab, self._environment, token)
            forks.check(self._request)
            found = repair.find(self._request, context)
            if found.number:  # it counts from here on, however it ends
                thread.repair = found.number
                thread.update(reply.working(self._link, []))
            return self._work(context, step, found), 0
        except Failure as error:
            self._cancel.stoppable = False
            failure = error
            self._log.line(f"\n{failure.text}", step=failure.reason.name.lower())
        except Exception as error:  # noqa: BLE001  whatever it is, the person who asked is told
            failure = Failure(Reason.DEFECT, name=type(error).__name__)
            self._log.line(traceback.format_exc(), step=type(error).__name__)
        return reply.failed(self._link, failure, step.report), failure.code

    def _work(self, context: branch.Context, step: Step, found: repair.Found) -> str:
        """Do everything between the first word and the last, which is returned."""
        environment, log = self._environment, self._log
        with artifacts.folders(Workspace.around(Path.cwd())) as folders:
            login = Login(f"{environment['CI_PROJECT_URL']}.git", self._token)
            workspace = Workspace(Path.cwd(), folders.private, environment, login)
            claude = identity.choose(workspace.folder, folders, environment, self._inputs, log)
            workspace.commits.key = signing.key(self._inputs, environment, log)
            sign_in = signin.variables(self._inputs, environment, self._request.model, log)
            package = partial(install.package, folders, claude, environment, log)
            with self._log.section(messages.SECTION_INSTALL):
                version = self._inputs.claude_version
                program = install.claude(version, claude, environment, package)
                self._log.line(program)
            with self._log.section(messages.SECTION_BRANCH):
                home.clone(workspace.folder, login, environment, self._inputs.token_variable, log)
                chosen = branch.choose(workspace, context)
            images = uploads.fetch(self._gitlab, self._request, environment)
            unread = [quiet(uploads.remark(images.unread))] if images.unread else []
            chosen = chosen._replace(remarks=(*chosen.remarks, *found.remarks, *unread))
            texts = self._texts(workspace, chosen, images, found)
            run = self._prepare(workspace, folders, texts, program, sign_in)
            run = mcp.given(run, folders.claude, self._inputs, environment, package)
            run = run._replace(skills=skills.given(run.home, run.system, workspace, self._inputs))
            run = servers.given(run, workspace, folders.claude, self._inputs, environment)
            workspace.guard()
            signing.check(workspace.commits.try_key, self._inputs, log)
            schema = prompts.REVIEW_SCHEMA if review.wanted(self._request, self._audience) else ""
            run = run._replace(identity=claude, schema=schema, read_only=self._request.read_only)
            if run.resume:
                run = session.taken_up(run, workspace, folders.sessions, self._request)
            return step.run(workspace, folders, run, chosen, self._request)

    def _texts(
        self,
        workspace: Workspace,
        chosen: branch.Branch,
        images: uploads.Images,
        found: repair.Found,
    ) -> prompt.Prompt:
        """Return what Claude is told."""
        fetched = prompt.Fetched(
            chosen.diff, images, chosen.conflicts, found.told or None, repair=found.number > 0
        )
        return prompt.build(
            self._request,
            project=self._environment.get("CI_PROJECT_PATH", ""),
            prompt=self._inputs.prompt,
            prompt_file=self._inputs.prompt_file,
            file=workspace.file,
            nested=workspace.nested_guides(),
            fetched=fetched,
        )

    def _prepare(
        self,
        workspace: Workspace,
        folders: Folders,
        texts: prompt.Prompt,
        program: str,
        sign_in: Mapping[str, str],
    ) -> Run:
        """Write what Claude reads beside the work tree."""
        claude = folders.claude
        home, extra, system = claude / "home", claude / "context", claude / "system-prompt.md"
        home.mkdir()
        extra.mkdir()
        told = texts.system + (
            prompts.MAY_ASK if self._inputs.resume and self._request.kind else ""
        )
        system.write_text(told, encoding="utf-8", errors="replace")
        for name, content in texts.files.items():
            (extra / name).write_bytes(content)
        resume = ""
        if self._inputs.resume:
            config = home / ".claude"
            resume = session.restore(
                folders.sessions, self._request.target, config, workspace.folder
            )
        return Run(
            program=program,
            folder=workspace.folder,
            home=home,
            extra=extra,
            system=system,
            message=texts.message,
            sign_in=sign_in,
            deadline=self._deadline(),
            resume=resume,
        )

    def _deadline(self) -> float:
        """Return the seconds Claude has."""
        minutes = self._inputs.timeout_minutes
        return deadline.seconds(self._environment, minutes, self._began)

    def _user(self) -> Mapping[str, object]:
        try:
            return self._gitlab.user()
        except GitLabError as error:
            self._log.line(str(error))
            if error.status in (401, 403):
                raise Failure(Reason.TOKEN_REJECTED, name=self._inputs.token_variable) from None
            raise Failure(Reason.GITLAB_UNAVAILABLE) from None

    def _in_order(self) -> None:
        """Let what waits for this run, in the same thread, run in the order it was asked.

        GitLab's own mode is no order; only its API sets another, as a Developer may:
        https://docs.gitlab.com/api/resource_groups/#edit-an-existing-resource-group
        """
        key = quote(f"claude-{self._environment.get('AI_FLOW_THREAD', '')}", safe="")
        with suppress(GitLabError):
            self._gitlab.put(f"resource_groups/{key}", {"process_mode": "oldest_first"})


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()
