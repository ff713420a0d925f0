"""Which files are the project's CI/CD configuration: under any name, included at any depth.

A push that changes one of them would run what was changed, with the project's variables. Python's
library reads no YAML, so what could be an include is taken as one: rather too many files than too
few. Sources: https://docs.gitlab.com/ci/yaml/includes/ and gitlabhq lib/gitlab/ci/config/external/.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ALWAYS = re.compile(r"\.gitlab-ci\.ya?ml|\.gitlab/.*", re.DOTALL)
_ANY, _OWN_COMPONENTS = "*", "templates/*"
_MOST = 300  # files that are read; GitLab itself takes 150 includes
_YAML = re.compile(r".*\.ya?ml", re.IGNORECASE | re.DOTALL)  # what GitLab includes
_INCLUDE = re.compile(r"""^(?!\s*#)(?:.*[\s{,\[])?["']?include["']?\s*:""")
_FILLED_IN = re.compile(r"[$]\[\[.*?\]\]|[$]\{\w+\}|[$]\w+")  # inputs and variables
_KEYS = re.compile(r"""\s*(?:-\s+|\?\s+|["']?[\w-]+["']?\s*:(?:\s+|$))*""")
_ELSEWHERE = re.compile(r"""(?:^|[\s\[{,:])\*[\w-]+\s*(?:$|[,\]}#])|!reference""")
_BEGINNING = re.compile(r"^(?:\.?/)+")
_OWN_PROJECT = re.compile(r"\$\{?CI_PROJECT_(?:PATH|NAME)")


def touched(
    changed: Iterable[str],
    environment: Mapping[str, str],
    names: Callable[[], list[str]],
    read: Callable[[str], str | None],
) -> bool:
    """Tell whether one of the changed paths is part of the CI/CD configuration.

    `names` lists the paths that were there before, `read` returns one's text. What became part of
    it by the change itself came by another change of it.
    """
    paths = list(changed)
    if any(ALWAYS.fullmatch(path) for path in paths):
        return True
    root = _BEGINNING.sub("", environment.get("CI_CONFIG_PATH") or ".gitlab-ci.yml")
    if root in paths:
        return True
    files = [path for path in paths if _YAML.fullmatch(path)]
    if not files:
        return False
    known = [path for path in names() if _YAML.fullmatch(path)]
    own = environment.get("CI_PROJECT_PATH", "")
    patterns = _patterns(root, known, read, own)
    return any(fnmatchcase(path, pattern) for pattern in patterns for path in files)


def _patterns(
    root: str, known: list[str], read: Callable[[str], str | None], own: str
) -> Iterator[str]:
    """Yield a pattern for each include; `*` stands for any characters, `/` among them."""
    if "@" in root or "://" in root:  # of another project: what it includes here cannot be seen
        yield _ANY
    waiting, seen = [root], set()
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        if len(seen) > _MOST:
            yield _ANY
        for pattern in dict.fromkeys(_included(read(path) or "", own)):
            yield pattern
            waiting += [path for path in known if fnmatchcase(path, pattern)]


def _included(text: str, own: str) -> Iterator[str]:
    """Yield what a file's text includes, here or in child pipelines, as patterns."""
    for part in _parts(text):
        if "component" in part and (_OWN_PROJECT.search(part) or (own and own in part)):
            yield _OWN_COMPONENTS
        if "\\" in part:  # an escape could spell anything
            yield _ANY
        for line in _FILLED_IN.sub("*", part).splitlines():
            for path in _paths(line):
                if _YAML.fullmatch(path) or path.endswith("*"):
                    yield _BEGINNING.sub("", path).replace("[", "[[]").replace("?", "[?]")


def _parts(text: str) -> Iterator[str]:
    """Yield what stands under each key `include`; the whole text if it is written elsewhere."""
    lines = text.splitlines()
    keys = [number for number, line in enumerate(lines) if _INCLUDE.search(line)]
    if len(keys) > _MOST:
        yield text
        return
    for number in keys:
        line = lines[number]
        part = [_INCLUDE.split(line, maxsplit=1)[1]]
        depth = _depth(part[0])
        for following in lines[number + 1 :]:
            begins, indent = following.lstrip(), _indent(following)
            inside = indent > _indent(line) or (indent == _indent(line) and begins.startswith("-"))
            if not (inside or depth > 0 or not begins or begins.startswith("#")):
                break
            part.append(following)
            depth += _depth(following)
        yield text if any(_ELSEWHERE.search(each) for each in part) else "\n".join(part)


def _paths(line: str) -> Iterator[str]:
    """Yield what could be a path in a line: in quotes, a whole value, an element of a list."""
    yield from re.findall(r'"([^"]*)"', line)
    yield from re.findall(r"'([^']*)'", line)
    bare = line.partition(" #")[0]
    for value in (bare, *re.split(r"[\[\]{},]", bare)):
        yield _KEYS.sub("", value, count=1).strip().strip("\"'")


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _depth(line: str) -> int:
    shown = _FILLED_IN.sub("", line)
    return sum(shown.count(each) for each in "[{") - sum(shown.count(each) for each in "]}")
