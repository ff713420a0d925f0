"""The start of a run: its money is held, what the job is to know is gathered, the call is made."""

from shared.contract.ai_flow import FIX
from shared.gitlab.values import Pipeline
from shared.log_fields import entry
from shared.outcome.reasons import Reason, Stop
from shared.outgoing import payload
from shared.outgoing.context import context
from shared.runs import budgets, limits
from shared.runs.confirm import Confirmed
from shared.runs.record import Lease
from shared.runs.request import RunRequest
from shared.services import Services
from shared.thread import Thread
from shared.trigger import Trigger, home_of
from shared.work import Work


class Start:
    """The start by an attempt that has passed the gate and has its turn."""

    def __init__(self, confirmed: Confirmed, lease: Lease, services: Services) -> None:
        """Start what a confirmed request asks for, whose lease was taken."""
        self._confirmed, self._lease, self._services = confirmed, lease, services
        self._request = confirmed.request

    def pipeline(self, work: Work, role: int) -> Pipeline:
        """Trigger, told the author's `role`; raise Stop or Retry.

        What GitLab refuses to start has cost nothing.
        """
        request, services = work.request, self._services
        try:
            return self._counted(work, role)
        except Stop:
            limits.give_back(request, services.settings, services.records, services.now())
            budgets.give_back(self._lease.record, services.records)
            raise

    def _counted(self, work: Work, role: int) -> Pipeline:
        request, services, settings = work.request, self._services, self._services.settings
        payload.ref(request.event, settings)
        if request.event.from_fork and work.options.command == FIX:  # of other words the job knows
            raise Stop(Reason.FORK_READ_ONLY)
        home = home_of(self._request.event, services)
        self._hold_money(request)
        award_id = self._lease.record.award_id
        if not request.event.by_policy:
            thread = Thread(self._request, self._lease, services)
            award_id = thread.award("eyes") or award_id
        known = context(self._confirmed._replace(request=request), role, services)
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
