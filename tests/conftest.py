"""What holds for every test: nothing it prints or logs may spell a secret; how a run is split between workers."""

from collections.abc import Generator

import pytest

from tests.support import canaries

pytest_plugins = ["pytester"]

# What takes long begins first, so that no worker is left alone with it at the end.
_LONG = ("templates", "deploy", "functions", "proofs", "docs")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="play every case on every cloud")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a file that share what its fixtures start on one worker (`--dist loadgroup`)."""
    items.sort(
        key=lambda item: not item.nodeid.startswith(tuple(f"tests/{name}/" for name in _LONG))
    )
    for item in items:
        if isinstance(item, pytest.Function) and not item.get_closest_marker("xdist_group"):
            fixtures = item._fixtureinfo.name2fixturedefs.values()
            if any(each[-1].scope == "module" for each in fixtures):
                item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test whose captured output holds a canary."""
    report = yield
    printed = "".join(text for _, text in report.sections)
    if report.when == "teardown" and report.passed and canaries.found_in(printed):
        report.outcome = "failed"
        report.longrepr = "the captured output holds a secret"
    return report
