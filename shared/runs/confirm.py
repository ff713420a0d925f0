"""Ask GitLab whether what a delivery told is so, before anything starts.

A delivery is a hint: whoever holds a webhook's secret can write one. GitLab is the source of who
wrote what where, of the branches, and of what is confidential.
"""

import re
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from shared.contract.ai_flow import ASSIGN, ASSIGN_REVIEWER, LABEL, MENTION
from shared.gitlab.port import GitLab
from shared.gitlab.values import NOT_FOUND, GitLabError, Note, Target
from shared.incoming.digests import digest, digest_of_texts
from shared.incoming.event import Branches, Event
from shared.installation.auto import FAILED
from shared.installation.settings import Settings
from shared.outcome.reasons import Reason, Stop
from shared.runs.detect import instruction_of
from shared.runs.request import RunRequest

MAX_AGE = 24 * 3600.0  # seconds after which a comment is too old to be a new request
SKEW = 60.0  # seconds between what GitLab's parts call the same moment

_LOOKED_AT = 50  # of the newest comments, which are read anyway, before one is asked for by its id


class Confirmed(NamedTuple):
    """A request as GitLab confirms it.

    Its event holds GitLab's word where the delivery had only a claim. `notes` are the comments of
    the thread, newest first. `unchanged` says that title and description are those that were in
    view when the person asked.
    """

    request: RunRequest
    target: Target
    notes: Iterator[Note]
    unchanged: bool


def confirm(request: RunRequest, gitlab: GitLab, settings: Settings, now: float) -> Confirmed:
    """Return the request as GitLab tells it.

    Raise Stop(NOTE_CHANGED) where GitLab tells otherwise, Stop(SUPERSEDED) where what nobody asked
    for is about another commit by now, or about a pipeline that has not failed any more,
    GitLabError where it does not answer: 404 may also mean that a replica has not heard of it yet.
    """
    event = request.event
    project = gitlab.project(str(event.project_id))
    if project is None:
        raise GitLabError(NOT_FOUND)
    target = gitlab.target(event)
    notes = gitlab.notes(event)
    unchanged = _is_unchanged(event, target)
    internal = event.internal or target.confidential
    at = event.at
    if event.note_id:
        note, notes = _find(event, gitlab, notes)
        _check_note(request, note, settings, now)
        internal = internal or note.internal
        at = note.created_at
    elif event.by_policy:
        _check_commit(event, target)
        if event.occasion == FAILED and not has_failed(event, target, gitlab):
            raise Stop(Reason.SUPERSEDED)
    else:
        _check_change(request, target, settings, unchanged=unchanged)
    confirmed = event._replace(
        project_path=project.path,
        default_branch=project.default_branch,
        public=project.public,
        branches=_branches(event.branches, target.branches),
        internal=internal,
        at=at,
    )
    return Confirmed(request._replace(event=confirmed), target, notes, unchanged)


def text_of(request: RunRequest, gitlab: GitLab, settings: Settings) -> str:
    """Return a request's instruction; one that was too long to travel is read from GitLab.

    Raise Stop(NOTE_CHANGED) where it is another one by now, GitLabError.
    """
    if request.instruction is not None:
        return request.instruction
    texts: tuple[str, ...]
    if request.event.note_id:
        texts = (gitlab.note(request.event).body,)
    else:
        target = gitlab.target(request.event)
        texts = target.title, target.description
    instruction = instruction_of(texts, settings.phrases)
    if instruction is None or digest(instruction) != request.digest:
        raise Stop(Reason.NOTE_CHANGED)
    return instruction


def _find(event: Event, gitlab: GitLab, notes: Iterator[Note]) -> tuple[Note, Iterator[Note]]:
    """Return the comment, and all comments again: it is nearly always among the newest."""
    read: list[Note] = []
    try:
        for note in notes:
            read.append(note)
            if note.id == event.note_id:
                return note, chain(read, notes)
            if len(read) == _LOOKED_AT:
                break
    except GitLabError as error:
        notes = _fails(error)  # the job can do without the others
    return gitlab.note(event), chain(read, notes)


def _fails(error: GitLabError) -> Iterator[Note]:
    yield from ()
    raise error


def _check_note(request: RunRequest, note: Note, settings: Settings, now: float) -> None:
    event = request.event
    late = event.swept or request.replay  # then the sweep or an operator has chosen the window
    asked = instruction_of((note.body,), settings.phrases)
    if (
        note.author[0] != event.author_id
        or asked is None
        or digest(asked) != request.digest
        or (not late and now - note.created_at > MAX_AGE)
    ):
        raise Stop(Reason.NOTE_CHANGED)


def _check_change(
    request: RunRequest, target: Target, settings: Settings, *, unchanged: bool
) -> None:
    """Check a request that an issue or merge request itself makes, by a text or without one.

    Who opened it is GitLab's word. Who changed it is the delivery's: GitLab does not tell.
    """
    if request.event.own and request.event.author_id != target.author[0]:
        raise Stop(Reason.NOTE_CHANGED)
    names = {
        ASSIGN: (target.assignees, settings.names),
        ASSIGN_REVIEWER: (target.reviewers, settings.names),
        LABEL: (target.labels, settings.labels),
    }
    name = request.event.name
    if name != MENTION:
        there, ours = names[name]
        if not {each.lower() for each in there} & set(ours):
            raise Stop(Reason.NOTE_CHANGED)
    # Of a review the changes are the task; of all else it is what stands in title and description.
    if name != ASSIGN_REVIEWER and not unchanged:
        raise Stop(Reason.NOTE_CHANGED)


def _check_commit(event: Event, target: Target) -> None:
    """Check that a merge request is open, ready, and at the commit that a start by policy is for.

    If it is not, and was last updated before the event, a replica of GitLab's may not have heard of
    that yet: 404, too.
    """
    there, told = target.branches, event.branches
    same = there and told and there.sha == told.sha
    if same and not target.draft and target.state == "opened":
        return
    if is_stale(event, target):
        raise GitLabError(NOT_FOUND)
    raise Stop(Reason.SUPERSEDED)


def has_failed(event: Event, target: Target, gitlab: GitLab) -> bool:
    """Tell whether the latest pipeline of a merge request is of its head, and has failed.

    One of merged results has a commit of GitLab's, whose parent the head is; what is on a merge
    train has no newer head: https://docs.gitlab.com/ci/pipelines/merged_results_pipelines/
    """
    pipeline, head = target.pipeline, target.branches and target.branches.sha
    if not pipeline or pipeline.status != "failed":
        return False
    made = re.fullmatch(r"refs/merge-requests/[0-9]+/(merge|train)", pipeline.ref)
    if pipeline.sha == head or not made:
        return pipeline.sha == head
    return made[1] == "train" or head in gitlab.parents(event.project_id, pipeline.sha)


def is_stale(event: Event, target: Target) -> bool:
    """Tell whether a replica of GitLab's may not have heard of the event yet."""
    return 0 < target.updated_at < event.at - SKEW


def _is_unchanged(event: Event, target: Target) -> bool:
    if event.texts_digest:
        return digest_of_texts(target.title, target.description) == event.texts_digest
    # The sweep has seen no texts: then any later change may be one of them.
    return bool(event.at) and target.updated_at <= event.at + SKEW


def _branches(told: Branches | None, known: Branches | None) -> Branches | None:
    """Return GitLab's branches; the commit is the one in view when the person asked."""
    if known and told and (told.source, told.source_project_id) == known[:1] + known[2:3]:
        return known._replace(sha=told.sha or known.sha)
    return known
