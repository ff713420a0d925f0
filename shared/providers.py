"""The model providers a job can use, and the names under which region and model travel to it. No model is called."""

import re
from typing import NamedTuple


class Provider(NamedTuple):
    """A model provider: which regions and model ids it takes, and the variables that Claude Code reads them from.

    Source: https://code.claude.com/docs/en/amazon-bedrock and https://code.claude.com/docs/en/google-vertex-ai
    """

    name: str
    regions: re.Pattern[str] | None
    regions_in_words: str
    region_variable: str
    models: re.Pattern[str]
    models_in_words: str


class Model(NamedTuple):
    """The provider, region and model id an installation chose; region and id may be empty."""

    provider: Provider
    region: str
    id: str

    def variables(self) -> dict[str, str]:
        """Return the variables that hand region and model to a job that others wrote."""
        chosen = {self.provider.region_variable: self.region, "ANTHROPIC_MODEL": self.id}
        return {name: value for name, value in chosen.items() if name and value}


PROVIDERS = {
    provider.name: provider
    for provider in (
        Provider(
            name="anthropic",
            regions=None,
            regions_in_words="",
            region_variable="",
            models=re.compile(r"claude-[a-z0-9.-]+(?:\[1m\])?"),
            models_in_words="a full model id such as claude-opus-5-5",
        ),
        Provider(
            name="bedrock",
            regions=re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]"),
            regions_in_words="an AWS region such as eu-central-1",
            region_variable="AWS_REGION",
            models=re.compile(
                r"(?:us|eu|jp|au|global|us-gov)\.anthropic\.claude-[a-z0-9.-]+(?::[0-9])?(?:\[1m\])?"
                r"|arn:aws[a-z-]*:bedrock:[a-z0-9-]*:[0-9]{12}:(?:application-)?inference-profile/[A-Za-z0-9.:-]+",
            ),
            models_in_words="an inference profile such as eu.anthropic.claude-opus-5-5",
        ),
        Provider(
            name="vertex",
            regions=re.compile(r"global|us|eu|[a-z]+-[a-z]+[0-9]{1,2}"),
            regions_in_words="a Vertex AI location such as global, eu or europe-west1",
            region_variable="CLOUD_ML_REGION",
            models=re.compile(r"claude-[a-z0-9-]+(?:@(?:[0-9]{8}|default))?(?:\[1m\])?"),
            models_in_words="a full model id such as claude-opus-5-5",
        ),
    )
}
