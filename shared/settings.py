"""The installation's settings, read once at cold start. They hold no secret."""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple
from urllib.parse import urlsplit

from shared.access import ROLES
from shared.providers import PROVIDERS, Model

_PHRASE = re.compile(r"@[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_-])?", re.ASCII)


class Variable(NamedTuple):
    """A variable of the environment: the value it has when not set (or empty), and what it means."""

    default: str
    meaning: str


VARIABLES = {
    "GITLAB_URL": Variable("https://gitlab.com", "the one GitLab this installation serves; no other is ever called"),
    "TRIGGER_PHRASE": Variable("@claude", "who is mentioned to start a run; a comma list of names with their @"),
    "MODEL_PROVIDER": Variable("anthropic", "anthropic, bedrock or vertex"),
    "MODEL_REGION": Variable("", "the provider's region; required for bedrock and vertex"),
    "MODEL": Variable("", "full model id; checked against the provider"),
    "PIPELINE_REF": Variable(
        "default",
        "default: pipelines run on the default branch, whose job definition is trusted; "
        "source: on a merge request's source branch, if it is in the same project",
    ),
    "MINIMUM_ROLE": Variable("developer", f"the GitLab role it takes to ask: {', '.join(ROLES)}"),
    "ALLOWED_PROJECTS": Variable("*", "comma list of project ids and paths; in paths * stands for any characters"),
    "ALLOWED_BOTS": Variable("", "comma list of the user names of bots that may ask"),
    "ENABLED": Variable("true", "false: answer every delivery and start nothing"),
}


class SettingsError(ValueError):
    """A setting is missing or wrong; the message names the variable, the value found and what is expected."""

    def __init__(self, variable: str, found: object, expected: str) -> None:
        """Say what is wrong with which variable."""
        super().__init__(f"{variable}: found {found!r}, expected {expected}")


class Settings(NamedTuple):
    """All settings, valid."""

    gitlab_url: str
    phrases: tuple[str, ...]
    model: Model
    pipeline_ref: str
    minimum_role: int
    allowed_projects: tuple[str, ...]
    allowed_bots: frozenset[str]
    enabled: bool

    @property
    def host(self) -> str:
        """The host (and port) of the one GitLab served."""
        return urlsplit(self.gitlab_url).netloc

    def serves(self, project_id: int, project_path: str) -> bool:
        """Tell whether ALLOWED_PROJECTS lets the project in; globs apply to paths, and `*` crosses `/`."""
        return any(
            entry == str(project_id) or fnmatchcase(project_path.lower(), entry) for entry in self.allowed_projects
        )

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Settings":
        """Read and check the environment; raise SettingsError for the first variable that is wrong."""
        found = {name: environment.get(name, "").strip() or variable.default for name, variable in VARIABLES.items()}
        return cls(
            gitlab_url=_url(found["GITLAB_URL"]),
            phrases=_phrases(found["TRIGGER_PHRASE"]),
            model=_model(found["MODEL_PROVIDER"], found["MODEL_REGION"], found["MODEL"]),
            pipeline_ref=_one_of("PIPELINE_REF", found["PIPELINE_REF"], ("default", "source")),
            minimum_role=ROLES[_one_of("MINIMUM_ROLE", found["MINIMUM_ROLE"].lower(), tuple(ROLES))],
            allowed_projects=tuple(entry.lower() for entry in _list(found["ALLOWED_PROJECTS"])),
            allowed_bots=frozenset(entry.lower() for entry in _list(found["ALLOWED_BOTS"])),
            enabled=_one_of("ENABLED", found["ENABLED"].lower(), ("true", "false")) == "true",
        )


def required(environment: Mapping[str, str], variable: str, expected: str) -> str:
    """Return a variable that a platform cannot do without; raise SettingsError when it is missing or empty."""
    value = environment.get(variable, "").strip()
    if not value:
        raise SettingsError(variable, environment.get(variable), expected)
    return value


def _url(value: str) -> str:
    expected = "the address of one GitLab, such as https://gitlab.example.com (a relative URL root may follow)"
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise SettingsError("GITLAB_URL", value, expected) from None
    if parts.username or parts.password or parts.query or parts.fragment or port == 0:
        raise SettingsError("GITLAB_URL", "an address with more than scheme, host and path", expected)
    # Plain http is for a GitLab on this machine only: tokens would travel in the clear.
    local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if not parts.hostname or not (parts.scheme == "https" or (parts.scheme == "http" and local)):
        raise SettingsError("GITLAB_URL", value, expected)
    return value.rstrip("/")


def _phrases(value: str) -> tuple[str, ...]:
    phrases = _list(value)
    if not phrases or not all(map(_PHRASE.fullmatch, phrases)):
        raise SettingsError("TRIGGER_PHRASE", value, "a comma list of GitLab user names, each with its @")
    return phrases


def _model(name: str, region: str, model: str) -> Model:
    provider = PROVIDERS[_one_of("MODEL_PROVIDER", name, tuple(PROVIDERS))]
    if expected := provider.region_expected(region):
        raise SettingsError("MODEL_REGION", region or None, expected)
    if expected := provider.model_expected(region, model):
        raise SettingsError("MODEL", model, expected)
    return Model(provider, region if provider.regions else "", model)


def _one_of(variable: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise SettingsError(variable, value, f"one of {', '.join(allowed)}")
    return value


def _list(value: str) -> tuple[str, ...]:
    return tuple(entry.strip() for entry in value.split(",") if entry.strip())
