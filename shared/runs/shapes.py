"""Whether what was read from JSON has the form that our values have, whoever wrote it."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from sys import float_info
from types import UnionType
from typing import Any, NotRequired, get_args, get_origin, get_type_hints, is_typeddict

_LONGEST = 10**6  # of a version's number: a longer one may say something


class ShapeError(ValueError):
    """A text that is not what was to be read; the message holds nothing of it."""


class NewerError(ShapeError):
    """A text that a later version wrote."""


def read_object(text: str | bytes) -> dict[str, Any]:
    """Return a text's JSON object; raise ShapeError where it is none."""
    message = "no JSON object"
    try:
        data = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise ShapeError(message) from None
    if not isinstance(data, dict):
        raise ShapeError(message)
    return data


def check_version(data: Mapping[str, Any], version: int, what: str = "") -> None:
    """Raise ShapeError unless an object says that this version wrote it; `what` it is begins it."""
    found = data.get("version")
    if type(found) is not int or abs(found) > _LONGEST:
        message = f"{what}an unknown version instead of {version}"
        raise ShapeError(message)
    if found != version:
        message = f"{what}version {found} instead of {version}"
        raise NewerError(message) if found > version else ShapeError(message)


def fits(value: object, form: Any) -> bool:  # noqa: ANN401  a type hint
    """Tell whether a value is what a type hint says, its fields and entries included.

    For the hints that our values have; a whole number will do for a float, and a list, as JSON has
    it, for a tuple of a fixed length.

    >>> fits({"a": [1, 2.5]}, dict[str, tuple[int, float]]), fits({"a": [True, 1]}, dict[str, list])
    (True, True)
    >>> fits(True, int), fits(float("nan"), float), fits(10**400, float), fits("7", int | None)
    (False, False, False, False)
    """
    return _check_of(form)(value)


_Check = Callable[[Any], bool]


@cache
def _check_of(form: Any) -> _Check:  # noqa: ANN401, PLR0911  one line a kind of hint
    """Return what tells whether a value fits: hints are read once, values often."""
    kind, inner = get_origin(form) or form, tuple(get_args(form))
    if form is object:
        return lambda _: True
    if kind is NotRequired:
        return _check_of(inner[0] | None)
    if isinstance(form, UnionType):
        either = [_check_of(each) for each in inner]
        return lambda value: any(check(value) for check in either)
    if kind is int:
        return lambda value: type(value) is int
    if kind is float:  # a whole number may be larger than any
        return lambda value: type(value) in (int, float) and abs(value) <= float_info.max
    if is_typeddict(form) or hasattr(kind, "_fields"):
        return _check_of_fields(kind, get_type_hints(kind, include_extras=True))
    if kind is tuple and inner[-1] is not ...:
        return _check_of_row([_check_of(each) for each in inner])
    return _check_of_all(kind, [_check_of(each) for each in inner if each is not ...])


def _check_of_fields(kind: Any, hints: Mapping[str, Any]) -> _Check:  # noqa: ANN401
    checks = [(name, _check_of(of)) for name, of in hints.items()]
    if is_typeddict(kind):
        return lambda value: (
            isinstance(value, dict) and all(check(value.get(name)) for name, check in checks)
        )
    return lambda value: (
        isinstance(value, kind) and all(check(getattr(value, name)) for name, check in checks)
    )


def _check_of_row(checks: list[_Check]) -> _Check:
    def check(value: Any) -> bool:  # noqa: ANN401
        if not isinstance(value, list | tuple) or len(value) != len(checks):
            return False
        return all(check(each) for check, each in zip(checks, value, strict=True))

    return check


def _check_of_all(kind: Any, checks: list[_Check]) -> _Check:  # noqa: ANN401
    if not checks:
        return lambda value: isinstance(value, kind)
    if len(checks) == 1:
        return lambda value: isinstance(value, kind) and all(map(checks[0], value))
    return lambda value: (
        isinstance(value, kind)
        and all(checks[0](key) and checks[1](of) for key, of in value.items())
    )
