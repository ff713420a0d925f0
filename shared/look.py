"""One look at one project, for the sweep: at what no delivery told of."""

from contextlib import suppress

from shared.gitlab.values import GitLabError, Progress, Project
from shared.incoming.delivery import VerifiedDelivery
from shared.incoming.event import Event, PipelineEvent
from shared.incoming.payloads import parse
from shared.log_fields import entry
from shared.outcome.reasons import Reason, Retry, Stop
from shared.outgoing import replies
from shared.runs import record as run_record
from shared.runs import store
from shared.runs.detect import ask
from shared.runs.projects import Mark
from shared.runs.record import ABANDONED, ENDED, RecordError
from shared.runs.request import RunRequest, TrackRequest
from shared.runs.store import Queue
from shared.services import Services
from shared.track import track

QUIET = 60.0  # seconds a comment is left to its delivery before it counts as missed
OVERLAP = 600.0  # seconds looked at twice, for comments that GitLab lists late
HOOKS_EVERY = 3600.0  # seconds between two looks at a project's webhooks
_PAGE, _LISTED = 100, 1000  # of a project's newest pipelines: in one call, and in a look
_UNLISTED = 5  # pipelines beyond these that are asked for one by one in a look
_UNSEEN = (403, 404)  # what GitLab answers a token that may not see webhooks


class OutOfTimeError(Exception):
    """The sweep's time is over; what is left is for the next one."""


