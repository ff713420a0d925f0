"""The gate: GitLab says that who asks may, and that what was asked stands there as told."""

from shared import policy
from shared.contract.ai_flow import COMMIT, SNIPPET
from shared.gitlab.values import NOT_FOUND, GitLabError
from shared.installation.secrets import speaks_for
from shared.outcome.reasons import Reason, Retry, Stop, TriggerError
from shared.outgoing import refusals
from shared.runs import store
from shared.runs.access import authorise
from shared.runs.confirm import Confirmed, confirm
from shared.runs.record import Lease
from shared.runs.request import RunRequest
from shared.services import Services


class Gate:
    """What a run has to pass at every attempt: Stop where GitLab says no, Retry where nothing."""

    def __init__(self, request: RunRequest, lease: Lease, services: Services) -> None:
        """Ask about a request whose lease was taken."""
        self._request, self._lease, self._services = request, lease, services

    def prove_project(self) -> None:
        """Raise Stop where the webhook's token is for paths at which GitLab has another project."""
        request = self._request
        if request.bound is None:
            return
        with refusals.as_retry():
            project = self._services.gitlab.project(str(request.event.project_id))
        if project is None or not speaks_for(request.bound, project.id, project.path):
            raise Stop(Reason.TOKEN_NOT_FOR_PROJECT)

    def authorise(self) -> int:
        """Return the author's access level; raise Stop unless GitLab says that the author may."""
        event, services = self._request.event, self._services
        settings, gitlab = services.settings, services.gitlab
        # GitLab has just said that the author is no member: it is not asked.
        if store.is_stranger(event, services.records, services.now()):
            raise Stop(Reason.KNOWN_STRANGER)
        try:
            user = gitlab.user(event.author_id)
            member = gitlab.member(event.project_id, event.author_id)
            # A person's token may be ours: such a person may ask in words, not by what we do.
            asks_in_words = event.note_id and not (user and user.bot)
            own = not asks_in_words and gitlab.own_id() == event.author_id
        except GitLabError as error:  # a person who is not there is None
            raise self._absent(error, Reason.PROJECT_NOT_SEEN) from error
        known = user and user.username.lower() in settings.allowed_bots
        # Not even ALLOWED_BOTS lets us ask ourselves. What we push may start what AUTO counts.
        if own and not (event.by_policy and known):
            raise Stop(Reason.BOT_AUTHOR)
        authorise(
            user,
            member,
            minimum=settings.minimum_role,
            allowed_bots=settings.allowed_bots,
            today=services.today(),
        )
        return member.access_level if member else 0

    def confirm(self) -> Confirmed:
        """Return the request as GitLab tells it; raise Stop where it tells otherwise."""
        services = self._services
        if self._request.event.kind in (COMMIT, SNIPPET):
            raise Stop(Reason.TARGET_NOT_SERVED)
        try:
            confirmed = confirm(self._request, services.gitlab, services.settings, services.now())
        except GitLabError as error:
            raise self._absent(error, Reason.NOTE_CHANGED) from error
        event = confirmed.request.event  # of a path the delivery had only claimed
        if not services.settings.serves(event.project_id, event.project_path):
            raise Stop(Reason.PROJECT_NOT_ALLOWED)
        if event.internal and not services.settings.serve_confidential:
            raise Stop(Reason.CONFIDENTIAL_OFF)
        return confirmed

    def admit(self, confirmed: Confirmed) -> None:
        """Raise Stop where nobody asked, and the policy does not let the run start."""
        if confirmed.request.event.by_policy:
            with refusals.as_retry():
                policy.admit(confirmed, self._services)

    def _absent(self, error: GitLabError, reason: Reason) -> TriggerError:
        """Return what an error means that ends the run for this reason where GitLab answers 404."""
        if error.status != NOT_FOUND:
            return refusals.unavailable(error)
        if self._lease.record.is_news(self._services.now()):
            return Retry(Reason.GITLAB_UNAVAILABLE)
        return Stop(reason)
