"""Whether what nobody asked for may start, and what it supersedes: AUTO, and the project's file.

That file is read from the default branch, never from a merge request's, and can only narrow.
"""

from itertools import islice

from shared.contract import marks
from shared.gitlab.values import FORBIDDEN, GitLabError
from shared.incoming.event import Event
from shared.installation import auto
from shared.installation.auto import Policy, PolicyError
from shared.log_fields import entry
from shared.outcome import messages
from shared.outcome.reasons import Reason, Stop
from shared.runs import limits, store
from shared.runs.confirm import Confirmed, is_stale
from shared.runs.record import Record, State, end_waiting, load_all
from shared.runs.request import RunRequest
from shared.services import Services

# What is told of a start by policy that may not be, each once; of others the log knows.
TOLD = frozenset(
    {
        Reason.USER_LIMIT,
        Reason.THREAD_LIMIT,
        Reason.PROJECT_LIMIT,
        Reason.DAY_LIMIT,
        Reason.BUDGET_USER,
        Reason.BUDGET_PROJECT,
        Reason.BUDGET_INSTALLATION,
        Reason.AUTO_LIMIT,
        Reason.AUTO_UNREADABLE,
    }
)
_FILES = 500  # changed files that are looked at: five pages of GitLab's


def admit(confirmed: Confirmed, services: Services) -> None:
    """Cancel what was started for older commits, and count the run where the policy lets it start.

    Raise Stop where it does not, GitLabError.
    """
    request = confirmed.request
    _supersede(request, services)
    policy, file = _policies(request, services)
    rule = _refusing(confirmed, policy, file, services)
    if rule:
        services.log("INFO", entry(Reason.NOT_BY_POLICY, request, rule=rule))
        raise Stop(Reason.NOT_BY_POLICY)
    limits.count_by_policy(request, policy.runs, services.records, services.now())


def withdraw_if_moved(record: Record, services: Services) -> None:
    """Cancel a run's pipeline where newer commits have come since; then raise Stop(SUPERSEDED)."""
    event, gitlab = record.request.event, services.gitlab
    if event.occasion == auto.FAILED and record.attempt > 1:  # by now it may have pushed
        return
    target = gitlab.target(event)
    now = target.branches
    if now and now.sha != _commit(event) and not is_stale(event, target):
        _cancel(record, services)
        raise Stop(Reason.SUPERSEDED)


def take_back(record: Record, services: Services) -> None:
    """Delete the reply of a run that will say nothing; what a job has answered stays."""
    event, gitlab = record.request.event, services.gitlab
    found = gitlab.replied(event, marks.of_run(record.request.id))
    if found and not marks.has_answer(found.body):
        gitlab.delete_reply(event, found.id)


def _policies(request: RunRequest, services: Services) -> tuple[Policy, Policy]:
    """Return the installation's policy as the project's file narrows it, and the file's filters."""
    event, policy = request.event, services.settings.auto
    if policy is None:  # it has been switched off since
        raise Stop(Reason.NOT_BY_POLICY)
    file = services.gitlab.file(event.project_id, auto.FILE, event.default_branch)
    try:
        return auto.narrowed(policy, file.text if file else "")
    except PolicyError as error:
        blob = file.blob if file else ""
        if store.first_of_file(request, blob, services.records, services.now()):
            hint = messages.AUTO_LINE.format(line=error.line)
            raise Stop(Reason.AUTO_UNREADABLE, hint) from None
        raise Stop(Reason.NOT_BY_POLICY) from None


def _refusing(confirmed: Confirmed, policy: Policy, file: Policy, services: Services) -> str:
    """Return the part of the policy that does not let a merge request in, "" if all do."""
    event, target = confirmed.request.event, confirmed.target
    branches = event.branches
    to_read = services.settings.reads_forks and event.occasion != auto.FAILED
    if branches is None or (event.from_fork and not to_read):
        return "forks"
    if not policy.command(event.occasion):
        return event.occasion
    values = {
        auto.PROJECTS: (str(event.project_id), event.project_path),
        auto.TARGETS: (branches.target,),
        auto.AUTHORS: (target.author[1],),
        auto.LABELS: target.labels,
    }
    for name, found in values.items():
        if not (policy.admits(name, found) and file.admits(name, found)):
            return name
    if auto.PATHS not in {*policy.filters, *file.filters}:
        return ""
    changed = (
        (each.old_path, each.new_path) for each in islice(services.gitlab.diffs(event), _FILES)
    )
    wanted = any(
        policy.admits(auto.PATHS, paths) and file.admits(auto.PATHS, paths) for paths in changed
    )
    return "" if wanted else auto.PATHS


def _supersede(request: RunRequest, services: Services) -> None:
    """Cancel what the policy started for other commits of the merge request, and its replies.

    What people asked for goes on, and so does a repair at work where a bot has pushed: by the looks
    of it its own commits.
    """
    records, commit = services.records, _commit(request.event)
    ids = store.runs_of_thread(request.thread, records)
    for record in load_all(ids, records, services.log):
        event = record.request.event
        if event.by_policy and _commit(event) != commit:
            if record.state is State.WAITING:
                take_back(record, services)
                if end_waiting(record, records):
                    limits.give_back(record.request, services.settings, records, services.now())
            elif (
                record.pipeline
                and store.live_run(record.runs_in, record.pipeline.id, records)
                and not (event.occasion == auto.FAILED and _by_bot(request.event, services))
            ):
                _cancel(record, services)


def _by_bot(event: Event, services: Services) -> bool:
    """Tell whether one of ALLOWED_BOTS did it: ours, or the job's where that has one of its own."""
    user = services.gitlab.user(event.author_id)
    return bool(user and user.username.lower() in services.settings.allowed_bots)


def _cancel(record: Record, services: Services) -> None:
    assert record.pipeline  # noqa: S101  so its state says
    try:
        services.gitlab.cancel(record.runs_in, record.pipeline.id)
    except GitLabError as error:
        if error.status != FORBIDDEN:
            raise
    pipeline_id = record.pipeline.id
    services.log("INFO", entry(Reason.SUPERSEDED, record.request, pipeline_id=pipeline_id))
    take_back(record, services)


def _commit(event: Event) -> str:
    return event.branches.sha if event.branches else ""
