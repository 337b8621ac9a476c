"""Force: new lookups go elsewhere, who is connected stays, and a name server that was away hears
what it missed."""

from __future__ import annotations

import pytest

from emulator.controller.inject import heal, inject
from emulator.controller.traffic import flush_caches
from emulator.scenario.model import FORCED
from tests.capture import wait_until
from tests.docker.lab import EU_WEST, US_EAST, World

pytestmark = pytest.mark.docker


def held(world: World) -> dict[str, dict[str, str]]:
    """By name server, the regions that it said last it forces."""
    return {
        str(said["server"]): dict(said["forced"])
        for said in world.lab.wan.latest()
        if said["kind"] == "generation" and said["service"] == "www"
    }


def wait_until_held(world: World, regions: dict[str, str]) -> None:
    wanted = {"ns1": regions, "ns2": regions}
    wait_until(lambda: held(world) == wanted, f"both name servers force {regions or 'nothing'}")


def now_served(world: World) -> list[str]:
    flush_caches(world.lab)
    return world.lookup("new-york")


def test_a_drained_region_is_not_named_and_keeps_its_connections(world: World) -> None:
    """Healed while ns1 has no power: its file says drained when it is back, and it is told."""
    world.calm()
    with world.hold("new-york/client", US_EAST) as line:
        inject(world.lab, ["us-east"], "force", settings={"state": FORCED["drain"]})
        wait_until_held(world, {"us-east": "drain"})
        assert now_served(world) == [EU_WEST]
        line.send("still")
        line.wait_for("data still")
    inject(world.lab, ["ns1"], "power")
    heal(world.lab, ["us-east"])
    heal(world.lab, ["ns1"])
    wait_until_held(world, {})
    assert now_served(world) == [US_EAST]
