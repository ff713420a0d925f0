"""The stage of `tests/conversation.py`: stand-in, real local platform, and what is seen there.

After each step all comes to rest and the stand-in's threads are looked at. The clock moves only
between steps, and numbers are given by order of appearance: the page is the same every time.
"""

import re
import sqlite3
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import NamedTuple, Self

from functions.local import handlers
from job import messages, reply, request
from job.gitlab import GitLab as JobsGitLab
from tests.support.fakes import (
    API_TOKEN,
    GITLAB_SECRETS,
    SIGNING_TOKEN,
    TRIGGER_TOKEN,
    WEBHOOK_SECRETS,
)
from tests.support.gitlab.records import Record
from tests.support.gitlab.server import GitLab

PROJECT, ADA, GRACE, MALLORY, CLAUDE = 7, 1, 2, 3, 9
_BEGINS = datetime(2026, 3, 2, 9, 0, tzinfo=UTC).timestamp()
_PATIENCE = 20.0  # seconds for one step
_EMOJI = {"eyes": "👀", "white_check_mark": "✅", "x": "❌", "no_entry_sign": "🚫"}
_EVENTS = (
    "note",
    "confidential_note",
    "issues",
    "confidential_issues",
    "merge_requests",
    "pipeline",
)


class Seen(NamedTuple):
    """How a comment, or an issue or merge request itself, looked when it was last looked at."""

    text: str
    reactions: str


