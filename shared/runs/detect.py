"""Detect whether an event asks for a run. Who may ask is decided behind the queue."""

import re
from typing import TYPE_CHECKING

from shared.contract import marks
from shared.contract.ai_flow import AUTO, LABEL, SHA
from shared.incoming import mention
from shared.incoming.changes import new_lines
from shared.incoming.digests import digest
from shared.incoming.event import Event, PipelineEvent
from shared.installation.auto import FAILED, WORDS
from shared.installation.secrets import Names, speaks_for
from shared.outcome import messages
from shared.outcome.reasons import Reason, Stop
from shared.runs.request import RunRequest, TrackRequest, run_id

if TYPE_CHECKING:
    from shared.installation.settings import Settings

_BETWEEN = "\n\n"  # a title and a description


def ask(event: Event | PipelineEvent, settings: "Settings") -> RunRequest | TrackRequest:
    """Return the request that an event makes; raise Stop with the reason where it makes none.

    An event asks by a new mention, by an assignment or review request, or by a label; where nobody
    asks, AUTO may.

    >>> from shared.installation.settings import Settings
    >>> ask(PipelineEvent(7, "group/app", 31, "running"), Settings.read({})).id
    'track-7-31-running'
    """
    if isinstance(event, PipelineEvent):
        return _followed(event, settings)
    # Nobody asks in a text of ours; the policy reads none.
    ours = any(marks.TRIGGER in text for text in event.texts)
    name, parts = (AUTO, _commanded(event, settings)) if ours else _asked(event, settings)
    if not parts and ours:
        raise Stop(Reason.OWN_NOTE)
    if not settings.serves(event.project_id, event.project_path):
        asks = settings.is_runner(event.project_id, event.project_path)
        raise Stop(Reason.RUNNER_ASKS if asks else Reason.PROJECT_NOT_ALLOWED)
    if event.internal and not settings.serve_confidential:
        raise Stop(Reason.CONFIDENTIAL_OFF)
    if name == AUTO:
        command, occasion = parts
        return by_policy(event, command, occasion, settings.host)
    if not parts[1:]:
        return request(event._replace(name=name), _whole(parts), settings.host)
    # Halves of a pair that a cut brought together would be one character behind the queue.
    parts = [part.encode("utf-8", "replace").decode() for part in parts]
    asked = request(event._replace(name=name), _whole(parts), settings.host)
    return asked._replace(second=len(parts[0]) + len(_BETWEEN))


def bound(event: Event | PipelineEvent, names: Names) -> Names:
    """Return what GitLab is still to confirm of an event that came with a token for these names.

    The id is the project that would be acted upon: a token for it, or for every project, leaves
    nothing to prove. The path is only what the delivery says of it: the names that fit are to be
    held against GitLab's own (`RunRequest.bound`). Raise Stop where the token is for others.

    >>> bound(PipelineEvent(7, "group/app", 31, "running"), ("group", "other"))
    ('group',)
    """
    if names is None or str(event.project_id) in names:
        return None
    claimed = tuple(
        name for name in names if speaks_for((name,), event.project_id, event.project_path)
    )
    if not claimed:
        raise Stop(Reason.TOKEN_NOT_FOR_PROJECT)
    return claimed


def request(event: Event, instruction: str, host: str) -> RunRequest:
    """Make the request for an event.

    `host` is that of the installation's GitLab, never one that a payload names.
    """
    subject = ("note", str(event.note_id)) if event.note_id else (event.kind, event.occasion)
    return RunRequest(
        id=run_id(host, event.project_id, *subject),
        event=event._replace(texts=(), before=(), added=()),
        instruction=instruction,
        digest=digest(instruction),
    )


def instruction_of(texts: tuple[str, ...], phrases: tuple[str, ...]) -> str | None:
    r"""Return what a title and a description, or a comment, ask of us; None if none mentions us.

    The text that mentions us comes first: a command is its first word.

    >>> instruction_of(("Dark mode", "@claude add this"), ("@claude",))
    'add this\n\nDark mode'
    """
    parts = _parts(texts, [mention.instruction(text, phrases) for text in texts])
    return None if parts is None else _whole(parts)


