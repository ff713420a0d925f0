import copy
import json
import pickle
from typing import Any

import pytest

from shared.contract import provenance
from shared.installation.secrets import (
    MAX_AGE,
    MIN_AGE,
    Cached,
    GitLabSecrets,
    Secret,
    SecretError,
    WebhookSecrets,
    speaks_for,
)
from shared.outcome.reasons import Reason, Retry
from tests.support.fakes import API_TOKEN, NOW, SIGNING_TOKEN, TRIGGER_TOKEN, Clock


def test_a_secret_shows_itself_only_when_asked() -> None:
    secret = Secret("canary")
    assert secret.reveal() == "canary"
    assert not any(
        "canary" in shown
        for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", f"{[secret]}")
    )


def test_a_secret_is_not_compared_hashed_or_serialised() -> None:
    secret = Secret("canary")
    for use in (
        lambda: secret == secret,  # noqa: PLR0124
        lambda: secret != "x",
        lambda: hash(secret),
        lambda: pickle.dumps(secret),
    ):
        with pytest.raises(TypeError):
            use()
    with pytest.raises(TypeError):
        copy.copy(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)


def test_a_single_secret_token_as_secrets_manager_generates_it_counts() -> None:
    both = WebhookSecrets.parse(
        '{"signing_tokens": [], "secret_tokens": ["one"], "secret_token": "two"}'
    )
    assert [token.reveal() for token in both.secret_tokens] == ["one", "two"]


@pytest.mark.parametrize(
    "document",
    [
        "",
        '{"secret_token": ""}',
        '{"secret_token": ["canary"]}',
        '{"secret_token": null}',
        "canary",
        "[]",
        "{}",
        '{"signing_tokens": []}',
        '{"signing_tokens": "whsec_canary"}',
        '{"signing_tokens": ["whsec_canary"]}',
        '{"signing_tokens": ["whsec_Y2FuYXJ5"]}',
        '{"secret_tokens": [""]}',
        '{"secret_tokens": [" canary"]}',
        '{"secret_tokens": ["canäry"]}',
        '{"secret_tokens": [7]}',
        '{"secret_tokens": ["canary"], "canary": 1}',
        '{"secret_tokens": {}}',
        '{"secret_tokens": {"": "canary"}}',
        '{"secret_tokens": {" ": "canary"}}',
        '{"secret_tokens": {"group/": "canary"}}',
        '{"secret_tokens": {"/group": "canary"}}',
        '{"secret_tokens": {"group//app": "canary"}}',
        '{"secret_tokens": {"https://gitlab.com/group": "canary"}}',
        '{"secret_tokens": {"group/*": "canary"}}',
        '{"secret_tokens": {"grüppe": "canary"}}',
        '{"secret_tokens": {"077": "canary"}}',
        '{"secret_tokens": {"group": []}}',
        '{"secret_tokens": {"group": null}}',
        '{"secret_tokens": {"group": ["canary", 7]}}',
        '{"secret_tokens": {"group": ["canary", ""]}}',
        '{"secret_tokens": {"group": {"app": "canary"}}}',
        '{"secret_tokens": {"77": "canary", "77": "canary2"}}',
        '{"secret_tokens": {"group/app": "canary", "Group/App": "canary2"}}',
        '{"secret_tokens": ["canary"], "secret_tokens": {"group": "canary2"}}',
        '{"secret_token": {"group": "canary"}}',
        '{"signing_tokens": {"group": "whsec_canary"}}',
        '{"signing_tokens": {"whsec_canary": "group"}}',
    ],
)
def test_a_wrong_webhook_document_is_explained_without_being_quoted(document: str) -> None:
    with pytest.raises(SecretError, match="WEBHOOK_SECRETS") as error:
        WebhookSecrets.parse(document)
    assert "canary" not in str(error.value)
    assert "Y2FuYXJ5" not in str(error.value)


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ('{"secret_tokens": {"": "x"}}', "a name under secret_tokens must be a project's id"),
        ('{"secret_tokens": {"7": "x", "7": "y"}}', "give each project one entry"),
        ('{"secret_tokens": {"7": []}}', "a project under secret_tokens has no token"),
        (
            '{"secret_tokens": {"7": "x", "8": 9}}',
            "secret_tokens must be a list of .* or an object",
        ),
    ],
)
def test_what_is_wrong_with_a_bound_token_is_said(document: str, says: str) -> None:
    with pytest.raises(SecretError, match=f"^WEBHOOK_SECRETS.* {says}"):
        WebhookSecrets.parse(document)


