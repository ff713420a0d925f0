"""Tell what is new in a text that was edited."""

from collections import Counter


def new_lines(text: str, before: str) -> str:
    r"""Return the lines of a text that are no lines of the one before, in order, by newlines.

    A line that stood there n times is new from the n+1st time on. Ends of lines are compared as
    one, and blanks at them do not count: GitLab's form and its API send different ones.

    >>> new_lines("@claude fix it\n\nLogs:\n- a\n- a", "Logs:\n- a")
    '@claude fix it\n\n- a'
    """
    old = Counter(_lines(before))
    new = []
    for line in _lines(text):
        if old[line]:
            old[line] -= 1
        else:
            new.append(line)
    return "\n".join(new)


def _lines(text: str) -> list[str]:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [line.rstrip(" \t") for line in lines]
