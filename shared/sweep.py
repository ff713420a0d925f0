"""The use case on a schedule: find mentions whose delivery never arrived, and queue them."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from shared.gitlab.values import GitLabError, Project
from shared.incoming.delivery import VerifiedDelivery
from shared.incoming.event import Event, PipelineEvent
from shared.incoming.payloads import parse
from shared.leftovers import attend
from shared.outcome.reasons import Reason, Retry, Stop
from shared.runs import record as run_record
from shared.runs import store
from shared.runs.detect import ask
from shared.runs.record import ENDED, RecordError
from shared.runs.request import RunRequest, TrackRequest
from shared.runs.store import Queue
from shared.services import Services
from shared.track import track

QUIET = 60.0  # seconds a comment is left to its delivery before it counts as missed
OVERLAP = 600.0  # seconds looked at twice, for comments that GitLab lists late
ABANDONED = 3 * 3600.0  # seconds without an attempt after which no queue holds the request any more
_KEPT = 10 * 365 * 24 * 3600  # seconds


class Swept(NamedTuple):
    """What a sweep found.

    Projects looked at, projects that could not be, mentions queued, webhooks that are off.
    """

    projects: int
    failed: int
    found: int
    disabled_hooks: int


def sweep(services: Services, queue: Queue, *, since: float | None = None) -> Swept:
    """Look at every known project since its last sweep.

    With `since` (Unix seconds): since then, even if the installation is disabled. What it finds
    goes through the same detection, the same run id and the same record as a delivery, so nothing
    doubles.
    """
    settings, records = services.settings, services.records
    attend(services, queue)
    total = Swept(0, 0, 0, 0)
    seen: set[int] = set()
    for name in store.known_projects(settings, services.secrets.get(), records):
        try:
            project = services.gitlab.project(name)
            if project and project.id not in seen and settings.serves(project.id, project.path):
                seen.add(project.id)
                found, disabled = _sweep_project(project, services, queue, since)
                total = total._replace(
                    projects=total.projects + 1,
                    found=total.found + found,
                    disabled_hooks=total.disabled_hooks + disabled,
                )
        except GitLabError as error:
            total = total._replace(failed=total.failed + 1)
            reason = str(Reason.GITLAB_UNAVAILABLE)
            services.log("WARNING", {"reason": reason, "error": "sweep", "status": error.status})
    services.log("INFO", {"reason": "swept", **total._asdict()})
    return total


def carry_out(task: Mapping[str, object], services: Services, queue: Queue) -> dict[str, object]:
    """Do what the schedule or an operator asks; raise ValueError for a time that is none.

    `{}` and `{"since": "2026-11-23T08:00:00Z"}` sweep. `{"replay": ["<run id>"]}` replays dead
    letters, `{"replay": "all"}` every one.
    """
    if "replay" in task:
        named = task["replay"]
        run_ids = [str(run_id) for run_id in named] if isinstance(named, list) else None
        return {"replayed": replay(services, queue, run_ids)}
    since = task.get("since")
    start = datetime.fromisoformat(str(since)).timestamp() if since else None
    return sweep(services, queue, since=start)._asdict()


def replay(services: Services, queue: Queue, run_ids: list[str] | None = None) -> list[str]:
    """Put dead letters into the queue again, those of the named runs or all; return which."""
    replayed = []
    for run_id in store.dead_letters(services.records) if run_ids is None else run_ids:
        try:
            if run_record.replay(run_id, queue, services.records, services.now()):
                replayed.append(run_id)
        except RecordError as error:
            reason = str(Reason.RECORD_UNREADABLE)
            services.log("ERROR", {"reason": reason, "run": run_id, "error": str(error)})
    return replayed


def _sweep_project(
    project: Project, services: Services, queue: Queue, since: float | None
) -> tuple[int, int]:
    """Return how many mentions were queued, and how many webhooks GitLab has switched off."""
    key, end = f"sweep/{project.id}", services.now() - QUIET
    text, version = services.records.read(key)
    start = since if since is not None else float(text) - OVERLAP if text else end
    # Where pipeline events are not ticked, or got lost.
    for pipeline_id in store.live_pipelines(project.id, services.records):
        with suppress(Retry):
            track(TrackRequest(project.id, pipeline_id), services)
    found = disabled = 0
    served = services.settings.enabled or since is not None
    if served:
        for comment in services.gitlab.comments(project, start):
            if start <= comment.created_at <= end and not comment.edited:
                found += _queue_missed(comment.event, services, queue)
        # Seeing webhooks takes a Maintainer's token: a help, not a need.
        with suppress(GitLabError):
            found_there, disabled = _sweep_hooks(project, start, services, queue)
            found += found_there
    # What came in while it was switched off is not looked at again unasked.
    cursor = repr(end if served else end + OVERLAP)
    services.records.write(key, cursor, version, int(end) + _KEPT)
    return found, disabled


def _sweep_hooks(
    project: Project, start: float, services: Services, queue: Queue
) -> tuple[int, int]:
    found = disabled = 0
    for hook in services.gitlab.hooks(project.id):
        if hook.disabled:
            disabled += 1
            reason = str(Reason.HOOK_DISABLED)
            fields = {"reason": reason, "project_id": project.id, "hook_id": hook.id}
            services.log("ERROR", fields)
        for body in services.gitlab.failed_deliveries(project.id, hook.id, start):
            with suppress(Stop):
                found += _queue_missed(parse(VerifiedDelivery(body)), services, queue)
    return found, disabled


def _queue_missed(event: Event | PipelineEvent, services: Services, queue: Queue) -> int:
    """Queue the event's run if it asks for one that nobody works on; return how many."""
    try:
        request = ask(event, services.settings)
    except Stop:
        return 0
    # Pipelines have been looked at already, whatever GitLab failed to deliver of them.
    if isinstance(request, TrackRequest) or _is_under_way(request, services):
        return 0
    queue.put(request._replace(event=request.event._replace(swept=True)))
    return 1


def _is_under_way(request: RunRequest, services: Services) -> bool:
    """Tell whether a run has ended or is worked on; one that cannot be read is left alone."""
    try:
        record = run_record.load(request.id, services.records, request)
    except RecordError as error:
        reason = str(Reason.RECORD_UNREADABLE)
        services.log("ERROR", {"reason": reason, "run": request.id, "error": str(error)})
        return True
    now = services.now()
    return record is not None and (record.state in ENDED or record.until > now - ABANDONED)
