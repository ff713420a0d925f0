"""The services of cloudbuild.yaml, through gcloud, which whoever deployed them has."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from cli.installation import HOW_TO_DEPLOY, WEBHOOK, Finding, Unusable
from deploy.check import regions
from shared.outcome.reasons import Reason


class Google:
    """One Google Cloud project, with the rights of who is signed in to gcloud."""

    name = "google"

    def __init__(self, settings: Mapping[str, str]) -> None:
        """Take the settings file's settings; raise Unusable without PROJECT_ID."""
        self._project = settings.get("PROJECT_ID", "")
        if not self._project:
            message = "set PROJECT_ID in the settings file: the id of the Google Cloud project"
            raise Unusable(message)
        self._region, self._queue_region = regions(settings)

    def url(self) -> str:
        """Return the address of the service claude-receive."""
        url = str(self._receive.get("status", {}).get("url", ""))
        if not url:
            message = f"the service claude-receive has no address yet: {HOW_TO_DEPLOY}"
            raise Unusable(message)
        return url

    def environment(self) -> Mapping[str, str]:
        """Return the variables of claude-receive."""
        containers = self._receive["spec"]["template"]["spec"]["containers"]
        return {e["name"]: e.get("value", "") for e in containers[0].get("env", [])}

    def read(self, document: str) -> str:
        """Return a secret's latest version."""
        name = _secret(document)
        words = ("secrets", "versions", "list", name, "--filter=state=ENABLED", "--limit=1")
        if not json.loads(self._gcloud(*words, "--format=json") or "[]"):
            return ""
        return self._gcloud("secrets", "versions", "access", "latest", f"--secret={name}")

    def write(self, document: str, text: str) -> None:
        """Add a version to a secret; the text travels on standard input."""
        words = ("secrets", "versions", "add", _secret(document), "--data-file=-")
        self._gcloud(*words, given=text)

    def job_variables(self) -> Mapping[str, str]:
        """Return none: the bootstrap prints what a job on Vertex AI needs."""
        return {}

    def look(self) -> str | None:
        """Return that nobody can be asked: `sweep` takes no call from outside the project."""
        return None

    def findings(self) -> Iterator[Finding]:
        """Return a queue or a schedule that is paused."""
        at = f"--location={self._queue_region}"
        for check, words in (
            ("queue", ("tasks", "queues", "describe", "claude-runs")),
            ("schedule", ("scheduler", "jobs", "describe", "claude-sweep")),
        ):
            state = str(self._described(*words, at).get("state", ""))
            if state not in ("RUNNING", "ENABLED"):
                cure = f"gcloud {words[0]} {words[1]} resume {words[3]} {at}"
                seen = f"{words[3]} is {state or 'not there'}"
                yield Finding(check, Reason.PART_BROKEN, seen, cure)

    @cached_property
    def _receive(self) -> dict[str, Any]:
        words = ("run", "services", "describe", "claude-receive")
        found = self._described(*words, f"--region={self._region}")
        if not found:
            message = f"there is no service claude-receive in {self._region}: {HOW_TO_DEPLOY}"
            raise Unusable(message)
        return found

    def _described(self, *words: str) -> dict[str, Any]:
        try:
            return dict(json.loads(self._gcloud(*words, "--format=json") or "{}"))
        except (Unusable, ValueError):
            return {}

    def _gcloud(self, *words: str, given: str | None = None) -> str:
        command = ["gcloud", *words, f"--project={self._project}", "--quiet"]
        try:
            done = subprocess.run(
                command, input=given, capture_output=True, text=True, check=True, timeout=60
            )
        except (OSError, subprocess.SubprocessError) as error:
            # gcloud's own words may quote what was given.
            message = f"gcloud {' '.join(words[:3])} failed: sign in with a role that may do it"
            raise Unusable(message) from error
        return done.stdout


def _secret(document: str) -> str:
    return "claude-webhook-secrets" if document == WEBHOOK else "claude-gitlab-secrets"
