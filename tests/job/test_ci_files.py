"""What counts as CI/CD configuration: whatever its name, however deep it is included."""

import json
import time

import pytest

from job.ci_files import touched
from tests import ROOT as TOP

COMPONENT = (TOP / "templates" / "claude.yml").read_text()
ROOT = ".gitlab-ci.yml"
NESTED = {
    ROOT: "include:\n  - local: /ci/build.yml\n",
    "ci/build.yml": "include: ci/deep/*.yml\n",
    "ci/deep/a.yml": "child:\n  trigger:\n    include:\n      - local: children/one.yaml\n",
    "children/one.yaml": "include:\n- children/two.yml\n",
    "deploy/values.yml": "a: 1\n",
    "children/two.yml": "job: {script: x}\n",
}


def part(changed: str, files: dict[str, str], **environment: str) -> bool:
    return touched([changed], environment, lambda: list(files), files.get)


@pytest.mark.parametrize(
    "path",
    [
        ROOT,
        ".gitlab-ci.yaml",
        ".gitlab/anything",
        "ci/build.yml",
        "ci/deep/a.yml",
        "ci/deep/new.yml",
        "children/one.yaml",
        "children/two.yml",
    ],
)
def test_local_includes_of_any_depth_and_children_count(path: str) -> None:
    assert part(path, NESTED)


@pytest.mark.parametrize("path", ["deploy/values.yml", "app.py", "ci/build.yml.md", "new.yml"])
def test_other_files_do_not(path: str) -> None:
    assert not part(path, NESTED)


def test_the_project_s_own_name_for_it_counts() -> None:
    files = {"ci/pipeline": "include: x/y.yml\n", ROOT: ""}
    assert part("ci/pipeline", files, CI_CONFIG_PATH="ci/pipeline")
    assert part("x/y.yml", files, CI_CONFIG_PATH="ci/pipeline")
    assert part("ci/pipeline", files, CI_CONFIG_PATH="/ci/pipeline")
    assert not part("x/z.yml", files, CI_CONFIG_PATH="ci/pipeline")


@pytest.mark.parametrize("root", ["ci.yml@group/project", "https://example.com/ci.yml"])
def test_where_it_is_another_project_s_every_yaml_file_may_be_part_of_it(root: str) -> None:
    assert part("children/one.yml", {}, CI_CONFIG_PATH=root)
    assert not part("app.py", {}, CI_CONFIG_PATH=root)


WAYS = [
    "include: a/b.yml",
    "include: 'a/b.yml'",
    'include: "/a/b.yml"  # ours',
    '"include": ["a/b.yml"]',
    "include: [x.yml, a/b.yml]",
    "include:\n- a/b.yml",
    "include:\n  - a/b.yml",
    "include:\n  local: a/b.yml",
    "include:\n\n  # ours\n  - local: 'a/b.yml'\n    rules:\n      - if: $X",
    "include:\n  - remote: https://x/y.yml\n  - local: ./a/b.yml",
    "include: [\n{local: a/b.yml}\n]",
    "include:\n  - {local: a/b.yml, inputs: {a: 1}}",
    "include: a/*.yml",
    "include: '**/b.yml'",
    "include: a/$NAME.yml",
    "include: ${FOLDER}/b.yml",
    "include: $FILE",
    "include:\n  - local: a/$[[ inputs.name ]].yml",
    "include:\n  - local: $[[ inputs.file ]]",
    ".common: &common [a/b.yml]\ninclude: *common",
    ".common: &common\n  - a/b.yml\nx:\n  trigger:\n    include: *common",
    "x: {trigger: {include: a/b.yml, strategy: depend}}",
    ".x: {files: [a/b.yml]}\nchild: {trigger: {include: !reference [.x, files]}}",
    "x:\n  trigger:\n    include: a/b.yml",
    "x:\n  trigger:\n    strategy: depend\n    include:\n      - local: a/b.yml",
    'include: "a\\/b.yml"',
    "include: >-\n  a/b.yml",
    "x: 1\r\ninclude:\r\n  - a/b.yml\r\n",
    "spec:\n  inputs: {}\n---\ninclude:\n  - a/b.yml",
    json.dumps({"include": [{"local": "a/b.yml"}]}),
    json.dumps({"include": [{"local": "a/b.yml"}]}, indent=2),
]


@pytest.mark.parametrize("text", WAYS)
def test_every_way_to_write_an_include_is_one(text: str) -> None:
    assert part("a/b.yml", {ROOT: text, "a/b.yml": ""})


@pytest.mark.parametrize(
    "path", ["ci/a, b.yml", "ci/it's [one].yml", "ci/with blank.yml", "ci/ünïcode.YML"]
)
def test_names_of_all_kinds_are_found(path: str) -> None:
    assert part(path, {ROOT: f'include: "{path}"\n'})


def test_a_component_of_the_project_s_own_counts() -> None:
    for name in ("$CI_PROJECT_PATH", "${CI_PROJECT_PATH}", "group/app"):
        text = f"include:\n  - component: $CI_SERVER_FQDN/{name}/deploy@$CI_COMMIT_SHA\n"
        assert part("templates/deploy.yml", {ROOT: text}, CI_PROJECT_PATH="group/app")
    other = "include:\n  - component: $CI_SERVER_FQDN/group/other/deploy@1\n"
    assert not part("templates/deploy.yml", {ROOT: other}, CI_PROJECT_PATH="group/app")


@pytest.mark.parametrize(
    "text",
    [
        "job:\n  script: [cat a/b.yml]\n",
        "job:\n  rules:\n    - changes: ['**/*.yml']\n",
        "include: c.yml\njob: {artifacts: {paths: [a/b.yml]}}\n",
        "# include: nothing\n",
        "variables: {INCLUDE: a/b.yml}\n",
    ],
)
def test_what_is_no_include_is_none(text: str) -> None:
    assert not part("a/b.yml", {ROOT: text})


def test_the_component_itself_includes_nothing() -> None:
    """It is YAML that holds a program, which must not look like an include."""
    files = {ROOT: "include: {local: templates/claude.yml}", "templates/claude.yml": COMPONENT}
    assert part("templates/claude.yml", files)
    assert not part("deploy/values.yml", files)


def test_circles_end_and_too_many_files_are_all() -> None:
    assert not part("x.yml", {ROOT: "include: a.yml", "a.yml": "include: .gitlab-ci.yml"})
    many = {f"ci/{number}.yml": "" for number in range(400)} | {ROOT: "include: ci/*.yml"}
    assert part("x.yml", many)


def test_a_hostile_file_costs_no_time() -> None:
    text = "include: " + "*a" * 5_000 + ".yml\n" + "include: [\n" * 5_000
    began = time.process_time()
    part("b" * 4_000 + ".yml", {ROOT: text})
    assert time.process_time() - began < 1
