"""What doctor looks at in GitLab: the way there, the bot and its tokens, project, job, webhook.

Each check yields findings and changes nothing. A check that GitLab does not let the bot make raises
GitLabError, and is told as one that could not be made.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import NamedTuple
from urllib.request import Request, urlopen

from cli.api import Api, branch_level, under, version
from cli.connection import ASKING, EVENTS, JOB_TOKEN, OLDEST, Json, repairs, same
from cli.installation import Finding
from cli.variables import MODEL_VARIABLES, SECRETS
from shared.gitlab.values import Cause, GitLabError
from shared.installation.settings import Settings
from shared.outcome.reasons import Reason

DEVELOPER = 30
_SOON = 14  # days
_OVERRIDES = {"maintainer": 40, "owner": 50, "no_one_allowed": 60}
_CURES = {
    Cause.DNS: "Correct GITLAB_URL, or let the machine resolve the name: docs/self-managed.md",
    Cause.TCP: "Correct the port of GITLAB_URL, or open the firewall: docs/self-managed.md",
    Cause.TLS: "Give the CA's certificate: docs/self-managed.md, A private CA",
    Cause.PROXY: "Correct HTTPS_PROXY, or name GitLab in NO_PROXY: docs/self-managed.md",
    Cause.TIMEOUT: "See whether GitLab is overloaded, or a firewall drops what is sent.",
    Cause.BROKEN: "See whether a proxy or a firewall ends the connection.",
    Cause.NOT_GITLAB: "Correct GITLAB_URL: another page is there, or a relative URL is missing.",
}


class Seen(NamedTuple):
    """What the checks of one project need."""

    api: Api
    project: Json
    bot: Json
    level: int  # the bot's, in this project
    trigger_token: str
    url: str  # of the installation
    settings: Settings
    by_group: bool  # a webhook's token is bound to a group of the project

    @property
    def path(self) -> str:
        """The project's path in the API."""
        return under("projects", self.project["id"])

    def hooks(self) -> list[Json]:
        """Return the project's webhooks to the installation; raise GitLabError."""
        return [e for e in self.api.all(f"{self.path}/hooks") if same(e["url"], self.url)]


def found(check: str, reason: Reason, seen: str, cure: str = "") -> Finding:
    """Return a finding, with the reason's own cure unless there is a better one."""
    return Finding(check, reason, seen, cure or reason.cure)


def unreached(check: str, error: GitLabError) -> Finding:
    """Return the finding for a GitLab that could not be asked."""
    if error.status == 0:
        check, _, what = str(error.cause).partition(": ")
        return found(f"gitlab_{check}", Reason.GITLAB_UNAVAILABLE, what, _CURES[error.cause])
    if 300 <= error.status < 400:  # noqa: PLR2004
        seen = "GitLab answers with a redirect"
        return found("gitlab_redirect", Reason.GITLAB_REDIRECTS, seen)
    if error.status == 401:  # noqa: PLR2004
        seen = "GitLab does not know the API token: expired, revoked, or of another GitLab"
        return found("api_token", Reason.API_TOKEN_REJECTED, seen)
    if error.status == 403 and check == "api_token":  # noqa: PLR2004
        seen = "the API token's user is blocked, or the token's scopes are too small"
        return found("api_token", Reason.API_TOKEN_REJECTED, seen)
    name = "gitlab_answer" if check == "api_token" else check
    return found(name, Reason.GITLAB_UNAVAILABLE, str(error))


def cure_of(failed: str) -> str:
    """Return the cure for what functions say of the way to GitLab."""
    return next((cure for cause, cure in _CURES.items() if cause == failed), "See their log.")


def token(api: Api) -> Iterator[Finding]:
    """Look at the API token itself: `GET /personal_access_tokens/self`."""
    own = api.find("/personal_access_tokens/self")
    if own is None:
        return
    if "api" not in own.get("scopes", ["api"]):
        yield found("api_token_scope", Reason.BOT_RIGHTS, "the API token lacks the scope api")
    until = own.get("expires_at")
    left = (date.fromisoformat(until) - datetime.now(UTC).date()).days if until else _SOON + 1
    if left <= _SOON:
        seen = f"the API token expires in {left} days"
        yield found("api_token_expires", Reason.TOKEN_EXPIRES, seen)


