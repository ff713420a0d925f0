"""Claude's step: it runs, what it changed is published, artifacts are left either way."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from job import (
    artifacts,
    findings,
    left,
    merge_request,
    messages,
    provenance,
    publish,
    reply,
    review,
    session,
)
from job.claude import Claude, Result, Run, arguments, variables
from job.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from job.branch import Branch, Context
    from job.cancel import Cancel
    from job.folders import Folders
    from job.request import Request
    from job.workspace import Workspace

_LOGGED = 4000  # the last bytes of what Claude Code writes to standard error


class Step:
    """Claude's step, and what it has come to: a report once Claude has run, a commit if pushed."""

    def __init__(
        self, claude: Claude, cancel: Cancel, context: Context, thread: reply.Thread, link: str
    ) -> None:
        """Take what the step needs of the job; `link` is Markdown that leads to it."""
        self._claude, self._cancel, self._context = claude, cancel, context
        self._thread, self._link = thread, link
        self.report: reply.Report | None = None
        self.pushed = ""
        self.cost: float | None = 0.0  # in US dollars; None while nobody knows
        self.stands = False  # findings of this run, on lines

    def run(
        self,
        workspace: Workspace,
        folders: Folders,
        run: Run,
        chosen: Branch,
        request: Request,
    ) -> str:
        """Return the reply, or raise Failure; `request` has all that it is told."""
        context, transcript = self._context, list[str]()
        result, commit, patch, unpushed, told = None, "", b"", b"", ""
        head = chosen.unfetched or workspace.head  # what Claude sees
        try:
            result = self._with_claude(run, folders, transcript)
            if self._cancel.canceled and result.failure:
                raise result.failure  # what is left of GitLab's time is for the reply
            changes = [] if request.read_only else workspace.changes()
            summary = merge_request.summary(result.answer, request, context.audience)
            if changes:
                commit = publish.keep(workspace, changes, summary.title, result, context)
                patch = workspace.patch(commit)
                told = provenance.statement(request, result, commit, context.environment)
            beyond = self._keep_session(run, folders, request, result, patch)
            unpushed = left.archive(workspace.left, workspace.folder, context.log.secrets.without)
            report = self._reported(result)
            remarks = (*chosen.remarks, *publish.beside(workspace, chosen, changes))
            if result.failure:
                kept = (messages.REMARK_PATCH,) if commit else ()
                self.report = report._replace(remarks=(*remarks, *kept, *beyond))
                raise result.failure
            remarks = (*remarks, *beyond)
            report = self.report = report._replace(answer=summary.answer, remarks=remarks)
            if result.structured:
                seen = review.seen(workspace, head, chosen.diff or b"", request, context)
                report = self._reviewed(report, seen, result.structured)
            if commit:
                link = self._link
                made = publish.publish(workspace, chosen, commit, changes, summary, link, context)
                self._cancel.stoppable, self.pushed = False, made.commit
                noted = publish.annotate(workspace, made.commit, told, context)
                report = report._replace(merge_request=made.url, pushed=made.commit[:8])
                report = report._replace(remarks=report.remarks + made.remarks + noted)
            nothing = messages.NOT_PUSHED if commit else messages.UNCHANGED
            context.log.line(f"\n{report.merge_request or report.pushed or nothing}")
            return reply.finished(self._link, report)
        finally:
            self._cancel.stoppable = False  # what is left to do is to say what was done
            made_of = (result, transcript, patch, unpushed, told)
            artifacts.leave(folders.private, context.log, request.id, *made_of)

    def _keep_session(
        self, run: Run, folders: Folders, request: Request, result: Result, patch: bytes
    ) -> tuple[str, ...]:
        """Keep the conversation where that is wanted; return what to remark."""
        if not self._context.inputs.resume:
            return ()
        kept = b"" if self._context.log.secrets.are_in(patch) else patch
        return session.keep(run, folders.sessions, request, result, kept)

    def _with_claude(self, run: Run, folders: Folders, transcript: list[str]) -> Result:
        inputs, log = self._context.inputs, self._context.log
        progress = Progress(log, time.monotonic, self._thread.update, self._link)
        errors, began = folders.private / "stderr", time.monotonic()
        self.cost = None
        with log.section(messages.SECTION_CLAUDE), errors.open("wb") as stderr:
            result = self._claude.run(
                arguments(run, inputs),
                variables(run, inputs, self._context.environment),
                run,
                inputs,
                progress.event,
                transcript.append,
                stderr,
            )
        self._seconds, self.cost = time.monotonic() - began, result.cost
        if result.failure:
            said = log.masked(errors.read_bytes().decode("utf-8", "replace"))
            log.line(said[-_LOGGED:])
        # Here, where it is as Claude wrote it: what is made harmless may be spelled otherwise.
        result = result._replace(answer=log.masked(result.answer))
        result = result._replace(
            session=result.session or progress.session,
            models=progress.models,
            version=progress.version,
            commands=progress.commands,
        )
        self.report = self._reported(result)
        return result

    def _reviewed(
        self, report: reply.Report, seen: review.Seen, structured: Mapping[str, Any]
    ) -> reply.Report:
        """Put what a review found on the lines it is about; what fits none is in the reply."""
        found, said = findings.read(structured, self._context.log.masked), report.answer
        if found.found:  # for the reply, should the job be canceled now
            self.report = report._replace(answer=f"{said}\n\n{review.everything(found)}")
        posted = review.Review(self._context.gitlab, seen, found)
        part = posted.post()
        self.stands = posted.stands
        self.report = report._replace(answer=f"{said}\n\n{part}".strip())
        return self.report

    def _reported(self, result: Result) -> reply.Report:
        took = result.turns, result.cost, self._seconds
        return reply.Report("", *took, result.denied, commands=result.commands)