def _asked(event: Event, settings: "Settings") -> tuple[str, list[str]]:
    """Return AI_FLOW_EVENT and what is asked; a mention says more than an assignment or label."""
    parts = _newly_mentioned(event, settings.phrases)
    if parts is not None:
        return event.name, parts
    for name, added in event.added:
        ours = settings.labels if name == LABEL else settings.names
        if name != AUTO and added.lower() in ours:
            return name, [messages.PROMPTS[name]]
    if parts := _commanded(event, settings):
        return AUTO, parts
    raise Stop(Reason.NO_MENTION if event.note_id else Reason.NOTHING_NEW)


def by_policy(event: Event, command: str, occasion: str, host: str) -> RunRequest:
    """Return the request for a command on an occasion: a commit has one, whatever tells of it."""
    commit = event.branches.sha if event.branches else ""
    subject = event._replace(name=AUTO, occasion=f"{event.iid}|{command}|{commit}")
    asked = request(subject, WORDS[command], host)
    return asked._replace(event=asked.event._replace(occasion=occasion))


def _followed(event: PipelineEvent, settings: "Settings") -> TrackRequest:
    """Return the request for a look at a pipeline: a run's, or one that AUTO may let repair."""
    project = event.project_id, event.project_path
    policy = settings.auto
    if not event.ours and not (policy and policy.command(FAILED) and policy.serves(*project)):
        raise Stop(Reason.NOT_OUR_PIPELINE)
    if not (settings.serves(*project) or (event.ours and settings.is_runner(*project))):
        raise Stop(Reason.PROJECT_NOT_ALLOWED)
    asked = TrackRequest(event.project_id, event.pipeline_id, event.status)
    return asked if event.ours else asked._replace(repair=True, at=event.at)


def _commanded(event: Event, settings: "Settings") -> list[str]:
    """Return the command that AUTO starts by an event, and on what occasion; nothing for none."""
    policy, known = settings.auto, event.branches and re.fullmatch(SHA, event.branches.sha)
    if not (policy and known and policy.serves(event.project_id, event.project_path)):
        return []
    occasions = (occasion for name, occasion in event.added if name == AUTO)
    found = ([policy.command(occasion), occasion] for occasion in occasions)
    return next((parts for parts in found if parts[0]), [])


def _newly_mentioned(event: Event, phrases: tuple[str, ...]) -> list[str] | None:
    """Return what the texts ask if one mentions us that did not before.

    Of a change by somebody else than the author only what the change brought is an instruction:
    the rest was written by others, and nobody asked for it.
    """
    texts, befores = event.texts, event.before
    if texts == befores:
        return None
    own = [event.own or not before for before in befores]
    asked = [
        mention.instruction(text, phrases) if mine or text != before else None
        for text, before, mine in zip(texts, befores, own, strict=True)
    ]
    if not any(
        part is not None and text != before and not mention.occurs(before, phrases)
        for part, text, before in zip(asked, texts, befores, strict=True)
    ):
        return None
    written = [
        text if mine else new_lines(text, before)
        for text, before, mine in zip(texts, befores, own, strict=True)
    ]
    asked = [
        part if mine or part is None else mention.instruction(words, phrases)
        for part, words, mine in zip(asked, written, own, strict=True)
    ]
    return _parts(tuple(written), asked)


def _parts(texts: tuple[str, ...], asked: list[str | None]) -> list[str] | None:
    """Return what each text says that says something, one that mentions us first."""
    if all(part is None for part in asked):
        return None
    others = [text for text, part in zip(texts, asked, strict=True) if part is None]
    return [part for part in [*asked, *others] if part]


def _whole(parts: list[str]) -> str:
    return _BETWEEN.join(parts)
