"""A forced region: told to every name server, told again to one that was away, taken back whole."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from emulator.controller.inject import heal, heal_everything, inject
from emulator.controller.lab import Lab
from emulator.errors import UsageError
from emulator.scenario.model import FORCED
from emulator.wan.base import FaultRecord
from tests.controller.world import World

REGION = ["us-east"]


def force(
    lab: Lab, state: str, target: Sequence[str] = ("us-east",), service: Sequence[str] = ()
) -> FaultRecord:
    return inject(lab, target, "force", service, {"state": FORCED[state]})


def held(world: World, region: str = "us-east") -> dict[str, str]:
    """What each name server holds of a region's www."""
    return {server: state for (server, service, r), state in world.forced.items()
            if (service, r) == ("www", region)}  # fmt: skip


def test_every_name_server_is_told_and_nothing_else_is_touched(world, lab):
    """Paths and hosts are as before, so who is connected stays."""
    before = world.snapshot()
    force(lab, "drain")
    assert held(world) == {"ns1": "drain", "ns2": "drain"}
    assert world.snapshot() | {"forced": {}} == before
    heal(lab, REGION)
    assert world.snapshot() == before


def test_the_last_of_several_counts_and_the_one_before_when_it_is_healed(world, lab):
    """Each heals by itself, in any order."""
    force(lab, "down", ["eu-west", "us-east"])
    force(lab, "up")
    assert set(held(world).values()) == {"up"}
    heal(lab, REGION)
    assert set(held(world).values()) == {"down"}
    force(lab, "drain")
    heal(lab, ["us-east", "eu-west"])
    assert set(held(world).values()) == {"drain"}
    assert held(world, "eu-west") == {}


@pytest.mark.parametrize("how", ["power", "crash", "freeze"])
def test_a_name_server_that_was_away_is_told_when_it_is_back(world, lab, how):
    """A dead one by the heal of its fault, a frozen one by what waits for it."""
    inject(lab, ["ns1"], how)
    force(lab, "down")
    assert held(world) == {"ns2": "down"}
    heal(lab, ["ns1"])
    assert held(world) == {"ns1": "down", "ns2": "down"}


@pytest.mark.parametrize("how", ["power", "crash", "freeze"])
def test_what_was_taken_back_while_a_name_server_was_away_is_taken_back_there(world, lab, how):
    """Its own file says otherwise when it comes back; the other one lived on and knows better."""
    force(lab, "down")
    inject(lab, ["ns1"], how)
    heal(lab, REGION)
    assert held(world) == {"ns1": "down"}
    heal(lab, ["ns1"])
    assert held(world) == {}


def test_what_was_forced_by_hand_outlives_a_name_servers_death(world, lab):
    """It is in no journal: both hold it, so nobody took it back."""
    for server in ("ns1", "ns2"):
        world.forced[server, "www", "us-east"] = "up"
        world._say_routing(server, "www")
    inject(lab, ["ns1"], "power")
    heal(lab, ["ns1"])
    assert held(world) == {"ns1": "up", "ns2": "up"}


def test_with_no_name_server_alive_the_journal_remembers(world, lab):
    """Nobody can be told, nothing fails; whoever comes back is told."""
    inject(lab, ["ns1", "ns2"], "power")
    force(lab, "down")
    assert held(world) == {}
    heal(lab, ["ns1", "ns2"])
    assert held(world) == {"ns1": "down", "ns2": "down"}
    heal_everything(lab)
    assert held(world) == {}


def test_a_service_of_its_own_can_be_forced(world, lab):
    """And heals by its region's name, as any fault does."""
    force(lab, "down", service=["www"])
    assert set(held(world).values()) == {"down"}
    heal(lab, REGION)
    assert held(world) == {}


@pytest.mark.parametrize(
    ("target", "service", "advice"),
    [(["paris"], (), "regions"), (["us-east/edge"], (), "whole site"), (REGION, ["ww"], "www")],
)
def test_what_cannot_be_forced_is_refused(lab, target, service, advice):
    """With what can be."""
    with pytest.raises(UsageError, match=advice):
        force(lab, "down", target, service)
    assert lab.wan.journal() == ()
