"""What a change brought: the lines that a text did not have before."""

from collections import Counter


def new_lines(text: str, before: str) -> str:
    r"""Return the lines of a text that are not lines of the text before, in order.

    A line that stood there n times is new from the n+1st time on.

    >>> new_lines("@claude fix it\nIt breaks.", "It breaks.")
    '@claude fix it'
    """
    known = Counter(before.splitlines())
    fresh = []
    for line in text.splitlines():
        if known[line]:
            known[line] -= 1
        else:
            fresh.append(line)
    return "\n".join(fresh)
