"""The local platform: a folder with its state, beside which `make run` looks for the secrets."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from cli.installation import Finding, Unusable
from functions.local.handlers import secret_file
from shared.outcome.reasons import Reason

_OTHERS = 0o077


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

    def findings(self) -> Iterator[Finding]:
        """Return secrets that others may read."""
        for document in ("WEBHOOK_SECRETS", "GITLAB_SECRETS"):
            file = secret_file(self._folder, document)
            if file.exists() and file.stat().st_mode & _OTHERS:
                cure = f"chmod 600 {file}"
                yield Finding("secret_files", Reason.PART_BROKEN, f"{file}: others may read", cure)
