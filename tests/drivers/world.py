"""The two sites and three hosts of `tests/docker/wan_world.py` as plain processes."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from emulator.drivers import DriverName
from tests.docker.wan_world import World
from tests.processes import ProcessEngine


@contextmanager
def process_world(driver: DriverName) -> Iterator[World]:
    """Started and wired; its first client is there."""
    world = World(ProcessEngine(), f"test-{uuid.uuid4().hex[:8]}", "", driver)
    try:
        world.start()
        yield world
    finally:
        world.remove()


@pytest.fixture
def wan(world):
    return world.clients[0]


@pytest.fixture
def another(world):
    return world.client


@pytest.fixture
def silence(world):
    @contextmanager
    def paused(host):
        world.engine.pause(world.lab, host)
        yield
        world.engine.resume(world.lab, host)

    return paused
