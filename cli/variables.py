"""The job's CI/CD variables: the bot's token, and what the chosen provider of the model needs."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from cli.api import branch_level
from cli.bot import Ask
from cli.connection import HIDDEN_SINCE, JOB_TOKEN, Connection, Json
from cli.installation import Unusable
from shared.gitlab.values import GitLabError
from shared.installation.settings_file import JOB

_KEY = "ANTHROPIC_API_KEY"
SECRETS = (JOB_TOKEN, _KEY)
# Without which a job has no model, by provider; one of each row suffices (job/signin.py).
MODEL_VARIABLES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "anthropic": ((_KEY, "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_FEDERATION_RULE_ID"),),
    "bedrock": (("AWS_ROLE_TO_ASSUME", "AWS_ROLE_ARN"),),
    "vertex": (("GCP_WORKLOAD_IDENTITY_PROVIDER",), ("GCP_SERVICE_ACCOUNT",), ("GCP_PROJECT_ID",)),
}


class JobToken(NamedTuple):
    """The job's token: in which environments it is given out, and how it is had.

    A tag says which of several tokens it is, and nothing about any: a variable with one of `tags`
    is as it should be. `make` returns another's text and tag.
    """

    scope: str
    tags: frozenset[str]
    make: Callable[[], tuple[str, str]]


def write_variables(connection: Connection, ask: Ask) -> None:
    """Add what is missing and renew what setup wrote with another value; a person's stays."""
    write_token(connection, bot_token(connection))
    write_model(connection, ask)


def bot_token(connection: Connection, scope: str = "*") -> JobToken:
    """Return the bot's own token as the job's."""
    own = connection.bot()
    found = own.find("/personal_access_tokens/self") if own else None
    tag = f"{connection.mark} token {(found or {}).get('id', 0)}"
    token = str(connection.gitlab.get("api_token", ""))
    return JobToken(scope, frozenset({tag}), lambda: (token, tag))


def write_token(connection: Connection, token: JobToken) -> None:
    """Add the job's token, or renew one that setup wrote; what a person wrote stays."""
    there = next(iter(tokens(connection, token.scope)), None)
    shown = JOB_TOKEN if token.scope == "*" else f"{JOB_TOKEN} of {token.scope}"
    if there and (there.get("description") in token.tags or not connection.mine([there])):
        connection.say(f"✔ CI/CD variable {shown}")
        return
    text, tag = ("", "") if connection.words.dry else token.make()
    _put(connection, JOB_TOKEN, text, (token.scope, tag), there=bool(there))


def tokens(connection: Connection, scope: str) -> list[Json]:
    """Return the variables of the job's token with this scope; for `*` with whichever."""
    known = connection.api.all(f"{connection.path}/variables")
    return [
        each
        for each in known
        if each["key"] == JOB_TOKEN and scope in ("*", each.get("environment_scope", "*"))
    ]


def write_model(connection: Connection, ask: Ask) -> None:
    """Add and renew what signs in to the model."""
    known = {each["key"]: each for each in connection.api.all(f"{connection.path}/variables")}
    mine = {each["key"] for each in connection.mine(list(known.values()))}
    given = _given(connection)
    names = [*given, *([_KEY] if connection.provider == "anthropic" else [])]
    _tell_missing(connection, {*known, *given})
    for name in names:
        stale = name in mine and known[name].get("value") != given.get(name, known[name]["value"])
        if name in known and not stale:
            connection.say(f"✔ CI/CD variable {name}")
            continue
        text = given.get(name, "")
        if name == _KEY and not connection.words.dry:
            text = ask("API key of the Claude API for the job (empty: you have another way): ")
        _put(connection, name, text, there=name in known)


def in_scope(scope: str) -> dict[str, str]:
    """Return the filter that names one of several variables of a name.

    https://docs.gitlab.com/api/project_level_variables/#the-filter-parameter
    """
    return {} if scope == "*" else {"filter[environment_scope]": scope}


def _given(connection: Connection) -> dict[str, str]:
    """Return what the deployed installation tells of the job's cloud; the settings file wins."""
    names = {name for row in MODEL_VARIABLES[connection.provider] for name in row}
    said = {name: connection.settings[name] for name in JOB if connection.settings.get(name)}
    own = {name: value for name, value in said.items() if name in names}
    return {**connection.installation.job_variables(), **own}


def _tell_missing(connection: Connection, there: set[str]) -> None:
    """Name what the model's provider needs and nobody has said; a key is asked for."""
    rows = MODEL_VARIABLES[connection.provider] if connection.provider != "anthropic" else ()
    if missing := [row[0] for row in rows if not there & set(row)]:
        page = f"docs/{connection.provider}.md"
        connection.say(
            f"? the job's variables for {connection.provider} are yours to set: {page}; setup"
            f" writes {', '.join(missing)} when it stands in the settings file"
        )


def _put(
    connection: Connection, name: str, text: str, token: tuple[str, str] = ("*", ""), *, there: bool
) -> None:
    (scope, tag), path = token, f"{connection.path}/variables"
    protected = all(branch_level(connection.api, each) for each in connection.projects)
    secret = name in SECRETS
    words = (("masked", secret), ("protected", protected), (f"for {scope}", scope != "*"))
    flags = ", ".join(word for word, is_so in words if is_so)
    if not text and not connection.words.dry:
        connection.say(f"? CI/CD variable {name} was left out")
        return

    def write() -> None:
        data: Json = {"value": text, "protected": protected, "raw": True}
        data["description"] = tag or connection.mark
        if there:
            connection.api.put(f"{path}/{name}", in_scope(scope), **data)
            return
        data |= {"environment_scope": scope} if scope != "*" else {}
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
