"""The one settings file that every platform reads: lines NAME=value, no secret among them."""

import re
from collections.abc import Mapping

from shared.installation.readers import SettingsError
from shared.installation.settings import VARIABLES

PLATFORMS = ("local", "aws", "google")
# Beside the settings of the functions: what only one platform, or the operator's program, takes.
PLACES: Mapping[str, tuple[str, ...]] = {
    "local": ("URL", "PORT", "STATE_DIR"),
    "aws": (
        "STACK",
        "JOB_PROJECTS",
        "JOB_PROJECT_IDS",
        "GITLAB_OIDC_PROVIDER_ARN",
        "WEBHOOK_SECRETS_ARN",
        "GITLAB_SECRETS_ARN",
        "SUBNET_IDS",
        "SECURITY_GROUP_IDS",
        "ALARM_EMAIL",
        "LOG_RETENTION_DAYS",
        "SWEEP_MINUTES",
        "MEMORY_SIZE",
        "DISPATCH_CONCURRENCY",
        "RECEIVE_RESERVED_CONCURRENCY",
    ),
    "google": (
        "PROJECT_ID",
        "REGION",
        "SUBNET",
        "NETWORK",
        "ALARM_EMAIL",
        "SWEEP_MINUTES",
        "MEMORY_SIZE",
    ),
}
# What the job needs of a cloud that the functions do not run on: setup makes CI/CD variables of it.
JOB = (
    "AWS_ROLE_TO_ASSUME",
    "GCP_WORKLOAD_IDENTITY_PROVIDER",
    "GCP_SERVICE_ACCOUNT",
    "GCP_PROJECT_ID",
)
_SECRETS = (
    *("WEBHOOK_SECRETS", "GITLAB_SECRETS", "GITLAB_TOKEN", "BOT_TOKEN", "PROXY_LOGIN"),
    "ANTHROPIC_API_KEY",
)
_LINE = re.compile(r"(?P<name>[A-Z][A-Z0-9_]*)\s*=\s*(?P<value>.*)")
_EXPECTED = "a line such as TRIGGER_PHRASE=@claude, without quotes"


def parse(text: str) -> dict[str, str]:
    r"""Return the settings of a file by name; raise SettingsError for the first line that is none.

    Empty lines and lines that begin with # say nothing. The error names the line and repeats a
    name, never a value.

    >>> parse("# ours\nPLATFORM=aws\nMINIMUM_ROLE = maintainer\n")
    {'PLATFORM': 'aws', 'MINIMUM_ROLE': 'maintainer'}
    """
    known = {"PLATFORM", *VARIABLES, *JOB, *(name for names in PLACES.values() for name in names)}
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts, place = _LINE.fullmatch(line.strip()), f"line {number} of the settings file"
        if not parts:
            raise SettingsError(place, "a line of another form", _EXPECTED)
        name, value = parts["name"], parts["value"].strip()
        if name in _SECRETS:
            raise SettingsError(place, name, "no secret: this file may be read by everybody")
        if name not in known:
            raise SettingsError(place, name, "a name of docs/settings.md")
        if name in found:
            raise SettingsError(place, f"{name} a second time", "each name once")
        if value[:1] in ('"', "'") and value[:1] == value[-1:]:
            raise SettingsError(place, f"a value of {name} in quotes", _EXPECTED)
        found[name] = value
    if (platform := found.get("PLATFORM", "local")) not in PLATFORMS:
        raise SettingsError("PLATFORM", platform, f"one of {', '.join(PLATFORMS)}")
    return found


def parameter_name(name: str) -> str:
    """Return what a setting is called in template.yaml.

    >>> parameter_name("GITLAB_URL"), parameter_name("GITLAB_OIDC_PROVIDER_ARN")
    ('GitLabUrl', 'GitLabOidcProviderArn')
    """
    return name.title().replace("_", "").replace("Gitlab", "GitLab")
