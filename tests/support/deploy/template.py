"""`template.yaml` as written, and as AWS's own SAM translator makes it. It deploys nothing."""

import copy
from collections.abc import Mapping
from functools import cache
from typing import Any

import boto3
from samtranslator.parser.parser import Parser
from samtranslator.translator.translator import Translator
from samtranslator.yaml_helper import yaml_parse

from tests import ROOT

Json = dict[str, Any]


@cache
def _source() -> Json:
    return dict(yaml_parse((ROOT / "template.yaml").read_text()))


def source() -> Json:
    """Return the template as a person wrote it, its short functions in long form."""
    return copy.deepcopy(_source())


def translated(*, bucket: str = "code-bucket", key: str = "bundle.zip", **function: object) -> Json:
    """Return the CloudFormation template; `function` overrides properties of all functions, such as Runtime."""
    template = source()
    common = template["Globals"]["Function"]
    del common["CodeUri"]
    common.update(function)
    for resource in functions(template).values():
        resource["Properties"]["CodeUri"] = f"s3://{bucket}/{key}"
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