def test_tokens_may_be_bound_to_projects_and_groups() -> None:
    document = {
        "signing_tokens": {"Group/App": SIGNING_TOKEN},
        "secret_tokens": {"*": "all", "77": ["one", "two"], "group": "one"},
        "secret_token": "generated",
    }
    secrets = WebhookSecrets.parse(json.dumps(document))
    assert [token.names for token in secrets.signing_keys] == [("group/app",)]
    assert [(token.reveal(), token.names) for token in secrets.secret_tokens] == [
        ("all", None),
        ("one", ("77",)),
        ("two", ("77",)),
        ("one", ("group",)),
        ("generated", None),
    ]


@pytest.mark.parametrize(
    ("names", "project_id", "path", "speaks"),
    [
        (None, 7, "group/app", True),
        ((), 7, "group/app", False),
        (("group/app",), 7, "group/app", True),
        (("group/app",), 7, "Group/APP", True),
        (("group",), 7, "group/sub/app", True),
        (("group/sub",), 7, "group/sub/app", True),
        (("group",), 7, "groupie/app", False),
        (("group/app",), 7, "group/app2", False),
        (("app",), 7, "group/app", False),
        (("group",), 7, "", False),
        (("7",), 7, "", True),
        (("7",), 77, "group/app", False),
        (("77",), 7, "77/app", False),
        (("other", "7"), 7, "group/app", True),
    ],
)
def test_a_name_is_an_id_a_path_or_a_group(
    names: tuple[str, ...] | None, project_id: int, path: str, speaks: bool
) -> None:
    assert speaks_for(names, project_id, path) is speaks


@pytest.mark.parametrize(
    "changes",
    [
        {"api_token": None},
        {"api_token": ""},
        {"trigger_tokens": None},
        {"trigger_tokens": {}},
        {"trigger_tokens": {"*": 1}},
        {"signing_keys": "k" * 32},
        {"signing_keys": ["k" * 31]},
        {"signing_keys": [None]},
    ],
)
def test_both_tokens_of_gitlab_secrets_are_required(changes: dict[str, Any]) -> None:
    document = {"api_token": API_TOKEN, "trigger_tokens": {"*": TRIGGER_TOKEN}} | changes
    with pytest.raises(SecretError, match="GITLAB_SECRETS") as error:
        GitLabSecrets.parse(json.dumps(document))
    assert "canary" not in str(error.value)


@pytest.mark.parametrize("login", ["", "canary", 7, "canary:\n", ["canary:x"]])
def test_a_proxy_s_login_is_a_name_and_a_password(login: object) -> None:
    known = {"api_token": "glpat-1", "trigger_tokens": {"*": "glptt-1"}}
    assert GitLabSecrets.parse(json.dumps(known)).proxy_login is None
    told = GitLabSecrets.parse(json.dumps(known | {"proxy_login": "olga:a:b"})).proxy_login
    assert told is not None
    assert told.reveal() == "olga:a:b"
    with pytest.raises(SecretError, match="proxy_login must be name:password") as refused:
        GitLabSecrets.parse(json.dumps(known | {"proxy_login": login}))
    assert "canary" not in str(refused.value)


