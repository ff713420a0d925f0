"""Each check broken once is found by its name; a healthy installation raises no alarm."""

import copy
import json
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from functions.gitlab import client
from tests.support.gitlab.records import Record
from tests.support.gitlab.server import Fault
from tests.support.network import behind_tls, private_ca, proxy
from tests.support.operator_scene import OTHER, Scene

_TABLES = (
    "users", "projects", "members", "api_tokens", "expiries", "trigger_tokens", "hooks",
    "hook_events", "access_tokens", "ci_variables", "files", "runners", "job_tags", "version",
    "_scripts",
)  # fmt: skip
Broken = tuple[str, str, Callable[[Scene], object]]  # check, reason, how it is broken


@pytest.fixture
def healthy(stage: Scene) -> Scene:
    stage.setup()
    stage.merge()
    stage.gitlab.wait_for_hooks()
    return stage


def soon() -> str:
    return (datetime.now(UTC) + timedelta(days=9)).date().isoformat()


def hook(stage: Scene) -> Record:
    return next(iter(stage.gitlab.hooks.values()))


def bot(stage: Scene) -> int:
    return int(stage.gitlab.api_tokens[token(stage)][0])


def token(stage: Scene) -> str:
    return str(stage.document("GITLAB_SECRETS")["api_token"])


def line(**lines: str) -> Callable[[Scene], object]:
    """Set lines of the settings file."""
    return lambda stage: stage.file.write_text(
        "".join(f"{k}={v}\n" for k, v in (stage.read() | lines).items())
    )


def store(name: str, **changed: Any) -> Callable[[Scene], object]:
    """Change a secret document; None takes a key away."""

    def change(stage: Scene) -> None:
        document = {k: v for k, v in (stage.document(name) | changed).items() if v is not None}
        (stage.state / f"{name.lower()}.json").write_text(json.dumps(document))

    return change


def of_hook(**fields: Any) -> Callable[[Scene], object]:
    return lambda stage: hook(stage).update(fields)


def of_project(**fields: Any) -> Callable[[Scene], object]:
    def change(stage: Scene) -> None:
        for name, value in fields.items():
            setattr(stage.gitlab.projects[7], name, value)

    return change


def of_variable(name: str, **fields: Any) -> Callable[[Scene], object]:
    return lambda stage: stage.gitlab.ci_variables[7][name].update(fields)


def fault(match: str, *faults: Fault) -> Callable[[Scene], object]:
    return lambda stage: stage.gitlab.fault(match, *faults)


def answered(status: str, body: str) -> Callable[[Scene], object]:
    """Let the hook's last delivery have been answered so."""

    def answer(stage: Scene) -> None:
        last = stage.gitlab.ids("hook events", hook(stage)["id"])[-1]
        stage.gitlab.hook_events[last] |= {"response_status": status, "response_body": body}

    return answer


def refused(reason: str) -> Broken:
    body = json.dumps({"outcome": "refused", "reason": reason, "run": None})
    return "hook_refused", reason, answered("401", body)


def of_token(**fields: Any) -> Callable[[Scene], object]:
    return lambda stage: [each.update(fields) for each in stage.gitlab.access_tokens.values()]


def their_job(stage: Scene) -> None:
    """A job of the project's own, which waits for variables, where nobody may give any."""
    stage.gitlab.files[7, "main"].pop(".gitlab-ci.yml")
    of_project(ci="theirs", variables_role="no_one_allowed")(stage)


def closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


