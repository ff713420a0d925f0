import pytest

from shared.gitlab.values import GitLabError
from shared.outcome.reasons import Reason, Retry, Stop
from shared.outgoing import refusals


@pytest.mark.parametrize(
    ("status", "message", "reason"),
    [
        (404, "404 Not Found", Reason.TRIGGER_TOKEN_REJECTED),
        (401, "Job is not running", Reason.TRIGGER_TOKEN_REJECTED),
        (400, "{'base': ['Reference not found']}", Reason.REF_NOT_FOUND),
        (400, "ref is missing", Reason.GITLAB_REFUSED),
        (400, "{'base': ['Ref is ambiguous']}", Reason.REF_NOT_FOUND),
        (
            400,
            "{'base': [\"You do not have sufficient permission to run a pipeline on 'main'. …\"]}",
            Reason.REF_NOT_PERMITTED,
        ),
        (400, "Insufficient permissions to create a new pipeline", Reason.REF_NOT_PERMITTED),
        (
            400,
            "The pipeline did not run. Review the workflow:rules configuration for the pipeline.",
            Reason.WORKFLOW_RULES,
        ),
        (400, "Pipeline filtered out by workflow rules.", Reason.WORKFLOW_RULES),
        (
            400,
            "The resulting pipeline would have been empty. Review the rules configuration …",
            Reason.NO_JOB,
        ),
        (400, "No stages / jobs for this pipeline.", Reason.NO_JOB),
        (
            400,
            "{'base': ['Insufficient permissions to set pipeline variables']}",
            Reason.VARIABLES_FORBIDDEN,
        ),
        (403, "", Reason.GITLAB_REFUSED),
        (422, "jobs config should contain at least one visible job", Reason.CI_CONFIG_INVALID),
        (422, "claude job: chosen stage ai does not exist", Reason.CI_CONFIG_INVALID),
        (422, "Local file `ci/a.yml` does not exist!", Reason.CI_CONFIG_INVALID),
        (
            422,
            "'a' job needs 'b' job, but 'b' is not in any previous stage",
            Reason.CI_CONFIG_INVALID,
        ),
        (422, "The resulting pipeline would have been empty. …", Reason.NO_JOB),
        (
            422,
            "{'base': ['Identity verification is required in order to run CI jobs']}",
            Reason.IDENTITY_NOT_VERIFIED,
        ),
        (422, "Pipeline size limit exceeded by 1 job!", Reason.PIPELINE_LIMIT),
        (
            422,
            "The number of jobs has exceeded the limit of 9. Try splitting the configuration …",
            Reason.PIPELINE_LIMIT,
        ),
        (
            422,
            "Project has too many active jobs created in the last 24 hours!",
            Reason.PIPELINE_LIMIT,
        ),
        (422, "External validation failed", Reason.EXTERNAL_VALIDATION),
        (422, "a sentence that nobody has heard", Reason.PIPELINE_FAILED_AT_ONCE),
        (422, "", Reason.PIPELINE_FAILED_AT_ONCE),
        (400, "{'base': ['Pipelines are disabled!']}", Reason.CI_DISABLED),
        (400, "{'base': ['Commit not found']}", Reason.REF_NOT_FOUND),
        (400, "something new", Reason.GITLAB_REFUSED),
    ],
)
def test_a_refusal_that_only_a_person_can_heal_is_told_at_once(
    status: int, message: str, reason: Reason
) -> None:
    refusal = refusals.refused(GitLabError(status, message))
    assert isinstance(refusal, Stop)
    assert refusal.reason is reason
    assert refusal.reason.cure


@pytest.mark.parametrize(
    ("error", "reason", "after"),
    [
        (GitLabError(0), Reason.GITLAB_UNAVAILABLE, 0),
        (GitLabError(500), Reason.GITLAB_UNAVAILABLE, 0),
        (GitLabError(503, after=7), Reason.GITLAB_UNAVAILABLE, 7),
        (GitLabError(408), Reason.GITLAB_UNAVAILABLE, 0),
        (GitLabError(429, after=30), Reason.GITLAB_UNAVAILABLE, 30),
        (GitLabError(302), Reason.GITLAB_REDIRECTS, 0),
        (
            GitLabError(403, "You cannot perform write operations on a read-only instance"),
            Reason.GITLAB_UNAVAILABLE,
            0,
        ),
        (
            GitLabError(400, "Too many pipelines created in the last minute. Try again later."),
            Reason.PIPELINE_RATE_LIMIT,
            60,
        ),
    ],
)
def test_what_heals_is_tried_again(error: GitLabError, reason: Reason, after: float) -> None:
    refusal = refusals.refused(error)
    assert isinstance(refusal, Retry)
    assert (refusal.reason, refusal.after) == (reason, after)


@pytest.mark.parametrize("status", [401, 403])
def test_a_rejected_api_token_is_no_answer_about_the_author(status: int) -> None:
    assert refusals.unavailable(GitLabError(status)).reason is Reason.API_TOKEN_REJECTED


@pytest.mark.parametrize(
    ("status", "kind", "reason"),
    [
        (299, Retry, Reason.GITLAB_UNAVAILABLE),
        (300, Retry, Reason.GITLAB_REDIRECTS),
        (399, Retry, Reason.GITLAB_REDIRECTS),
        (400, Stop, Reason.GITLAB_REFUSED),
        (499, Stop, Reason.GITLAB_REFUSED),
        (500, Retry, Reason.GITLAB_UNAVAILABLE),
    ],
)
def test_a_status_means_what_its_class_means(
    status: int, kind: type[Exception], reason: Reason
) -> None:
    refusal = refusals.refused(GitLabError(status))
    assert type(refusal) is kind
    assert refusal.reason is reason


def test_a_read_that_gitlab_refuses_is_tried_again() -> None:
    assert refusals.unavailable(GitLabError(400)).reason is Reason.GITLAB_UNAVAILABLE


def test_what_is_asked_comes_again_and_a_refusal_of_ours_stays_one() -> None:
    with pytest.raises(Retry) as retry, refusals.as_retry():
        raise GitLabError(503, after=30.0)
    assert (retry.value.reason, retry.value.after) == (Reason.GITLAB_UNAVAILABLE, 30.0)
    with pytest.raises(Stop), refusals.as_retry():
        raise Stop(Reason.SUPERSEDED)
