"""The use case behind pipeline events: let a run's one reply say where its pipeline stands.

What an event said is not used: events come late, twice and in any order. What GitLab says now is
written.
"""

from shared.contract import marks
from shared.gitlab.values import GitLabError, Pipeline, Progress
from shared.log_fields import entry
from shared.outcome.reasons import Reason, Retry
from shared.outgoing import refusals, replies
from shared.runs import record as run_record
from shared.runs import store
from shared.runs.record import Record, RecordError
from shared.runs.request import TrackRequest
from shared.services import Services

# How often a pipeline is followed that moves on while we write; a later event or sweep goes on.
_LOOKS = 4
_VERDICTS = {"success": "white_check_mark", "failed": "x"}


def track(request: TrackRequest, services: Services, *, last: bool = False) -> Reason:
    """Bring the reply of a pipeline's run up to date.

    Raise Retry where GitLab does not work and it is not the `last` time. Any number of calls, at
    once or one after the other, leave the reply as the pipeline's last state wants it.
    """
    run_id = store.live_run(request.project_id, request.pipeline_id, services.records)
    try:
        record = run_record.load(run_id, services.records) if run_id else None
    except RecordError as error:
        raise Retry(Reason.RECORD_UNREADABLE) from error
    if record is None or record.pipeline is None:
        return Reason.NOT_OUR_PIPELINE
    try:
        _follow(record, record.pipeline, services)
    except GitLabError as error:
        _warn(record, "track", error, services)
        if not last:  # else the sweep comes by
            raise refusals.unavailable(error) from error
        return Reason.GITLAB_UNAVAILABLE
    return Reason.TRACKED


def _follow(record: Record, pipeline: Pipeline, services: Services) -> None:
    project_id, gitlab = record.request.event.project_id, services.gitlab
    progress = gitlab.progress(project_id, pipeline.id)
    for _ in range(_LOOKS):
        if progress is None or progress.over:
            break
        _edit_reply(record, pipeline, progress, services)
        before, progress = progress, gitlab.progress(project_id, pipeline.id)
        if progress == before:
            return
    if progress:
        _edit_reply(record, pipeline, progress, services)
    if progress and progress.over:
        _award_verdict(record, progress, services)
    if progress is None or progress.over:
        store.end_pipeline(project_id, pipeline.id, services.records, services.now())


def _edit_reply(record: Record, pipeline: Pipeline, progress: Progress, services: Services) -> None:
    run, gitlab = record.carried_out, services.gitlab
    note_id = record.reply_id
    if not note_id:
        found = gitlab.replied(run.event, marks.of_run(run.id))
        note_id = found.id if found else 0
    body = gitlab.read_reply(run.event, note_id) if note_id else None
    # A job of ours speaks for itself while it runs, and its answer stays.
    if body is None or marks.has_answer(body) or (marks.has_job(body) and not progress.over):
        return
    understood = replies.Understood(run.event.name, record.options, services.settings.phrases[0])
    text = replies.moved(run.id, pipeline, progress, understood, services.now())
    if marks.has_job(body):
        text = replies.spoken_for(run.id, pipeline, text)
    if body.strip() != text:
        gitlab.edit_reply(run.event, note_id, text)


def _award_verdict(record: Record, progress: Progress, services: Services) -> None:
    """Let 👀 become ✅ or ❌; a run that was cancelled gets neither."""
    event = record.carried_out.event
    try:
        if verdict := _VERDICTS.get(progress.status):
            services.gitlab.award(event, verdict)
        services.gitlab.withdraw(event, "eyes")
    except GitLabError as error:  # a missing reaction stops nobody
        _warn(record, "award", error, services)


def _warn(record: Record, what: str, error: GitLabError, services: Services) -> None:
    run = record.carried_out
    fields = entry(Reason.GITLAB_UNAVAILABLE, run, error=what, status=error.status)
    services.log("WARNING", fields)
