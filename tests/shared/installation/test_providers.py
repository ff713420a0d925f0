import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from mmap import ACCESS_READ, mmap

import pytest

from shared.installation.providers import (
    BEDROCK_PROFILES,
    GOOGLE_REGIONS,
    MODELS,
    NEWEST,
    NO_FUNCTION_URL,
    PROVIDERS,
    REVIEWED,
    Model,
    beside,
)
from shared.installation.readers import SettingsError
from tests import ROOT
from tests.support.fakes import settings
from tests.support.job import tooling


def model(provider: str, model_id: str, region: str = "") -> Model:
    return Model(PROVIDERS[provider], region, model_id)


def ids() -> list[tuple[str, str]]:
    found = []
    for release in MODELS.values():
        profiles = [f"{prefix}.anthropic.{release.bedrock}" for prefix in BEDROCK_PROFILES]
        found += [("anthropic", release.anthropic), ("vertex", release.vertex)]
        found += [("bedrock", profile) for profile in profiles]
    return found


@pytest.mark.parametrize(("provider", "model_id"), ids())
def test_every_model_of_the_table_is_accepted_where_it_is_served(
    provider: str, model_id: str
) -> None:
    profile = BEDROCK_PROFILES.get(model_id.partition(".")[0], "").split()
    for region in profile or ["global"]:
        found = settings(MODEL_PROVIDER=provider, MODEL_REGION=region, MODEL=model_id).model
        assert found.id == model_id
        long = found._replace(id=f"{model_id}[1m]")
        assert settings(MODEL_PROVIDER=provider, MODEL_REGION=region, MODEL=long.id).model == long
        assert long.retires() == found.retires()


@pytest.mark.parametrize("prefix", BEDROCK_PROFILES)
def test_a_profile_is_refused_outside_its_regions_with_the_id_that_fits(prefix: str) -> None:
    own, model_id = BEDROCK_PROFILES[prefix].split(), f"{prefix}.anthropic.{NEWEST}"
    for region in set(" ".join(BEDROCK_PROFILES.values()).split()) - set(own):
        with pytest.raises(SettingsError, match="MODEL: found") as error:
            settings(MODEL_PROVIDER="bedrock", MODEL_REGION=region, MODEL=model_id)
        cure = str(error.value).partition("expected ")[2].partition(" ")[0]
        assert settings(MODEL_PROVIDER="bedrock", MODEL_REGION=region, MODEL=cure).model.id == cure


@pytest.mark.parametrize(
    "model_id", ["apac.anthropic.claude-opus-5-5", "anthropic.claude-opus-5-5", "opus", "x.y"]
)
def test_there_is_no_profile_without_a_known_prefix(model_id: str) -> None:
    with pytest.raises(SettingsError, match="expected an inference profile"):
        settings(MODEL_PROVIDER="bedrock", MODEL_REGION="ap-northeast-1", MODEL=model_id)


@pytest.mark.parametrize(
    ("arn_region", "accepted"), [("eu-west-1", True), ("", True), ("us-east-1", False)]
)
def test_an_application_inference_profile_must_be_of_the_same_region(
    arn_region: str, *, accepted: bool
) -> None:
    arn = f"arn:aws:bedrock:{arn_region}:123456789012:application-inference-profile/abc123"
    chosen = {"MODEL_PROVIDER": "bedrock", "MODEL_REGION": "eu-west-1", "MODEL": arn}
    if accepted:
        assert settings(**chosen).model.id == arn
        return
    with pytest.raises(SettingsError, match="MODEL_REGION=eu-west-1"):
        settings(**chosen)


def test_a_model_newer_than_the_table_is_accepted() -> None:
    for provider, region, model_id in (
        ("anthropic", "", "claude-opus-9"),
        ("bedrock", "us-east-1", "us.anthropic.claude-opus-9-20300101-v1:0"),
        ("vertex", "global", "claude-opus-9@20300101"),
    ):
        found = settings(MODEL_PROVIDER=provider, MODEL_REGION=region, MODEL=model_id).model
        assert (found.retires(), found.advice(REVIEWED)) == ("", (True, ""))


@pytest.mark.parametrize(
    ("provider", "model_id", "today", "answers", "said"),
    [
        ("anthropic", "claude-sonnet-4-5-20250929", "2026-09-30", True, ""),
        (
            "anthropic",
            "claude-sonnet-4-5-20250929",
            "2026-10-01",
            True,
            "retires on 2026-11-30, in 60 days",
        ),
        ("anthropic", "claude-sonnet-4-5", "2026-11-29", True, "in 1 days"),
        (
            "vertex",
            "claude-sonnet-4-5@20250929",
            "2026-11-30",
            False,
            "retired on 2026-11-30; set one that answers",
        ),
        ("vertex", "claude-sonnet-4-5@default", "2026-11-30", False, f"such as {NEWEST}."),
        ("bedrock", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "2030-01-01", True, ""),
        (
            "bedrock",
            "eu.anthropic.claude-sonnet-4-20250514-v1:0",
            "2026-10-14",
            False,
            f"such as eu.anthropic.{NEWEST}.",
        ),
        (
            "bedrock",
            "us.anthropic.claude-opus-4-20250514-v1:0[1m]",
            "2026-10-14",
            False,
            "2026-05-31",
        ),
        ("anthropic", "claude-3-5-sonnet-20241022", "2026-11-23", False, "retired"),
        ("bedrock", "us.anthropic.claude-3-haiku-20240307-v1:0", "2026-11-23", False, "retired"),
        ("anthropic", "claude-opus-5-5", "2030-01-01", True, ""),
        ("anthropic", "", "2030-01-01", True, ""),
    ],
)
def test_a_model_is_warned_about_for_sixty_days_and_then_does_not_answer(
    provider: str, model_id: str, today: str, answers: bool, said: str
) -> None:
    answering, sentence = model(provider, model_id).advice(today)
    assert answering is answers
    assert (said in sentence) if said else sentence == ""


