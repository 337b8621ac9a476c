"""Partition and brown-out on the wire: paths get worse or go, and everybody lives."""

from __future__ import annotations

import re
import statistics
from itertools import pairwise

import pytest

from emulator.clock import NS_PER_MS, NS_PER_S
from emulator.controller.faults.partition import IN, OUT
from emulator.controller.inject import heal, inject
from emulator.engine.base import ContainerState
from tests.capture import Capture, Captured
from tests.docker.lab import EU_WEST, SITE, SLACK_NS, US_EAST, World, every

pytestmark = pytest.mark.docker

NEW_YORK = "100.64.0.3"  # its router, on the WAN
ECHO_REQUEST = 8  # RFC 792


def watch(capture: Capture, since: int, seconds: float) -> list[Captured]:
    """What crosses the port from an instant on, for so long."""
    capture.until(lambda p: p.t > since + seconds * NS_PER_S, seconds + 10)
    return [p for p in capture.catch_up() if p.t > since]


def round_trips_ms(world: World, host: str, address: str, count: int) -> list[float]:
    """Of the pings that came back."""
    said = world.run(
        host, "ping", "-n", "-c", str(count), "-i", "0.02", "-W", "0.5", address, timeout_s=20
    )
    return [float(ms) for ms in re.findall(r"time=([\d.]+)", said["out"])]


def daemons_run(world: World, site: str) -> bool:
    """Containers and daemons of a site are all alive."""
    hosts = [host for host in world.lab.plan.hosts if host.site == site]
    states = {c.host: c.state for c in world.engine.containers(world.lab.name)}
    told = world.lab.wan.hosts({host.name: ("status", {}) for host in hosts})
    return all(
        states[host.name] is ContainerState.RUNNING
        and set(told[host.name]["daemons"].values()) == {"running"}
        for host in hosts
    )


def test_a_partition_is_silence_both_ways(world: World) -> None:
    """Between the two not a packet arrives at either port; both live; with everyone else both
    go on; their clients' SYNs are repeated, nothing is refused."""
    world.calm()
    since = world.seq()
    with world.capture("new-york") as city, world.capture("us-east") as region:
        fault = inject(world.lab, ["us-east"], "partition", ["new-york"])
        cut = world.after(world.instant(fault, "inject_began", since))
        seen = watch(city, cut, 3)
        seen_there = watch(region, cut, 3)
    assert [p for p in seen if p.sender == SITE["us-east"]] == []
    assert [p for p in seen_there if p.sender == SITE["new-york"]] == []
    assert [p for p in seen if p.is_syn and p.dst == US_EAST]
    assert {p.sender for p in seen_there} >= {SITE["us-east"], SITE["ns1"], SITE["ns2"]}
    assert daemons_run(world, "us-east")
    assert world.run("paris/client", "curl", "-s", "-m", "3", f"http://{US_EAST}/")["rc"] == 0
    assert world.run("new-york/client", "curl", "-s", "-m", "3", f"http://{EU_WEST}/")["rc"] == 0


@pytest.mark.parametrize(("direction", "silent"), [(OUT, "us-east"), (IN, "new-york")])
def test_a_partition_may_be_one_way(world: World, direction: float, silent: str) -> None:
    """Of what leaves, or enters, the target nothing arrives; the other way passes, unanswered."""
    world.calm({})
    since = world.seq()
    routers = {"us-east": ("us-east/edge", "100.64.0.1"), "new-york": ("new-york/access", NEW_YORK)}
    heard = {"us-east": "new-york", "new-york": "us-east"}[silent]
    with world.capture(heard) as deaf, world.capture(silent) as hearing:
        fault = inject(world.lab, ["us-east"], "partition", ["new-york"], {"direction": direction})
        cut = world.after(world.instant(fault, "inject_began", since))
        for asking, asked in ((silent, heard), (heard, silent)):
            assert round_trips_ms(world, routers[asking][0], routers[asked][1], 3) == []
        nothing = [p for p in deaf.catch_up() if p.sender == SITE[silent] and p.t > cut]
        passed = [p for p in hearing.catch_up() if p.sender == SITE[heard] and p.t > cut]
    assert nothing == []
    assert [p.payload[0] for p in passed if p.protocol == "icmp"] == [ECHO_REQUEST] * 3


