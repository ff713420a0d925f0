"""The use case behind pipeline events: let a run's one reply say where its pipeline stands.

What an event said is not used: events come late, twice and in any order. What GitLab says now is
written.
"""

from shared.contract import marks
from shared.gitlab.values import DELETED, GitLabError, Pipeline, Progress
from shared.log_fields import entry
from shared.outcome.reasons import Reason, Retry
from shared.outgoing import refusals, replies
from shared.runs import budgets, projects, store
from shared.runs import record as run_record
from shared.runs.record import Record, RecordError
from shared.runs.request import TrackRequest
from shared.runs.store import Followed
from shared.services import Services

# How often a pipeline is followed that moves on while we write; a later event or sweep goes on.
_LOOKS = 4
_VERDICTS = {
    **dict.fromkeys(["success", "beside"], "white_check_mark"),
    **dict.fromkeys(["failed", "timed_out", "not_started"], "x"),
}
_SEEN = "eyes"
_REACTIONS = tuple(dict.fromkeys(_VERDICTS.values()))
# What the first reply says of a pipeline.
_MADE = ("created", "pending", "preparing")
_GONE = Progress(DELETED, duration=0, created_at=0.0, jobs=())
_WAITS_FOR_A_PERSON = "manual"
# Where a job stands that somebody has just started again.
_TO_COME = ("created", "pending", "preparing", "waiting_for_resource", "running")


def track(
    request: TrackRequest, services: Services, *, last: bool = False, heard: bool = False
) -> Reason:
    """Bring the reply of a pipeline's run up to date; `heard` says that an event told of it.

    Raise Retry where GitLab does not work and it is not the `last` time. Any number of calls, at
    once or one after the other, leave the reply as the pipeline's last state wants it. A pipeline
    that had ended is followed again where somebody has started it again by hand.
    """
    project_id, pipeline_id, records = request.project_id, request.pipeline_id, services.records
    followed = store.followed(project_id, pipeline_id, records)
    if followed is None:
        return Reason.NOT_OUR_PIPELINE
    live = store.live_run(project_id, pipeline_id, records)
    first = heard and not followed.status and request.status in _MADE
    if first or (not live and request.status in ("", followed.status)):  # it has been told
        return Reason.NOT_OUR_PIPELINE
    try:
        record = run_record.load(followed.run_id, records)
    except RecordError as error:
        raise Retry(Reason.RECORD_UNREADABLE) from error
    if record is None or record.pipeline is None:
        return Reason.NOT_OUR_PIPELINE
    try:
        _Following(record, record.pipeline, followed, services, again=not live).follow()
    except GitLabError as error:
        _warn(record, "track", error, services)
        if not last:  # else the sweep comes by
            raise refusals.unavailable(error) from error
        return Reason.GITLAB_UNAVAILABLE
    return Reason.TRACKED


