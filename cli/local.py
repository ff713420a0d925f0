"""The local platform: a folder with its state, beside which `make run` looks for the secrets."""

import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from cli.installation import Check, Finding, Unusable
from functions.local.handlers import secret_file
from shared.outcome.reasons import Reason

_OTHERS = 0o077
_LATE = 15 * 60.0  # seconds; as the alarms of the clouds


class Local:
    """An installation on this machine; its secrets are files that only their owner may read."""

    name = "local"

    def __init__(self, settings: Mapping[str, str]) -> None:
        """Take the settings file's settings."""
        self._settings = settings
        self._folder = Path(settings.get("STATE_DIR") or "./.state")

    def url(self) -> str:
        """Return URL, the address at which the reverse proxy takes deliveries."""
        url = self._settings.get("URL", "")
        if not url.startswith(("https://", "http://127.0.0.1")):
            message = "set URL in the settings file: https:// and where your proxy takes deliveries"
            raise Unusable(message)
        return url

    def environment(self) -> Mapping[str, str]:
        """Return the settings file's settings: `make run` reads the same file."""
        return self._settings

    def read(self, document: str) -> str:
        """Return what the file of a document holds."""
        file = secret_file(self._folder, document)
        return file.read_text(encoding="utf-8") if file.exists() else ""

    def write(self, document: str, text: str) -> None:
        """Replace the file; at no time may anybody else read it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        file = secret_file(self._folder, document)
        new = file.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as target:
            target.write(text)
        new.replace(file)

    def job_variables(self) -> Mapping[str, str]:
        """Return none: models without a key need a cloud's own set-up."""
        return {}

    def look(self) -> str | None:
        """Return that nobody is asked: the doctor's own look is made from the same machine."""
        return None

    def checks(self) -> Mapping[str, Check]:
        """Return what is looked at: the files of the secrets, and what waits in the queue."""
        return {"secret_files": self._secret_files, "queue": self._queue}

    def trusts(self, _url: str, _project: Mapping[str, Any]) -> Iterator[Finding]:
        """Return nothing: the cloud of a model is not this platform's to look into."""
        return iter(())

    def _queue(self) -> Iterator[Finding]:
        """Look into the file of queue and records, which another process writes, and only read."""
        file = (self._folder / "state.sqlite3").resolve()
        if not file.exists():
            return
        oldest, dead = _waiting(file)
        if oldest and time.time() - oldest > _LATE:
            cure = "See the log of make run; if it does not run, start it."
            yield Finding("queue", Reason.PART_BROKEN, "a run waits for more than 15 minutes", cure)
        if dead:
            cure = "Mend the cause, which the log names, then send the mention again."
            yield Finding("dead_letters", Reason.DEAD_LETTER, f"{dead} were given up", cure)

    def _secret_files(self) -> Iterator[Finding]:
        for document in ("WEBHOOK_SECRETS", "GITLAB_SECRETS"):
            file = secret_file(self._folder, document)
            if file.exists() and file.stat().st_mode & _OTHERS:
                cure = f"chmod 600 {file}"
                yield Finding("secret_files", Reason.PART_BROKEN, f"{file}: others may read", cure)


def _waiting(file: Path) -> tuple[float, int]:
    """Return since when (Unix seconds, 0: none) the oldest request is due, and the dead letters."""
    try:
        with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as database:
            (oldest,) = database.execute(
                "SELECT min(max(due, since)) FROM requests WHERE taken = 0"
            ).fetchone()
            (dead,) = database.execute(
                "SELECT count(*) FROM records WHERE key LIKE 'dead//%'"
            ).fetchone()
    except sqlite3.Error as error:
        message = f"{file} cannot be read ({type(error).__name__})"
        raise Unusable(message) from error
    return float(oldest or 0), int(dead)
