"""The time Claude has: the input's minutes, less what is used, and less than GitLab's limit."""

import time

from job.deadline import seconds


def left(began: float = 0.0, **variables: str) -> float:
    """The seconds left of 30 minutes for a job that began so many seconds ago."""
    return seconds(variables, 30, time.monotonic() - began)


def test_what_is_used_is_taken_off() -> None:
    assert 1790 < left() <= 1800
    assert 1690 < left(began=100) <= 1700


def test_time_is_kept_for_the_reply_where_gitlab_s_limit_is_the_shorter() -> None:
    assert 530 < left(CI_JOB_TIMEOUT="600") <= 540


def test_of_a_short_limit_a_part_is_kept_so_that_claude_has_time_at_all() -> None:
    assert 44 < left(CI_JOB_TIMEOUT="60") <= 45
    assert 22 < left(CI_JOB_TIMEOUT="30") <= 22.5


def test_what_the_runner_used_for_the_clone_counts() -> None:
    begun = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 120))
    assert 1670 < left(CI_JOB_STARTED_AT=begun) < 1690
    assert 1670 < left(began=20, CI_JOB_STARTED_AT=begun) < 1690
    assert left(CI_JOB_STARTED_AT="yesterday") > 1790


def test_a_clock_that_is_wrong_takes_an_hour_at_most() -> None:
    assert left(CI_JOB_STARTED_AT="2001-01-01T00:00:00Z") > -1810
    assert left(CI_JOB_STARTED_AT="2999-01-01T00:00:00Z") > 1790
