"""Connect a project or group: bot, trigger token, webhook, variables, merge request, proof.

Each step looks first and does only what is missing, so that a run that was stopped anywhere is
completed by the next. GitLab's rules behind the steps: a trigger token is created by a Maintainer
and belongs to who creates it (https://docs.gitlab.com/ci/triggers/), so the bot is Maintainer and
creates its own; a project bot's role cannot be changed afterwards (app/policies/
project_member_policy.rb); a token's text is shown once, so that it is stored before the next step.
"""

import base64
import secrets as random

from cli.api import Api, under
from cli.bot import Ask, admit, find_or_make
from cli.connection import (
    ASKING,
    EVENTS,
    OLDEST,
    PIPELINES,
    SIGNED_SINCE,
    Connection,
    Json,
)
from cli.home import Home, opened, plan
from cli.installation import GITLAB, WEBHOOK, Unusable
from cli.proof import prove
from cli.proposal import propose
from cli.variables import write_model, write_token, write_variables
from shared.gitlab.values import GitLabError
from shared.outcome.reasons import Reason


def setup(connection: Connection, ask: Ask, *, own_bot: bool = False) -> None:
    """Do all steps; raise Unusable where one needs somebody else, after what was done before it."""
    connection.say(
        f"✔ GitLab {'.'.join(map(str, connection.version))} at {connection.api.url}, you are"
        f" @{connection.me['username']}; {connection.name} will report to {connection.url}"
    )
    if connection.version < OLDEST:
        connection.say(f"? {Reason.VERSION_TOO_OLD.sentence} {Reason.VERSION_TOO_OLD.cure}")
    own, elsewhere = plan(connection)
    homes = [opened(connection, name, asking) for name, asking in elsewhere.items()]
    for each in homes:
        each.check()
    bot = find_or_make(connection, ask, own_bot=own_bot)
    for project in own:
        _trigger_token(connection, bot, project)
    _signing_key(connection)
    covered = [each for each in homes if each.reports_with(connection)]
    _webhook(connection, EVENTS if own or covered or connection.repairs else ASKING)
    if own:
        write_variables(connection, ask)
    merged = [propose(connection, project) for project in own]
    merged += [_home(each, connection, bot, ask, reports=each in covered) for each in homes]
    if connection.words.dry:
        return
    if bot:
        prove(connection, bot)
    if not all(merged):
        connection.say("→ Merge what adds the job; until then only `help` is answered.")
    connection.say(f"→ Then write {connection.phrase} explain what this project does, in an issue.")


def _home(home: Home, connection: Connection, bot: Api | None, ask: Ask, *, reports: bool) -> bool:
    """Prepare a runner project for the projects that ask; return whether the job is there."""
    user = bot.get("/user") if bot else {"username": "claude"}
    if bot:
        admit(home.connection, user)
    _trigger_token(home.connection, bot, home.connection.place)
    if not reports:
        _webhook(home.connection, (PIPELINES,))
    home.settle()
    for token in home.job_tokens(connection):
        write_token(home.connection, token)
    write_model(home.connection, ask)
    return propose(home.connection, home.connection.place, str(user["username"]))


def _signing_key(connection: Connection) -> None:
    """Give the installation a key that seals what its jobs are asked; no job ever has it."""
    if connection.gitlab.get("signing_keys"):
        return

    def create() -> None:
        connection.gitlab["signing_keys"] = [random.token_urlsafe(32)]
        connection.keep(GITLAB, connection.gitlab)

    connection.act("a signing key, for make verify", create)


def _trigger_token(connection: Connection, bot: Api | None, project: Json) -> None:
    name, path = str(project["id"]), f"{under('projects', project['id'])}/triggers"
    tokens = connection.gitlab.setdefault("trigger_tokens", {})
    what = f"trigger token of {project['path_with_namespace']}, owned by the bot"
    known = _triggers(connection, bot, path)
    if any(each["token"] == tokens.get(name) for each in known):
        connection.say(f"✔ {what}")
        return

    def create() -> None:
        if bot is None:
            return
        for lost in connection.mine(known):
            connection.api.delete(f"{path}/{lost['id']}")
        tokens[name] = bot.post(path, description=connection.mark)["token"]
        connection.keep(GITLAB, connection.gitlab)

    connection.act(what, create)


