"""Where the job keeps things: what Claude reaches, and what it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path


class Folders(NamedTuple):
    """`private` ends with the job, what is in `cache` comes back; `claude` is what Claude reads."""

    private: Path
    cache: Path
    claude: Path

    @property
    def sessions(self) -> Path:
        """Return the folder of the cached conversations, which Claude does not see."""
        return self.private / "sessions"
