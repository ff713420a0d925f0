"""Git as the job runs it: no configuration but ours, no hooks, no prompts.

No secret is in an argument or a URL.
"""

from __future__ import annotations

import base64
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from job.failures import Failure, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PASSED_ON = (
    "PATH", "LANG", "LC_ALL", "TMPDIR",
    "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
    "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
_CONFIG = {
    "safe.directory": "*",  # the clone belongs to the runner's user, the job may run as another
    "core.hooksPath": "/dev/null",
    # That the work tree is handed to Claude's user and back changes no file.
    "core.trustctime": "false",
    "core.checkStat": "minimal",
    "core.fsmonitor": "false",
    "core.quotePath": "false",
    "credential.helper": "",
    "fetch.recurseSubmodules": "no",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "protocol.http.allow": "always",
    "protocol.https.allow": "always",
}


class GitError(Exception):
    """Git's own words about what it could not do."""


class Login(NamedTuple):
    """The URL of the project's repository and the token that may push to it."""

    url: str
    token: str

    @property
    def config(self) -> dict[str, str]:
        """Return the configuration that signs in at this URL and nowhere else."""
        basic = base64.b64encode(f"oauth2:{self.token}".encode()).decode()
        return {f"http.{self.url}.extraHeader": f"Authorization: Basic {basic}"}


class Git:
    """One git directory and its work tree."""

    def __init__(self, directory: Path, work_tree: Path, environment: Mapping[str, str]) -> None:
        """Take the two folders and the job's environment, of which little is passed on."""
        self.directory, self.work_tree = directory, work_tree
        self._environment = {name: environment[name] for name in _PASSED_ON if name in environment}
        if environment.get("CI_SERVER_TLS_CA_FILE"):
            self._environment["GIT_SSL_CAINFO"] = environment["CI_SERVER_TLS_CA_FILE"]

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        login: Login | None = None,
        index: Path | None = None,
        variables: Mapping[str, str] | None = None,
        codes: tuple[int, ...] = (0,),
    ) -> bytes:
        """Run a git command and return its output; raise GitError with git's words.

        `index` stands in for the index file; `variables` are added to git's environment; `codes`
        are the exit codes that are no error.
        """
        config = {**_CONFIG, **(login.config if login else {})}
        environment = {
            **self._environment,
            "GIT_DIR": str(self.directory),
            "GIT_WORK_TREE": str(self.work_tree),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_CONFIG_COUNT": str(len(config)),
            **({"GIT_INDEX_FILE": str(index)} if index else {}),
            **(variables or {}),
        }
        for number, (name, value) in enumerate(config.items()):
            environment |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
        try:
            done = subprocess.run(
                ["git", *arguments],  # noqa: S607  the image's
                cwd=self.work_tree,
                env=environment,
                input=stdin,
                capture_output=True,
                check=False,
            )
        except FileNotFoundError:
            raise Failure(Reason.TOOL_MISSING, name="git") from None
        if done.returncode not in codes:
            raise GitError(done.stderr.decode("utf-8", "replace").strip())
        return done.stdout

    def text(self, *arguments: str) -> str:
        """Run a git command and return its output as text, without blanks around it."""
        return self.run(*arguments).decode("utf-8", "surrogateescape").strip()

    def knows(self, *arguments: str) -> bool:
        """Tell whether a git command succeeds."""
        try:
            self.run(*arguments)
        except GitError:
            return False
        return True
