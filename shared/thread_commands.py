"""The commands that act on the thread: `help`, `status`, `stop`, and `retry`, which runs its last request again."""

from contextlib import suppress

from shared.gitlab.values import GitLabError, Pipeline
from shared.outcome.reasons import Reason, Retry, Stop
from shared.outgoing import replies
from shared.runs import started as runs
from shared.runs.command import HELP, STATUS, Options
from shared.runs.request import RunRequest, TrackRequest
from shared.runs.started import Started
from shared.services import Services
from shared.track import track

_FORBIDDEN = 403
_LISTED = 5  # runs that `status` tells of


def answer(run: RunRequest, order: Options, world: Services, *, again: bool = False) -> str:
    """Return the reply to a command, perhaps one that was carried out before; raise GitLabError where GitLab fails."""
    if order.command == HELP:
        return replies.help_text(run.id, world.settings)
    if order.command == STATUS:
        found = [
            started.pipeline for started in runs.of_thread(run.thread, world.records)[:_LISTED]
        ]
        progress = [(each, world.gitlab.progress(run.event.project_id, each.id)) for each in found]
        return replies.status(run.id, progress, world.now())
    return _stop(run, world, again=again)


def last_of(run: RunRequest, world: Services) -> Started:
    """Return the run that `retry` repeats: the thread's last one; what was asked internally is repeated internally."""
    for started in runs.of_thread(run.thread, world.records):
        if run.event.internal or not started.run.event.internal:
            return started
    raise Stop(Reason.NOTHING_TO_RETRY)


def repeated(run: RunRequest, order: Options, former: Started) -> tuple[RunRequest, Options]:
    """Return a former request as the one who repeats it asks it: in their name, answered where they asked."""
    here = run.event
    event = former.run.event._replace(
        note_id=here.note_id,
        discussion_id=here.discussion_id,
        internal=here.internal,
        author_id=here.author_id,
        author=here.author,
        at=here.at,
        branches=here.branches,
    )
    given = {name: value for name, value in order._asdict().items() if value and name != "command"}
    return former.run._replace(id=run.id, event=event), former.order._replace(**given)


def _stop(run: RunRequest, world: Services, *, again: bool) -> str:
    """Cancel what still runs in the thread; what an earlier attempt cancelled is told as well."""
    project_id = run.event.project_id
    live = runs.live(project_id, world.records)
    done: list[Pipeline] = []
    forbidden: list[Pipeline] = []
    for started in runs.of_thread(run.thread, world.records):
        pipeline = started.pipeline
        progress = (
            world.gitlab.progress(project_id, pipeline.id) if again or pipeline.id in live else None
        )
        if again and progress and progress.status == "canceled":
            done.append(pipeline)
        if progress is None or progress.over:
            continue
        try:
            world.gitlab.cancel(project_id, pipeline.id)
            done.append(pipeline)
        except GitLabError as error:
            if error.status != _FORBIDDEN:
                raise
            forbidden.append(pipeline)
        with suppress(Retry):  # an event or the sweep will say it otherwise
            track(TrackRequest(project_id, pipeline.id), world)
    return replies.cancelled(run.id, done, forbidden)
