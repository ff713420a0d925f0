"""What the log warns of: a token that any branch gets, or that is stronger than the job needs."""

from typing import Any

import pytest

from job import rights
from job.gitlab import GitLab, GitLabError
from job.inputs import Inputs


class Members(GitLab):
    """A project in which the token's user has this level."""

    def __init__(self, level: int | None) -> None:
        self.level = level

    def get(self, path: str, **_: object) -> Any:
        assert path == "members/all/7"
        if self.level is None:
            raise GitLabError(403, "")
        return {"access_level": self.level}


@pytest.mark.parametrize(
    ("level", "protected", "inputs", "words"),
    [
        (30, "true", Inputs(), []),
        (30, "false", Inputs(), ["reaches unprotected branches"]),
        (40, "true", Inputs(), ["above Developer"]),
        (50, "false", Inputs(), ["reaches unprotected branches", "above Developer"]),
        (40, "true", Inputs(reply_author="claude"), []),
        (None, "true", Inputs(), []),
    ],
)
def test_the_log_warns_of_a_token_that_is_open_or_too_strong(
    level: int | None, protected: str, inputs: Inputs, words: list[str]
) -> None:
    environment = {"CI_COMMIT_REF_PROTECTED": protected}
    found = list(rights.warnings(Members(level), {"id": 7}, inputs, environment))
    assert len(found) == len(words)
    assert all(each in line for each, line in zip(words, found, strict=True))
