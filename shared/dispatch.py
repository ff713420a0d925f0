"""The use case behind the queue: claim, authorise, acknowledge, trigger, reply.

The process may be killed after any step; the next attempt goes on from what the record says.
"""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from shared import policy, thread_commands
from shared.contract import marks
from shared.contract.ai_flow import AUTO, COMMIT, MENTION, SNIPPET
from shared.gitlab.values import GitLabError, Pipeline, Progress
from shared.incoming import mention
from shared.installation.secrets import speaks_for
from shared.log_fields import entry, severity
from shared.outcome.reasons import Outcome, Reason, Retry, Stop, TriggerError
from shared.outgoing import payload, refusals, replies
from shared.outgoing.context import context
from shared.runs import budgets, command, limits, projects, store
from shared.runs.access import authorise
from shared.runs.command import Options
from shared.runs.confirm import Confirmed, confirm, text_of
from shared.runs.legible import legible
from shared.runs.limits import Turn
from shared.runs.record import ENDED, SETTLE, Lease, State, pause
from shared.runs.request import RunRequest, TrackRequest, Unread
from shared.runs.shapes import ShapeError
from shared.services import Services
from shared.track import track
from shared.trigger import Trigger, home_of, shown

_ANSWERED_HERE = (command.HELP, command.STATUS, command.STOP, command.BUDGET)
# Ends at which the project is known, or was not proved to be what the delivery says.
_PROJECT_KNOWN = (Reason.TRIGGERED, Reason.DUPLICATE, Reason.TOKEN_NOT_FOR_PROJECT)
_FORBIDDEN, _NOT_FOUND = 403, 404
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
    if isinstance(request, TrackRequest):
        return track(request, services, last=last, heard=True)
    try:
        lease = Lease(request, services.records, services.now)
    except Retry as error:
        if not last or error.reason in _UNREADABLE:
            raise
        # Whoever holds the lease may be dead as well.
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


class Work(NamedTuple):
    """What a run is to do: the request that is carried out, its instruction, its options.

    A `retry` carries out a former request.
    """

    request: RunRequest
    instruction: str
    options: Options


