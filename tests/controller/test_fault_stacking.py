"""Faults stack and heal in any order: the world is always the fold of the active ones."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import pytest

from emulator.controller.faults.brownout import DEFAULTS
from emulator.controller.inject import heal, heal_everything, inject
from emulator.plan.model import Plan
from tests.controller.world import World

ON_HOSTS = ("power", "crash", "freeze")
TARGETS = ("us-east", "eu-west", "us-east/edge", "us-east/www-1", "eu-west/www-2", "paris", "ns1")
REGIONS = ("us-east", "eu-west")


@dataclass(frozen=True)
class Active:
    """A fault as its user knows it."""

    how: str
    target: str
    peers: tuple[str, ...] = ()


def random_fault(chance: random.Random) -> Active:
    target = chance.choice(TARGETS)
    kinds = [*ON_HOSTS, "partition", "brownout"] if "/" not in target else [*ON_HOSTS]
    how = chance.choice(kinds + (["drain"] if target in REGIONS else []))
    peers = ("new-york",) if how == "partition" and chance.random() < 0.5 else ()
    return Active(how, target, peers)


def hosts_of(plan: Plan, target: str) -> tuple[str, ...]:
    site = next((s for s in plan.sites if s.name == target), None)
    if site is None:
        return (target,)
    return site.hosts[:1] if site.kind == "client" else site.hosts


def expected(plan: Plan, faults: set[Active]) -> dict[str, Any]:
    """The states of hosts, paths and ports that these faults make, in any order of theirs."""
    held = {how: {h for f in faults if f.how == how for h in hosts_of(plan, f.target)}
            for how in (*ON_HOSTS, "drain")}  # fmt: skip

    def state(host: str) -> str:
        names = {"power": "off", "freeze": "frozen", "crash": "crashed"}
        return next((word for how, word in names.items() if host in held[how]), "alive")

    return {
        "hosts": {host.name: state(host.name) for host in plan.hosts},
        "paths": {(p.source, p.target): path_of(plan, faults, p.source, p.target)
                  for p in plan.paths},
        "ports": [h.name for h in plan.hosts
                  if h.name in held["power"] and any(i.name == "lan0" for i in h.interfaces)],
    }  # fmt: skip


def path_of(plan: Plan, faults: set[Active], source: str, target: str) -> tuple[bool, int]:
    routers = {site.hosts[0]: site.name for site in plan.sites}
    cut, delays = False, 0
    for fault in faults:
        site = routers.get(fault.target, fault.target)
        if fault.how == "power":
            cut |= site in (source, target)
        elif fault.how == "brownout":
            delays += site in (source, target)
        elif fault.how == "partition":
            other = target if source == site else source
            cut |= site in (source, target) and (not fault.peers or other in fault.peers)
    base = next(p.impairment for p in plan.paths if (p.source, p.target) == (source, target))
    return cut, base.delay_ns + delays * round(DEFAULTS["delay_s"] * 1e9)


def seen(world: World) -> dict[str, Any]:
    names = {site.number: site.name for site in world.plan.sites}
    full = world.snapshot()
    return {
        "hosts": full["hosts"],
        "paths": {
            (names[a], names[b]): (path.cut, path.delay_ns)
            for (a, b), path in full["paths"].items()
        },
        "ports": full["ports"],
    }


def draining(plan: Plan, faults: set[Active]) -> set[str]:
    """Hosts that must have heard of their region's drain: those whose daemons run."""
    states = expected(plan, faults)["hosts"]
    asked = {h for f in faults if f.how == "drain" for h in hosts_of(plan, f.target)}
    return {host for host in asked if states[host] == "alive"}


@pytest.mark.parametrize("seed", range(24))
def test_faults_stack_and_heal_in_any_order(world, lab, seed):
    """After every step: off before frozen before crashed, cuts win, delays add. At the end the
    world is the one without faults."""
    chance = random.Random(seed)
    untouched = world.snapshot()
    active: set[Active] = set()
    for _ in range(14):
        if active and chance.random() < 0.4:
            chosen = chance.choice(sorted(active, key=repr)).target
            heal(lab, [chosen])
            active = {f for f in active if f.target != chosen}
        else:
            fault = random_fault(chance)
            inject(lab, [fault.target], fault.how, fault.peers)
            active.add(fault)
        assert seen(world) == expected(world.plan, active), active
        alive = {h for h, state in seen(world)["hosts"].items() if state == "alive"}
        assert world.draining & alive == draining(world.plan, active), active
        assert len(lab.wan.journal()) == len(active)
    for chosen in chance.sample(
        sorted({f.target for f in active}), len({f.target for f in active})
    ):
        heal(lab, [chosen])
    assert world.snapshot() == untouched
    assert lab.wan.journal() == ()


@pytest.mark.parametrize("seed", range(6))
def test_everything_is_healed_at_once(world, lab, seed):
    """Whatever is active, `heal_everything` ends in the world without faults."""
    chance = random.Random(1000 + seed)
    untouched = world.snapshot()
    for _ in range(8):
        fault = random_fault(chance)
        inject(lab, [fault.target], fault.how, fault.peers)
    heal_everything(lab)
    assert world.snapshot() == untouched
