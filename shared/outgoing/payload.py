"""The body of the trigger call, and how texts are made safe for GitLab's variables."""

import json
import re
from collections.abc import Mapping
from typing import cast

from shared.contract.ai_flow import ENGLISH, MENTION, VERSION, WITHHELD, command_of
from shared.incoming.event import Event
from shared.installation.settings import Settings
from shared.outcome.reasons import Reason, Stop
from shared.runs.command import Options
from shared.runs.request import RunRequest

# Bytes of one variable: Linux refuses to start a program with one of 128 KiB (execve, E2BIG).
MAX_VALUE = 96 * 1024

_PERCENT_NAME = re.compile(r"%(?=[A-Za-z_])")


def ref(event: Event, settings: Settings) -> str:
    """Return the branch to run on, always one of the event's own project.

    Raise Stop for a fork's merge request, unless FORKS lets it be read, or where there is no
    branch. The source branch is used only by choice (PIPELINE_REF) and only inside the same
    project: a pipeline on it runs that branch's own .gitlab-ci.yml with the trigger owner's rights.
    """
    if event.from_fork and not settings.reads_forks:
        raise Stop(Reason.FORK_MERGE_REQUEST)
    by_choice = settings.pipeline_ref == "source" and not event.from_fork
    branch = event.branches.source if event.branches and by_choice else event.default_branch
    if not branch:
        raise Stop(Reason.REPOSITORY_EMPTY)
    if branch.startswith("refs/"):
        raise Stop(Reason.REF_NOT_FOUND)
    return branch


def body(  # noqa: PLR0913  what a run is made of
    run: RunRequest,
    options: Options,
    instruction: str,
    context: Mapping[str, object],
    settings: Settings,
    *,
    nonce: str,
) -> dict[str, object]:
    """Return the trigger call's body, token excepted; raise Stop as `ref` does.

    `ai_flow` reaches the job unexpanded, as part of the file TRIGGER_PAYLOAD. `variables` are for
    jobs that others wrote; GitLab and its runner expand them, so each value is made safe and short
    enough. By the `nonce` a pipeline is known to be ours: nobody else can tell it before.

    Of an internal request neither holds a text: GitLab tells both to every webhook with pipeline
    events, and to whoever may see the project's pipelines. What is about a fork is in `ai_flow`
    alone, which says that it is to be read and no more.
    """
    model = settings.model._replace(id=options.model or settings.model.id)
    variables = _variables(run, instruction, context, settings.host) | {"AI_FLOW_NONCE": nonce}
    variables |= {name: safe(value) for name, value in model.variables().items()}
    told = {
        "context": context,
        "nonce": nonce,
        "model": {"provider": model.provider.name, "region": model.region, "id": model.id},
    }
    return {
        "ref": ref(run.event, settings),
        "variables": variables,
        "ai_flow": _ai_flow(run, options, instruction, settings) | told,
    }


def elsewhere(body: dict[str, object], run: RunRequest, branch: str) -> dict[str, object]:
    """Return the body for a runner project's default branch.

    The variables say for which project: by them GitLab chooses the token that the job may hold
    (`environment: claude/$AI_FLOW_PROJECT_ID`), the cache and whom a job waits for.
    """
    project, thread = str(run.event.project_id), f"{run.event.kind}-{run.event.iid}"
    told = {"AI_FLOW_PROJECT_ID": project, "AI_FLOW_THREAD": f"{project}-{thread}"}
    variables = cast("dict[str, str]", body["variables"])
    return {**body, "ref": branch, "variables": {**variables, **told}}


def _ai_flow(
    run: RunRequest, options: Options, instruction: str, settings: Settings
) -> dict[str, object]:
    event = run.event
    command = options.command or command_of(event.name, event.kind)
    # What was asked by no text is asked in our own words.
    withheld = event.internal and event.name == MENTION
    spoken = {} if settings.language == ENGLISH else {"language": settings.language}
    # As text: a number may be spelled anew on its way, and then the seal would not fit.
    amount = f"{settings.budget_per_run / 10**6:.6f}"
    capped = {"usd": amount} if settings.budget_per_run else {}
    return {
        **spoken,
        **({"read_only": True} if event.from_fork else {}),
        "version": WITHHELD if event.internal else VERSION,
        "id": run.id,
        "event": event.name,
        "input": None if withheld else instruction,
        "command": command or None,
        "prompt": settings.prompts.get(command, ""),
        "options": {"turns": options.turns or None, "minutes": options.minutes or None, **capped},
    }


def _variables(
    run: RunRequest, instruction: str, context: Mapping[str, object], host: str
) -> dict[str, str]:
    event = run.event
    told = {
        "AI_FLOW_EVENT": event.name,
        "AI_FLOW_ID": run.id,
        "AI_FLOW_THREAD": f"{event.kind}-{event.iid}",
        "AI_FLOW_PROJECT_PATH": event.project_path,
        "AI_FLOW_GITLAB_HOSTNAME": host,
        "AI_FLOW_DISCUSSION_ID": event.discussion_id or "",
    }
    variables = {name: safe(value) for name, value in told.items()}
    # A job that reads variables alone would take a fork's branch for one of this project's.
    if not (event.internal or event.from_fork):
        variables["AI_FLOW_INPUT"] = safe(instruction)
        variables["AI_FLOW_CONTEXT"] = safe_json(context)
    return variables


def safe(text: str) -> str:
    """Return text that GitLab's two expanders leave as it was meant, at most MAX_VALUE bytes.

    GitLab replaces $NAME, ${NAME} and %NAME%, the runner $NAME and ${NAME} again, turning $$ into
    $. So $ is doubled and the % that could begin a name becomes U+FF05. The bytes are of UTF-8;
    what is cut off is marked.
    Source: gitlabhq lib/gitlab/ci/variables/collection/item.rb, gitlab-runner
    common/spec/variables.go.

    >>> safe("print $API_KEY, 100% of it")
    'print $$API_KEY, 100% of it'
    """
    escaped = _PERCENT_NAME.sub("\uff05", text.replace("\0", "").replace("$", "$$"))
    data = escaped.encode("utf-8", "replace")
    if len(data) <= MAX_VALUE:
        return data.decode()
    cut = f"\n[cut here: the text has {len(text)} characters]"
    kept = data[: MAX_VALUE - len(cut)].decode("utf-8", "ignore")
    dollars = len(kept) - len(kept.rstrip("$"))
    return kept[: len(kept) - dollars % 2] + cut


def safe_json(value: object) -> str:
    r"""Return JSON that no expander touches and that reads back as the value.

    It is ASCII, with $ and % spelled as escapes.

    >>> safe_json({"note": "print $API_KEY"})
    '{"note":"print \\u0024API_KEY"}'
    """
    return json.dumps(value, separators=(",", ":")).replace("$", "\\u0024").replace("%", "\\u0025")
