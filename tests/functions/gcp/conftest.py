"""A queue for all tests of Google Cloud."""

from collections.abc import Iterator

import pytest

from tests.support.platforms.cloud_tasks import CloudTasks, Limits
from tests.support.platforms.gcp import QUEUE


@pytest.fixture
def tasks() -> Iterator[CloudTasks]:
    """A queue that is paused: what is put stays."""
    service = CloudTasks(QUEUE, Limits(concurrent=0))
    yield service
    service.close()
