"""The runner project, which runs the job for projects that ask: docs/runner-project.md.

What each asking project needs there is a token, given out in the environment `claude/<its id>`
alone (https://docs.gitlab.com/ci/environments/#limit-the-environment-scope-of-a-cicd-variable).
"""

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from cli.api import MAINTAINER, under
from cli.bot import DAYS, REFUSED, SCOPES, ends
from cli.connection import Connection, Json, Words
from cli.installation import Unusable
from cli.variables import JobToken, bot_token, tokens
from shared.gitlab.values import GitLabError
from shared.installation.settings import Settings
from shared.outcome.reasons import Reason

EVERY = "claude/*"
_SOON = 30  # days before its end at which a token is replaced
_ROLE, _BEYOND = "ci_pipeline_variables_minimum_override_role", ("no_one_allowed", "owner")
_ORDER, _OLDEST = "resource_group_default_process_mode", "oldest_first"
_SETTINGS = ("RUNNER_PROJECT", "ALLOWED_PROJECTS")


def scope_of(project_id: int) -> str:
    """Return the environment that the job for a project names.

    >>> scope_of(7)
    'claude/7'
    """
    return f"claude/{project_id}"


class Home(NamedTuple):
    """A runner project, and the projects among those of a connection for which it runs the job."""

    connection: Connection
    asking: list[Json]

    def check(self) -> None:
        """Raise Unusable where others than its members may read what its jobs say."""
        if self.connection.place.get("visibility") != "private":
            open_ = Reason.RUNNER_NOT_PRIVATE
            message = f"RUNNER_PROJECT {self.connection.name}: {open_.sentence} {open_.cure}"
            raise Unusable(message)

    def reports_with(self, other: Connection) -> bool:
        """Tell whether the other's own webhook, that of a group, sends this project's pipelines."""
        inside = self.connection.name.lower().startswith(f"{other.name.lower()}/")
        if not other.words.group or not inside:
            return False
        try:
            other.api.get(f"{other.path}/hooks")
        except GitLabError as error:
            if error.status in (403, 404):  # a matter of the tier
                return False
            raise
        return True

    def settle(self) -> None:
        """Let the trigger's bot give variables, and what waits run in the order it was asked.

        https://docs.gitlab.com/api/projects/#edit-a-project
        """
        home, place, wanted = self.connection, self.connection.place, {}
        if place.get(_ROLE) in _BEYOND:
            wanted[_ROLE] = "maintainer"
        if place.get(_ORDER, _OLDEST) != _OLDEST:  # older GitLabs do not tell it
            wanted[_ORDER] = _OLDEST
        if wanted:
            what = f"{home.name}: {', '.join(f'{name}={each}' for name, each in wanted.items())}"
            try:
                home.act(what, lambda: home.api.put(home.path, None, **wanted))
            except GitLabError as error:
                if error.status not in REFUSED:
                    raise
                message = f"an Owner has to set {what} first: Settings > CI/CD > Variables"
                raise Unusable(message) from error

    def job_tokens(self, connection: Connection) -> list[JobToken]:
        """Return the job's tokens for those who ask: one for a group, or one for the project.

        What `claude/*` gives out serves them as well.
        """
        home = self.connection
        if connection.words.group or tokens(home, EVERY):
            return [bot_token(home, EVERY)]
        return [_own_token(home, connection, each) for each in self.asking]


def plan(connection: Connection) -> tuple[list[Json], dict[str, list[Json]]]:
    """Return which projects run the job themselves, and by runner project the others.

    The connection is left with those that may ask. Raise Unusable where RUNNER_PROJECT names the
    one to be connected itself.
    """
    deployed = connection.installation.environment()
    said = {name: connection.settings.get(name) or deployed.get(name, "") for name in _SETTINGS}
    read = Settings.read(said)
    by_runner: dict[str, list[Json]] = {}
    for each in connection.projects:
        name = each["id"], str(each["path_with_namespace"])
        if not read.is_runner(*name):
            by_runner.setdefault(read.runner_of(*name), []).append(each)
    if connection.projects and not by_runner:
        message = f"{Reason.RUNNER_ASKS.sentence} {Reason.RUNNER_ASKS.cure}"
        raise Unusable(message)
    connection.projects = [each for asking in by_runner.values() for each in asking]
    return by_runner.pop("", []), by_runner


def opened(connection: Connection, name: str, asking: list[Json]) -> Home:
    """Return a runner project as the operator sees it, with the connection's own secrets.

    Raise Unusable where the operator may not prepare it.
    """
    words, say = Words(project=name, dry=connection.words.dry), connection.say
    try:
        home = Connection(connection.api, connection.installation, connection.settings, words, say)
    except Unusable as error:
        message = f"RUNNER_PROJECT {name}: {error}; make it first: private, with a README"
        raise Unusable(message) from error
    home.gitlab, home.webhook = connection.gitlab, connection.webhook
    connection.homes.append(home.place)
    return Home(home, asking)


def own_tokens(connection: Connection, project: Json) -> list[Json]:
    """Return a project's access tokens that setup made for its job; none where GitLab has none.

    https://docs.gitlab.com/api/project_access_tokens/
    """
    try:
        known = connection.api.all(f"{under('projects', project['id'])}/access_tokens")
    except GitLabError as error:
        if error.status not in REFUSED:
            raise
        return []
    name = _token_name(connection)
    return [each for each in known if each["name"] == name and each.get("active", True)]


def _token_name(connection: Connection) -> str:
    return f"{connection.bot_name} job"


def _own_token(home: Connection, connection: Connection, project: Json) -> JobToken:
    """Return a token that opens the asking project alone; the bot's where GitLab makes none such.

    One that setup made serves until it is near its end. It is a Maintainer's: it edits the reply,
    which another user wrote.
    """
    of_bot = bot_token(home, scope_of(project["id"]))
    until = datetime.now(UTC).date() + timedelta(days=_SOON)
    made = own_tokens(connection, project)
    lasting = [each for each in made if date.fromisoformat(each["expires_at"]) > until]
    tags = {f"{home.mark} token {each['id']}" for each in lasting}

    def make() -> tuple[str, str]:
        path = f"{under('projects', project['id'])}/access_tokens"
        words = {"name": _token_name(connection), "scopes": SCOPES, "access_level": MAINTAINER}
        try:
            new = connection.api.post(path, **words, expires_at=ends(), description=connection.mark)
        except GitLabError as error:
            if error.status not in REFUSED:
                raise
            why = f"{error} to a token of the project's own, for {DAYS} days"
            connection.say(f"? {why}: its job has the bot's, which opens all that the bot may")
            return of_bot.make()
        for former in made:
            connection.api.delete(f"{path}/{former['id']}")
        return str(new["token"]), f"{home.mark} token {new['id']}"

    return JobToken(of_bot.scope, of_bot.tags | tags, make)
