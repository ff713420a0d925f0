"""Connect a project or group: bot, trigger token, webhook, variables, merge request, proof.

Each step looks first and does only what is missing, so that a run that was stopped anywhere is
completed by the next. GitLab's rules behind the steps: a trigger token is created by a Maintainer
and belongs to who creates it (https://docs.gitlab.com/ci/triggers/), so the bot is Maintainer and
creates its own; a project bot's role cannot be changed afterwards (app/policies/
project_member_policy.rb); a token's text is shown once, so that it is stored before the next step.
"""

import base64
import secrets as random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from cli.api import MAINTAINER, Api, branch_level, under
from cli.connection import EVENTS, HIDDEN_SINCE, JOB_TOKEN, SIGNED_SINCE, Connection, Json
from cli.installation import GITLAB, WEBHOOK, Unusable
from cli.proof import prove
from cli.proposal import propose
from shared.gitlab.values import GitLabError

Ask = Callable[[str], str]  # a question; the answer is not shown
_DAYS = 364  # a project access token lives a year at most


def setup(connection: Connection, ask: Ask, *, own_bot: bool = False) -> None:
    """Do all steps; raise Unusable where one needs somebody else, after what was done before it."""
    connection.say(
        f"✔ GitLab {'.'.join(map(str, connection.version))} at {connection.api.url}, you are"
        f" @{connection.me['username']}; {connection.name} will report to {connection.url}"
    )
    bot = _bot(connection, ask, own_bot=own_bot)
    for project in connection.projects:
        _trigger_token(connection, bot, project)
    _signing_key(connection)
    _webhook(connection)
    _variables(connection, ask)
    merged = [propose(connection, project) for project in connection.projects]
    if connection.words.dry:
        return
    if bot:
        prove(connection, bot)
    if not all(merged):
        connection.say("→ Merge what adds the job; until then only `help` is answered.")
    connection.say(f"→ Then write {connection.phrase} explain what this project does, in an issue.")


def _bot(connection: Connection, ask: Ask, *, own_bot: bool) -> Api | None:
    """Return GitLab as the bot sees it: the stored one, your own, or a new access token's."""
    bot = connection.bot()
    if bot is None:
        _check_others(connection, own_bot=own_bot)
        if own_bot:
            _store_own_bot(connection, ask)
        elif not _create_bot(connection):
            return None
        bot = connection.bot()
    if bot is None:
        if connection.words.dry:
            return None
        message = "GitLab does not take the bot's token that was just stored: run this again"
        raise Unusable(message)
    user = bot.get("/user")
    _admit(connection, user)
    connection.say(f"✔ the bot is @{user['username']}")
    return bot


def _check_others(connection: Connection, *, own_bot: bool) -> None:
    """Refuse to replace a bot that serves other projects too by one of this project alone."""
    ours = {str(each["id"]) for each in connection.projects}
    others = set(connection.gitlab.get("trigger_tokens", {})) - ours
    if connection.gitlab.get("api_token") and others and not own_bot:
        message = (
            "GitLab does not take this installation's API token, which other projects use too:"
            " renew it in GITLAB_SECRETS, or give one of your own bot user: --bot-token"
        )
        raise Unusable(message)


def _create_bot(connection: Connection) -> bool:
    path = f"{connection.path}/access_tokens"
    name = connection.bot_name

    def create() -> None:
        # One that was made by a run which could not store it: nobody has its text.
        for lost in connection.api.all(path, state="active"):
            if lost["name"] == name and lost.get("active", True):
                connection.api.delete(f"{path}/{lost['id']}")
        until = (datetime.now(UTC) + timedelta(days=_DAYS)).date().isoformat()
        made = connection.api.post(
            path,
            name=name,
            description=connection.mark,
            scopes=["api", "write_repository"],
            access_level=MAINTAINER,
            expires_at=until,
        )
        connection.gitlab["api_token"] = made["token"]
        connection.keep(GITLAB, connection.gitlab)

    what = f"access token {name} of {connection.name}: Maintainer, api and write_repository"
    try:
        return connection.act(f"{what}, {_DAYS} days", create)
    except GitLabError as error:
        if error.status in (400, 403, 404):
            message = (
                "GitLab gives no access token here: GitLab.com has them from Premium on, and an"
                " Owner can forbid them. Give a token of your own bot user instead: --bot-token"
            )
            raise Unusable(message) from error
        raise


def _store_own_bot(connection: Connection, ask: Ask) -> None:
    if connection.words.dry:
        connection.say("  would: ask for the bot user's token and store it")
        return
    token = ask("Token of your own bot user, with the scopes api and write_repository: ")
    connection.gitlab["api_token"] = token
    if connection.bot() is None:
        message = f"{connection.api.url} does not take that bot's token"
        raise Unusable(message)
    connection.keep(GITLAB, connection.gitlab)


