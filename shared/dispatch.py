"""The use case behind the queue: claim, authorise, acknowledge, trigger, reply.

The process may be killed after any step; the next attempt goes on from what the record says.
"""

from contextlib import suppress

from shared import policy, thread_commands
from shared.gate import Gate
from shared.gitlab.values import FORBIDDEN, GitLabError, Pipeline, Progress
from shared.log_fields import entry, severity
from shared.outcome.reasons import Outcome, Reason, Retry, Stop, TriggerError
from shared.outgoing import refusals, replies
from shared.repair import repair_of
from shared.runs import command, limits, projects, store
from shared.runs.legible import legible
from shared.runs.limits import Turn
from shared.runs.record import ENDED, Lease, State, pause
from shared.runs.request import RunRequest, TrackRequest, Unread
from shared.runs.shapes import ShapeError
from shared.services import Services
from shared.start import Start
from shared.thread import Thread
from shared.track import track
from shared.trigger import shown
from shared.work import Work, understand

_ANSWERED_HERE = (command.HELP, command.STATUS, command.STOP, command.BUDGET)
# Ends at which the project is known, or was not proved to be what the delivery says.
_PROJECT_KNOWN = (Reason.TRIGGERED, Reason.DUPLICATE, Reason.TOKEN_NOT_FOR_PROJECT)
_MAYBE_FORGED = (
    Reason.TOKEN_NOT_FOR_PROJECT,
    Reason.PROJECT_NOT_SEEN,
    Reason.PROJECT_NOT_ALLOWED,
)
_UNREADABLE = (Reason.RECORD_UNREADABLE, Reason.REQUEST_UNREADABLE)
# Seconds after which a version may have been deployed that can read it.
_ROLLOUT = 30.0
# Seconds that the calls to GitLab of one attempt take together: a function ends after 100, and the
# lease after 120.
_PATIENCE = 80.0


def dispatch(
    request: RunRequest | TrackRequest | Unread, services: Services, *, last: bool = False
) -> Reason:
    """Take a request as far as it goes and return its end.

    Raise Retry where the same request is to come again. Any number of calls for one run, at once
    or one after the other, create one pipeline. `last` says that the queue will not offer the
    request again: instead of Retry the run ends as a dead letter, which can be replayed.
    """
    services = services._replace(records=legible(services.records, services.log))
    services.gitlab.within(_PATIENCE)
    try:
        return _dispatch(request, services, last=last)
    except Retry as error:
        unreadable = error.reason in _UNREADABLE
        if error.reason is Reason.RECORD_UNREADABLE:
            error.after = max(error.after, _ROLLOUT)
        if unreadable:
            why = str(error.__cause__ or "")
            services.log("ERROR", entry(error.reason, request, error=why))
        if not (last and unreadable):
            raise
        return _bury(request, str(error.reason), services)
    except TriggerError:
        raise
    except Exception as error:
        if not last:
            raise
        return _bury(request, type(error).__name__, services)


def _dispatch(
    request: RunRequest | TrackRequest | Unread, services: Services, *, last: bool
) -> Reason:
    if isinstance(request, Unread):
        after = _ROLLOUT if request.newer else 0.0
        raise Retry(Reason.REQUEST_UNREADABLE, after) from ShapeError(request.why)
    if isinstance(request, TrackRequest) and not request.repair:
        return track(request, services, last=last, heard=True)
    try:
        if isinstance(request, TrackRequest):
            found = repair_of(request, services)
            if found is None:
                services.log("INFO", entry(Reason.NOTHING_TO_REPAIR, request))
                return Reason.NOTHING_TO_REPAIR
            request = found
        lease = Lease(request, services.records, services.now)
    except Retry as error:
        if not last or error.reason in _UNREADABLE:
            raise
        # Whoever holds the lease may be dead as well, and GitLab away.
        return _bury(request, str(error.reason), services)
    if lease.record.state is State.DEAD and not last:  # moved back, or sent again
        lease.revive(request)
        store.remove_dead_letter(request.id, services.records, services.now())
    reason = Attempt(request, lease, services).run(last=last)
    if reason not in _PROJECT_KNOWN:
        projects.add(request.event.project_id, services.records, services.now())
    return reason


def _bury(request: RunRequest | TrackRequest | Unread, cause: str, services: Services) -> Reason:
    """Keep as a dead letter what nobody could work on, and raise the alarm."""
    services.log("ERROR", entry(Reason.DEAD_LETTER, request, error=cause))
    records, now = services.records, services.now()
    if isinstance(request, RunRequest):
        store.add_dead_letter(request.id, records, now, told=request.event.by_policy)
    else:  # nobody is known to have asked
        body = request.body if isinstance(request, Unread) else request.to_json()
        store.add_dead_letter(request.id, records, now, told=True, body=body)
    return Reason.DEAD_LETTER


