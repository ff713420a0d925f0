"""The three platforms as tests drive them: over their real front ends, with real SDK clients,
against local services.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple, Self

from shared.runs.store import Queue, Records


class Answer(NamedTuple):
    """What a client of the front end saw."""

    status: int
    body: str
    seconds: float


class Platform(ABC):
    """A running installation.

    A context manager: entering starts every process, leaving ends every one of them.
    """

    name: str

    def __init__(
        self, gitlab_url: str, webhook_secrets: str, gitlab_secrets: str, **settings: str
    ) -> None:
        """Take the GitLab to serve, both secret documents (JSON) and further settings by name."""
        self.gitlab_url, self.webhook_secrets, self.gitlab_secrets = (
            gitlab_url,
            webhook_secrets,
            gitlab_secrets,
        )
        self.settings: Mapping[str, str] = settings

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        self.stop()

    @abstractmethod
    def start(self) -> None:
        """Start every process and service, on free ports of 127.0.0.1; wait until they answer."""

    @abstractmethod
    def stop(self) -> None:
        """End everything; leave no process and no port."""

    @abstractmethod
    def deliver(self, method: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send one HTTP request to the front end of `receive`, as GitLab would."""

    @abstractmethod
    def settle(self, seconds: float = 30) -> None:
        """Wait until the queue is empty and nothing is under way; raise TimeoutError after so many
        seconds.
        """

    @abstractmethod
    def output(self) -> str:
        """Return all that the functions have printed or logged so far."""

    @abstractmethod
    def records(self) -> Records:
        """Return the platform's records adapter, on its real store."""

    @abstractmethod
    def queue(self) -> Queue:
        """Return the platform's queue adapter, on its real queue."""

    @abstractmethod
    def stalled(self, dependency: str) -> AbstractContextManager[None]:
        """While entered, the dependency ("queue" or "secrets") accepts connections of `receive` and
        never answers.
        """
