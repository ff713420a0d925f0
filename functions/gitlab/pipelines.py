"""Pipelines: started, found again, followed, cancelled."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from functions.gitlab.client import PAGE, Client, Group, integer
from shared.gitlab.values import GitLabError, Job, Pipeline, Progress
from shared.incoming.payloads import seconds
from shared.installation.secrets import Secret

_SKEW = 60  # seconds GitLab's clock may be behind ours
# Seconds from a call's start, by our clock, in which GitLab has created its pipeline, by its own:
# it is done after 75, and its clock may be ahead.
_LATEST = 900
_KNOWN = 10_000  # pipelines whose marks are kept


class Pipelines(Group):
    """What becomes of a run in GitLab."""

    def __init__(self, client: Client) -> None:
        """Take the client; know no pipeline."""
        super().__init__(client)
        self._read_marks: dict[str, tuple[object, ...]] = {}
        self._reached: dict[tuple[int, str], int] = {}

    def trigger(self, project_id: int, token: Secret, body: Mapping[str, object]) -> Pipeline:
        """`POST /projects/:id/trigger/pipeline`: https://docs.gitlab.com/api/pipeline_triggers/.

        The trigger token goes in the body only, and no other token with it.
        """
        path = f"/projects/{project_id}/trigger/pipeline"
        answer = self._client.post_anonymously(path, {"token": token.reveal(), **body})
        if not isinstance(answer, dict) or type(answer.get("id")) is not int:
            raise GitLabError(0, unsure=True)
        return _pipeline(answer)

    def find_pipeline(self, project_id: int, mark: str, since: float) -> Pipeline | None:
        """`GET …/pipelines?source=trigger`, oldest first, then the variables of each.

        https://docs.gitlab.com/api/pipelines/#retrieve-pipeline-variables. It looks as far as
        GitLab may have created what was asked for, and at the variables of each pipeline once; and
        it begins with the page that had the last one found of those that were asked for in the same
        minute. So what many unsure calls cost grows with their number.
        """
        path = f"/projects/{project_id}/pipelines"
        after = datetime.fromtimestamp((since - _SKEW) // 60 * 60, UTC).isoformat()
        begin = self._reached.get((project_id, after), 1)
        for start in dict.fromkeys((begin, 1)):  # what is not further on may stand before
            found = self._find_from(start, path, after, mark, since + _LATEST)
            if found:
                if len(self._reached) >= _KNOWN:
                    self._reached.clear()
                self._reached[project_id, after] = found[0]
                return found[1]
        return None

    def _find_from(
        self, start: int, path: str, after: str, mark: str, latest: float
    ) -> tuple[int, Pipeline] | None:
        """Return the marked pipeline and the page it is on, from the page `start` on."""
        query = {"source": "trigger", "created_after": after, "order_by": "id", "sort": "asc"}
        for number, found in enumerate(self._client.pages(path, query, start=start)):
            if seconds(found.get("created_at")) > latest:
                break
            if mark in self._marks_of(f"{path}/{integer(found, 'id')}/variables"):
                return start + number // PAGE, _pipeline(found)
        return None

    def _marks_of(self, path: str) -> tuple[object, ...]:
        """Return the marks a pipeline was started with, which never change."""
        known = self._read_marks.get(path)
        if known is None:
            known = tuple(mark for each in self._client.page(path) for mark in _marks(each))
            if len(self._read_marks) >= _KNOWN:
                self._read_marks.clear()
            self._read_marks[path] = known
        return known

    def progress(
        self, project_id: int, pipeline_id: int, before: Progress | None = None
    ) -> Progress | None:
        """`GET …/pipelines/:id`, then its jobs if it has moved on."""
        pipeline = self._client.find(f"/projects/{project_id}/pipelines/{pipeline_id}")
        if pipeline is None:
            return None
        progress = _progress(pipeline)
        if before and before.status == progress.status:
            return progress._replace(jobs=before.jobs)
        return progress._replace(jobs=self.jobs(project_id, pipeline_id))

    def jobs(self, project_id: int, pipeline_id: int, *, retried: bool = False) -> tuple[Job, ...]:
        """`GET …/pipelines/:id/jobs`, but those whose failure is allowed.

        With `retried` also those that were started again: https://docs.gitlab.com/api/jobs/
        """
        path = f"/projects/{project_id}/pipelines/{pipeline_id}/jobs"
        query = {"include_retried": "true"} if retried else {}
        return tuple(
            _job(job)
            for job in self._client.page(path, per_page=PAGE, **query)
            if retried or not job.get("allow_failure") or job.get("status") != "failed"
        )

    def newest_pipelines(self, project_id: int) -> Iterator[tuple[int, Progress]]:
        """`GET …/pipelines?source=trigger`: newest first, a hundred in a call."""
        query = {"source": "trigger", "order_by": "id", "sort": "desc"}
        for found in self._client.pages(f"/projects/{project_id}/pipelines", query):
            yield integer(found, "id"), _progress(found)

    def cancel(self, project_id: int, pipeline_id: int) -> None:
        """`POST …/pipelines/:id/cancel`; GitLab answers 200 where nothing is left to do, too."""
        self._client.post(f"/projects/{project_id}/pipelines/{pipeline_id}/cancel", {})


def _pipeline(found: Mapping[str, Any]) -> Pipeline:
    return Pipeline(integer(found, "id"), str(found.get("web_url", "")))


def _progress(found: Mapping[str, Any]) -> Progress:
    return Progress(
        status=str(found.get("status")),
        duration=int(found.get("duration") or 0),
        created_at=seconds(found.get("created_at")),
        jobs=(),
        url=str(found.get("web_url", "")),
        source=str(found.get("source", "")),
        ref=str(found.get("ref", "")),
    )


def _job(found: Mapping[str, Any]) -> Job:
    return Job(
        id=integer(found, "id"),
        status=str(found.get("status")),
        failure_reason=str(found.get("failure_reason") or ""),
        url=str(found.get("web_url")),
        name=str(found.get("name") or ""),
        began=found.get("started_at") is not None,
    )


def _marks(variable: Mapping[str, Any]) -> tuple[object, ...]:
    """Return the nonce and run id a variable tells; text that merely quotes one does not count."""
    value = variable.get("value")
    if variable.get("key") in ("AI_FLOW_NONCE", "AI_FLOW_ID"):
        return (value,)
    if variable.get("key") != "TRIGGER_PAYLOAD":
        return ()
    try:
        sent = json.loads(str(value))["ai_flow"]
        return sent.get("nonce"), sent.get("id")
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()
