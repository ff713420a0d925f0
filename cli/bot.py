"""The bot that setup makes or takes, by what GitLab's tier and version have, and its token.

An access token of the project or group comes first. GitLab.com has those from Premium on; a service
account of the project, which a Maintainer makes, is there in every tier from 18.11 on, on a
self-managed Free behind a flag; one of a group takes an Owner, on a self-managed GitLab whom an
administrator allows it (https://docs.gitlab.com/api/service_accounts/, …/user/profile/
service_accounts/). Where GitLab has neither, a user of your own is the bot. A service account is a
user like any other: it becomes a member only when it is made one.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from cli.api import MAINTAINER, Api, under
from cli.connection import Connection, Json
from cli.installation import GITLAB, Unusable
from shared.gitlab.values import GitLabError

Ask = Callable[[str], str]  # a question; the answer is not shown
SCOPES = ["api", "write_repository"]
DAYS = 364  # an access token lives a year at most
SERVICE_ACCOUNTS_SINCE = (18, 11)  # those of projects
REFUSED = (400, 403, 404)  # what GitLab answers where a tier, version or role has no such bot


def find_or_make(connection: Connection, ask: Ask, *, own_bot: bool) -> Api | None:
    """Return GitLab as the bot sees it: the stored one, your own, or one that is made; None if dry.

    Raises Unusable with who can do it where GitLab lets the operator make none, and where one of a
    single project would have to serve in a runner project too.
    """
    bot = connection.bot()
    if bot and own_bot and _stays_away(connection, bot):
        bot = None
    if bot is None:
        _check_others(connection, own_bot=own_bot)
        if own_bot:
            _store_own(connection, ask)
        elif connection.homes and not connection.words.group:
            message = (
                "a runner project takes one bot for itself and all that ask: set up the group of"
                " both, GROUP=, or give the token of a user of your own: --bot-token"
            )
            raise Unusable(message)
        elif not _make(connection):
            return None
        bot = connection.bot()
    if bot is None:
        if connection.words.dry:
            return None
        message = "GitLab does not take the bot's token that was just stored: run this again"
        raise Unusable(message)
    user = bot.get("/user")
    admit(connection, user)
    connection.say(f"✔ the bot is @{user['username']}")
    return bot


def _stays_away(connection: Connection, bot: Api) -> bool:
    """Tell whether the stored bot is an access token's, which no runner project can admit."""
    user = bot.get("/user")
    return bool(user.get("bot")) and any(
        connection.api.find(f"{under('projects', home['id'])}/members/all/{user['id']}") is None
        for home in connection.homes
    )


def _check_others(connection: Connection, *, own_bot: bool) -> None:
    """Refuse to replace a bot that serves other projects too by one of this project alone."""
    ours = {*connection.ids, connection.name.lower(), "*"}
    others = {*connection.gitlab.get("trigger_tokens", {}), *connection.bound} - ours
    if connection.gitlab.get("api_token") and others and not own_bot:
        message = (
            "GitLab does not take this installation's API token, which other projects use too:"
            " renew it in GITLAB_SECRETS, or give one of your own bot user: --bot-token"
        )
        raise Unusable(message)


def _make(connection: Connection) -> bool:
    named = f"{connection.bot_name} of {connection.name}"
    for what, make in (
        (f"access token {named}: Maintainer, api and write_repository", _access_token),
        (f"service account {named}, api and write_repository", _service_account),
    ):
        try:
            return connection.act(f"{what}, {DAYS} days", partial(make, connection))
        except GitLabError as error:
            if error.status not in REFUSED:
                raise
    raise Unusable(_who_can(connection))


def _access_token(connection: Connection) -> None:
    path = f"{connection.path}/access_tokens"
    _renew(connection, path, access_level=MAINTAINER)


def _service_account(connection: Connection) -> None:
    path, name = f"{connection.path}/service_accounts", connection.bot_name
    known = next((each for each in connection.api.all(path) if each["name"] == name), None)
    account = known or connection.api.post(path, name=name)
    _renew(connection, f"{path}/{account['id']}/personal_access_tokens")


def ends() -> str:
    """Return the last day of a token that is made now, in ISO 8601."""
    return (datetime.now(UTC) + timedelta(days=DAYS)).date().isoformat()


def _renew(connection: Connection, path: str, **more: object) -> None:
    """Make a token and store it; one that was made by a run which could not store it goes."""
    for lost in connection.api.find(path, state="active") or ():  # a list since 17.11
        if lost["name"] == connection.bot_name and lost.get("active", True):
            connection.api.delete(f"{path}/{lost['id']}")
    words = {"name": connection.bot_name, "description": connection.mark, "scopes": SCOPES}
    made = connection.api.post(path, **words, expires_at=ends(), **more)
    connection.gitlab["api_token"] = made["token"]
    connection.keep(GITLAB, connection.gitlab)


def _who_can(connection: Connection) -> str:
    """Return who can make a bot where the operator cannot."""
    if connection.words.group:
        who = (
            "A service account of a group is made by an Owner of the top-level group, and on your"
            " own GitLab by whom an administrator allows it"
        )
    elif connection.version < SERVICE_ACCOUNTS_SINCE:
        who = "Service accounts of projects are there from GitLab 18.11 on"
    else:
        who = (
            "A service account is refused as well: on your own GitLab Free an administrator can"
            " switch them on, and Free has 100 at most"
        )
    return (
        "GitLab gives no bot here: access tokens of projects and groups are on GitLab.com from"
        f" Premium on, and an Owner can forbid them. {who}. Or give a token of a user that you"
        " made for the bot: --bot-token"
    )


def _store_own(connection: Connection, ask: Ask) -> None:
    if connection.words.dry:
        connection.say("  would: ask for the bot user's token and store it")
        return
    token = ask("Token of your own bot user, with the scopes api and write_repository: ")
    connection.gitlab["api_token"] = token
    if connection.bot() is None:
        message = f"{connection.api.url} does not take that bot's token"
        raise Unusable(message)
    connection.keep(GITLAB, connection.gitlab)


def admit(connection: Connection, user: Json) -> None:
    """See that the bot is Maintainer: a user or service account is made one, a token's bot is."""
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
                f"@{user['username']} cannot become a member here: the bot of an access token, or a"
                " project's service account, belongs to its own project or group. Set up the group,"
                " or take --bot-token"
            )
            raise Unusable(message) from error
    elif member["access_level"] < MAINTAINER:
        message = (
            f"@{user['username']} is below Maintainer, which it takes to own a trigger token: raise"
            " it under Manage > Members, then run this again"
        )
        raise Unusable(message)
