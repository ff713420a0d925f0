import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.incoming.delivery import Delivery, has_credentials, verify
from shared.installation.secrets import SecretError, WebhookSecrets, WebhookToken
from shared.outcome.reasons import Reason, Stop
from tests import DATA
from tests.support.fakes import NOW, SECRET_TOKEN, SIGNING_TOKEN, delivery, sign, tokens


def cases(name: str) -> list[Any]:
    found = json.loads((DATA / name).read_text())["cases"]
    return [pytest.param(case, id=case["name"]) for case in found]


def verdict(config: dict[str, Any], headers: dict[str, str], body: bytes, now: float) -> str:
    try:
        secrets = WebhookSecrets.parse(json.dumps(config))
        verify(
            Delivery("POST", {name.lower(): value for name, value in headers.items()}, body),
            secrets,
            now,
        )
    except Stop:
        return "reject"
    except SecretError:
        return "config-error"
    return "accept"


@pytest.mark.parametrize("case", cases("standard-webhooks.json"))
def test_signatures_are_judged_as_standard_webhooks_says(case: dict[str, Any]) -> None:
    body = base64.b64decode(case["body_base64"])
    assert (
        verdict({"signing_tokens": case["secrets"]}, case["headers"], body, case["now"])
        == case["expect"]
    )


@pytest.mark.parametrize("case", cases("gitlab-deliveries.json"))
def test_deliveries_are_judged_as_gitlab_sends_them(case: dict[str, Any]) -> None:
    body = base64.b64decode(case["body_base64"])
    assert verdict(case["config"], case["headers"], body, case["now"]) == case["expect"]


BOTH = {"signing_tokens": [SIGNING_TOKEN], "secret_tokens": [SECRET_TOKEN]}


def test_a_secret_token_does_not_stand_in_for_a_required_signature() -> None:
    with pytest.raises(Stop) as stop:
        verify(
            Delivery("POST", {"x-gitlab-token": SECRET_TOKEN}, b"{}"),
            WebhookSecrets.parse(json.dumps(BOTH)),
            NOW,
        )
    assert stop.value.reason is Reason.SIGNATURE_MISSING


def test_what_a_key_has_verified_leaves_no_trace_in_the_next_verdict() -> None:
    secrets = WebhookSecrets.parse(json.dumps({"signing_tokens": [SIGNING_TOKEN]}))
    for body in (b"{}", b'{"note": "@claude"}', b"{}"):
        assert verify(Delivery("POST", sign(body), body), secrets, NOW).body == body
        with pytest.raises(Stop, match="signature_wrong"):
            verify(Delivery("POST", sign(body), body + b" "), secrets, NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_signature_lacks_none_of_its_headers(name: str) -> None:
    headers = sign(b"{}", webhook_id="X")
    del headers[name]
    with pytest.raises(Stop) as stop:
        verify(Delivery("POST", headers, b"{}"), tokens().get(), NOW)
    assert stop.value.reason is Reason.SIGNATURE_MISSING


def test_an_id_with_a_dot_is_refused_even_if_it_is_signed() -> None:
    with pytest.raises(Stop) as stop:
        verify(Delivery("POST", sign(b"{}", webhook_id="msg.1"), b"{}"), tokens().get(), NOW)
    assert stop.value.reason is Reason.SIGNATURE_MISSING


def test_a_new_signing_token_is_accepted_beside_the_old_one() -> None:
    other = "whsec_" + base64.b64encode(bytes(32)).decode()
    assert verdict({"signing_tokens": [other, SIGNING_TOKEN]}, sign(b"{}"), b"{}", NOW) == "accept"


def test_a_delivery_speaks_for_what_all_its_tokens_may() -> None:
    other = "whsec_" + base64.b64encode(bytes(32)).decode()

    def names(signing: object, secret: object = ()) -> tuple[str, ...] | None:
        document = {"signing_tokens": signing, "secret_tokens": secret or []}
        secrets = WebhookSecrets.parse(json.dumps(document))
        headers = sign(b"{}") | {"x-gitlab-token": SECRET_TOKEN}
        return verify(Delivery("POST", headers, b"{}"), secrets, NOW).names

    assert names({"7": SIGNING_TOKEN, "8": other}) == ("7",)
    assert names({"7": SIGNING_TOKEN, "group": [other, SIGNING_TOKEN]}) == ("7", "group")
    assert names({"7": SIGNING_TOKEN, "*": SIGNING_TOKEN}) is None
    assert names([SIGNING_TOKEN]) is None
    assert names({"7": SIGNING_TOKEN}, {"8": SECRET_TOKEN}) == ("7",)
    assert names([], {"8": SECRET_TOKEN, "9": "other"}) == ("8",)
    assert names([], [SECRET_TOKEN]) is None


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("webhook-id", ""),
        ("webhook-id", "msg.1"),
        ("webhook-id", "msg-2"),
        ("webhook-id", "msg-1,msg-1"),
        ("webhook-timestamp", ""),
        ("webhook-timestamp", "1e9"),
        ("webhook-timestamp", "177000_0000"),
        ("webhook-timestamp", "١٧٧٠٠٠٠٠٠٠"),
        ("webhook-timestamp", "+1770000000"),
        ("webhook-timestamp", "1770000000,1770000000"),
        ("webhook-timestamp", "9" * 13),
        ("webhook-signature", ""),
        ("webhook-signature", "v1"),
        ("webhook-signature", "v1,é"),
        ("webhook-signature", "v1,\ud800"),
        ("webhook-signature", "v1a,AAAA"),
    ],
)
def test_a_header_that_is_not_exactly_right_is_refused(header: str, value: str) -> None:
    assert verdict(BOTH, sign(b"{}") | {header: value}, b"{}", NOW) == "reject"


