"""What holds for every test: nothing it prints may spell a secret; how workers share a run."""

import gc
import os
import re
import tempfile
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import settings

from tests.support import canaries

pytest_plugins = ["pytester"]
# Tens of thousands of small files: in memory where it has room for them, and lets programs run.
_MEMORY = "/dev/shm"  # noqa: S108
if os.access(_MEMORY, os.W_OK) and "TMPDIR" not in os.environ:
    _about = os.statvfs(_MEMORY)
    if _about.f_bavail * _about.f_frsize > 2**30 and not _about.f_flag & os.ST_NOEXEC:
        tempfile.tempdir = os.environ["TMPDIR"] = _MEMORY
# By the wall's clock, and the workers share the processors. Growth is tested by the processor's.
settings.register_profile("default", deadline=2000)

# What takes longest begins first, so that no worker is left alone with it at the end.
_LONG = ("deploy", "templates", "functions", "proofs")
_BUNDLE = ("tests/deploy/test_bundle.py", "tests/deploy/test_deploy_aws.py")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--whole", action="store_true", help="play all cases, as make faults and make security do"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "whole: a case whose values others cover; with --whole")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--whole"):
        items[:] = [item for item in items if not item.get_closest_marker("whole")]

    def place(item: pytest.Item) -> int:
        folder = item.nodeid.removeprefix("tests/").partition("/")[0]
        return _LONG.index(folder) if folder in _LONG else len(_LONG)

    items.sort(key=place)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Let no garbage collection look again at what was collected: a million objects that stay."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each worker whole units of tests (`--dist loadscope`): what a unit needs starts once."""
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = unit
    return scheduler


def unit(nodeid: str) -> str:
    """Return what a test shares with others: an emulator, a platform, a bundle, or its file.

    The `xdist_group` mark would say it, but xdist 3.8 does not read it with pytest 9.2.
    """
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
