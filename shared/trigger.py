"""The one call that starts a pipeline: in the project that asks, or in a runner project."""

from shared.gitlab.values import GitLabError, Pipeline, Project
from shared.incoming.event import Event
from shared.installation.secrets import GitLabSecrets
from shared.outcome import messages
from shared.outcome.reasons import Reason, Stop
from shared.outgoing import refusals
from shared.runs.record import Lease, Record
from shared.runs.request import RunRequest
from shared.services import Services


def home_of(event: Event, services: Services) -> Project | None:
    """Return the private project that runs the job, None where the asking project does.

    Raise Stop where RUNNER_PROJECT names one that cannot serve, Retry where GitLab does not tell.
    """
    name = services.settings.runner_of(event.project_id, event.project_path)
    if not name:
        return None
    with refusals.as_retry():
        home = services.gitlab.project(name)
    if home is None:
        raise Stop(Reason.RUNNER_NOT_SEEN)
    if home.id == event.project_id:
        raise Stop(Reason.RUNNER_ASKS)
    if home.public:
        raise Stop(Reason.RUNNER_NOT_PRIVATE)
    if not home.default_branch:
        raise Stop(Reason.REPOSITORY_EMPTY, messages.IN_RUNNER)
    return home


def shown(pipeline: Pipeline, record: Record) -> Pipeline:
    """Return a pipeline as the thread may see it: of a runner project, without its address."""
    return pipeline._replace(url="") if record.home else pipeline


class Trigger:
    """The trigger call of an attempt; its lease says before and after what GitLab may have done."""

    def __init__(self, request: RunRequest, lease: Lease, services: Services) -> None:
        """Trigger for a request whose lease was taken."""
        self._request, self._lease, self._services = request, lease, services

    def pipeline(self, body: dict[str, object], home: Project | None) -> Pipeline:
        """Trigger with a call's body; raise Stop or Retry where GitLab starts nothing."""
        if home:
            try:
                return shown(self._call(body, home.id, home.path), self._lease.record)
            except Stop as refusal:  # told to be about that one
                raise Stop(refusal.reason, messages.IN_RUNNER) from refusal
        where = self._request.event.project_id, self._request.event.project_path
        try:
            return self._call(body, *where)
        except Stop as error:
            if error.reason is not Reason.VARIABLES_FORBIDDEN:
                raise
        # Our own job needs no pipeline variables; a job that waits for them does not run.
        without = {name: value for name, value in body.items() if name != "variables"}
        try:
            return self._call(without, *where)
        except Stop as refusal:
            if refusal.reason is not Reason.NO_JOB:
                raise
            raise Stop(Reason.VARIABLES_FORBIDDEN) from refusal

    def _call(self, body: dict[str, object], project_id: int, path: str) -> Pipeline:
        """Trigger with the project's token; one that GitLab does not know may have been rotated."""
        secrets = self._services.secrets.get()
        try:
            return self._call_with(secrets, body, project_id, path)
        except Stop as error:
            rotated = self._services.secrets.get(fresh=True)
            if error.reason is not Reason.TRIGGER_TOKEN_REJECTED or rotated is secrets:
                raise
        return self._call_with(rotated, body, project_id, path)

    def _call_with(
        self, secrets: GitLabSecrets, body: dict[str, object], project_id: int, path: str
    ) -> Pipeline:
        lease = self._lease
        token = secrets.trigger_token(project_id, path)
        if token is None:
            raise Stop(Reason.TRIGGER_TOKEN_MISSING)
        lease.write(lease.record.triggering(self._services.now()))
        try:
            return self._services.gitlab.trigger(project_id, token, body)
        except GitLabError as error:
            if not error.unsure:
                lease.write(lease.record.not_triggered())
            raise refusals.refused(error) from error
