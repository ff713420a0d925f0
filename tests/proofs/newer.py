"""`make update`: what is pinned here, what is newest of it, and where to change it.

It changes nothing. Registries are asked through their own clients, as those are set up; what cannot
be asked is named. An image is pinned to a digest, beside the tag that had it; what is told is the
digest that the tag has now.
"""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from job import mcp
from tests import ROOT

NPM = ("npm", "view")
PIP = (sys.executable, "-m", "pip", "index", "versions", "--disable-pip-version-check")
DOCKER = ("docker", "buildx", "imagetools", "inspect", "--format", "{{.Manifest.Digest}}")
IMAGES = ("templates/claude.yml", "cloudbuild.yaml", ".gitlab-ci.yml", "docs/self-managed.md")
_LOCK = "tests/requirements.txt"
_SECONDS = 90
_UNASKED = "could not be asked"


class Pin(NamedTuple):
    """What is pinned, at what, where; the command that tells the newest, and how it says it."""

    name: str
    pinned: str
    where: str
    command: tuple[str, ...]
    said: str = r"^(\d\S*)$"

    def newest(self) -> str:
        """Return the newest there is, "" where nobody can be asked."""
        try:
            done = subprocess.run(
                self.command, cwd="/", capture_output=True, text=True, timeout=_SECONDS, check=True
            )
        except (OSError, subprocess.SubprocessError):
            return ""
        found = re.search(self.said, done.stdout, re.MULTILINE)
        return found[1] if found else ""


def pins() -> Iterator[Pin]:
    """Yield all that is pinned: the job's tools, images, what Python requires."""
    places = "templates/claude.yml, job/locks, tests/support/job: make docs"
    for name, pinned, where in (
        (
            "@anthropic-ai/claude-code",
            _written("templates/claude.yml", r'claude_version:\n.+\n +default: "(.+)"'),
            places,
        ),
        (mcp.PACKAGE, mcp.VERSION, "job/mcp.py, job/locks: make docs"),
        (
            "gitlab-ci-local",
            _written("tests/support/job/tools/package.json", r'"gitlab-ci-local": "(.+)"'),
            "tests/support/job/tools",
        ),
    ):
        yield Pin(name, pinned, where, (*NPM, name, "version"))
    yield from _images()
    yield from _python()


def _images() -> Iterator[Pin]:
    pattern = r"^ *(?:default: |name: |image: |FROM )([\w./-]+:[\w.-]+)@(sha256:\w+)"
    places: dict[tuple[str, str], list[str]] = {}
    for name in IMAGES:
        for image, digest in set(re.findall(pattern, (ROOT / name).read_text(), re.MULTILINE)):
            places.setdefault((image, digest), []).append(name)
    for (image, digest), where in places.items():
        yield Pin(image, digest, ", ".join(where), (*DOCKER, image), r"^(sha256:\w+)$")


def _python() -> Iterator[Pin]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [
        *project["project"]["dependencies"],
        *(each for some in project["project"]["optional-dependencies"].values() for each in some),
        *project["dependency-groups"]["test"],
    ]
    for requirement in sorted({re.split(r"[\[>=<~! ]", each)[0] for each in wanted}):
        pinned = _written(_LOCK, rf"^{re.escape(requirement)}(?:\[\S+\])?==(\S+)")
        yield Pin(requirement, pinned, "make lock", (*PIP, requirement), r"\((\S+?)\)")
    sam = _written("Makefile", r"aws-sam-cli==(\S+)")
    yield Pin("aws-sam-cli", sam, "Makefile: make lock", (*PIP, "aws-sam-cli"), r"\((\S+?)\)")


def _written(file: str, pattern: str) -> str:
    """Return what a file pins; raise ValueError where it does so no more."""
    found = re.search(pattern, (ROOT / file).read_text(), re.MULTILINE)
    if not found:
        message = f"{file} does not pin {pattern}"
        raise ValueError(message)
    return found[1]


def main() -> int:
    """Show the table; return 0, whatever is newer."""
    some = list(pins())
    with ThreadPoolExecutor(4) as workers:
        newest = list(workers.map(Pin.newest, some))
    newer = 0
    for pin, there in zip(some, newest, strict=True):
        mark = there not in ("", pin.pinned)
        newer += mark
        told = f"{there}  ({pin.where})" if mark else there or _UNASKED
        print(f"{'→' if mark else ' '} {pin.name:52} {pin.pinned:12} {told}")
    print(f"{newer} newer, {newest.count('')} {_UNASKED}, of {len(some)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
