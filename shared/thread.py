"""What a run shows in its thread: its reaction and its one reply."""

from shared.contract import marks
from shared.gitlab.values import NOT_FOUND, GitLabError
from shared.log_fields import entry, severity
from shared.outcome.reasons import Reason
from shared.outgoing import refusals
from shared.runs.record import SETTLE, Lease
from shared.runs.request import RunRequest
from shared.services import Services


class Thread:
    """Where a run was asked for: its lease says what an earlier attempt may have shown there."""

    def __init__(self, request: RunRequest, lease: Lease, services: Services) -> None:
        """Answer a request whose lease was taken."""
        self._request, self._lease, self._services = request, lease, services

    def award(self, emoji: str) -> int:
        """React to what asked and return the award's id, 0 where it is not known."""
        try:
            return self._services.gitlab.award(self._request.event, emoji)
        except GitLabError as error:  # a missing reaction stops nobody
            reason, cause = Reason.GITLAB_UNAVAILABLE, str(error)
            told = entry(reason, self._request, error="award", status=error.status, cause=cause)
            self._services.log("WARNING", told)
            return 0

    def reply(self, text: str, *, keep_existing: bool = False, checked: bool = False) -> int:
        """Reply once and return the note's id, 0 where nobody can be told; raise Retry.

        An earlier attempt may have got as far as here, so later ones look first. Its reply is
        brought up to date, unless it is to stay or a job of ours writes in it. `checked` says that
        the lease was found to be ours right before.
        """
        event, gitlab = self._request.event, self._services.gitlab
        if not checked:
            self._lease.check()
        found = None
        try:
            if self._lease.record.attempt > 1 or keep_existing:
                found = gitlab.replied(event, marks.of_run(self._request.id))
            if found is None:
                return gitlab.reply(event, text)
            stays = keep_existing or marks.has_job(found.body)
            if not stays and found.body.strip() != text:
                gitlab.edit_reply(event, found.id, text)
        except GitLabError as error:
            if error.unsure or not error.refused:
                again = refusals.unavailable(error)
                # A reply whose end is not known may still be on its way.
                again.after = max(again.after, SETTLE if error.unsure else 0.0)
                raise again from error
            # The thread is locked or gone: nobody can be told there, so the log is.
            gone = error.status == NOT_FOUND
            reason = Reason.THREAD_GONE if gone else Reason.GITLAB_REFUSED
            fields = entry(reason, self._request, error="reply", status=error.status)
            self._services.log(severity(reason), fields)
        return found.id if found else 0
