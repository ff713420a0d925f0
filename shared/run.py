"""A run: one mention's journey, its id, and the request that the queue carries. It knows no queue."""

import json
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from shared import mention, replies
from shared.event import Branches, NoteEvent
from shared.outcome import Reason, Stop

if TYPE_CHECKING:
    from shared.settings import Settings

MAX_REQUEST = 64 * 1024  # bytes, whatever the note's size: far below the limits of SQS (1 MiB) and Cloud Tasks (1 MB)
VERSION = 1


class RunRequest(NamedTuple):
    """All that `dispatch` needs: ids, and the instruction or, where that is too long to travel, its digest."""

    id: str
    event: str
    note: NoteEvent
    instruction: str | None
    digest: str
    replay: int = 0

    @property
    def message_id(self) -> str:
        """The name under which a queue tells one message from another: a replay is another message of the same run."""
        return f"{self.id}-{self.replay}" if self.replay else self.id

    @property
    def thread(self) -> str:
        """The issue or merge request the run belongs to: runs of one thread start in order."""
        return f"{self.note.project_id}/{self.note.kind}/{self.note.iid}"

    def to_json(self) -> str:
        """Return the request as ASCII JSON of at most MAX_REQUEST bytes."""
        text = _dump(self)
        return text if len(text) <= MAX_REQUEST else _dump(self._replace(instruction=None))

    @classmethod
    def from_json(cls, text: str | bytes) -> "RunRequest":
        """Read what `to_json` wrote; raise ValueError for anything else."""
        data = json.loads(text)
        if not isinstance(data, dict) or data.pop("version", None) != VERSION:
            message = "not a run request of version 1"
            raise ValueError(message)
        try:
            note = data.pop("note")
            branches = note.pop("branches")
            event = NoteEvent(branches=branches and Branches(**branches), text="", **note)
            return cls(note=event, **data)
        except (KeyError, TypeError, AttributeError) as error:
            message = "not a run request of version 1"
            raise ValueError(message) from error


def ask(note: NoteEvent, settings: "Settings") -> RunRequest:
    """Return the request a note makes of this installation; raise Stop with the reason where it makes none."""
    if replies.MARK in note.text:
        raise Stop(Reason.OWN_NOTE)
    instruction = mention.instruction(note.text, settings.phrases)
    if instruction is None:
        raise Stop(Reason.NO_MENTION)
    if not settings.serves(note.project_id, note.project_path):
        raise Stop(Reason.PROJECT_NOT_ALLOWED)
    if note.internal and not settings.serve_confidential:
        raise Stop(Reason.CONFIDENTIAL_OFF)
    return request(note, instruction, settings.host)


def request(note: NoteEvent, instruction: str, host: str) -> RunRequest:
    """Make the request for a mention in a note; `host` is the installation's GitLab host, never the payload's."""
    return RunRequest(
        id=run_id(host, note.project_id, "note", note.note_id),
        event="mention",
        note=note._replace(text=""),
        instruction=instruction,
        digest=digest(instruction),
    )


def run_id(host: str, project_id: int, kind: str, object_id: int) -> str:
    """Return the id of the run for an object of GitLab: the same for every delivery of it, by whichever hook."""
    return sha256(f"{host}|{project_id}|{kind}|{object_id}".encode()).hexdigest()[:32]


def digest(instruction: str) -> str:
    """Return the hex SHA-256 of an instruction."""
    return sha256(instruction.encode()).hexdigest()


def _dump(run: RunRequest) -> str:
    note = run.note._asdict() | {"branches": run.note.branches and run.note.branches._asdict()}
    fields = {key: value for key, value in note.items() if key != "text"}
    # ASCII: SQS refuses some characters that notes may hold.
    return json.dumps(run._asdict() | {"version": VERSION, "note": fields}, separators=(",", ":"))
