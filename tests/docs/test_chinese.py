"""The Simplified Chinese pages say all that the English ones say, with the same commands."""

import json
import re
from pathlib import Path

import pytest

from shared.installation.settings import VARIABLES
from tests import ROOT
from tests.docs.test_docs import CHINESE, CODE, FENCED, HEADING, LINK, prose

ENGLISH = ROOT / "docs"
LISTED = (
    "README.md",
    "local.md",
    "aws.md",
    "gcp.md",
    "bedrock.md",
    "vertex.md",
    "claude-api.md",
    "settings.md",
    "runner-project.md",
    "why-nothing-happened.md",
)
COMMENT = re.compile(r"(?:^|(?<=\s))#(?=\s).*$", re.MULTILINE)
_HAN = re.compile("[\u4e00-\u9fff]")
# Sentences of English that stand in a Chinese page as they are: names, menus, what a program says.
_ENGLISH_SENTENCE = re.compile(r"\b(?:the|and|of|which|that|is|are)\b")

each_page = pytest.mark.parametrize("name", LISTED)


def pair(name: str) -> tuple[Path, Path]:
    return (ROOT if name == "README.md" else ENGLISH) / name, CHINESE / name


def levels(page: Path) -> list[int]:
    return [len(mark) for mark in re.findall(r"^(#+) ", prose(page), re.MULTILINE)]


def rows(page: Path) -> list[int]:
    """Return how many cells each row of each table has."""
    lines = re.sub(r"`[^`]*`|\\\|", "", prose(page)).splitlines()
    return [line.count("|") for line in lines if line.startswith("|")]


def commands(page: Path) -> list[tuple[str, str]]:
    """Return the blocks of code without their comments; of a chart only that it is one."""
    return [
        (kind, "" if kind == "mermaid" else re.sub(r"[ ]+\n", "\n", COMMENT.sub("", text)))
        for kind, text in FENCED.findall(page.read_text())
    ]


def spans(page: Path) -> set[str]:
    """Return the code in a page's lines, also where it goes on in the next line."""
    return set(CODE.findall(re.sub(r"(?<!\n)\n *(?!\n)", " ", prose(page))))


def targets(page: Path) -> set[str]:
    """Return which pages and sites a page links to, its other language and anchors left out."""
    found = set()
    for link in LINK.findall(prose(page)):
        path = link.partition("#")[0]
        where = link if ":" in link else str((page.parent / path).resolve()) if path else ""
        where = where.replace(".zh-CN.png", ".en.png")
        found.add(
            re.sub(r"/docs/zh-CN/(README\.md)$", r"/\1", where).replace("/docs/zh-CN/", "/docs/")
        )
    return found


def test_the_chinese_pages_are_those_that_are_listed() -> None:
    assert {path.name for path in CHINESE.glob("*.md")} == set(LISTED)
    assert all(english.is_file() for english, _ in map(pair, LISTED))


@each_page
def test_both_languages_have_the_same_parts(name: str) -> None:
    english, chinese = pair(name)
    assert levels(chinese) == levels(english)
    assert rows(chinese) == rows(english)
    assert commands(chinese) == commands(english)
    assert targets(chinese) == targets(english)


@each_page
def test_what_a_reader_types_or_looks_up_is_in_both(name: str) -> None:
    english, chinese = pair(name)
    assert spans(chinese) == spans(english)


@each_page
def test_headings_and_sentences_are_chinese(name: str) -> None:
    _, chinese = pair(name)
    assert all(_HAN.search(each) for each in HEADING.findall(prose(chinese))[1:])
    paragraphs = re.split(r"\n\s*\n|\n(?=\||[-*] |[0-9]\. )", prose(chinese))
    shown = [re.sub(r"\*[^*]+\*|`[^`]*`|\[[^]]*\]\([^)]*\)", "", each) for each in paragraphs]
    assert [
        each for each in shown if _ENGLISH_SENTENCE.search(each) and not _HAN.search(each)
    ] == []


def test_each_setting_is_told_in_chinese() -> None:
    told = json.loads((CHINESE / "settings.json").read_text())
    assert list(told) == list(VARIABLES)
    assert [name for name, meaning in told.items() if not _HAN.search(meaning)] == []
