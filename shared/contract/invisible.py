"""Characters that no reader sees: the one list. They reach neither a prompt nor a note of ours.

Cc but newline, tab and carriage return; Cf; Cs; the Hangul and Mongolian blanks; variation
selectors; tags. `tests/shared/contract/test_invisible.py` holds the list against `unicodedata`.
"""

from __future__ import annotations

import re
from functools import cache

# For a character class of a pattern: `re.compile(f"[@<>{CHARACTERS}]")`.
CHARACTERS = (
    "\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2"
    "\u115f\u1160\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ud800-\udfff"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)


@cache
def pattern() -> re.Pattern[str]:
    """Return the pattern of a run of them; it is compiled on first use."""
    return re.compile(f"[{CHARACTERS}]+")


def without(text: str) -> str:
    r"""Return the text without its invisible characters.

    >>> without("a\u200bb\U000e0041")
    'ab'
    """
    return pattern().sub("", text)
