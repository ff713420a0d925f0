"""The commands that act on the thread: `help`, `status`, `stop`, and `retry`, which runs its last request again."""

from contextlib import suppress

from shared import replies, runs
from shared.command import HELP, STATUS, Order
from shared.outcome import Reason, Retry, Stop
from shared.ports import GitLabError, Pipeline, World
from shared.run import RunRequest, TrackRequest
from shared.runs import Started
from shared.track import track

_FORBIDDEN = 403
_LISTED = 5  # runs that `status` tells of


def answer(run: RunRequest, order: Order, world: World, *, again: bool = False) -> str:
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


def last_of(run: RunRequest, world: World) -> Started:
    """Return the run that `retry` repeats: the thread's last one; what was asked internally is repeated internally."""
    for started in runs.of_thread(run.thread, world.records):
        if run.event.internal or not started.run.event.internal:
            return started
    raise Stop(Reason.NOTHING_TO_RETRY)


def repeated(run: RunRequest, order: Order, former: Started) -> tuple[RunRequest, Order]:
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


def _stop(run: RunRequest, world: World, *, again: bool) -> str:
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
