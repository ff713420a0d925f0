"""The services of cloudbuild.yaml, through gcloud, which whoever deployed them has."""

import json
import secrets
import subprocess
import time
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from cli import trust
from cli.installation import HOW_TO_DEPLOY, WEBHOOK, Check, Finding, Unusable
from deploy.check import regions
from shared.outcome.reasons import Reason

_JOB = "claude-job"  # the account that jobs act as on Vertex AI: deploy/bootstrap-gcp.sh
_PATIENCE, _PAUSE = 40.0, 2.0  # seconds: until a log line can be read, and between two looks


class Google:
    """One Google Cloud project, with the rights of who is signed in to gcloud."""

    name = "google"

    def __init__(self, settings: Mapping[str, str]) -> None:
        """Take the settings file's settings; raise Unusable without PROJECT_ID."""
        self._settings, self._project = settings, settings.get("PROJECT_ID", "")
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
        """Return what a job on Vertex AI needs, where the bootstrap has made it."""
        if self.environment().get("MODEL_PROVIDER") != "vertex":
            return {}
        provider = self._provider()
        if not provider:
            return {}
        return {
            "GCP_WORKLOAD_IDENTITY_PROVIDER": str(provider["name"]),
            "GCP_SERVICE_ACCOUNT": self._account(_JOB),
            "GCP_PROJECT_ID": self._project,
        }

    def look(self) -> str | None:
        """Have `sweep` look, by a task in the queue, and read in its log what it saw.

        It takes calls from inside the project alone, as Cloud Tasks' are
        (https://cloud.google.com/run/docs/securing/ingress); a task's answer is kept nowhere.
        """
        url = str(self._service("claude-sweep").get("status", {}).get("url", ""))
        if not url:
            message = "there is no service claude-sweep to look from: make deploy-gcp"
            raise Unusable(message)
        sign = secrets.token_hex(8)
        self._gcloud(
            *("tasks", "create-http-task", "--queue=claude-runs", f"--url={url}"),
            f"--location={self._queue_region}",
            f"--body-content={json.dumps({'look': sign})}",
            "--header=Content-Type:application/json",
            f"--oidc-service-account-email={self._account('claude-invoker')}",
            f"--oidc-token-audience={url}",
        )
        until = time.monotonic() + _PATIENCE
        while not (lines := self._lines(sign)):
            if time.monotonic() > until:
                message = f"claude-sweep told nothing within {_PATIENCE:.0f} s: see its log"
                raise Unusable(message)
            time.sleep(_PAUSE)
        seen = str(lines[0]["jsonPayload"].get("gitlab"))
        return "" if seen == "answers" else seen

    def checks(self) -> Mapping[str, Check]:
        """Return what is looked at: the public address, queue, schedule, who is told of alarms."""
        return {"public": self._public, "running": self._running, "alarm_mail": self._alarm_mail}

    def trusts(self, url: str, project: Mapping[str, Any]) -> Iterator[Finding]:
        """Look at the provider of the pool that the bootstrap makes, and at its account's policy.

        Raises Unusable where the job signs in by another, which is not known here.
        """
        if self.environment().get("MODEL_PROVIDER") != "vertex":
            return iter(())
        provider = self._provider()
        if not provider:
            message = f"{self._project} has no workload identity provider claude to look at"
            raise Unusable(message)
        account = self._account(_JOB)
        policy = self._described("iam", "service-accounts", "get-iam-policy", account)
        return trust.of_pool(provider, policy, url, project)

    def _public(self) -> Iterator[Finding]:
        """Look whether anybody may call receive, as GitLab does."""
        notes = self._receive.get("metadata", {}).get("annotations", {})
        cure = "Run make bootstrap-gcp deploy-gcp; see whether a policy forbids it: docs/gcp.md"
        if notes.get("run.googleapis.com/ingress", "all") != "all":
            text = "claude-receive takes no calls from the internet (ingress)"
            yield Finding("public", Reason.PART_BROKEN, text, cure)
        if notes.get("run.googleapis.com/invoker-iam-disabled") == "true":
            return
        words = ("run", "services", "get-iam-policy", "claude-receive", f"--region={self._region}")
        policy = json.loads(self._gcloud(*words, "--format=json") or "{}")
        callers = [
            member
            for binding in policy.get("bindings", [])
            if binding.get("role") == "roles/run.invoker"
            for member in binding.get("members", [])
        ]
        if "allUsers" not in callers:
            text = "not everybody may call claude-receive, and so GitLab may not"
            yield Finding("public", Reason.PART_BROKEN, text, cure)

    def _running(self) -> Iterator[Finding]:
        """Look for a queue or a schedule that is paused."""
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

    def _alarm_mail(self) -> Iterator[Finding]:
        """Look whether the address of the settings file gets the alerts."""
        mail = self._settings.get("ALARM_EMAIL")
        if not mail:
            return
        listed = ("beta", "monitoring", "channels", "list", "--format=json")
        channels = json.loads(self._gcloud(*listed) or "[]")
        ours = [e for e in channels if e.get("labels", {}).get("email_address") == mail]
        if not [each for each in ours if each.get("enabled", True)]:
            text = f"{mail} is not told of alerts: its notification channel is off or not there"
            yield Finding("alarm_mail", Reason.PART_BROKEN, text, "Run make deploy-gcp.")

    def _lines(self, sign: str) -> list[dict[str, Any]]:
        """Return the log line of the look with this sign, once Cloud Logging has it."""
        query = f'resource.labels.service_name="claude-sweep" AND jsonPayload.look="{sign}"'
        words = ("logging", "read", query, "--freshness=10m", "--limit=1", "--format=json")
        return list(json.loads(self._gcloud(*words) or "[]"))

    def _provider(self) -> dict[str, Any]:
        """Return the provider that the bootstrap makes for jobs; nothing where it has not."""
        words = ("iam", "workload-identity-pools", "providers", "describe", "claude")
        return self._described(*words, "--location=global", "--workload-identity-pool=gitlab")

    def _account(self, name: str) -> str:
        return f"{name}@{self._project}.iam.gserviceaccount.com"

    def _service(self, name: str) -> dict[str, Any]:
        return self._described("run", "services", "describe", name, f"--region={self._region}")

    @cached_property
    def _receive(self) -> dict[str, Any]:
        found = self._service("claude-receive")
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
