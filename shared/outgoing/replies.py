"""The text of our notes in GitLab. No user text is ever included.

They are made of sentences of `shared/outcome/messages.py`, ids, numbers and checked links.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from shared.contract import marks
from shared.contract.ai_flow import AUTO, MENTION
from shared.outcome import messages
from shared.runs import budgets

if TYPE_CHECKING:
    from shared.gitlab.values import Job, Pipeline, Progress
    from shared.installation.settings import Settings
    from shared.outcome.reasons import Reason, Stop
    from shared.runs.budgets import Account, Budget
    from shared.runs.command import Options

STUCK = 600.0  # seconds after which a pipeline that nobody has taken up is said to be so

_LINK = re.compile(r"https?://[A-Za-z0-9._~:/\[\]%-]+", re.ASCII)
_LIVE = {
    "waiting_for_resource": "waiting",
    "running": "running",
    "canceling": "running",
    "manual": "manual",
    "scheduled": "manual",
}
_WAITING = ("created", "pending", "preparing", "scheduled", "waiting_for_resource")
_JOB_NAME = re.compile(r"\w[\w .:/+-]{,59}", re.ASCII)  # what a code span shows as it is
_TIMED_OUT = ("job_execution_timeout", "job_execution_server_timeout")
_MOST = 10  # pipelines that one answer names


class Understood(NamedTuple):
    """What a run was asked for, as its reply tells it.

    `task` is the event's name (AI_FLOW_EVENT), `phrase` whom to tell to stop.
    """

    task: str
    options: "Options"
    phrase: str


def state_of(progress: "Progress", now: float) -> str:
    """Return where a pipeline stands, as a key of `messages.STATES`; `now` is in Unix seconds.

    >>> from shared.gitlab.values import Progress
    >>> state_of(Progress("pending", duration=0, created_at=1000.0, jobs=()), now=1060.0)
    'queued'
    """
    if progress.over:
        return _end_of(progress)
    queued = "stuck" if progress.created_at and now - progress.created_at > STUCK else "queued"
    # Other jobs may run while ours waits.
    waits = progress.others and all(job.status in _WAITING for job in progress.ours)
    return queued if waits and progress.status == "running" else _LIVE.get(progress.status, queued)


def _end_of(progress: "Progress") -> str:
    failed, ours = progress.failed, progress.ours
    if failed and failed in progress.others:
        if any(job.status == "success" for job in ours):
            return "beside"
        stopped = any(job.status == "canceled" and job.began for job in ours)
        return "canceled" if stopped else "not_started"
    if failed and failed.failure_reason in _TIMED_OUT:
        return "timed_out"
    began = not ours or any(job.began for job in ours)
    return "superseded" if progress.status == "canceled" and not began else progress.status


def started(
    run_id: str, pipeline: "Pipeline", understood: Understood, progress: "Progress | None" = None
) -> str:
    """Return the reply once the pipeline is created; `progress` tells what other jobs it has."""
    text = messages.STATES["queued"].format(pipeline=_pipeline(pipeline))
    others = _beside(progress) if progress else []
    return marks.signed("\n\n".join([text, *others, _understood(understood)]), run_id)


def spoken_for(
    run_id: str, pipeline: "Pipeline", text: str, state: str = marks.ENDED, repair: int = 0
) -> str:
    """Return a reply that takes a dead job's place, or is left to one (WORKING).

    The job's mark stays, so that no second pipeline does the work again; `repair`: that of a
    repair, which counts as one even so.
    """
    mark = marks.of_run(run_id)
    tried = f"{marks.of_repair(repair)}\n\n" if repair else ""
    return text.replace(mark, f"{tried}{marks.of_job(pipeline.id, state)}\n{mark}")


def moved(
    run_id: str, pipeline: "Pipeline", progress: "Progress", understood: Understood, now: float
) -> str:
    """Return the reply for a pipeline that has moved on; `now` is in Unix seconds."""
    running = (job for job in progress.ours if job.status == "running")
    job = progress.failed or next(running, None)
    minutes, seconds = divmod(progress.duration, 60)
    text = messages.STATES[state_of(progress, now)].format(
        pipeline=_pipeline(pipeline),
        job=_link(messages.JOB.format(job.id), job.url) if job else _pipeline(pipeline),
        duration=messages.DURATION.format(minutes=minutes, seconds=seconds),
        other=_named(job) if job else "",
        cause=_cause(progress),
        phrase=understood.phrase,
    )
    parts = [text] if progress.over else [text, *_beside(progress), _understood(understood)]
    return marks.signed("\n\n".join(parts), run_id)


def stopped(run_id: str, why: "Stop") -> str:
    """Return the reply for a run that ended without a pipeline: the reason, a hint and the cure."""
    reason = why.reason
    text = messages.REFUSED.format(sentence=reason.sentence, hint=why.hint, cure=reason.cure)
    return marks.signed(" ".join(text.split()), run_id)


def waits(run_id: str, why: "Reason", turn: float) -> str:
    """Return the reply for a run that starts later: why, and when (Unix seconds)."""
    time = datetime.fromtimestamp(turn + 59, UTC).strftime("%Y-%m-%d %H:%M")
    text = messages.WAITS.format(sentence=why.sentence, time=time)
    return marks.signed(text, run_id)


def help_text(run_id: str, settings: "Settings") -> str:
    """Return what can be asked of this installation, and how."""
    limits = {
        "model": ", ".join(settings.allowed_models),
        "turns": settings.max_turns,
        "minutes": settings.max_minutes,
    }
    offered = {name: limit for name, limit in limits.items() if limit}
    options = [messages.HELP_OPTIONS[name].format(limit) for name, limit in offered.items()]
    phrase = settings.phrases[0]
    budget = messages.HELP_BUDGET.format(phrase=phrase) if settings.budget_per_run else ""
    text = messages.HELP.format(phrase=phrase, options="; ".join(options), budget=budget)
    return marks.signed(text.rstrip(), run_id)


def status(run_id: str, found: Sequence[tuple["Pipeline", "Progress | None"]], now: float) -> str:
    """Return the list of a thread's runs, each with where its pipeline stands; None: it is gone."""
    lines = []
    for pipeline, progress in found[:_MOST]:
        state = messages.STATUS_GONE
        if progress:
            state = messages.STATE_NAMES[state_of(progress, now)]
        lines.append(messages.STATUS_LINE.format(pipeline=_pipeline(pipeline), state=state))
    return marks.signed("\n".join(lines or [messages.STATUS_NONE]), run_id)