STATES: tuple[Broken, ...] = (
    ("enabled", "disabled", line(ENABLED="false")),
    ("project_allowed", "project_not_allowed", line(ALLOWED_PROJECTS="group/other")),
    ("public_url", "part_broken", line(URL=f"http://{closed_port()}/")),
    ("deployed", "part_broken", line(URL="")),
    ("secret_files", "part_broken", lambda s: (s.state / "gitlab_secrets.json").chmod(0o644)),
    ("webhook_secrets", "secrets_unavailable", store("WEBHOOK_SECRETS", signing_tokens=None)),
    ("gitlab_secrets", "secrets_unavailable", store("GITLAB_SECRETS", api_token=None)),
    ("gitlab_secrets", "secrets_unavailable", store("GITLAB_SECRETS", api_token="glpat-…")),
    ("trigger_token", "trigger_token_missing", store("GITLAB_SECRETS", trigger_tokens={"99": "glptt-1"})),
    ("trigger_token_known", "trigger_token_rejected", store("GITLAB_SECRETS", trigger_tokens={"7": "glptt-old"})),
    ("api_token", "api_token_rejected", store("GITLAB_SECRETS", api_token="glpat-old")),
    ("api_token", "api_token_rejected", lambda s: setattr(s.gitlab.users[bot(s)], "state", "blocked")),
    ("api_token_scope", "bot_rights", of_token(scopes=["read_api"])),
    ("api_token_expires", "token_expires", of_token(until=soon())),
    ("gitlab_dns", "gitlab_unavailable", line(GITLAB_URL="https://gitlab.invalid")),
    ("gitlab_tcp", "gitlab_unavailable", line(GITLAB_URL=f"http://{closed_port()}")),
    ("gitlab_not_gitlab", "gitlab_unavailable", fault("GET /api/v4/user", Fault.broken_json())),
    ("gitlab_broken", "gitlab_unavailable", fault("GET /api/v4/user", Fault.reset_before())),
    ("gitlab_redirect", "gitlab_redirects", fault("GET /api/v4/user", Fault.redirect("/elsewhere"))),
    ("gitlab_timeout", "gitlab_unavailable", fault("GET /api/v4/user", Fault.hang(5))),
    ("gitlab_answer", "gitlab_unavailable", fault("GET /api/v4/user", Fault.status(502))),
    ("gitlab_version", "version_too_old", lambda s: setattr(s.gitlab, "version", "16.11.0")),
    ("project", "gitlab_unavailable", fault("GET /api/v4/projects/7", Fault.status(502))),
    ("project", "bot_rights", lambda s: s.gitlab.remove_member(7, bot(s))),
    ("branch_rights", "ref_not_permitted", of_project(protected={"main": 50})),
    ("branch_rights", "ref_not_permitted", lambda s: s.gitlab.admit(7, bot(s), 30)),
    ("ci_enabled", "ci_switched_off", of_project(ci_access="disabled")),
    ("project_archived", "ci_switched_off", of_project(archived=True)),
    ("ci_valid", "ci_config_invalid", of_project(ci="invalid")),
    ("ci_job", "no_job", lambda s: s.gitlab.files[7, "main"].pop(".gitlab-ci.yml")),
    ("job_token", "job_variable", lambda s: s.gitlab.ci_variables[7].pop("GITLAB_ACCESS_TOKEN")),
    ("model_variable", "job_variable", lambda s: s.gitlab.ci_variables[7].pop("ANTHROPIC_API_KEY")),
    ("model_variable", "job_variable", line(MODEL_PROVIDER="bedrock", MODEL_REGION="eu-central-1", MODEL="eu.anthropic.claude-opus-5-5")),
    ("model_retired", "model_retired", line(MODEL="claude-opus-4-20250514")),
    ("settings", "setting_wrong", line(MINIMUM_ROLE="boss")),
    ("variable_scope", "job_variable", of_variable("ANTHROPIC_API_KEY", environment_scope="prod")),
    ("variable_protected", "job_variable", of_project(protected={})),
    ("variable_open", "job_variable", of_variable("GITLAB_ACCESS_TOKEN", protected=False)),
    ("runner", "no_runner", lambda s: s.gitlab.runners.clear()),
    ("runner", "no_runner", lambda s: s.gitlab.job_tags.append("gpu")),
    ("pipeline_variables", "variables_forbidden", their_job),
    ("hook", "hook_missing", lambda s: s.gitlab.hooks.clear()),
    ("hook", "hook_missing", of_hook(url="https://elsewhere.example.com")),
    ("hook_events", "hook_incomplete", of_hook(note_events=False)),
    ("hook_events", "hook_incomplete", of_hook(confidential_issues_events=False)),
    ("hook_ssl", "hook_incomplete", of_hook(enable_ssl_verification=False)),
    ("hook_template", "malformed", of_hook(custom_webhook_template="{}")),
    ("hook_token", "unsigned", of_hook(signing_token=None)),
    ("hook_disabled", "hook_disabled", of_hook(alert_status="disabled")),
    ("hook_disabled", "hook_disabled", of_hook(alert_status="temporarily_disabled")),
    ("hook_unanswered", "hook_unanswered", answered("internal error", "timed out")),
    ("hook_unanswered", "hook_unanswered", answered("502", "<html>Bad gateway</html>")),
    refused("token_wrong"),
    refused("signature_wrong"),
    refused("signature_stale"),
    refused("secrets_unavailable"),
)  # fmt: skip


def test_a_healthy_installation_raises_no_alarm(healthy: Scene) -> None:
    assert healthy.findings() == []
    status, shown = healthy.run("doctor")
    assert (status, shown.count("✔"), shown.count("?")) == (0, 1, 0)


