"""From the comment to the commit and back: a real run leaves what `verify` reads."""

import base64
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from cli import verify
from cli.api import Api
from tests.support.fakes import API_TOKEN, settings
from tests.support.job import keys, tooling
from tests.support.job.scene import ADA, CHANGE, SIGNING_KEY, Installation, Scene

pytestmark = pytest.mark.skipif(bool(tooling.missing()), reason=tooling.missing())


class WithCommits(Api):
    """GitLab with what the stand-in has not: a commit of its repository, and a file in one."""

    scene: Scene
    noted = True

    def find(self, path: str, **query: Any) -> Any | None:
        """`GET …/repository/commits/:sha` and `…/files/:path`, else what the stand-in answers."""
        file = re.search("/repository/files/([0-9a-f%F]+)$", path)
        if file and not self.noted:
            return None
        if file:
            text = self.scene.git("show", f"{query['ref']}:{unquote(file[1])}")
            return {"content": base64.b64encode(text.encode()).decode()}
        asked = re.search("/repository/commits/([0-9a-f]+)$", path)
        if asked is None:
            return super().find(path, **query)
        return {"id": asked[1], "message": self.scene.git("show", "-s", "--format=%B", asked[1])}


def test_a_commit_leads_back_to_who_asked(installation: Installation, tmp_path: Path) -> None:
    inputs = {"signing_key_variable": "COMMIT_KEY", "git_note": True}
    with Scene(installation, CHANGE, inputs) as scene:
        private, public = keys.made(tmp_path)
        (tmp_path / "COMMIT_KEY").write_text(private)
        scene.runner.variables["COMMIT_KEY"] = str(tmp_path / "COMMIT_KEY")
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
        allowed = tmp_path / "allowed"
        allowed.write_text(f"* {public}")
        known = ("-c", f"gpg.ssh.allowedSignersFile={allowed}")
        for signed, says in ((sha, "G"), ("refs/notes/claude", "N")):
            assert scene.git(*known, "show", "-s", "--format=%G?", signed) == says
        assert not any(line in scene.everything_said(ended) for line in private.splitlines()[1:-1])
        note = scene.git("notes", "--ref=claude", "show", sha)
        assert note == ended.artifacts["statement.json"].strip()
        told = json.loads(note)
        assert told["subject"][0]["digest"] == {"gitCommit": sha}
        assert SIGNING_KEY not in scene.everything_said(ended) + json.dumps(pipeline["variables"])

        api = WithCommits(scene.gitlab.url, API_TOKEN)
        api.scene = scene
        lines: list[str] = []
        path = f"/projects/{scene.number}"
        asked = verify.Asked(api, path, sha, told, [SIGNING_KEY], settings())
        assert verify.verify(asked, lines.append) == 0, lines
        assert verify.verify(asked._replace(statement=None), lines.append) == 0, lines
        assert "✔ statement: it is the git note's, and about this commit and this request" in lines
        api.noted = False
        (job,) = scene.gitlab.pipelines[pipeline["id"]]["jobs"]
        job["archive"] = {".gitlab-claude/statement.json": ended.artifacts["statement.json"]}
        assert verify.verify(asked._replace(statement=None), lines.append) == 0, lines
        assert any(line.startswith("✔ statement: it is the job's artifact") for line in lines)
        assert f"Asked by user {ADA} (@ada), access level 30" in lines[-1]
        forged = asked._replace(keys=["x" * 32])
        assert verify.verify(forged, lines.append) == 1
        assert lines[-1].startswith("✘ seal: ")


def test_a_note_that_gitlab_refuses_is_told_in_the_reply(installation: Installation) -> None:
    with Scene(installation, CHANGE, {"git_note": True}) as scene:
        hook = scene.gitlab.repository(scene.number) / "hooks" / "update"
        hook.write_text("#!/bin/sh\ncase $1 in refs/notes/*) echo no notes here; exit 1;; esac\n")
        hook.chmod(0o755)
        ended = scene.script(scene.ask("@claude --turns 9 add a greeting"))
        assert ended.code == 0, ended.log
        assert len(scene.merge_requests()) == 1
        assert "The commit has no git note" in scene.reply()
        assert "no notes here" in ended.log
        assert "statement.json" in ended.artifacts
