"""Where the job's line goes in a .gitlab-ci.yml that is there already, and what lint says of it."""

import pytest
import yaml  # type: ignore[import-untyped,unused-ignore]

from cli.connection import FILE
from cli.proposal import include
from tests.support.operator_scene import Scene

JOB = {"local": FILE}


@pytest.mark.parametrize(
    ("before", "others"),
    [
        ("", []),
        ("stages: [test]\n", []),
        ("# a comment only", []),
        ("include:\n  - local: a.yml\ntest:\n  script: x\n", [{"local": "a.yml"}]),
        ("include:\n- local: a.yml\n- b.yml\n", [{"local": "a.yml"}, "b.yml"]),
        ("include:  # ours\n\n  # first\n  - local: a.yml\n", [{"local": "a.yml"}]),
        ("spec:\n  inputs: {}\n---\ntest:\n  script: x\n", []),
    ],
)
@pytest.mark.parametrize("provider", ["anthropic", "bedrock"])
def test_the_job_is_one_more_include(before: str, others: list[object], provider: str) -> None:
    after = include(before, provider)
    assert after is not None
    read = list(yaml.safe_load_all(after))[-1]
    job = JOB if provider == "anthropic" else JOB | {"inputs": {"provider": provider}}
    assert read.pop("include") == [job, *others]
    was = list(yaml.safe_load_all(before))[-1:] or [None]
    rest = {k: v for k, v in (was[0] or {}).items() if k != "include"}
    assert read == rest


@pytest.mark.parametrize(
    "before", ["include: a.yml\n", "include: [a.yml]\n", "include:\n  local: a.yml\n"]
)
def test_what_is_written_in_another_way_is_left_to_a_person(before: str) -> None:
    assert include(before, "anthropic") is None


def test_it_says_so_and_goes_on(stage: Scene) -> None:
    stage.gitlab.files[7, "main"][".gitlab-ci.yml"] = "include: a.yml\n"
    assert "add the job to .gitlab-ci.yml of group/app by hand" in stage.setup()
    assert not stage.gitlab.merge_requests


def test_what_lint_refuses_becomes_no_merge_request(stage: Scene) -> None:
    stage.gitlab.files[7, "main"][".gitlab-ci.yml"] = "x:\n\tx: 1\n"
    status, shown = stage.run("setup", "--project", "group/app")
    assert (status, "CI lint refuses the job in group/app: jobs:x config is wrong" in shown) == (
        2,
        True,
    )
    assert not stage.gitlab.merge_requests
    assert list(stage.gitlab.projects[7].branches) == ["main"]
