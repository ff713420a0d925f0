"""The hand-over to the job: what the trigger call carries and what GitLab's answer means. It makes no call."""

from shared.gitlab.values import GitLabError
from shared.outcome.reasons import Reason, Retry, Stop, TriggerError

# GitLab's answers to the trigger call: gitlabhq lib/api/ci/triggers.rb and the pipeline chain's messages.
_REFUSALS = (
    ("Reference not found", Reason.REF_NOT_FOUND),
    ("Ref is ambiguous", Reason.REF_NOT_FOUND),
    ("sufficient permission to run a pipeline on", Reason.REF_NOT_PERMITTED),
    ("Insufficient permissions to create a new pipeline", Reason.REF_NOT_PERMITTED),
    ("workflow:rules", Reason.WORKFLOW_RULES),
    ("filtered out by workflow rules", Reason.WORKFLOW_RULES),
    ("would have been empty", Reason.NO_JOB),
    ("No stages / jobs for this pipeline", Reason.NO_JOB),
    ("set pipeline variables", Reason.VARIABLES_FORBIDDEN),
)


def refused(error: GitLabError) -> TriggerError:
    """Return what GitLab's refusal of the trigger call means: Stop where only a person can heal it, else Retry."""
    status = error.status
    if status == 404 or status == 401:  # noqa: PLR1714, PLR2004
        return Stop(Reason.TRIGGER_TOKEN_REJECTED)
    if "Too many pipelines" in error.message:
        return Retry(Reason.PIPELINE_RATE_LIMIT, after=60)
    if status == 422:  # noqa: PLR2004
        return Stop(Reason.CI_CONFIG_INVALID)
    if 400 <= status < 500 and status not in (408, 429):  # noqa: PLR2004
        return Stop(
            next(
                (reason for text, reason in _REFUSALS if text in error.message),
                Reason.GITLAB_REFUSED,
            )
        )
    return unavailable(error)


def unavailable(error: GitLabError) -> Retry:
    """Return the retry for an answer that says nothing about the request itself."""
    if error.status in (401, 403):
        return Retry(Reason.API_TOKEN_REJECTED)
    if 300 <= error.status < 400:  # noqa: PLR2004
        return Retry(Reason.GITLAB_REDIRECTS)
    return Retry(Reason.GITLAB_UNAVAILABLE, after=error.after)
