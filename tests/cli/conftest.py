"""Each test has an operator with a token, and a local installation that awaits its setup."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import proof
from shared.installation import secrets
from tests.support.operator_scene import KEY, TOKEN, Scene, scene


@pytest.fixture
def stage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    monkeypatch.setattr(secrets, "MIN_AGE", 0.0)  # or a second setup would wait half a minute
    monkeypatch.setattr(proof, "_PAUSE", 0.02)
    monkeypatch.setenv("GITLAB_TOKEN", TOKEN)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    with scene(tmp_path, capsys) as made:
        yield made
        assert not made.gitlab.unknown_calls