def _signing_key(connection: Connection) -> None:
    """Give the installation a key that seals what its jobs are asked; no job ever has it."""
    if connection.gitlab.get("signing_keys"):
        return

    def create() -> None:
        connection.gitlab["signing_keys"] = [random.token_urlsafe(32)]
        connection.keep(GITLAB, connection.gitlab)

    connection.act("a signing key, for make verify", create)


def _admit(connection: Connection, user: Json) -> None:
    """See that the bot is Maintainer; a user of your own is made a member, a project's bot is."""
    member = connection.api.find(f"{connection.path}/members/all/{user['id']}")
    if member is None:
        what = f"@{user['username']} becomes Maintainer of {connection.name}"
        path = f"{connection.path}/members"
        try:
            connection.act(
                what,
                lambda: connection.api.post(path, user_id=user["id"], access_level=MAINTAINER),
            )
        except GitLabError as error:
            message = (
                f"@{user['username']} cannot become a member here: an access token's bot belongs"
                " to its own project or group. Set up the group, or take --bot-token"
            )
            raise Unusable(message) from error
    elif member["access_level"] < MAINTAINER:
        message = (
            f"@{user['username']} is below Maintainer, which it takes to own a trigger token: raise"
            " it under Manage > Members, then run this again"
        )
        raise Unusable(message)


def _trigger_token(connection: Connection, bot: Api | None, project: Json) -> None:
    name, path = str(project["id"]), f"{under('projects', project['id'])}/triggers"
    tokens = connection.gitlab.setdefault("trigger_tokens", {})
    what = f"trigger token of {project['path_with_namespace']}, owned by the bot"
    known = bot.all(path) if bot else []
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


def _webhook(connection: Connection) -> None:
    found = connection.hooks()
    signed, tokens = _tokens(connection)
    name = connection.name.lower() if connection.words.group else str(connection.place["id"])
    wanted = dict.fromkeys(EVENTS, True) | {"enable_ssl_verification": True, "push_events": False}
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
    try:
        connection.act(f"webhook of {connection.name} to {connection.url}, 6 events, {kind}", write)
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
    if all(str(name) in {str(each["id"]) for each in connection.projects} for name in known):
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


def _variables(connection: Connection, ask: Ask) -> None:
    path = f"{connection.path}/variables"
    known = {each["key"]: each for each in connection.api.all(path)}
    protected = all(branch_level(connection.api, each) for each in connection.projects)
    bot_token = str(connection.gitlab.get("api_token", ""))
    mine = connection.mine(list(known.values()))
    renewed = JOB_TOKEN in {each["key"] for each in mine} and not _is_current(
        connection, known[JOB_TOKEN]
    )
    wanted: dict[str, Callable[[], str]] = {JOB_TOKEN: lambda: bot_token}
    for name, value in connection.installation.job_variables().items():
        wanted[name] = lambda value=value: value  # type: ignore[misc]
    if connection.provider == "anthropic":
        question = "API key of the Claude API for the job (empty: you have another way): "
        wanted["ANTHROPIC_API_KEY"] = lambda: ask(question)
    elif not connection.installation.job_variables():
        page = f"docs/{connection.provider}.md"
        connection.say(f"? the job's variables for {connection.provider} are yours to set: {page}")
    for name, text in wanted.items():
        if name in known and not (renewed and name == JOB_TOKEN):
            connection.say(f"✔ CI/CD variable {name}")
            continue
        _put_variable(connection, name, text, protected=protected, there=name in known)


def _is_current(connection: Connection, variable: Json) -> bool:
    """Tell whether a variable was written for the bot's present token."""
    return _tag(connection) in str(variable.get("description"))


def _tag(connection: Connection) -> str:
    """Return what tells one token of the bot from the next, and nothing about either."""
    own = connection.bot()
    found = own.find("/personal_access_tokens/self") if own else None
    return f"{connection.mark} token {(found or {}).get('id', 0)}"


def _put_variable(
    connection: Connection, name: str, value: Callable[[], str], *, protected: bool, there: bool
) -> None:
    path = f"{connection.path}/variables"
    secret = name in (JOB_TOKEN, "ANTHROPIC_API_KEY")
    flags = ", ".join(
        word for word, is_so in (("masked", secret), ("protected", protected)) if is_so
    )

    text = "" if connection.words.dry else value()
    if not text and not connection.words.dry:
        connection.say(f"? CI/CD variable {name} was left out")
        return

    def write() -> None:
        data: Json = {"value": text, "protected": protected, "raw": True}
        data["description"] = _tag(connection) if name == JOB_TOKEN else connection.mark
        if there:
            connection.api.put(f"{path}/{name}", **data)
            return
        hides = secret and connection.version >= HIDDEN_SINCE
        data |= {"masked_and_hidden": True} if hides else {"masked": secret}
        connection.api.post(path, key=name, **data)

    try:
        connection.act(f"CI/CD variable {name} ({flags or 'visible'})", write)
    except GitLabError as error:
        if error.status != 400:  # noqa: PLR2004
            raise
        message = f"GitLab does not take {name}: masked, it has 8 characters or more and no blank"
        raise Unusable(message) from error