def budget(run_id: str, settings: "Settings", found: Sequence[tuple["Budget", "Account"]]) -> str:
    """Return what may be spent and what was, as far as it concerns who asks.

    Of the installation's budget it says only whether a run has room: it tells of other projects.
    """
    of_one = settings.budget_per_run
    parts = [messages.BUDGET_RUN.format(run=budgets.in_dollars(of_one))] if of_one else []
    rows = []
    for each, account in found:
        told = budgets.in_words(each, account)
        if each.reason.name in messages.BUDGET_NAMES:
            whose = messages.BUDGET_NAMES[each.reason.name]
            rows.append(messages.BUDGET_ROW.format(whose=whose, **told))
        elif each.cap - account.spent - account.reserved >= of_one:
            parts.append(messages.BUDGET_ROOM)
        else:
            anew = messages.BUDGET_ANEW.format(**told)
            parts.append(messages.BUDGET_FULL.format(sentence=each.reason.sentence, anew=anew))
    table = ["\n".join([messages.BUDGET_HEAD, *rows])] if rows else []
    return marks.signed("\n\n".join([*table, *parts]) or messages.BUDGET_NONE, run_id)


def cancelled(
    run_id: str,
    done: Sequence["Pipeline"],
    forbidden: Sequence["Pipeline"],
    *,
    waiting: bool = False,
) -> str:
    """Return which pipelines were cancelled, and which GitLab did not let us cancel.

    `waiting` says that runs which waited for their turn will not have it.
    """
    told = [
        sentence.format(pipelines=", ".join(_pipeline(each) for each in pipelines[:_MOST]))
        for sentence, pipelines in ((messages.STOPPED, done), (messages.STOP_FORBIDDEN, forbidden))
        if pipelines
    ]
    if waiting:
        told.append(messages.STOPPED_WAITING)
    return marks.signed(" ".join(told or [messages.STOP_NONE]), run_id)


def _cause(progress: "Progress") -> str:
    """Return why a pipeline failed; one without jobs did so for its configuration."""
    reason = ""
    if progress.failed:
        reason = progress.failed.failure_reason
    elif not progress.jobs:
        reason = "config_error"
    return messages.CAUSES.get(reason, messages.CAUSE_UNKNOWN)


def _understood(understood: Understood) -> str:
    """Return what was understood, where that is more than a plain request, and how to stop it."""
    command, given = understood.options.command, understood.options._asdict()
    options = [text.format(given[name]) for name, text in messages.OPTIONS.items() if given[name]]
    task = messages.TASKS.get(command) or messages.TASKS[understood.task]
    to_stop = messages.TO_STOP.format(phrase=understood.phrase)
    if understood.task == AUTO:
        return messages.BY_POLICY.format(task=task, to_stop=to_stop)
    if not options and task == messages.TASKS[MENTION]:
        return to_stop
    with_options = f" ({', '.join(options)})" if options else ""
    return messages.UNDERSTOOD.format(task=task, options=with_options, to_stop=to_stop)


def _beside(progress: "Progress") -> list[str]:
    """Return the sentence that names the other jobs, if there are any."""
    named = [_named(job) for job in progress.others[:_MOST]]
    return [messages.BESIDE.format(jobs=", ".join(named))] if named else []


def _named(job: "Job") -> str:
    """Return a job by its name, where that can do nothing, as a link."""
    name = f"`{job.name}`" if _JOB_NAME.fullmatch(job.name) else messages.JOB.format(job.id)
    return _link(name, job.url)


def _pipeline(pipeline: "Pipeline") -> str:
    return _link(messages.PIPELINE.format(pipeline.id), pipeline.url)


def _link(name: str, url: str) -> str:
    return f"[{name}]({url})" if _LINK.fullmatch(url) else name
