"""The secrets that a job holds, found in whatever is about to leave it, in several spellings."""

from __future__ import annotations

import base64
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

from shared.contract.provenance import MASK

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

_LONG_TOKEN = re.compile(r"[A-Za-z0-9+/=_-]{24,}")  # a line of a key, a value in JSON
_SHORTEST = 6  # characters: masking less would garble every other word
# Tokens of other places, which only their form gives away. GitLab's prefixes:
# https://docs.gitlab.com/security/tokens/#token-prefixes
_SHAPES = re.compile(
    r"sk-ant-[\w-]{16,}|gl(?:pat|oas|dt|rt|rtr|cbt|ptt|ft|imt|agent|wt|soat|ffct)-[\w.-]{16,}"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36,}|\bya29\.[\w-]{16,}"
    r"|(?<![\w-])eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}",
    re.ASCII,
)
# What strangers' logs may hold, whose secrets nobody told us: an assignment to such a name, a
# password in an address, a header that signs in, a private key.
_TOLD = re.compile(
    r"((?<![\w-])[\w-]{0,100}?(?i:TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|JWT"
    r"|(?:API|PRIVATE|ACCESS|DEPLOY|SSH|SIGNING)[_-]?KEY)=[$]?['\"]?)[^\s'\"&]+"
    r"|(://[^\s/:@]{0,100}:)[^\s/@]{1,500}(?=@)"
    r"|((?i:\b(?:(?:proxy-)?authorization|private-token|job-token|x-api-key|api-key|(?:set-)?cookie)"
    r"['\"]?: *['\"]?(?:(?:bearer|basic|token) +)?))[^\s'\"]+"
    r"|(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----)[\w\s+/=\\]+",
    re.ASCII,
)
# Names of variables that hold secrets; a short value, such as the password of a test's database, is
# a word that may stand anywhere.
_NAME = re.compile(
    r"(?:^|_)(?:TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|JWT"
    r"|(?:API|PRIVATE|ACCESS|SECRET|DEPLOY|SSH|SIGNING)_?KEY)$",
    re.IGNORECASE,
)
_LONG = 16  # characters
_LARGEST_FILE = 65_536  # bytes


def held(variables: Mapping[str, str], named: Collection[str]) -> Iterator[str]:
    """Yield the values of the named variables, and of all whose name says that it is a secret.

    A variable of GitLab's type file holds a path; the file's content is yielded as well.
    """
    for name, value in variables.items():
        if name in named or (_NAME.search(name) and len(value) >= _LONG):
            yield value
            with suppress(OSError, ValueError):
                path = Path(value)
                if path.is_absolute() and path.stat().st_size <= _LARGEST_FILE:
                    yield path.read_text(encoding="utf-8", errors="replace")


class Secrets:
    """Values that must not leave; time is linear in what is searched, for each value."""

    def __init__(self) -> None:
        """Know none yet."""
        self._spellings: list[str] = []

    def add(self, *values: str) -> None:
        """Look for these values from now on; of one with several lines also for its long tokens.

        Too short ones are left out. Longer spellings are masked before the shorter ones in them.
        """
        parts = {value.strip() for value in values}
        parts |= {token for part in parts if "\n" in part for token in _LONG_TOKEN.findall(part)}
        known = {spelling for part in parts if len(part) >= _SHORTEST for spelling in _of(part)}
        self._spellings = sorted(known.union(self._spellings), key=lambda each: (-len(each), each))

    def masked(self, text: str) -> str:
        """Return the text without any of the values, and without anything of a token's form."""
        return _SHAPES.sub(MASK, self.without(text))

    def without(self, text: str) -> str:
        """Return the text without any of the values."""
        for spelling in self._spellings:
            text = text.replace(spelling, MASK)
        return text

    def strange(self, text: str) -> str:
        """Return a text of other jobs as `masked` does, and without what looks like their secrets.

        >>> Secrets().strange("DB_PASSWORD=hunter2 psql postgres://app:hunter2@db/app")
        'DB_PASSWORD=[MASKED] psql postgres://app:[MASKED]@db/app'
        """
        return _TOLD.sub(lambda found: f"{found[found.lastindex or 0]}{MASK}", self.masked(text))

    def are_in(self, data: bytes) -> bool:
        """Tell whether bytes hold one of the values."""
        return any(spelling.encode("utf-8", "replace") in data for spelling in self._spellings)


def _of(value: str) -> Iterator[str]:
    """Yield a value as it can be spelled: raw, quoted, reversed, hex, base64 at three offsets."""
    data = value.encode("utf-8", "replace")
    yield from (value, value[::-1], quote(value, safe=""), quote_plus(value), quote(value))
    yield from (json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1])
    yield from (data.hex(), data.hex().upper())
    for offset in range(3):
        # The first and last characters depend on the neighbours as well.
        whole = base64.b64encode(b"\0" * offset + data + b"\0\0").decode()
        within = whole[-(-offset * 8 // 6) : (offset + len(data)) * 8 // 6]
        yield from (within, within.replace("+", "-").replace("/", "_"))
