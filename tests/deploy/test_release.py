"""What a release carries: a stack that takes the zip from a bucket, sums, an SBOM; and our own CI."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import boto3
import yaml  # type: ignore[import-untyped]
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from deploy import release
from shared.contract.version import VERSION
from tests import ROOT
from tests.support.deploy import template as templates


def test_one_version_stands_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", VERSION)
    assert project["version"] == release.version() == VERSION


def test_the_console_s_template_takes_its_code_from_a_bucket_and_is_the_same_stack_else() -> None:
    found = yaml_parse(release.console((ROOT / "template.yaml").read_text()))
    assert found["Parameters"].pop("CodeBucket")["Type"] == "String"
    assert found["Parameters"].pop("CodeKey")["Default"] == f"gitlab-claude-trigger-{VERSION}.zip"
    code = found["Globals"]["Function"]["CodeUri"]
    assert code == {"Bucket": {"Ref": "CodeBucket"}, "Key": {"Ref": "CodeKey"}}
    groups = found["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert groups.pop(0)["Parameters"] == ["CodeBucket", "CodeKey"]
    found["Globals"]["Function"]["CodeUri"] = "."
    ours = templates.source()
    for function in templates.functions(ours).values():
        assert function.pop("Metadata") == {"BuildMethod": "makefile"}
    assert found == ours


def test_aws_s_translator_gives_every_function_the_bucket_and_key() -> None:
    found = yaml_parse(release.console((ROOT / "template.yaml").read_text()))
    session = boto3.Session(region_name="us-east-1")
    translated = dict(
        Translator({}, Parser(), boto_session=session).translate(found, parameter_values={})
    )
    for function in templates.functions(translated).values():
        code = function["Properties"]["Code"]
        assert code == {"S3Bucket": {"Ref": "CodeBucket"}, "S3Key": {"Ref": "CodeKey"}}


def test_a_zip_depends_on_names_and_contents_only(tmp_path: Path) -> None:
    packed = []
    for name, mode in (("a", 0o600), ("b", 0o755)):
        folder = tmp_path / name
        (folder / "sub").mkdir(parents=True)
        for file in ("z.py", "sub/a.py"):
            (folder / file).write_text(file)
            (folder / file).chmod(mode)
        release.pack(folder, tmp_path / f"{name}.zip")
        packed.append((tmp_path / f"{name}.zip").read_bytes())
    assert packed[0] == packed[1]
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["sub/a.py", "z.py"]
        assert archive.getinfo("z.py").external_attr >> 16 == 0o644


def test_the_sbom_names_every_locked_package_with_its_version() -> None:
    locked = (ROOT / "functions" / "aws" / "requirements.txt").read_text()
    found = release.sbom(locked, VERSION)
    assert isinstance(found["components"], list)
    named = {each["name"]: each["version"] for each in found["components"]}
    assert {"boto3", "aws-lambda-powertools", "python-gitlab"} <= set(named)
    assert len(named) == locked.count("==")
    assert all(re.fullmatch(r"\d[\w.]+", number) for number in named.values())


def test_our_ci_file_is_valid_and_a_tag_releases_what_the_tests_passed() -> None:
    text = (ROOT / ".gitlab-ci.yml").read_text()
    check = Path(sys.executable).parent / "check-jsonschema"
    command = [str(check), "--builtin-schema", "vendor.gitlab-ci", str(ROOT / ".gitlab-ci.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    jobs = yaml.safe_load(text)
    assert jobs["stages"] == ["test", "build", "release"]
    assert ".ci/run" in jobs["test"]["script"]
    links = {each["name"] for each in jobs["release"]["release"]["assets"]["links"]}
    assert links == {
        "gitlab-claude-trigger-$CI_COMMIT_TAG.zip",
        "template.yaml",
        "claude.yml",
        "sbom.cdx.json",
        "SHA256SUMS",
    }