class Attempt:
    """One attempt at a run, with the lease on its record."""

    def __init__(self, request: RunRequest, lease: Lease, services: Services) -> None:
        """Work on a request whose lease was taken."""
        self._request, self._lease, self._services = request, lease, services

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
        self._prove_project()
        event = self._request.event
        if not (event.note_id or event.by_policy or self._is_first()):
            return Reason.DUPLICATE
        if record.reason:  # an earlier attempt decided so, and may have said it
            raise Stop(Reason[record.reason.upper()], record.hint)
        pipeline = record.pipeline
        if record.state is not State.TRIGGERED:
            pipeline = self._lost_pipeline()
            if pipeline is None:
                self._pass_strangers_by()
                role = self._authorise()
                confirmed = self._confirm()
                self._admit(confirmed)
                work = self._understand()
                if work.options.command in _ANSWERED_HERE:
                    return self._answer(work)
                turn = self._take_turn(work)
                if turn.at > self._services.now():
                    return self._wait(work, turn)
                pipeline = self._start(work, confirmed, role)
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

    def _prove_project(self) -> None:
        """Raise Stop where the webhook's token is for paths at which GitLab has another project."""
        request = self._request
        if request.bound is None:
            return
        try:
            project = self._services.gitlab.project(str(request.event.project_id))
        except GitLabError as error:
            raise refusals.unavailable(error) from error
        if project is None or not speaks_for(request.bound, project.id, project.path):
            raise Stop(Reason.TOKEN_NOT_FOR_PROJECT)

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
            self._asking(lambda: policy.withdraw_if_moved(record, self._services))
        phrase = self._services.settings.phrases[0]
        understood = replies.Understood(request.event.name, record.options, phrase)
        text = replies.started(request.id, record.pipeline, understood, progress)
        reply_id = self._reply(text, checked=True)
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
        try:
            text = thread_commands.answer(
                work.request, work.options, services, again=record.attempt > 1
            )
        except GitLabError as error:
            raise refusals.unavailable(error) from error
        self._reply(text)
        self._lease.write(record.ended(State.FINISHED, Reason.ANSWERED))
        return Reason.ANSWERED

    def _refuse(self, why: Stop) -> Stop:
        """Say why the run does not start; return why it ended, which may be another reason."""
        request, lease, services = self._request, self._lease, self._services
        if request.event.by_policy and why.reason not in policy.TOLD:
            if lease.record.attempt > 1:  # it may have said that it waits
                self._asking(lambda: policy.take_back(lease.record, services))
            return why  # nobody waits for an answer; the log has it
        if why.reason is Reason.NOT_A_MEMBER and request.event.public:
            # A reply to every stranger would make us a means to spam.
            self._award("no_entry_sign")
            return why
        if why.reason is Reason.OVER_LIMIT:  # which has been said; this was seen all the same
            self._award("no_entry_sign")
        decided = lease.record.reason
        if not decided and why.reason.outcome is not Outcome.IGNORED:
            try:
                limits.count_refusal(request, services.records, services.now())
            except Stop as limit:  # the thread has heard too much of us
                why = limit
        if why.reason.outcome is not Outcome.IGNORED:
            if not decided:
                lease.write(lease.record.decided(why))
            self._reply(replies.stopped(request.id, why))
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
                self._reply(told, keep_existing=True)
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
            if error.status == _FORBIDDEN:  # our token may not look: better no pipeline than two
                raise Stop(Reason.UNCERTAIN) from error
            raise refusals.unavailable(error) from error

    def _pass_strangers_by(self) -> None:
        """Raise Stop where GitLab has just said that the author is no member: it is not asked."""
        event, services = self._request.event, self._services
        if store.is_stranger(event, services.records, services.now()):
            raise Stop(Reason.KNOWN_STRANGER)

    def _authorise(self) -> int:
        """Return the author's access level; raise Stop unless GitLab says that the author may."""
        event, settings, gitlab = (
            self._request.event,
            self._services.settings,
            self._services.gitlab,
        )
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
            today=self._today(),
        )
        return member.access_level if member else 0

    def _confirm(self) -> Confirmed:
        """Go on with the request as GitLab tells it; raise Stop where it tells otherwise."""
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
        if confirmed.request.event.internal and not services.settings.serve_confidential:
            raise Stop(Reason.CONFIDENTIAL_OFF)
        self._request = confirmed.request
        return confirmed

    def _admit(self, confirmed: Confirmed) -> None:
        """Raise Stop where nobody asked, and the policy does not let the run start."""
        if self._request.event.by_policy:
            self._asking(lambda: policy.admit(confirmed, self._services))

    def _asking(self, call: Callable[[], None]) -> None:
        """Do what asks GitLab; raise Retry where that does not answer."""
        try:
            call()
        except GitLabError as error:
            raise refusals.unavailable(error) from error

    def _absent(self, error: GitLabError, reason: Reason) -> TriggerError:
        """Return what an error means that ends the run for this reason where GitLab answers 404."""
        if error.status != _NOT_FOUND:
            return refusals.unavailable(error)
        if self._lease.record.is_news(self._services.now()):
            return Retry(Reason.GITLAB_UNAVAILABLE)
        return Stop(reason)

    def _understand(self) -> Work:
        """Read the options a text begins with; raise Stop where it is no request we serve."""
        request, settings = self._request, self._services.settings
        name = request.event.name
        if name not in (MENTION, AUTO):  # nobody wrote a word: it is ours, or the installation's
            return Work(request, settings.prompts.get(name) or self._text_of(request), Options())
        options, instruction = command.parse(self._seen_of(request), settings)
        if options.command == command.RETRY:
            former = thread_commands.last_of(request, self._services)
            _, instruction = command.parse(self._seen_of(former.carried_out), settings)
            request, options = thread_commands.repeated(request, options, former)
        return Work(request, instruction, options)

    def _seen_of(self, request: RunRequest) -> str:
        """Return what of a request's instruction a reader could see."""
        phrases = self._services.settings.phrases
        return mention.sanitized(self._text_of(request), phrases, request.second)

    def _text_of(self, request: RunRequest) -> str:
        try:
            return text_of(request, self._services.gitlab, self._services.settings)
        except GitLabError as error:
            if error.status == _NOT_FOUND:
                raise Stop(Reason.NOTE_CHANGED) from error
            raise refusals.unavailable(error) from error

    def _take_turn(self, work: Work) -> Turn:
        """Count the run and return when it may start; what was put into the queue again may."""
        request, services, settings = work.request, self._services, self._services.settings
        model = settings.model._replace(id=work.options.model or settings.model.id)
        if not model.advice(self._today())[0]:
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
        self._reply(replies.waits(request.id, reason, turn.at))
        self._lease.write(self._lease.record.waiting(turn.at))
        return Reason.WAITING

    def _start(self, work: Work, confirmed: Confirmed, role: int) -> Pipeline:
        """Trigger; what GitLab refuses to start has cost nothing."""
        request, services = work.request, self._services
        try:
            return self._trigger_counted(work, confirmed, role)
        except Stop:
            limits.give_back(request, services.settings, services.records, services.now())
            budgets.give_back(self._lease.record, services.records)
            raise

    def _trigger_counted(self, work: Work, confirmed: Confirmed, role: int) -> Pipeline:
        """Show 👀, gather what the job is to know, and trigger."""
        request, services, settings = work.request, self._services, self._services.settings
        payload.ref(request.event, settings.pipeline_ref)
        home = home_of(self._request.event, services)
        self._hold_money(request)
        award_id = self._lease.record.award_id
        if not request.event.by_policy:
            award_id = self._award("eyes") or award_id
        known = context(confirmed._replace(request=request), role, services)
        record = self._lease.record.understood(self._request, work.options, request)
        seed = f"{request.id}|{services.now()}"
        nonce = record.nonce or services.secrets.get().nonce(seed)
        body = payload.body(request, work.options, work.instruction, known, settings, nonce=nonce)
        if home:
            body = payload.elsewhere(body, request, home.default_branch)
        body = services.secrets.get().sealed(body)
        # Both are written before the call leaves.
        self._lease.record = record._replace(
            nonce=nonce, home=home.id if home else 0, award_id=award_id
        )
        return Trigger(self._request, self._lease, services).pipeline(body, home)

    def _hold_money(self, request: RunRequest) -> None:
        """Hold what the run may cost; raise Stop where a budget has no room for that."""
        services, lease, now = self._services, self._lease, self._services.now()
        settings, records = services.settings, services.records
        full = budgets.hold(request, lease.record.attempt, settings, records, now)
        if full:
            spent, held = full.account.spent, full.account.reserved
            figures = {"spent": spent / 10**6, "held": held / 10**6}
            own = full.budget.reason is Reason.BUDGET_USER
            fields = entry(full.budget.reason, request, **figures)
            services.log("INFO" if own else "WARNING", fields)
            raise budgets.refusal(request, full, records, now)
        if settings.has_budgets:  # written with the next step, before a pipeline can start
            lease.record = lease.record._replace(reserved=now)

    def _award(self, emoji: str) -> int:
        """Return the award's id, 0 where it is not known."""
        try:
            return self._services.gitlab.award(self._request.event, emoji)
        except GitLabError as error:  # a missing reaction stops nobody
            reason, cause = Reason.GITLAB_UNAVAILABLE, str(error)
            told = entry(reason, self._request, error="award", status=error.status, cause=cause)
            self._services.log("WARNING", told)
            return 0

    def _reply(self, text: str, *, keep_existing: bool = False, checked: bool = False) -> int:
        """Reply once and return the note's id, 0 where nobody can be told.

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
            gone = error.status == _NOT_FOUND
            reason = Reason.THREAD_GONE if gone else Reason.GITLAB_REFUSED
            fields = entry(reason, self._request, error="reply", status=error.status)
            self._services.log(severity(reason), fields)
        return found.id if found else 0

    def _today(self) -> str:
        """Return the date as ISO 8601 has it, in UTC."""
        return datetime.fromtimestamp(self._services.now(), UTC).date().isoformat()


def _id(pipeline: Pipeline | None) -> int:
    return pipeline.id if pipeline else 0