def gitlab_version(api: Api) -> Iterator[Finding]:
    """Look at GitLab's version."""
    here = version(api)
    if here < OLDEST:
        yield found("gitlab_version", Reason.VERSION_TOO_OLD, f"this is GitLab {here[0]}.{here[1]}")


def served(seen: Seen) -> Iterator[Finding]:
    """Look at whether the installation serves the project."""
    project, name = seen.project, str(seen.project["path_with_namespace"])
    if not seen.settings.serves(project["id"], name):
        yield found("project_allowed", Reason.PROJECT_NOT_ALLOWED, f"{name} is not served")


def runs_pipelines(seen: Seen) -> Iterator[Finding]:
    """Look at whether the project runs pipelines at all."""
    project = seen.project
    if project.get("archived"):
        yield found("project_archived", Reason.CI_SWITCHED_OFF, "the project is archived")
    if project.get("builds_access_level") == "disabled" or project.get("jobs_enabled") is False:
        yield found("ci_enabled", Reason.CI_SWITCHED_OFF, "CI/CD is switched off")
    if not project.get("default_branch"):
        seen_ = "the repository is empty"
        yield found("default_branch", Reason.REF_NOT_FOUND, seen_, "Commit something.")


def rights(seen: Seen) -> Iterator[Finding]:
    """Look at the bot's role, and whether its pipelines may run on the default branch."""
    if seen.level < DEVELOPER:
        text = f"@{seen.bot['username']} is below Developer"
        yield found("bot_role", Reason.BOT_RIGHTS, text)
    if seen.project.get("default_branch"):
        needed = branch_level(seen.api, seen.project)
        if seen.level < needed:
            branch = seen.project["default_branch"]
            text = f"@{seen.bot['username']} may neither merge nor push to {branch}"
            yield found("branch_rights", Reason.REF_NOT_PERMITTED, text)


def trigger(seen: Seen) -> Iterator[Finding]:
    """Look at the trigger token: there, known to the project, and whose it is."""
    if not seen.trigger_token:
        text = "GITLAB_SECRETS holds no trigger token for this project"
        yield found("trigger_token", Reason.TRIGGER_TOKEN_MISSING, text)
        return
    known = seen.api.all(f"{seen.path}/triggers")
    ours = [each for each in known if seen.trigger_token.startswith(each["token"])]
    exact = [each for each in ours if each["token"] == seen.trigger_token]
    if not ours:
        text = "GitLab has no such trigger token for this project"
        yield found("trigger_token_known", Reason.TRIGGER_TOKEN_REJECTED, text)
    else:
        # Of others' tokens a Maintainer sees the beginning: several may look like ours.
        unfit = [_unfit(seen, each.get("owner") or {}) for each in exact or ours]
        if all(unfit):
            cure = "Run setup: it lets the bot have a token of its own."
            yield found("trigger_owner", Reason.REF_NOT_PERMITTED, unfit[0], cure)
    until = next((each.get("expires_at") for each in ours), None)
    if until and (datetime.fromisoformat(until) - datetime.now(UTC)).days <= _SOON:
        text = "the trigger token expires within 14 days"
        yield found("trigger_token_expires", Reason.TOKEN_EXPIRES, text)


def _unfit(seen: Seen, owner: Json) -> str:
    """Return why a trigger token's owner, in whose name pipelines run, may run none; "" if so."""
    if owner.get("id") in (None, seen.bot["id"]):  # the bot's rights are looked at anyway
        return ""
    member = seen.api.find(f"{seen.path}/members/all/{owner['id']}") or {}
    needed = DEVELOPER
    if seen.project.get("default_branch"):
        needed = branch_level(seen.api, seen.project) or DEVELOPER
    fits = owner.get("state", "active") == "active" and member.get("access_level", 0) >= needed
    return "" if fits else f"pipelines run as @{owner['username']}, who may not run them here"


