"""The world that these tests share."""

from __future__ import annotations

import pytest

from emulator.controller.lab import Lab
from tests.controller.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def lab(world: World) -> Lab:
    """Up and ready."""
    return world.up()
