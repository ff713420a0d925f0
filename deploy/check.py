"""Checks a Google deployment's settings before anything is made, and works out where it runs.

    python3 deploy/check.py            REGION and QUEUE_REGION, as a shell reads them
    python3 deploy/check.py FOLDER     the same, and what each function is to find in its
                                       environment as FOLDER/*.json

It calls nothing. The settings come from the environment and are read by the functions' own
`Settings`, so that what passes here starts there. A model that retires soon is warned about, a
retired one refused.
"""
# ruff: noqa: INP001, T201  a script that tells what it found, not a package

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from shared.installation.providers import GOOGLE_REGIONS, beside
from shared.installation.readers import SettingsError
from shared.installation.settings import Settings, texts

# Cloud Run gives a service its address when it is made: the build puts it in.
DISPATCH_URL = "@DISPATCH_URL@"


def main() -> int:
    """Check, print and write; return 1 with a sentence when something is wrong."""
    today = os.environ.get("TODAY") or datetime.now(UTC).date().isoformat()
    try:
        region, queue_region = regions(os.environ)
        answers, said = Settings.read(os.environ).model.advice(today)
        found = environments(os.environ, queue_region) if sys.argv[1:] else {}
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    if said:
        print(said, file=sys.stderr)
    if not answers:
        return 1
    print(f"REGION={region}\nQUEUE_REGION={queue_region}")
    for folder in map(Path, sys.argv[1:]):
        folder.mkdir(parents=True, exist_ok=True)
        for function, variables in found.items():
            # gcloud reads YAML: there the two halves that JSON makes of an emoji stay two.
            text = json.dumps(variables, indent=1, ensure_ascii=False)
            (folder / f"{function}.json").write_text(text, encoding="utf-8")
    return 0


def regions(environment: Mapping[str, str]) -> tuple[str, str]:
    """Return where the functions and the queue run: in REGION, or else beside the model."""
    settings = Settings.read(environment)
    chosen = environment.get("REGION", "").strip()
    if chosen and chosen not in GOOGLE_REGIONS.split():
        expected = "a Cloud Run region such as europe-west1, or nothing: the model's"
        raise SettingsError("REGION", chosen, expected)
    location = settings.model.region if settings.model.provider.name == "vertex" else "us"
    return beside(chosen or location)


def environments(environment: Mapping[str, str], queue_region: str) -> dict[str, dict[str, str]]:
    """Return each function's variables by name."""
    project = environment.get("PROJECT_ID", "").strip()
    if not project:
        raise SettingsError("PROJECT_ID", None, "the id of the Google Cloud project")
    common = texts(environment)
    put = {
        "QUEUE": f"projects/{project}/locations/{queue_region}/queues/claude-runs",
        "DISPATCH_URL": DISPATCH_URL,
        "INVOKER_SERVICE_ACCOUNT": f"claude-invoker@{project}.iam.gserviceaccount.com",
    }
    carry = {
        "GOOGLE_CLOUD_PROJECT": project,
        "GITLAB_SECRETS_ID": f"projects/{project}/secrets/claude-gitlab-secrets",
        "CLAIMS_COLLECTION": "claims",
    }
    verify = {"WEBHOOK_SECRETS_FILE": "/secrets/webhook"}  # where cloudbuild.yaml mounts it
    return {
        "receive": common | put | verify,
        "dispatch": common | carry,
        "sweep": common | put | carry,
    }


if __name__ == "__main__":
    sys.exit(main())