def pipeline_variables(seen: Seen) -> Iterator[Finding]:
    """Look whether the bot may give a pipeline variables, where a job of one's own needs them.

    Ours takes the request without. https://docs.gitlab.com/ci/variables/#restrict-pipeline-variables;
    Maintainers alone are told of it.
    """
    if gives_no_variables(seen) and not our_jobs(seen):
        text = f"the project lets @{seen.bot['username']} give pipelines no variables"
        yield found("pipeline_variables", Reason.VARIABLES_FORBIDDEN, text)


def gives_no_variables(seen: Seen) -> bool:
    """Tell whether the project lets the bot give a pipeline no variables, as far as it is told."""
    needed = _OVERRIDES.get(str(seen.project.get("ci_pipeline_variables_minimum_override_role")))
    return needed is not None and seen.level < needed


def ci(seen: Seen) -> Iterator[Finding]:
    """Look at the CI/CD configuration as GitLab reads it: `GET /projects/:id/ci/lint`."""
    if not seen.project.get("default_branch"):
        return
    checked = seen.api.get(f"{seen.path}/ci/lint", include_jobs=True)
    if not checked["valid"]:
        errors = [str(each) for each in checked.get("errors", [])]
        if any(
            "jobs config should contain" in each or "provide content" in each for each in errors
        ):
            yield found("ci_job", Reason.NO_JOB, "the project has no job")
            return
        yield found("ci_valid", Reason.CI_CONFIG_INVALID, "GitLab's CI lint finds errors")
    elif not checked.get("jobs"):
        yield found("ci_job", Reason.NO_JOB, "the project has no job")


def variables(seen: Seen) -> Iterator[Finding]:
    """Look at the CI/CD variables of the job: there, and reaching the default branch."""
    known = {each["key"]: each for each in seen.api.all(f"{seen.path}/variables")}
    known = _inherited(seen) | known
    protected = seen.project.get("default_branch") and branch_level(seen.api, seen.project) > 0
    own = not seen.settings.is_runner(seen.project["id"], str(seen.project["path_with_namespace"]))
    wanted = ((JOB_TOKEN,),) if own else ()  # of a runner project's scopes more is to be said
    for names in (*wanted, *MODEL_VARIABLES[seen.settings.provider.name]):
        have = [known[name] for name in names if name in known]
        check = "job_token" if names == (JOB_TOKEN,) else "model_variable"
        if not have:
            text = f"no CI/CD variable {' or '.join(names)}"
            yield found(check, Reason.JOB_VARIABLE, text)
        for each in have:
            name = each["key"]
            if each.get("environment_scope", "*") != "*":
                text = f"{name} is for one environment only"
                yield found("variable_scope", Reason.JOB_VARIABLE, text)
            yield from protection(each, protected=bool(protected))


def protection(variable: Json, *, protected: bool) -> Iterator[Finding]:
    """Look whether a variable reaches the default branch, and a secret no other.

    `protected`: the default branch is.
    """
    name = variable["key"]
    if variable.get("protected") and not protected:
        text = f"{name} is protected, but the default branch is not"
        yield found("variable_protected", Reason.JOB_VARIABLE, text)
    if protected and not variable.get("protected") and name in SECRETS:
        text = f"{name} is not protected: every branch that anybody pushes can print it"
        yield found("variable_open", Reason.JOB_VARIABLE, text, "Tick Protect variable.")


def _inherited(seen: Seen) -> dict[str, Json]:
    """Return the variables of the project's groups, as far as the bot may see them."""
    names = str(seen.project["path_with_namespace"]).split("/")[:-1]
    all_: dict[str, Json] = {}
    for count in range(1, len(names) + 1):
        try:
            path = under("groups", "/".join(names[:count]))
            all_ |= {each["key"]: each for each in seen.api.all(f"{path}/variables")}
        except GitLabError as error:
            if error.status not in (401, 403, 404):
                raise
    return all_


def runner(seen: Seen) -> Iterator[Finding]:
    """Look for a runner that has the tags of the job: `GET /projects/:id/runners?status=online`."""
    query = {"status": "online"}
    if tags := [str(tag) for each in our_jobs(seen) for tag in each.get("tag_list") or ()]:
        query["tag_list"] = ",".join(tags)
    runners = seen.api.all(f"{seen.path}/runners", **query)
    if not [each for each in runners if not each.get("paused")]:
        which = f" with the job's tags {', '.join(tags)}" if tags else ""
        yield found("runner", Reason.NO_RUNNER, f"no runner{which} is online")


