"""The use case behind pipeline events: look where a pipeline stands, and let the run's one reply say so.

What an event said is not used: events come late, twice and in any order. What GitLab says now is written.
"""

from shared.contract import marks
from shared.gitlab.values import GitLabError, Progress
from shared.log_fields import entry
from shared.outcome.reasons import Reason
from shared.outgoing import refusals, replies
from shared.runs import started as runs
from shared.runs.request import TrackRequest
from shared.runs.started import Started
from shared.services import Services

_LOOKS = 4  # how often a pipeline is followed that moves on while we write; a later event or sweep follows further
_VERDICTS = {"success": "white_check_mark", "failed": "x"}


def track(request: TrackRequest, world: Services, *, last: bool = False) -> Reason:
    """Bring the reply of a pipeline's run up to date; raise Retry where GitLab does not work and it is not the `last`.

    Any number of calls, at once or one after the other, leave the reply as the pipeline's last state wants it.
    """
    started = runs.find(request.project_id, request.pipeline_id, world.records)
    if started is None:
        return Reason.NOT_OUR_PIPELINE
    try:
        _follow(started, world)
    except GitLabError as error:
        world.log(
            "WARNING",
            entry(Reason.GITLAB_UNAVAILABLE, started.run, error="track", status=error.status),
        )
        if not last:  # else the sweep comes by
            raise refusals.unavailable(error) from error
        return Reason.GITLAB_UNAVAILABLE
    return Reason.TRACKED


def _follow(started: Started, world: Services) -> None:
    project_id, pipeline_id = started.run.event.project_id, started.pipeline.id
    progress = world.gitlab.progress(project_id, pipeline_id)
    for _ in range(_LOOKS):
        if progress is None or progress.over:
            break
        _write(started, progress, world)
        before, progress = progress, world.gitlab.progress(project_id, pipeline_id)
        if progress == before:
            return
    if progress:
        _write(started, progress, world)
    if progress and progress.over:
        _judge(started, progress, world)
    if progress is None or progress.over:
        runs.end(project_id, pipeline_id, world.records, world.now())


def _write(started: Started, progress: Progress, world: Services) -> None:
    run = started.run
    found = None if started.reply_id else world.gitlab.replied(run.event, marks.of_run(run.id))
    note_id = found.id if found else started.reply_id
    body = world.gitlab.read_reply(run.event, note_id) if note_id else None
    # A job of ours speaks for itself while it runs, and its answer stays.
    if body is None or marks.has_answer(body) or (marks.has_job(body) and not progress.over):
        return
    understood = replies.Understood(run.event.name, started.order, world.settings.phrases[0])
    text = replies.moved(run.id, started.pipeline, progress, understood, world.now())
    if marks.has_job(body):
        text = replies.spoken_for(run.id, started.pipeline, text)
    if body.strip() != text:
        world.gitlab.edit_reply(run.event, note_id, text)


def _judge(started: Started, progress: Progress, world: Services) -> None:
    """Let 👀 become ✅ or ❌; a run that was cancelled gets neither."""
    try:
        if verdict := _VERDICTS.get(progress.status):
            world.gitlab.award(started.run.event, verdict)
        world.gitlab.withdraw(started.run.event, "eyes")
    except GitLabError as error:  # a missing reaction stops nobody
        world.log(
            "WARNING",
            entry(Reason.GITLAB_UNAVAILABLE, started.run, error="award", status=error.status),
        )
