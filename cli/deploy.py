"""Deploy with the settings file and no question: checked here first, what is not in it kept."""

import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from os import environ

from cli.installation import Installation, Unusable, say
from deploy.check import regions
from shared.installation.settings import VARIABLES, Settings
from shared.installation.settings_file import PLACES, parameter_name

_SEPARATORS = "|;~!^"
_OWN = {"STACK", "PROJECT_ID"}  # which installation, and no setting of it


def deploy(settings: Mapping[str, str], installation: Installation, *, dry: bool) -> int:
    """Check, build, deploy; print the webhook's address and what comes next.

    Raises SettingsError or Unusable before anything is changed, Unusable with the tool's name where
    a tool fails; its own words stand above.
    """
    checked(settings)
    if installation.name == "local":
        message = "PLATFORM is local: make run serves on this machine, there is nothing to deploy"
        raise Unusable(message)
    commands = _aws(settings) if installation.name == "aws" else _google(settings, installation)
    for command in commands:
        say(f"{'would run' if dry else '→'} {' '.join(command[:3])} …")
        if not dry:
            run(command)
    if not dry:
        say(f"✔ deployed: {installation.url()}\n→ make setup PROJECT=<group/project>")
    return 0


def bootstrap(settings: Mapping[str, str]) -> int:
    """Make what Google's builds need, with the same settings."""
    checked(settings)
    regions(settings)
    run(["sh", "deploy/bootstrap-gcp.sh"], settings)
    return 0


def checked(settings: Mapping[str, str]) -> None:
    """Refuse settings with which no function would start, and a model that has been retired."""
    answers, said = Settings.read(settings).model.advice(datetime.now(UTC).date().isoformat())
    if said:
        say(f"? {said}")
    if not answers:
        message = "set MODEL to one that answers"
        raise Unusable(message)


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
    """Run a tool, its words on the terminal; raise Unusable where it fails."""
    try:
        subprocess.run(command, check=True, env={**environ, **(environment or {})})
    except FileNotFoundError as error:
        message = f"{command[0]} is not installed: docs/aws.md, docs/gcp.md"
        raise Unusable(message) from error
    except (OSError, subprocess.SubprocessError) as error:
        message = f"{' '.join(command[:3])} failed; what it said stands above"
        raise Unusable(message) from error


def _aws(settings: Mapping[str, str]) -> list[list[str]]:
    """SAM keeps each parameter of an existing stack that is not named."""
    names = [*VARIABLES, *PLACES["aws"]]
    given = [
        f"{parameter_name(name)}={_quoted(settings[name])}"
        for name in names
        if name in settings and name not in _OWN
    ]
    deployment = ["sam", "deploy", "--stack-name", settings.get("STACK") or "claude"]
    deployment += ["--resolve-s3", "--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset"]
    deployment += ["--no-fail-on-empty-changeset"]
    return [["sam", "build"], deployment + (["--parameter-overrides", *given] if given else [])]


def _quoted(value: str) -> str:
    r"""Return a value as `sam deploy --parameter-overrides` takes it.

    SAM reads \" as a quote and any other backslash as itself; a quote that JSON has escaped
    therefore travels as \u0022. (samcli.cli.types, CfnParameterOverridesType)
    """
    escaped = value.replace('\\"', "\\u0022").replace('"', '\\"')
    return f'"{escaped}"'


def _google(settings: Mapping[str, str], installation: Installation) -> list[list[str]]:
    """Cloud Build keeps nothing: what is deployed and not in the file is given again."""
    try:
        deployed = installation.environment()
    except Unusable:  # nothing is deployed yet
        deployed = {}
    kept = {name: deployed[name] for name in VARIABLES if name in deployed}
    own = {name: settings[name] for name in PLACES["google"] if name in settings}
    chosen = kept | own | {name: settings[name] for name in VARIABLES if name in settings}
    pairs = [f"_{name}={value}" for name, value in chosen.items() if name not in _OWN]
    if any("$" in pair for pair in pairs):
        message = "a setting has a $, which Cloud Build takes for a substitution: leave it out"
        raise Unusable(message)
    between = next((each for each in _SEPARATORS if each not in "".join(pairs)), "")
    if not between:
        message = f"the settings use all of {_SEPARATORS}: leave one of them out"
        raise Unusable(message)
    command = ["gcloud", "beta", "builds", "submit", "--config=cloudbuild.yaml"]
    command += [f"--project={settings['PROJECT_ID']}"]
    return [[*command, f"--substitutions=^{between}^{between.join(pairs)}"] if pairs else command]