def test_a_trigger_token_is_found_by_id_then_path_then_for_all() -> None:
    tokens = {"*": "glptt-all", "7": "glptt-id", "group/app": "glptt-path"}
    secrets = GitLabSecrets.parse(json.dumps({"api_token": API_TOKEN, "trigger_tokens": tokens}))

    def found(project_id: int, path: str) -> str | None:
        token = secrets.trigger_token(project_id, path)
        return token.reveal() if token else None

    assert [found(7, "group/app"), found(8, "group/app"), found(8, "x/y")] == [
        "glptt-id",
        "glptt-path",
        "glptt-all",
    ]
    only = GitLabSecrets.parse(
        json.dumps({"api_token": API_TOKEN, "trigger_tokens": {"7": "glptt-id"}})
    )
    assert only.trigger_token(8, "x/y") is None


class Store:
    def __init__(self) -> None:
        self.reads = 0
        self.content: str | Exception = json.dumps({"signing_tokens": [SIGNING_TOKEN]})

    def __call__(self) -> str:
        self.reads += 1
        if isinstance(self.content, Exception):
            raise self.content
        return self.content


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def cached(store: Store, clock: Clock) -> Cached[WebhookSecrets]:
    return Cached(store, WebhookSecrets.parse, clock)


def test_a_document_is_read_once_for_its_maximum_age(
    store: Store, cached: Cached[WebhookSecrets], clock: Clock
) -> None:
    assert cached.get() is cached.get()
    clock.time = NOW + MAX_AGE - 1
    cached.get()
    assert store.reads == 1
    clock.time = NOW + MAX_AGE
    cached.get()
    assert store.reads == 2


def test_mismatches_cost_one_read_per_minimum_age(
    store: Store, cached: Cached[WebhookSecrets], clock: Clock
) -> None:
    cached.get()
    for _ in range(100):
        cached.get(fresh=True)
    assert store.reads == 1
    clock.time = NOW + MIN_AGE
    for _ in range(100):
        cached.get(fresh=True)
    assert store.reads == 2


def test_a_failed_read_is_not_kept(store: Store, cached: Cached[WebhookSecrets]) -> None:
    good, store.content = store.content, RuntimeError("canary")
    for _ in range(2):
        with pytest.raises(Retry) as error:
            cached.get()
        assert error.value.reason is Reason.SECRETS_UNAVAILABLE
        assert "canary" not in f"{error.value!r} {error.value.__cause__!r}"
    store.content = good
    assert cached.get().signing_keys


def test_the_copy_at_hand_serves_while_the_store_is_down(
    store: Store, cached: Cached[WebhookSecrets], clock: Clock
) -> None:
    document = cached.get()
    store.content = RuntimeError()
    clock.time = NOW + MAX_AGE
    for _ in range(100):
        assert cached.get() is document
        assert cached.get(fresh=True) is document
    assert store.reads == 2


def test_an_unreadable_document_says_what_is_wrong_with_it(
    store: Store, cached: Cached[WebhookSecrets]
) -> None:
    store.content = "{}"
    with pytest.raises(Retry) as error:
        cached.get()
    assert "holds no token" in str(error.value.__cause__)


def test_a_signing_key_seals_what_a_job_is_asked_and_the_first_is_used() -> None:
    document = {"api_token": API_TOKEN, "trigger_tokens": {"*": TRIGGER_TOKEN}}
    body: dict[str, object] = {"ref": "main", "ai_flow": {"id": "r", "nonce": "n"}}
    assert GitLabSecrets.parse(json.dumps(document)).sealed(body) == body
    keys = ["k" * 32, "l" * 32]
    sealed = GitLabSecrets.parse(json.dumps(document | {"signing_keys": keys})).sealed(body)
    flow = {"id": "r", "nonce": "n"}
    expected = {"ref": "main", "ai_flow": flow | {"seal": provenance.seal(keys[0], flow)}}
    assert sealed == expected
    assert keys[0] not in str(sealed)
