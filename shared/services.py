"""What the core needs from the world, as protocols. Adapters only translate; `tests/functions/test_ports.py` holds them to it."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

from shared.gitlab.port import GitLab
from shared.installation.secrets import Cached, GitLabSecrets
from shared.installation.settings import Settings
from shared.runs.store import Records


class Log(Protocol):
    """Writes one structured line."""

    def __call__(self, severity: str, fields: Mapping[str, object]) -> None:
        """Write the fields with severity INFO, WARNING or ERROR."""


class Services(NamedTuple):
    """What the use cases behind the queue work with: one per platform, made by its handlers."""

    settings: Settings
    secrets: Cached[GitLabSecrets]
    records: Records
    gitlab: GitLab
    now: Callable[[], float]
    log: Log
