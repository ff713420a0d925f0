"""An installation for the tests of a module: each brings its projects."""

from collections.abc import Iterator

import pytest

from tests.support.job import tooling
from tests.support.job.scene import Installation


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    with Installation(tooling.tools()) as shared:
        yield shared
