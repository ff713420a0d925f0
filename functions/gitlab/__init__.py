"""GitLab's REST API through python-gitlab, as `shared.gitlab.port` asks for it."""

from functions.gitlab.changes import Changes
from functions.gitlab.client import Client
from functions.gitlab.people import People
from functions.gitlab.pipelines import Pipelines
from functions.gitlab.projects import Projects
from functions.gitlab.surroundings import Surroundings
from functions.gitlab.thread import Thread
from shared.installation.secrets import Cached, GitLabSecrets


class GitLab(People, Thread, Pipelines, Surroundings, Projects, Changes):
    """The port's six groups over one client; no group knows another."""

    def __init__(self, url: str, secrets: Cached[GitLabSecrets], proxy: str = "") -> None:
        """Take GitLab's one address, where the API token comes from, and a proxy if need be."""
        super().__init__(Client(url, secrets, proxy))

    def within(self, seconds: float) -> None:
        """Let the calls of this thread end within so many seconds from now, all together."""
        self._client.within(seconds)
