"""How the text of a variable becomes a setting's value, one function for each kind of text.

Each reader takes its variable and the texts of all variables, returns the value, and raises
SettingsError when the text is wrong. It may rely on the variables in the rows above its own: they
are read before.
"""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from shared.installation.providers import PROVIDERS, Provider
from shared.outcome import messages

if TYPE_CHECKING:
    from shared.installation.auto import Policy

# https://docs.gitlab.com/api/access_requests/#valid-access-levels; below guest nobody may comment.
ROLES = {"guest": 10, "planner": 15, "reporter": 20, "developer": 30, "maintainer": 40, "owner": 50}
PROMPTED = ("review", "fix", "explain")  # the commands that choose a prompt

# A pattern, not urllib.parse: that takes 3 ms of each cold start.
_URL = (
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?:/[A-Za-z0-9._~-]+)*/?"
)
_LAST_PORT = 65535
_RUNNER = r"[1-9][0-9]{0,18}|[a-z0-9_][a-z0-9_.-]*(?:/[a-z0-9_.-]+)+"
DOLLARS = r"[0-9]{1,9}(\.[0-9]{0,6})?|\.[0-9]{1,6}"
_PHRASE = r"@[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_-])?"

Texts = Mapping[str, str]  # by the variable's name


class SettingsError(ValueError):
    """A setting is wrong; the message names the variable, the value found and what is expected."""

    def __init__(self, variable: str, found: object, expected: str) -> None:
        """Say what is wrong with which variable."""
        super().__init__(f"{variable}: found {found!r}, expected {expected}")


class Variable(NamedTuple):
    """A variable of the environment, and which values it takes."""

    name: str
    default: str  # what stands for one that is not set, or empty
    group: str  # the heading in the console of CloudFormation
    values: tuple[str, ...] = ()  # all there are; none: other texts too
    most: int = 0  # of a whole number from 0 on
    zero: str = "no limit"  # what the number 0 stands for
    pattern: str = ""  # what CloudFormation lets through; the reader looks closer
    pattern_in_words: str = ""
    longest: int = 0  # in characters; 0: CloudFormation does not count them


def url(variable: Variable, texts: Texts) -> str:
    """Return the address of a GitLab, without a slash at its end."""
    value = texts[variable.name]
    found = re.fullmatch(_URL, value)
    # Plain http is for a GitLab on this machine only: tokens would travel in the clear.
    safe = found and (found["scheme"] == "https" or found["host"] in ("127.0.0.1", "localhost"))
    if not found or not safe or int(found["port"] or 0) > _LAST_PORT:
        # What stands before an @ may be a password.
        shown = "an address with a user name" if "@" in value else value
        expected = (
            "the address of one GitLab, such as https://gitlab.example.com"
            " (a relative URL root may follow)"
        )
        raise SettingsError(variable.name, shown, expected)
    return value.rstrip("/")


def proxy(variable: Variable, texts: Texts) -> str:
    """Return the address of an HTTP proxy, or nothing; one with a password is not repeated."""
    value = texts[variable.name]
    found = re.fullmatch(_URL, value)
    plain = found and found["scheme"] == "http" and found["port"] and value.count("/") == 2  # noqa: PLR2004
    if value and not (plain and found and int(found["port"]) <= _LAST_PORT):
        shown = "an address with a user name" if "@" in value else value
        expected = "http:// and a proxy's name and port, such as http://proxy.example.com:3128"
        raise SettingsError(variable.name, shown, expected)
    return value


def phrases(variable: Variable, texts: Texts) -> tuple[str, ...]:
    """Return the names that are mentioned, each with its @."""
    found = entries(variable, texts)
    if not found or not all(re.fullmatch(_PHRASE, each) for each in found):
        expected = "a comma list of GitLab user names, each with its @"
        raise SettingsError(variable.name, texts[variable.name], expected)
    return found


def labels(variable: Variable, texts: Texts) -> frozenset[str]:
    """Return the labels that start a run, in lower case."""
    return frozenset({texts[variable.name].lower()} - {"none"})


def auto(variable: Variable, texts: Texts) -> "Policy | None":
    """Return what starts by itself; None where nothing does, which costs no import."""
    if not texts[variable.name]:
        return None
    from shared.installation.auto import PolicyError, read  # noqa: PLC0415  on first need

    try:
        return read(texts[variable.name])
    except PolicyError as error:
        raise SettingsError(variable.name, error.found, error.expected) from None


def provider(variable: Variable, texts: Texts) -> Provider:
    """Return the row of a model provider."""
    return PROVIDERS[choice(variable, texts)]


def region(variable: Variable, texts: Texts) -> str:
    """Return a region that the provider has; nothing for one that has none."""
    chosen, value = PROVIDERS[texts["MODEL_PROVIDER"]], texts[variable.name]
    if expected := chosen.region_expected(value):
        raise SettingsError(variable.name, value or None, expected)
    return value if chosen.regions else ""


def model(variable: Variable, texts: Texts) -> str:
    """Return a model id that the provider has in its region, or nothing."""
    return _offered(variable, texts, texts[variable.name])


def models(variable: Variable, texts: Texts) -> tuple[str, ...]:
    """Return model ids that the provider has in its region."""
    return tuple(_offered(variable, texts, each) for each in entries(variable, texts))


