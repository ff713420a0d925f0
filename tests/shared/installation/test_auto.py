import time

import pytest

from shared.installation import auto
from shared.installation.auto import LABELS, PATHS, TARGETS, PolicyError, narrowed, read
from shared.outcome import messages, messages_zh_cn

ALL = "review: opened, ready, pushed"


def test_a_policy_says_what_starts_on_what_occasion_for_what_and_how_often() -> None:
    policy = read(" Review: Opened, READY ;targets:main,release/*; runs: 5;")
    assert policy.starts == {"review": ("opened", "ready")}
    assert policy.filters == {"targets": ("main", "release/*")}
    assert policy.runs == 5
    assert [policy.command(each) for each in ("opened", "pushed")] == ["review", ""]
    assert read(ALL).runs == 10


def test_a_repair_is_allowed_by_a_part_of_its_own() -> None:
    assert read("fix: failed").command("failed") == "fix"
    assert read(ALL).command("failed") == ""
    both = read(f"{ALL}; fix: failed")
    assert narrowed(both, "fix: none")[0].starts == {
        "review": read(ALL).starts["review"],
        "fix": (),
    }
    assert narrowed(both, "review: none")[0].command("failed") == "fix"
    assert narrowed(read(ALL), "fix: failed")[0].command("failed") == ""


def test_lines_end_parts_as_semicolons_do_and_a_comment_says_nothing() -> None:
    text = "# ours; review: none\n\nreview: ready\r\n  # more\nlabels: priority::high, two words"
    assert read(text).filters == {"labels": ("priority::high", "two words")}
    assert read(text).starts == {"review": ("ready",)}


@pytest.mark.parametrize(
    ("patterns", "values", "fits"),
    [
        ("main", ["main"], True),
        ("main", ["Main"], True),
        ("main", ["maintenance"], False),
        ("main, release/*", ["release/1/2"], True),
        ("!wip", [], True),
        ("!wip", ["bug"], True),
        ("!wip", ["bug", "WIP"], False),
        ("bug, !wip", ["bug", "wip"], False),
        ("bug", [], False),
        ("*.py, !docs/*", ["docs/conf.py"], False),
    ],
)
def test_a_filter_lets_in_what_fits_a_pattern_and_none_that_it_bars(
    patterns: str, values: list[str], fits: bool
) -> None:
    for name in (TARGETS, LABELS, PATHS):
        assert read(f"{ALL}; {name}: {patterns}").admits(name, values) is fits


def test_without_a_filter_all_is_let_in() -> None:
    assert read(ALL).admits(LABELS, ())


def test_projects_go_by_id_or_path() -> None:
    policy = read(f"{ALL}; projects: 7, team/*, !team/secret")
    assert [policy.serves(*each) for each in ((7, "a/b"), (8, "team/x"), (9, "team/secret"))] == [
        True,
        True,
        False,
    ]
    assert not policy.serves(10, "a/b")


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("on", 1, "on"),
        ("review", 1, "review"),
        ("review:", 1, "review:"),
        ("review: , ,", 1, "review: , ,"),
        (": opened", 1, ": opened"),
        ("review: merged", 1, "merged"),
        ("review: opened, none", 1, "opened, none"),
        ("fix: opened", 1, "opened"),
        ("review: failed", 1, "failed"),
        ("mend: failed", 1, "mend"),
        ("review: opened; forks: yes", 1, "forks"),
        (f"{ALL}\n# x\nruns: 0", 3, "0"),
        (f"{ALL}\nruns: 100", 2, "100"),
        (f"{ALL}\nruns: 1000000", 2, "1000000"),
        (f"{ALL}\nruns: ٣", 2, "٣"),
        (f"{ALL}\nruns: 3, 4", 2, "3, 4"),
        (f"{ALL}\nruns: 3; runs: 3", 2, "runs a second time"),
        (f"{ALL}; review: ready", 1, "review a second time"),
        (f"{ALL}; labels: a; labels: b", 1, "labels a second time"),
        (f"{ALL}; labels: !", 1, "labels: !"),
        ("targets: main", 1, "targets: main"),
        (f"{ALL}\nlabels: {'a,' * 51}", 2, "51 values of labels"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, line: int, found: str) -> None:
    with pytest.raises(PolicyError) as error:
        read(text)
    assert (error.value.line, error.value.found) == (line, found)
    assert error.value.expected


@pytest.mark.parametrize(
    ("file", "starts", "runs"),
    [
        ("", ("opened", "ready"), 5),
        ("# nothing yet", ("opened", "ready"), 5),
        ("review: ready, pushed", ("ready",), 5),
        ("review: none", (), 5),
        ("runs: 2", ("opened", "ready"), 2),
        ("runs: 99", ("opened", "ready"), 5),
    ],
)
def test_a_file_only_ever_narrows(file: str, starts: tuple[str, ...], runs: int) -> None:
    policy, _ = narrowed(read("review: opened, ready; runs: 5; labels: bug"), file)
    assert (policy.starts["review"], policy.runs) == (starts, runs)
    assert policy.filters == {"labels": ("bug",)}


@pytest.mark.parametrize("file", ["projects: *", "review: ready\nwhatever", "#" * 4_097])
def test_a_file_that_is_no_policy_is_none(file: str) -> None:
    with pytest.raises(PolicyError):
        narrowed(read(ALL), file)


@pytest.mark.parametrize(
    "patterns", [",".join("*a" * 30 + f"{each}" for each in range(50)), "*a" * 2000, "[a" * 2000]
)
def test_no_pattern_takes_long(patterns: str) -> None:
    policy = read(f"{ALL}; paths: {patterns}")
    began = time.process_time()
    for number in range(500):
        policy.admits(PATHS, [f"{'a' * 1000}{number}"])
    assert time.process_time() - began < 5


def test_the_file_is_named_where_it_is_said_to_be_wrong() -> None:
    assert all(f"`{auto.FILE}`" in each.AUTO_LINE for each in (messages, messages_zh_cn))
