"""The local platform as a process in front of the stand-in, with comments sent over HTTP."""

import json
import os
import random
import time
from pathlib import Path
from typing import Any

from tests.proofs.faults.crowd import UNLIMITED
from tests.support.fakes import API_TOKEN, SIGNING_TOKEN, TRIGGER_TOKEN, WEBHOOK_SECRETS
from tests.support.gitlab.server import Delivery
from tests.support.gitlab.server import GitLab as StandIn
from tests.support.platforms import Answer
from tests.support.platforms.local import Local

OURS, AUTHOR = 99, 42
PROJECTS = range(7, 27)  # many, so that a look for one pipeline reads few


class Service(Local):
    """The local platform, started through the launcher where it is to be killed often."""

    def __init__(
        self, gitlab_url: str, module: str = "tests.proofs.faults.launcher", **settings: str
    ) -> None:
        tokens = {str(number): f"{TRIGGER_TOKEN}-{number}" for number in PROJECTS}
        secrets = json.dumps({"api_token": API_TOKEN, "trigger_tokens": tokens})
        super().__init__(gitlab_url, WEBHOOK_SECRETS, secrets, **UNLIMITED, **settings)
        self.module = module

    def resident(self) -> int:
        """Return the process's resident memory in bytes."""
        assert self._process
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


def seed(server: StandIn) -> None:
    """Fill the stand-in with projects, an issue each, an author and our own user."""
    server.user(AUTHOR, "ada")
    server.user(OURS, "claude", bot=True)
    server.api_token(API_TOKEN, OURS)
    for number in PROJECTS:
        server.project(number, f"group/app-{number}")
        server.member(number, AUTHOR, 30)
        server.member(number, OURS, 40)
        for iid in range(1, 6):
            server.issue(number, iid)
        server.trigger_token(f"{TRIGGER_TOKEN}-{number}", number, OURS)


def comment(server: StandIn, text: str, draw: random.Random) -> dict[str, Any]:
    """Let the author write; return the note."""
    return server.note(
        draw.choice(PROJECTS), "issue", draw.randint(1, 5), author_id=AUTHOR, body=text
    )


def deliver(service: Service, delivery: Delivery) -> Answer:
    """Send what GitLab would send for a note, signed now, once."""
    headers, body = delivery
    return service.deliver("POST", StandIn.sign(headers, body, SIGNING_TOKEN, time.time()), body)
