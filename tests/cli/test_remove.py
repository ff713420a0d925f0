"""What setup made is gone again; what people made stays."""

from tests.support.operator_scene import OPERATOR, OTHER, TOKEN, Scene


def test_remove_leaves_nothing_of_setup(stage: Scene) -> None:
    gitlab = stage.gitlab
    gitlab.admit(7, OPERATOR, 50)
    gitlab.trigger_token("glptt-theirs", 7, OPERATOR)
    gitlab.hook(7, "https://theirs.example.com", note_events=True)
    gitlab.ci_variables[7] = {"THEIRS": {"key": "THEIRS", "description": None}}
    before = stage.made()
    stage.setup()
    status, shown = stage.run("remove", "--project", "group/app")
    assert status == 0, shown
    assert TOKEN not in shown
    left = stage.made()
    assert left | {"notes": 0} == before
    assert list(gitlab.api_tokens) == [TOKEN]
    assert stage.document("GITLAB_SECRETS") == stage.document("WEBHOOK_SECRETS") == {}
    calls = len(gitlab.calls)
    assert stage.run("remove", "--project", "group/app")[0] == 0
    assert {call.method for call in gitlab.calls[calls:]} == {"GET"}


def test_another_project_s_tokens_stay(stage: Scene) -> None:
    gitlab = stage.gitlab
    gitlab.user(OTHER, "claude")
    gitlab.api_token("glpat-own", OTHER)
    (stage.state).mkdir(exist_ok=True)
    (stage.state / "gitlab_secrets.json").write_text(
        '{"api_token": "glpat-own", "trigger_tokens": {"8": "glptt-8"}}'
    )
    (stage.state / "webhook_secrets.json").write_text('{"secret_tokens": {"8": "token-of-8"}}')
    stage.setup()
    assert stage.document("WEBHOOK_SECRETS")["secret_tokens"].keys() == {"7", "8"}
    assert stage.run("remove", "--project", "7")[0] == 0
    left = stage.document("GITLAB_SECRETS")
    assert left.pop("signing_keys")  # what jobs were asked is still to be verified
    assert left == {"api_token": "glpat-own", "trigger_tokens": {"8": "glptt-8"}}
    assert stage.document("WEBHOOK_SECRETS") == {"secret_tokens": {"8": "token-of-8"}}


def test_a_dry_run_takes_nothing_away(stage: Scene) -> None:
    stage.setup()
    made, calls = stage.made(), len(stage.gitlab.calls)
    status, shown = stage.run("remove", "--project", "7", "--dry-run")
    assert (status, "would:" in shown) == (0, True)
    assert stage.made() == made
    assert {call.method for call in stage.gitlab.calls[calls:]} == {"GET"}
