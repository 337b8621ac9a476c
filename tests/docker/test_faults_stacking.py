"""Faults stack, heal in any order, and leave the world as it was."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest

from emulator.clock import NS_PER_S
from emulator.controller.inject import heal, heal_everything, heal_one, inject
from emulator.controller.lab import locked
from emulator.controller.ready import misfits, steady_paths, wait_until_ready
from emulator.engine.base import ContainerState
from emulator.errors import UsageError
from emulator.wan.base import FaultRecord
from tests.capture import wait_until
from tests.docker.lab import World, every

pytestmark = pytest.mark.docker


@dataclass(frozen=True)
class Blow:
    """One fault to lay."""

    target: str
    how: str
    peers: tuple[str, ...] = ()
    settings: Mapping[str, float] = field(default_factory=dict)


BLOWS = (
    Blow("us-east", "power"),
    Blow("us-east", "freeze"),
    Blow("us-east", "crash"),
    Blow("us-east", "partition", ("paris",)),
    Blow("us-east", "brownout", settings={"delay_s": 0.02, "loss": 0.1, "rate_bps": 1e7}),
    Blow("us-east/www-1", "power"),
    Blow("us-east/edge", "crash"),
    Blow("new-york", "freeze"),
)


def lay(world: World, blow: Blow) -> FaultRecord:
    """Inject it."""
    return inject(world.lab, [blow.target], blow.how, blow.peers, blow.settings)


def differences(world: World) -> list[str]:
    """What is not as the plan says: overlays, containers, daemons, paths."""
    lab = world.lab
    wrong = [f"overlay {overlay}" for overlay in lab.wan.stats()["overlays"]]
    wrong += [f"fault {fault.id}" for fault in lab.wan.journal()]
    wrong += [
        f"{container.host} is {container.state}"
        for container in world.engine.containers(lab.name)
        if container.state is not ContainerState.RUNNING
    ]
    told = lab.wan.hosts({host.name: ("status", {}) for host in lab.plan.hosts})
    wanted = {
        host.name: {"daemons": {daemon.name: "running" for daemon in host.daemons}}
        for host in lab.plan.hosts
    }
    wrong += [f"{host}: {told[host]}" for host in wanted if told[host] != wanted[host]]
    return wrong + list(
        misfits(steady_paths(lab.wan), wait_until_ready(lab.plan, lab.wan)).values()
    )


def serves_everyone(world: World) -> None:
    """Each city and kind is served by its region again, and for a second nothing fails."""
    world.calm()
    since, now = world.seq(), world.lab.wan.now_ns()
    wait_until(
        lambda: any(e["t"] > now + NS_PER_S for e in world.requests(since, client="http")),
        "a second of requests",
    )
    assert every(world.requests(since), lambda e: e["outcome"] == "ok")


@pytest.mark.parametrize("seed", [1, 2])
def test_faults_heal_in_another_order_than_they_came(world: World, seed: int) -> None:
    """Every kind at once on one region, on hosts of it and on a city: when the last one is healed
    no overlay is left, every container and daemon runs, every path is as the plan says, and
    requests are answered as before."""
    world.calm()
    chance = random.Random(seed)
    faults = [lay(world, blow) for blow in chance.sample(BLOWS, len(BLOWS))]
    for fault in chance.sample(faults, len(faults)):
        with locked(world.lab, "a test"):
            heal_one(world.lab, fault)
    wait_until(lambda: daemons_started(world), "every daemon has started")
    assert differences(world) == []
    serves_everyone(world)


def daemons_started(world: World) -> bool:
    """None waits for another one's socket any more."""
    told = world.lab.wan.hosts({host.name: ("status", {}) for host in world.lab.plan.hosts})
    return all(set(told[host]["daemons"].values()) == {"running"} for host in told)


@pytest.mark.parametrize("blow", BLOWS[:5], ids=lambda blow: blow.how)
def test_twice_is_as_good_as_once(world: World, blow: Blow) -> None:
    """The second kill is the first one's fault; after one heal it is healed, and the second heal
    finds nothing to do."""
    heal_everything(world.lab)
    first = lay(world, blow)
    assert lay(world, blow) == first
    assert world.lab.wan.journal() == (first,)
    assert heal(world.lab, [blow.target]) == (first,)
    assert heal(world.lab, [blow.target]) == ()
    wait_until(lambda: daemons_started(world), "every daemon has started")
    assert differences(world) == []


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [("us-eats", "us-east"), ("us-east/ww-1", "us-east/www-1"), ("pariss", "paris"), ("n1", "ns1")],
)
def test_an_unknown_target_names_the_nearest(world: World, wrong: str, meant: str) -> None:
    """Nothing is touched, and the error says what was probably meant; so it does for peers."""
    heal_everything(world.lab)
    since = world.seq()
    for act in (
        lambda: inject(world.lab, [wrong], "power"),
        lambda: inject(world.lab, ["us-east"], "partition", [wrong]),
        lambda: heal(world.lab, [wrong]),
    ):
        with pytest.raises(UsageError, match=f"did you mean {meant}\\?"):
            act()
    assert world.lab.wan.journal() == ()
    assert [e for e in world.events(since) if e["kind"] == "fault"] == []
