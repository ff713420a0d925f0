"""Deliveries gone wrong on purpose: real payloads, their values, keys, bytes, headers changed.

Values are changed by cutting the JSON text where they stand: that is twenty times faster than
writing it anew.
"""

import json
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any, NamedTuple

from shared.incoming.delivery import MAX_BODY, Delivery
from tests import DATA
from tests.proofs.security import forgeries
from tests.proofs.security.forgeries import HEADERS, bytes_changed
from tests.support import fakes

PAYLOADS = DATA / "payloads"
SIGNED, UNSIGNED, METHOD, TOO_LARGE = "signed", "unsigned", "method", "too large"
LONG = 3000  # bytes of a payload; longer ones cost time and hold nothing else

# What may stand where GitLab sends something else.
VALUES = tuple(
    text.encode()
    for text in (
        *("null", "true", "false", "0", "-1", "1", "7", "42", "1.5", "1e999", "-0", "NaN"),
        *("Infinity", "1e-9"),
        *(str(2**63 - 1), str(2**63), str(2**64), "9" * 30, "9" * 5000, "[]", "{}", "[[]]"),
        *('[{"a":[]}]', '""', '" "'),
        *('"@claude"', '"@claude do it"', '"note"', '"7"', '"main"', '"create"', '"update"'),
        *('"Issue"', '"Commit"'),
        *('"\\u0000"', '"\\ud800"', '"\\udc00\\ud800"', '"\\u202e"', '"\\u0040claude x"'),
        *('"../../../etc"', '"é好🚀"'),
        *(
            '"confidential_note"',
            '"MergeRequest"',
            '"$ANTHROPIC_API_KEY"',
            '"https://evil.example/"',
            '"<!--"',
        ),
        *(
            "[" * 200 + "]" * 200,
            '{"a":' * 99 + "1" + "}" * 99,
            '"' + "x" * 3000 + '"',
            '"' + "🚀" * 1024 + '"',
            '"' + "`" * 300 + '"',
        ),
        *('"issue"', '"merge_request"', '"work_item"', '"pipeline"', '"open"'),
        *('"2026-11-23 20:00:00 UTC"', '"99999-01-01"'),
    )
)
KEYS = tuple(
    b'"' + key.encode() + b'":'
    for key in ("", "id", "note", "iid", "project", "user", "x", "\\u0000", "action")
)
TEXTS = (
    "@claude fix it", "@claude", "`@claude`", "> @claude", "@claude@claude x", "<!-- @claude -->",
    "a@claude", "@claude /merge",
)  # fmt: skip
NAMES = (
    "x-gitlab-event", "content-type", "user-agent", "x-gitlab-instance", "x-gitlab-token",
    "x-forwarded-for", "idempotency-key", "\0", "é",
)  # fmt: skip
METHODS = (
    "GET", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "", "P0ST", "\u212aOST",
)  # fmt: skip


class Case(NamedTuple):
    """A delivery and what it is: signed by GitLab, unsigned, of another method, or too large."""

    kind: str
    delivery: Delivery


class Sample(NamedTuple):
    """A payload as text, and where values, members (key and value) and keys stand in it."""

    body: bytes
    values: tuple[tuple[int, int], ...]
    members: tuple[tuple[int, int], ...]
    keys: tuple[tuple[int, int], ...]


@cache
def samples() -> tuple[Sample, ...]:
    """Return real payloads as they are, and with a note that speaks to us in place of theirs."""
    found: list[Any] = [
        json.loads(path.read_bytes())
        for path in sorted(PAYLOADS.rglob("*.json"))
        if ".headers." not in path.name
    ]
    found = [each for each in found if isinstance(each, dict)]
    notes = [each for each in found if each.get("object_kind") == "note"]
    found = [each for each in found if len(json.dumps(each)) < LONG]
    spoken = [
        each | {"object_attributes": each["object_attributes"] | {"note": text}}
        for each in notes
        for text in TEXTS[:2]
    ]
    made = [fakes.payload(text) for text in TEXTS]
    # Those that lead to no run more often: they cost less, and ten million are to be sent.
    return tuple(map(_sample, (*found * 3, *notes * 3, *spoken, *made, *_others())))


def _others() -> Iterator[dict[str, Any]]:
    """Yield a comment on a diff, things that ask in every way, and a pipeline of ours."""
    us, label = {"id": 99, "username": "claude"}, {"id": 1, "title": "claude"}
    ends = {
        "source_branch": "f",
        "target_branch": "main",
        "source_project_id": 7,
        "last_commit": {"id": "a" * 40},
    }
    comment = fakes.payload(noteable_type="MergeRequest", position={"new_path": "a", "new_line": 1})
    yield comment | {"merge_request": {"iid": 3, **ends}}
    for kind in ("issue", "merge_request"):
        about = {
            "id": 900,
            "iid": 5,
            "title": "It breaks",
            "description": "@claude fix it",
            "author_id": 42,
            **ends,
        }
        payload = {name: comment[name] for name in ("user", "project")} | {
            "object_kind": kind,
            "event_type": kind,
        }
        yield payload | {
            "object_attributes": about | {"action": "open"},
            "assignees": [us],
            "labels": [label],
        }
        changes = {
            name: {"previous": [], "current": [who]}
            for name, who in (("assignees", us), ("labels", label))
        }
        changes |= {"reviewers": {"previous": [], "current": [us | {"re_requested": True}]}}
        changed = about | {"action": "update", "updated_at": "2026-02-02 02:40:00 UTC"}
        yield payload | {"object_attributes": changed, "changes": changes}
    variables = [
        {"key": "AI_FLOW_ID", "value": "ab" * 16},
        {"key": "TRIGGER_PAYLOAD", "value": "{}"},
    ]
    pipeline = {
        "id": 31,
        "iid": 1,
        "status": "running",
        "source": "trigger",
        "variables": variables,
    }
    yield {"object_kind": "pipeline", "object_attributes": pipeline, "project": comment["project"]}