def _triggers(connection: Connection, bot: Api | None, path: str) -> list[Json]:
    """Return the trigger tokens as the bot sees them; in a plan it may be no member yet."""
    try:
        return bot.all(path) if bot else []
    except GitLabError as error:
        if not connection.words.dry or error.status not in (403, 404):
            raise
        return []


def _webhook(connection: Connection, events: tuple[str, ...]) -> None:
    found = connection.hooks()
    signed, tokens = _tokens(connection)
    name = connection.name.lower() if connection.words.group else str(connection.place["id"])
    wanted = dict.fromkeys(events, True) | {"enable_ssl_verification": True, "push_events": False}
    broken = [
        path
        for path, hook in found
        if name not in tokens
        or hook.get("alert_status", "executable") != "executable"
        or any(hook.get(each) != value for each, value in wanted.items())
    ]
    missing = _missing(connection, [path for path, _ in found])
    if not broken and not missing:
        connection.say(f"✔ webhook of {connection.name}")
        return

    def write() -> None:
        token = tokens.get(name)
        text = token if isinstance(token, str) else _new_token(signed=signed)
        tokens[name] = text
        connection.keep(WEBHOOK, connection.webhook)
        data = {"url": connection.url, **wanted, "signing_token" if signed else "token": text}
        for path in broken:  # made anew, it is also switched on again
            connection.api.delete(path)
        again = dict.fromkeys([*(path.rpartition("/hooks/")[0] for path in broken), *missing])
        for path in again:
            _add_hook(connection, path, data)

    kind = "signed" if signed else "with a secret token"
    sent = f"{len(events)} event{'s' * (len(events) > 1)}, {kind}"
    try:
        connection.act(f"webhook of {connection.name} to {connection.url}, {sent}", write)
    except GitLabError as error:
        raise Unusable(_hook_refused(error, connection.url)) from error


def _missing(connection: Connection, found: list[str]) -> list[str]:
    """Return the paths that are to get a webhook: one for a group, or one for each project."""
    if not connection.words.group:
        return [] if found else [connection.path]
    if any(path.startswith(connection.path) for path in found):
        return []
    projects = [under("projects", each["id"]) for each in connection.projects]
    left = [each for each in projects if not any(path.startswith(f"{each}/") for path in found)]
    return left if len(left) < len(projects) else [connection.path]


def _add_hook(connection: Connection, path: str, data: Json) -> None:
    """Add a webhook; where a group's tier has none, one to each of its projects."""
    try:
        connection.api.post(f"{path}/hooks", **data)
    except GitLabError as error:
        if not path.startswith("/groups/") or error.status not in (403, 404):
            raise
        for project in connection.projects:
            connection.api.post(f"{under('projects', project['id'])}/hooks", **data)


def _tokens(connection: Connection) -> tuple[bool, Json]:
    """Return whether deliveries are to be signed, and the tokens of that kind by name.

    Where one token signs, all have to: an installation stays with the kind that it has. The token
    that AWS generated is in use only where somebody has connected a project by hand.
    """
    document, known = connection.webhook, connection.gitlab.get("trigger_tokens", {})
    if all(str(name) in connection.ids for name in known):
        document.pop("secret_token", None)
    unsigned = document.get("secret_tokens") or document.get("secret_token")
    signed = connection.version >= SIGNED_SINCE and not unsigned
    key = "signing_tokens" if signed else "secret_tokens"
    kept = document.get(key)
    if isinstance(kept, list):
        document[key] = {"*": kept} if kept else {}
    return signed, document.setdefault(key, {})


def _new_token(*, signed: bool) -> str:
    if not signed:
        return random.token_urlsafe(32)
    return "whsec_" + base64.b64encode(random.token_bytes(32)).decode()


def _hook_refused(error: GitLabError, url: str) -> str:
    if "blocked" in error.message or "local network" in error.message:
        return (
            f"GitLab blocks {url}: an administrator can allow it in Admin > Settings > Network >"
            " Outbound requests"
        )
    return f"GitLab does not take the webhook to {url}: {error}"
