"""Paths that are changed, traced, cut in groups and flapping, as packets show them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from emulator.clock import NS_PER_MS, NS_PER_S
from emulator.controller.inject import heal, inject
from emulator.controller.lab import attach
from emulator.controller.paths import change_paths, clear_paths, look_at_paths
from emulator.controller.ready import wait_until_ready
from emulator.impairment import Trace
from emulator.wan.remote import RemoteWan
from tests.capture import wait_until
from tests.docker.lab import SITE, TWO_REGIONS, World, running
from tests.docker.test_faults_paths import round_trips_ms, watch

pytestmark = pytest.mark.docker

EDGE = {"us-east": "100.64.0.1", "eu-west": "100.64.0.2"}
TRACED = f"""{TWO_REGIONS}paths:
  paris..us-east:
    trace: {{steps: [0s 20ms, {{at: 500ms, rtt: 120ms}}], repeat: 1s}}
"""


@pytest.fixture
def open_paths(world: World) -> Iterator[World]:
    """Calm, and as the file says again afterwards."""
    world.calm()
    yield world
    clear_paths(world.lab)


def test_a_change_is_seen_by_the_next_ping_and_by_no_other_path(open_paths: World) -> None:
    """Both directions; then one; then as the file says."""
    world = open_paths
    before = round_trips_ms(world, "new-york/access", EDGE["us-east"], 5)
    change_paths(world.lab, "us-east..new-york", {"delay_ns": 100 * NS_PER_MS})
    slow = round_trips_ms(world, "new-york/access", EDGE["us-east"], 5)
    assert min(slow) == pytest.approx(200, abs=2)
    change_paths(world.lab, "us-east->new-york", {"delay_ns": 20 * NS_PER_MS})
    assert min(round_trips_ms(world, "new-york/access", EDGE["us-east"], 5)) == pytest.approx(
        120, abs=2
    )
    others = round_trips_ms(world, "new-york/access", EDGE["eu-west"], 5)
    assert min(others) == pytest.approx(2 * world.one_way_ns("new-york", "eu-west") / 1e6, abs=2)
    measured = {row["path"]: row["measured_ms"] for row in look_at_paths(world.lab, "us-east")}
    assert measured["us-east->new-york"] == pytest.approx(20, abs=2)
    assert measured["new-york->us-east"] == pytest.approx(100, abs=2)
    wait_until_ready(world.lab.plan, world.lab.wan)  # a change by hand is no reason not to be ready
    clear_paths(world.lab)
    after = round_trips_ms(world, "new-york/access", EDGE["us-east"], 5)
    assert min(after) == pytest.approx(min(before), abs=1)


def test_a_trace_by_hand_changes_a_path_at_its_times(open_paths: World) -> None:
    """Nobody stays for it."""
    world, ms = open_paths, NS_PER_MS
    trace = Trace(((0, {"delay_ns": 30 * ms}), (500 * ms, {"delay_ns": 60 * ms})), NS_PER_S)
    change_paths(world.lab, "us-east..new-york", {}, trace)
    seen = round_trips_ms(world, "new-york/access", EDGE["us-east"], 80)
    assert {60, 120} <= {round(trip, -1) for trip in seen}
    assert len(seen) == 80


def test_a_files_trace_plays_and_travels_with_the_lab(engine, image) -> None:
    """Attached from its text alone; readiness is not judged by what changes all the time."""
    with running(engine, image, TRACED) as world:
        lab = attach(world.lab.name, engine, RemoteWan)
        assert lab.plan.digest == world.lab.plan.digest
        wait_until_ready(lab.plan, lab.wan)
        rows = {row["path"]: row for row in look_at_paths(lab, "paris..us-east")}
        assert all(row["plays"] for row in rows.values())
        seen = round_trips_ms(world, "paris/access", EDGE["us-east"], 80)
        assert {40, 120} <= {round(trip, -1) for trip in seen}
        lab.wan.close()


def test_groups_are_cut_from_each_other_and_from_nobody_else(world: World) -> None:
    """Not a packet of either group's sites arrives at the other's; the rest passes."""
    world.calm()
    since = world.seq()
    with world.capture("eu-west") as west, world.capture("us-east") as east:
        fault = inject(world.lab, ["us-east", "new-york"], "partition", ["eu-west", "paris"])
        cut = world.after(world.instant(fault, "inject_began", since))
        there = {packet.sender for packet in watch(west, cut, 3)}
        here = {packet.sender for packet in watch(east, cut, 3)}
    heal(world.lab, ["eu-west", "paris"])
    assert there.isdisjoint({SITE["us-east"], SITE["new-york"]})
    assert here.isdisjoint({SITE["eu-west"], SITE["paris"]})
    assert there >= {SITE["paris"], SITE["ns1"]} and here >= {SITE["new-york"], SITE["ns2"]}
    assert world.lab.wan.journal() == ()


def test_a_flap_is_silence_in_its_rhythm_and_ends_by_itself(world: World) -> None:
    """Every 600 ms the path is dark for 300 ms, to a twentieth of a second; nobody heals it."""
    world.calm({})
    since = world.seq()
    rhythm = {"every_s": 0.6, "down_s": 0.3, "for_s": 2.9}
    with world.capture("us-east") as region:
        with world.pinging("new-york/access", EDGE["us-east"]) as answered:
            answered()
            fault = inject(world.lab, ["us-east"], "flap", settings=rhythm)
            began = world.instant(fault, "inject_began", since)
            wait_until(lambda: world.lab.wan.journal() == (), "the flap is over")
            time.sleep(0.3)
        arrived = [p.t for p in region.catch_up() if p.sender == SITE["new-york"]]
    healed = world.instant(fault, "healed", since)
    away = world.stalls.away_ns(began, healed)  # of so much nobody knows where it went
    assert healed - began == pytest.approx(2.9 * NS_PER_S, abs=50 * NS_PER_MS + away)
    dark = [(a, b) for a, b in pairwise(arrived) if b - a > 100 * NS_PER_MS and a > began - 1e8]
    assert len(dark) == 5
    for n, (last, first) in enumerate(dark):
        assert last - began == pytest.approx(n * 0.6 * NS_PER_S, abs=50 * NS_PER_MS + away)
        assert first - last == pytest.approx(0.3 * NS_PER_S, abs=70 * NS_PER_MS + away)
