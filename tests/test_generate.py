"""`generate.py` in a copy of the project: one row makes a setting or a model, and drift is seen."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped,unused-ignore]

from shared.installation.providers import BEDROCK_PROFILES
from tests import ROOT
from tests.support.deploy import template

SETTINGS = Path("shared/installation/settings.py")
PROVIDERS = Path("shared/installation/providers.py")


class Tree:
    """A copy of what generate.py reads and writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        skip = shutil.ignore_patterns("__pycache__", ".*", "*.png")
        for name in ("docs", "templates", "shared", "job"):
            shutil.copytree(ROOT / name, folder / name, ignore=skip)
        for name in ("README.md", "template.yaml", "cloudbuild.yaml", "generate.py"):
            shutil.copy(ROOT / name, folder)

    def generate(self, *arguments: str, seed: int = 0) -> tuple[int, str]:
        """Return the exit status and what was said."""
        done = subprocess.run(
            [sys.executable, "generate.py", *arguments],
            cwd=self.folder,
            env={"PYTHONHASHSEED": str(seed), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def replace(self, path: str | Path, old: str, new: str) -> None:
        """Change one place of a file."""
        text = (self.folder / path).read_text()
        assert text.count(old) == 1, (path, text.count(old))
        (self.folder / path).write_text(text.replace(old, new))

    def texts(self) -> dict[Path, str]:
        """Return what stands in every file."""
        return {path: path.read_text() for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "tree")


def test_what_is_written_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "generate.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_one_row_makes_a_setting(tree: Tree) -> None:
    rows = """\
    shout: bool = _row(
        readers.switch,
        Variable("SHOUT", "false", "Words", _SWITCH),
        "true writes replies in capitals.",
    )
    gitlab_calls: int = _row(
        readers.number,
        Variable("GITLAB_CALLS", "7", "GitLab", most=70),
        "Calls at once: the more, the sooner. 0 sets no limit.",
    )
"""
    after = "    prompts: Mapping[str, str] = _row("
    tree.replace(SETTINGS, after, rows + after)
    stale = (
        "out of date: docs/settings.md, docs/zh-CN/settings.md, template.yaml, cloudbuild.yaml;"
        " run make docs\n"
    )
    assert tree.generate("--check") == (1, stale)
    assert tree.generate() == (0, "")
    assert tree.generate("--check") == (0, "")
    stack = template.source(tree.folder)
    assert stack["Parameters"]["Shout"] == {
        "Type": "String",
        "Default": "false",
        "AllowedValues": ["true", "false"],
        "Description": "true writes replies in capitals.",
    }
    assert stack["Parameters"]["GitLabCalls"] == {
        "Type": "Number",
        "Default": 7,
        "MinValue": 0,
        "MaxValue": 70,
        "Description": "Calls at once: the more, the sooner. 0 sets no limit.",
    }
    groups = stack["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    shown = {group["Label"]["default"]: group["Parameters"] for group in groups}
    assert (shown["GitLab"][-1], shown["Words"]) == (
        "GitLabCalls",
        ["Shout", "Prompts", "Language"],
    )
    given = stack["Globals"]["Function"]["Environment"]["Variables"]
    assert (given["SHOUT"], given["GITLAB_CALLS"]) == ({"Ref": "Shout"}, {"Ref": "GitLabCalls"})
    build = yaml.safe_load((tree.folder / "cloudbuild.yaml").read_text())
    assert (
        build["substitutions"] | {"_SHOUT": "false", "_GITLAB_CALLS": "7"}
        == (build["substitutions"])
    )
    assert {"SHOUT=${_SHOUT}", "GITLAB_CALLS=${_GITLAB_CALLS}"} <= set(build["steps"][0]["env"])
    page = (tree.folder / "docs" / "settings.md").read_text()
    assert "| `SHOUT` | `false` | `true`, `false` | true writes replies in capitals. |\n" in page
    assert "| `GITLAB_CALLS` | `7` | 0 to 70 | Calls at once" in page
    # Until somebody has translated it.
    page = (tree.folder / "docs" / "zh-CN" / "settings.md").read_text()
    assert "| `GITLAB_CALLS` | `7` | 0 到 70 | Calls at once" in page


def test_one_row_makes_a_model(tree: Tree) -> None:
    first = '        Release("claude-opus-5-5"),\n'
    tree.replace(PROVIDERS, first, f'{first}        Release("claude-x", "20300101", "-v1:0"),\n')
    assert tree.generate("--check") == (1, "out of date: template.yaml; run make docs\n")
    assert tree.generate() == (0, "")
    rules = template.source(tree.folder)["Rules"]

    def said(provider: str, region: str, model: str) -> str:
        found = template.refusals(rules, ModelProvider=provider, ModelRegion=region, Model=model)
        return " ".join(found)

    assert "Model is an id of Vertex AI" in said("anthropic", "", "claude-x@20300101")
    assert "Bedrock takes" in said("bedrock", "eu-west-1", "claude-x-20300101")
    assert "Bedrock takes" in said("bedrock", "eu-west-1", "claude-x@20300101")
    assert "the id Vertex AI uses" in said("vertex", "global", "claude-x-20300101")
    for prefix, regions in BEDROCK_PROFILES.items():
        model = f"{prefix}.anthropic.claude-x-20300101-v1:0"
        assert said("bedrock", regions.split()[0], model) == ""
        elsewhere = "us-gov-west-1" if prefix != "us-gov" else "us-east-1"
        assert f"Profiles {prefix}. " in said("bedrock", elsewhere, model)
        assert "is an inference profile" in said("vertex", "global", model)


def test_one_row_retires_a_model_and_names_the_newest(tree: Tree) -> None:
    tree.replace(
        PROVIDERS,
        '        Release("claude-opus-5-5"),\n',
        '        Release("claude-opus-6"),\n'
        '        Release("claude-opus-5-5", retires={"anthropic": "2026-01-01"}),\n',
    )
    assert tree.generate() == (0, "")
    stack = template.source(tree.folder)
    given = {"ModelProvider": "anthropic", "Model": "claude-opus-5-5"}
    assert template.refusals(stack["Rules"], **given)[0].startswith("This model is retired.")
    assert not template.refusals(stack["Rules"], **given | {"Model": "claude-opus-6"})
    assert "such as claude-opus-6 or" in stack["Parameters"]["Model"]["Description"]


def test_a_list_changed_by_hand_is_seen_and_put_back(tree: Tree) -> None:
    before = tree.texts()
    tree.replace("template.yaml", "MinValue: 2\n    MaxValue: 59", "MinValue: 3\n    MaxValue: 59")
    by_hand = tree.texts()
    assert tree.generate("--check") == (0, "")  # that parameter is no setting
    for path, old, new in (
        ("template.yaml", "us-gov-west-1]\n          # end", "us-west-9]\n          # end"),
        ("cloudbuild.yaml", '_MAX_TURNS: "40"', '_MAX_TURNS: "41"'),
        ("docs/settings.md", "| `MAX_TURNS` | `40`", "| `MAX_TURNS` | `41`"),
        ("templates/claude.yml", "      import json\n", "      import yaml\n"),
    ):
        text = (tree.folder / path).read_text()
        (tree.folder / path).write_text(text.replace(old, new, 1))
        assert tree.generate("--check") == (1, f"out of date: {path}; run make docs\n")
        assert tree.generate() == (0, "")
        assert tree.texts() == by_hand
    assert by_hand != before


def test_a_part_that_lost_its_end_is_named_and_nothing_is_written(tree: Tree) -> None:
    tree.replace("template.yaml", "us-gov-west-1]\n          # end", "us-gov-west-1]")
    before = tree.texts()
    for arguments in ((), ("--check",)):
        status, said = tree.generate(*arguments)
        assert (status, said) == (1, "in no file, or without its end: not_of_bedrock\n")
        assert tree.texts() == before


def test_a_component_without_its_marks_is_left_alone(tree: Tree) -> None:
    tree.replace("templates/claude.yml", "# The program: end", "# The end")
    before = tree.texts()
    status, said = tree.generate()
    assert (status, "lacks '# The program, written by" in said) == (1, True)
    assert tree.texts() == before


def test_the_order_does_not_depend_on_the_run(tree: Tree) -> None:
    for seed in range(3):
        assert tree.generate("--check", seed=seed) == (0, "")


@pytest.mark.parametrize("text", ["END_OF_PROGRAM", "#== job/run.py", "$[[ inputs.x ]]", "\t"])
def test_a_program_that_the_component_cannot_hold_is_refused(tree: Tree, text: str) -> None:
    (tree.folder / "job" / "new.py").write_text(f"# {text}\n")
    before = tree.texts()
    status, said = tree.generate()
    assert (status, "job/new.py holds" in said) == (1, True)
    assert tree.texts() == before
