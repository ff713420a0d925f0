"""The commands that act on a thread: `help`, `status`, `stop`, `retry`, and `budget`."""

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice

from shared.contract import marks
from shared.contract.ai_flow import MENTION
from shared.gitlab.values import FORBIDDEN, GitLabError, Pipeline, Progress
from shared.outcome.reasons import Reason, Retry, Stop
from shared.outgoing import replies
from shared.runs import budgets, limits, store
from shared.runs.command import BUDGET, HELP, STATUS, Options
from shared.runs.record import Record, State, end_waiting, load_all
from shared.runs.request import RunRequest, TrackRequest
from shared.services import Services
from shared.track import track

_LISTED = 5  # runs that `status` tells of
_NEWEST = 100  # of a project's pipelines, which one call tells of


def answer(
    request: RunRequest, options: Options, services: Services, *, again: bool = False
) -> str:
    """Return the reply to a command that needs no pipeline; raise GitLabError where GitLab fails.

    `again` says that an earlier attempt may have carried the command out.
    """
    if options.command == HELP:
        return replies.help_text(request.id, services.settings)
    if options.command == STATUS:
        return _status(request, services)
    if options.command == BUDGET:
        settings = services.settings
        found = budgets.accounts(request, settings, services.records, services.now())
        return replies.budget(request.id, settings, found)
    return _stop(request, services, again=again)


def last_of(request: RunRequest, services: Services) -> Record:
    """Return the run that `retry` repeats, the thread's last; raise Stop where there is none."""
    runs = _runs_of_thread(request, services)
    former = next((record for record in runs if record.pipeline), None)
    if former is None:
        raise Stop(Reason.NOTHING_TO_RETRY)
    return former


def repeated(request: RunRequest, options: Options, former: Record) -> tuple[RunRequest, Options]:
    """Return a former request as the one who repeats it asks it.

    It is carried out in their name and answered where they asked; options they give replace those
    of then.
    """
    here, then = request.event, former.carried_out
    event = then.event._replace(
        name=MENTION if then.event.by_policy else then.event.name,
        note_id=here.note_id,
        discussion_id=here.discussion_id,
        internal=here.internal,
        author_id=here.author_id,
        author=here.author,
        at=here.at,
        branches=here.branches,
    )
    given = {name: value for name, value in options._asdict().items() if value}
    given.pop("command")
    return then._replace(id=request.id, event=event), former.options._replace(**given)


def _runs_of_thread(request: RunRequest, services: Services) -> Iterator[Record]:
    """Yield the thread's runs, newest first; who asks in public hears of no internal one."""
    ids = store.runs_of_thread(request.thread, services.records)
    for record in load_all(ids, services.records, services.log):
        if request.event.internal or not record.carried_out.event.internal:
            yield record


def _pipelines_of_thread(request: RunRequest, services: Services) -> list[tuple[int, Pipeline]]:
    """Return the thread's pipelines, each with the id of the project that it runs in."""
    records = _runs_of_thread(request, services)
    return [(record.runs_in, record.pipeline) for record in records if record.pipeline]


def _status(request: RunRequest, services: Services) -> str:
    pipelines = _pipelines_of_thread(request, services)[:_LISTED]
    found = [(each, services.gitlab.progress(home, each.id)) for home, each in pipelines]
    return replies.status(request.id, found, services.now())


def _stop(request: RunRequest, services: Services, *, again: bool) -> str:
    """Cancel what still runs or waits in the thread.

    What an earlier attempt cancelled is told as well. What had ended may have been started again by
    hand.
    """
    gitlab = services.gitlab
    waiting = _stop_waiting(request, services, again=again)
    pipelines = _pipelines_of_thread(request, services)
    newest = {} if again else _ended(pipelines, services)
    done: list[Pipeline] = []
    forbidden: list[Pipeline] = []
    for project_id, pipeline in pipelines:
        progress = newest.get(pipeline.id) or gitlab.progress(project_id, pipeline.id)
        if again and progress and progress.status == "canceled":
            done.append(pipeline)
        if progress is None or progress.over:
            continue
        try:
            gitlab.cancel(project_id, pipeline.id)
            done.append(pipeline)
        except GitLabError as error:
            if error.status != FORBIDDEN:
                raise
            forbidden.append(pipeline)
        with suppress(Retry):  # an event or the sweep will say it otherwise
            track(TrackRequest(project_id, pipeline.id, progress.status), services)
    return replies.cancelled(request.id, done, forbidden, waiting=waiting)


def _ended(pipelines: list[tuple[int, Pipeline]], services: Services) -> dict[int, Progress]:
    """Return where those stand that had ended, as far as one call for each project tells."""
    found: dict[int, Progress] = {}
    for home in dict.fromkeys(project_id for project_id, _ in pipelines):
        live = store.live_pipelines(home, services.records)
        ended = [each.id for project_id, each in pipelines if project_id == home]
        ended = [each for each in ended if each not in live]
        if ended:
            listed = dict(islice(services.gitlab.newest_pipelines(home), _NEWEST))
            found |= {each: listed[each] for each in ended if each in listed}
    return found


def _stop_waiting(request: RunRequest, services: Services, *, again: bool) -> bool:
    """End the thread's runs that wait for their turn, and say so in their replies."""
    gitlab, found = services.gitlab, False
    for record in list(_runs_of_thread(request, services)):
        ended = (record.state, record.reason) == (State.REFUSED, str(Reason.CANCELLED))
        if not end_waiting(record, services.records) and not (again and ended):
            continue
        found = True
        run = record.request
        reply = gitlab.replied(run.event, marks.of_run(run.id))
        if reply:
            gitlab.edit_reply(run.event, reply.id, replies.stopped(run.id, Stop(Reason.CANCELLED)))
        limits.give_back(run, services.settings, services.records, services.now())
    return found
