"""A pipeline that has failed: whether a merge request has it, and what AUTO makes of that.

An event only hints at a pipeline. Whose it is, who started it and how it ended, GitLab tells.
"""

import re

from shared.contract.ai_flow import MERGE_REQUEST
from shared.gitlab.values import GitLabError, Progress, Project, Target
from shared.incoming.digests import digest_of_texts
from shared.incoming.event import Event
from shared.incoming.payloads import REPAIRABLE
from shared.installation.auto import FAILED
from shared.outcome.reasons import Reason, Retry
from shared.outgoing import refusals
from shared.runs import record, store
from shared.runs.confirm import MAX_AGE, SKEW, has_failed
from shared.runs.detect import by_policy
from shared.runs.record import ENDED, RecordError
from shared.runs.request import RunRequest, TrackRequest
from shared.services import Services

_MOST = 5  # merge requests of one branch that are looked at


def repair_of(request: TrackRequest, services: Services) -> RunRequest | None:
    """Return the run that is to repair a pipeline; None where nothing is, or may be, to repair.

    Never where our jobs are all that failed, or a trigger started it: those may be ours. Whether
    the policy lets the run start is asked where it starts. A run that has begun goes on, whatever
    became of the pipeline. Raise Retry where GitLab does not answer, or may not have heard.
    """
    where, records = (request.project_id, request.pipeline_id), services.records
    try:
        known = store.repair(*where, records)
        begun = record.load(known, records) if known else None
        if begun and begun.state not in ENDED:
            return begun.request._replace(bound=request.bound)
        found = _repair_of(request, services)
    except RecordError as error:
        raise Retry(Reason.RECORD_UNREADABLE) from error
    except GitLabError as error:
        if error.refused:  # what we may not see we do not repair
            return None
        raise refusals.unavailable(error) from error
    if found:
        store.note_repair(*where, found.id, records, services.now())
    return found


def _repair_of(request: TrackRequest, services: Services) -> RunRequest | None:
    gitlab, settings = services.gitlab, services.settings
    policy = settings.auto
    project = gitlab.project(str(request.project_id))
    if not (project and policy and (command := policy.command(FAILED))):
        return None
    if settings.pipeline_ref == "source" and not settings.runner_of(project.id, project.path):
        return None  # our own pipeline would be the branch's latest, and the job look at that
    progress = gitlab.progress(project.id, request.pipeline_id)
    if progress is None or not _may_be_repaired(progress, project):
        return None
    heard = progress.over
    of_one = re.fullmatch(r"refs/merge-requests/([0-9]{1,18})/[a-z]+", progress.ref)
    iids = [int(of_one[1])] if of_one else gitlab.open_of_branch(project.id, progress.ref)
    for iid in iids[:_MOST]:
        event = _event(project, iid)
        target = gitlab.target(event)
        if target.state != "opened" or target.draft:
            continue
        latest = target.pipeline.id if target.pipeline else 0
        if latest == request.pipeline_id and has_failed(event, target, gitlab):
            told = _told(event, target)
            if 0 < told.at < services.now() - MAX_AGE:  # GitLab would have told of it then
                return None
            asked = by_policy(told, command, FAILED, settings.host)
            return asked._replace(bound=request.bound)
        heard = heard and latest >= request.pipeline_id
    # Only for what has just ended: a time to come, which a delivery may invent, has no end.
    if not heard and abs(services.now() - request.at) < SKEW:
        raise Retry(Reason.GITLAB_UNAVAILABLE)
    return None


def _may_be_repaired(progress: Progress, project: Project) -> bool:
    theirs = progress.source in REPAIRABLE and not progress.only_ours_failed
    return theirs and progress.ref != project.default_branch


def _event(project: Project, iid: int) -> Event:
    """Return what happened to a merge request, as far as no answer about it is needed."""
    return Event(
        project_id=project.id,
        project_path=project.path,
        default_branch=project.default_branch,
        kind=MERGE_REQUEST,
        iid=iid,
        branches=None,
        note_id=0,
        discussion_id=None,
        internal=False,
        public=project.public,
        author_id=0,
        author="",
        texts=(),
        position=None,
    )


def _told(event: Event, target: Target) -> Event:
    """Return the event with GitLab's word for the rest: whoever started the pipeline did it."""
    pipeline = target.pipeline
    assert pipeline  # noqa: S101  the caller has looked
    author_id, author = pipeline.user
    return event._replace(
        branches=target.branches,
        author_id=author_id,
        author=author,
        at=pipeline.ended_at,
        texts_digest=digest_of_texts(target.title, target.description),
    )
