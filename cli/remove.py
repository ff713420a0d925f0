"""Take away what setup made, in the order in which nothing half is left working."""

import json
from collections.abc import Iterator

from cli.api import under
from cli.connection import BRANCH, ISSUE, Connection, Json
from cli.home import EVERY, Home, opened, own_tokens, plan, scope_of
from cli.installation import GITLAB, WEBHOOK, Unusable
from cli.variables import in_scope, tokens
from shared.gitlab.values import GitLabError


def remove(connection: Connection) -> None:
    """Undo setup; what was made by hand stays. Run again, it goes on where it was stopped."""
    homes = list(_homes(connection))
    _take_away(connection)
    gone = [home.connection for home in homes if not _serves_others(connection, home)]
    for home in homes:
        _take_tokens(connection, home, alone=home.connection not in gone)
    for each in gone:
        _take_away(each)
    connection.homes = [each.place for each in gone]
    _forget(connection)


def _homes(connection: Connection) -> Iterator[Home]:
    """Yield the runner projects; of one that is gone nothing is left to take away."""
    for name, asking in plan(connection)[1].items():
        try:
            yield opened(connection, name, asking)
        except Unusable as error:
            connection.say(f"? {error}")


def _serves_others(connection: Connection, home: Home) -> bool:
    """Tell whether others than what is removed ask of a runner project: who sends us deliveries."""
    known = {token["environment_scope"] for token in tokens(home.connection, "*")}
    ours = {scope_of(each["id"]) for each in home.asking} | {EVERY, "*"}
    return bool(connection.bound - connection.ids - {connection.name.lower()} or known - ours)


def _take_tokens(connection: Connection, home: Home, *, alone: bool) -> None:
    """Delete the job's tokens of the projects; what serves others too stays."""
    for project in home.asking:
        for token in own_tokens(connection, project):
            path = f"{under('projects', project['id'])}/access_tokens/{token['id']}"
            _delete(connection, f"access token {token['name']}", path)
    scopes = [scope_of(each["id"]) for each in home.asking] + ([] if alone else [EVERY])
    for scope in scopes:
        for variable in home.connection.mine(tokens(home.connection, scope)):
            _delete_variable(home.connection, variable)


def _take_away(connection: Connection) -> None:
    """Delete what setup made in the projects of a connection and in its group."""
    for path, hook in connection.hooks():
        _delete(connection, f"webhook #{hook['id']}", path)
    for project in connection.projects:
        base = under("projects", project["id"])
        for token in connection.mine(connection.api.all(f"{base}/triggers")):
            _delete(connection, f"trigger token #{token['id']}", f"{base}/triggers/{token['id']}")
        for request in connection.api.all(
            f"{base}/merge_requests", source_branch=BRANCH, state="opened"
        ):
            path = f"{base}/merge_requests/{request['iid']}"
            connection.act(
                f"merge request !{request['iid']} closed",
                lambda path=path: connection.api.put(path, state_event="close"),  # type: ignore[misc]
            )
        if connection.api.find(f"{base}/repository/branches/{BRANCH}"):
            _delete(connection, f"branch {BRANCH}", f"{base}/repository/branches/{BRANCH}")
        for issue in connection.api.all(f"{base}/issues", search=ISSUE, state="opened"):
            if issue["title"] == ISSUE:
                _end_issue(connection, f"{base}/issues/{issue['iid']}")
    for variable in connection.mine(connection.api.all(f"{connection.path}/variables")):
        _delete_variable(connection, variable)


def _delete_variable(connection: Connection, variable: Json) -> None:
    name, query = variable["key"], in_scope(str(variable.get("environment_scope", "*")))
    path = f"{connection.path}/variables/{name}"
    what = f"CI/CD variable {name} deleted"
    connection.act(what, lambda: connection.api.delete(path, **query))


def _delete(connection: Connection, what: str, path: str) -> None:
    connection.act(f"{what} deleted", lambda: connection.api.delete(path))


def _end_issue(connection: Connection, path: str) -> None:
    """Delete the issue where an Owner runs this, else close it."""

    def end() -> None:
        try:
            connection.api.delete(path)
        except GitLabError:
            connection.api.put(path, state_event="close")

    connection.act("the issue that setup asked in is gone or closed", end)


def _forget(connection: Connection) -> None:
    """Take the project's names out of both documents, and revoke the bot's token if it is ours."""
    names = connection.ids | {connection.name.lower()}
    tokens = connection.gitlab.get("trigger_tokens", {})
    left = {name: token for name, token in tokens.items() if name not in names}
    ours = [
        (f"{what} {connection.bot_name}", f"{connection.path}/{kind}/{each['id']}")
        for what, kind in (
            ("access token", "access_tokens"),
            ("service account", "service_accounts"),
        )
        for each in _made(connection, kind)
    ]
    content = connection.gitlab | {"trigger_tokens": left}
    _store(connection, GITLAB, content if left and not ours else {})
    for key in ("signing_tokens", "secret_tokens"):
        kept = connection.webhook.get(key)
        if isinstance(kept, dict):
            connection.webhook[key] = {n: t for n, t in kept.items() if n not in names}
    _store(connection, WEBHOOK, {k: v for k, v in connection.webhook.items() if v})
    for what, path in ours:
        _delete(connection, what, path)


def _made(connection: Connection, kind: str) -> list[Json]:
    """Return the access tokens or service accounts that setup made; none where GitLab has none."""
    try:
        known = connection.api.all(f"{connection.path}/{kind}")
    except GitLabError as error:
        if error.status not in (400, 401, 403, 404):  # a matter of tier, version and role
            raise
        return []
    return [e for e in known if e["name"] == connection.bot_name and e.get("active", True)]


def _store(connection: Connection, name: str, content: dict[str, object]) -> None:
    if connection.installation.read(name) not in ("", json.dumps(content)):
        what = f"{name} without the tokens of {connection.name}"
        connection.act(what, lambda: connection.keep(name, content))