class _Following:
    """A look at a pipeline; `again` says that it had ended, and was told to have."""

    def __init__(
        self,
        record: Record,
        pipeline: Pipeline,
        followed: Followed,
        services: Services,
        *,
        again: bool,
    ) -> None:
        self._record, self._pipeline, self._services = record, pipeline, services
        self._event, self._again, self._home = record.carried_out.event, again, record.runs_in
        # What we said of an end is no longer so; what a job of ours answered stays.
        self._reopened = again and followed.ours
        self._told = followed.status
        self._wrote, self._tries = False, followed.tries

    def follow(self) -> None:
        """Write where the pipeline stands until it rests, or has ended."""
        progress = self._progress()
        if self._again and progress and progress.status == self._told:  # an event that came late
            return
        if self._again and progress and not progress.over:
            self._begin_again(progress)
        for _ in range(_LOOKS):
            if progress is None or progress.over:
                break
            self._wrote = False
            ours = self._edit_reply(progress)
            # What was written may be older than what another attempt wrote meanwhile.
            before, progress = progress, self._progress(progress) if self._wrote else progress
            if progress == before:
                self._remember(progress, ours=ours)
                return
        if progress is None:
            return
        ours = self._edit_reply(progress)
        if progress.over:
            verdict = _VERDICTS.get(replies.state_of(progress, self._services.now()))
            former = [each for each in _REACTIONS if self._again and each != verdict]
            self._react(verdict, _SEEN, *former)
            self._remember(progress, ours=ours)
            self._end()

    def _progress(self, before: Progress | None = None) -> Progress | None:
        """Return where the pipeline stands, None where a replica may not have heard of it yet."""
        services = self._services
        progress = services.gitlab.progress(self._home, self._pipeline.id, before)
        return progress or (None if self._record.is_news(services.now()) else _GONE)

    def _begin_again(self, progress: Progress) -> None:
        run, records, now = self._record.carried_out, self._services.records, self._services.now()
        store.add_pipeline(run, self._home, self._pipeline.id, records, now)
        projects.add(self._home, records, now, live=True)
        if any(job.status in _TO_COME for job in progress.ours):  # not for another job beside ours
            budgets.hold_again(self._record, self._services.settings, records)
        self._react(_SEEN, *_REACTIONS)

    def _end(self) -> None:
        services = self._services
        store.end_pipeline(self._home, self._pipeline.id, services.records, services.now())

    def _remember(self, progress: Progress, *, ours: bool) -> None:
        """Write down what was said, and stop following what may wait for a person for ever."""
        now, records = self._services.now(), self._services.records
        state = replies.state_of(progress, now)
        run_id, tries = self._record.carried_out.id, self._tries
        told = Followed(run_id, progress.status, state, ours, tries)
        store.follow(self._home, self._pipeline.id, told, records, now)
        if progress.status == _WAITS_FOR_A_PERSON:
            self._end()

    def _edit_reply(self, progress: Progress) -> bool:
        """Bring the reply up to date; tell whether what stands there is ours."""
        record, gitlab = self._record, self._services.gitlab
        run, note_id = record.carried_out, record.reply_id
        if not note_id:
            found = gitlab.replied(run.event, marks.of_run(run.id))
            note_id = found.id if found else 0
        body = gitlab.read_reply(run.event, note_id) if note_id else None
        if progress.over or progress.status == _WAITS_FOR_A_PERSON:
            self._settle(progress, body or "")
        if body is None:
            return False
        text = self._text(progress)
        if marks.has_job(body):
            state = marks.ENDED if progress.over else marks.WORKING
            tried = marks.repair(body)
            text = replies.spoken_for(run.id, self._pipeline, text, state, tried)
        # A job of ours speaks for itself while it runs, and its answer stays.
        theirs = marks.has_answer(body) or (marks.has_job(body) and not progress.over)
        if body.strip() == text or (theirs and not self._reopened):
            return body.strip() == text
        self._wrote = True
        gitlab.edit_reply(run.event, note_id, text)
        return True

    def _settle(self, progress: Progress, body: str) -> None:
        """Let the run have cost what its job says at the end of its reply.

        Nobody but we and Maintainers can write there:
        https://docs.gitlab.com/user/discussions/#edit-a-comment. A job that says nothing may have
        spent all, and so may one that a merge request's own branch defines, whatever it says.
        """
        records, said = self._services.records, marks.cost(body, self._pipeline.id)
        of_branch = self._services.settings.pipeline_ref == "source" and self._event.branches
        if of_branch and not self._record.home:
            said = None
        began = progress.status == DELETED or any(job.began for job in progress.ours)
        earlier = self._earlier(progress, began=began)
        if began or earlier:
            budgets.settle(self._record, said if began else 0, earlier, records)
        else:
            budgets.give_back(self._record, records)

    def _earlier(self, progress: Progress, *, began: bool) -> int:
        """Return how often a runner has had the job before its last try, as far as not counted."""
        if not self._record.reserved or progress.status == DELETED:
            return 0
        ours = {job.id: job.name for job in progress.ours}
        known = self._services.gitlab.jobs(self._home, self._pipeline.id, retried=True)
        tries = sum(job.began and job.id not in ours and job.name in ours.values() for job in known)
        counted, self._tries = self._tries, tries + began
        return max(0, tries - counted)

    def _text(self, progress: Progress) -> str:
        record, settings = self._record, self._services.settings
        run = record.carried_out
        understood = replies.Understood(run.event.name, record.options, settings.phrases[0])
        if record.home:  # who reads here may not even know of the project there
            progress = progress.unlinked
        # A project that was moved has its pipelines elsewhere.
        pipeline = self._pipeline._replace(url=progress.url or self._pipeline.url)
        return replies.moved(run.id, pipeline, progress, understood, self._services.now())

    def _react(self, emoji: str | None, *former: str) -> None:
        """Let one reaction take the place of others; a run that was cancelled gets none."""
        if self._event.by_policy:  # nobody wrote what it would be on
            return
        gitlab = self._services.gitlab
        try:
            if emoji:
                gitlab.award(self._event, emoji)
            for each in former:
                award_id = self._record.award_id if each == _SEEN else 0
                gitlab.withdraw(self._event, each, award_id)
        except GitLabError as error:  # a missing reaction stops nobody
            _warn(self._record, "award", error, self._services)


def _warn(record: Record, what: str, error: GitLabError, services: Services) -> None:
    run = record.carried_out
    reason, cause = Reason.GITLAB_UNAVAILABLE, str(error)
    fields = entry(reason, run, error=what, status=error.status, cause=cause)
    services.log("WARNING", fields)
