import pytest

from shared.gitlab.values import GitLabError
from shared.outcome.reasons import Reason, Retry, Stop
from shared.outgoing import refusals


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