class Attempt:
    """One attempt at a run, with the lease on its record."""

    def __init__(self, request: RunRequest, lease: Lease, services: Services) -> None:
        """Work on a request whose lease was taken."""
        self._request, self._lease, self._services = request, lease, services

    @property
    def _thread(self) -> Thread:
        return Thread(self._request, self._lease, self._services)

    def run(self, *, last: bool) -> Reason:
        """Carry the request out, refuse it, or give the lease back and raise Retry."""
        lease, services = self._lease, self._services
        try:
            reason = self._carry_out_or_refuse()
        except Retry as error:
            if last:
                return self._give_up(error.reason)
            lease.release()
            attempt = lease.record.attempt
            error.after = max(error.after, lease.record.until - services.now(), pause(attempt))
            # The cause is our own text or a status: adapters keep foreign ones out.
            cause = str(error.__cause__ or "")
            services.log(
                "WARNING", entry(error.reason, self._request, attempt=attempt, error=cause)
            )
            raise
        record = lease.record
        fields = {"attempt": record.attempt, "pipeline_id": _id(record.pipeline)}
        services.log(severity(reason), entry(reason, self._request, **fields))
        return reason

    def _carry_out_or_refuse(self) -> Reason:
        try:
            return self._carry_out()
        except Stop as error:
            if error.reason in _MAYBE_FORGED:
                # Whoever forged it must not have ended the true request's run.
                self._lease.undo()
                return error.reason
            why = self._refuse(error)
            self._lease.write(self._lease.record.ended(State.REFUSED, why.reason))
            if why.reason is Reason.NOT_A_MEMBER:
                now = self._services.now()
                store.add_stranger(self._request.event, self._services.records, now)
            return why.reason

    def _carry_out(self) -> Reason:
        record = self._lease.record
        if record.state in ENDED or record.state is State.WAITING:
            return Reason.DUPLICATE
        gate = Gate(self._request, self._lease, self._services)
        gate.prove_project()
        event = self._request.event
        if not (event.note_id or event.by_policy or self._is_first()):
            return Reason.DUPLICATE
        if record.reason:  # an earlier attempt decided so, and may have said it
            raise Stop(Reason[record.reason.upper()], record.hint)
        pipeline = record.pipeline
        if record.state is not State.TRIGGERED:
            pipeline = self._lost_pipeline()
            if pipeline is None:
                role = gate.authorise()
                confirmed = gate.confirm()
                self._request = confirmed.request
                gate.admit(confirmed)
                work = understand(self._request, self._services)
                if work.options.command in _ANSWERED_HERE:
                    return self._answer(work)
                turn = self._take_turn(work)
                if turn.at > self._services.now():
                    return self._wait(work, turn)
                start = Start(confirmed, self._lease, self._services)
                pipeline = start.pipeline(work, role)
        assert pipeline  # noqa: S101  so its state says
        self._list(pipeline)
        progress = self._jobs(pipeline)
        # Whoever was overtaken finds out here, and replies no more.
        if self._lease.record.state is State.TRIGGERED:
            self._lease.check()
        else:
            self._lease.write(self._lease.record.triggered(pipeline))
        self._request = self._lease.record.request
        return self._acknowledge(progress)

    def _is_first(self) -> bool:
        """Tell whether no other run was asked for by the same change; such a one ends here."""
        services, lease = self._services, self._lease
        if store.first_asked(self._request, services.records, services.now()):
            return True
        lease.write(lease.record.ended(State.REFUSED, Reason.DUPLICATE))
        return False

    def _list(self, pipeline: Pipeline) -> None:
        """List the run's pipeline, so that it can be followed and stopped."""
        services = self._services
        run, home = self._lease.record.carried_out, self._lease.record.runs_in
        store.add_pipeline(run, home, pipeline.id, services.records, services.now())
        projects.add(home, services.records, services.now(), live=True)
        if home != run.event.project_id:
            projects.add(run.event.project_id, services.records, services.now())

    def _acknowledge(self, progress: Progress | None) -> Reason:
        """Reply, and end the run that has its pipeline, which was found as `progress` says."""
        request, record = self._request, self._lease.record
        assert record.pipeline  # noqa: S101  so its state says
        if request.event.by_policy:
            with refusals.as_retry():
                policy.withdraw_if_moved(record, self._services)
        phrase = self._services.settings.phrases[0]
        understood = replies.Understood(request.event.name, record.options, phrase)
        text = replies.started(request.id, record.pipeline, understood, progress)
        reply_id = self._thread.reply(text, checked=True)
        replied = record._replace(reply_id=reply_id)
        self._lease.write(replied.ended(State.FINISHED, Reason.TRIGGERED))
        return Reason.TRIGGERED

    def _jobs(self, pipeline: Pipeline) -> Progress | None:
        """Return a new pipeline with its jobs; None where GitLab hides them, or nobody may see."""
        record, gitlab = self._lease.record, self._services.gitlab
        with suppress(GitLabError):
            if not record.home:
                jobs = gitlab.jobs(record.runs_in, pipeline.id)
                return Progress("created", duration=0, created_at=0.0, jobs=jobs)
        return None

    def _answer(self, work: Work) -> Reason:
        """Answer what needs no pipeline."""
        services, record = self._services, self._lease.record
        if work.options.command != command.STOP:  # it is free, and must always work
            limits.count_command(work.request, services.records, services.now())
        again = record.attempt > 1
        with refusals.as_retry():
            text = thread_commands.answer(work.request, work.options, services, again=again)
        self._thread.reply(text)
        self._lease.write(record.ended(State.FINISHED, Reason.ANSWERED))
        return Reason.ANSWERED

    def _refuse(self, why: Stop) -> Stop:
        """Say why the run does not start; return why it ended, which may be another reason."""
        request, lease, services = self._request, self._lease, self._services
        if request.event.by_policy and why.reason not in policy.TOLD:
            if lease.record.attempt > 1:  # it may have said that it waits
                with refusals.as_retry():
                    policy.take_back(lease.record, services)
            return why  # nobody waits for an answer; the log has it
        if why.reason is Reason.NOT_A_MEMBER and request.event.public:
            # A reply to every stranger would make us a means to spam.
            self._thread.award("no_entry_sign")
            return why
        if why.reason is Reason.OVER_LIMIT:  # which has been said; this was seen all the same
            self._thread.award("no_entry_sign")
        decided = lease.record.reason
        if not decided and why.reason.outcome is not Outcome.IGNORED:
            try:
                limits.count_refusal(request, services.records, services.now())
            except Stop as limit:  # the thread has heard too much of us
                why = limit
        if why.reason.outcome is not Outcome.IGNORED:
            if not decided:
                lease.write(lease.record.decided(why))
            self._thread.reply(replies.stopped(request.id, why))
        return why

    def _give_up(self, cause: Reason) -> Reason:
        """Raise the alarm, keep the request for a replay, say so in the thread if that works."""
        request, lease, services = self._request, self._lease, self._services
        attempt = lease.record.attempt
        fields = entry(Reason.DEAD_LETTER, request, attempt=attempt, error=str(cause))
        services.log("ERROR", fields)
        quiet = request.event.by_policy
        store.add_dead_letter(request.id, services.records, services.now(), told=quiet)
        with suppress(Retry):
            if not quiet:
                told = replies.stopped(request.id, Stop(Reason.DEAD_LETTER))
                self._thread.reply(told, keep_existing=True)
                store.add_dead_letter(request.id, services.records, services.now(), told=True)
        with suppress(Retry):
            lease.write(lease.record.ended(State.DEAD, cause))
        return Reason.DEAD_LETTER

    def _lost_pipeline(self) -> Pipeline | None:
        """Return the pipeline of an earlier attempt whose end nobody knows, if GitLab has it."""
        request, record = self._request, self._lease.record
        if record.state is not State.TRIGGERING:
            return None
        try:
            found = self._services.gitlab.find_pipeline(
                record.runs_in, record.nonce or request.id, record.since
            )
            return found and shown(found, record)
        except GitLabError as error:
            if error.status == FORBIDDEN:  # our token may not look: better no pipeline than two
                raise Stop(Reason.UNCERTAIN) from error
            raise refusals.unavailable(error) from error

    def _take_turn(self, work: Work) -> Turn:
        """Count the run and return when it may start; what was put into the queue again may."""
        request, services, settings = work.request, self._services, self._services.settings
        model = settings.model._replace(id=work.options.model or settings.model.id)
        if not model.advice(self._services.today())[0]:
            raise Stop(Reason.MODEL_RETIRED)
        now, asked = services.now(), request.event.at
        if self._request.replay:
            return Turn(now)
        try:
            turn = limits.take_turn(request, settings, services.records, now, asked)
        except Stop:
            if request.event.by_policy:  # it was counted among those of its merge request
                limits.give_back(request, settings, services.records, now)
            raise
        if turn.at <= now and self._lease.record.attempt == 1:
            turn = limits.pace(request, services.records, now, asked)
        return turn

    def _wait(self, work: Work, turn: Turn) -> Reason:
        """Say when the run will start, and leave it to the sweep."""
        request, services, reason = self._request, self._services, turn.reason or Reason.PACED
        if reason in (Reason.DAY_LIMIT, Reason.PROJECT_LIMIT):
            services.log("WARNING", entry(reason, request))
        store.add_waiting(request, turn.at, services.records)
        store.add_to_thread(work.request, services.records, services.now())
        self._thread.reply(replies.waits(request.id, reason, turn.at))
        self._lease.write(self._lease.record.waiting(turn.at))
        return Reason.WAITING


def _id(pipeline: Pipeline | None) -> int:
    return pipeline.id if pipeline else 0
