"""What setup makes and remove takes away: names by which each part is found again."""

import json
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, NamedTuple

from cli.api import MAINTAINER, OWNER, Api, under, version
from cli.installation import Installation, Unusable, document
from shared.gitlab.values import GitLabError
from shared.installation.auto import FAILED
from shared.installation.settings import Settings

Json = dict[str, Any]
PIPELINES = "pipeline_events"
# What a project sends whose jobs run elsewhere, and one that runs them itself.
ASKING = (
    "note_events",
    "confidential_note_events",
    "issues_events",
    "confidential_issues_events",
    "merge_requests_events",
)
EVENTS = (*ASKING, PIPELINES)
MARK = "gitlab-claude-trigger"
BRANCH, FILE = "claude-setup", ".gitlab/claude.yml"
ISSUE = "Claude: is it connected?"
JOB_TOKEN = "GITLAB_ACCESS_TOKEN"  # noqa: S105  the variable's name
OLDEST, SIGNED_SINCE, HIDDEN_SINCE = (17, 0), (19, 0), (17, 4)


def repairs(settings: Settings) -> bool:
    """Tell whether AUTO starts repairs."""
    return bool(settings.auto and settings.auto.command(FAILED))


class Words(NamedTuple):
    """What the person at the keyboard chose."""

    project: str = ""
    group: str = ""
    dry: bool = False
    wait: float = 30.0  # seconds for the answer to `help`


class Connection:
    """One project or group, seen with the operator's token, and the installation it reports to."""

    def __init__(
        self,
        api: Api,
        installation: Installation,
        settings: Mapping[str, str],
        words: Words,
        say: Callable[[str], None],
    ) -> None:
        """Look at everything that must be so; raise Unusable with who can mend what."""
        self.api, self.installation, self.settings = api, installation, settings
        self.words, self.say = words, say
        self.url = installation.url()
        self.me: Json = self._who()
        self.version = version(api)
        kind, name = ("groups", words.group) if words.group else ("projects", words.project)
        self.place: Json = self._visible(kind, name)
        self.path = under(kind, self.place["id"])
        self._check_role(kind)
        self.projects = [self.place] if kind == "projects" else self._served()
        self.homes: list[Json] = []  # the runner projects that run the job for some of them
        self.name = str(self.place.get("path_with_namespace") or self.place.get("full_path"))
        # Its id stays when a project or group is renamed.
        self.mark = f"{MARK} {sha256(f'{self.url} {self.path}'.encode()).hexdigest()[:8]}"
        self.gitlab, self.webhook = self._documents()

    @property
    def bot_name(self) -> str:
        """The access token's name, by which older GitLabs too find it again, and its bot's."""
        return f"Claude {self.mark[-8:]}"

    @property
    def ids(self) -> set[str]:
        """The names under which the secrets know what is connected here."""
        return {str(each["id"]) for each in (*self.projects, *self.homes)}

    @property
    def bound(self) -> set[str]:
        """The names of all whose webhooks' tokens the secrets have."""
        kinds = (self.webhook.get(key) for key in ("signing_tokens", "secret_tokens"))
        return {str(name) for kept in kinds if isinstance(kept, dict) for name in kept}

    @property
    def phrase(self) -> str:
        """How Claude is mentioned."""
        phrases = str(self.installation.environment().get("TRIGGER_PHRASE") or "@claude")
        return phrases.partition(",")[0].strip()

    @property
    def repairs(self) -> bool:
        """Whether AUTO starts repairs, which a project's own pipelines ask for."""
        said = self.settings.get("AUTO") or self.installation.environment().get("AUTO", "")
        return repairs(Settings.read({"AUTO": said}))

    @property
    def provider(self) -> str:
        """Where the job's model runs."""
        return str(self.installation.environment().get("MODEL_PROVIDER") or "anthropic")

    def act(self, what: str, action: Callable[[], object]) -> bool:
        """Do it and say so; with --dry-run only say what would be done."""
        if self.words.dry:
            self.say(f"  would: {what}")
            return False
        action()
        self.say(f"✔ {what}")
        return True

    def keep(self, name: str, content: Json) -> None:
        """Store a secret document."""
        self.installation.write(name, json.dumps(content))

    def bot(self) -> Api | None:
        """Return GitLab as the installation's bot sees it; None without a token that works."""
        token = self.gitlab.get("api_token")
        api = Api(self.api.url, str(token), self.api.proxy) if token else None
        try:
            return api if api and api.get("/user") else None
        except GitLabError as error:
            if error.status in (401, 403):
                return None
            raise

    def hooks(self) -> list[tuple[str, Json]]:
        """Return the webhooks that report to this installation, each with its path."""
        paths = dict.fromkeys([self.path, *(under("projects", e["id"]) for e in self.projects)])
        found = []
        for path in paths:
            try:
                hooks = self.api.all(f"{path}/hooks")
            except GitLabError as error:
                if path == self.path and path.startswith("/groups") and error.status in (403, 404):
                    continue  # group webhooks are a matter of the tier
                raise
            found += [(f"{path}/hooks/{e['id']}", e) for e in hooks if same(e["url"], self.url)]
        return found

    def mine(self, entries: list[Json], field: str = "description") -> list[Json]:
        """Return those entries that an earlier run made."""
        return [entry for entry in entries if self.mark in str(entry.get(field))]

    def _who(self) -> Json:
        try:
            who: Json = self.api.get("/user")
        except GitLabError as error:
            raise Unusable(_refused(error, self.api.url)) from error
        if who.get("bot"):
            message = "this is a bot's token: GitLab lets only a person's token make tokens"
            raise Unusable(message)
        scopes = (self.api.find("/personal_access_tokens/self") or {}).get("scopes", ["api"])
        if "api" not in scopes:
            message = f"the token has {', '.join(scopes)}: make one with the scope api"
            raise Unusable(message)
        return who

    def _visible(self, kind: str, name: str) -> Json:
        found = self.api.find(under(kind, name))
        if found is None:
            message = f"{self.api.url} has no {kind[:-1]} {name} that this token's user may see"
            raise Unusable(message)
        return dict(found)

    def _check_role(self, kind: str) -> None:
        needed, role = (OWNER, "an Owner") if kind == "groups" else (MAINTAINER, "a Maintainer")
        found = self.api.find(f"{self.path}/members/all/{self.me['id']}") or {}
        if found.get("access_level", 0) < needed and not self.me.get("is_admin"):
            who = f"@{self.me['username']}"
            message = f"{who} is not {role} of this {kind[:-1]}: {role} has to run this"
            raise Unusable(message)

    def _served(self) -> list[Json]:
        query = {"include_subgroups": True, "archived": False, "with_shared": False}
        return self.api.all(f"{self.path}/projects", **query)

    def _documents(self) -> tuple[Json, Json]:
        return tuple(  # type: ignore[return-value]
            document(self.installation, name) for name in ("GITLAB_SECRETS", "WEBHOOK_SECRETS")
        )


def same(one: str, other: str) -> bool:
    """Tell whether two addresses are one; GitLab keeps a slash at the end, people do not."""
    return one.rstrip("/") == other.rstrip("/")


def _refused(error: GitLabError, url: str) -> str:
    if error.status == 401:  # noqa: PLR2004
        return (
            f"{url} does not know this token: it has expired, or belongs to another GitLab than"
            " GITLAB_URL"
        )
    if 300 <= error.status < 400:  # noqa: PLR2004
        return f"{url} redirects: set GITLAB_URL to the address it redirects to"
    return f"{url} cannot be used: {error}"
