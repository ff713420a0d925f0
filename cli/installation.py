"""An installation as the operator meets it: settings, public address, the two secret documents."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from functions.gitlab.client import with_login
from shared.outcome.reasons import Reason

WEBHOOK, GITLAB = "WEBHOOK_SECRETS", "GITLAB_SECRETS"
HOW_TO_DEPLOY = "deploy first: make deploy-aws, make deploy-gcp or make run"


class Unusable(Exception):
    """Nothing can be done here; the text says what is wrong and who can mend it."""


class Finding(NamedTuple):
    """What is wrong: the check that found it, a reason of our list, what was seen, the cure."""

    check: str
    reason: Reason
    seen: str
    cure: str


Check = Callable[[], Iterator[Finding]]


class Installation(Protocol):
    """One platform."""

    name: str

    def url(self) -> str:
        """Return where GitLab's deliveries go; raise Unusable where nothing is deployed."""

    def environment(self) -> Mapping[str, str]:
        """Return the settings that the functions run with."""

    def read(self, document: str) -> str:
        """Return a secret document as it is stored, "" where there is none.

        Raises Unusable where it may not be read: what is not known must not be replaced.
        """

    def write(self, document: str, text: str) -> None:
        """Store a secret document."""

    def job_variables(self) -> Mapping[str, str]:
        """Return the CI/CD variables that the job needs and that are no secret."""

    def look(self) -> str | None:
        """Ask the functions whether they reach GitLab: "" if so, else what failed.

        None where they run on this machine. Raises Unusable where they cannot be asked.
        """

    def checks(self) -> Mapping[str, Check]:
        """Return the checks of the platform's own parts; each raises Unusable where it cannot."""

    def trusts(self, url: str, project: Mapping[str, Any]) -> Iterator[Finding]:
        """Return why the model's cloud would not take the identity token of the project's job.

        `url` is GitLab's, and the token's issuer. Raises Unusable where it cannot be seen.
        """


def document(installation: Installation, name: str) -> dict[str, Any]:
    """Return a secret document as an object; raise Unusable where it is none."""
    try:
        found = json.loads(installation.read(name) or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        message = f"{name} is no JSON object: mend what is stored, or store {{}}, then run again"
        raise Unusable(message)
    return found


def proxy(installation: Installation, address: str) -> str:
    """Return the address of GITLAB_PROXY with the login that the secrets hold for it, if any."""
    login = document(installation, GITLAB).get("proxy_login") if address else ""
    return with_login(address, str(login or ""))


def keep_login(installation: Installation, login: str) -> None:
    """Store the proxy's login among the secrets; raise Unusable where it is none."""
    if not all((*login.partition(":"), login.isascii(), login.isprintable())):
        message = "the proxy's login is its name, a colon and its password, of printable ASCII"
        raise Unusable(message)
    known = document(installation, GITLAB)
    installation.write(GITLAB, json.dumps(known | {"proxy_login": login}))


def printable(text: str) -> str:
    """Return a text without control characters: some of what is shown others have written."""
    return "".join(each for each in text if each.isprintable() or each == "\n")


def say(line: str) -> None:
    """Show a line at once, without what a terminal would act on."""
    sys.stdout.write(printable(line) + "\n")
    sys.stdout.flush()
