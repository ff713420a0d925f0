"""The installation's settings, read once at cold start. They hold no secret.

A setting is one row: a field of `Settings`, its variable and what it means. generate.py makes of
the rows the table in docs/settings.md, the parameters of template.yaml and the substitutions of
cloudbuild.yaml.
"""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from shared.contract.ai_flow import ENGLISH, LANGUAGES
from shared.installation import readers
from shared.installation.providers import BEDROCK_PROFILES, NEWEST, PROVIDERS, Model, Provider
from shared.installation.readers import ROLES, SettingsError, Texts, Variable

if TYPE_CHECKING:
    from shared.installation.auto import Policy

T = TypeVar("T")

_NOT_PLAIN = r"""[^ -~]+|["\\]+"""
_SWITCH = ("true", "false")
_REFUSE, _READ_ONLY = "refuse", "read-only"
_MOST = 9999
_NO_OPTION = "none may be asked for"
_DOLLARS = f"^({readers.DOLLARS})?$"
# What a delivery holds that a policy may name, as any writer of JSON puts it.
_OF_MERGE_REQUEST = tuple(f'"object_kind":{blank}"merge_request"' for blank in ("", " "))
_FAILED = tuple(f'"status":{blank}"failed"' for blank in ("", " "))


def _row(read: Callable[[Variable, Texts], T], variable: Variable, meaning: str) -> T:
    """Declare a field by its row: its reader, its variable, what it means in a sentence or two."""
    return cast("T", (read, variable, meaning))


def _dollars(name: str) -> Variable:
    return Variable(
        name, "", "Spend", pattern=_DOLLARS, pattern_in_words="US dollars such as 2.50, or empty"
    )


