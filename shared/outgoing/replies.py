"""What our notes say: words of `shared/outcome/messages.py`, ids, numbers and checked links, so that no stranger speaks by us."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from shared.contract import marks
from shared.contract.ai_flow import MENTION
from shared.outcome import messages

if TYPE_CHECKING:
    from shared.gitlab.values import Pipeline, Progress
    from shared.installation.settings import Settings
    from shared.outcome.reasons import Stop
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
_TIMED_OUT = ("job_execution_timeout", "job_execution_server_timeout")
_MOST = 10  # pipelines that one answer names


class Understood(NamedTuple):
    """What a run was asked for, as its reply tells it: command or event, options, and whom to tell to stop."""

    task: str
    order: "Options"
    phrase: str


def state_of(progress: "Progress", now: float) -> str:
    """Return where a pipeline stands, as a key of `messages.STATES`."""
    if progress.over:
        failed = progress.failed
        return "timed_out" if failed and failed.failure_reason in _TIMED_OUT else progress.status
    queued = "stuck" if progress.created_at and now - progress.created_at > STUCK else "queued"
    return _LIVE.get(progress.status, queued)


def started(run_id: str, pipeline: "Pipeline", understood: Understood) -> str:
    """Return the reply once the pipeline is created."""
    text = messages.STATES["queued"].format(pipeline=_pipeline(pipeline.id, pipeline.url))
    return f"{text}\n\n{_understood(understood)}\n\n{marks.of_run(run_id)}"


def spoken_for(run_id: str, pipeline: "Pipeline", text: str) -> str:
    """Return a reply that takes a dead job's place: its mark stays, so that no second pipeline does the work again."""
    mark = marks.of_run(run_id)
    return text.replace(mark, f"{marks.of_job(pipeline.id, marks.ENDED)}\n{mark}")


def moved(
    run_id: str, pipeline: "Pipeline", progress: "Progress", understood: Understood, now: float
) -> str:
    """Return the reply for a pipeline that has moved on."""
    state, failed = state_of(progress, now), progress.failed
    job = failed or next((job for job in progress.jobs if job.status == "running"), None)
    named = _pipeline(pipeline.id, pipeline.url)
    minutes, seconds = divmod(progress.duration, 60)
    reason = failed.failure_reason if failed else "" if progress.jobs else "config_error"
    text = messages.STATES[state].format(
        pipeline=named,
        job=_link(messages.JOB.format(job.id), job.url) if job else named,
        duration=messages.DURATION.format(minutes=minutes, seconds=seconds),
        cause=messages.CAUSES.get(reason, messages.CAUSE_UNKNOWN),
        phrase=understood.phrase,
    )
    parts = [text, *([] if progress.over else [_understood(understood)]), marks.of_run(run_id)]
    return "\n\n".join(parts)


def stopped(run_id: str, why: "Stop") -> str:
    """Return the reply for a run that ended without a pipeline: the reason, a hint and the cure."""
    reason = why.reason
    text = messages.REFUSED.format(sentence=reason.sentence, hint=why.hint, cure=reason.cure)
    return " ".join(text.split()) + f"\n\n{marks.of_run(run_id)}"


def help_text(run_id: str, settings: "Settings") -> str:
    """Return what can be asked of this installation, and how."""
    limits = {
        "model": ", ".join(settings.allowed_models),
        "turns": settings.max_turns,
        "minutes": settings.max_minutes,
    }
    options = "; ".join(
        messages.HELP_OPTIONS[name].format(limit) for name, limit in limits.items() if limit
    )
    return f"{messages.HELP.format(phrase=settings.phrases[0], options=options)}\n{marks.of_run(run_id)}"


def status(run_id: str, found: Sequence[tuple["Pipeline", "Progress | None"]], now: float) -> str:
    """Return the list of a thread's runs, each with where its pipeline stands; None: it is gone."""
    lines = [
        messages.STATUS_LINE.format(
            pipeline=_pipeline(pipeline.id, pipeline.url),
            state=messages.STATE_NAMES[state_of(progress, now)]
            if progress
            else messages.STATUS_GONE,
        )
        for pipeline, progress in found[:_MOST]
    ]
    return "\n".join(lines or [messages.STATUS_NONE]) + f"\n\n{marks.of_run(run_id)}"


def cancelled(run_id: str, done: Sequence["Pipeline"], forbidden: Sequence["Pipeline"]) -> str:
    """Return which pipelines were cancelled, and which GitLab did not let us cancel."""
    told = [
        template.format(
            pipelines=", ".join(_pipeline(each.id, each.url) for each in pipelines[:_MOST])
        )
        for template, pipelines in ((messages.STOPPED, done), (messages.STOP_FORBIDDEN, forbidden))
        if pipelines
    ]
    return " ".join(told or [messages.STOP_NONE]) + f"\n\n{marks.of_run(run_id)}"


def _understood(understood: Understood) -> str:
    given = understood.order._asdict()
    options = [
        template.format(given[name]) for name, template in messages.OPTIONS.items() if given[name]
    ]
    task = messages.TASKS.get(understood.order.command) or messages.TASKS[understood.task]
    with_options = f" ({', '.join(options)})" if options else ""
    told = (
        messages.UNDERSTOOD.format(task=task, options=with_options)
        if options or task != messages.TASKS[MENTION]
        else ""
    )
    return f"{told} {messages.TO_STOP.format(phrase=understood.phrase)}".strip()


def _pipeline(number: int, url: str) -> str:
    return _link(messages.PIPELINE.format(number), url)


def _link(name: str, url: str) -> str:
    return f"[{name}]({url})" if _LINK.fullmatch(url) else name
