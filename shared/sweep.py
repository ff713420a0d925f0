"""The use case on a schedule: find mentions whose delivery never arrived, and put them into the same queue."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import NamedTuple

from shared.contract.ai_flow import MERGE_REQUEST
from shared.gitlab.values import GitLabError, Project
from shared.incoming.delivery import VerifiedDelivery
from shared.incoming.event import Event, PipelineEvent
from shared.incoming.payloads import parse
from shared.outcome.reasons import Reason, Retry, Stop
from shared.runs import dead_letters, projects
from shared.runs import started as runs
from shared.runs.detect import ask
from shared.runs.record import ENDED, Claim, claim_key
from shared.runs.request import TrackRequest
from shared.runs.store import Queue
from shared.services import Services
from shared.track import track

QUIET = 60.0  # seconds a comment is left to its delivery before it counts as missed
OVERLAP = 600.0  # seconds looked at twice, for comments that GitLab lists late
ABANDONED = 3 * 3600.0  # seconds without an attempt after which no queue holds the request any more
_KEPT = 10 * 365 * 24 * 3600  # seconds


class Swept(NamedTuple):
    """What a sweep found: projects looked at, projects that could not be, mentions put into the queue, hooks off."""

    projects: int
    failed: int
    found: int
    disabled_hooks: int


def sweep(world: Services, queue: Queue, *, since: float | None = None) -> Swept:
    """Look at every known project since its last sweep; with `since` (Unix seconds) since then, even if disabled.

    What it finds goes through the same detection, the same run id and the same claim as a delivery, so nothing doubles.
    """
    total = Swept(0, 0, 0, 0)
    seen: set[int] = set()
    for name in projects.known(world.settings, world.secrets.get(), world.records):
        try:
            project = world.gitlab.project(name)
            if (
                project
                and project.id not in seen
                and world.settings.serves(project.id, project.path)
            ):
                seen.add(project.id)
                found, disabled = _sweep(project, world, queue, since)
                total = Swept(
                    total.projects + 1,
                    total.failed,
                    total.found + found,
                    total.disabled_hooks + disabled,
                )
        except GitLabError as error:
            total = total._replace(failed=total.failed + 1)
            world.log(
                "WARNING",
                {
                    "reason": str(Reason.GITLAB_UNAVAILABLE),
                    "error": "sweep",
                    "status": error.status,
                },
            )
    world.log("INFO", {"reason": "swept", **total._asdict()})
    return total


def carry_out(order: Mapping[str, object], world: Services, queue: Queue) -> dict[str, object]:
    """Do what the schedule or an operator asks: `{}`, `{"since": "2026-11-23T08:00:00Z"}`, `{"replay": ["<run>"]}`.

    `{"replay": "all"}` replays every dead letter. Raises ValueError for a time that is none.
    """
    if "replay" in order:
        named = order["replay"]
        return {
            "replayed": replay(
                world, queue, [str(run) for run in named] if isinstance(named, list) else None
            )
        }
    since = order.get("since")
    start = datetime.fromisoformat(str(since)).timestamp() if since else None
    return sweep(world, queue, since=start)._asdict()


def replay(world: Services, queue: Queue, runs: list[str] | None = None) -> list[str]:
    """Put dead letters into the queue again, all of them or those of the named runs; return which there were."""
    wanted = dead_letters.kept(world.records) if runs is None else runs
    return [run for run in wanted if dead_letters.replay(run, queue, world.records, world.now())]


def _sweep(project: Project, world: Services, queue: Queue, since: float | None) -> tuple[int, int]:
    key, end = f"sweep/{project.id}", world.now() - QUIET
    text, version = world.records.read(key)
    start = since if since is not None else float(text) - OVERLAP if text else end
    for pipeline_id in runs.live(
        project.id, world.records
    ):  # where pipeline events are not ticked, or got lost
        with suppress(Retry):
            track(TrackRequest(project.id, pipeline_id), world)
    found = disabled = 0
    served = world.settings.enabled or since is not None
    if served:
        for comment in world.gitlab.comments(project, start):
            if start <= comment.created_at <= end and not comment.edited:
                found += _serve(comment.event, world, queue)
        with suppress(
            GitLabError
        ):  # seeing webhooks takes a Maintainer's token: a help, not a need
            found_there, disabled = _hooks(project, start, world, queue)
            found += found_there
    # What came in while it was switched off is not looked at again unasked.
    world.records.write(key, repr(end if served else end + OVERLAP), version, int(end) + _KEPT)
    return found, disabled


def _hooks(project: Project, start: float, world: Services, queue: Queue) -> tuple[int, int]:
    found = disabled = 0
    for hook in world.gitlab.hooks(project.id):
        if hook.disabled:
            disabled += 1
            world.log(
                "ERROR",
                {"reason": str(Reason.HOOK_DISABLED), "project_id": project.id, "hook_id": hook.id},
            )
        for body in world.gitlab.failed_deliveries(project.id, hook.id, start):
            with suppress(Stop):
                found += _serve(parse(VerifiedDelivery(body)), world, queue)
    return found, disabled


def _serve(event: Event | PipelineEvent, world: Services, queue: Queue) -> int:
    """Queue the event's run if it asks for one that nobody has claimed; return how many were queued."""
    try:
        run = ask(event, world.settings)
    except Stop:
        return 0
    if isinstance(run, TrackRequest):  # what GitLab failed to deliver has been looked at
        return 0
    text, _ = world.records.read(claim_key(run.id))
    claim = Claim.from_json(text) if text else None
    if claim and (claim.state in ENDED or claim.until > world.now() - ABANDONED):
        return 0
    if run.event.kind == MERGE_REQUEST and run.event.branches is None:
        run = run._replace(
            event=run.event._replace(branches=world.gitlab.target(run.event).branches)
        )
    queue.put(run)
    return 1
