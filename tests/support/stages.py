"""One installation between fakes, and its use cases as platforms call them."""

import pytest

from shared.dispatch import dispatch
from shared.incoming.delivery import Delivery
from shared.outcome.reasons import Reason, Retry
from shared.receive import Answer, receive
from shared.runs.record import Record
from shared.runs.request import RunRequest, TrackRequest
from shared.services import Services
from shared.sweep import Swept, sweep
from shared.track import track
from tests.support import fakes


class Stage:
    """A test may change any of the fakes, and the environment, at any time."""

    def __init__(self, **environment: str) -> None:
        self.gitlab, self.records, self.queue = fakes.GitLab(), fakes.Records(), fakes.Queue()
        self.clock, self.log, self.tokens = fakes.Clock(), fakes.Log(), fakes.tokens()
        self.environment = environment

    @property
    def services(self) -> Services:
        return fakes.services(self.gitlab, self.records, self.clock, self.log, **self.environment)

    @property
    def reply(self) -> str:
        """The newest reply in the thread."""
        return self.gitlab.replies[-1]

    def receive(self, request: Delivery) -> Answer:
        return receive(
            request,
            settings=fakes.settings(**self.environment),
            secrets=self.tokens,
            queue=self.queue,
            now=self.clock,
            log=self.log,
        )

    def dispatch(
        self, asked: RunRequest | TrackRequest | None = None, *, last: bool = False
    ) -> Reason:
        asked = asked or fakes.run()
        self.gitlab.hears(asked)
        return dispatch(asked, self.services, last=last)

    def retried(self) -> Retry:
        """Dispatch, and return what asks for another attempt."""
        with pytest.raises(Retry) as retry:
            self.dispatch()
        return retry.value

    def record(self) -> Record:
        """Return the run's record."""
        record = self.records.run(fakes.run().id)
        assert record
        return record

    def track(self, pipeline_id: int = 1, *, last: bool = False) -> Reason:
        return track(TrackRequest(7, pipeline_id), self.services, last=last)

    def sweep(self, since: float | None = None) -> Swept:
        return sweep(self.services, self.queue, since=since)
