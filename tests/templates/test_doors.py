"""Every further door to the model: the real Claude Code signs in at the stand-in behind it.

The doors that people take first are played from the comment on in `test_journeys.py`.
"""

from typing import Any, NamedTuple

import pytest

from tests.support.job import tooling
from tests.support.job.model import AWS_KEYS
from tests.support.job.scene import ANSWER, IDENTITY, MODEL_KEY, Installation, Scene

pytestmark = pytest.mark.skipif(bool(tooling.missing()), reason=tooling.missing())


class Door(NamedTuple):
    """The component's inputs, CI/CD variables in place of the scene's, and what the model gets.

    `headers` maps a header to how it begins; `path` and `model` are of the same request.
    """

    inputs: dict[str, Any]
    variables: dict[str, str]
    headers: dict[str, str]
    model: str
    path: str = "/v1/messages"


SEAT, VIRTUAL, PLATFORM, AZURE = (f"canary-{name}" for name in ("seat", "gw", "aws", "azure"))
NO_KEY = {"ANTHROPIC_API_KEY": ""}
ROLE = f"AWS4-HMAC-SHA256 Credential={AWS_KEYS[0]}/"
AT_AWS = {"provider": "anthropic-aws", "region": "eu-west-1", "model": "claude-opus-5-5"}
FOUNDRY = {"provider": "foundry", "model": "our-opus"}

DOORS = {
    "a subscription's token": Door(
        {"model": "claude-opus-5-5"},
        NO_KEY | {"CLAUDE_CODE_OAUTH_TOKEN": SEAT},
        {"authorization": f"Bearer {SEAT}"},
        "claude-opus-5-5",
    ),
    "a gateway": Door(
        {"model": "team/opus:fast"},
        NO_KEY | {"ANTHROPIC_AUTH_TOKEN": VIRTUAL},
        {"authorization": f"Bearer {VIRTUAL}"},
        "team/opus:fast",
    ),
    "Claude Platform on AWS, by a role": Door(
        AT_AWS, {}, {"authorization": ROLE, "anthropic-workspace-id": "wrkspc_1"}, "claude-opus-5-5"
    ),
    "Claude Platform on AWS, by a key": Door(
        AT_AWS,
        {"AWS_ROLE_ARN": "", "ANTHROPIC_AWS_API_KEY": PLATFORM},
        {"x-api-key": PLATFORM, "anthropic-workspace-id": "wrkspc_1"},
        "claude-opus-5-5",
    ),
    "Foundry, by Entra": Door(
        FOUNDRY, {}, {"authorization": "Bearer entra-token"}, "our-opus", "/anthropic/v1/messages"
    ),
    "Foundry, by a key": Door(
        FOUNDRY,
        {"ANTHROPIC_FOUNDRY_API_KEY": AZURE},
        {"x-api-key": AZURE},
        "our-opus",
        "/anthropic/v1/messages",
    ),
}


@pytest.mark.parametrize("name", DOORS)
def test_claude_signs_in_and_no_credential_is_seen(installation: Installation, name: str) -> None:
    door = DOORS[name]
    with Scene(installation, ANSWER, door.inputs) as scene:
        scene.runner.variables |= door.variables
        ended = scene.script(scene.ask("@claude what does it do?"))
        assert ended.code == 0, ended.log
        assert "It greets." in scene.reply()
        (sent,) = scene.model.conversation
        assert (sent.path, sent.body["model"]) == (door.path, door.model)
        assert {
            header: sent.headers.get(header, "")[: len(value)]
            for header, value in door.headers.items()
        } == door.headers
        assert IDENTITY not in str(sent)
        said = scene.everything_said(ended)
        secrets = (SEAT, VIRTUAL, PLATFORM, AZURE, MODEL_KEY, AWS_KEYS[1], "entra-token", IDENTITY)
        assert [secret for secret in secrets if secret in said] == []


def test_another_model_answers_where_the_first_is_not_served(installation: Installation) -> None:
    inputs = {"model": "claude-opus-5-5", "fallback_model": "claude-sonnet-5-5"}
    with Scene(installation, ANSWER, inputs) as scene:
        scene.model.broken = {"claude-opus-5-5": 500}
        ended = scene.script(scene.ask("@claude what does it do?"))
        assert ended.code == 0, ended.log
        asked = [sent.body["model"] for sent in scene.model.conversation]
        assert asked == ["claude-opus-5-5", "claude-sonnet-5-5"]
