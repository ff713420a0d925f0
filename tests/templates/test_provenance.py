"""From the comment to the commit and back: a real run leaves what `verify` reads."""

import json
import re
from typing import Any

import pytest

from cli import verify
from cli.api import Api
from tests.support.fakes import API_TOKEN, settings
from tests.support.job import tooling
from tests.support.job.scene import ADA, CHANGE, SIGNING_KEY, Installation, Scene

pytestmark = pytest.mark.skipif(bool(tooling.missing()), reason=tooling.missing())


class WithCommits(Api):
    """GitLab with the answer that the stand-in has not: a commit of its repository."""

    scene: Scene

    def find(self, path: str, **query: Any) -> Any | None:
        """`GET …/repository/commits/:sha`, else what the stand-in answers."""
        asked = re.search("/repository/commits/([0-9a-f]+)$", path)
        if asked is None:
            return super().find(path, **query)
        return {"id": asked[1], "message": self.scene.git("show", "-s", "--format=%B", asked[1])}


def test_a_commit_leads_back_to_who_asked(installation: Installation) -> None:
    with Scene(installation, CHANGE) as scene:
        pipeline = scene.ask("@claude --turns 9 add a greeting")
        ended = scene.script(pipeline)
        assert ended.code == 0, ended.log
        (made,) = scene.merge_requests()
        sha = scene.git("rev-parse", made["source_branch"]).strip()
        message = scene.git("show", "-s", "--format=%B", sha)
        assert f"Claude-Asked-by: {ADA}\n" in message
        note = f"/-/issues/5#note_{scene.note['id']}"
        assert f"Claude-Note: {scene.gitlab.url}/{scene.path}{note}\n" in message
        made_by = r"\nClaude-Model: claude-\S+\nClaude-Code: 2\.1\.332\n"
        assert re.search(made_by, message)
        assert "Co-authored-by: ada " in message
        told = json.loads(ended.artifacts["statement.json"])
        assert told["subject"][0]["digest"] == {"gitCommit": sha}
        assert SIGNING_KEY not in scene.everything_said(ended) + json.dumps(pipeline["variables"])

        api = WithCommits(scene.gitlab.url, API_TOKEN)
        api.scene = scene
        lines: list[str] = []
        path = f"/projects/{scene.number}"
        asked = verify.Asked(api, path, sha, told, [SIGNING_KEY], settings())
        assert verify.verify(asked, lines.append) == 0, lines
        assert f"Asked by user {ADA} (@ada), access level 30" in lines[-1]
        forged = asked._replace(keys=["x" * 32])
        assert verify.verify(forged, lines.append) == 1
        assert lines[-1].startswith("✘ seal: ")
