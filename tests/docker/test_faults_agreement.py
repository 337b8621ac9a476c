"""The clients' record and the wire's are of the same events, on the same clock."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

import pytest

from emulator.clock import NS_PER_MS, NS_PER_S
from tests.capture import ACK, SYN, Captured
from tests.docker.lab import SITE, US_EAST, World

pytestmark = pytest.mark.docker

WINDOWS, WINDOW_NS = 5, 3_500_000_000  # of 70 new connections: 0.5 ** (1 / 70) is 0.99
SECONDS = WINDOWS * WINDOW_NS / NS_PER_S
AGREE_MS = 5.0  # at p99
LIGHT_LOAD = {"http": 20.0, "keepalive": 5.0, "stream": 5.0, "udp": 5.0}


def p99(apart: Iterable[tuple[int, float]], began: int) -> float:
    """The median, over windows, of the worst of 70: 99 % do not exceed it. What happens again and
    again counts, and not what befell the machine once."""
    worst: dict[int, float] = {}
    for t, ms in apart:
        window = (t - began) // WINDOW_NS
        worst[window] = max(ms, worst.get(window, 0.0))
    assert len(worst) == WINDOWS
    return median(worst.values())


def test_clients_and_tcpdump_agree(world: World, record_property) -> None:
    """17.5 s of light load: of each new connection, the instant the client hands its SYN to the
    kernel and the SYN at the city's port, and the SYN-ACK there and the client's knowing, lie
    within 5 ms at p99 (not counting what the machine was away), and never the wrong way round.
    Nothing is in one record only."""
    world.calm(LIGHT_LOAD)
    since = world.seq()
    with world.capture("new-york") as there:
        began = world.lab.wan.now_ns()
        there.until(lambda p: p.t > began + (SECONDS + 0.5) * NS_PER_S, SECONDS + 10)
        packets = there.catch_up()
    until = began + WINDOWS * WINDOW_NS
    syns: dict[int, Captured] = {p.sport: p for p in packets if p.is_syn and p.dst == US_EAST}
    answers: dict[int, Captured] = {
        p.dport: p for p in packets if p.has(SYN | ACK) and p.sender == SITE["us-east"]
    }
    requests = [
        e for e in world.requests(since, city="new-york", client="http") if began < e["t"] < until
    ]
    assert len(requests) > 0.9 * SECONDS * LIGHT_LOAD["http"]
    sent = [(e["connecting"], syns[e["port"]].t) for e in requests]
    known = [(answers[e["port"]].t, e["connected"]) for e in requests]
    for name, pairs in (("syn", sent), ("synack", known)):
        apart = [(a, (b - a - world.stalls.away_ns(a, b)) / NS_PER_MS) for a, b in pairs]
        most_ms = p99(apart, began)
        record_property(f"{name}_p99_ms", round(most_ms, 3))
        worst = max(ms for _, ms in apart)
        print(f"{name}: p99 {most_ms:.3f} ms, max {worst:.3f} ms, of {len(apart)}")  # noqa: T201
        assert all(a < b for a, b in pairs)
        assert most_ms < AGREE_MS
    seen_on_wire = {port for port, p in syns.items() if began < p.t < until and p.dport == 80}
    told = {e["port"] for e in world.requests(since, city="new-york") if e["client"] != "udp"}
    assert seen_on_wire <= told
