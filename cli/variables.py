"""The job's CI/CD variables: the bot's token, and what the chosen provider of the model needs."""

from collections.abc import Callable, Mapping

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


def write_variables(connection: Connection, ask: Ask) -> None:
    """Add what is missing and renew what setup wrote with another value; a person's stays."""
    known = {each["key"]: each for each in connection.api.all(f"{connection.path}/variables")}
    mine = {each["key"] for each in connection.mine(list(known.values()))}
    protected = all(branch_level(connection.api, each) for each in connection.projects)
    given = _given(connection)
    wanted: dict[str, Callable[[], str]] = {
        JOB_TOKEN: lambda: str(connection.gitlab.get("api_token", "")),
        **{name: lambda value=value: value for name, value in given.items()},  # type: ignore[misc]
    }
    if connection.provider == "anthropic":
        question = "API key of the Claude API for the job (empty: you have another way): "
        wanted[_KEY] = lambda: ask(question)
    _tell_missing(connection, {*known, *given})
    for name, text in wanted.items():
        stale = name in mine and not _is_current(connection, known[name], given.get(name))
        if name in known and not stale:
            connection.say(f"✔ CI/CD variable {name}")
            continue
        _put(connection, name, text, protected=protected, there=name in known)


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


def _is_current(connection: Connection, variable: Json, value: str | None) -> bool:
    """Tell whether a variable that setup wrote still says what it would write now."""
    if variable["key"] == JOB_TOKEN:  # hidden; written for the bot's present token or an older one
        return _tag(connection) in str(variable.get("description"))
    return value is None or variable.get("value") == value


def _tag(connection: Connection) -> str:
    """Return what tells one token of the bot from the next, and nothing about either."""
    own = connection.bot()
    found = own.find("/personal_access_tokens/self") if own else None
    return f"{connection.mark} token {(found or {}).get('id', 0)}"


def _put(
    connection: Connection, name: str, value: Callable[[], str], *, protected: bool, there: bool
) -> None:
    path = f"{connection.path}/variables"
    secret = name in SECRETS
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
