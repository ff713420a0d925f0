"""How pipelines and their jobs move on, as runners would move them."""
# ruff: noqa: EM102, TRY003  (what is wrong is named)

from collections.abc import Mapping

from .records import Record
from .tables import Tables

LIVE = (
    "created",
    "waiting_for_resource",
    "preparing",
    "waiting_for_callback",
    "pending",
    "running",
    "scheduled",
)
_RAN = ("success", "failed", "canceled")
STATUSES = (*LIVE, "manual", "canceling", "skipped", *_RAN)


class CiState(Tables):
    """Pipelines and jobs; a change of status tells the webhooks, the jobs' first as in GitLab."""

    # True: a canceled job is `canceling` until its runner has stopped it (17.0 and later)
    cancels_gracefully = False

    def pipeline(
        self, project_id: int, *, ref: str, sha: str, user_id: int, source: str = "trigger"
    ) -> Record:
        """Add a pipeline without jobs; the newest of its branch is its merge request's."""
        with self.lock:
            now, made = self.clock(), self.ids("pipelines", project_id)
            pipeline: Record = {"id": self.number(), "iid": len(made) + 1, "project_id": project_id}
            pipeline |= {"user_id": user_id, "ref": ref, "sha": sha, "source": source}
            pipeline |= {"status": "created", "created_at": now, "updated_at": now}
            pipeline |= {"yaml_errors": None, "jobs": [], "failure_reason": None, "name": None}
            pipeline |= {"started_at": None, "finished_at": None, "variables": []}
            pipeline |= {"bridges": [], "suites": [], "quality": []}
            self.pipelines[pipeline["id"]] = pipeline
            made.append(pipeline["id"])
            return pipeline

    def job(
        self, pipeline_id: int, name: str, *, stage: str = "test", allow_failure: bool = False
    ) -> Record:
        """Add a job to a pipeline (the trigger call makes one, `claude`)."""
        with self.lock:
            pipeline = self.pipelines[pipeline_id]
            job: Record = {
                "id": self.number(),
                "name": name,
                "stage": stage,
                "allow_failure": allow_failure,
            }
            job |= {
                "status": "created",
                "failure_reason": None,
                "created_at": self.clock(),
                "queued_at": None,
            }
            job |= {"started_at": None, "finished_at": None, "trace": "", "archive": {}}
            job |= {"pipeline_id": pipeline_id, "project_id": pipeline["project_id"]}
            self.jobs[job["id"]] = job
            pipeline["jobs"].append(job)
            self.fire("job", job)
            return job

    def set_job(self, job_id: int, status: str, *, failure_reason: str | None = None) -> Record:
        """Move one job on and leave its pipeline as it is; without a status that differs nothing is
        told.
        """
        with self.lock:
            job = self.jobs[job_id]
            before = job["status"]
            self._move(job, status)
            job["failure_reason"] = failure_reason if status == "failed" else None
            if status != before:
                self.fire("job", job)
            return job

    def set_pipeline(
        self,
        pipeline_id: int,
        status: str,
        *,
        failure_reason: str | None = None,
        job_status: str | Mapping[str, str] | None = None,
    ) -> Record:
        """Move a pipeline on, as a runner would, and its jobs with it: `pending`, `running`,
        `success`, `failed`, …

        `job_status` is what becomes of the jobs where it is not the pipeline's own status: one word
        for all, or a word by job name. Jobs that have ended stay as they are unless all have.
        """
        with self.lock:
            pipeline = self.pipelines[pipeline_id]
            before = pipeline["status"]
            self._move(pipeline, status)
            pipeline |= {
                "updated_at": self.clock(),
                "failure_reason": failure_reason if status == "failed" else None,
            }
            for job, wanted in _jobs(pipeline, status if job_status is None else job_status):
                self.set_job(job["id"], wanted, failure_reason=failure_reason)
            if status != before:
                self.fire("pipeline", pipeline)
            return pipeline

    def cancel_pipeline(self, pipeline_id: int) -> Record:
        """Cancel what has not ended; running jobs take their time if `cancels_gracefully`."""
        with self.lock:
            pipeline = self.pipelines[pipeline_id]
            running = {job["name"] for job in pipeline["jobs"] if job["status"] == "running"}
            if not running or not self.cancels_gracefully:
                return self.set_pipeline(pipeline_id, "canceled")
            becomes = {
                job["name"]: "canceling" if job["name"] in running else "canceled"
                for job, _ in _jobs(pipeline, "canceled")
            }
            return self.set_pipeline(pipeline_id, "canceling", job_status=becomes)

    def _move(self, record: Record, status: str) -> None:
        """Set the status and the times that go with it; what never ran has no start."""
        if status not in STATUSES:
            raise ValueError(f"no status {status!r}")
        now = self.clock()
        if status in ("running", "success"):
            record["started_at"] = record["started_at"] or now
        if status == "pending" and "queued_at" in record:
            record["queued_at"] = now
        record |= {"status": status, "finished_at": now if status in _RAN else None}


def _jobs(pipeline: Record, status: str | Mapping[str, str]) -> list[tuple[Record, str]]:
    """Pair the jobs that move with their new status."""
    if not isinstance(status, str):
        return [(job, status[job["name"]]) for job in pipeline["jobs"] if job["name"] in status]
    going = [job for job in pipeline["jobs"] if job["status"] not in (*_RAN, "skipped")]
    return [(job, status) for job in going or pipeline["jobs"]]
