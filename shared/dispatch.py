"""The use case behind the queue: claim, authorise, acknowledge, trigger, reply. Each step may be the last that runs."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import NamedTuple

from shared import thread_commands
from shared.contract import marks
from shared.contract.ai_flow import COMMIT, MENTION, SNIPPET
from shared.gitlab.values import GitLabError, Pipeline
from shared.incoming import mention
from shared.installation.secrets import GitLabSecrets
from shared.log_fields import entry, severity
from shared.outcome.reasons import Outcome, Reason, Retry, Stop
from shared.outgoing import payload, refusals, replies
from shared.outgoing.context import context
from shared.runs import command, dead_letters, limits, projects
from shared.runs import started as runs
from shared.runs.access import authorise
from shared.runs.command import Options
from shared.runs.detect import instruction_of
from shared.runs.lease import Held
from shared.runs.record import ENDED, SETTLE, State, pause
from shared.runs.request import RunRequest, TrackRequest, digest
from shared.runs.started import Started
from shared.services import Services
from shared.track import track

_ANSWERS = (command.HELP, command.STATUS, command.STOP)


def dispatch(request: RunRequest | TrackRequest, world: Services, *, last: bool = False) -> Reason:
    """Take a request as far as it goes and return its end; raise Retry where the same one is to come again.

    Any number of calls for one run, at once or one after the other, create one pipeline. `last` says that the queue
    will not offer the request again: instead of Retry the run ends as a dead letter, which can be replayed.
    """
    if isinstance(request, TrackRequest):
        return track(request, world, last=last)
    run = request
    try:
        held = Held(run, world)
    except Retry as error:
        if not last:
            raise
        world.log("ERROR", entry(Reason.DEAD_LETTER, run, error=str(error.reason)))
        dead_letters.keep(
            run, world.records, world.now()
        )  # whoever holds the claim may be dead as well
        return Reason.DEAD_LETTER
    try:
        reason = _end(run, held, world)
    except Retry as error:
        if last:
            return _die(run, error.reason, held, world)
        held.release()
        error.after = max(error.after, held.claim.until - world.now(), pause(held.claim.attempt))
        # The cause is our own text or a status: adapters keep foreign ones out.
        cause = str(error.__cause__ or "")
        world.log("WARNING", entry(error.reason, run, attempt=held.claim.attempt, error=cause))
        raise
    world.log(
        severity(reason),
        entry(reason, run, attempt=held.claim.attempt, pipeline_id=held.claim.pipeline_id),
    )
    return reason


def _die(run: RunRequest, cause: Reason, held: Held, world: Services) -> Reason:
    """Raise the alarm, keep the request for a replay, say so in the thread if that works, and end the claim."""
    world.log("ERROR", entry(Reason.DEAD_LETTER, run, attempt=held.claim.attempt, error=str(cause)))
    dead_letters.keep(run, world.records, world.now())
    with suppress(Retry):
        _reply(run, replies.stopped(run.id, Stop(Reason.DEAD_LETTER)), held, world, over=False)
    with suppress(Retry):
        held.write(held.claim.ended(State.DEAD, cause))
    return Reason.DEAD_LETTER


def _end(run: RunRequest, held: Held, world: Services) -> Reason:
    try:
        return _serve(run, held, world)
    except Stop as error:
        if error.reason is Reason.NOT_A_MEMBER and run.event.public:
            _award(
                run, "no_entry_sign", world
            )  # a reply to every stranger would make us a means to spam
            why = error
        else:
            why = _told(run, error, held, world)
        held.write(held.claim.ended(State.REFUSED, why.reason))
        return why.reason


def _told(run: RunRequest, why: Stop, held: Held, world: Services) -> Stop:
    """Say why a run does not start, unless the thread has heard too much of us; return why it ended."""
    if not held.claim.reason and why.reason.outcome is not Outcome.IGNORED:
        try:
            limits.count_command(run, world.records, world.now())
        except Stop as limit:
            why = limit
    if why.reason.outcome is not Outcome.IGNORED:
        if not held.claim.reason:
            held.write(held.claim.decided(why))
        _reply(run, replies.stopped(run.id, why), held, world)
    return why


def _serve(run: RunRequest, held: Held, world: Services) -> Reason:
    if held.claim.state in ENDED:
        return Reason.DUPLICATE
    if held.claim.reason:  # an earlier attempt decided so, and may have said it
        raise Stop(Reason[held.claim.reason.upper()], held.claim.hint)
    if held.claim.state is not State.TRIGGERED:
        pipeline = _lost_pipeline(run, held, world)
        if pipeline:
            asked = _recalled(run, world)
        else:
            role = _authorised(run, world)
            asked = _asked(run, world)
            if asked.order.command in _ANSWERS:
                return _answer(asked, held, world)
            pipeline = _start(asked, role, held, world)
        held.write(held.claim.triggered(pipeline.id, pipeline.url))
        runs.keep(Started(asked.run, asked.order, pipeline), world.records, world.now())
    pipeline = Pipeline(held.claim.pipeline_id, held.claim.pipeline_url)
    started = runs.read(run.id, world.records) or Started(run, Options(), pipeline)
    understood = replies.Understood(run.event.name, started.order, world.settings.phrases[0])
    reply_id = _reply(run, replies.started(run.id, pipeline, understood), held, world)
    runs.keep(started._replace(reply_id=reply_id), world.records, world.now())
    held.write(held.claim.ended(State.FINISHED, Reason.TRIGGERED))
    projects.know(run.event.project_id, world.records, world.now())
    return Reason.TRIGGERED


class _Asked(NamedTuple):
    """What a run is to do: the request that is carried out (a former one where it is repeated), its text, its order."""

    run: RunRequest
    instruction: str
    order: Options


def _asked(run: RunRequest, world: Services) -> _Asked:
    """Read what the text begins with; raise Stop where it is no request we serve."""
    if run.event.kind in (COMMIT, SNIPPET):
        raise Stop(Reason.TARGET_NOT_SERVED)
    asked = run
    if run.event.name != MENTION:  # nobody wrote a word: it is ours, or the installation's
        return _Asked(
            run, world.settings.prompts.get(run.event.name) or _instruction(run, world), Options()
        )
    order, instruction = command.parse(_seen(run, world), world.settings)
    if order.command == command.RETRY:
        former = thread_commands.last_of(run, world)
        _, instruction = command.parse(_seen(former.run, world), world.settings)
        asked, order = thread_commands.repeated(run, order, former)
    return _Asked(asked, instruction, order)


def _recalled(run: RunRequest, world: Services) -> _Asked:
    """Return what a run was to do whose pipeline exists, as far as that can still be read."""
    try:
        return _asked(run, world)
    except Stop:
        return _Asked(run, "", Options())


def _answer(asked: _Asked, held: Held, world: Services) -> Reason:
    """Answer what needs no pipeline."""
    limits.count_command(asked.run, world.records, world.now())
    try:
        text = thread_commands.answer(asked.run, asked.order, world, again=held.claim.attempt > 1)
    except GitLabError as error:
        raise refusals.unavailable(error) from error
    _reply(asked.run, text, held, world)
    held.write(held.claim.ended(State.FINISHED, Reason.ANSWERED))
    return Reason.ANSWERED


def _lost_pipeline(run: RunRequest, held: Held, world: Services) -> Pipeline | None:
    """Return the pipeline of an earlier attempt whose end nobody knows, if GitLab has it."""
    if held.claim.state is not State.TRIGGERING:
        return None
    try:
        return world.gitlab.find_pipeline(run.event.project_id, run.id, held.claim.since)
    except GitLabError as error:
        if error.status == 403:  # noqa: PLR2004  our token may not look: better no pipeline than two
            raise Stop(Reason.UNCERTAIN) from error
        raise refusals.unavailable(error) from error


def _start(asked: _Asked, role: int, held: Held, world: Services) -> Pipeline:
    """Count the run, show 👀, gather what the job is to know and trigger."""
    run, settings = asked.run, world.settings
    if not settings.model._replace(id=asked.order.model or settings.model.id).advice(_today(world))[
        0
    ]:
        raise Stop(Reason.MODEL_RETIRED)
    limits.count(run, settings, world.records, world.now())
    payload.ref(run.event, settings.pipeline_ref)
    _award(run, "eyes", world)
    body = payload.body(run, asked.order, asked.instruction, context(run, role, world), settings)
    try:
        return _trigger(run, body, held, world)
    except Stop as error:
        if error.reason is not Reason.VARIABLES_FORBIDDEN:
            raise
    # The project forbids pipeline variables: our own job needs none, a job that waits for them does not run.
    try:
        return _trigger(
            run, {name: value for name, value in body.items() if name != "variables"}, held, world
        )
    except Stop as again:
        raise Stop(
            Reason.VARIABLES_FORBIDDEN if again.reason is Reason.NO_JOB else again.reason
        ) from again


def _trigger(run: RunRequest, body: dict[str, object], held: Held, world: Services) -> Pipeline:
    """Call with the project's trigger token; one that GitLab does not know may just have been rotated."""
    secrets = world.secrets.get()
    try:
        return _call(run, secrets, body, held, world)
    except Stop as error:
        rotated = world.secrets.get(fresh=True)
        if error.reason is not Reason.TRIGGER_TOKEN_REJECTED or rotated is secrets:
            raise
    return _call(run, rotated, body, held, world)


