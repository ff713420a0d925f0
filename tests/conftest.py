"""What holds for every test: nothing it prints or logs may spell a secret; how a run is split between workers."""

import re
from collections.abc import Generator
from typing import Any

import pytest

from tests.support import canaries

pytest_plugins = ["pytester"]

# What takes long begins first, so that no worker is left alone with it at the end.
_LONG = ("deploy", "functions", "templates", "proofs", "docs")
_BUNDLE = ("tests/deploy/test_bundle.py", "tests/deploy/test_deploy_aws.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole", action="store_true", help="play every case on every cloud")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    folders = [f"tests/{name}/" for name in _LONG]
    items.sort(key=lambda item: not item.nodeid.startswith(tuple(folders)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each worker whole units of tests (`--dist loadscope`): what they share is started once a run."""
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = unit
    return scheduler


def unit(nodeid: str) -> str:
    """Return what a test shares with others: Google's emulator, a platform, Lambda's bundle; or else its file's fixtures."""
    path, _, test = nodeid.partition("::")
    if "gcp" in path or "[gcp" in test:
        return "gcp"
    if path in _BUNDLE:
        return "bundle"
    platform = re.search(r"\[(local|aws)\b", test)
    return platform[1] if platform else path


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test whose captured output holds a canary."""
    report = yield
    printed = "".join(text for _, text in report.sections)
    if report.when == "teardown" and report.passed and canaries.found_in(printed):
        report.outcome = "failed"
        report.longrepr = "the captured output holds a secret"
    return report