def _offered(variable: Variable, texts: Texts, value: str) -> str:
    chosen = PROVIDERS[texts["MODEL_PROVIDER"]]
    if expected := chosen.model_expected(texts["MODEL_REGION"], value):
        raise SettingsError(variable.name, value, expected)
    return value


def prompts(variable: Variable, texts: Texts) -> dict[str, str]:
    """Return what the job is told, by command or event. A text that is wrong is not repeated."""
    keys = {*PROMPTED, *messages.PROMPTS}
    expected = f"a JSON object of texts, its keys among {', '.join(sorted(keys))}"
    try:
        found = json.loads(texts[variable.name] or "{}")
    except ValueError:
        raise SettingsError(variable.name, "no JSON", expected) from None
    if not isinstance(found, dict):
        raise SettingsError(variable.name, type(found).__name__, expected)
    if not keys.issuperset(found):
        raise SettingsError(variable.name, sorted(found), expected)
    if not all(isinstance(text, str) for text in found.values()):
        raise SettingsError(variable.name, "a value that is no text", expected)
    return found


def number(variable: Variable, texts: Texts) -> int:
    """Return a whole number up to the variable's most."""
    value, most = texts[variable.name], variable.most
    digits = value.isascii() and value.isdigit() and len(value) <= len(str(most))
    if not digits or int(value) > most:
        expected = f"a whole number up to {most}; 0: {variable.zero}"
        raise SettingsError(variable.name, value, expected)
    return int(value)


def dollars(variable: Variable, texts: Texts) -> int:
    """Return an amount of US dollars in millionths of one; 0 for none.

    >>> dollars(Variable("BUDGET_PER_RUN", "", ""), {"BUDGET_PER_RUN": "2.50"})
    2500000
    """
    value = texts[variable.name]
    if value and not re.fullmatch(DOLLARS, value):
        expected = "an amount in US dollars such as 2.50; 0 or empty: no budget"
        raise SettingsError(variable.name, value, expected)
    whole, _, parts = value.partition(".")
    return int(whole or 0) * 10**6 + int(parts.ljust(6, "0"))


def dollars_of_many(variable: Variable, texts: Texts) -> int:
    """Return the same of a budget for many runs: each of them holds BUDGET_PER_RUN of it."""
    amount, value = dollars(variable, texts), texts[variable.name]
    of_one = dollars(variable._replace(name="BUDGET_PER_RUN"), texts)
    if amount and not of_one:
        expected = "BUDGET_PER_RUN beside it: so much of it is held for each run that goes on"
        raise SettingsError(variable.name, value, expected)
    if 0 < amount < of_one:
        expected = f"at least BUDGET_PER_RUN, {texts['BUDGET_PER_RUN']}: no run could start"
        raise SettingsError(variable.name, value, expected)
    return amount


def choice(variable: Variable, texts: Texts) -> str:
    """Return one of the variable's values."""
    return _one_of(variable, texts[variable.name])


def role(variable: Variable, texts: Texts) -> int:
    """Return GitLab's number for a role."""
    return ROLES[_one_of(variable, texts[variable.name].lower())]


def switch(variable: Variable, texts: Texts) -> bool:
    """Return whether a switch is on."""
    return _one_of(variable, texts[variable.name].lower()) == "true"


def _one_of(variable: Variable, value: str) -> str:
    if value not in variable.values:
        raise SettingsError(variable.name, value, f"one of {', '.join(variable.values)}")
    return value


def entries(variable: Variable, texts: Texts) -> tuple[str, ...]:
    """Return the entries of a comma list; blanks around them and empty ones do not count."""
    return tuple(each.strip() for each in texts[variable.name].split(",") if each.strip())


def paths(variable: Variable, texts: Texts) -> tuple[str, ...]:
    """Return the entries of a comma list in lower case."""
    return tuple(each.lower() for each in entries(variable, texts))


def runners(variable: Variable, texts: Texts) -> tuple[tuple[str, str], ...]:
    """Return which projects' jobs run where: (id or glob, the runner project's id or path) each.

    One that is served as an asking project as well would be asked to run for itself.
    """
    found = [entry.rpartition("=") for entry in paths(variable, texts)]
    expected = "one project's id or path, or a comma list such as group/* = group/claude-runner"
    alone = len(found) == 1 and not found[0][1]
    pairs = tuple(
        ((asking.strip() if mark else "*"), runner.strip()) for asking, mark, runner in found
    )
    sound = all(asking and re.fullmatch(_RUNNER, runner) for asking, runner in pairs)
    if not sound or not (alone or all(mark for _, mark, _ in found)):
        raise SettingsError(variable.name, texts[variable.name], expected)
    served = {each.lower() for each in texts["ALLOWED_PROJECTS"].replace(" ", "").split(",")}
    for _, runner in pairs:
        if runner in served:
            expected = "a project that ALLOWED_PROJECTS does not name: it runs jobs and asks none"
            raise SettingsError(variable.name, runner, expected)
    return pairs


def names(variable: Variable, texts: Texts) -> frozenset[str]:
    """Return the entries of a comma list in lower case, in any order."""
    return frozenset(paths(variable, texts))
