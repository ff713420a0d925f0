"""A run: one mention's journey, its id, and the requests that the queue carries. It knows no queue."""

from typing import TYPE_CHECKING

from shared.contract import marks
from shared.contract.ai_flow import LABEL
from shared.incoming import mention
from shared.incoming.event import Event, PipelineEvent
from shared.outcome import messages
from shared.outcome.reasons import Reason, Stop

if TYPE_CHECKING:
    from shared.installation.settings import Settings
from shared.runs.request import RunRequest, TrackRequest, digest, run_id


def ask(event: Event | PipelineEvent, settings: "Settings") -> RunRequest | TrackRequest:
    """Return the request an event makes of this installation; raise Stop with the reason where it makes none."""
    if isinstance(event, PipelineEvent):
        if not settings.serves(event.project_id, event.project_path):
            raise Stop(Reason.PROJECT_NOT_ALLOWED)
        return TrackRequest(event.project_id, event.pipeline_id, event.status)
    if any(marks.TRIGGER in text for text in event.texts):
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
            return name, messages.PROMPTS[name]
    raise Stop(Reason.NO_MENTION if event.note_id else Reason.NOTHING_NEW)
