"""Gather what the job gets to know of its surroundings: AI_FLOW_CONTEXT, version 1.

`docs/ai-flow-context.schema.json` describes it. Everything people wrote is data: named under
`untrusted`, with author and access level, without what no reader saw. What cannot be read within
the time or the budget is named, and fails nothing.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from shared.contract import invisible, marks
from shared.contract.ai_flow import MERGE_REQUEST
from shared.gitlab.values import Diff, GitLabError, Note
from shared.incoming.event import Branches, Event
from shared.markdown.sanitize import sanitize
from shared.outgoing.payload import safe_json
from shared.runs.confirm import Confirmed
from shared.services import Services

VERSION = 1
SECONDS = 6.0  # after which no further call is made; each has a limit of its own
# Bytes of safe JSON. The thread gets what the other parts leave of the whole, at least 8 KiB.
WHOLE = 92_160
DESCRIPTION = 16_384
THREAD = 36_864
NOTE = 8_192
FILES = 16_384
HUNK = 4_096
SHORT = 2_048

_NOTES = _FILES = 500  # that are looked at, whatever fits: five pages of GitLab's
_SKEW = 1.0  # seconds between GitLab's clocks
_LONGEST = 65_536  # characters of one text that are looked at
_FRAME = 180  # bytes of JSON around a note's text and its author's name
_CUT = "\n[cut here]"
_HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE | re.ASCII)


class _Reader:
    """Reads with a time limit, and remembers what could not be read."""

    def __init__(self, services: Services) -> None:
        self._now, self._end = services.now, services.now() + SECONDS
        self.unread: list[str] = []

    def read(self, what: str, call: Callable[[], Any]) -> Any:  # noqa: ANN401  whatever the call returns
        """Return what the call returns, or None where it cannot be had."""
        try:
            if self._now() <= self._end:
                return call()
        except GitLabError:
            pass
        self.unread.append(what)
        return None

    def each(self, what: str, items: Iterable[Any]) -> Iterator[Any]:
        """Yield the items until one cannot be had."""
        iterator = iter(items)
        while (item := self.read(what, lambda: next(iterator, None))) is not None:
            yield item


def context(confirmed: Confirmed, role: int, services: Services) -> dict[str, object]:
    """Return the context; `role` is GitLab's access level of the person who asks."""
    event, reader = confirmed.request.event, _Reader(services)
    if event.internal:
        return _ids(event, role)
    parts: dict[str, object] = {
        "version": VERSION,
        "event": event.name,
        "project": _project(event),
        event.kind: _target(event, confirmed, reader),
        "note": {"id": event.note_id or None, "internal": event.internal},
        "thread": {},
        "position": _position(event),
        "author": {"id": event.author_id, "username": event.author, "access_level": role},
    }
    if event.kind == MERGE_REQUEST:
        parts |= _changes(event, reader, services)
    room = min(THREAD, WHOLE - len(safe_json(parts)))
    thread = _thread(confirmed, role, room, reader, services)
    parts["thread"] = {"discussion_id": event.discussion_id, **thread}
    parts["unread"] = list(dict.fromkeys(reader.unread))
    return parts | {"untrusted": sorted(_untrusted(parts))}


def _ids(event: Event, role: int) -> dict[str, object]:
    """Return what the job needs to read the rest by itself.

    Whoever watches the project's pipelines, by a webhook for one, reads what the trigger sends.
    """
    told: dict[str, object] = {"iid": event.iid}
    if event.branches:
        told |= _branches(event.branches)
    return {
        "version": VERSION,
        "event": event.name,
        "project": _project(event),
        event.kind: told,
        "note": {"id": event.note_id or None, "internal": True},
        "thread": {"discussion_id": event.discussion_id},
        "position": None,
        "author": {"id": event.author_id, "access_level": role},
        "unread": [],
        "untrusted": [],
    }


def _project(event: Event) -> dict[str, object]:
    return {
        "id": event.project_id,
        "path": event.project_path,
        "default_branch": event.default_branch,
    }


def _branches(branches: Branches) -> dict[str, object]:
    return {
        "source_branch": branches.source,
        "target_branch": branches.target,
        "sha": branches.sha,
    }


def _target(event: Event, confirmed: Confirmed, reader: _Reader) -> dict[str, object]:
    """Return what is known of the issue or merge request.

    Title and description are left out where they may have changed since the person asked: nobody
    has asked with the new ones in view.
    """
    target = confirmed.target
    told: dict[str, object] = {"iid": event.iid}
    if event.branches:  # as the person saw them
        told |= _branches(event.branches)
    if confirmed.unchanged:
        told |= {
            "title": _cut(target.title, SHORT),
            "description": _cut(target.description, DESCRIPTION),
        }
    else:
        reader.unread += ["title", "description"]
    return told | {
        "state": target.state,
        "labels": _short(target.labels),
        "author": {"id": target.author[0], "username": target.author[1]},
    }


def _position(event: Event) -> dict[str, object] | None:
    position = event.position
    if position is None:
        return None
    return {
        key: _cut(value, SHORT, invisible.without) if isinstance(value, str) else value
        for key, value in position.items()
    }


def _short(labels: tuple[str, ...]) -> list[str]:
    """Return as many labels as have room."""
    kept = [_cut(label, SHORT, invisible.without) for label in labels]
    while len(safe_json(kept)) > SHORT:
        kept.pop()
    return kept