@pytest.mark.parametrize(
    ("time", "reason"), [("9" * 12, Reason.SIGNATURE_STALE), ("9" * 13, Reason.SIGNATURE_MISSING)]
)
def test_a_time_has_at_most_twelve_digits(time: str, reason: Reason) -> None:
    headers = sign(b"{}") | {"webhook-timestamp": time}
    with pytest.raises(Stop) as stop:
        verify(Delivery("POST", headers, b"{}"), tokens().get(), NOW)
    assert stop.value.reason is reason


@pytest.mark.parametrize("age", [-300, 300])
def test_a_signature_of_300_seconds_counts(age: int) -> None:
    assert verdict(BOTH, sign(b"{}", NOW + age), b"{}", NOW) == "accept"


@pytest.mark.parametrize("age", [-301, 301, 10**9])
def test_an_older_or_newer_signature_does_not(age: int) -> None:
    assert verdict(BOTH, sign(b"{}", NOW + age), b"{}", NOW) == "reject"


def test_the_signature_covers_every_byte_of_the_body() -> None:
    body = delivery().body
    for at in range(0, len(body), 37):
        changed = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        assert verdict(BOTH, sign(body), changed, NOW) == "reject"


@pytest.mark.parametrize(
    "token",
    ["", "wrong", SECRET_TOKEN + "x", SECRET_TOKEN[:-1], "é", "\udcff", f"{SECRET_TOKEN},x"],
)
def test_a_wrong_secret_token_is_refused_without_an_exception(token: str) -> None:
    assert (
        verdict({"secret_tokens": [SECRET_TOKEN]}, {"x-gitlab-token": token}, b"", NOW) == "reject"
    )


@pytest.mark.parametrize("configured", ["X", ""])
@pytest.mark.parametrize("headers", [{}, {"x-gitlab-token": ""}])
def test_a_delivery_without_a_secret_token_is_refused_whatever_is_configured(
    configured: str, headers: dict[str, str]
) -> None:
    with pytest.raises(Stop):
        verify(
            Delivery("POST", headers, b"{}"), WebhookSecrets((), (WebhookToken(configured),)), NOW
        )


@given(
    st.dictionaries(
        st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text()
    ),
    st.binary(),
)
def test_no_header_makes_verification_fail_otherwise_than_by_refusing(
    headers: dict[str, str], body: bytes
) -> None:
    assert verdict(BOTH, headers, body, NOW) == "reject"


def test_a_delivery_without_any_credential_is_known_before_secrets_are_read() -> None:
    assert has_credentials(delivery())
    assert has_credentials(Delivery("POST", {"x-gitlab-token": "x"}, b""))
    assert not has_credentials(Delivery("POST", {"webhook-id": "1", "webhook-timestamp": "1"}, b""))
    assert not has_credentials(Delivery("POST", {"x-gitlab-token": ""}, b""))
