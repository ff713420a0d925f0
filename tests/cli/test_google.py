"""A Google Cloud project as the operator meets it: gcloud, played by a program that remembers."""

import json
import os
import sys
from pathlib import Path

import pytest

from cli.google import Google
from cli.installation import GITLAB, WEBHOOK, Unusable
from tests.support.deploy import google
from tests.support.operator_scene import Scene, installation

# Services and queues are files of JSON, a secret a file of its latest version; each call is noted.
_GCLOUD = """#!{python}
import json, pathlib, sys
home = pathlib.Path({folder!r})
words = [w for w in sys.argv[1:] if not w.startswith("--")]
with (home / "calls").open("a") as notes:
    notes.write(json.dumps(sys.argv[1:]) + "\\n")
names = [w.removeprefix("--secret=") for w in sys.argv[1:] if w.startswith("--secret=")]
if words[0] == "secrets" and (home / "forbidden").exists():
    sys.exit("PERMISSION_DENIED")
if words[:3] == ["secrets", "versions", "list"]:
    sys.stdout.write("[{{}}]" if (home / words[3]).exists() else "[]")
elif words[:3] == ["secrets", "versions", "add"]:
    (home / words[3]).write_text(sys.stdin.read())
else:
    file = home / (names or words)[-1]
    sys.stdout.write(file.read_text()) if file.exists() else sys.exit("NOT_FOUND")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "google"
    home.mkdir()
    program = home / "gcloud"
    program.write_text(_GCLOUD.format(python=sys.executable, folder=str(home)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{home}{os.pathsep}{os.environ['PATH']}")
    (home / "claude-runs").write_text('{"state": "RUNNING"}')
    (home / "claude-sweep").write_text('{"state": "ENABLED"}')
    return home


def deployed(folder: Path, url: str, **variables: str) -> Google:
    env = [{"name": name, "value": value} for name, value in variables.items()]
    spec = {"template": {"spec": {"containers": [{"env": env}]}}}
    (folder / "claude-receive").write_text(json.dumps({"status": {"url": url}, "spec": spec}))
    return Google({"PROJECT_ID": "p"})


def test_address_settings_and_secrets_are_the_project_s(folder: Path) -> None:
    here = deployed(folder, "https://receive.example.com", TRIGGER_PHRASE="@ai")
    assert here.url() == "https://receive.example.com"
    assert here.environment() == {"TRIGGER_PHRASE": "@ai"}
    assert here.read(GITLAB) == ""
    here.write(WEBHOOK, "a canary")
    assert here.read(WEBHOOK) == "a canary"
    calls = [json.loads(line) for line in (folder / "calls").read_text().splitlines()]
    assert not [word for call in calls for word in call if "canary" in word]
    assert {"--project=p", "--quiet"} <= set(calls[0])
    assert [problem for call in calls for problem in google.complaints(call)] == []


def test_a_secret_that_may_not_be_read_is_not_taken_for_an_empty_one(
    stage: Scene, folder: Path
) -> None:
    deployed(folder, "https://receive.example.com", GITLAB_URL=stage.gitlab.url)
    (folder / "claude-gitlab-secrets").write_text('{"api_token": "glpat-of-others"}')
    (folder / "forbidden").touch()
    stage.settings(PLATFORM="google", PROJECT_ID="p")
    status, shown = stage.run("setup", "--project", "7")
    assert (status, "sign in with a role that may do it" in shown) == (2, True)
    assert "glpat-of-others" in (folder / "claude-gitlab-secrets").read_text()
    assert {call.method for call in stage.gitlab.calls} == {"GET"}


def test_what_is_paused_or_missing_is_found(folder: Path) -> None:
    here = deployed(folder, "https://receive.example.com")
    assert list(here.findings()) == []
    (folder / "claude-runs").write_text('{"state": "PAUSED"}')
    (folder / "claude-sweep").unlink()
    assert [(each.check, each.seen) for each in here.findings()] == [
        ("queue", "claude-runs is PAUSED"),
        ("schedule", "claude-sweep is not there"),
    ]


def test_what_is_not_there_is_a_sentence(folder: Path) -> None:
    with pytest.raises(Unusable, match="set PROJECT_ID"):
        Google({})
    with pytest.raises(Unusable, match="no service claude-receive in us-central1: deploy first"):
        Google({"PROJECT_ID": "p"}).url()
    (folder / "claude-receive").write_text("{}\n")
    with pytest.raises(Unusable, match="claude-receive"):
        Google({"PROJECT_ID": "p"}).url()


def test_setup_connects_a_project_and_remove_leaves_nothing(stage: Scene, folder: Path) -> None:
    files = {"webhook_secrets": "claude-webhook-secrets", "gitlab_secrets": "claude-gitlab-secrets"}
    state = stage.folder / "functions"
    state.mkdir()
    for local, secret in files.items():  # the functions read what Secret Manager holds
        (state / f"{local}.json").symlink_to(folder / secret)
    with installation(state, stage.gitlab) as functions:
        deployed(folder, functions.url, GITLAB_URL=stage.gitlab.url)
        stage.settings(PLATFORM="google", PROJECT_ID="p")
        assert "@claude help was answered" in stage.setup()
        stage.merge()
        assert stage.findings() == []
        assert stage.run("remove", "--project", "7")[0] == 0
    assert [(folder / secret).read_text() for secret in files.values()] == ["{}", "{}"]
    assert not stage.gitlab.hooks
