"""Each block of the docs can be read as what it says it is; each name in them is one of ours.

What a page's commands do is tested where it is told: `tests/cli`, `tests/deploy`,
`tests/docs/test_operator.py`. What was never tried is said on the page, under "What was tried".
"""

import configparser
import json
import re
import subprocess
from functools import cache
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]

from cli.__main__ import main as program
from shared.installation.settings import VARIABLES
from shared.installation.settings_file import PLACES
from shared.outcome.reasons import Outcome, Reason
from tests import ROOT
from tests.docs.test_docs import CODE, CONVERSATION, FENCED, PAGES, prose

# What shells and GitLab fill in, and what a reader does.
_PLACEHOLDER = re.compile(r"<[a-z][^<>\n]*>")
_MAKE = re.compile(r"\bmake ((?:[a-z][a-z-]*)(?: [a-z][a-z-]+)*)")
_SETTING = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_REASON = re.compile(r"[a-z]+(?:_[a-z]+)+")
# Of GitLab's, nginx's, Caddy's and Docker's own files, and what Java and Ruby ask for; the first two
# of GitLab's are told to be gone.
_FOREIGN = {
    "BUNDLE_APP_CONFIG",
    "CI_JOB_JWT_FILE",
    "CI_JOB_JWT_V2",
    "GEM_HOME",
    "JAVA_HOME",
    "auto_cancel",
    "client_max_body_size",
    "network_mode",
    "reverse_proxy",
}
_SOURCES = ("*.py", "*.yaml", "*.yml", "*.sh", "*.json", "Makefile", "*.toml")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def blocks(page: Path, *languages: str) -> list[str]:
    return [text for language, text in FENCED.findall(page.read_text()) if language in languages]


@cache
def names() -> set[str]:
    """Return every word of the program's, the component's and the descriptors' text."""
    listed = subprocess.run(
        ["git", "ls-files", "--", *_SOURCES], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    kept = [each for each in listed if not each.startswith("tests/docs/")]
    known = {*_FOREIGN, *map(str, Reason), *(Path(each).stem for each in listed)}
    return known | {word for each in kept for word in re.findall(r"\w+", (ROOT / each).read_text())}


@each_page
def test_a_block_is_what_it_says(page: Path) -> None:
    for text in blocks(page, "sh"):
        whole = _PLACEHOLDER.sub("X", text)
        read = subprocess.run(
            ["bash", "-n"], input=whole, capture_output=True, text=True, check=False
        )
        assert (read.returncode, read.stderr) == (0, ""), text
    for text in blocks(page, "json"):
        json.loads(text)
    for text in blocks(page, "yaml"):
        assert yaml.compose(text)  # with GitLab's own tags
    for text in blocks(page, "ini"):
        unit = configparser.ConfigParser(strict=False)
        unit.read_string(text)
        assert unit.sections()


@each_page
def test_each_verb_of_make_is_one(page: Path) -> None:
    verbs = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = [*CODE.findall(prose(page)), *(re.sub("#.*", "", each) for each in blocks(page, "sh"))]
    named = {verb for each in told for found in _MAKE.findall(each) for verb in found.split()}
    assert named - verbs == set()


@each_page
def test_each_name_a_page_writes_as_code_is_known(page: Path) -> None:
    spans = [] if page == CONVERSATION else CODE.findall(prose(page))
    found = {each for span in spans for each in re.findall(r"(?<![\w$])[\w]+(?![\w(])", span)}
    shown = {each for each in found if _SETTING.fullmatch(each) or _REASON.fullmatch(each)}
    assert shown - names() == set()


def test_every_setting_and_reason_is_told() -> None:
    settings = (ROOT / "docs" / "settings.md").read_text()
    assert [name for name in VARIABLES if f"| `{name}` |" not in settings] == []
    operator = "".join(page.read_text() for page in PAGES if page.suffix == ".md")
    places = {name for several in PLACES.values() for name in several}
    assert [name for name in sorted(places) if f"{name}" not in operator] == []
    told = (ROOT / "docs" / "why-nothing-happened.md").read_text()
    well = {Outcome.QUEUED, Outcome.TRIGGERED, Outcome.ANSWERED}
    ill = [str(each) for each in Reason if each.outcome not in well]
    assert [each for each in ill if f"| `{each}` |" not in told] == []


def test_the_program_has_the_verbs_that_the_pages_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in ("setup", "remove", "doctor", "deploy", "bootstrap"))
