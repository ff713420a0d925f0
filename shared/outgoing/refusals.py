"""What GitLab's refusals mean: which of them heals by itself, and which only a person can heal."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from shared.gitlab.values import GitLabError
from shared.outcome.reasons import Reason, Retry, Stop, TriggerError

# Parts of GitLab's answers to the trigger call: gitlabhq lib/api/ci/triggers.rb and the messages of
# the pipeline chain, lib/gitlab/ci/pipeline/chain, of several versions.
_REFUSALS = (
    ("Reference not found", Reason.REF_NOT_FOUND),
    ("Ref is ambiguous", Reason.REF_NOT_FOUND),
    ("Commit not found", Reason.REF_NOT_FOUND),
    ("sufficient permission to run a pipeline on", Reason.REF_NOT_PERMITTED),
    ("Insufficient permissions to create a new pipeline", Reason.REF_NOT_PERMITTED),
    ("workflow:rules", Reason.WORKFLOW_RULES),
    ("filtered out by workflow rules", Reason.WORKFLOW_RULES),
    ("would have been empty", Reason.NO_JOB),
    ("No stages / jobs for this pipeline", Reason.NO_JOB),
    ("set pipeline variables", Reason.VARIABLES_FORBIDDEN),
    ("Pipelines are disabled", Reason.CI_DISABLED),
    ("dentity verification is required", Reason.IDENTITY_NOT_VERIFIED),
    ("limit exceeded", Reason.PIPELINE_LIMIT),
    ("exceeded the limit", Reason.PIPELINE_LIMIT),
    ("too many active", Reason.PIPELINE_LIMIT),
    ("xternal validation failed", Reason.EXTERNAL_VALIDATION),
)
# In maintenance mode: https://docs.gitlab.com/administration/maintenance_mode/#rest-api
_READ_ONLY = ("read-only instance", "maintenance mode")
# What GitLab's complaints about a configuration speak of; it answers 422 for others as well.
_CONFIGURATION = re.compile(
    r"config|stage|job:|job needs|needs:|file|include|yaml|parsing|syntax|input|interpolation"
    r"|circular|extends|component|project `",
    re.IGNORECASE,
)


def refused(error: GitLabError) -> TriggerError:
    """Return what GitLab's refusal of the trigger call means: Stop if only a person can heal it.

    Else Retry, with the seconds to wait where GitLab told them.

    >>> refused(GitLabError(400, "{'base': ['Reference not found']}")).reason.name
    'REF_NOT_FOUND'
    >>> refused(GitLabError(503, after=30.0)).after
    30.0
    """
    status, said = error.status, error.message
    if status in (401, 404):
        return Stop(Reason.TRIGGER_TOKEN_REJECTED)
    if "Too many pipelines" in said:
        return Retry(Reason.PIPELINE_RATE_LIMIT, after=60)
    if not 400 <= status < 500 or status in (408, 429):  # noqa: PLR2004
        return unavailable(error)
    if any(text in said for text in _READ_ONLY):
        return Retry(Reason.GITLAB_UNAVAILABLE, after=error.after)
    known = (reason for text, reason in _REFUSALS if text in said)
    return Stop(next(known, _unknown(status, said)))


def unavailable(error: GitLabError) -> Retry:
    """Return the retry for an answer that says nothing about the request itself."""
    if error.status in (401, 403):
        return Retry(Reason.API_TOKEN_REJECTED)
    if 300 <= error.status < 400:  # noqa: PLR2004
        return Retry(Reason.GITLAB_REDIRECTS)
    return Retry(Reason.GITLAB_UNAVAILABLE, after=error.after)


@contextmanager
def as_retry() -> Iterator[None]:
    """Raise Retry instead of the GitLabError of what is asked in the block."""
    try:
        yield
    except GitLabError as error:
        raise unavailable(error) from error


def _unknown(status: int, said: str) -> Reason:
    """Return what a refusal in words that we do not know is told as.

    A 422 is a pipeline that GitLab keeps as failed, most often for its configuration.
    """
    if status != 422:  # noqa: PLR2004
        return Reason.GITLAB_REFUSED
    about_it = _CONFIGURATION.search(said)
    return Reason.CI_CONFIG_INVALID if about_it else Reason.PIPELINE_FAILED_AT_ONCE
