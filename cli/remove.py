"""Take away what setup made, in the order in which nothing half is left working."""

import json

from cli.api import under
from cli.connection import BRANCH, ISSUE, Connection, Json
from cli.installation import GITLAB, WEBHOOK
from shared.gitlab.values import GitLabError


def remove(connection: Connection) -> None:
    """Undo setup; what was made by hand stays. Run again, it goes on where it was stopped."""
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
        name = variable["key"]
        _delete(connection, f"CI/CD variable {name}", f"{connection.path}/variables/{name}")
    _forget(connection)


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
    names = {str(each["id"]) for each in connection.projects} | {connection.name.lower()}
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
