"""Where in the cycles of the checks and of the TTL the first fault falls."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from emulator.clock import NS_PER_S
from emulator.controller.lab import Lab
from emulator.controller.phase import (
    INTO_SECOND_S,
    LEAD_S,
    MOVING,
    Phase,
    begin_ttl,
    checked_region,
    cycles,
    next_at,
    place,
    random_phase,
    since_flush_s,
    spread_phases,
)
from emulator.errors import NetemuError
from tests.controller.world import WALL_NS, World
from tests.plan.worlds import plan_of, two_region

VANTAGES = """\
netemu: 1
name: two-region
zone: shop.test
regions:
  us-east: {location: aws:us-east-1}
  eu-west: {location: aws:eu-west-1}
clients:
  new-york: {location: city:New York}
  paris: {location: city:Paris/FR}
dns: {health_check: {interval: 2s, checkers: {from: [paris, us-east, ns2]}}}
"""

PHASE = Phase({"ns1": 0.2, "ns2": 0.9}, ttl_s=3.25)
INTERVAL_S, TTL_S = 1.0, 5.0  # of topologies/two-region.yaml
ROUNDING_S = 1e-6


def sent(world: World, host: str) -> list[dict[str, Any]]:
    """The command lines that a host's daemon was sent."""
    return [json.loads(a["line"]) for h, op, a in world.wan.lab.calls if (h, op) == (host, "send")]


def test_every_cycle_has_its_length():
    """One a name server, and the TTL's."""
    assert cycles(two_region("lab")) == {"ns1": INTERVAL_S, "ns2": INTERVAL_S, "ttl": TTL_S}


def test_where_vantages_check_the_cycles_are_theirs():
    """The name servers' own checks decide nothing there."""
    assert cycles(plan_of(VANTAGES)) == {"paris": 2.0, "us-east": 2.0, "ns2": 2.0, "ttl": TTL_S}


def test_a_random_phase_is_its_generators():
    """Equal seeds give equal phases, and each lies in its cycle."""
    plan = two_region("lab")
    phase = random_phase(plan, random.Random(1))
    assert phase == random_phase(plan, random.Random(1)) != random_phase(plan, random.Random(2))
    assert all(0 <= at < length for at, length in
               zip(phase.to_json().values(), cycles(plan).values(), strict=True))  # fmt: skip


@pytest.mark.parametrize("count", [1, 2, 7, 20])
def test_many_phases_cover_every_cycle_evenly(count):
    """Each of `count` equal parts of each cycle has exactly one of them."""
    plan = two_region("lab")
    phases = spread_phases(plan, count, seed=3)
    for name, length in cycles(plan).items():
        parts = sorted(int(phase.to_json()[name] / length * count) for phase in phases)
        assert parts == list(range(count))


def test_many_phases_are_shuffled_independently():
    """No two cycles go through their parts in the same order; the seed decides."""
    phases = spread_phases(two_region("lab"), 20, seed=3)
    orders = [
        tuple(sorted(range(20), key=lambda n: phases[n].to_json()[name]))
        for name in ("ns1", "ns2", "ttl")
    ]
    assert len(set(orders)) == 3
    assert phases == spread_phases(two_region("lab"), 20, seed=3)
    assert phases != spread_phases(two_region("lab"), 20, seed=4)


@pytest.mark.parametrize(
    ("target", "region"),
    [
        (("eu-west",), "eu-west"),
        (("eu-west/edge",), "eu-west"),
        (("ns1", "eu-west"), "eu-west"),
        (("ns1",), "us-east"),
        (("paris",), "us-east"),
    ],
)
def test_the_checks_that_count_are_those_of_the_target(target, region):
    """Of the service's first region where the target is none."""
    assert checked_region(two_region("lab"), target) == region


@pytest.mark.parametrize(
    ("ttl_s", "first_fault_s", "since"),
    [
        (3.25, 10.0, 8.25),  # in the traffic, one cycle before the last fetch
        (0.5, 30.0, 25.5),  # the earliest in the traffic
        (3.25, 4.0, 8.25),  # before the traffic: a turn of the second must renew it
        (3.25, 2.0, 3.25),  # before the traffic, which is too short to renew it
    ],
)
def test_a_caches_cycle_is_begun_early_enough(ttl_s, first_fault_s, since):
    """Whole cycles before the last question before the fault."""
    assert since_flush_s(ttl_s, TTL_S, first_fault_s) == since