def _sample(payload: dict[str, Any]) -> Sample:
    out, values, members, keys = bytearray(), [], [], []

    def write(value: object) -> None:
        start = len(out)
        if isinstance(value, dict | list):
            out.extend(b"{" if isinstance(value, dict) else b"[")
            for number, item in enumerate(value):
                out.extend(b"," if number else b"")
                member = len(out)
                if isinstance(value, dict):
                    out.extend(json.dumps(item).encode() + b":")
                    keys.append((member, len(out)))
                write(value[item] if isinstance(value, dict) else item)
                members.append((member, len(out)))
            out.extend(b"}" if isinstance(value, dict) else b"]")
        else:
            out.extend(json.dumps(value, ensure_ascii=False).encode())
        values.append((start, len(out)))

    write(payload)
    return Sample(bytes(out), tuple(values), tuple(members), tuple(keys))


def body(rng: Random) -> bytes:
    """Return a payload with one to three changes of its structure, and sometimes of its bytes."""
    pick, sample = rng.random, samples()[int(rng.random() * len(samples()))]
    text, before = sample.body, len(sample.body) + 1
    changes = sorted(
        (_change(rng, sample) for _ in range(1 + int(pick() * pick() * 4))), reverse=True
    )
    for start, end, instead in changes:
        if (
            end < before
        ):  # from the back, and none inside another: every place is still where it was
            text, before = text[:start] + instead + text[end:], start
    return bytes_changed(rng, text) if pick() < 0.15 else text


def _change(rng: Random, sample: Sample) -> tuple[int, int, bytes]:
    pick, text = rng.random, sample.body
    what = pick()
    if what < 0.5:  # another value, of another type or out of its bounds
        start, end = sample.values[int(pick() * len(sample.values))]
        return start, end, VALUES[int(pick() * len(VALUES))]
    if what < 0.6:  # a value of another place
        start, end = sample.values[int(pick() * len(sample.values))]
        other_start, other_end = sample.values[int(pick() * len(sample.values))]
        return start, end, text[other_start:other_end]
    if what < 0.65:  # one level deeper
        start, end = sample.values[int(pick() * len(sample.values))]
        return (
            start,
            end,
            (b"[" + text[start:end] + b"]")
            if pick() < 0.5
            else (b'{"a":' + text[start:end] + b"}"),
        )
    start, end = sample.members[int(pick() * len(sample.members))]
    if what < 0.8:  # left out, with its comma
        return (
            (start, end + 1, b"")
            if text[end : end + 1] == b","
            else (start, end, b'"x":0' if text[start:end].find(b":") > 0 else b"0")
        )
    if what < 0.9:  # said twice: the last one counts
        return end, end, b"," + text[start:end]
    start, end = sample.keys[int(pick() * len(sample.keys))]
    return start, end, KEYS[int(pick() * len(KEYS))]


def case(rng: Random, now: float = fakes.NOW) -> Case:
    """Return the next delivery: about half are correctly signed."""
    what, data = rng.random(), body(rng)
    if what < 0.5:
        return Case(SIGNED, Delivery("POST", _with_noise(rng, fakes.sign(data, now)), data))
    if what > 0.99:
        method = METHODS[int(rng.random() * len(METHODS))]
        return Case(METHOD, Delivery(method, fakes.sign(data, now), data))
    if what > 0.98999:
        return Case(TOO_LARGE, Delivery("POST", fakes.sign(b"", now), bytes(MAX_BODY + 1)))
    return Case(
        UNSIGNED,
        Delivery(
            "POST",
            *forgeries.FORGERIES[int(rng.random() * len(forgeries.FORGERIES))](rng, data, now),
        ),
    )


def _with_noise(rng: Random, headers: dict[str, str]) -> dict[str, str]:
    """Change what no signature covers: other headers, and entries beside the right one."""
    pick = rng.random
    if pick() < 0.3:
        headers[NAMES[int(pick() * len(NAMES))]] = HEADERS[int(pick() * len(HEADERS))]
    if pick() < 0.1:
        entry = HEADERS[int(pick() * len(HEADERS))]
        right = headers["webhook-signature"]
        headers["webhook-signature"] = f"{entry} {right}" if pick() < 0.5 else f"{right} {entry}"
    return headers