class Look:
    """A look at a project; `mark` is what is known of it by then, whatever ends the look.

    `found` mentions were queued; `disabled` webhooks are switched off.
    """

    def __init__(
        self, project: Project, mark: Mark, services: Services, queue: Queue, deadline: float
    ) -> None:
        """Look on from where the last look ended; stop at the deadline (Unix seconds)."""
        self._project, self._services, self._queue = project, services, queue
        self._deadline, self._now = deadline, services.now()
        self._end = self._now - QUIET
        # What was written before anybody spoke to us is not looked at.
        self._start = mark.until - OVERLAP if mark.until else self._end
        self.mark = mark._replace(tried=int(self._now), listed=int(project.listed), due=1)
        self.found = self.disabled = 0

    def look(self, *, served: bool) -> None:
        """Look at comments and webhooks, where the project is served, and at live pipelines.

        Raise GitLabError, or OutOfTimeError; what was found until then stays found.
        """
        if served:
            self._look_at_comments()
        self._look_at_pipelines()
        if served and self._now - self.mark.hooks >= HOOKS_EVERY:
            self._look_at_hooks()
            if self.mark.hooks:  # what was asked before the first look may have been told of
                self._look_at_changes()
            self.mark = self.mark._replace(hooks=int(self._now))
        self.mark = self.mark._replace(until=int(self._end), due=0)
        if not served:  # what comes in meanwhile is not looked at unasked, not even later
            reached = int(self._end + OVERLAP)
            self.mark = self.mark._replace(until=reached, hooks=reached)

    def _look_at_comments(self) -> None:
        for comment in self._services.gitlab.comments(self._project, self._start):
            self._check_time()
            if self._start <= comment.created_at <= self._end:
                self._queue_missed(comment.event)
                reached = max(self.mark.until, int(comment.created_at))
                self.mark = self.mark._replace(until=reached)

    def _look_at_pipelines(self) -> None:
        """Let replies say where their pipelines stand, where no event told: one list, few looks."""
        if not self.mark.live:
            return
        project_id, services = self._project.id, self._services
        live = store.live_pipelines(project_id, services.records)
        if not live:
            self.mark = self.mark._replace(live=0)
            return
        try:
            listed = self._list_pipelines(min(live))
        except GitLabError as error:
            self._warn("pipelines", error.status)
            return
        moved = [
            each
            for each, progress in listed.items()
            if (each in live or not progress.over) and self._has_moved(each, progress)
        ]
        unlisted = [each for each in live if each not in listed]
        for pipeline_id in (*moved, *unlisted[:_UNLISTED]):
            self._check_time()
            status = listed[pipeline_id].status if pipeline_id in listed else ""
            with suppress(Retry):
                track(TrackRequest(project_id, pipeline_id, status), services)

    def _list_pipelines(self, oldest: int) -> dict[int, Progress]:
        listed: dict[int, Progress] = {}
        for pipeline_id, progress in self._services.gitlab.newest_pipelines(self._project.id):
            self._check_time()
            listed[pipeline_id] = progress
            # The first page costs no more: somebody may have started an older one again.
            if (pipeline_id <= oldest and len(listed) >= _PAGE) or len(listed) == _LISTED:
                break
        return listed

    def _has_moved(self, pipeline_id: int, progress: Progress) -> bool:
        services = self._services
        known = store.followed(self._project.id, pipeline_id, services.records)
        if known is None or progress.over:  # one that has ended is let go, whatever was said
            return known is not None
        return known.state != replies.state_of(progress, services.now())

    def _look_at_hooks(self) -> None:
        try:
            hooks = self._services.gitlab.hooks(self._project.id)
        except GitLabError as error:
            if error.status not in _UNSEEN:
                raise
            if not self.mark.blind:
                self._warn("hooks", error.status, Reason.HOOKS_UNSEEN)
            self.mark = self.mark._replace(blind=1)
            return
        self.mark = self.mark._replace(blind=0)
        for hook in hooks:
            if hook.disabled:
                self.disabled += 1
                reason = str(Reason.HOOK_DISABLED)
                fields = {"reason": reason, "project_id": self._project.id, "hook_id": hook.id}
                self._services.log("ERROR", fields)
            self._look_at_deliveries(hook.id)

    def _look_at_deliveries(self, hook_id: int) -> None:
        gitlab, project_id = self._services.gitlab, self._project.id
        for body in gitlab.failed_deliveries(project_id, hook_id, self._since_last_hour()):
            self._check_time()
            with suppress(Stop):
                event = parse(VerifiedDelivery(body))
                # A project's Maintainers say what their webhooks send, also of other projects.
                if event.project_id == project_id:
                    self._queue_missed(event)

    def _look_at_changes(self) -> None:
        """Find who asked by opening something, or by an assignment or label."""
        gitlab, settings = self._services.gitlab, self._services.settings
        since = self._since_last_hour()
        for opened in gitlab.changed_targets(self._project, since):
            self._check_time()
            try:
                ask(opened, settings)  # as it is now, and be it by whom it may
            except Stop:
                continue
            for event in gitlab.askings(opened, since):
                if since <= event.at <= self._end:
                    self._queue_missed(event)

    def _since_last_hour(self) -> float:
        """Return the end of the last look at webhooks and changes; comments are looked at more."""
        return min(self._start, self.mark.hooks - OVERLAP) if self.mark.hooks > 0 else self._start

    def _queue_missed(self, event: Event | PipelineEvent) -> None:
        """Queue the event's run if it asks for one that nobody works on."""
        try:
            request = ask(event, self._services.settings)
        except Stop:
            return
        if isinstance(request, RunRequest):
            if self._is_under_way(request):
                return
            request = request._replace(event=request.event._replace(swept=True))
        elif not request.repair:  # runs' pipelines are looked at anyway, whatever was delivered
            return
        self._queue.put(request)
        self.found += 1

    def _is_under_way(self, request: RunRequest) -> bool:
        """Tell whether a run has ended or is worked on; one that cannot be read is left alone."""
        services = self._services
        try:
            record = run_record.load(request.id, services.records, request)
        except RecordError as error:
            services.log("ERROR", entry(Reason.RECORD_UNREADABLE, request, error=str(error)))
            return True
        now = services.now()
        return record is not None and (record.state in ENDED or record.until > now - ABANDONED)

    def _check_time(self) -> None:
        if self._services.now() > self._deadline:
            raise OutOfTimeError

    def _warn(self, what: str, status: int, reason: Reason = Reason.GITLAB_UNAVAILABLE) -> None:
        fields = {"reason": str(reason), "error": what, "status": status}
        self._services.log("WARNING", fields | {"project_id": self._project.id})