def _call(
    run: RunRequest, secrets: GitLabSecrets, body: dict[str, object], held: Held, world: Services
) -> Pipeline:
    token = secrets.trigger_token(run.event.project_id, run.event.project_path)
    if token is None:
        raise Stop(Reason.TRIGGER_TOKEN_MISSING)
    held.write(held.claim.triggering(world.now()))
    try:
        return world.gitlab.trigger(run.event.project_id, token, body)
    except GitLabError as error:
        if not error.unsure:
            held.write(held.claim.not_triggered())
        raise refusals.refused(error) from error


def _authorised(run: RunRequest, world: Services) -> int:
    note, settings = run.event, world.settings
    try:
        user = world.gitlab.user(note.author_id)
        member = world.gitlab.member(note.project_id, note.author_id)
        own = bool(user and user.bot) and world.gitlab.own_id() == note.author_id
    except GitLabError as error:
        raise refusals.unavailable(error) from error
    if own:  # not even ALLOWED_BOTS lets us ask ourselves
        raise Stop(Reason.BOT_AUTHOR)
    bots = settings.allowed_bots
    authorise(user, member, minimum=settings.minimum_role, allowed_bots=bots, today=_today(world))
    return member.access_level if member else 0


def _today(world: Services) -> str:
    return datetime.fromtimestamp(world.now(), UTC).date().isoformat()