class Settings(NamedTuple):
    """All settings, valid; read in this order, which is that of the docs and of the consoles."""

    prefilter: tuple[str, ...]
    gitlab_url: str = _row(
        readers.url,
        Variable(
            "GITLAB_URL",
            "https://gitlab.com",
            "GitLab",
            # Plain http is for a GitLab on this machine, as in a test.
            pattern=r"^(https://[^\s/?#@]+(/[^\s?#@]*[^\s/?#@])?|http://127\.0\.0\.1:[0-9]+)$",
            pattern_in_words="https:// and the address of one GitLab, without a slash at its end",
        ),
        "The one GitLab this installation serves. No other is ever called.",
    )
    proxy: str = _row(
        readers.proxy,
        Variable(
            "GITLAB_PROXY",
            "",
            "GitLab",
            pattern=r"^(http://[^\s/?#@]+:[0-9]+)?$",
            pattern_in_words="empty, or http:// and a proxy's name and port",
        ),
        "The HTTP proxy through which GitLab is called, such as http://proxy.example.com:3128."
        " Empty calls it directly or, locally, as HTTPS_PROXY says.",
    )
    phrases: tuple[str, ...] = _row(
        readers.phrases,
        Variable(
            "TRIGGER_PHRASE",
            "@claude",
            "GitLab",
            pattern=r"^\s*@[A-Za-z0-9_][A-Za-z0-9_.-]*(\s*,\s*@[A-Za-z0-9_][A-Za-z0-9_.-]*)*\s*$",
            pattern_in_words="a comma list of names, each with its @",
        ),
        "Who is mentioned to start a run. A comma list of names with their @.",
    )
    labels: frozenset[str] = _row(
        readers.labels,
        Variable("TRIGGER_LABEL", "claude", "GitLab"),
        "The label that starts a run when it is newly added. none lets no label do so.",
    )
    auto: "Policy | None" = _row(
        readers.auto,
        Variable(
            "AUTO",
            "",
            "GitLab",
            pattern=r"^\s*([a-z]+\s*:[^;]+(;\s*[a-z]+\s*:[^;]+)*;?)?\s*$",
            pattern_in_words="parts such as review: opened, ready; targets: main",
            longest=512,
        ),
        "What starts by itself, such as review: opened, ready, pushed; fix: failed; targets: main;"
        " authors: !renovate*; runs: 10. Empty starts nothing that nobody asked for.",
    )
    minimum_role: int = _row(
        readers.role,
        Variable("MINIMUM_ROLE", "developer", "GitLab", tuple(ROLES)),
        "The GitLab role it takes to ask.",
    )
    allowed_projects: tuple[str, ...] = _row(
        readers.paths,
        Variable("ALLOWED_PROJECTS", "*", "GitLab"),
        "Comma list of project ids and paths. In paths * stands for any characters.",
    )
    allowed_bots: frozenset[str] = _row(
        readers.names,
        Variable("ALLOWED_BOTS", "", "GitLab"),
        "Comma list of the user names of bots that may ask.",
    )
    serve_confidential: bool = _row(
        readers.switch,
        Variable("SERVE_CONFIDENTIAL", "true", "GitLab", _SWITCH),
        "false starts nothing for internal notes and confidential issues.",
    )
    pipeline_ref: str = _row(
        readers.choice,
        Variable("PIPELINE_REF", "default", "GitLab", ("default", "source")),
        "default runs pipelines on the default branch, whose job definition is trusted. source runs"
        " them on the merge request's branch, if that is in the same project.",
    )
    forks: str = _row(
        readers.choice,
        Variable("FORKS", _REFUSE, "GitLab", (_REFUSE, _READ_ONLY)),
        "refuse starts nothing in merge requests from forks. read-only lets members have them"
        " reviewed and explained: the job reads the diff as data and fetches none of the fork's"
        " code.",
    )
    runners: tuple[tuple[str, str], ...] = _row(
        readers.runners,
        Variable("RUNNER_PROJECT", "", "GitLab"),
        "The private project whose pipelines run the job, by id or path, or a comma list such as"
        " group/* = group/claude-runner. Empty runs it in the asking project.",
    )
    enabled: bool = _row(
        readers.switch,
        Variable("ENABLED", "true", "GitLab", _SWITCH),
        "false answers every delivery and starts nothing.",
    )
    provider: Provider = _row(
        readers.provider,
        Variable("MODEL_PROVIDER", "anthropic", "Model", tuple(PROVIDERS)),
        "Where the job's model runs. anthropic is the Claude API.",
    )
    region: str = _row(
        readers.region,
        Variable("MODEL_REGION", "", "Model"),
        "The AWS region of Bedrock, such as eu-central-1, or the Vertex AI location, such as"
        " global. Empty for anthropic.",
    )
    model_id: str = _row(
        readers.model,
        Variable(
            "MODEL",
            "",
            "Model",
            pattern=rf"^((({'|'.join(BEDROCK_PROFILES)})\.anthropic\.)?"
            r"claude-(?!3)[a-z0-9.-]+([@:][0-9a-z]+)?(\[1m\])?)?$",
            pattern_in_words=f"a full model id. Bedrock takes eu.anthropic.{NEWEST} (there is no"
            f" apac.), the others {NEWEST}",
        ),
        f"Full model id, such as {NEWEST} or, for Bedrock, eu.anthropic.{NEWEST}. Empty leaves it"
        " to the job (anthropic only).",
    )
    allowed_models: tuple[str, ...] = _row(
        readers.models,
        Variable(
            "ALLOWED_MODELS",
            "",
            "Model",
            pattern=r"^\s*([A-Za-z0-9@:./[\]-]+(\s*,\s*[A-Za-z0-9@:./[\]-]+)*)?\s*$",
            pattern_in_words="a comma list of full model ids",
        ),
        "Comma list of the model ids that a comment may choose with --model. On Bedrock with the"
        " prefix of Model, which is what the job's role allows.",
    )
    runs_per_thread: int = _row(
        readers.number,
        Variable("RUNS_PER_THREAD", "6", "Spend", most=_MOST),
        "Runs in one thread within 10 minutes. 0 switches the limit off.",
    )
    runs_per_user_per_hour: int = _row(
        readers.number,
        Variable("RUNS_PER_USER_PER_HOUR", "20", "Spend", most=_MOST),
        "Runs one person may start within an hour. 0 switches the limit off.",
    )
    runs_per_project_per_day: int = _row(
        readers.number,
        Variable("RUNS_PER_PROJECT_PER_DAY", "100", "Spend", most=_MOST),
        "Runs of one project within 24 hours, of those that RUNS_PER_DAY allows. 0 switches the"
        " limit off.",
    )
    runs_per_day: int = _row(
        readers.number,
        Variable("RUNS_PER_DAY", "200", "Spend", most=_MOST),
        "Runs of the whole installation within 24 hours. 0 switches the limit off, and with it that"
        " of a project.",
    )
    budget_per_run: int = _row(
        readers.dollars,
        _dollars("BUDGET_PER_RUN"),
        "What one run may spend, in US dollars such as 2.50; the job's own limit holds as well."
        " Empty or 0 leaves it to the job.",
    )
    budget_per_user_day: int = _row(
        readers.dollars_of_many,
        _dollars("BUDGET_PER_USER_DAY"),
        "What one person's runs may spend in a day of UTC, in US dollars. Takes BUDGET_PER_RUN."
        " Empty or 0 switches the budget off.",
    )
    budget_per_project_month: int = _row(
        readers.dollars_of_many,
        _dollars("BUDGET_PER_PROJECT_MONTH"),
        "What the runs asked for in one project may spend in a month of UTC, in US dollars. Takes"
        " BUDGET_PER_RUN. Empty or 0 switches the budget off.",
    )
    budget_per_installation_month: int = _row(
        readers.dollars_of_many,
        _dollars("BUDGET_PER_INSTALLATION_MONTH"),
        "What all runs may spend in a month of UTC, in US dollars. Takes BUDGET_PER_RUN. Empty or 0"
        " switches the budget off.",
    )
    max_turns: int = _row(
        readers.number,
        Variable("MAX_TURNS", "40", "Spend", most=_MOST, zero=_NO_OPTION),
        "The most that a comment may ask for with --turns; the job's own limit holds as well. 0"
        " switches the option off.",
    )
    max_minutes: int = _row(
        readers.number,
        Variable("MAX_MINUTES", "30", "Spend", most=_MOST, zero=_NO_OPTION),
        "The most that a comment may ask for with --minutes; the job's own limit holds as well. 0"
        " switches the option off.",
    )
    prompts: Mapping[str, str] = _row(
        readers.prompts,
        Variable(
            "PROMPTS",
            "",
            "Words",
            pattern=r"^\s*(\{[\s\S]*\})?\s*$",
            pattern_in_words="a JSON object of texts of at most 2,048 characters",
            longest=2048,  # all variables of a Lambda function together hold 4 KB
        ),
        'JSON such as {"review": "Look at security first."}, what the job is told for review, fix,'
        " explain, assign, assign_reviewer or label. Empty takes our words.",
    )

    language: str = _row(
        readers.choice,
        Variable("LANGUAGE", ENGLISH, "Words", LANGUAGES),
        "The language of replies, the job's included. Commands stay English words.",
    )

    @property
    def model(self) -> Model:
        """The provider, region and model id that were chosen."""
        return Model(self.provider, self.region, self.model_id)

    @property
    def host(self) -> str:
        """The host (and port) of the one GitLab served."""
        return self.gitlab_url.split("/")[2]

    @property
    def names(self) -> frozenset[str]:
        """The phrases as user names in lower case: to assign one of them is to ask."""
        return _names(self.phrases)

    @property
    def reads_forks(self) -> bool:
        """Whether merge requests from forks are served, to be read and no more."""
        return self.forks == _READ_ONLY

    @property
    def has_budgets(self) -> bool:
        """Whether there is a budget for more than one run."""
        many = self.budget_per_project_month, self.budget_per_installation_month
        return any((self.budget_per_user_day, *many))

    def serves(self, project_id: int, project_path: str) -> bool:
        """Tell whether ALLOWED_PROJECTS lets the project in; in a path `*` crosses `/`.

        A runner project is not: whoever asks there would have it run for itself.
        """
        return not self.is_runner(project_id, project_path) and any(
            _names_it(entry, project_id, project_path) for entry in self.allowed_projects
        )

    def is_runner(self, project_id: int, project_path: str) -> bool:
        """Tell whether RUNNER_PROJECT names the project as one that runs jobs."""
        names = (str(project_id), project_path.lower())
        return any(runner in names for _, runner in self.runners)

    def runner_of(self, project_id: int, project_path: str) -> str:
        """Return the id or path of the project that runs another's jobs, "" for its own.

        >>> Settings.read({"RUNNER_PROJECT": "team/* = team/runner"}).runner_of(7, "team/app")
        'team/runner'
        """
        found = (
            runner for entry, runner in self.runners if _names_it(entry, project_id, project_path)
        )
        return next(found, "")

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> "Settings":
        """Read and check the environment; raise SettingsError for the first wrong variable."""
        found = texts(environment)
        values: dict[str, Any] = {
            field: read(variable, found) for field, (read, variable, _) in ROWS.items()
        }
        prefilter = _prefilter(values["phrases"], values["labels"])
        prefilter += _named_by(values["auto"]) if values["auto"] else ()
        return cls(**values, prefilter=prefilter)


