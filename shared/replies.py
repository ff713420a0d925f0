"""What our notes say: words of `shared/words.py`, ids, numbers and checked links, so that no stranger speaks by us."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from shared import words
from shared.event import MENTION

if TYPE_CHECKING:
    from shared.command import Order
    from shared.outcome import Stop
    from shared.ports import Pipeline, Progress
    from shared.settings import Settings

MARK = "<!-- gitlab-claude-trigger"
STUCK = 600.0  # seconds after which a pipeline that nobody has taken up is said to be so

_LINK = re.compile(r"https?://[A-Za-z0-9._~:/\[\]%-]+", re.ASCII)
_JOB = re.compile(r"<!-- gitlab-claude-job pipeline=[0-9]+(?: state=(?P<state>[a-z]+))? -->")
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
    order: "Order"
    phrase: str


def marker(run_id: str) -> str:
    """Return the hidden mark by which we know our own note for a run."""
    return f"{MARK} run={run_id} -->"


def has_answer(body: str) -> bool:
    """Tell whether a job of ours has put its last word into a reply, which stays."""
    marks = list(_JOB.finditer(body))  # the last is the job's own: an answer may quote one
    return bool(marks) and marks[-1]["state"] != "working"


def at_work(body: str) -> bool:
    """Tell whether a job of ours writes in this reply."""
    return bool(_JOB.search(body))


def state_of(progress: "Progress", now: float) -> str:
    """Return where a pipeline stands, as a key of `words.STATES`."""
    if progress.over:
        failed = progress.failed
        return "timed_out" if failed and failed.failure_reason in _TIMED_OUT else progress.status
    queued = "stuck" if progress.created_at and now - progress.created_at > STUCK else "queued"
    return _LIVE.get(progress.status, queued)


def started(run_id: str, pipeline: "Pipeline", understood: Understood) -> str:
    """Return the reply once the pipeline is created."""
    text = words.STATES["queued"].format(pipeline=_pipeline(pipeline.id, pipeline.url))
    return f"{text}\n\n{_understood(understood)}\n\n{marker(run_id)}"


def spoken_for(run_id: str, pipeline: "Pipeline", text: str) -> str:
    """Return a reply that takes a dead job's place: its mark stays, so that no second pipeline does the work again."""
    mark = f"<!-- gitlab-claude-job pipeline={pipeline.id} state=ended -->"
    return text.replace(marker(run_id), f"{mark}\n{marker(run_id)}")


def moved(
    run_id: str, pipeline: "Pipeline", progress: "Progress", understood: Understood, now: float
) -> str:
    """Return the reply for a pipeline that has moved on."""
    state, failed = state_of(progress, now), progress.failed
    job = failed or next((job for job in progress.jobs if job.status == "running"), None)
    named = _pipeline(pipeline.id, pipeline.url)
    minutes, seconds = divmod(progress.duration, 60)
    reason = failed.failure_reason if failed else "" if progress.jobs else "config_error"
    text = words.STATES[state].format(
        pipeline=named,
        job=_link(words.JOB.format(job.id), job.url) if job else named,
        duration=words.DURATION.format(minutes=minutes, seconds=seconds),
        cause=words.CAUSES.get(reason, words.CAUSE_UNKNOWN),
        phrase=understood.phrase,
    )
    parts = [text, *([] if progress.over else [_understood(understood)]), marker(run_id)]
    return "\n\n".join(parts)


def stopped(run_id: str, why: "Stop") -> str:
    """Return the reply for a run that ended without a pipeline: the reason, a hint and the cure."""
    reason = why.reason
    text = words.REFUSED.format(sentence=reason.sentence, hint=why.hint, cure=reason.cure)
    return " ".join(text.split()) + f"\n\n{marker(run_id)}"


def help_text(run_id: str, settings: "Settings") -> str:
    """Return what can be asked of this installation, and how."""
    limits = {
        "model": ", ".join(settings.allowed_models),
        "turns": settings.max_turns,
        "minutes": settings.max_minutes,
    }
    options = "; ".join(
        words.HELP_OPTIONS[name].format(limit) for name, limit in limits.items() if limit
    )
    return f"{words.HELP.format(phrase=settings.phrases[0], options=options)}\n{marker(run_id)}"


def status(run_id: str, found: Sequence[tuple["Pipeline", "Progress | None"]], now: float) -> str:
    """Return the list of a thread's runs, each with where its pipeline stands; None: it is gone."""
    lines = [
        words.STATUS_LINE.format(
            pipeline=_pipeline(pipeline.id, pipeline.url),
            state=words.STATE_NAMES[state_of(progress, now)] if progress else words.STATUS_GONE,
        )
        for pipeline, progress in found[:_MOST]
    ]
    return "\n".join(lines or [words.STATUS_NONE]) + f"\n\n{marker(run_id)}"


def cancelled(run_id: str, done: Sequence["Pipeline"], forbidden: Sequence["Pipeline"]) -> str:
    """Return which pipelines were cancelled, and which GitLab did not let us cancel."""
    told = [
        template.format(
            pipelines=", ".join(_pipeline(each.id, each.url) for each in pipelines[:_MOST])
        )
        for template, pipelines in ((words.STOPPED, done), (words.STOP_FORBIDDEN, forbidden))
        if pipelines
    ]
    return " ".join(told or [words.STOP_NONE]) + f"\n\n{marker(run_id)}"


def _understood(understood: Understood) -> str:
    given = understood.order._asdict()
    options = [
        template.format(given[name]) for name, template in words.OPTIONS.items() if given[name]
    ]
    task = words.TASKS.get(understood.order.command) or words.TASKS[understood.task]
    with_options = f" ({', '.join(options)})" if options else ""
    told = (
        words.UNDERSTOOD.format(task=task, options=with_options)
        if options or task != words.TASKS[MENTION]
        else ""
    )
    return f"{told} {words.TO_STOP.format(phrase=understood.phrase)}".strip()


def _pipeline(number: int, url: str) -> str:
    return _link(words.PIPELINE.format(number), url)


def _link(name: str, url: str) -> str:
    return f"[{name}]({url})" if _LINK.fullmatch(url) else name
