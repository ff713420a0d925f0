"""The deliveries of what the state holds: built for a test to send, or sent by themselves."""

from . import deliveries, events, hooks, vintages
from .outbox import Outbox
from .records import Clock, Record
from .state import State

Delivery = tuple[dict[str, str], bytes]


class Webhooks(State):
    """With `fire_hooks` set, every change goes to the project's hooks that ask for it, signed, in
    the background.

    All builders take `vintage`: "2023" (16.0), "18.1" or "19", whose fields, dates and headers they
    show.
    """

    hook_workers = 1  # more: deliveries overtake each other
    hook_vintage = "19"  # of the deliveries that go by themselves

    sign = staticmethod(deliveries.sign)
    with_token = staticmethod(deliveries.with_token)

    def __init__(self, clock: Clock) -> None:
        """Begin with nothing to send."""
        super().__init__(clock)
        self.crashes: list[str] = []
        self._outbox = Outbox(self.crashes.append)

    def note_hook(
        self,
        note: Record | int,
        *,
        action: str = "create",
        webhook_id: str | None = None,
        vintage: str = "19",
    ) -> Delivery:
        """Return GitLab's delivery for this note; `sign` or `with_token` authenticate it."""
        with self.lock:
            record = self.notes[note] if isinstance(note, int) else note
            return self._delivery(events.note(self, record, action=action), webhook_id, vintage)

    def issue_hook(
        self,
        issue: Record | tuple[int, int],
        *,
        edit: Record | None = None,
        action: str | None = None,
        webhook_id: str | None = None,
        vintage: str = "19",
    ) -> Delivery:
        """Return the delivery for an edit of an issue or work item (project id, iid): the last one
        unless given.
        """
        with self.lock:
            record = self.issues[issue] if isinstance(issue, tuple) else issue
            return self._delivery(
                events.issue(self, record, edit=edit, action=action), webhook_id, vintage
            )

    def merge_request_hook(
        self,
        merge_request: Record | tuple[int, int],
        *,
        edit: Record | None = None,
        action: str | None = None,
        arrays: bool = True,
        webhook_id: str | None = None,
        vintage: str = "19",
    ) -> Delivery:
        """Return the delivery for an edit of a merge request; `arrays` is the shape of a review
        asked for again.
        """
        with self.lock:
            record = (
                self.merge_requests[merge_request]
                if isinstance(merge_request, tuple)
                else merge_request
            )
            event = events.merge_request(self, record, edit=edit, action=action, arrays=arrays)
            return self._delivery(event, webhook_id, vintage)

    def pipeline_hook(
        self, pipeline: Record | int, *, webhook_id: str | None = None, vintage: str = "19"
    ) -> Delivery:
        """Return the delivery for the pipeline as it is now, its variables in clear."""
        with self.lock:
            record = self.pipelines[pipeline] if isinstance(pipeline, int) else pipeline
            return self._delivery(events.pipeline(self, record), webhook_id, vintage)

    def job_hook(
        self, job: Record | int, *, webhook_id: str | None = None, vintage: str = "19"
    ) -> Delivery:
        """Return the delivery for the job as it is now."""
        with self.lock:
            record = self.jobs[job] if isinstance(job, int) else job
            return self._delivery(events.job(self, record), webhook_id, vintage)

    def deliver(self, hook_id: int, delivery: Delivery) -> Record:
        """Send a delivery to a registered hook's URL with that hook's tokens, once; return the
        entry in its log.
        """
        headers, body = delivery
        trigger = (
            headers["X-Gitlab-Event"].removesuffix(" Hook").lower().replace(" ", "_") + "_hooks"
        )
        return hooks.send(self, self.hooks[hook_id], headers, body, trigger)

    def fire(self, kind: str, record: Record, **details: object) -> None:
        """Send what has happened to the hooks that ask for it; a delivery shows the state of this
        moment.
        """
        if not self.fire_hooks:
            return
        event = events.BUILDERS[kind](self, record, **details)
        groups = (each for each in self.groups if record["project_id"] in self.below(each))
        places = {record["project_id"], *groups}
        for hook in list(self.hooks.values()):
            if hook["project_id"] in places and hooks.asks_for(hook, events.SETTINGS[event[0]]):
                self._send_soon(hook["id"], self._delivery(event, None, self.hook_vintage))

    def close(self) -> None:
        """Send no more."""
        self._outbox.close()

    def wait_for_hooks(self, timeout: float = 10.0) -> None:
        """Return when all deliveries have been answered or given up, those that they caused
        included; TimeoutError.
        """
        self._outbox.wait(timeout)

    def _send_soon(self, hook_id: int, delivery: Delivery) -> None:
        def send() -> None:
            if hook_id in self.hooks:
                self.deliver(hook_id, delivery)

        self._outbox.put(send, workers=self.hook_workers)

    def _delivery(
        self, event: tuple[str, Record], webhook_id: str | None, vintage: str
    ) -> Delivery:
        name, payload = event
        headers = deliveries.headers(self, name, webhook_id=webhook_id, vintage=vintage)
        return headers, deliveries.minified(vintages.aged(payload, vintage))