@pytest.mark.parametrize(
    ("provider", "model_id", "end"),
    [
        ("anthropic", "claude-opus-4-1-20250805", "2026-08-05"),
        ("bedrock", "us.anthropic.claude-opus-4-1-20250805-v1:0", "2027-01-08"),
        ("vertex", "claude-opus-4-5@20251101", "2027-01-22"),
        ("anthropic", "claude-opus-4-0", "2026-06-15"),
        ("anthropic", "claude-sonnet-4-0[1m]", "2026-06-15"),
        ("anthropic", "claude-2.1", "2026-05-31"),
        ("anthropic", "claude-instant-1.2", "2026-05-31"),
        ("anthropic", "claude-opus-10", ""),
    ],
)
def test_the_end_of_a_model_is_known_under_each_of_its_names(
    provider: str, model_id: str, end: str
) -> None:
    assert model(provider, model_id).retires() == end


# --- the table beside Claude Code's own, as its program holds it: JavaScript in one file ---

ENDS = re.compile(rb'"(claude-[a-z0-9-]+)":\{modelName:"[^"]+",retirementDates:\{([^}]+)\}')
IDS = re.compile(rb'"us\.anthropic\.(claude-[a-z0-9:.-]+)"')
CLIENT = {"firstParty": "anthropic", "bedrock": "bedrock", "vertex": "vertex"}


@pytest.fixture(scope="module")
def client() -> Iterator[mmap]:
    if reason := tooling.missing():
        pytest.skip(reason)
    with (
        tooling.tools().claude.open("rb") as file,
        mmap(file.fileno(), 0, access=ACCESS_READ) as program,
    ):
        yield program


def test_the_table_has_the_models_of_claude_code(client: mmap) -> None:
    theirs = {found[1].decode() for found in IDS.finditer(client)}
    assert {name for name in theirs if "claude-3" not in name} == {
        release.bedrock for release in MODELS.values()
    }


def test_the_table_has_every_end_that_claude_code_knows(client: mmap) -> None:
    ends = {found[1]: found[2] for found in ENDS.finditer(client)}
    assert len(ends) > 5
    for name, dates in ends.items():
        for told in re.finditer(rb'(\w+):"(\w+ \d+, \d+)"', dates):
            provider = CLIENT.get(told[1].decode())
            if provider is None:
                continue
            day = datetime.strptime(told[2].decode(), "%B %d, %Y").replace(tzinfo=UTC)
            prefix = "us.anthropic." if provider == "bedrock" else ""
            ours = model(provider, prefix + name.decode()).retires()
            if name.startswith(b"claude-3"):
                assert day.date().isoformat() < ours
            else:
                assert ours == day.date().isoformat(), (name, provider)


def test_the_newest_model_is_not_one_that_retires() -> None:
    newest = next(iter(MODELS.values()))
    assert newest.retires is None
    assert newest.bedrock == newest.vertex == newest.anthropic  # `advice` names it for all three


@pytest.mark.parametrize(
    ("location", "function", "queue"),
    [
        ("global", "us-central1", "us-central1"),
        ("us", "us-central1", "us-central1"),
        ("eu", "europe-west1", "europe-west1"),
        ("us-east5", "us-east5", "us-east4"),
        ("europe-west4", "europe-west4", "europe-west1"),
        ("asia-southeast1", "asia-southeast1", "asia-southeast1"),
    ],
)
def test_functions_and_queue_run_beside_the_model(location: str, function: str, queue: str) -> None:
    assert beside(location) == (function, queue)


def test_every_location_leads_to_a_region_with_functions_and_one_with_a_queue() -> None:
    regions = GOOGLE_REGIONS.split()
    for location in PROVIDERS["vertex"].regions.split():
        function, queue = beside(location)
        assert function in regions
        assert beside(queue) == (queue, queue)
        assert location == "eu" or location.split("-")[0] != "europe" or queue.startswith("europe-")


def test_the_eu_and_its_data_stay_together() -> None:
    outside = {"europe-west2", "europe-west6"}  # London and Zurich
    for location in PROVIDERS["vertex"].regions.split():
        if location == "eu" or (location.startswith("europe-") and location not in outside):
            assert not {*beside(location)} & outside
            assert all(each.startswith("europe-") for each in beside(location))


def test_no_region_stands_in_two_geographic_profiles() -> None:
    regions = {prefix: regions.split() for prefix, regions in BEDROCK_PROFILES.items()}
    everywhere = regions.pop("global")
    geographic = [region for each in regions.values() for region in each]
    assert len(geographic) == len(set(geographic))
    assert set(geographic) - set(regions["us-gov"]) <= set(everywhere)
    assert len(NO_FUNCTION_URL.split()) == 11


def test_the_table_costs_the_cold_start_next_to_nothing() -> None:
    # No pattern is compiled: without its functions `re` could not do so.
    probe = (
        "import re, sys, typing;"
        "[delattr(re, name) for name in re.__all__ if name.islower() and name != 'error'];"
        "known = set(sys.modules); import shared.installation.providers;"
        "print(sorted(set(sys.modules) - known))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert shown.strip() == "['shared', 'shared.installation', 'shared.installation.providers']"