def test_a_brown_out_adds_the_delay_that_was_set(world: World) -> None:
    """80 ms each way are 160 ms of round trip, to within a millisecond, towards everyone; other
    paths stay as they were; after heal all are as before."""
    world.calm()
    before = min(round_trips_ms(world, "new-york/client", US_EAST, 10))
    elsewhere = min(round_trips_ms(world, "new-york/client", EU_WEST, 5))
    inject(world.lab, ["us-east"], "brownout", settings={"delay_s": 0.08})
    assert abs(min(round_trips_ms(world, "new-york/client", US_EAST, 10)) - before - 160) < 1
    assert abs(min(round_trips_ms(world, "new-york/client", EU_WEST, 5)) - elsewhere) < 1
    with world.capture("new-york") as there:
        now = world.lab.wan.now_ns()
        syn = there.until(lambda p: p.is_syn and p.dst == US_EAST and p.t > now)
        answer = there.until(lambda p: p.flow == syn.back)
    trip_ns = round((before + 160) * NS_PER_MS)
    assert syn.t + trip_ns - NS_PER_MS < answer.t < world.after(syn.t, trip_ns + SLACK_NS)
    heal(world.lab, ["us-east"])
    assert abs(min(round_trips_ms(world, "new-york/client", US_EAST, 10)) - before) < 1


def test_a_brown_out_loses_the_share_that_was_set(world: World) -> None:
    """A fifth each way leaves 64 % of the round trips (200 pings: 4 sigma are 14 %), and data is
    sent again; nothing dies."""
    world.calm()
    inject(world.lab, ["us-east"], "brownout", settings={"loss": 0.2})
    with world.capture("new-york") as there:
        came_back = len(round_trips_ms(world, "new-york/client", US_EAST, 200))
        data = [
            (p.flow, p.seq) for p in there.catch_up() if p.payload and p.sender == SITE["new-york"]
        ]
    assert abs(came_back / 200 - 0.64) < 0.14
    assert len(data) > len(set(data))
    assert daemons_run(world, "us-east")


def test_a_brown_out_limits_the_rate_that_was_set(world: World) -> None:
    """At 1 Mbit/s 50 frames of 1250 bytes come 10 ms apart."""
    world.calm({})
    inject(world.lab, ["us-east"], "brownout", settings={"rate_bps": 1e6})
    size = 1250 - 14 - 20 - 8  # Ethernet, IP, ICMP
    flood = ("ping", "-n", "-q", "-c", "50", "-l", "50", "-s", str(size), "-W", "1", US_EAST)
    with world.capture("us-east") as there:
        world.run("new-york/access", *flood)
        arrived = sorted(
            p.t for p in there.catch_up() if p.protocol == "icmp" and p.sender == SITE["new-york"]
        )
    gaps_ms = [(b - a) / NS_PER_MS for a, b in pairwise(arrived)]
    assert len(arrived) == 50
    assert abs(statistics.mean(gaps_ms) - 10) < 0.5


def test_a_city_browned_out_is_served_all_the_same(world: World) -> None:
    """50 ms more each way make requests slow, not wrong; the other city notices nothing."""
    world.calm()
    since = world.seq()
    inject(world.lab, ["new-york"], "brownout", settings={"delay_s": 0.05})
    with world.capture("new-york") as there:
        watch(there, world.lab.wan.now_ns(), 2)
    slow = [e for e in world.requests(since, city="new-york", client="http") if e["t"] > since]
    assert every(slow, lambda e: e["outcome"] == "ok")
    took_ms = [(e["connected"] - e["connecting"]) / NS_PER_MS for e in slow[-5:]]
    assert min(took_ms) > 100
    assert every(world.requests(since, city="paris"), lambda e: e["outcome"] == "ok")
