"""The rules of `template.yaml` for regions and models, evaluated as CloudFormation does, against the functions' own."""

import re
from collections.abc import Iterator

import pytest

from shared.installation.providers import (
    BEDROCK_PROFILES,
    MODELS,
    NO_FUNCTION_URL,
    PROVIDERS,
    REVIEWED,
    Model,
)
from shared.installation.settings import SettingsError
from tests.support.deploy.template import Json, source
from tests.support.fakes import settings


def holds(condition: Json, given: dict[str, str]) -> bool:
    """Evaluate a condition of the section Rules as CloudFormation does."""
    (function, arguments), *_ = condition.items()
    if function == "Fn::Not":
        return not holds(arguments[0], given)
    values = [given[each["Ref"]] if isinstance(each, dict) else each for each in arguments]
    return bool(values[0] == values[1] if function == "Fn::Equals" else values[1] in values[0])


def refusals(rules: Json, **given: str) -> list[str]:
    chosen = {
        "AWS::Region": "us-east-1",
        "JobProjects": "group/app@main",
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


def accepted(provider: str, region: str, model: str) -> bool:
    try:
        chosen = settings(MODEL_PROVIDER=provider, MODEL_REGION=region, MODEL=model).model
    except SettingsError:
        return False
    return chosen.advice(REVIEWED)[0]


def ids() -> list[str]:
    found = [each for release in MODELS.values() for each in (release.anthropic, release.vertex)]
    return [
        *found,
        *(
            f"{prefix}.anthropic.{each.bedrock}"
            for prefix in BEDROCK_PROFILES
            for each in MODELS.values()
        ),
    ]


def pairs() -> Iterator[tuple[str, str]]:
    regions = {region for each in PROVIDERS.values() for region in each.regions.split()} | {""}
    return ((region, model) for region in sorted(regions) for model in ids())


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_template_accepts_what_the_functions_would_and_nothing_else(provider: str) -> None:
    rules = source()["Rules"]
    for region, model in pairs():
        found = refusals(rules, ModelProvider=provider, ModelRegion=region, Model=model)
        # Stricter than the functions, which overlook a region they do not need and cannot know every dated id.
        stricter = (provider == "anthropic" and region) or (
            provider == "vertex" and re.search(r"-\d{8}$", model)
        )
        assert accepted(provider, region, model) is not bool(found) or (stricter and found), (
            region,
            model,
            found,
        )


def test_without_a_model_only_the_claude_api_chooses_one() -> None:
    rules = source()["Rules"]
    assert not refusals(rules, ModelProvider="anthropic")
    assert refusals(rules, ModelProvider="bedrock", ModelRegion="eu-west-1")
    assert refusals(rules, ModelProvider="vertex", ModelRegion="global")


def test_a_region_without_function_urls_takes_no_stack() -> None:
    rules = source()["Rules"]
    for region in NO_FUNCTION_URL.split():
        assert (
            "no function URLs"
            in refusals(rules, ModelProvider="anthropic", **{"AWS::Region": region})[0]
        )
    for region in ("us-east-1", "eu-central-1", "ap-northeast-1", "sa-east-1"):
        assert not refusals(rules, ModelProvider="anthropic", **{"AWS::Region": region})


def test_every_known_model_fits_the_parameter_s_pattern_and_no_alias_does() -> None:
    pattern = source()["Parameters"]["Model"]["AllowedPattern"]
    for model in (
        *ids(),
        "",
        "claude-opus-9",
        "eu.anthropic.claude-opus-9-20300101-v1:0",
        "claude-opus-5-5[1m]",
    ):
        assert re.fullmatch(pattern, model), model
    for model in (
        "opus",
        "sonnet",
        "apac.anthropic.claude-opus-5-5",
        "anthropic.claude-opus-5-5",
        "claude-3-opus-20240229",
    ):
        assert not re.fullmatch(pattern, model), model


def test_a_sentence_names_the_regions_of_its_profile() -> None:
    rules = source()["Rules"]
    for prefix, regions in BEDROCK_PROFILES.items():
        if prefix != "global":
            wrong = "us-east-1" if prefix != "us" else "eu-west-1"
            model = f"{prefix}.anthropic.claude-opus-5-5"
            said = " ".join(
                refusals(rules, ModelProvider="bedrock", ModelRegion=wrong, Model=model)
            )
            assert set(regions.split()) <= set(re.findall(r"[a-z]+-(?:gov-)?[a-z]+-\d", said))


def test_the_models_that_are_offered_answer_today_s_table() -> None:
    newest = Model(PROVIDERS["anthropic"], "", next(iter(MODELS)))
    assert newest.advice(REVIEWED) == (True, "")
    assert newest.id in source()["Parameters"]["Model"]["Description"]
