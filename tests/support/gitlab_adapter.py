"""The real GitLab adapter in front of the stand-in, and what its tests send."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from shared.installation.secrets import Cached, GitLabSecrets
from tests import ROOT
from tests.support.fakes import API_TOKEN, TRIGGER_TOKEN, Clock
from tests.support.gitlab import contract, permissions
from tests.support.gitlab.server import GitLab as StandIn

BODY = {"ref": "main", "variables": {"AI_FLOW_EVENT": "mention"}, "ai_flow": {"id": "0123abcd"}}
TRIGGER = "POST /api/v4/projects/7/trigger/pipeline"


def one_project(server: StandIn) -> None:
    """Let there be project 7 with issue 5, its developer ada, 42, and our maintainer claude, 99."""
    server.user(42, "ada")
    server.user(99, "claude", bot=True)
    server.project(7, "group/app")
    server.member(7, 42, 30)
    server.member(7, 99, 40)
    server.api_token(API_TOKEN, 99)
    server.trigger_token(TRIGGER_TOKEN, 7, 99)
    server.issue(7, 5)


@contextmanager
def installed() -> Iterator[StandIn]:
    """A stand-in with a project, a developer and our user; all calls keep to GitLab's API file."""
    with StandIn() as server:
        one_project(server)
        yield server
        assert not server.unknown_calls
        known = [call for call in server.calls if call.status != HTTPStatus.NOT_FOUND]
        assert permissions.lacking(known, ROOT / "docs" / "settings.md") == set()
        assert not [
            problem for call in server.calls if not call.fault for problem in contract.check(call)
        ]


def secrets(*tokens: str, clock: Clock | None = None) -> Cached[GitLabSecrets]:
    waiting = list(tokens)
    document = {"trigger_tokens": {"*": TRIGGER_TOKEN}}
    return Cached(
        lambda: json.dumps(document | {"api_token": waiting.pop(0)}),
        GitLabSecrets.parse,
        clock or Clock(),
    )
