from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gitlab.git import GitLabWithGit
from tests.support.job.clone import Clone


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Clone]:
    with GitLabWithGit() as gitlab:
        yield Clone(gitlab, tmp_path)
