"""One contract for the stores of all three platforms: real adapters, real SDK clients, local services."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.claim import LEASE, State, new_claim
from shared.outcome import Reason
from shared.ports import Claims
from tests.fakes import GITLAB_SECRETS, NOW, WEBHOOK_SECRETS, run
from tests.platforms import Platform
from tests.test_platforms import PLATFORMS


@pytest.fixture(params=PLATFORMS, scope="module")
def platform(request: pytest.FixtureRequest) -> Iterator[Platform]:
    with request.param("http://127.0.0.1:1", WEBHOOK_SECRETS, GITLAB_SECRETS) as platform:
        yield platform


@pytest.fixture
def claims(platform: Platform) -> Claims:
    return platform.claims()


def test_a_run_that_nobody_claimed_has_no_claim(claims: Claims) -> None:
    assert claims.read("nobody") == (None, None)


def test_a_claim_reads_back_as_it_was_written(claims: Claims) -> None:
    claim = new_claim("reads-back", NOW)
    steps = [
        claim,
        claim.triggering(NOW + 0.5),
        claim.triggered(2**40, "https://gitlab.com/group/app/-/pipelines/1"),
        claim.released(NOW + 1),
        claim.take(NOW + LEASE),
        claim.ended(State.FINISHED, Reason.TRIGGERED),
    ]
    version = None
    for step in steps:
        version = claims.write(step, version)
        assert version is not None
        assert claims.read("reads-back") == (step, version)


def test_a_claim_is_made_once(claims: Claims) -> None:
    claim = new_claim("made-once", NOW)
    assert claims.write(claim, None) is not None
    assert claims.write(claim._replace(attempt=2), None) is None
    assert claims.read("made-once")[0] == claim


def test_a_stale_version_changes_nothing(claims: Claims) -> None:
    claim = new_claim("stale", NOW)
    first = claims.write(claim, None)
    second = claims.write(claim._replace(attempt=2), first)
    assert second not in (None, first)
    assert claims.write(claim._replace(attempt=3), first) is None
    assert claims.read("stale")[0] == claim._replace(attempt=2)


def test_of_many_at_once_one_wins(claims: Claims) -> None:
    version = claims.write(new_claim("race", NOW), None)
    for expected in (version, None):
        run_id = "race" if expected else "race-to-create"
        with ThreadPoolExecutor(12) as pool:
            attempts = [new_claim(run_id, NOW)._replace(attempt=number) for number in range(12)]
            won = list(pool.map(claims.write, attempts, [expected] * 12))
        winners = [number for number, each in enumerate(won) if each is not None]
        assert len(winners) == 1
        found = claims.read(run_id)[0]
        assert found
        assert found.attempt == winners[0]


def test_runs_do_not_touch_each_other(claims: Claims) -> None:
    for name in ("one", "two"):
        assert claims.write(new_claim(name, NOW), None) is not None
    first, version = claims.read("one")
    assert first
    assert claims.write(first.take(NOW), version) is not None
    assert claims.read("two")[0] == new_claim("two", NOW)


def test_a_request_may_be_stored_twice(platform: Platform) -> None:
    queue = platform.queue()
    for _ in range(2):
        queue.put(run())
