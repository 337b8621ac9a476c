"""Each city does what the traffic says of it, over the lab's own resolvers and balancers."""

from __future__ import annotations

import math

import pytest

from emulator.controller.traffic import start_traffic
from emulator.scenario.model import TTL_CACHE, Load, Traffic
from tests.capture import wait_until
from tests.docker.lab import World

pytestmark = pytest.mark.docker

TRAFFIC = Traffic((
    Load("http", 20.0, ("paris",), cache_s=math.inf),
    Load("udp", 20.0, ("paris",), cache_s=TTL_CACHE),
    Load("keepalive", 2.0, ("new-york",), connections=12),
    Load("stream", 10.0, ("new-york",), connections=3),
))  # fmt: skip


def test_each_city_does_what_it_was_told(world: World) -> None:
    """A pool kept warm and streams by number in new-york; caches in paris, and nothing else."""
    world.calm()
    since = world.seq()
    start_traffic(world.lab, TRAFFIC)

    def opened(kind: str) -> set[int]:
        return {
            e["conn"]
            for e in world.events(since)
            if e["kind"] == "connection" and e["phase"] == "open" and e["client"] == kind
        }

    def asked(kind: str) -> list[bool]:
        requests = world.requests(since, city="paris", client=kind, outcome="ok")
        return [request["lookup"] is not None for request in requests]

    def is_quiet(asking: list[bool]) -> bool:
        return len(asking) > 20 and not any(asking[-20:])

    wait_until(lambda: len(opened("keepalive")) >= 11, "the pool is filled up to 12")
    wait_until(lambda: is_quiet(asked("http")), "paris asks no more")
    wait_until(lambda: len(asked("udp")) > 40, "datagrams go on")
    assert sum(asked("udp")) < 10
    streams = world.requests(since, city="new-york", client="stream", outcome="ok")
    assert len({request["conn"] for request in streams[-9:]}) == 3
    now = world.seq()
    wait_until(lambda: len(world.requests(now)) > 60, "a second or two go by")
    told = {(request["city"], request["client"]) for request in world.requests(now)}
    assert told == {
        ("paris", "http"), ("paris", "udp"), ("new-york", "keepalive"), ("new-york", "stream"),
    }  # fmt: skip
