"""Which projects the sweep looks at: those it has served, and those the settings name. It asks GitLab nothing."""

import json

from shared.installation.secrets import GitLabSecrets
from shared.installation.settings import Settings
from shared.runs.store import Records, change

_INDEX = "projects"
_KEPT = 10 * 365 * 24 * 3600  # seconds


def know(project_id: int, records: Records, now: float) -> None:
    """Remember a project that has had a run."""

    def with_project(known: list[int] | None) -> list[int]:
        return [*(known or []), *([] if project_id in (known or []) else [project_id])]

    change(_INDEX, records, int(now) + _KEPT, with_project)


def known(settings: Settings, secrets: GitLabSecrets, records: Records) -> list[str]:
    """Return ids and paths: of the projects served so far, in ALLOWED_PROJECTS without globs, with a trigger token."""
    text, _ = records.read(_INDEX)
    served = [str(project_id) for project_id in json.loads(text)] if text else []
    named = [
        entry
        for entry in (*settings.allowed_projects, *secrets.trigger_tokens)
        if not set(entry) & set("*?[")
    ]
    return list(dict.fromkeys([*served, *named]))
