"""Where a note speaks to us, and what it asks. It decides nothing about who may ask.

A name ends where GitLab's own ends (`User.reference_pattern`, lib/gitlab/path_regex.rb), with one more rule on the left:
`@@claude` is none. An underscore is part of a name on both sides, so `_@claude_` is no mention.
"""

import re
from collections.abc import Sequence


def pattern(phrases: Sequence[str]) -> re.Pattern[str]:
    """Return one pattern that finds any of the phrases, each an @ and a GitLab name, ASCII letters in either case."""
    names = "|".join(re.escape(phrase.removeprefix("@")) for phrase in phrases) or "(?!)"
    # The look-behind follows the @: before it, it would be tried at every character.
    return re.compile(
        rf"@(?<![A-Za-z0-9_@]@)(?:{names})(?![A-Za-z0-9_-]|\.[A-Za-z0-9_-]|/[A-Za-z0-9_.])",
        re.ASCII | re.IGNORECASE,
    )
