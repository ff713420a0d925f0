"""A day without deliveries, the hook switched off: one sweep finds every mention of that day."""

import random
from contextlib import suppress
from typing import NamedTuple

from functions.gitlab import GitLab
from shared.dispatch import dispatch
from shared.installation.secrets import Cached, GitLabSecrets
from shared.installation.settings import Settings
from shared.outcome.reasons import Reason, Retry
from shared.runs import projects
from shared.services import Services
from shared.sweep import sweep
from tests.proofs.faults.catalogue import Schedule
from tests.proofs.faults.crowd import UNLIMITED
from tests.proofs.faults.model import Clock, Log, Records, Trouble
from tests.proofs.faults.schedules import SEED
from tests.support import fakes
from tests.support.fakes import API_TOKEN, GITLAB_SECRETS, SIGNING_TOKEN, TRIGGER_TOKEN
from tests.support.gitlab.server import GitLab as StandIn

DAY = 24 * 3600.0
_OURS = 99
_SWEEPS = 15  # in an hour and a quarter 500 late runs have all had their turn


class Outage(NamedTuple):
    """What was asked while nobody listened, and what came of it."""

    mentions: int
    other_comments: int
    failed_deliveries: int
    found: int
    pipelines: int
    found_again: int
    alarms: int


class _Day:
    """A GitLab over HTTP and our installation behind it, on one virtual clock."""

    def __init__(self, server: StandIn, clock: Clock) -> None:
        self.server, self.clock, self.queue, self.log = server, clock, fakes.Queue(), Log()
        server.user(42, "ada")
        server.user(_OURS, "claude", bot=True)
        server.project(7, "group/app")
        server.member(7, 42, 30)
        server.member(7, _OURS, 40)
        server.api_token(API_TOKEN, _OURS)
        server.trigger_token(TRIGGER_TOKEN, 7, _OURS)
        for iid in range(1, 11):
            server.issue(7, iid)
            server.merge_request(7, iid, source_branch=f"feature-{iid}")
        self.hook = server.hooks[1] = {
            "id": 1,
            "project_id": 7,
            "created_at": clock(),
            "alert_status": "executable",
            "url": "http://127.0.0.1:1/",  # where nobody listens
            "signing_token": SIGNING_TOKEN,
            "note_events": True,
        }
        secrets = Cached(lambda: GITLAB_SECRETS, GitLabSecrets.parse, clock)
        settings = Settings.read({**UNLIMITED, "GITLAB_URL": server.url})
        records = Records(Trouble(clock, Schedule()))
        self.services = Services(
            settings, secrets, records, GitLab(server.url, secrets), clock, self.log
        )

    def write(self, text: str, draw: random.Random) -> None:
        """Let somebody comment; GitLab tries to deliver until it has switched the hook off."""
        kind = draw.choice(("issue", "merge_request"))
        note = self.server.note(7, kind, draw.randint(1, 10), author_id=42, body=text)
        if self.hook["alert_status"] == "executable":
            self.server.deliver(1, self.server.note_hook(note))
            if len(self.server.hook_events) == 4:
                self.hook["alert_status"] = "disabled"

    def serve(self) -> None:
        """Carry all that is queued, each until it ends."""
        for run in self.queue.runs:
            for _ in range(3):
                with suppress(Retry):
                    dispatch(run, self.services)
                    break
                self.clock.wait(300)
        self.queue.runs.clear()


def run(mentions: int = 500, seed: int = SEED) -> Outage:
    """Let a day pass, sweep once, and serve what was found: late runs start one after another."""
    clock, draw = Clock(), random.Random(seed)  # noqa: S311
    with StandIn(clock=clock) as server:
        day = _Day(server, clock)
        projects.add(7, day.services.records, clock())
        sweep(day.services, day.queue)
        clock.wait(300)
        texts = [f"@claude fix {number}" for number in range(mentions)] + [
            "looks good to me"
        ] * mentions
        draw.shuffle(texts)
        for text in texts:
            clock.wait(DAY / len(texts))
            day.write(text, draw)
        clock.wait(300)
        found = sweep(day.services, day.queue).found
        day.serve()
        again = 0
        for _ in range(_SWEEPS):
            clock.wait(300)
            again += sweep(day.services, day.queue).found
            day.serve()
        alarms = sum(line.get("reason") == str(Reason.HOOK_DISABLED) for line in day.log.lines)
        return Outage(
            mentions, mentions, len(server.hook_events), found, len(server.pipelines), again, alarms
        )