def test_what_is_broken_is_found_by_name(healthy: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT", (1.0, 0.5))
    missed = []
    for check, reason, breaks in STATES:
        with kept(healthy):
            breaks(healthy)
            found = (
                healthy.findings("--project", "7") if reason != "setting_wrong" else wrong(healthy)
            )
            if (check, reason) not in found or len({name for name, _ in found}) > 2:
                missed.append((check, reason, found))
    assert missed == []
    assert len(STATES) >= 40
    assert healthy.findings() == []


def wrong(stage: Scene) -> list[tuple[str, str]]:
    """A settings file with which nothing starts is refused before anything is looked at."""
    status, shown = stage.run("doctor")
    assert (status, "MINIMUM_ROLE: found 'boss'" in shown) == (2, True)
    return [("settings", "setting_wrong")]


def test_a_certificate_of_a_private_ca_and_a_dead_proxy_are_named(
    healthy: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, certificate = private_ca(tmp_path)
    port = int(healthy.gitlab.url.rpartition(":")[2])
    with behind_tls(port, certificate) as url:
        line(GITLAB_URL=url)(healthy)
        assert healthy.findings() == [("gitlab_tls", "gitlab_unavailable")]
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
        assert healthy.findings() == []
    monkeypatch.setenv("HTTPS_PROXY", f"http://{closed_port()}")
    line(GITLAB_URL="https://gitlab.invalid")(healthy)
    assert healthy.findings() == [("gitlab_proxy", "gitlab_unavailable")]


def test_a_proxy_that_asks_who_comes_is_told_it_by_the_secrets(
    healthy: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, certificate = private_ca(tmp_path)
    monkeypatch.setattr(client, "CA_FILE", authority)
    monkeypatch.setenv("PROXY_LOGIN", "olga:canary")
    port = int(healthy.gitlab.url.rpartition(":")[2])
    with behind_tls(port, certificate) as url, proxy([], "olga:canary") as way:
        line(GITLAB_URL=url, GITLAB_PROXY=way)(healthy)
        assert healthy.findings() == [("gitlab_proxy", "gitlab_unavailable")]
        assert "canary" not in healthy.setup("--proxy-login")
        assert healthy.document("GITLAB_SECRETS")["proxy_login"] == "olga:canary"
        assert healthy.findings() == []
        monkeypatch.setenv("PROXY_LOGIN", "canary")
        status, shown = healthy.run("setup", "--project", "7", "--proxy-login")
        assert (status, "its name, a colon and its password" in shown) == (2, True)


def test_our_job_needs_no_pipeline_variables_and_a_runner_with_its_tags(healthy: Scene) -> None:
    healthy.gitlab.projects[7].variables_role = "no_one_allowed"
    healthy.gitlab.job_tags.append("docker")
    assert healthy.findings() == []


def test_what_the_bot_may_not_see_is_no_finding(healthy: Scene) -> None:
    healthy.gitlab.projects[7].protected = {"main": 30}
    healthy.gitlab.admit(7, bot(healthy), 30)
    status, shown = healthy.run("doctor")
    assert (status, shown.count("? ")) == (0, 4)
    assert "the bot may not look" in shown


def test_a_trigger_token_of_somebody_else_is_told(healthy: Scene) -> None:
    healthy.gitlab.user(OTHER, "mark")
    healthy.gitlab.member(7, OTHER, 40)
    healthy.gitlab.trigger_token("glptt-of-mark", 7, OTHER)
    store("GITLAB_SECRETS", trigger_tokens={"*": "glptt-of-mark"})(healthy)
    assert healthy.findings("--project", "group/app") == []  # a Maintainer may look it up


def test_nothing_it_shows_is_a_secret(healthy: Scene) -> None:
    secrets = [token(healthy), hook(healthy)["signing_token"]]
    for check, _, breaks in STATES:
        if check.startswith(("api_token", "hook", "gitlab_secrets")):
            with kept(healthy):
                breaks(healthy)
                shown = healthy.run("doctor")[1]
                assert not [each for each in secrets if each in shown]


class kept:  # noqa: N801  used as a context only
    """Afterwards all is as it was."""

    def __init__(self, stage: Scene) -> None:
        self._stage = stage

    def __enter__(self) -> None:
        gitlab, stage = self._stage.gitlab, self._stage
        self._tables = {name: copy.deepcopy(getattr(gitlab, name)) for name in _TABLES}
        self._files = {
            path: (path.read_text(), path.stat().st_mode)
            for path in (stage.file, *stage.state.glob("*.json"))
        }

    def __exit__(self, *_: object) -> None:
        for name, table in self._tables.items():
            setattr(self._stage.gitlab, name, table)
        for path, (text, mode) in self._files.items():
            path.write_text(text)
            path.chmod(mode)
