"""What two languages of one room of sentences must have alike, and a language for a while."""

import re
import string
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from job import messages as of_the_job
from shared.outcome import messages as of_the_trigger

# What a reader types or looks up: code, names of settings and variables, files, menus of GitLab.
_KEPT = re.compile(
    r"`[^`]*`|\$?[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|\bENABLED\b|\bMODEL\b|[a-z]+(?:_[a-z]+)+|--[a-z]+|[a-z-]+\.(?:patch|tar\.gz)"
    r"|\b(?:Settings|Build) > [A-Z][\w/ >-]*?(?=[.,;:()]|$| to | and )"
)
_CHINESE = re.compile("[\u4e00-\u9fff]")
_WORDS = re.compile(r"[A-Za-z]{3,}")
_BLANK = re.compile(r"\{\w*\}")


@contextmanager
def spoken(language: str) -> Iterator[None]:
    """Let trigger and job speak a language, and English afterwards."""
    try:
        of_the_trigger.speak(language)
        of_the_job.speak(language)
        yield
    finally:
        of_the_trigger.speak("en")
        of_the_job.speak("en")


def differences(english: ModuleType, other: ModuleType) -> list[str]:
    """Return what a language lacks, has beyond English, or says with other blanks or names."""
    ours, theirs = dict(_texts(english)), dict(_texts(other))
    told = [f"not in {other.__name__}: {name}" for name in ours.keys() - theirs.keys()]
    told += [f"only in {other.__name__}: {name}" for name in theirs.keys() - ours.keys()]
    told += [
        f"{name}: {why}"
        for name in ours.keys() & theirs.keys()
        for why in _unlike(ours[name], theirs[name])
    ]
    return sorted(told)


def _texts(room: ModuleType) -> Iterator[tuple[str, str]]:
    """Yield each text with its name: `STATES.queued`, `REASONS.BUSY.0`."""
    for name, value in vars(room).items():
        if name.isupper():
            yield from _within(name, value)


def _within(name: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, dict):
        for key, each in value.items():
            yield from _within(f"{name}.{key}", each)
    else:
        assert isinstance(value, tuple), name
        for number, each in enumerate(value):
            yield from _within(f"{name}.{number}", each)


def _unlike(ours: str, theirs: str) -> Iterator[str]:
    if bool(ours) != bool(theirs):
        yield "empty in one language only"
        return
    if _blanks(ours) != _blanks(theirs):
        yield f"blanks {_blanks(ours)} and {_blanks(theirs)}"
    if lost := [each for each in _KEPT.findall(ours) if each not in theirs]:
        yield f"lacks {lost}"
    if ours.count("\n") != theirs.count("\n") or ours.count("|") != theirs.count("|"):
        yield "lines or cells of a table"
    plain = _BLANK.sub("", re.sub(r"`[^`]*`", "", ours))
    if _WORDS.search(plain) and not _CHINESE.search(theirs) and plain != theirs:
        yield "not translated"


def _blanks(text: str) -> Counter[str]:
    return Counter(field for _, field, _, _ in string.Formatter().parse(text) if field is not None)
