"""What GitLab's refusals mean: which of them heals by itself, and which only a person can heal."""

from shared.gitlab.values import GitLabError
from shared.outcome.reasons import Reason, Retry, Stop, TriggerError

# Parts of GitLab's answers to the trigger call: gitlabhq lib/api/ci/triggers.rb and the messages of
# the pipeline chain.
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
    """Return what GitLab's refusal of the trigger call means: Stop if only a person can heal it.

    Else Retry, with the seconds to wait where GitLab told them.

    >>> refused(GitLabError(400, "{'base': ['Reference not found']}")).reason.name
    'REF_NOT_FOUND'
    >>> refused(GitLabError(503, after=30.0)).after
    30.0
    """
    status = error.status
    if status in (401, 404):
        return Stop(Reason.TRIGGER_TOKEN_REJECTED)
    if "Too many pipelines" in error.message:
        return Retry(Reason.PIPELINE_RATE_LIMIT, after=60)
    if status == 422:  # noqa: PLR2004
        return Stop(Reason.CI_CONFIG_INVALID)
    if 400 <= status < 500 and status not in (408, 429):  # noqa: PLR2004
        known = (reason for text, reason in _REFUSALS if text in error.message)
        return Stop(next(known, Reason.GITLAB_REFUSED))
    return unavailable(error)


def unavailable(error: GitLabError) -> Retry:
    """Return the retry for an answer that says nothing about the request itself."""
    if error.status in (401, 403):
        return Retry(Reason.API_TOKEN_REJECTED)
    if 300 <= error.status < 400:  # noqa: PLR2004
        return Retry(Reason.GITLAB_REDIRECTS)
    return Retry(Reason.GITLAB_UNAVAILABLE, after=error.after)
