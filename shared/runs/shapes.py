"""Whether what was read from JSON has the form that our values have, whoever wrote it."""

import json
from collections.abc import Mapping
from functools import cache
from math import isfinite
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
    >>> fits(True, int), fits(float("nan"), float), fits("7", int | None)
    (False, False, False)
    """
    kind, inner = get_origin(form) or form, get_args(form)
    if form is object or kind is NotRequired:
        return value is None or form is object or fits(value, inner[0])
    if isinstance(form, UnionType):
        return any(fits(value, each) for each in inner)
    if kind in (int, float):
        return type(value) in (int, kind) and isfinite(value)  # type: ignore[arg-type]
    if is_typeddict(form):
        hints = _fields(form).items()
        return isinstance(value, dict) and all(fits(value.get(name), of) for name, of in hints)
    if kind is tuple and inner[-1] is not ...:
        entries = value if isinstance(value, list | tuple) else ()
        return len(entries) == len(inner) and all(map(fits, entries, inner))
    return isinstance(value, kind) and _holds(value, kind, inner)


def _holds(value: Any, kind: Any, inner: tuple[Any, ...]) -> bool:  # noqa: ANN401
    """Tell whether what is in a value fits, where there is something in it."""
    if hasattr(kind, "_fields"):
        return all(fits(getattr(value, name), of) for name, of in _fields(kind).items())
    if isinstance(value, Mapping) and inner:
        return all(fits(each, inner[0]) and fits(of, inner[1]) for each, of in value.items())
    return not inner or all(fits(each, inner[0]) for each in value)


@cache
def _fields(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)
