"""Reviews of 500 diffs made by rule: each position is taken, nothing is lost, nothing told twice."""

import random
from collections.abc import Iterator

import pytest

from job import lines
from tests.support.gitlab import diffs, entities, positions
from tests.support.gitlab.server import GitLab
from tests.support.job.reviewed import Found, Reviewed, finding, made, mutated

DIFFS, PUSHES = 500, 10


@pytest.fixture
def reviewed() -> Iterator[Reviewed]:
    with GitLab() as gitlab:
        yield Reviewed(gitlab)


def spans(diff: lines.Diff, text: str, chance: random.Random) -> Iterator[list[lines.Line]]:
    """All that can be named in a file: each line of both sides, folded ones too, and ranges."""
    shown = text.removesuffix("\n").split("\n")
    for side in (lines.NEW, lines.OLD):
        for number in range(1, 100):
            first = number - chance.randint(0, 5)
            found = lines.between(diff, side, max(first, 1), number, shown)
            if found:
                yield found


def test_each_position_of_500_diffs_is_taken(reviewed: Reviewed) -> None:
    chance, taken, kinds = random.Random(500), 0, set()  # noqa: S311
    for number in range(DIFFS):
        file, text = made(chance, number)
        reviewed.push([file], {file["new_path"]: text})
        refs = entities.merge_request(reviewed.gitlab, reviewed.record)["diff_refs"]
        diff = lines.read(file)
        for span in spans(diff, text, chance):
            position = lines.position(diff, span, refs)
            assert position
            assert positions.valid(position)
            code = positions.line_code(reviewed.record, refs, position)
            assert code == lines.code(diff, span[-1]), (file, span)
            taken += 1
            kinds.add((span[-1].type, len(span) > 1))
    assert taken > 20_000
    assert len(kinds) == 6  # three types of line, alone and as ranges


def test_lines_at_random_lose_no_finding_and_leave_no_draft(reviewed: Reviewed) -> None:
    chance = random.Random(7)  # noqa: S311
    for number in range(60):
        files = [made(chance, number * 10 + each) for each in range(3)]
        reviewed.push([file for file, _ in files], {file["new_path"]: text for file, text in files})
        found = [
            finding(
                chance.choice([file["new_path"], file["old_path"], "gone.py"]),
                chance.randint(1, 120),
                first_line=chance.randint(1, 120),
                side=chance.choice(["new", "old"]),
                text=f"Finding {number}-{each}.",
            )
            for each in range(12)
            for file, _ in (chance.choice(files),)
        ]
        said = reviewed.review(found)
        assert reviewed.gitlab.drafts == {}
        assert "GitLab took no notes" not in said
        told = "\n".join([said, *(note["body"] for note in reviewed.notes())])
        assert [each["text"] for each in found if each["text"] not in told] == []
    drafts = [call for call in reviewed.gitlab.calls if call.path.endswith("/draft_notes")]
    assert {call.status for call in drafts} == {200, 201}
    assert reviewed.gitlab.unknown_calls == []


def problems(number: int, text: list[str], chance: random.Random) -> list[Found]:
    """What a reviewer finds in each push: the same problems, said in other words half the time."""
    words = chance.choice(["is wrong", f"should go, says reading {number}"])
    return [
        finding("app.py", at, text=f"{line} {words}.")
        for at, line in enumerate(text, 1)
        if line.startswith("problem")
    ]


@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_told_twice_over_ten_pushes(reviewed: Reviewed, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311
    old = [f"line {number}" for number in range(60)]
    text = list(old)
    for number in range(8):
        text.insert(chance.randrange(len(text)), f"problem {number}")
    for number in range(PUSHES):
        kept = [line for line in text if line.startswith("problem")]
        text = mutated(chance, text)
        text += [line for line in kept if line not in text]
        new = "\n".join(text) + "\n"
        was = "lib.py" if number % 2 else None
        file = diffs.change("app.py", "\n".join(old) + "\n", new, was=was)
        reviewed.push([file], {"app.py": new})
        reviewed.review(problems(number, text, chance))
    assert len(reviewed.notes()) == 8


def test_of_three_thousand_files_nothing_is_lost_or_told_twice(reviewed: Reviewed) -> None:
    chance = random.Random(3_000)  # noqa: S311
    files = [made(chance, number) for number in range(3_000)]
    texts = {file["new_path"]: text for file, text in files}
    found = [
        finding(file["new_path"], 1, side="old" if file["deleted_file"] else "new", text=f"At {n}.")
        for n, (file, _) in enumerate(files)
        if file["diff"].startswith("@@") and n % 60 == 59
    ]
    for push in range(3):
        at = chance.randrange(3_000)
        files[at] = made(chance, at)
        texts[files[at][0]["new_path"]] = files[at][1]
        reviewed.push([file for file, _ in files], texts)
        said = reviewed.review(found)
        assert "of 1000+ changed files" in said  # GitLab shows no more
        told = [note["body"] for note in reviewed.notes()]
        assert len(told) == len(set(told)) > 10, push
        assert [each["text"] for each in found if each["text"] not in "".join([*told, said])] == []
