"""Deliveries that GitLab did not sign so, though each holds something of a right signature."""

import base64
import hmac
from collections.abc import Callable
from hashlib import sha256
from random import Random

from tests.support import fakes

CREDENTIALS = ("webhook-id", "webhook-timestamp", "webhook-signature")
OTHER_KEY = b"another-key-that-nobody-configured"
JUNK = (
    b"\0", b"\xff", b"\xc3", b'"', b"\\", b"{", b"}", b"[", b",", b":", b"\n", b"\\u",
    b"\xed\xa0\x80", b"@claude", b"9" * 400,
)  # fmt: skip
HEADERS = (
    "", " ", "v1,", "v1," + "A" * 44, "v1a," + "A" * 88, "é", "\udcff", "\0", "0" * 13, "-1", "1e9",
    "۱۷۷۰۰۰۰۰۰۰", "a.b", "x" * 9000, "application/x-www-form-urlencoded", "https://evil.example",
)  # fmt: skip


def bytes_changed(rng: Random, text: bytes) -> bytes:
    pick, at, what = rng.random, int(rng.random() * len(text)), rng.random()
    if what < 0.3 and text:
        return text[:at] + bytes([text[at] ^ 1 << int(pick() * 8)]) + text[at + 1 :]
    if what < 0.5:
        return text[:at]
    if what < 0.7:
        return text[:at] + JUNK[int(pick() * len(JUNK))] + text[at:]
    end = at + int(pick() * 200)
    return text[:at] + text[end:] if what < 0.85 else text[:end] + text[at:]


def _no_credentials(rng: Random, data: bytes, now: float) -> tuple[dict[str, str], bytes]:
    headers = fakes.sign(data, now)
    del headers["webhook-signature"]
    return _other(rng, headers), data


def _other(rng: Random, headers: dict[str, str]) -> dict[str, str]:
    if rng.random() < 0.3:
        headers["x-gitlab-event"] = HEADERS[int(rng.random() * len(HEADERS))]
    return headers


def _header_lost(rng: Random, data: bytes, now: float) -> tuple[dict[str, str], bytes]:
    headers = fakes.sign(data, now)
    del headers[CREDENTIALS[int(rng.random() * 3)]]
    return headers, data


def _header_other(rng: Random, data: bytes, now: float) -> tuple[dict[str, str], bytes]:
    return fakes.sign(data, now) | {
        CREDENTIALS[int(rng.random() * 3)]: HEADERS[int(rng.random() * len(HEADERS))]
    }, data


def _header_flipped(rng: Random, data: bytes, now: float) -> tuple[dict[str, str], bytes]:
    headers = fakes.sign(data, now)
    name = CREDENTIALS[int(rng.random() * 3)]
    value = headers[name]
    at = int(rng.random() * len(value))
    return headers | {
        name: value[:at] + chr(ord(value[at]) ^ 1 << int(rng.random() * 7)) + value[at + 1 :]
    }, data


def _header_cut(rng: Random, data: bytes, now: float) -> tuple[dict[str, str], bytes]:
    headers = fakes.sign(data, now)
    name = CREDENTIALS[int(rng.random() * 3)]
    return headers | {name: headers[name][: int(rng.random() * len(headers[name]))]}, data


def _body_changed(rng: Random, data: bytes, now: float) -> tuple[dict[str, str], bytes]:
    changed = bytes_changed(rng, data)
    return fakes.sign(data, now), changed if changed != data else data + b" "


def _stale(rng: Random, data: bytes, now: float) -> tuple[dict[str, str], bytes]:
    age = 302 + int(rng.random() * 1e6)
    return fakes.sign(data, now + (age if rng.random() < 0.5 else -age)), data


def _split_elsewhere(_: Random, data: bytes, now: float) -> tuple[dict[str, str], bytes]:
    """The bytes that were signed, divided otherwise into id, time and body."""
    headers = fakes.sign(data, now)
    joined = f"{headers['webhook-id']}.{headers['webhook-timestamp']}"
    return headers | {"webhook-id": joined, "webhook-timestamp": headers["webhook-timestamp"]}, data


def _other_key(_: Random, data: bytes, now: float) -> tuple[dict[str, str], bytes]:
    digest = hmac.digest(OTHER_KEY, f"msg-1.{int(now)}.".encode() + data, sha256)
    return fakes.sign(data, now) | {
        "webhook-signature": "v1," + base64.b64encode(digest).decode()
    }, data


def _token_instead(rng: Random, data: bytes, _: float) -> tuple[dict[str, str], bytes]:
    """The downgrade: where a signature is required, a secret token does not do."""
    return {
        "x-gitlab-token": fakes.SECRET_TOKEN
        if rng.random() < 0.5
        else HEADERS[int(rng.random() * len(HEADERS))]
    }, data


FORGERIES: tuple[Callable[[Random, bytes, float], tuple[dict[str, str], bytes]], ...] = (
    _no_credentials,
    _header_lost,
    _header_other,
    _header_flipped,
    _header_cut,
    _body_changed,
    _stale,
    _split_elsewhere,
    _other_key,
    _token_instead,
)
