from typing import Any

import pytest

from shared.incoming.event import Event
from shared.runs.shapes import NewerError, ShapeError, check_version, fits, read_object
from tests.support.fakes import NOTE


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", b"\xff\xfe", "[" * 100_000])
def test_what_is_no_json_object_is_said_to_be_none(text: str | bytes) -> None:
    with pytest.raises(ShapeError, match=r"^no JSON object$"):
        read_object(text)


@pytest.mark.parametrize("found", ["canary", None, True, 10**9, 2.0, ["canary"]])
def test_a_version_that_is_none_is_not_quoted(found: object) -> None:
    with pytest.raises(ShapeError, match=r"^a text of an unknown version instead of 2$"):
        check_version({"version": found}, 2, "a text of ")


def test_a_later_version_is_told_from_an_earlier_one() -> None:
    check_version({"version": 2}, 2)
    with pytest.raises(NewerError, match="version 3 instead of 2"):
        check_version({"version": 3}, 2)
    with pytest.raises(ShapeError, match="version 1 instead of 2") as earlier:
        check_version({"version": 1}, 2)
    assert not isinstance(earlier.value, NewerError)


@pytest.mark.parametrize(
    "change",
    [
        {"project_id": "7"},
        {"project_id": True},
        {"kind": None},
        {"at": float("inf")},
        {"at": "yesterday"},
        {"position": []},
        {"branches": ("a", "b")},
        {"swept": 1},
        {"added": (("a", "b", "c"),)},
    ],
)
def test_fields_of_a_value_are_looked_at(change: dict[str, Any]) -> None:
    assert fits(NOTE, Event)
    assert not fits(NOTE._replace(**change), Event)