ROWS: Mapping[str, tuple[Callable[[Variable, Texts], object], Variable, str]] = (
    Settings._field_defaults
)
VARIABLES = {variable.name: variable for _, variable, _ in ROWS.values()}


def texts(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the text of every variable: its default where the environment has none."""
    return {
        name: environment.get(name, "").strip() or variable.default
        for name, variable in VARIABLES.items()
    }


def required(environment: Mapping[str, str], variable: str, expected: str) -> str:
    """Return a variable that a platform needs; raise SettingsError when it is missing or empty."""
    value = environment.get(variable, "").strip()
    if not value:
        raise SettingsError(variable, environment.get(variable), expected)
    return value


def _names_it(entry: str, project_id: int, project_path: str) -> bool:
    from fnmatch import fnmatchcase  # noqa: PLC0415  not on the cold path

    return entry == str(project_id) or fnmatchcase(project_path.lower(), entry)


def _names(phrases: tuple[str, ...]) -> frozenset[str]:
    return frozenset(phrase.removeprefix("@").lower() for phrase in phrases)


def _prefilter(phrases: tuple[str, ...], labels: frozenset[str]) -> tuple[str, ...]:
    """Return what each delivery that concerns us holds one of.

    A phrase, a name or the label as JSON has them, or what a run of ours has.
    """
    known = _names(phrases) | labels
    names = [f'"{name}"' for name in sorted(known) if _is_plain(name)]
    # Of other labels the longest part that looks the same in any JSON and in either case; if there
    # is none, any label may be ours.
    others = [
        max(re.split(_NOT_PLAIN, label), key=len) or '"labels"'
        for label in labels
        if not _is_plain(label)
    ]
    return (*phrases, *names, *others, "ai_flow")


def _named_by(policy: "Policy") -> tuple[str, ...]:
    from shared.installation.auto import FAILED  # noqa: PLC0415  where there is a policy

    return _OF_MERGE_REQUEST + (_FAILED if policy.command(FAILED) else ())


def _is_plain(name: str) -> bool:
    # As _NOT_PLAIN has it, without a pattern that each cold start would compile.
    return all(" " <= letter <= "~" and letter not in '"\\' for letter in name)
