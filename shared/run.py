"""A run: one mention's journey, its id, and the requests that the queue carries. It knows no queue."""

import json
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from shared import mention, replies, words
from shared.event import LABEL, Branches, Event, PipelineEvent
from shared.outcome import Reason, Stop

if TYPE_CHECKING:
    from shared.settings import Settings

MAX_REQUEST = (
    64 * 1024
)  # bytes, whatever the note's size: far below the limits of SQS (1 MiB) and Cloud Tasks (1 MB)
VERSION = 2


class RunRequest(NamedTuple):
    """All that `dispatch` needs: ids, and the instruction or, where that is too long to travel, its digest."""

    id: str
    event: Event
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
        return f"{self.event.project_id}/{self.event.kind}/{self.event.iid or self.event.commit}"

    def to_json(self) -> str:
        """Return the request as ASCII JSON of at most MAX_REQUEST bytes."""
        text = _dump(self)
        return text if len(text) <= MAX_REQUEST else _dump(self._replace(instruction=None))


class TrackRequest(NamedTuple):
    """A pipeline whose reply may have to be brought up to date; what is true by then, GitLab tells."""

    project_id: int
    pipeline_id: int
    status: str = ""

    @property
    def id(self) -> str:
        """The name of this message: one for each status, so that two webhooks make one of it."""
        status = "".join(letter for letter in self.status if letter.isascii() and letter.isalpha())
        return f"track-{self.project_id}-{self.pipeline_id}-{status}"

    @property
    def message_id(self) -> str:
        """The same: a look that was put twice is one."""
        return self.id

    @property
    def thread(self) -> str:
        """The pipeline: looks at one pipeline follow each other, and hold up no request."""
        return f"track/{self.project_id}/{self.pipeline_id}"

    def to_json(self) -> str:
        """Return the request as JSON."""
        return json.dumps(self._asdict() | {"version": VERSION})


def from_json(text: str | bytes) -> RunRequest | TrackRequest:
    """Read what a `to_json` wrote; raise ValueError for anything else."""
    message = f"not a request of version {VERSION}"
    data = json.loads(text)
    if not isinstance(data, dict) or data.pop("version", None) != VERSION:
        raise ValueError(message)
    try:
        if "pipeline_id" in data:
            return TrackRequest(**data)
        event = data.pop("event")
        branches = event.pop("branches")
        return RunRequest(
            event=Event(branches=branches and Branches(**branches), texts=(), **event), **data
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(message) from error


def ask(event: Event | PipelineEvent, settings: "Settings") -> RunRequest | TrackRequest:
    """Return the request an event makes of this installation; raise Stop with the reason where it makes none."""
    if isinstance(event, PipelineEvent):
        if not settings.serves(event.project_id, event.project_path):
            raise Stop(Reason.PROJECT_NOT_ALLOWED)
        return TrackRequest(event.project_id, event.pipeline_id, event.status)
    if any(replies.MARK in text for text in event.texts):
        raise Stop(Reason.OWN_NOTE)
    name, instruction = _asked(event, settings)
    if not settings.serves(event.project_id, event.project_path):
        raise Stop(Reason.PROJECT_NOT_ALLOWED)
    if event.internal and not settings.serve_confidential:
        raise Stop(Reason.CONFIDENTIAL_OFF)
    return request(event._replace(name=name), instruction, settings.host)


def request(event: Event, instruction: str, host: str) -> RunRequest:
    """Make the request for an event; `host` is the installation's GitLab host, never the payload's."""
    subject = ("note", str(event.note_id)) if event.note_id else (event.kind, event.occasion)
    return RunRequest(
        id=run_id(host, event.project_id, *subject),
        event=event._replace(texts=(), before=(), added=()),
        instruction=instruction,
        digest=digest(instruction),
    )


def instruction_of(texts: tuple[str, ...], phrases: tuple[str, ...]) -> str | None:
    """Return what texts that belong together, a title and a description, ask of us; None when none mentions us.

    The one that mentions us comes first: a command is its first word.
    """
    asked = [mention.instruction(text, phrases) for text in texts]
    if all(part is None for part in asked):
        return None
    others = [text for text, part in zip(texts, asked, strict=True) if part is None]
    return "\n\n".join(part for part in [*asked, *others] if part)


def run_id(host: str, project_id: int, kind: str, subject: object) -> str:
    """Return the id of the run for an object of GitLab: the same for every delivery of it, by whichever hook."""
    return sha256(f"{host}|{project_id}|{kind}|{subject}".encode()).hexdigest()[:32]


def digest(instruction: str) -> str:
    """Return the hex SHA-256 of an instruction."""
    return sha256(instruction.encode("utf-8", "replace")).hexdigest()


def _asked(event: Event, settings: "Settings") -> tuple[str, str]:
    """Return AI_FLOW_EVENT and the instruction: a new mention, else what was assigned to us or labelled for us."""
    phrases = settings.phrases
    texts = zip(event.texts, event.before, strict=True)
    if any(
        mention.occurs(text, phrases) and not mention.occurs(before, phrases)
        for text, before in texts
    ):
        return event.name, instruction_of(event.texts, phrases) or ""
    for name, added in event.added:
        if added.lower() in (settings.labels if name == LABEL else settings.names):
            return name, words.PROMPTS[name]
    raise Stop(Reason.NO_MENTION if event.note_id else Reason.NOTHING_NEW)


def _dump(run: RunRequest) -> str:
    event = run.event._asdict() | {"branches": run.event.branches and run.event.branches._asdict()}
    for name in ("texts", "before", "added"):
        del event[name]
    # ASCII: SQS refuses some characters that notes may hold.
    return json.dumps(run._asdict() | {"version": VERSION, "event": event}, separators=(",", ":"))
