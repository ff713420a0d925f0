"""What the pages point at is there: links, anchors, files, names; prose ends at 100 columns."""

import importlib
import re
import unicodedata
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests import ROOT

WRITTEN = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
WRITTEN += sorted((ROOT / "docs").rglob("*.md"))
# Programs write these; what people say in the conversation is made up.
BY_PROGRAMS = [
    ROOT / "SECURITY.md",
    ROOT / "docs" / "reliability.md",
    ROOT / "docs" / "performance.md",
]
CONVERSATION = ROOT / "docs" / "conversation.md"
CHINESE = ROOT / "docs" / "zh-CN"  # a line's end would be shown as a blank between two words
PAGES = sorted({*WRITTEN, *BY_PROGRAMS})

FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^][]*\]\(([^()\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
CODE = re.compile(r"`([^`\n]+)`")
FOLDERS = "|".join(path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != ".")
PATH = re.compile(rf"(?:{FOLDERS})/[\w./*-]*")
CORE = "|".join(path.stem for path in (ROOT / "shared").iterdir() if path.stem[0] != "_")
NAME = re.compile(rf"((?:{CORE})(?:\.[a-z_]+)?)\.(\w+)")
GENERATED = re.compile(r"<!-- generated: .*?<!-- end -->", re.DOTALL)
COLUMNS = 100
_FROM_NINE = "nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen"
NUMBERS = {word: number for number, word in enumerate(_FROM_NINE.split(), 9)}
ALARMS = {
    "aws.md": (ROOT / "template.yaml").read_text().count("Type: AWS::CloudWatch::Alarm"),
    "gcp.md": len(list((ROOT / "deploy" / "google" / "alerts").glob("*.json"))),
}

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def prose(page: Path) -> str:
    return FENCED.sub("", page.read_text())


def links(page: Path) -> list[tuple[Path, str]]:
    """Return what a page links to in this repository: file and anchor."""
    found = (link.partition("#") for link in LINK.findall(prose(page)) if ":" not in link)
    return [((page.parent / path).resolve() if path else page, name) for path, _, name in found]


def anchors(page: Path) -> set[str]:
    """Return the names that GitLab gives a page's headings.

    Source: https://docs.gitlab.com/user/markdown/#heading-ids-and-links
    """
    found: list[str] = []
    for heading in HEADING.findall(prose(page)):
        shown = re.sub(r"\]\([^)]*\)", "", heading)
        name = re.sub(r"[ -]+", "-", re.sub(r"[^\w -]", "", shown).strip().lower())
        before = sum(
            re.fullmatch(rf"{re.escape(name)}(-[0-9]+)?", each) is not None for each in found
        )
        found.append(f"{name}-{before}" if name in found else name)
    return set(found)


def outside(page: Path) -> set[str]:
    """Return the addresses of other sites that a page links to."""
    return {link for link in LINK.findall(prose(page)) if ":" in link}


def width(line: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in line)


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = [
        f"{path}#{name}"
        for path, name in links(page)
        if not path.exists() or (name and name not in anchors(path))
    ]
    assert not dead


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "pictures").iterdir()), ids=str)
def test_a_picture_is_small_and_shown(path: Path) -> None:
    assert path.read_bytes().startswith(b"\x89PNG")
    assert path.stat().st_size < 150_000
    assert any(path == shown for page in PAGES for shown, _ in links(page))


@each_page
def test_every_address_of_another_site_is_one(page: Path) -> None:
    for link in outside(page) if page != CONVERSATION else ():
        address = urlsplit(link)
        assert address.scheme == "https", link
        assert re.fullmatch(r"[a-z0-9-]+(\.[a-z0-9-]+)+", address.netloc), link
        assert re.fullmatch(r"[\w./~%@+&=?#-]*[\w/]", f"{link.partition(address.netloc)[2]}/"), link
        assert not link.endswith((".", ",")), link


def test_anchors_are_named_as_gitlab_names_them(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A - b, `c`!\n## What's [new](x.md)?\n## Twice\n## Twice\n## Twice\n## 连接 GitLab：第 1 步\n"
    )
    assert anchors(page) == {
        "a-b-c",
        "whats-new",
        "twice",
        "twice-1",
        "twice-2",
        "连接-gitlab第-1-步",
    }


@each_page
def test_every_file_a_page_names_exists(page: Path) -> None:
    text = "" if page == CONVERSATION else prose(page)
    named = {code for code in CODE.findall(text) if PATH.fullmatch(code)}
    for language, block in FENCED.findall(page.read_text()):
        lines = [line.split()[0] for line in block.splitlines() if line.split()]
        named |= {first for first in lines if language == "text" and re.search("[./]", first)}
    assert not {path for path in named if not list(ROOT.glob(path.rstrip("/")))}


@each_page
def test_every_name_of_the_core_a_page_uses_is_defined(page: Path) -> None:
    named = {found for code in CODE.findall(prose(page)) if (found := NAME.fullmatch(code))}
    modules = {found[0]: importlib.import_module(f"shared.{found[1]}") for found in named}
    assert not {
        name for name, module in modules.items() if not hasattr(module, name.split(".")[-1])
    }


def test_the_architecture_page_names_every_module_of_the_core() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text()
    modules = [str(path.relative_to(ROOT)) for path in (ROOT / "shared").rglob("[!_]*.py")]
    assert [
        path for path in sorted(modules) if not re.search(rf"^{path} ", text, re.MULTILINE)
    ] == []


@pytest.mark.parametrize(("page", "count"), ALARMS.items())
def test_both_languages_count_the_alarms_that_there_are(page: str, count: int) -> None:
    told = re.findall(r"\b([a-z]+) (?:alarms|alerts?)\b", prose(ROOT / "docs" / page))
    assert {NUMBERS[each] for each in told if each in NUMBERS} == {count}
    told = re.findall(r"(九|十[一二三四五六七八九])[个条]告警", prose(CHINESE / page))
    assert {10 * (len(each) - 1) + "零一二三四五六七八九".index(each[-1]) for each in told} == {
        count
    }


def test_the_readme_has_two_pages() -> None:
    assert len(FENCED.sub("", (ROOT / "README.md").read_text()).split()) <= 1000


def test_every_page_is_reached_from_the_readme() -> None:
    reached, ahead = set[Path](), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        reached.add(page)
        ahead += [path for path, _ in links(page) if path in PAGES and path not in reached]
    assert reached == set(PAGES)


@pytest.mark.parametrize(
    "page",
    [
        page
        for page in WRITTEN
        if page not in (CONVERSATION, *BY_PROGRAMS) and page.parent != CHINESE
    ],
    ids=str,
)
def test_prose_ends_at_100_columns(page: Path) -> None:
    text = GENERATED.sub("", prose(page))
    lines = [
        line for line in text.splitlines() if not line.startswith("|") and "](http" not in line
    ]
    assert [line for line in lines if width(line) > COLUMNS] == []


def test_the_readme_is_read_in_one_go() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
