"""The one reply of a run: found by its marker, edited, never doubled; its words are written here and nowhere else."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from job.gitlab import GitLab, GitLabError
from job.markdown import plain, quiet
from shared.contract import marks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from job.outcome import Failure
    from job.request import Request

EVERY = 15.0  # seconds between two edits that only show progress

_BOXES = {"completed": "[x]", "in_progress": "[ ] ▶", "pending": "[ ]"}
_MOST_TODOS = 20


class Thread:
    """Where a run's reply stands, or will stand."""

    def __init__(
        self,
        gitlab: GitLab,
        request: Request,
        user: Mapping[str, object],
        author: str,
        pipeline_id: str,
    ) -> None:
        """Take the token's own user and the user name of the trigger function's, where that is another."""
        self._gitlab, self._request, self._pipeline = gitlab, request, pipeline_id
        self._own, self._author = user.get("id"), author
        self._noteable = f"{request.kind}s/{request.iid}"
        self._note = 0
        self.taken_by = ""

    def find(self) -> None:
        """Look for the reply; `taken_by` tells the pipeline that has already worked on this run."""
        for note in self._notes():
            body, author = str(note.get("body", "")), note.get("author") or {}
            ours = author.get("id") == self._own or (
                self._author and author.get("username") == self._author
            )
            if ours and body.rstrip().endswith(marks.of_run(self._request.id)):
                self._note = int(note["id"])
                pipeline = marks.pipeline_of(body)
                self.taken_by = pipeline if pipeline != self._pipeline else ""
                return

    def update(self, text: str) -> None:
        """Show progress: only ever an edit, and no reason to fail."""
        if self._note:
            with suppress(GitLabError):
                self._gitlab.put(
                    f"{self._noteable}/notes/{self._note}",
                    {"body": self._body(text, marks.WORKING)},
                )

    def say(self, text: str) -> None:
        """Put down the last word: edit the reply, or write it where there is none that can be edited."""
        if not self._request.kind:
            return
        body = self._body(text, marks.ENDED)
        if not self._note:
            self.find()  # the trigger function may have been slower than we were
        if self._note:
            try:
                self._gitlab.put(f"{self._noteable}/notes/{self._note}", {"body": body})
            except GitLabError as error:
                if error.status not in (401, 403, 404):
                    raise
            else:
                return
        self._write(body)

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
        note = self._gitlab.post(
            f"{self._noteable}/notes", {"body": body, "internal": self._request.internal}
        )
        self._note = int(note["id"])

    def _notes(self) -> Sequence[Mapping[str, Any]]:
        found: object = None
        if self._request.discussion_id:
            with suppress(GitLabError):
                found = self._gitlab.get(
                    f"{self._noteable}/discussions/{self._request.discussion_id}"
                ).get("notes")
        if not found and self._request.kind:
            with suppress(GitLabError):
                found = self._gitlab.get(f"{self._noteable}/notes", sort="desc", per_page=100)
        return [note for note in found if isinstance(note, dict)] if isinstance(found, list) else []

    def _body(self, text: str, state: str) -> str:
        mark = marks.of_run(self._request.id)
        if self._pipeline.isdecimal():
            mark = f"{marks.of_job(self._pipeline, state)}\n{mark}"
        return f"{text}\n\n{mark}"


class Report(NamedTuple):
    """What a reply tells about a run of Claude that ended."""

    answer: str
    turns: int
    cost: float
    seconds: float
    denied: Mapping[str, int]
    merge_request: str = ""
    pushed: str = ""
    remarks: tuple[str, ...] = ()


def working(link: str, todos: Iterable[Mapping[str, str]]) -> str:
    """Return the reply while Claude works: the job's link and the to-do list."""
    lines = [
        f"- {_BOXES.get(todo['status'], '[ ]')} {plain(todo['content'], 120)}" for todo in todos
    ]
    more = [f"- … and {len(lines) - _MOST_TODOS} more"] if len(lines) > _MOST_TODOS else []
    return "\n".join([f"Claude is at work: {link}.", "", *lines[:_MOST_TODOS], *more]).rstrip()


def finished(link: str, report: Report) -> str:
    """Return the reply with Claude's answer, where the changes are and what the run took."""
    where = []
    if report.merge_request:
        where.append(f"**Merge request: {report.merge_request}**")
    elif report.pushed:
        where.append(f"**Pushed to this merge request: {report.pushed}**")
    answer = quiet(report.answer) or "Claude gave no answer."
    return "\n\n".join(
        ["Claude has finished.", *where, answer, "---", *report.remarks, _took(link, report)]
    )


def failed(link: str, failure: Failure, report: Report | None = None) -> str:
    """Return the reply for a failure: its cause in plain words, and the answer where Claude had one."""
    parts = [f"Claude could not finish. {failure.text}"]
    if report and report.answer:
        parts += ["What Claude answered:", quiet(report.answer), "---"]
    told = [*report.remarks, _took(link, report)] if report else [f"Job: {link}."]
    return "\n\n".join([*parts, *told])


def _took(link: str, report: Report) -> str:
    minutes, seconds = divmod(round(report.seconds), 60)
    turns = f"{report.turns} turn{'' if report.turns == 1 else 's'}"
    parts = [
        turns,
        f"${report.cost:.2f}",
        f"{minutes} min {seconds} s" if minutes else f"{seconds} s",
    ]
    if report.denied:
        parts.append(
            "not allowed: "
            + ", ".join(f"{plain(name, 40)} ({n})" for name, n in report.denied.items())
        )
    return f"{' · '.join(parts)} · {link}"
