"""Model providers, their regions and models, and where functions run beside them.

A model is one row of `MODELS`. The settings read by these tables, and generate.py writes from them
the rules of template.yaml that refuse a wrong pair of region and model.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

REVIEWED = "2026-11-28"  # the day this table was last compared with its sources
WARNED_DAYS = 60  # days before its retirement in which a model is warned about

# Source regions of Bedrock's inference profiles. There is no apac. profile of any current model.
# https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
# Each is one string: the cold start loads it as it is, and splits one only to check a region.
_EU = "eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3"
_US = "us-east-1 us-east-2 us-west-1 us-west-2"
_JP = "ap-northeast-1 ap-northeast-3"
_AU = "ap-southeast-2 ap-southeast-4"
_OTHER = (
    "af-south-1 ap-east-2 ap-northeast-2 ap-south-1 ap-south-2 ap-southeast-1 ap-southeast-3"
    " ap-southeast-5 ap-southeast-7 ca-central-1 ca-west-1 il-central-1 me-central-1 me-south-1"
    " mx-central-1 sa-east-1"
)
BEDROCK_PROFILES = {
    "us": _US,
    "eu": _EU,
    "jp": _JP,
    "au": _AU,
    "global": f"{_US} {_EU} {_JP} {_AU} {_OTHER}",
    "us-gov": "us-gov-east-1 us-gov-west-1",
}

# Regions of AWS without function URLs.
# https://docs.aws.amazon.com/lambda/latest/dg/urls-configuration.html
NO_FUNCTION_URL = (
    "ap-east-2 ap-south-2 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7 ca-west-1"
    " eu-central-2 eu-south-2 il-central-1 me-central-1"
)

# Cloud Run regions that have Cloud Tasks too, and the nearest that has for those that do not; the
# EU stays in the EU.
# https://cloud.google.com/run/docs/locations and https://cloud.google.com/tasks/docs/locations
_BOTH = (
    "asia-east1 asia-east2 asia-northeast1 asia-northeast2 asia-northeast3 asia-south1"
    " asia-southeast1 asia-southeast2 australia-southeast1 europe-central2 europe-west1"
    " europe-west2 europe-west3 europe-west6 northamerica-northeast1 southamerica-east1 us-central1"
    " us-east1 us-east4 us-west1 us-west2 us-west3 us-west4"
)
_NEAREST_QUEUE = {
    "africa-south1": "europe-west1",
    "asia-south2": "asia-south1",
    "australia-southeast2": "australia-southeast1",
    "europe-north1": "europe-central2",
    "europe-southwest1": "europe-west1",
    "europe-west10": "europe-west3",
    "europe-west12": "europe-west3",
    "europe-west4": "europe-west1",
    "europe-west8": "europe-west3",
    "europe-west9": "europe-west1",
    "me-central1": "asia-south1",
    "me-central2": "asia-south1",
    "me-west1": "europe-west1",
    "northamerica-northeast2": "northamerica-northeast1",
    "southamerica-west1": "southamerica-east1",
    "us-east5": "us-east4",
    "us-south1": "us-central1",
}
GOOGLE_REGIONS = f"{_BOTH} {' '.join(_NEAREST_QUEUE)}"

# Vertex AI locations that are no region, and the region beside them.
# https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations
_BESIDE = {"global": "us-central1", "us": "us-central1", "eu": "europe-west1"}


class Release(NamedTuple):
    """A model: its name, and what else stands in some of its ids."""

    name: str
    date: str = ""  # YYYYMMDD, in all its ids
    version: str = ""  # in Bedrock's id, such as -v1:0
    retires: Mapping[str, str] | None = None  # provider: ISO date; without one none is announced

    @property
    def anthropic(self) -> str:
        """The id at the Claude API."""
        return f"{self.name}-{self.date}" if self.date else self.name

    @property
    def vertex(self) -> str:
        """The id at Vertex AI."""
        return f"{self.name}@{self.date}" if self.date else self.name

    @property
    def bedrock(self) -> str:
        """The id at Bedrock, after `anthropic.`."""
        return f"{self.anthropic}{self.version}"


# Newest first. Source: the ids and dates built into Claude Code, against which a test holds them.
# For Opus 4.1, whose dates it does not have: https://platform.claude.com/docs/en/about-claude/model-deprecations
# and https://docs.aws.amazon.com/bedrock/latest/userguide/model-lifecycle.html
MODELS = {
    release.name: release
    for release in (
        Release("claude-opus-5-5"),
        Release("claude-sonnet-5-5"),
        Release("claude-haiku-5-5"),
        Release("claude-fable-5-2"),
        Release("claude-fable-5-1"),
        Release("claude-fable-5"),
        Release("claude-mythos-5"),
        Release("claude-opus-5"),
        Release("claude-sonnet-5"),
        Release("claude-opus-4-8"),
        Release("claude-opus-4-7"),
        Release("claude-opus-4-6", version="-v1"),
        Release("claude-sonnet-4-6"),
        Release(
            "claude-opus-4-5",
            "20251101",
            "-v1:0",
            {"anthropic": "2027-01-22", "vertex": "2027-01-22"},
        ),
        Release(
            "claude-sonnet-4-5",
            "20250929",
            "-v1:0",
            {"anthropic": "2026-11-30", "vertex": "2026-11-30"},
        ),
        Release("claude-haiku-4-5", "20251001", "-v1:0"),
        Release(
            "claude-opus-4-1",
            "20250805",
            "-v1:0",
            {"anthropic": "2026-08-05", "bedrock": "2027-01-08"},
        ),
        Release(
            "claude-sonnet-4",
            "20250514",
            "-v1:0",
            {"anthropic": "2026-06-15", "bedrock": "2026-10-14", "vertex": "2026-09-14"},
        ),
        Release(
            "claude-opus-4",
            "20250514",
            "-v1:0",
            {"anthropic": "2026-06-15", "bedrock": "2026-05-31", "vertex": "2026-09-14"},
        ),
    )
}
NEWEST = next(iter(MODELS))  # what examples and advice name: an id at every provider
_GONE = "2026-05-31"  # every model before Claude 4 was retired everywhere before this day
_BEFORE_4 = r"claude-(?:[123](?![0-9])|instant)"

_ID = r"claude-[a-z0-9.-]+?(?:-v[0-9]+)?(?::[0-9]+)?"
_LONG = r"(?:\[1m\])?"  # Claude Code's suffix for the context of a million tokens


class Provider(NamedTuple):
    """A model provider: the regions and model ids it takes, and Claude Code's variable for one.

    Sources: https://code.claude.com/docs/en/amazon-bedrock
    and https://code.claude.com/docs/en/google-vertex-ai
    """

    name: str
    regions: str  # separated by blanks; empty: it has none
    regions_in_words: str
    region_variable: str
    # A pattern and no closed list: new models appear between two releases of this table.
    models: str
    models_in_words: str

    def region_expected(self, region: str) -> str:
        """Return what is expected instead of the region, or nothing if it will do."""
        if not self.regions or region in self.regions.split():
            return ""
        return f"{self.regions_in_words} for MODEL_PROVIDER={self.name}"

    def model_expected(self, region: str, model: str) -> str:
        """Return what is expected instead of the model id in this region.

        Nothing if it will do, or is empty.
        """
        if not model:
            return ""
        if not re.fullmatch(self.models, model):
            return f"{self.models_in_words} for MODEL_PROVIDER={self.name}"
        return _profile_expected(region, model) if self.name == "bedrock" else ""


class Model(NamedTuple):
    """The provider, region and model id an installation chose; region and id may be empty."""

    provider: Provider
    region: str
    id: str

    def variables(self) -> dict[str, str]:
        """Return the variables that hand region and model to a job that others wrote."""
        chosen = {self.provider.region_variable: self.region, "ANTHROPIC_MODEL": self.id}
        return {name: value for name, value in chosen.items() if name and value}

    def retires(self) -> str:
        """Return the ISO date at which the provider retires the model; nothing if none is known."""
        name = self.id.rpartition("anthropic.")[2]
        name = re.sub(r"\[1m\]$|-v[0-9]+(?::[0-9]+)?(?:\[1m\])?$", "", name)
        name = re.sub(r"[-@](?:[0-9]{8}|default)$", "", name)
        if re.match(_BEFORE_4, name):
            return _GONE
        name = name.removesuffix("-0")  # the Claude API's aliases, such as claude-opus-4-0
        known = MODELS[name].retires if name in MODELS else None
        return known.get(self.provider.name, "") if known else ""

    def advice(self, today: str) -> tuple[bool, str]:
        """Return whether the model answers at an ISO date, and a sentence if something is to do."""
        from datetime import date  # noqa: PLC0415  not on the cold path

        end = self.retires()
        if not end:
            return True, ""
        profile = "".join(self.id.rpartition("anthropic.")[:2])
        newer = profile + getattr(MODELS[NEWEST], self.provider.name)
        days = (date.fromisoformat(end) - date.fromisoformat(today)).days
        if days <= 0:
            said = f"MODEL: {self.id} retired on {end}; set one that answers, such as {newer}."
            return False, said
        if days <= WARNED_DAYS:
            said = f"retires on {end}, in {days} days; change to a newer one, such as {newer}."
            return True, f"MODEL: {self.id} {said}"
        return True, ""


PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider("anthropic", "", "", "", _ID + _LONG, f"a full model id such as {NEWEST}"),
        Provider(
            "bedrock",
            f"{BEDROCK_PROFILES['global']} {BEDROCK_PROFILES['us-gov']}",
            "an AWS region with Bedrock, such as eu-central-1,",
            "AWS_REGION",
            rf"(?:{'|'.join(BEDROCK_PROFILES)})\.anthropic\.{_ID}{_LONG}"
            r"|arn:aws[a-z-]*:bedrock:[a-z0-9-]*:[0-9]{12}:"
            r"(?:application-)?inference-profile/[A-Za-z0-9.:-]+",
            f"an inference profile such as eu.anthropic.{NEWEST}",
        ),
        Provider(
            "vertex",
            f"{' '.join(_BESIDE)} {GOOGLE_REGIONS}",
            "a Vertex AI location such as global, eu or europe-west1",
            "CLOUD_ML_REGION",
            r"claude-[a-z0-9-]+(?:@(?:[0-9]{8}|default))?" + _LONG,
            f"a full model id such as {NEWEST}",
        ),
    )
}


def beside(location: str) -> tuple[str, str]:
    """Return where functions and queue run beside a Vertex AI location or in a Google region.

    The first is a region of Cloud Run, the second a location of Cloud Tasks.
    """
    region = _BESIDE.get(location, location)
    return region, _NEAREST_QUEUE.get(region, region)


def _profile_expected(region: str, model: str) -> str:
    """Return which profiles a Bedrock region has, if the model's is not one of them."""
    if model.startswith("arn:"):
        own = model.split(":")[3]
        return "" if own in ("", region) else f"an inference profile of MODEL_REGION={region}"
    fitting = [prefix for prefix, regions in BEDROCK_PROFILES.items() if region in regions.split()]
    prefix, _, rest = model.partition(".")
    if prefix in fitting:
        return ""
    there = " or ".join(f"{each}.{rest}" for each in fitting)
    starts = f"profiles {prefix}. start in {BEDROCK_PROFILES[prefix]}"
    return f"{there} for MODEL_REGION={region} ({starts})"
