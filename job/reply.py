"""The one reply of a run: find it, edit it, never write a second; and what it says."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from job import messages
from job.gitlab import GitLab, GitLabError
from job.harmless import literal, quiet
from shared.contract import marks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from job.failures import Failure
    from job.request import Request

EVERY = 15.0  # seconds between two edits that only show progress

_BOXES = {"completed": "[x]", "in_progress": "[ ] ▶", "pending": "[ ]"}
_MOST_TODOS, _MOST_COMMANDS = 20, 10
_CLAUDE = "claude"  # in the names that the component gives its job
_LONGEST_TODO, _LONGEST_TOOL = 120, 40  # characters


class Thread:
    """Where a run's reply stands, or will stand; `repair`: which try to repair a pipeline it is."""

    def __init__(
        self,
        gitlab: GitLab,
        request: Request,
        user: Mapping[str, object],
        author: str,
        pipeline_id: str,
    ) -> None:
        """Take GitLab's answer about our token's user, and the trigger function's user name.

        `author` is that name, or "" if it is the same user.
        """
        self._gitlab, self._request, self._pipeline = gitlab, request, pipeline_id
        self._own, self._author = user.get("id"), author
        self._noteable = f"{request.kind}s/{request.iid}"
        self._note = 0
        self._others: list[str] | None = None
        self.taken_by, self.repair = "", 0

    def find(self) -> None:
        """Look for the reply; `taken_by` is the pipeline that has already worked on this run."""
        for note in self._notes():
            body = str(note.get("body", ""))
            if self._is_ours(note) and body.rstrip().endswith(marks.of_run(self._request.id)):
                self._note = int(note["id"])
                pipeline = marks.pipeline_of(body)
                self.taken_by = pipeline if pipeline != self._pipeline else ""
                return

    def update(self, text: str) -> None:
        """Show progress, and the pipeline's other jobs: only ever an edit, no reason to fail."""
        if self._note:
            if self._others is None:
                self._others = self._beside()
            with suppress(GitLabError):
                self._edit(self._body("\n\n".join([text, *self._others]), marks.WORKING))

    def _beside(self) -> list[str]:
        """Return the sentence that names the jobs beside Claude's, if one bears that name."""
        found: object = []
        with suppress(GitLabError):
            found = self._gitlab.get(f"pipelines/{self._pipeline}/jobs", per_page=100)
        jobs = found if isinstance(found, list) else []
        names = [str(job.get("name", "")) for job in jobs if isinstance(job, dict)]
        others = [literal(name, _LONGEST_TODO) for name in names if _CLAUDE not in name.lower()]
        if not others or len(others) == len(names):
            return []
        return [messages.BESIDE.format(jobs=", ".join(others[:_MOST_TODOS]))]

    def say(self, text: str, pushed: str = "", cost: float | None = None) -> None:
        """Write the last word: into the reply, or as a new one if none can be edited.

        `pushed` is the commit that the run has pushed, for the next run to know it as ours; `cost`
        is in US dollars, None if unknown. Raise GitLabError if GitLab refuses that as well.
        """
        if not self._request.kind:
            return
        body = self._body(text, marks.ENDED, pushed, cost)
        if not self._note:
            self.find()  # the trigger function may have been slower than we were
        if self._note:
            try:
                self._edit(body)
            except GitLabError as error:
                if error.status not in (401, 403, 404):
                    raise
            else:
                return
        self._write(body)

    def withdraw(self) -> None:
        """Take the reply away, of a run that has nothing to say any more."""
        if not self._note:
            self.find()
        if self._note:
            with suppress(GitLabError):
                self._gitlab.delete(f"{self._noteable}/notes/{self._note}")

    def _edit(self, body: str) -> None:
        self._gitlab.put(f"{self._noteable}/notes/{self._note}", {"body": body})

    def _write(self, body: str) -> None:
        if self._request.discussion_id:
            path = f"{self._noteable}/discussions/{self._request.discussion_id}/notes"
            try:
                self._note = int(self._gitlab.post(path, {"body": body})["id"])
            except GitLabError as error:
                if error.status not in (400, 404):  # the discussion takes no reply, or is gone
                    raise
            else:
                return
        # A note of its own inherits nothing: what was asked internally is answered internally.
        note = {"body": body, "internal": self._request.internal}
        self._note = int(self._gitlab.post(f"{self._noteable}/notes", note)["id"])

    def _notes(self) -> Sequence[Mapping[str, Any]]:
        """Return the discussion's notes, or the newest of the thread; none if GitLab refuses."""
        found: object = None
        if self._request.discussion_id:
            path = f"{self._noteable}/discussions/{self._request.discussion_id}"
            with suppress(GitLabError):
                found = self._gitlab.get(path).get("notes")
        if not found and self._request.kind:
            with suppress(GitLabError):
                found = self._gitlab.get(f"{self._noteable}/notes", sort="desc", per_page=100)
        return [note for note in found if isinstance(note, dict)] if isinstance(found, list) else []

    def _is_ours(self, note: Mapping[str, Any]) -> bool:
        author = note.get("author") or {}
        named = bool(self._author) and author.get("username") == self._author
        return named or author.get("id") == self._own

    def _body(self, text: str, state: str, pushed: str = "", cost: float | None = None) -> str:
        mark = marks.of_run(self._request.id)
        if self._pipeline.isdecimal():
            mark = f"{marks.of_job(self._pipeline, state)}\n{mark}"
            mark = f"{marks.of_push(pushed)}\n{mark}" if pushed else mark
            mark = mark if cost is None else f"{marks.of_cost(cost)}\n\n{mark}"
            mark = f"{marks.of_repair(self.repair)}\n\n{mark}" if self.repair else mark
        return f"{text}\n\n{marks.of_version()}\n\n{mark}"


