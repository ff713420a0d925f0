"""What accounts for a commit: the same digest on both sides of GitLab, a seal nobody else makes."""

import json

import pytest

from shared.contract import provenance

FLOW = {"version": 1, "id": "5f3a", "input": "mend it – ünicode", "context": {"b": [], "a": None}}


def test_the_digest_outlives_that_gitlab_writes_the_json_anew() -> None:
    anew = json.loads(json.dumps(dict(reversed(FLOW.items())), indent=3, ensure_ascii=False))
    assert provenance.digest(anew) == provenance.digest(FLOW)
    assert provenance.digest(FLOW | {provenance.SEAL: "x"}) == provenance.digest(FLOW)


@pytest.mark.parametrize("name", FLOW)
def test_any_change_is_another_request_and_has_another_seal(name: str) -> None:
    changed = FLOW | {name: "other"}
    assert provenance.digest(changed) != provenance.digest(FLOW)
    assert provenance.seal("key", changed) != provenance.seal("key", FLOW)
    assert provenance.seal("other key", FLOW) != provenance.seal("key", FLOW)


def test_only_the_last_paragraph_has_trailers_and_only_once_each() -> None:
    message = (
        "Mend it\n\nClaude-Run: forged\n\nClaude-Asked-by: 42\nCo-authored-by: ada <a@b>\n"
        "Claude-Run: 1\nClaude-Run: 2\nOther: x\n"
    )
    assert provenance.trailers(message) == {provenance.ASKED_BY: "42"}
