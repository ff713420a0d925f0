"""Which lines of a merge request can be named, and how."""

import pytest

from job import lines
from tests.support.gitlab import diffs, positions

OLD_TEXT = "".join(f"line {number}\n" for number in range(1, 31))
NEW_TEXT = OLD_TEXT.replace("line 10\n", "line ten\nand more\n")
REFS = {"base_sha": "b" * 40, "start_sha": "c" * 40, "head_sha": "d" * 40}
DIFF = lines.read(diffs.change("a.py", OLD_TEXT, NEW_TEXT, was="old.py"))
TEXT = NEW_TEXT.splitlines()


@pytest.mark.parametrize(
    ("side", "number", "numbers"),
    [
        ("new", 10, (None, 10)),
        ("new", 11, (None, 11)),
        ("old", 10, (10, None)),
        ("new", 9, (9, 9)),
        ("old", 11, (11, 12)),
        ("new", 1, (1, 1)),  # folded, above
        ("new", 31, (30, 31)),  # folded, below
        ("old", 30, (30, 31)),
    ],
)
def test_a_line_is_named_by_both_numbers_if_it_did_not_change(
    side: str, number: int, numbers: tuple[int | None, int | None]
) -> None:
    line = lines.find(DIFF, side, number, TEXT)
    assert line
    assert (line.old, line.new) == numbers


@pytest.mark.parametrize(("side", "number"), [("new", 0), ("new", 32), ("old", 31), ("new", -3)])
def test_a_line_that_is_not_there_has_no_name(side: str, number: int) -> None:
    assert lines.find(DIFF, side, number, TEXT) is None


def test_without_the_files_text_only_lines_of_the_diff_have_names() -> None:
    assert lines.find(DIFF, "new", 1, None) is None
    assert lines.find(DIFF, "new", 9, None)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        (diffs.change("a", OLD_TEXT, OLD_TEXT, was="b"), "unchanged"),
        ({"new_path": "a.png", "diff": "Binary files a/a.png and b/a.png differ\n"}, "binary"),
        ({"new_path": "a", "diff": "", "too_large": True}, "large"),
        ({"new_path": "a", "diff": "", "collapsed": True}, "large"),
        ({}, "unchanged"),
    ],
)
def test_a_file_without_lines_says_why(entry: dict[str, object], why: str) -> None:
    diff = lines.read(entry)
    assert diff.why == why
    assert lines.find(diff, "new", 1, ["text"]) is None


def test_removed_and_added_lines_that_look_like_headers_are_lines() -> None:
    diff = lines.read(diffs.change("a.sql", "-- x\n-- y\n", "++ x\n++ y\n"))
    assert [lines.find(diff, side, 2, None) for side in ("old", "new")] != [None, None]
    assert diff.lines["old", 1].text == "-- x"


def test_a_range_names_its_ends_by_code_and_stands_on_its_last_line() -> None:
    span = lines.between(DIFF, "new", 8, 10, TEXT)
    position = lines.position(DIFF, span, REFS)
    assert position
    assert (position["new_line"], position.get("old_line")) == (10, None)
    assert position["old_path"] == "old.py"
    ends = position["line_range"]
    assert ends["start"] == {"line_code": lines.code(DIFF, span[0]), "type": None}
    assert ends["end"]["type"] == "new"
    assert ends["end"]["line_code"].endswith("_11_10")


@pytest.mark.parametrize("first", [40, 10, 0])
def test_a_range_that_is_none_is_its_last_line(first: int) -> None:
    assert [line.new for line in lines.between(DIFF, "new", first, 10, TEXT)] == [10]


def test_carriage_returns_and_a_missing_end_belong_to_the_lines() -> None:
    diff = lines.read(diffs.change("a", "a\r\nb", "a\r\nc"))
    assert diff.lines["new", 1].text == "a\r"
    assert diff.lines["new", 2].text == "c"
    assert ("new", 3) not in diff.lines


def test_a_path_that_is_too_long_for_gitlab_has_no_position() -> None:
    diff = lines.read(diffs.change("a" * 1001, None, "x\n"))
    assert lines.position(diff, [diff.lines["new", 1]], REFS) is None


def test_lines_that_gitlab_takes_for_a_file_s_name_are_not_counted_as_it_does_not() -> None:
    old = "select 1;\n-- a comment\nselect 2;\nselect 3;\n"
    new = "select 1;\nselect 2;\n++ b;\nselect 3;\nselect 4;\n"
    file = diffs.change("a.sql", old, new)
    diff = lines.read(file)
    named = {}
    for side, number in [
        (lines.NEW, 2),
        (lines.OLD, 3),
        (lines.NEW, 3),
        (lines.NEW, 4),
        (lines.NEW, 5),
    ]:
        (line,) = lines.between(diff, side, number, number, None) or (None,)
        named[side, number] = line and (line.old, line.new)
        if line:
            position = lines.position(diff, [line], REFS)
            assert position
            found = positions.line_code({"diffs": [file]}, REFS, position)
            assert found == lines.code(diff, line)
    # GitLab counts select 2 as the second line of the old side; of the new one it skips "++ b;".
    assert named == {
        (lines.NEW, 2): (2, 2),
        (lines.OLD, 3): (2, 2),
        (lines.NEW, 3): None,
        (lines.NEW, 4): (3, 3),
        (lines.NEW, 5): (None, 4),
    }
