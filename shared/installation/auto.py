"""Which runs start by themselves: the setting AUTO, and a project's file that narrows it.

Both are parts `name: value, value`, of which lines and semicolons are the ends. A command says on
what occasions it starts, a filter which merge requests it starts for, `runs` how often for one.
"""

from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

FAILED = "failed"  # its pipeline did
# What may become of a merge request, by the command that may start then.
STARTS = {"review": ("opened", "ready", "pushed"), "fix": (FAILED,)}
# What a person writes behind the trigger phrase for the same.
WORDS = {"review": "review", "fix": "fix the pipeline"}
PROJECTS, TARGETS, AUTHORS, LABELS, PATHS = FILTERS = (
    "projects",
    "targets",
    "authors",
    "labels",
    "paths",
)
RUNS = "runs"
FILE = ".gitlab/claude-auto.conf"  # on a project's default branch
LARGEST = 4_096  # characters of it

_NONE = "none"
_RUNS, _MOST_RUNS = 10, 99
_MOST = 50  # values of one name: each is held against each changed file
_FORM = "parts such as review: opened, ready; targets: main, with a semicolon or a line between"


class PolicyError(ValueError):
    """A text is no policy: which line, what was found there, and what is expected."""

    def __init__(self, line: int, found: str, expected: str) -> None:
        """Say what is wrong with which line, counted from 1."""
        super().__init__(f"line {line}: found {found!r}, expected {expected}")
        self.line, self.found, self.expected = line, found, expected


class Policy(NamedTuple):
    """What a text lets start: occasions by command, patterns by filter, runs of a merge request."""

    starts: Mapping[str, tuple[str, ...]]
    filters: Mapping[str, tuple[str, ...]]
    runs: int = _RUNS

    def command(self, occasion: str) -> str:
        """Return the first command that starts on an occasion, "" for none."""
        return next((name for name, on in self.starts.items() if occasion in on), "")

    def serves(self, project_id: int, path: str) -> bool:
        """Tell whether it is for a project."""
        return self.admits(PROJECTS, (str(project_id), path))

    def admits(self, name: str, values: Collection[str]) -> bool:
        """Tell whether a filter lets in what goes by these values; upper and lower case are one.

        One of them has to fit a pattern, if there is any without a `!`, and none a pattern with it.

        >>> policy = read("review: ready; labels: backend, !wip*")
        >>> [policy.admits(LABELS, each) for each in (("Backend",), ("backend", "wip-1"), ())]
        [True, False, False]
        """
        patterns = self.filters.get(name, ())
        wanted = [each for each in patterns if not each.startswith("!")]
        barred = [each[1:] for each in patterns if each.startswith("!")]
        return (not wanted or _fit(wanted, values)) and not _fit(barred, values)


def read(text: str) -> Policy:
    """Read the setting AUTO; raise PolicyError for the first part that is wrong.

    >>> read("review: opened, pushed; targets: main, release/*; runs: 5")  # doctest: +ELLIPSIS
    Policy(starts={'review': ('opened', 'pushed')}, filters={'targets': ('main', ...)}, runs=5)
    """
    policy = _read(text, FILTERS)
    if not policy.starts:
        raise PolicyError(1, text[:60], "a command and when it starts: review: opened, ready")
    return policy


def narrowed(policy: Policy, text: str) -> tuple[Policy, Policy]:
    r"""Return a policy without what a project's file does not start, and the file's own filters.

    What the file does not name stays as it is, so each of the two has to let a merge request in.
    Raise PolicyError.

    >>> first, second = narrowed(read("review: opened, ready"), "review: ready, pushed\nruns: 50")
    >>> first.starts, first.runs, second.filters
    ({'review': ('ready',)}, 10, {})
    """
    if len(text) > LARGEST:
        raise PolicyError(1, f"{len(text)} characters", f"at most {LARGEST}")
    file = _read(text, tuple(each for each in FILTERS if each != PROJECTS))
    starts = {
        command: tuple(each for each in on if each in file.starts.get(command, on))
        for command, on in policy.starts.items()
    }
    return policy._replace(starts=starts, runs=min(policy.runs, file.runs)), file


def _read(text: str, filters: tuple[str, ...]) -> Policy:
    starts: dict[str, tuple[str, ...]] = {}
    kept: dict[str, tuple[str, ...]] = {}
    runs: list[int] = []
    for line, name, values in _parts(text):
        if name in starts or name in kept or (name == RUNS and runs):
            raise PolicyError(line, f"{name} a second time", "each name once")
        if name in STARTS:
            starts[name] = _occasions(line, values, STARTS[name])
        elif name in filters:
            kept[name] = values
        elif name == RUNS:
            runs.append(_number(line, values))
        else:
            expected = ", ".join((*STARTS, *filters, RUNS))
            raise PolicyError(line, name, f"one of {expected}")
    # A file that does not say how often lowers nothing.
    default = _RUNS if filters is FILTERS else _MOST_RUNS
    return Policy(starts, kept, runs[0] if runs else default)


def _parts(text: str) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Yield line, name and values of each part; what begins with # says nothing."""
    for line, whole in enumerate(text.splitlines(), 1):
        if whole.lstrip().startswith("#"):
            continue
        for part in whole.split(";"):
            name, colon, said = part.partition(":")
            values = tuple(each.strip() for each in said.split(",") if each.strip(" !\t"))
            if part.strip() and not (colon and name.strip() and values):
                raise PolicyError(line, part.strip()[:60], _FORM)
            if len(values) > _MOST:
                raise PolicyError(
                    line, f"{len(values)} values of {name.strip()}"[:60], f"at most {_MOST}"
                )
            if values:
                yield line, name.strip().lower(), values


def _occasions(line: int, values: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    found = tuple(each.lower() for each in values)
    if found == (_NONE,):
        return ()
    if not set(found) <= set(known):
        raise PolicyError(line, ", ".join(values)[:60], f"some of {', '.join(known)}; or {_NONE}")
    return found


def _number(line: int, values: tuple[str, ...]) -> int:
    [value] = values if len(values) == 1 else [""]
    if not (value.isascii() and value.isdigit() and 0 < int(value[:3]) <= _MOST_RUNS):
        raise PolicyError(line, ", ".join(values)[:60], f"a whole number from 1 to {_MOST_RUNS}")
    return int(value)


def _fit(patterns: Collection[str], values: Collection[str]) -> bool:
    return any(fnmatchcase(value.lower(), each.lower()) for each in patterns for value in values)