def _seen(run: RunRequest, world: Services) -> str:
    return mention.sanitized(_instruction(run, world), world.settings.phrases)


def _instruction(run: RunRequest, world: Services) -> str:
    if run.instruction is not None:
        return run.instruction
    try:
        texts = world.gitlab.texts(run.event)
    except GitLabError as error:
        if error.status == 404:  # noqa: PLR2004
            raise Stop(Reason.NOTE_CHANGED) from error
        raise refusals.unavailable(error) from error
    instruction = instruction_of(texts, world.settings.phrases)
    if instruction is None or digest(instruction) != run.digest:
        raise Stop(Reason.NOTE_CHANGED)
    return instruction


def _award(run: RunRequest, emoji: str, world: Services) -> None:
    try:
        world.gitlab.award(run.event, emoji)
    except GitLabError as error:  # a missing reaction stops nobody
        world.log(
            "WARNING", entry(Reason.GITLAB_UNAVAILABLE, run, error="award", status=error.status)
        )


def _reply(run: RunRequest, text: str, held: Held, world: Services, *, over: bool = True) -> int:
    """Answer once and return the note's id: after a first attempt that may have got as far as here, look first.

    Without `over` what is there already stays.
    """
    held.check()
    found = None
    try:
        if held.claim.attempt > 1 or not over:
            found = world.gitlab.replied(run.event, marks.of_run(run.id))
        if found is None:
            return world.gitlab.reply(run.event, text)
        if over and found.body.strip() != text and not marks.has_job(found.body):
            world.gitlab.edit_reply(run.event, found.id, text)
    except GitLabError as error:
        if error.unsure or not 400 <= error.status < 500 or error.status in (401, 408, 429):  # noqa: PLR2004
            again = refusals.unavailable(error)
            again.after = max(
                again.after, SETTLE if error.unsure else 0.0
            )  # a reply may still be on its way
            raise again from error
        # The thread is locked or gone: nobody can be told there, so the log is.
        world.log("ERROR", entry(Reason.GITLAB_REFUSED, run, error="reply", status=error.status))
    return found.id if found else 0
