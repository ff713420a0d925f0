"""A Google Cloud project as the operator meets it: gcloud, played by a program that remembers."""

import json
import os
import sys
from pathlib import Path

import pytest

import cli.google
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
elif words[1] == "create-http-task":
    body = [w for w in sys.argv if w.startswith("--body-content=")][0].partition("=")[2]
    (home / "sign").write_text(json.loads(body)["look"])
elif words[:2] == ["logging", "read"]:
    seen = home / "seen"
    line = {{"jsonPayload": {{"gitlab": seen.read_text() if seen.exists() else "answers"}}}}
    ours = (home / "sign").read_text() in words[2] and not (home / "silent").exists()
    sys.stdout.write(json.dumps([line] if ours else []))
elif words[2:3] == ["get-iam-policy"]:
    sys.stdout.write((home / ("policy" if words[0] == "run" else "account")).read_text())
elif words[:4] == ["beta", "monitoring", "channels", "list"]:
    channels = home / "channels"
    sys.stdout.write(channels.read_text() if channels.exists() else "[]")
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
    (home / "claude-sweep").write_text(
        '{"state": "ENABLED", "status": {"url": "https://sweep.example.com"}}'
    )
    (home / "policy").write_text(
        '{"bindings": [{"role": "roles/run.invoker", "members": ["allUsers"]}]}'
    )
    monkeypatch.setattr(cli.google, "_PAUSE", 0.01)
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


def found(here: Google) -> list[tuple[str, str]]:
    return [(each.check, each.seen) for check in here.checks().values() for each in check()]


def test_what_is_paused_closed_or_missing_is_found(folder: Path) -> None:
    here = deployed(folder, "https://receive.example.com")
    assert found(here) == []
    (folder / "claude-runs").write_text('{"state": "PAUSED"}')
    (folder / "claude-sweep").unlink()
    (folder / "policy").write_text("{}")
    assert found(here) == [
        ("public", "not everybody may call claude-receive, and so GitLab may not"),
        ("queue", "claude-runs is PAUSED"),
        ("schedule", "claude-sweep is not there"),
    ]


def test_an_organisation_that_refuses_everybody_has_the_other_way(folder: Path) -> None:
    (folder / "policy").write_text("{}")
    notes = {"run.googleapis.com/invoker-iam-disabled": "true"}
    assert found(noted(folder, notes)) == []
    text = "claude-receive takes no calls from the internet (ingress)"
    assert found(noted(folder, notes | {"run.googleapis.com/ingress": "internal"})) == [
        ("public", text)
    ]


def noted(folder: Path, notes: dict[str, str]) -> Google:
    here = deployed(folder, "https://receive.example.com")
    service = json.loads((folder / "claude-receive").read_text())
    (folder / "claude-receive").write_text(
        json.dumps(service | {"metadata": {"annotations": notes}})
    )
    return here


def test_who_is_not_told_of_alerts_is_found(folder: Path) -> None:
    deployed(folder, "https://receive.example.com")
    here = Google({"PROJECT_ID": "p", "ALARM_EMAIL": "ops@example.com"})
    assert [check for check, _ in found(here)] == ["alarm_mail"]
    channel = {"labels": {"email_address": "ops@example.com"}, "enabled": True}
    (folder / "channels").write_text(json.dumps([channel]))
    assert found(here) == []


def test_sweep_is_made_to_look_and_its_log_is_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = deployed(folder, "https://receive.example.com")
    assert here.look() == ""
    (folder / "seen").write_text("tls: the certificate of GITLAB_URL is not trusted")
    assert here.look() == "tls: the certificate of GITLAB_URL is not trusted"
    calls = [json.loads(line) for line in (folder / "calls").read_text().splitlines()]
    asked = next(call for call in calls if "create-http-task" in call)
    assert "--url=https://sweep.example.com" in asked
    assert "--oidc-service-account-email=claude-invoker@p.iam.gserviceaccount.com" in asked
    assert [problem for call in calls for problem in google.complaints(call)] == []
    (folder / "silent").touch()
    monkeypatch.setattr(cli.google, "_PATIENCE", 0.05)
    with pytest.raises(Unusable, match="claude-sweep told nothing"):
        here.look()
    (folder / "claude-sweep").unlink()
    with pytest.raises(Unusable, match="no service claude-sweep"):
        here.look()


PROVIDER = "projects/1/locations/global/workloadIdentityPools/gitlab/providers/claude"


def test_a_job_on_vertex_gets_what_the_bootstrap_made_and_its_trust_is_looked_at(
    folder: Path,
) -> None:
    here = deployed(folder, "https://receive.example.com", MODEL_PROVIDER="vertex")
    project = {"id": 7, "path_with_namespace": "group/app", "default_branch": "main"}
    assert here.job_variables() == {}
    with pytest.raises(Unusable, match="p has no workload identity provider claude"):
        here.trusts("https://gitlab.com", project)
    oidc = {"issuerUri": "https://gitlab.com", "allowedAudiences": ["gitlab-claude-trigger"]}
    (folder / "claude").write_text(json.dumps({"name": PROVIDER, "oidc": oidc}))
    (folder / "account").write_text("{}")
    assert here.job_variables() == {
        "GCP_WORKLOAD_IDENTITY_PROVIDER": PROVIDER,
        "GCP_SERVICE_ACCOUNT": "claude-job@p.iam.gserviceaccount.com",
        "GCP_PROJECT_ID": "p",
    }
    (finding,) = here.trusts("https://gitlab.com", project)
    assert finding.check == "job_account"
    other = deployed(folder, "https://receive.example.com")
    assert (other.job_variables(), list(other.trusts("", project))) == ({}, [])


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
