"""What holds for every test: nothing it prints or logs may spell a secret."""

from collections.abc import Generator

import pytest

from tests.support import canaries

pytest_plugins = ["pytester"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test whose captured output holds a canary."""
    report = yield
    printed = "".join(text for _, text in report.sections)
    if report.when == "teardown" and report.passed and canaries.found_in(printed):
        report.outcome = "failed"
        report.longrepr = "the captured output holds a secret"
    return report
