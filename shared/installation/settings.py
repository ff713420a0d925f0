"""The installation's settings, read once at cold start. They hold no secret."""

import json
import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from shared.installation.providers import PROVIDERS, Model
from shared.outcome import messages

# https://docs.gitlab.com/api/access_requests/#valid-access-levels; below guest nobody may comment.
ROLES = {"guest": 10, "planner": 15, "reporter": 20, "developer": 30, "maintainer": 40, "owner": 50}

# A pattern, not urllib.parse: that takes 3 ms of each cold start.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?:/[A-Za-z0-9._~-]+)*/?",
    re.ASCII,
)
PROMPTED = ("review", "fix", "explain")  # the commands that choose a prompt
_NOT_PLAIN = re.compile(r"""[^ -~]+|["\\]+""")
_PHRASE = re.compile(r"@[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_-])?", re.ASCII)


class Variable(NamedTuple):
    """A variable of the environment: the value it has when not set (or empty), and what it means."""

    default: str
    meaning: str


VARIABLES = {
    "GITLAB_URL": Variable(
        "https://gitlab.com", "the one GitLab this installation serves; no other is ever called"
    ),
    "TRIGGER_PHRASE": Variable(
        "@claude", "who is mentioned to start a run; a comma list of names with their @"
    ),
    "TRIGGER_LABEL": Variable(
        "claude", "the label that starts a run when it is newly added; none: no label does"
    ),
    "MODEL_PROVIDER": Variable("anthropic", "anthropic, bedrock or vertex"),
    "MODEL_REGION": Variable("", "the provider's region; required for bedrock and vertex"),
    "MODEL": Variable("", "full model id; checked against the provider"),
    "ALLOWED_MODELS": Variable(
        "", "comma list of the model ids that a comment may choose with --model"
    ),
    "MAX_TURNS": Variable(
        "40",
        "the most that a comment may ask for with --turns; the job's own limit holds as well; 0: nothing",
    ),
    "MAX_MINUTES": Variable("30", "the most that a comment may ask for with --minutes; likewise"),
    "PROMPTS": Variable(
        "",
        'JSON such as {"review": "Look at security first.", "assign": "Solve this issue."}: what the job is told for '
        "a command (review, fix, explain) or an event (assign, assign_reviewer, label)",
    ),
    "PIPELINE_REF": Variable(
        "default",
        "default: pipelines run on the default branch, whose job definition is trusted; "
        "source: on a merge request's source branch, if it is in the same project",
    ),
    "MINIMUM_ROLE": Variable("developer", f"the GitLab role it takes to ask: {', '.join(ROLES)}"),
    "ALLOWED_PROJECTS": Variable(
        "*", "comma list of project ids and paths; in paths * stands for any characters"
    ),
    "ALLOWED_BOTS": Variable("", "comma list of the user names of bots that may ask"),
    "RUNS_PER_THREAD": Variable(
        "6", "runs per issue or merge request within ten minutes; 0: no limit"
    ),
    "RUNS_PER_USER_PER_HOUR": Variable("20", "runs per author within an hour; 0: no limit"),
    "RUNS_PER_DAY": Variable(
        "200", "runs of the whole installation within a day (UTC); 0: no limit"
    ),
    "SERVE_CONFIDENTIAL": Variable(
        "true", "false: internal notes and confidential issues start nothing"
    ),
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
    labels: frozenset[str]
    marks: tuple[str, ...]
    model: Model
    allowed_models: tuple[str, ...]
    max_turns: int
    max_minutes: int
    prompts: Mapping[str, str]
    pipeline_ref: str
    minimum_role: int
    allowed_projects: tuple[str, ...]
    allowed_bots: frozenset[str]
    runs_per_thread: int
    runs_per_user_per_hour: int
    runs_per_day: int
    serve_confidential: bool
    enabled: bool

    @property
    def host(self) -> str:
        """The host (and port) of the one GitLab served."""
        return self.gitlab_url.split("/")[2]

    @property
    def names(self) -> frozenset[str]:
        """The phrases as user names in lower case: to assign one of them is to ask."""
        return _names(self.phrases)

    def serves(self, project_id: int, project_path: str) -> bool:
        """Tell whether ALLOWED_PROJECTS lets the project in; globs apply to paths, and `*` crosses `/`."""
        return any(
            entry == str(project_id) or fnmatchcase(project_path.lower(), entry)
            for entry in self.allowed_projects
        )

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Settings":
        """Read and check the environment; raise SettingsError for the first variable that is wrong."""
        found = {
            name: environment.get(name, "").strip() or variable.default
            for name, variable in VARIABLES.items()
        }
        model = _model(found["MODEL_PROVIDER"], found["MODEL_REGION"], found["MODEL"])
        phrases = _phrases(found["TRIGGER_PHRASE"])
        labels = frozenset(
            label.lower() for label in (found["TRIGGER_LABEL"],) if label.lower() != "none"
        )
        return cls(
            gitlab_url=_url(found["GITLAB_URL"]),
            phrases=phrases,
            labels=labels,
            marks=_marks(phrases, labels),
            model=model,
            allowed_models=_models(found["ALLOWED_MODELS"], model),
            max_turns=_number("MAX_TURNS", found["MAX_TURNS"], "none may be asked for"),
            max_minutes=_number("MAX_MINUTES", found["MAX_MINUTES"], "none may be asked for"),
            prompts=_prompts(found["PROMPTS"]),
            pipeline_ref=_one_of("PIPELINE_REF", found["PIPELINE_REF"], ("default", "source")),
            minimum_role=ROLES[
                _one_of("MINIMUM_ROLE", found["MINIMUM_ROLE"].lower(), tuple(ROLES))
            ],
            allowed_projects=tuple(entry.lower() for entry in _list(found["ALLOWED_PROJECTS"])),
            allowed_bots=frozenset(entry.lower() for entry in _list(found["ALLOWED_BOTS"])),
            runs_per_thread=_number("RUNS_PER_THREAD", found["RUNS_PER_THREAD"]),
            runs_per_user_per_hour=_number(
                "RUNS_PER_USER_PER_HOUR", found["RUNS_PER_USER_PER_HOUR"]
            ),
            runs_per_day=_number("RUNS_PER_DAY", found["RUNS_PER_DAY"]),
            serve_confidential=_switch("SERVE_CONFIDENTIAL", found["SERVE_CONFIDENTIAL"]),
            enabled=_switch("ENABLED", found["ENABLED"]),
        )


def required(environment: Mapping[str, str], variable: str, expected: str) -> str:
    """Return a variable that a platform cannot do without; raise SettingsError when it is missing or empty."""
    value = environment.get(variable, "").strip()
    if not value:
        raise SettingsError(variable, environment.get(variable), expected)
    return value


def _url(value: str) -> str:
    found = _URL.fullmatch(value)
    # Plain http is for a GitLab on this machine only: tokens would travel in the clear.
    here = found and found["host"] in ("127.0.0.1", "localhost")
    if not found or not (found["scheme"] == "https" or here) or int(found["port"] or 0) > 65535:  # noqa: PLR2004
        # What stands before an @ may be a password.
        shown = "an address with a user name" if "@" in value else value
        expected = "the address of one GitLab, such as https://gitlab.example.com (a relative URL root may follow)"
        raise SettingsError("GITLAB_URL", shown, expected)
    return value.rstrip("/")


def _phrases(value: str) -> tuple[str, ...]:
    phrases = _list(value)
    if not phrases or not all(map(_PHRASE.fullmatch, phrases)):
        raise SettingsError(
            "TRIGGER_PHRASE", value, "a comma list of GitLab user names, each with its @"
        )
    return phrases


def _names(phrases: tuple[str, ...]) -> frozenset[str]:
    return frozenset(phrase.removeprefix("@").lower() for phrase in phrases)


def _marks(phrases: tuple[str, ...], labels: frozenset[str]) -> tuple[str, ...]:
    """Return what each delivery that concerns us holds one of: a phrase, a name or the label as JSON, a run of ours."""
    names = [
        f'"{name}"' for name in sorted(_names(phrases) | labels) if not _NOT_PLAIN.search(name)
    ]
    # Of other labels the longest part that looks the same in any JSON and in either case; none: any may be ours.
    others = [
        max(_NOT_PLAIN.split(label), key=len) or '"labels"'
        for label in labels
        if _NOT_PLAIN.search(label)
    ]
    return (*phrases, *names, *others, "ai_flow")


def _model(name: str, region: str, model: str) -> Model:
    provider = PROVIDERS[_one_of("MODEL_PROVIDER", name, tuple(PROVIDERS))]
    if expected := provider.region_expected(region):
        raise SettingsError("MODEL_REGION", region or None, expected)
    if expected := provider.model_expected(region, model):
        raise SettingsError("MODEL", model, expected)
    return Model(provider, region if provider.regions else "", model)


def _models(value: str, chosen: Model) -> tuple[str, ...]:
    models = _list(value)
    for model in models:
        if expected := chosen.provider.model_expected(chosen.region, model):
            raise SettingsError("ALLOWED_MODELS", model, expected)
    return models


def _prompts(value: str) -> dict[str, str]:
    keys = {*PROMPTED, *messages.PROMPTS}
    expected = f"a JSON object of texts, its keys among {', '.join(sorted(keys))}"
    try:
        prompts = json.loads(value or "{}")
    except ValueError:
        raise SettingsError("PROMPTS", "no JSON", expected) from None
    if not isinstance(prompts, dict) or not keys.issuperset(prompts):
        raise SettingsError(
            "PROMPTS",
            sorted(prompts) if isinstance(prompts, dict) else type(prompts).__name__,
            expected,
        )
    if not all(isinstance(text, str) for text in prompts.values()):
        raise SettingsError("PROMPTS", "a value that is no text", expected)
    return prompts


def _one_of(variable: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise SettingsError(variable, value, f"one of {', '.join(allowed)}")
    return value


def _switch(variable: str, value: str) -> bool:
    return _one_of(variable, value.lower(), ("true", "false")) == "true"


def _number(variable: str, value: str, zero: str = "no limit") -> int:
    # A window is one record, and a record holds the ids of its runs: 400 KB at most on DynamoDB.
    if not (value.isascii() and value.isdigit() and len(value) <= 4):  # noqa: PLR2004
        raise SettingsError(variable, value, f"a whole number up to 9999; 0: {zero}")
    return int(value)


def _list(value: str) -> tuple[str, ...]:
    return tuple(entry.strip() for entry in value.split(",") if entry.strip())