def our_jobs(seen: Seen) -> list[Json]:
    """Return our job as GitLab reads the default branch's configuration, if it is there."""
    if not seen.project.get("default_branch"):
        return []
    checked = seen.api.get(f"{seen.path}/ci/lint", include_jobs=True)
    return [each for each in checked.get("jobs") or () if each["name"] == "claude"]


def hook(seen: Seen) -> Iterator[Finding]:
    """Look at the project's webhook and its last delivery."""
    yield from _hook(seen, EVENTS)


def asking_hook(seen: Seen) -> Iterator[Finding]:
    """Look at the webhook of a project whose pipelines run elsewhere."""
    yield from _hook(seen, EVENTS if repairs(seen.settings) else ASKING)


def _hook(seen: Seen, events: tuple[str, ...]) -> Iterator[Finding]:
    hooks = seen.hooks()
    if not hooks and seen.by_group:  # a group's webhooks are for its Owners to see
        raise GitLabError(403)
    if not hooks:
        yield found("hook", Reason.HOOK_MISSING, f"no webhook to {seen.url}")
    yield from hooks_of(seen, hooks, events)


def hooks_of(seen: Seen, hooks: list[Json], events: tuple[str, ...]) -> Iterator[Finding]:
    """Look at webhooks that have to send these events, and at their last deliveries."""
    for each in hooks:
        name = f"webhook #{each['id']}"
        lacking = [event for event in events if not each.get(event)]
        if lacking:
            text = f"{name} does not send {', '.join(lacking)}"
            yield found("hook_events", Reason.HOOK_INCOMPLETE, text)
        if each.get("enable_ssl_verification") is False:
            text = f"{name} does not check the certificate it sends to"
            yield found("hook_ssl", Reason.HOOK_INCOMPLETE, text)
        if each.get("custom_webhook_template"):
            text = f"{name} has a template of its own"
            yield found("hook_template", Reason.MALFORMED, text)
        if not each.get("token_present", True) and not each.get("signing_token_present", True):
            yield found("hook_token", Reason.UNSIGNED, f"{name} has no token")
        if each.get("alert_status") not in (None, "executable"):
            yield found("hook_disabled", Reason.HOOK_DISABLED, f"{name} is switched off")
        yield from _last_delivery(seen, each)


def _last_delivery(seen: Seen, hook_: Json) -> Iterator[Finding]:
    path = f"{seen.path}/hooks/{hook_['id']}/events"
    for event in (seen.api.find(path, per_page=1) or [])[:1]:  # GitLab 17.3 and later
        status, name = str(event.get("response_status", "")), f"webhook #{hook_['id']}"
        if status.startswith("2"):
            return
        text = f"{name}: the last delivery was answered {status}"
        try:
            reason = Reason[str(json.loads(event["response_body"])["reason"]).upper()]
        except (ValueError, KeyError, TypeError):
            yield found("hook_unanswered", Reason.HOOK_UNANSWERED, text)
        else:
            yield found("hook_refused", reason, f"{text}, {reason}")


PROJECT_CHECKS: tuple[Callable[[Seen], Iterator[Finding]], ...] = (
    served,
    runs_pipelines,
    rights,
    trigger,
    pipeline_variables,
    ci,
    variables,
    runner,
    hook,
)


def public_url(url: str) -> Iterator[Finding]:
    """Look whether the installation's address answers, as GitLab would call it."""
    try:
        with urlopen(Request(url, method="GET"), timeout=10) as answer:  # noqa: S310  ours
            heard = b"listens" in answer.read(4096)
    except OSError as error:
        heard, what = False, type(error).__name__
    else:
        what = "another page is there"
    if not heard:
        cure = "Start it, or correct the reverse proxy and URL: docs/self-managed.md"
        yield found("public_url", Reason.PART_BROKEN, f"{url} does not answer: {what}", cure)
