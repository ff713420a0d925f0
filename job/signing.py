"""Commits signed with an SSH key of a CI/CD variable, which git alone is handed, and Claude never.

Sources: https://docs.gitlab.com/user/project/repository/signed_commits/ssh/ (git 2.34 and OpenSSH
8.1 or later) and https://git-scm.com/docs/git-commit-tree (`-S`).
"""

from __future__ import annotations

import os
from base64 import b64decode
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Callable

from job import messages
from job.failures import Failure, Reason
from job.git import GitError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from job.inputs import Inputs
    from job.job_log import Log

# What `ssh-keygen` gets from git: it asks nobody for a passphrase.
VARIABLES = {"SSH_ASKPASS": "false", "SSH_ASKPASS_REQUIRE": "force"}


def file(inputs: Inputs, environment: Mapping[str, str]) -> list[str]:
    """Return the path of the key's file, where the variable is of GitLab's type File."""
    name = inputs.signing_key_variable
    path = environment.get(name, "").strip() if name else ""
    return [path] if path.startswith("/") and Path(path).is_file() else []


def key(inputs: Inputs, environment: Mapping[str, str], log: Log) -> str:
    """Return the private key, "" if commits are not to be signed; raise Failure if there is none.

    It may be in base64, which GitLab can mask and hide: it does that to values of one line only.
    Claude's commands may not be given it.
    """
    name = inputs.signing_key_variable
    if name and name in (*inputs.environment, *inputs.mcp_variables):
        raise _unusable(messages.KEY_SHARED)
    text = environment.get(name, "").strip() if name else ""
    for path in file(inputs, environment):
        with suppress(OSError):
            text = Path(path).read_text(encoding="utf-8", errors="replace").strip()
    if name and not text:
        raise Failure(Reason.VARIABLE_MISSING, name=name, purpose=messages.NO_SIGNATURE)
    with suppress(ValueError):
        text = b64decode(text, validate=True).decode()
    log.hide(text)
    # OpenSSH takes no other ends of lines, and the last line needs one, which GitLab's form loses.
    return "".join(f"{line}\n" for line in text.splitlines())


def refuse_open(inputs: Inputs) -> None:
    """Raise Failure where Claude would run beside a key that nothing keeps from it."""
    if inputs.signing_key_variable:
        raise _unusable(messages.KEY_OPEN)


def check(sign: Callable[[], object], inputs: Inputs, log: Log) -> None:
    """Sign something before Claude costs anything; raise Failure where that cannot be done."""
    if inputs.signing_key_variable:
        try:
            sign()
        except GitError as error:
            log.line(str(error))
            raise _unusable(messages.KEY_EXPECTED) from None


@contextmanager
def at_hand(key: str, private: Path) -> Iterator[str]:
    """Keep the key in a file while git signs; yield its path, "" where there is no key."""
    if not key:
        yield ""
        return
    path = private / "signing-key"
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as opened:
            opened.write(key)
        yield str(path)
    finally:
        path.unlink()


def _unusable(expected: str) -> Failure:
    return Failure(Reason.INPUT_INVALID, name="signing_key_variable", expected=expected)