def _thread(
    confirmed: Confirmed, role: int, room: int, reader: _Reader, services: Services
) -> dict[str, object]:
    """Return the comments as they stood when the person asked, oldest first.

    Where there is no room, the oldest are dropped.
    """
    event = confirmed.request.event
    asked = (event.at or services.now()) + _SKEW
    kept: list[Note] = []
    texts: dict[int, str] = {}
    read, cut = 0, False
    for note in islice(reader.each("thread", confirmed.notes), _NOTES):
        read += 1
        if not _belongs(note, event, asked):
            continue
        text = _cut(note.body, NOTE)
        room -= len(safe_json([text, note.author])) + _FRAME
        if room < 0:
            cut = True
            break
        kept.append(note)
        texts[note.id] = text
    roles, discussion = _roles(kept, event, role, reader, services), list[int]()
    if kept and event.discussion_id:
        discussion = reader.read("discussion", lambda: services.gitlab.discussion(event)) or []
    notes = [_comment(note, texts[note.id], roles, discussion) for note in reversed(kept)]
    return {"notes": notes, "cut": cut or read == _NOTES}


def _roles(
    notes: list[Note], event: Event, role: int, reader: _Reader, services: Services
) -> dict[int, int | None]:
    """Return the level of each author, None: unread; that of who asks is known."""
    roles: dict[int, int | None] = {event.author_id: role}
    others = sorted({note.author[0] for note in notes} - roles.keys())
    if others:
        told = reader.read("roles", lambda: services.gitlab.roles(event.project_id, others))
        roles |= {each: None if told is None else told.get(each, 0) for each in others}
    return roles


def _comment(
    note: Note, text: str, roles: dict[int, int | None], discussion: list[int]
) -> dict[str, object]:
    """Return what the job is told of a comment; `roles` are levels by user id, None: unread."""
    user_id, username = note.author
    return {
        "id": note.id,
        "author": {"id": user_id, "username": username, "access_level": roles[user_id]},
        "created_at": _iso(note.created_at),
        "in_discussion": note.id in discussion,
        "text": text,
    }


def _belongs(note: Note, event: Event, asked: float) -> bool:
    """Tell whether a comment is part of what the person had in view who asked at that time."""
    if note.id == event.note_id or (note.internal and not event.internal):
        return False
    if marks.TRIGGER in note.body and not marks.has_answer(note.body):
        return False  # a reply that says "is queued" tells a job nothing
    return note.created_at <= asked and note.updated_at <= asked


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _changes(event: Event, reader: _Reader, services: Services) -> dict[str, object]:
    """Return the changed files with their sizes, and the hunk that a diff note stands at."""
    files: list[dict[str, object]] = []
    position = event.position or {}
    hunk: str | None = None
    room, read, cut = FILES, 0, False
    for diff in islice(reader.each("changed_files", services.gitlab.diffs(event)), _FILES):
        read += 1
        if position and hunk is None and position.get("new_path") == diff.new_path:
            hunk = _hunk(diff, position.get("old_line"), position.get("new_line"))
        told = _file(diff)
        room -= len(safe_json(told))
        cut = cut or room < 0
        if not cut:
            files.append(told)
        elif not position or hunk is not None:
            break
    if position and hunk is None:
        reader.unread.append("hunk")
    return {
        "changed_files": files,
        "changed_files_cut": cut or read == _FILES,
        "hunk": hunk and _cut(hunk, HUNK, invisible.without),
    }


def _file(diff: Diff) -> dict[str, object]:
    lines = diff.diff.split("\n")
    told: dict[str, object] = {
        "path": _cut(diff.new_path, SHORT, invisible.without),
        "change": diff.change,
    }
    if diff.old_path != diff.new_path:
        told["old_path"] = _cut(diff.old_path, SHORT, invisible.without)
    return told | {
        "added": sum(line.startswith("+") for line in lines),
        "removed": sum(line.startswith("-") for line in lines),
    }


def _hunk(diff: Diff, old_line: object, new_line: object) -> str | None:
    """Return the hunk of a file's diff that holds a line of its old or its new side."""
    starts = list(_HUNK.finditer(diff.diff))
    ends = [*(start.start() for start in starts[1:]), len(diff.diff)]
    for start, end in zip(starts, ends, strict=True):
        sides = ((old_line, start[1], start[2]), (new_line, start[3], start[4]))
        for line, first, count in sides:
            if type(line) is int and int(first) <= line < int(first) + int(count or 1):
                return diff.diff[start.start() : end]
    return None


def _cut(text: str, budget: int, readable: Callable[[str], str] = sanitize) -> str:
    """Return what of a text a reader could have seen, and a mark where it had to be cut.

    `budget` is in bytes of safe JSON.
    """
    clean = readable(text[:_LONGEST]).strip("\n")
    if len(text) <= _LONGEST and len(safe_json(clean)) <= budget:
        return clean
    low, high = 0, len(clean)
    while low < high:
        middle = (low + high + 1) // 2
        if len(safe_json(clean[:middle] + _CUT)) <= budget:
            low = middle
        else:
            high = middle - 1
    return clean[:low] + _CUT


def _untrusted(parts: dict[str, Any]) -> Iterator[str]:
    """Name the fields whose text people chose."""
    texts = {
        "issue": ("title", "description", "labels"),
        "merge_request": ("title", "description", "labels", "source_branch", "target_branch"),
        "position": ("old_path", "new_path"),
    }
    for name, fields in texts.items():
        yield from (f"{name}.{field}" for field in fields if field in (parts.get(name) or {}))
    if parts["thread"]["notes"]:
        yield "thread.notes"
    yield from (name for name in ("changed_files", "hunk") if parts.get(name))