def test_a_fault_falls_so_long_after_a_turn_of_the_wall_second():
    """The first such instant that is early enough."""
    found = next_at(10 * NS_PER_S, wall_offset_ns=300_000_000, ttl_ns=3_250_000_000)
    assert (found + 300_000_000) % NS_PER_S == 250_000_000
    assert 0 <= found - 10 * NS_PER_S < NS_PER_S


@pytest.mark.parametrize("first_fault_s", [2.0, 10.0])
def test_placing_a_phase_says_when_to_start(world: World, lab: Lab, first_fault_s: float) -> None:
    """From there the fault is as long after a fetch and after each server's check as was asked,
    and nothing was due before it could be prepared."""
    began = world.clock.now_ns()
    placed = place(lab, PHASE, first_fault_s, "eu-west")
    fault = placed.start_ns + round(first_fault_s * NS_PER_S)
    wall_s = ((fault + WALL_NS) % NS_PER_S) / NS_PER_S
    assert wall_s == pytest.approx(PHASE.ttl_s % 1, abs=ROUNDING_S)
    begun_s = (fault - placed.flush_ns) / NS_PER_S + INTO_SECOND_S
    assert (begun_s - PHASE.ttl_s) % TTL_S == pytest.approx(0, abs=ROUNDING_S)
    for server, since_s in PHASE.checks_s.items():
        (told,) = (line for line in sent(world, server) if line["op"] == "phase")
        assert (told["region"], fault - told["t"]) == ("eu-west", round(since_s * NS_PER_S))
    earliest = began + round(LEAD_S * NS_PER_S)
    assert min(placed.start_ns, placed.flush_ns) >= earliest
    assert fault >= earliest + MOVING * INTERVAL_S * NS_PER_S


def test_a_phase_is_told_to_who_checks(world: World) -> None:
    """Each vantage's own daemon, on the router of its site."""
    world.plan = plan_of(VANTAGES, "two-region")
    place(world.up(), Phase({"paris": 0.2, "us-east": 0.4, "ns2": 0.6}, 3.25), 10.0, "eu-west")
    told = {
        (host, arguments["daemon"])
        for host, op, arguments in world.wan.lab.calls
        if op == "send" and json.loads(arguments["line"])["op"] == "phase"
    }
    assert told == {("paris/access", "vantage"), ("us-east/edge", "vantage"), ("ns2", "vantage")}


def test_netemus_own_clock_may_be_another_machines(world: World, lab: Lab, monkeypatch) -> None:
    """Instants to wait for are of netemu's; what the lab is told is of the lab's."""
    ahead_ns = 5000 * NS_PER_S
    monkeypatch.setattr(lab.wan, "now_ns", lambda: world.clock.now_ns() + ahead_ns)
    placed = place(lab, PHASE, 10.0, "us-east")
    (told,) = (line for line in sent(world, "ns1") if line["op"] == "phase")
    fault = placed.start_ns + 10 * NS_PER_S
    assert fault - world.clock.now_ns() < 20 * NS_PER_S
    assert fault + ahead_ns - told["t"] == round(0.2 * NS_PER_S)


def test_clocks_that_cannot_be_read_are_named(world: World, lab: Lab) -> None:
    """Without the wall clock no phase is placed."""
    world.wan.lab.respond = lambda *_: {"rc": 1, "out": "", "err": "no python"}
    with pytest.raises(NetemuError, match="reading the clocks of new-york/access failed"):
        place(lab, PHASE, 10.0, "us-east")


def test_a_resolvers_cycle_begins_with_an_empty_cache_and_a_question(world, lab):
    """In every city, whether there is traffic or not."""
    begin_ttl(lab)
    told = {h: a["argv"][-2:] for h, op, a in world.wan.lab.calls if op == "run"}
    assert told["new-york/access"] == told["paris/access"] == ["flush_zone", "shop.test"]
    asked = [e["city"] for e in world.said("lookup")]
    assert asked[-2:] == ["new-york", "paris"]


def test_a_cache_that_cannot_be_emptied_is_named(world, lab):
    """The phase would not be what the header says."""
    world.wan.unwire(["paris/access"])
    with pytest.raises(NetemuError, match="emptying the caches of paris/access failed"):
        begin_ttl(lab)
