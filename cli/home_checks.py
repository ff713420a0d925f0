"""What doctor looks at in a runner project, and in a project whose jobs run in one."""

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

from cli import checks
from cli.api import branch_level
from cli.checks import Seen, found
from cli.connection import JOB_TOKEN, PIPELINES
from cli.home import EVERY, scope_of
from cli.installation import Finding
from cli.proposal import names_environment
from shared.outcome.reasons import Reason

_DOCS = "docs/runner-project.md"


def private(seen: Seen) -> Iterator[Finding]:
    """Look at who else may read the logs."""
    visibility = seen.project.get("visibility")
    if visibility != "private":
        text = f"{seen.project['path_with_namespace']} is {visibility}"
        yield found("runner_private", Reason.RUNNER_NOT_PRIVATE, text)


def asks(seen: Seen) -> Iterator[Finding]:
    """Look whether the settings name it as a project that asks, too."""
    names = (str(seen.project["id"]), str(seen.project["path_with_namespace"]).lower())
    if set(names) & set(seen.settings.allowed_projects):
        text = "ALLOWED_PROJECTS names the runner project, which asks nothing"
        cure = "Take it out of ALLOWED_PROJECTS."
        yield found("runner_asks", Reason.RUNNER_ASKS, text, cure)


def reads(seen: Seen) -> Iterator[Finding]:
    """Look at the bot's role in a project whose jobs run elsewhere: it reads and replies there."""
    if seen.level < checks.DEVELOPER:
        text = f"@{seen.bot['username']} is below Developer"
        yield found("bot_role", Reason.BOT_RIGHTS, text)


def pipeline_variables(seen: Seen) -> Iterator[Finding]:
    """Look whether the bot may give variables: by one the job names its environment."""
    if checks.gives_no_variables(seen):
        text = f"the runner project lets @{seen.bot['username']} give pipelines no variables"
        yield found("pipeline_variables", Reason.VARIABLES_FORBIDDEN, text, f"{_DOCS}, step 4")


def job(seen: Seen) -> Iterator[Finding]:
    """Look whether the job names the environment by which it gets its one token."""
    if any(not names_environment(each) for each in checks.our_jobs(seen)):
        text = "the runner project's job names no environment claude/$AI_FLOW_PROJECT_ID"
        yield found("runner_environment", Reason.JOB_VARIABLE, text, f"{_DOCS}, step 2")


def hook(seen: Seen) -> Iterator[Finding]:
    """Look at the webhook that tells how pipelines go on."""
    hooks = seen.hooks()
    if not hooks and not seen.by_group:  # a group's webhooks are for its Owners to see
        text = f"the runner project has no webhook to {seen.url}: replies lag by five minutes"
        yield found("runner_hook", Reason.HOOK_MISSING, text)
    yield from checks.hooks_of(seen, hooks, (PIPELINES,))


def tokens(seen: Seen, asking: list[int]) -> Iterator[Finding]:
    """Look for the job's token of each project that asks; `asking` has the ids that are known.

    GitLab gives a job the variable whose scope fits its environment best: an exact scope before a
    pattern (https://docs.gitlab.com/ci/environments/#environment-scopes).
    """
    known = [e for e in seen.api.all(f"{seen.path}/variables") if e["key"] == JOB_TOKEN]
    known = [each | {"environment_scope": each.get("environment_scope", "*")} for each in known]
    for project_id in asking:
        scope = scope_of(project_id)
        if not [each for each in known if fnmatchcase(scope, each["environment_scope"])]:
            text = f"no CI/CD variable {JOB_TOKEN} with the scope {scope} or {EVERY}"
            yield found("runner_token", Reason.JOB_VARIABLE, text)
    branch = seen.project.get("default_branch")
    protected = bool(branch) and branch_level(seen.api, seen.project) > 0
    for each in known:
        scope = each["environment_scope"]
        yield from checks.protection(each, protected=protected)
        if not scope.startswith("claude/"):
            text = f"{JOB_TOKEN} has the scope {scope}: each job of the runner project holds it"
            cure = f"Give it the scope {EVERY}, or one token to each project: {_DOCS}, step 3"
            yield found("runner_token_scope", Reason.JOB_VARIABLE, text, cure)
        if not (each.get("masked") or each.get("hidden")):
            text = f"{JOB_TOKEN} of {scope} is not masked: a log may show it"
            yield found("runner_token_open", Reason.JOB_VARIABLE, text, "Tick Masked.")


# Of the variables one is looked at by `tokens`.
HOME_CHECKS: tuple[Callable[[Seen], Iterator[Finding]], ...] = (
    private,
    asks,
    checks.runs_pipelines,
    checks.rights,
    checks.trigger,
    pipeline_variables,
    checks.ci,
    job,
    checks.variables,
    checks.runner,
    hook,
)
ASKING_CHECKS: tuple[Callable[[Seen], Iterator[Finding]], ...] = (
    checks.served,
    reads,
    checks.asking_hook,
)
