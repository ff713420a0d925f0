"""The rules of `template.yaml` for regions and models, held against the functions' own."""

import re
from collections.abc import Iterator

import pytest

from shared.installation.providers import (
    BEDROCK_PROFILES,
    MODELS,
    NEWEST,
    NO_FUNCTION_URL,
    PROVIDERS,
    REVIEWED,
    Model,
)
from shared.installation.readers import SettingsError
from tests import ROOT
from tests.support.deploy.template import refusals, source
from tests.support.fakes import settings


def accepted(provider: str, region: str, model: str) -> bool:
    try:
        chosen = settings(MODEL_PROVIDER=provider, MODEL_REGION=region, MODEL=model).model
    except SettingsError:
        return False
    return chosen.advice(REVIEWED)[0]


def ids() -> list[str]:
    found = [each for release in MODELS.values() for each in (release.anthropic, release.vertex)]
    for prefix in BEDROCK_PROFILES:
        found += [f"{prefix}.anthropic.{release.bedrock}" for release in MODELS.values()]
    return found


def pairs() -> Iterator[tuple[str, str]]:
    regions = {region for each in PROVIDERS.values() for region in each.regions.split()} | {""}
    return ((region, model) for region in sorted(regions) for model in ids())


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_template_accepts_what_the_functions_would_and_nothing_else(provider: str) -> None:
    rules = source()["Rules"]
    for region, model in pairs():
        found = refusals(rules, ModelProvider=provider, ModelRegion=region, Model=model)
        # Stricter than the functions, which overlook a region they do not need and cannot know
        # every dated id.
        dated = provider == "vertex" and re.search(r"-\d{8}$", model)
        stricter = found and (dated or (provider == "anthropic" and region))
        tried = (region, model, found)
        assert accepted(provider, region, model) is not bool(found) or stricter, tried


def test_without_a_model_only_the_claude_api_chooses_one() -> None:
    rules = source()["Rules"]
    assert not refusals(rules, ModelProvider="anthropic")
    assert refusals(rules, ModelProvider="bedrock", ModelRegion="eu-west-1")
    assert refusals(rules, ModelProvider="vertex", ModelRegion="global")


def test_a_region_without_function_urls_takes_no_stack() -> None:
    rules = source()["Rules"]
    for region in NO_FUNCTION_URL.split():
        found = refusals(rules, ModelProvider="anthropic", **{"AWS::Region": region})
        assert "no function URLs" in found[0]
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
            found = refusals(rules, ModelProvider="bedrock", ModelRegion=wrong, Model=model)
            named = set(re.findall(r"[a-z]+-(?:gov-)?[a-z]+-\d", " ".join(found)))
            assert set(regions.split()) <= named


def sentences() -> Iterator[str]:
    template = source()
    for parameter in template["Parameters"].values():
        yield parameter["Description"]
    for rule in template["Rules"].values():
        yield from (each["AssertDescription"] for each in rule["Assertions"])
    for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        yield path.read_text()


def test_a_model_that_docs_and_sentences_name_answers() -> None:
    named = set(re.findall(r"claude-[a-z]+-[0-9][a-z0-9@-]*", " ".join(sentences())))
    assert NEWEST in named
    for model in named:
        assert Model(PROVIDERS["vertex"], "", model).advice(REVIEWED) == (True, ""), model
