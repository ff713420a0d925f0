"""What the use cases behind the queue get to work with: one `Services` per platform."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

from shared.gitlab.port import GitLab
from shared.installation.secrets import Cached, GitLabSecrets
from shared.installation.settings import Settings
from shared.runs.store import Records


class Log(Protocol):
    """Writes one structured line."""

    def __call__(self, severity: str, fields: Mapping[str, object]) -> None:
        """Write the fields with severity DEBUG, INFO, WARNING or ERROR."""


class Services(NamedTuple):
    """All that is outside the core; `now` returns Unix seconds. The platform's handlers make it."""

    settings: Settings
    secrets: Cached[GitLabSecrets]
    records: Records
    gitlab: GitLab
    now: Callable[[], float]
    log: Log

    def today(self) -> str:
        """Return the date as ISO 8601 has it, in UTC."""
        return datetime.fromtimestamp(self.now(), UTC).date().isoformat()
