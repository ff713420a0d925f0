"""Which facts may be logged: ids, names of reasons and times. Never text, headers, addresses or secrets."""

from shared.outcome import Outcome, Reason
from shared.run import RunRequest


def entry(reason: Reason, run: RunRequest, **more: float | str) -> dict[str, object]:
    """Return the fields of the line that tells what became of a run; `more` are numbers and error class names."""
    note = run.note
    return {
        "outcome": str(reason.outcome),
        "reason": str(reason),
        "run": run.id,
        "project_id": note.project_id,
        "kind": note.kind,
        "iid": note.iid,
        "note_id": note.note_id,
        "author_id": note.author_id,
        **more,
    }


def severity(reason: Reason) -> str:
    """Return ERROR for what an operator should look at, INFO for the rest."""
    return "ERROR" if reason.outcome is Outcome.ERROR else "INFO"
