"""What the queue carries: a `RunRequest` starts a run, a `TrackRequest` follows its pipeline."""

import json
from hashlib import sha256
from typing import Any, NamedTuple

from shared.incoming.digests import digest
from shared.incoming.event import Branches, Event
from shared.runs.shapes import NewerError, ShapeError, check_version, fits, read_object

# Bytes, whatever the note's size: far below the limits of SQS (1 MiB) and Cloud Tasks (1 MB).
MAX_REQUEST = 64 * 1024
VERSION = 2
_OF_REPAIRS = 3  # what version 2 has not: who reads that waits until a later one is there


class RunRequest(NamedTuple):
    """All that `dispatch` needs to start a run.

    `instruction` is None where it is too long to travel: then `digest`, its hex SHA-256, tells
    whether what GitLab still has is the same. `replay` counts how often an operator replayed it.
    `bound` are paths, where the delivery came with a token for these alone: it claimed one of them,
    and GitLab is still to be asked whether the project is there. None asks for no such proof.
    `second` is where in the instruction a second text begins, of a title and a description; 0 is
    nowhere. Each is a document of its own: what one leaves open does not hide what the other says.
    """

    id: str
    event: Event
    instruction: str | None
    digest: str
    replay: int = 0
    bound: tuple[str, ...] | None = None
    second: int = 0

    @property
    def claims(self) -> str:
        """All that is still to be confirmed, as 8 hex digits."""
        event = self.event
        told = (event.kind, event.iid, event.name, event.author_id, self.digest)
        became = (event.occasion,) if event.by_policy else ()
        return digest("|".join(map(str, (*told, event.texts_digest, self.bound, *became))))[:8]

    @property
    def queue_key(self) -> str:
        """The run and its claims: a request that lies must not have the true one dropped for it."""
        return f"{self.id}-{self.claims}"

    @property
    def message_id(self) -> str:
        """The name by which a queue tells messages apart: a replay is another one of the run."""
        return f"{self.queue_key}-{self.replay}" if self.replay else self.queue_key

    @property
    def thread(self) -> str:
        """The issue or merge request the run belongs to: runs of one thread start in order."""
        return f"{self.event.project_id}/{self.event.kind}/{self.event.iid or self.event.commit}"

    def to_json(self) -> str:
        """Return the request as ASCII JSON of at most MAX_REQUEST bytes."""
        text = _dump(self)
        return text if len(text) <= MAX_REQUEST else _dump(self._replace(instruction=None))


class TrackRequest(NamedTuple):
    """A pipeline to look at: its reply may have to be brought up to date, or it may be repaired.

    `status` is the one an event told of; what is true by then, GitLab tells. `repair`: the pipeline
    is not a run's, it failed at `at` (Unix seconds, 0 if unknown), and AUTO may start its repair;
    only then `at` and `bound`, as in RunRequest, are set.
    """

    project_id: int
    pipeline_id: int
    status: str = ""
    repair: bool = False
    at: float = 0.0
    bound: tuple[str, ...] | None = None

    @property
    def id(self) -> str:
        """The name of this message: one for each status, so that two webhooks make one of it.

        A pipeline may fail again. What is still to be proved is another message.
        """
        if self.repair:
            name = f"repair-{self.project_id}-{self.pipeline_id}-{int(self.at)}"
            return name if self.bound is None else f"{name}-{digest(str(self.bound))[:8]}"
        status = "".join(letter for letter in self.status if letter.isascii() and letter.isalpha())
        return f"track-{self.project_id}-{self.pipeline_id}-{status}"

    @property
    def queue_key(self) -> str:
        """The same: what of a look is still to be proved is part of its id."""
        return self.id

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
        fields = self._asdict() | {"version": _OF_REPAIRS if self.repair else VERSION}
        for name in () if self.repair else ("repair", "at", "bound"):
            del fields[name]  # an older version takes no further field
        return json.dumps(fields)


class Unread(NamedTuple):
    """A message of the queue that this version cannot read, by the name the queue has for it.

    `body` is the message itself, `why` says what is wrong with it and holds nothing of it. `newer`:
    a later version wrote it.
    """

    id: str
    body: str
    why: str
    newer: bool

    @property
    def queue_key(self) -> str:
        """The same: the name by which the queue finds it."""
        return self.id


def read(name: str, text: str | bytes) -> RunRequest | TrackRequest | Unread:
    """Read a message of the queue, by whatever name that has for it."""
    try:
        return from_json(text)
    except ValueError as error:
        body = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        return Unread(name, body, str(error), isinstance(error, NewerError))


def from_json(text: str | bytes) -> RunRequest | TrackRequest:
    """Read what a `to_json` wrote; raise ValueError, without a word of it, for anything else.

    >>> from_json(TrackRequest(7, 31, "running").to_json()).id
    'track-7-31-running'
    """
    return from_object(read_object(text))


def from_object(data: dict[str, Any]) -> RunRequest | TrackRequest:
    """Read the object of such a text, which is used up; raise as `from_json`."""
    check_version(data, _OF_REPAIRS if "repair" in data else VERSION, "a request of ")
    del data["version"]
    try:
        request = _request(data)
    except (KeyError, TypeError, AttributeError) as error:
        message = f"{type(error).__name__} in a request of version {VERSION}"
        raise ShapeError(message) from None
    if not fits(request, type(request)):
        message = f"a field of another type in a request of version {VERSION}"
        raise ShapeError(message)
    return request


def _request(data: dict[str, Any]) -> RunRequest | TrackRequest:
    if data.get("bound") is not None:
        data["bound"] = tuple(data["bound"])
    if "pipeline_id" in data:
        return TrackRequest(**data)
    event = data.pop("event")
    branches = event.pop("branches")
    event = Event(branches=branches and Branches(**branches), texts=(), **event)
    return RunRequest(event=event, **data)


def run_id(host: str, project_id: int, kind: str, subject: object) -> str:
    """Return the id of the run for an object of GitLab: 32 hex digits.

    It is the same for every delivery of the object, by whichever hook.
    """
    return sha256(f"{host}|{project_id}|{kind}|{subject}".encode()).hexdigest()[:32]


def _dump(run: RunRequest) -> str:
    event = run.event._asdict() | {"branches": run.event.branches and run.event.branches._asdict()}
    for name in ("texts", "before", "added"):
        del event[name]
    fields = run._asdict() | {"version": VERSION, "event": event}
    if run.bound is None:
        del fields["bound"]
    if not run.second:
        del fields["second"]
    # ASCII: SQS refuses some characters that notes may hold.
    return json.dumps(fields, separators=(",", ":"))