class Report(NamedTuple):
    """What a reply tells about a run of Claude that ended; `cost` is in US dollars, if known.

    `merge_request` is its URL, `pushed` the commit, `denied` the refused calls of each tool,
    `commands` what ran and how it ended.
    """

    answer: str
    turns: int
    cost: float | None
    seconds: float
    denied: Mapping[str, int]
    merge_request: str = ""
    pushed: str = ""
    remarks: tuple[str, ...] = ()
    commands: Mapping[str, str] = {}


def working(link: str, todos: Iterable[Mapping[str, str]]) -> str:
    """Return the reply while Claude works: the job's link and the to-do list.

    A to-do has `content` and `status`: completed, in_progress or pending.
    """
    lines = [
        f"- {_BOXES.get(todo['status'], '[ ]')} {literal(todo['content'], _LONGEST_TODO)}"
        for todo in todos
    ]
    hidden = len(lines) - _MOST_TODOS
    if hidden > 0:
        lines[_MOST_TODOS:] = [messages.MORE_TODOS.format(count=hidden)]
    return "\n".join([messages.WORKING.format(job=link), "", *lines]).rstrip()


def finished(link: str, report: Report) -> str:
    """Return the reply with Claude's answer, where the changes are, and what the run took."""
    parts = [messages.FINISHED]
    if report.merge_request:
        parts.append(messages.MERGE_REQUEST.format(url=report.merge_request))
    elif report.pushed:
        parts.append(messages.PUSHED.format(commit=report.pushed))
    parts += [quiet(report.answer) or messages.NO_TEXT, "---", *report.remarks, *_ran(report)]
    return "\n\n".join([*parts, _took(link, report)])


def failed(link: str, failure: Failure, report: Report | None = None) -> str:
    """Return the reply for a failure: its cause in plain words, and Claude's answer if any."""
    parts = [messages.FAILED.format(failure=quiet(failure.text))]
    if report and report.answer:
        parts += [messages.ANSWERED, quiet(report.answer), "---"]
    if report:
        parts += [*report.remarks, *_ran(report), _took(link, report)]
    else:
        parts.append(messages.JOB.format(job=link))
    return "\n\n".join(parts)


def _ran(report: Report) -> list[str]:
    """Return the line with the last of the commands that ran, each as code."""
    last = list(report.commands.items())[-_MOST_COMMANDS:]
    told = [f"`{_code(command)}` {end}" for command, end in last]
    hidden = len(report.commands) - len(last)
    told += [messages.MORE_RAN.format(count=hidden)] if hidden else []
    return [quiet(messages.RAN.format(commands=", ".join(told)))] if told else []


def _code(command: str) -> str:
    line = " ".join(command.replace("`", "'").split())
    return line if len(line) <= _LONGEST_TODO else f"{line[: _LONGEST_TODO - 1]}…"


def _took(link: str, report: Report) -> str:
    minutes, seconds = divmod(round(report.seconds), 60)
    turns = messages.TURN if report.turns == 1 else messages.TURNS
    duration = messages.MINUTES if minutes else messages.SECONDS
    parts = [
        turns.format(count=report.turns),
        f"${report.cost or 0:.2f}",
        duration.format(minutes=minutes, seconds=seconds),
    ]
    if report.denied:
        tools = [f"{literal(name, _LONGEST_TOOL)} ({n})" for name, n in report.denied.items()]
        parts.append(messages.DENIED.format(tools=", ".join(tools)))
    return " · ".join([*parts, link])
