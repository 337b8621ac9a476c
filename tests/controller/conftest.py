"""The world that these tests share."""

from __future__ import annotations

import pytest

from emulator.controller.lab import Lab
from tests.controller.world import World


@pytest.fixture(autouse=True)
def _short_silences(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader of events looks up at once when there are none."""
    monkeypatch.setattr("emulator.wan.fake._SILENCE_S", 0.005)


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def lab(world: World) -> Lab:
    """Up and ready."""
    return world.up()
