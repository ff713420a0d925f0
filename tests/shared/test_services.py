from tests.support import fakes


def test_a_day_begins_at_midnight_in_utc() -> None:
    clock = fakes.Clock()
    services = fakes.services(fakes.GitLab(), fakes.Records(), clock, fakes.Log())
    clock.time = 1798761599.9
    assert services.today() == "2026-12-31"
    clock.time += 0.1
    assert services.today() == "2027-01-01"
