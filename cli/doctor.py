"""Find what keeps mentions from being answered. It reads only, and shows no secret."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cli import checks
from cli.api import Api, under
from cli.checks import Seen, found, unreached
from cli.installation import GITLAB, WEBHOOK, Finding, Installation, Unusable, document, proxy, say
from shared.gitlab.values import GitLabError
from shared.installation.readers import SettingsError
from shared.installation.secrets import GitLabSecrets, SecretError, WebhookSecrets
from shared.installation.settings import VARIABLES, Settings
from shared.outcome.reasons import Reason


class Report(NamedTuple):
    """What was found, and which checks could not be made."""

    findings: list[Finding]
    unmade: list[str]

    def add(self, name: str, check: Callable[[], Iterable[Finding]]) -> bool:
        """Make a check; return whether GitLab or the cloud could be asked."""
        try:
            self.findings.extend(check())
        except Unusable as error:
            self.unmade.append(f"{name}: {error}")
            return False
        except GitLabError as error:
            if error.status in (403, 404):
                self.unmade.append(f"{name}: the bot may not look (GitLab answered {error.status})")
                return True
            self.findings.append(unreached(name, error))
            return False
        return True


def doctor(
    settings: Mapping[str, str],
    installation: Installation,
    projects: list[str],
    *,
    as_json: bool = False,
) -> int:
    """Make all checks, show what was found, and return 1 if anything was."""
    report = examine(settings, installation, projects)
    if as_json:
        rows = [{**each._asdict(), "reason": str(each.reason)} for each in report.findings]
        say(json.dumps({"findings": rows, "unmade": report.unmade}, indent=1))
    else:
        for each in report.findings:
            say(f"✘ {each.check} ({each.reason}): {each.seen}\n  → {each.cure}")
        for line in report.unmade:
            say(f"? {line}")
        if not report.findings:
            say("✔ nothing was found that keeps a mention from being answered")
    return 1 if report.findings else 0


def examine(settings: Mapping[str, str], installation: Installation, projects: list[str]) -> Report:
    """Return what is wrong, from the settings on to the webhook's last delivery."""
    report = Report([], [])
    try:
        url, deployed = installation.url(), installation.environment()
        found_settings = Settings.read(deployed)
    except Unusable as error:
        report.findings.append(found("deployed", Reason.PART_BROKEN, str(error)))
        return report
    except SettingsError as error:
        report.findings.append(found("settings", Reason.SETTING_WRONG, str(error)))
        return report
    report.findings.extend(_settings(settings, deployed, found_settings))
    for name, check in installation.checks().items():
        report.add(name, check)
    report.findings.extend(checks.public_url(url))
    report.findings.extend(_secrets(installation))
    report.add("from_inside", lambda: _from_inside(installation))
    _gitlab(report, installation, found_settings, projects)
    return report


def _from_inside(installation: Installation) -> Iterator[Finding]:
    failed = installation.look()
    if failed:
        text = f"the functions do not reach GitLab: {failed}"
        yield found("from_inside", Reason.GITLAB_UNAVAILABLE, text, checks.cure_of(failed))


def _settings(
    file: Mapping[str, str], deployed: Mapping[str, str], settings: Settings
) -> Iterator[Finding]:
    for name in VARIABLES:
        if name in file and file[name] != (deployed.get(name) or VARIABLES[name].default):
            text = f"{name} is not what the settings file says"
            yield found("settings_deployed", Reason.SETTING_WRONG, text)
    if not settings.enabled:
        yield found("enabled", Reason.DISABLED, "ENABLED is false")
    answers, said = settings.model.advice(datetime.now(UTC).date().isoformat())
    if said:
        reason = Reason.SETTING_WRONG if answers else Reason.MODEL_RETIRED
        yield found("model_retires" if answers else "model_retired", reason, said)


def _secrets(installation: Installation) -> Iterator[Finding]:
    parsers: tuple[tuple[str, Callable[[str], object]], ...] = (
        (WEBHOOK, WebhookSecrets.parse),
        (GITLAB, GitLabSecrets.parse),
    )
    for name, parse in parsers:
        try:
            parse(installation.read(name))
        except (SecretError, Unusable) as error:
            cure = "Run setup, or fill it in: docs/settings.md, Secrets"
            yield found(name.lower(), Reason.SECRETS_UNAVAILABLE, str(error), cure)


def _gitlab(
    report: Report, installation: Installation, settings: Settings, projects: list[str]
) -> None:
    try:
        secrets, hooks = (document(installation, name) for name in (GITLAB, WEBHOOK))
    except Unusable:  # told above
        return
    token, triggers = str(secrets.get("api_token") or ""), secrets.get("trigger_tokens") or {}
    if not token.isascii() or not token:
        return
    api = Api(settings.gitlab_url, token, proxy(installation, settings.proxy))
    try:
        bot = api.get("/user")
    except GitLabError as error:
        report.findings.append(unreached("api_token", error))
        return
    report.add("token", lambda: checks.token(api))
    report.add("gitlab_version", lambda: checks.gitlab_version(api))
    named = projects or [
        name for name in (*triggers, *settings.allowed_projects) if "*" not in name
    ]
    if not named:
        report.unmade.append("projects: none is named in the settings or secrets: --project")
    bound = [str(key) for kept in hooks.values() if isinstance(kept, dict) for key in kept]
    for name in dict.fromkeys(named):
        try:
            _project(report, api, bot, name, (installation, settings, triggers, bound))
        except GitLabError as error:
            report.findings.append(unreached("project", error))


def _project(
    report: Report,
    api: Api,
    bot: dict[str, Any],
    name: str,
    known: tuple[Installation, Settings, Mapping[str, str], list[str]],
) -> None:
    installation, settings, triggers, bound = known
    project = api.find(under("projects", name))
    if project is None:
        text = f"@{bot['username']} cannot see the project {name}"
        report.findings.append(found("project", Reason.BOT_RIGHTS, text))
        return
    member = api.find(f"{under('projects', project['id'])}/members/all/{bot['id']}") or {}
    keys = (str(project["id"]), path := str(project["path_with_namespace"]), "*")
    by_group = any(path.lower().startswith(f"{each.lower()}/") for each in bound)
    token = next((triggers[key] for key in keys if key in triggers), "")
    level = int(member.get("access_level", 0))
    seen = Seen(api, project, bot, level, token, installation.url(), settings, by_group)
    for check in checks.PROJECT_CHECKS:
        report.add(check.__name__, lambda check=check: check(seen))  # type: ignore[misc]
    report.add("job_trust", lambda: installation.trusts(settings.gitlab_url, project))
