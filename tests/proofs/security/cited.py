"""Runs the tests that the list of threats names, and says how each ended. It runs no other."""

import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET  # our own pytest writes the file

from tests import ROOT

PASSED, SKIPPED, FAILED = "passed", "skipped", "failed"


def run(tests: Iterable[str]) -> dict[str, Counter[str]]:
    """Return for each test (path and name) how many cases passed, were skipped, failed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--junitxml={report}"]
        subprocess.run(
            [*command, *(f"tests/{test}" for test in tests)],
            cwd=ROOT,
            capture_output=True,
            check=False,
        )
        found = ET.parse(report).iter("testcase") if report.is_file() else ()  # noqa: S314
        ends: dict[str, Counter[str]] = {test: Counter() for test in tests}
        for case in found:
            path = case.get("classname", "").removeprefix("tests.").replace(".", "/")
            test = f"{path}.py::{case.get('name', '').partition('[')[0]}"
            kinds = {child.tag for child in case}
            failed = bool(kinds & {"failure", "error"})
            ends.setdefault(test, Counter())[
                FAILED if failed else SKIPPED if "skipped" in kinds else PASSED
            ] += 1
    return ends


def words(ends: Iterable[Counter[str]]) -> str:
    """Return how tests ended together: how many passed, and what did not."""
    total, missing = Counter[str](), 0
    for each in ends:
        total += each
        missing += not each
    parts = [
        f"{total[PASSED]:,} passed",
        *(f"**{total[kind]} {kind}**" for kind in (FAILED, SKIPPED) if total[kind]),
    ]
    return ", ".join([*parts, *([f"**{missing} not run**"] if missing else [])])
