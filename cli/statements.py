"""The job's statement about a commit, out of a file, the commit's git note or the job's artifact.

What is read here is anybody's word; `cli.verify` holds it against the rest.
"""

import json
from base64 import b64decode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from functions.gitlab.client import PAGE
from shared.contract import provenance
from shared.gitlab.values import GitLabError

Json = dict[str, Any]

_MOST_JOBS = 10  # whose artifacts are looked at: others may run beside ours, or it again
_ARTIFACT = "artifacts/.gitlab-claude/statement.json"


class Broken(Exception):
    """A hop that does not hold, and why."""

    def __init__(self, hop: str, why: str) -> None:
        """Take the name of a hop of `cli.verify` and what was found."""
        super().__init__(f"{hop}: {why}")
        self.hop = hop


class Reader(Protocol):
    """GitLab as `cli.api.Api` reads it."""

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON under a path."""

    def find(self, path: str, **query: Any) -> Any | None:
        """Return the JSON under a path, None where there is nothing."""

    def all(self, path: str, **query: Any) -> list[Json]:
        """Return all entries of a list."""

    def file(self, path: str) -> bytes:
        """Return a file as it is."""


def of_file(file: Path) -> Mapping[str, Any]:
    """Return the job's artifact `statement.json`; raise Broken where it is none."""
    text = b""
    with suppress(OSError):
        text = file.read_bytes()
    return read(text, str(file))


def read(text: bytes, name: str) -> Mapping[str, Any]:
    """Return a statement of the job's; raise Broken, with the name, where the text is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    form = {"_type": provenance.STATEMENT, "predicateType": provenance.PREDICATE}
    sound = isinstance(found, dict) and all(found.get(key) == form[key] for key in form)
    if not sound or not isinstance(found.get("predicate"), dict):
        raise Broken("statement", f"{name} is no statement of the job's")
    return dict(found)


def of_note(api: Reader, project: str, sha: str) -> Mapping[str, Any] | None:
    """Return the statement that a commit's git note holds, if it has one.

    `project` is the project's path in GitLab's API;
    https://docs.gitlab.com/api/repository_files/ takes any name of a commit as `ref`.
    """
    path = quote(provenance.note_path(sha), safe="")
    found = api.find(f"{project}/repository/files/{path}", ref=provenance.NOTES)
    if not found:
        return None
    try:
        text = b64decode(str(found.get("content")), validate=True)
    except ValueError:
        text = b""
    return read(text, f"the git note in {provenance.NOTES}")


def of_artifacts(api: Reader, pipeline: str, sha: str) -> tuple[Mapping[str, Any] | None, str]:
    """Return the statement about a commit that a pipeline's jobs left, else why there is none.

    `pipeline` is the pipeline's path in GitLab's API. Where each job's can be read and none is
    about the commit, the newest is returned. GitLab takes one file out of the archive itself, so
    no redirect leads there:
    https://docs.gitlab.com/api/job_artifacts/#download-a-single-artifact-file-by-job-id.
    """
    try:
        jobs = api.find(f"{pipeline}/jobs", include_retried="true", per_page=PAGE) or []
    except GitLabError as error:
        return None, f"its pipeline's jobs are not for this token to see: {error}"
    ids = sorted((job["id"] for job in jobs if _has_archive(job)), reverse=True)
    found, why = list[Mapping[str, Any]](), ""
    for number in ids[:_MOST_JOBS]:
        path = f"{pipeline.rpartition('/pipelines/')[0]}/jobs/{number}/{_ARTIFACT}"
        try:
            given = read(api.file(path), f"the artifact of job {number}")
        except GitLabError as error:
            why = f"the artifact of job {number} has expired, is without one, or is not for this"
            why = f"{why} token to see: {error}"
            continue
        if sha in json.dumps(given.get("subject")):
            return given, ""
        found.append(given)
    if found and not why and len(ids) <= _MOST_JOBS:
        return found[0], ""
    if found:
        return None, why or "the newest jobs of its pipeline were about other commits"
    return None, why or "the artifacts of its pipeline have expired, or there never were any"


def _has_archive(job: Json) -> bool:
    return any(each.get("file_type") == "archive" for each in job.get("artifacts") or [])
