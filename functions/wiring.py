"""What every platform's handlers share: settings checked at start, the core over the adapters.

It imports what `receive` needs; what stands behind the queue is imported on first need.
"""

import gc
import time
from _thread import allocate_lock  # which costs a cold start nothing; threading does
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from shared.installation.secrets import Cached, GitLabSecrets, WebhookSecrets
from shared.installation.settings import Settings, required
from shared.outcome import messages
from shared.outcome.reasons import Outcome, Reason
from shared.receive import Answer, receive

if TYPE_CHECKING:
    from shared.incoming.delivery import Delivery
    from shared.runs.store import Queue, Records
    from shared.services import Log, Services


# What imports make stays: to look for garbage among it takes a tenth of the time of a start.
gc.set_threshold(20_000)

_REFUSED = str(Outcome.REFUSED)
# What anybody's stray request is refused for, before a secret is read.
_STRAY = {str(Reason.METHOD_NOT_ALLOWED), str(Reason.BODY_TOO_LARGE), str(Reason.UNSIGNED)}
_PAUSE = 1.0  # seconds between two lines about what was refused


def read_settings(environment: Mapping[str, str], needs: Mapping[str, str]) -> Settings:
    """Return the settings; `needs` are further variables and what is expected in each.

    Raises SettingsError, which names the first variable that is missing or wrong.
    """
    for variable, expected in needs.items():
        required(environment, variable, expected)
    return Settings.read(environment)


class Sparing:
    """A log in which what was refused is counted, so that a flood costs one line a second.

    Such a line has the severity WARNING and the fields `outcome`, `reason` and `count`: how many
    were refused for that reason since its last line. Where several reasons wait, the first comes
    first, and stray requests come last. Any other line is written as it comes.
    """

    def __init__(self, log: "Log", now: Callable[[], float]) -> None:
        """Take the log to write to, and the clock (seconds)."""
        self._log, self._now, self._lock = log, now, allocate_lock()
        self._counts: dict[str, int] = {}
        self._next = 0.0

    def __call__(self, severity: str, fields: Mapping[str, object]) -> None:
        """Write the line, count it, or write what was counted."""
        if fields.get("outcome") != _REFUSED:
            self._log(severity, fields)
        elif line := self._counted(str(fields["reason"])):
            self._log("WARNING", line)

    def _counted(self, reason: str) -> Mapping[str, object] | None:
        """Count one more; return the line that is due."""
        now = self._now()
        with self._lock:
            count = self._counts[reason] = self._counts.get(reason, 0) + 1
            # One stray request is no news, and loads no logger into a new instance.
            if now < self._next or (count == 1 and reason in _STRAY):
                return None
            self._next = now + _PAUSE
            first = min(self._counts, key=_STRAY.__contains__)
            return {"outcome": _REFUSED, "reason": first, "count": self._counts.pop(first)}


class Installation:
    """The core over one platform's adapters: its three functions."""

    def __init__(  # noqa: PLR0913  one argument per port
        self,
        settings: Settings,
        *,
        queue: "Queue",
        records: "Records",
        webhook_secrets: Callable[[], str],
        gitlab_secrets: Callable[[], str],
        log: "Log",
        now: Callable[[], float] = time.time,
    ) -> None:
        """Take the adapters; the two secret documents are read on first need."""
        messages.speak(settings.language)
        self._settings, self._queue, self._records = settings, queue, records
        self._tokens = Cached(webhook_secrets, WebhookSecrets.parse, now)
        self._gitlab_secrets, self._log, self._now = gitlab_secrets, log, now
        self._sparing = Sparing(log, now)

    def prepare(self) -> None:
        """Load what stands behind the queue, where a start has more of a processor than a call.

        A whole processor, not a share: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
        """
        import shared.dispatch
        import shared.sweep  # noqa: F401

        _ = self.services

    def receive(self, delivery: "Delivery") -> Answer:
        """Answer a request to the public URL."""
        return receive(
            delivery,
            settings=self._settings,
            secrets=self._tokens,
            queue=self._queue,
            now=self._now,
            log=self._sparing,
        )

    def dispatch(self, message: str | bytes, *, last: bool, name: str = "") -> Reason:
        """Carry out a message of the queue; `last` says that there will be no other attempt.

        `name` is what the queue calls it. Raises Retry where it is to come again.
        """
        from shared.dispatch import dispatch
        from shared.runs.request import read

        return dispatch(read(name, message), self.services, last=last)

    def sweep(self, task: Mapping[str, object]) -> dict[str, object]:
        """Do what the schedule or an operator asks, as `shared.sweep.carry_out` reads it."""
        from shared.sweep import carry_out

        return carry_out(task, self.services, self._queue)

    def log_defect(self, error: Exception) -> None:
        """Log an error nobody foresaw by its class alone: its text may quote the request."""
        self._log("ERROR", {"reason": str(Reason.DEFECT), "error": type(error).__name__})

    @cached_property
    def services(self) -> "Services":
        """What the use cases behind the queue work with."""
        from functions.gitlab import GitLab
        from shared.services import Services

        secrets = Cached(self._gitlab_secrets, GitLabSecrets.parse, self._now)
        gitlab = GitLab(self._settings.gitlab_url, secrets, self._settings.proxy)
        return Services(self._settings, secrets, self._records, gitlab, self._now, self._log)
