"""Every test of the adapter talks to a stand-in; each call is held against GitLab's OpenAPI file."""

from collections.abc import Iterator

import pytest

from functions.gitlab import GitLab
from tests.support.fakes import API_TOKEN
from tests.support.gitlab.server import GitLab as StandIn
from tests.support.gitlab_adapter import installed, secrets


@pytest.fixture
def server() -> Iterator[StandIn]:
    with installed() as server:
        yield server


@pytest.fixture
def gitlab(server: StandIn) -> GitLab:
    return GitLab(server.url, secrets(API_TOKEN))
