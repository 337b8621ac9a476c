"""Our own wire keeps what every path promises, between plain processes of this machine."""

from __future__ import annotations

import pytest

from tests.contracts.paths import PathContract
from tests.contracts.wan import name
from tests.drivers.world import process_world, wan

__all__ = ["name", "wan"]

pytestmark = pytest.mark.netns


@pytest.fixture(scope="module")
def world():
    with process_world("userspace") as world:
        yield world


class TestUserspacePaths(PathContract):
    """All of it."""