class Stage:
    """GitLab, the platform with further settings, and the page so far. A context manager."""

    def __init__(self, **settings: str) -> None:
        self._settings = settings
        self.now = _BEGINS
        self.lines: list[str] = []
        self.log: list[tuple[str, object]] = []
        self._seen: dict[tuple[str, int], Seen] = {}
        self._scenes, self._stack = 0, ExitStack()

    def __enter__(self) -> Self:
        self.gitlab = self._stack.enter_context(GitLab(clock=lambda: self.now))
        self._folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="conversation-")))
        environment = {"GITLAB_URL": self.gitlab.url, "PORT": "0", "STATE_DIR": str(self._folder)}
        secrets = {"WEBHOOK_SECRETS": WEBHOOK_SECRETS, "GITLAB_SECRETS": GITLAB_SECRETS}
        local = handlers.Local(
            environment
            | secrets
            | {"ALLOWED_MODELS": "claude-opus-5-5,claude-haiku-4-5"}
            | {"AUTO": "review: ready, pushed; fix: failed"}
            | self._settings,
            now=lambda: self.now,
            log=lambda *line: self.log.append(line),
        )
        local.start()
        self._stack.callback(local.stop)
        gitlab = self.gitlab
        for number, name in (
            (ADA, "ada"),
            (GRACE, "grace"),
            (MALLORY, "mallory"),
            (CLAUDE, "claude"),
        ):
            gitlab.user(number, name, bot=number == CLAUDE)
        gitlab.api_token(API_TOKEN, CLAUDE)
        gitlab.project(PROJECT, "acme/teapot", visibility="public")
        for number, level in ((ADA, 40), (GRACE, 30), (CLAUDE, 40)):
            gitlab.member(PROJECT, number, level)
        gitlab.trigger_token(TRIGGER_TOKEN, PROJECT, CLAUDE)
        ticked = {f"{event}_events": True for event in _EVENTS}
        gitlab.hook(PROJECT, local.url, push_events=False, signing_token=SIGNING_TOKEN, **ticked)
        gitlab.fire_hooks = True
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # --- what happens -----------------------------------------------------------------------------

    def scene(self, title: str, sentence: str) -> None:
        """Begin a scene."""
        self._scenes += 1
        self.lines += [f"## {self._scenes}. {title}", sentence]

    def says(
        self, who: int, text: str, *, issue: int = 0, merge_request: int = 0, line: int = 0
    ) -> None:
        """Let somebody comment, on a line of the diff if one is given."""
        where = ("issue", issue) if issue else ("merge_request", merge_request)
        position = {
            "new_path": "src/kettle.py",
            "old_path": "src/kettle.py",
            "new_line": line,
            "head_sha": "a" * 40,
        }
        self.step(
            lambda: self.gitlab.note(
                PROJECT,
                *where,
                author_id=who,
                body=text,
                position=position if line else None,
                thread=not line,
            )
        )

    def moves(
        self, caption: str, *moved: tuple[int, str], minutes: float = 1, reason: str | None = None
    ) -> None:
        """Let pipelines, counted from 1, move on."""
        self.step(
            lambda: [
                self.gitlab.set_pipeline(self.pipeline(number)["id"], status, failure_reason=reason)
                for number, status in moved
            ],
            caption,
            minutes,
        )

    def job_says(
        self,
        number: int,
        caption: str,
        text: Callable[[str], str],
        *,
        ends: bool,
        minutes: float = 1,
        cost: float | None = None,
    ) -> None:
        """Let the job of a pipeline write into its reply, by the code and words of `job/`."""
        pipeline = self.pipeline(number)
        payload = self._folder / "payload"
        payload.write_text(
            next(
                each["value"] for each in pipeline["variables"] if each["key"] == "TRIGGER_PAYLOAD"
            )
        )
        client = self.client()
        asked = request.read({"CI_PROJECT_ID": str(PROJECT)}, payload)
        thread = reply.Thread(client, asked, {"id": CLAUDE}, "", str(pipeline["id"]))
        job = pipeline["jobs"][0]["id"]

        def write() -> None:
            name = messages.JOB_NAME.format(id=job)
            said = text(f"[{name}]({self.gitlab.url}/acme/teapot/-/jobs/{job})")
            thread.find()
            thread.say(said, cost=cost) if ends else thread.update(said)

        self.step(write, caption, minutes)

    def client(self) -> JobsGitLab:
        """Return the job's way to GitLab."""
        return JobsGitLab(f"{self.gitlab.url}/api/v4", str(PROJECT), API_TOKEN)

    def pipeline(self, number: int) -> Record:
        """Return the pipeline that came as the so-and-so-many-th."""
        return list(self.gitlab.pipelines.values())[number - 1]

    def step(self, action: Callable[[], object], caption: str = "", minutes: float = 1) -> None:
        """Let time pass, something happen, all come to rest, and write down what changed."""
        self.now += 60 * minutes
        action()
        self._settle()
        self.lines += [caption] if caption else []
        self.lines += self._changes()

    def _settle(self) -> None:
        """Wait until no delivery is on its way and no request is in the queue."""
        end = time.monotonic() + _PATIENCE
        store = sqlite3.connect(self._folder / "state.sqlite3")
        try:
            while time.monotonic() < end:
                self.gitlab.wait_for_hooks(_PATIENCE)
                delivered = len(self.gitlab.hook_events)
                waiting = store.execute("SELECT count(*) FROM requests").fetchone()[0]
                self.gitlab.wait_for_hooks(_PATIENCE)
                if not waiting and delivered == len(self.gitlab.hook_events):
                    return
                Event().wait(0.005)
        finally:
            store.close()
        raise TimeoutError("\n".join(map(str, self.log)))

    # --- how it looks -----------------------------------------------------------------------------

    def _changes(self) -> list[str]:
        """Render what differs from the last look: words, edits and replies, reactions."""
        with self.gitlab.lock:
            things = [
                ("noteable", each)
                for each in (*self.gitlab.issues.values(), *self.gitlab.merge_requests.values())
            ]
            things += [("note", each) for each in self.gitlab.notes.values()]
            there = {(kind, record["id"]) for kind, record in things}
            gone = [each for each in self._seen if each not in there]
            lines = ["*A comment of claude's is deleted.*" for each in gone if self._seen.pop(each)]
            found = []
            for kind, record in things:
                key, now = (kind, record["id"]), self._look(kind, record)
                before = self._seen.get(key)
                if now != before:
                    self._seen[key] = now
                    ours, same = (
                        record["author_id"] == CLAUDE,
                        before is not None and before.text == now.text,
                    )
                    found.append(
                        (
                            (same, ours, ours and before is None),
                            self._told(kind, record, before, now),
                        )
                    )
        told = [line for _, each in sorted(found, key=lambda one: one[0]) for line in each]
        return lines + told

    def _look(self, kind: str, record: Record) -> Seen:
        about = "Note" if kind == "note" else record["noteable_type"]
        names = [
            self.gitlab.emoji[number]["name"]
            for number in self.gitlab.ids("emoji", about, record["id"])
        ]
        text = record["body"] if kind == "note" else record["description"]
        return Seen(self._plain(text), " ".join(_EMOJI[name] for name in names))

    def _told(self, kind: str, record: Record, before: Seen | None, now: Seen) -> list[str]:
        who, written = self.gitlab.users[record["author_id"]].username, _time(record["created_at"])
        if before and before.text == now.text:
            return [
                _reacted(
                    before,
                    now,
                    f"{who}'s comment of {written}" if kind == "note" else _reference(record),
                )
            ]
        reactions = f" · {now.reactions}" if now.reactions else ""
        quoted = "\n".join(f"> {line}".rstrip() for line in now.text.split("\n"))
        if kind == "noteable":
            return [
                f"**{who}** opens {_reference(record)}, **{record['title']}** · {written}{reactions}",
                quoted,
            ]
        if record["author_id"] != CLAUDE:
            where = (
                f"`{_line(record)}` of {_reference(record)}"
                if record["position"]
                else _reference(record)
            )
            return [f"**{who}** on {where} · {written}{reactions}", quoted]
        edited = f", **edited** {_time(record['updated_at'])}" if before else ""
        return [f"**claude** {self._to(record)} · {written}{edited}{reactions}", quoted]

    def _to(self, record: Record) -> str:
        """Name what a reply answers: a comment's author, or what was opened or changed."""
        first = self.gitlab.notes[self.gitlab.ids("discussion", record["discussion_id"])[0]]
        if first["author_id"] == CLAUDE and record["position"]:
            return f"on `{_line(record)}` of {_reference(record)}"
        if first["author_id"] == CLAUDE:
            return f"on {_reference(record)}"
        return f"to {self.gitlab.users[first['author_id']].username}"

    def _plain(self, text: str) -> str:
        """Return what a reader sees of a text, with an address and numbers that never change."""
        text = re.sub(r"\n*<!--.*?-->", "", text, flags=re.DOTALL).strip()
        text = text.replace(self.gitlab.url, "https://gitlab.example.com")
        numbers = {
            str(each): str(100 + count) for count, each in enumerate(self.gitlab.pipelines, 1)
        }
        numbers |= {str(each): str(500 + count) for count, each in enumerate(self.gitlab.jobs, 1)}
        return re.sub(
            r"((?:(?:pipeline|job)s?|流水线|作业)[ /])(\d+)",
            lambda found: found[1] + numbers[found[2]],
            text,
        )


def _reacted(before: Seen, now: Seen, what: str) -> str:
    if before.reactions and now.reactions:
        return f"*On {what}, {before.reactions} becomes {now.reactions}.*"
    return (
        f"*{now.reactions} appears on {what}.*"
        if now.reactions
        else f"*{before.reactions} leaves {what}.*"
    )


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%H:%M")


def _reference(record: Record) -> str:
    number = record.get("iid") or record["noteable_iid"]
    return (
        f"merge request !{number}"
        if record["noteable_type"] == "MergeRequest"
        else f"issue #{number}"
    )


def _line(record: Record) -> str:
    return f"{record['position']['new_path']}:{record['position']['new_line']}"
