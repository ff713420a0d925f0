"""`template.yaml` as written, and as AWS's own SAM translator makes it. It deploys nothing."""

import copy
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

from tests import ROOT

Json = dict[str, Any]


@cache
def _source(root: Path) -> Json:
    return dict(yaml_parse((root / "template.yaml").read_text()))


def source(root: Path = ROOT) -> Json:
    """Return the template as it stands in a tree, its short functions in long form."""
    return copy.deepcopy(_source(root))


def translated(*, key: str = "bundle.zip") -> Json:
    """Return the CloudFormation template, its code under a key of the bucket `code-bucket`."""
    return copy.deepcopy(_translated(key))


@cache
def _translated(key: str) -> Json:
    import boto3  # with the translator a second, which not every worker needs
    from samtranslator.parser.parser import Parser
    from samtranslator.translator.translator import Translator

    template = source()
    del template["Globals"]["Function"]["CodeUri"]
    for resource in functions(template).values():
        resource["Properties"]["CodeUri"] = f"s3://code-bucket/{key}"
    session = boto3.Session(region_name="us-east-1")
    return dict(
        Translator({}, Parser(), boto_session=session).translate(template, parameter_values={})
    )


def functions(template: Json) -> dict[str, Json]:
    """Return the template's functions by logical id, before or after translation."""
    kinds = ("AWS::Serverless::Function", "AWS::Lambda::Function")
    return {name: each for name, each in template["Resources"].items() if each["Type"] in kinds}


def environment(name: str) -> dict[str, Any]:
    """Return the variables that `receive`, `dispatch` or `sweep` gets."""
    variables: Mapping[str, Any] = functions(translated())[f"{name.title()}Function"]["Properties"][
        "Environment"
    ]
    return dict(variables["Variables"])


def holds(condition: Json, given: dict[str, str]) -> bool:
    """Evaluate a condition of the section Rules as CloudFormation does."""
    (function, arguments), *_ = condition.items()
    if function == "Fn::Not":
        return not holds(arguments[0], given)
    if function == "Fn::And":
        return all(holds(each, given) for each in arguments)
    values = [given[each["Ref"]] if isinstance(each, dict) else each for each in arguments]
    return bool(values[0] == values[1] if function == "Fn::Equals" else values[1] in values[0])


def refusals(rules: Json, **given: str) -> list[str]:
    """Return what CloudFormation would say against these parameters."""
    chosen = {
        "AWS::Region": "us-east-1",
        "JobProjects": "group/app@main",
        "JobProjectIds": "1234",
        "GitLabUrl": "https://gitlab.com",
        "ModelRegion": "",
        "Model": "",
    } | given
    return [
        assertion["AssertDescription"]
        for rule in rules.values()
        if "RuleCondition" not in rule or holds(rule["RuleCondition"], chosen)
        for assertion in rule["Assertions"]
        if not holds(assertion["Assert"], chosen)
    ]
