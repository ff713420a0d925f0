"""Which facts may be logged: ids, names of reasons and times. Never text, headers or secrets."""

from shared.outcome.reasons import Outcome, Reason
from shared.runs.request import RunRequest, TrackRequest, Unread


def entry(
    reason: Reason, run: RunRequest | TrackRequest | Unread, **more: float | str
) -> dict[str, object]:
    """Return the fields of the line that tells what became of a run.

    `more` are numbers and names of error classes.

    >>> entry(Reason.QUEUED, TrackRequest(7, 31), attempt=1)  # doctest: +NORMALIZE_WHITESPACE
    {'outcome': 'queued', 'reason': 'queued', 'run': 'track-7-31-',
     'project_id': 7, 'pipeline_id': 31, 'attempt': 1}
    """
    fields: dict[str, object] = {"outcome": str(reason.outcome), "reason": str(reason)}
    if isinstance(run, Unread):
        return fields | {"message_id": run.id, **more}
    fields["run"] = run.id
    if isinstance(run, TrackRequest):
        return fields | {"project_id": run.project_id, "pipeline_id": run.pipeline_id, **more}
    event = run.event
    return fields | {
        "project_id": event.project_id,
        "kind": event.kind,
        "iid": event.iid,
        "note_id": event.note_id,
        "author_id": event.author_id,
        **more,
    }


def severity(reason: Reason) -> str:
    """Return ERROR for what an operator should look at, WARNING for what may be an attack."""
    if reason in (Reason.TOKEN_NOT_FOR_PROJECT, Reason.PROJECT_NOT_SEEN):
        return "WARNING"
    return "ERROR" if reason.outcome is Outcome.ERROR else "INFO"
