"""The use case of the sweep for what the queue no longer holds.

Runs whose turn has come are put into it again, and authors of dead letters hear of them once GitLab
answers.
"""

from shared.contract import marks
from shared.gitlab.values import GitLabError
from shared.log_fields import entry
from shared.outcome.reasons import Reason, Stop
from shared.outgoing import replies
from shared.runs import record as run_record
from shared.runs import store
from shared.runs.record import ENDED, Record, RecordError, State
from shared.runs.store import DeadLetter, Queue
from shared.services import Services

_WOKEN = 100  # runs put into the queue at once
_TOLD = 50  # dead letters told of at once: what is left, the next sweep tells


def attend(services: Services, queue: Queue) -> None:
    """Wake what waited, in the order of its turns, and tell what nobody could be told.

    What cannot be read is named in the log, and holds up nothing else.
    """
    records, now = services.records, services.now()
    for key, run_id in store.due(records, now, _WOKEN):
        try:
            over = run_record.wake(run_id, queue, records, now)
        except RecordError as error:
            _name_unreadable(run_id, error, services)
            store.add_dead_letter(run_id, records, now, told=True)  # a later version may read it
            over = True
        if over:
            records.delete(key)
    _tell(store.untold(records, _TOLD), services)


def _tell(letters: list[DeadLetter], services: Services) -> None:
    """Tell each author in each thread once; stop where GitLab does not answer."""
    heard: set[tuple[str, int]] = set()
    for letter in letters:
        try:
            record = run_record.load(letter.run_id, services.records)
        except RecordError as error:
            _name_unreadable(letter.run_id, error, services)
            record = None
        if record and record.state is not State.DEAD and record.until > services.now():
            continue  # whoever held its lease when it was given up may still end it
        if record and not (record.state in ENDED and record.state is not State.DEAD):
            to = record.request.thread, record.request.event.author_id
            if to not in heard and not _told(record, services):
                return
            heard.add(to)
        store.add_dead_letter(letter.run_id, services.records, letter.at, told=True)


def _told(record: Record, services: Services) -> bool:
    """Tell whether the author was told, or cannot be; False where GitLab does not answer."""
    run, gitlab = record.request, services.gitlab
    try:
        if gitlab.replied(run.event, marks.of_run(run.id)) is None:
            gitlab.reply(run.event, replies.stopped(run.id, Stop(Reason.DEAD_LETTER)))
    except GitLabError as error:
        fields = entry(Reason.GITLAB_UNAVAILABLE, run, error="reply", status=error.status)
        services.log("WARNING", fields)
        return error.refused
    return True


def _name_unreadable(run_id: str, error: RecordError, services: Services) -> None:
    for reason in (Reason.RECORD_UNREADABLE, Reason.DEAD_LETTER):  # the alarms hear the latter
        services.log("ERROR", {"reason": str(reason), "run": run_id, "error": str(error)})
