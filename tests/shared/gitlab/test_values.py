import pytest

from shared.gitlab.values import GitLabError, Job, Progress


def progress(status: str, *jobs: str) -> Progress:
    told = tuple(Job(number, each, "", "") for number, each in enumerate(jobs))
    return Progress(status, 0, 0.0, told)


@pytest.mark.parametrize(
    ("status", "over"),
    [
        ("created", False),
        ("waiting_for_resource", False),
        ("pending", False),
        ("running", False),
        ("manual", False),
        ("canceling", False),
        ("success", True),
        ("failed", True),
        ("canceled", True),
        ("skipped", True),
    ],
)
def test_a_pipeline_is_over_when_it_has_ended(status: str, *, over: bool) -> None:
    assert progress(status).over is over


def test_the_job_that_failed_first_is_the_one_that_is_told() -> None:
    failed = progress("failed", "success", "failed", "failed").failed
    assert failed is not None
    assert failed.id == 1
    assert progress("failed").failed is None
    assert progress("running", "failed").failed is None  # it may be one that is allowed to


@pytest.mark.parametrize("status", [0, 404])
def test_an_error_shows_no_text_of_gitlab_s(status: int) -> None:
    error = GitLabError(status, "canary")
    assert error.message == "canary"
    assert "canary" not in str(error) + repr(error)
