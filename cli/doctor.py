"""Find what keeps mentions from being answered. It reads only, and shows no secret."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from cli import checks, home_checks
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
    bound = [str(key) for kept in hooks.values() if isinstance(kept, dict) for key in kept]
    ids = [each for each in bound if each.isdigit()]  # whoever asks has a webhook
    named = projects or [
        name for name in (*triggers, *settings.allowed_projects, *ids) if "*" not in name
    ]
    known = Known(api, bot, installation, settings, triggers, bound)
    asking: dict[str, list[int]] = {runner: [] for _, runner in settings.runners}
    seen = [_told(report, known, name, asking) for name in dict.fromkeys(named)]
    if not any(seen):
        report.unmade.append("projects: none is named in the settings or secrets: --project")
    for runner, ids_ in asking.items():
        _runner(report, known, runner, ids_)


class Known(NamedTuple):
    """What the checks of all projects need."""

    api: Api
    bot: dict[str, Any]
    installation: Installation
    settings: Settings
    triggers: Mapping[str, str]
    bound: list[str]  # what webhooks' tokens are bound to

    def seen(self, project: dict[str, Any]) -> Seen:
        """Return what the checks of one project need."""
        api, bot, path = self.api, self.bot, str(project["path_with_namespace"])
        member = api.find(f"{under('projects', project['id'])}/members/all/{bot['id']}") or {}
        keys = (str(project["id"]), path, "*")
        by_group = any(path.lower().startswith(f"{each.lower()}/") for each in self.bound)
        token = next((self.triggers[key] for key in keys if key in self.triggers), "")
        level, url = int(member.get("access_level", 0)), self.installation.url()
        return Seen(api, project, bot, level, token, url, self.settings, by_group)


def _told(report: Report, known: Known, name: str, asking: dict[str, list[int]]) -> bool:
    """Look at a project that asks; note its id under its runner project, if it has one."""
    try:
        return _project(report, known, name, asking)
    except GitLabError as error:
        report.findings.append(unreached("project", error))
        return True


def _project(report: Report, known: Known, name: str, asking: dict[str, list[int]]) -> bool:
    api, bot, settings = known.api, known.bot, known.settings
    project = api.find(under("projects", name))
    if project is None:
        text = f"@{bot['username']} cannot see the project {name}"
        report.findings.append(found("project", Reason.BOT_RIGHTS, text))
        return True
    named = int(project["id"]), str(project["path_with_namespace"])
    if settings.is_runner(*named):
        return False
    seen, runner = known.seen(project), settings.runner_of(*named)
    if runner:
        asking[runner].append(named[0])
    for check in home_checks.ASKING_CHECKS if runner else checks.PROJECT_CHECKS:
        report.add(check.__name__, lambda check=check: check(seen))  # type: ignore[misc]
    if not runner:
        _trust(report, known, project)
    return True


def _trust(report: Report, known: Known, project: dict[str, Any]) -> None:
    url = known.settings.gitlab_url
    report.add("job_trust", lambda: known.installation.trusts(url, project))


def _runner(report: Report, known: Known, name: str, asking: list[int]) -> None:
    """Look at a runner project, and at what it has for those that ask."""
    try:
        project = known.api.find(under("projects", name))
        if project is None:
            text = f"@{known.bot['username']} cannot see {name}, which RUNNER_PROJECT names"
            report.findings.append(found("runner_project", Reason.RUNNER_NOT_SEEN, text))
            return
        seen = known.seen(project)
    except GitLabError as error:
        report.findings.append(unreached("runner_project", error))
        return
    for check in home_checks.HOME_CHECKS:
        report.add(f"runner {check.__name__}", lambda check=check: check(seen))  # type: ignore[misc]
    report.add("runner tokens", lambda: home_checks.tokens(seen, asking))
    _trust(report, known, project)
