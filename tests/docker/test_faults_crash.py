"""Crash on the wire: the daemons die, the kernel says so for them."""

from __future__ import annotations

import errno
from dataclasses import dataclass

import pytest

from emulator.clock import NS_PER_MS, NS_PER_S
from emulator.controller.inject import heal, inject
from emulator.wan.base import Event
from tests.capture import RST, Captured, wait_until
from tests.docker.lab import NEW_YORK_CLIENT, SITE, US_EAST, World, every

pytestmark = pytest.mark.docker

GOODBYE_NS = 50 * NS_PER_MS  # SIGKILL and the kernel's tidying up


@dataclass(frozen=True)
class Story:
    """us-east's daemons are killed; seen at its own port."""

    packets: list[Captured]
    killed: int  # ns
    heard: int  # by when everybody must have heard of it


@pytest.fixture(scope="module")
def story(world: World) -> Story:
    world.calm()
    since = world.seq()
    with world.capture("us-east") as here, world.hold("new-york/client", US_EAST) as idle:
        now = world.lab.wan.now_ns()
        here.until(lambda p: p.t > now + NS_PER_S)  # every stream has spoken
        fault = inject(world.lab, ["us-east"], "crash")
        killed = world.instant(fault, "inject_began", since)
        idle.wait_for(("fin", "error"))
        here.until(lambda p: p.t > killed + 2 * NS_PER_S)
        packets = here.catch_up()
    heal(world.lab, ["us-east"])
    return Story(packets, killed, world.after(killed, GOODBYE_NS))


def test_every_established_connection_hears_it_at_once(story):
    """FIN or RST on each, within 50 ms of the kill."""
    ours = [p for p in story.packets if p.protocol == "tcp" and p.src == US_EAST]
    theirs = [p for p in story.packets if p.protocol == "tcp" and p.dst == US_EAST]
    ended = {p.flow for p in ours if p.is_farewell and p.t < story.killed}
    ended |= {p.back for p in theirs if p.is_farewell and p.t < story.killed}
    open_then = {p.flow for p in ours if p.t < story.killed} - ended
    told = {p.flow for p in ours if p.is_farewell and story.killed <= p.t < story.heard}
    assert len(open_then) >= 5  # four streams, the idle one, and a pool
    assert open_then <= told


def test_a_new_syn_is_refused(story):
    """Every SYN after the kill is answered by RST, none by SYN-ACK or silence."""
    began, until = story.heard, story.packets[-1].t - GOODBYE_NS
    syns = [p for p in story.packets if p.is_syn and p.dst == US_EAST and began < p.t < until]
    assert syns
    for syn in syns:
        answers = [p for p in story.packets if p.flow == syn.back and p.t >= syn.t]
        assert answers
        assert answers[0].has(RST)
        assert answers[0].ack == syn.seq + 1


def test_a_crashed_server_is_hidden_by_the_balancer(world: World) -> None:
    """L7: every HTTP request is answered well. L4: the streams on it end at once, by FIN or RST,
    and connect again to the other one."""
    world.calm()
    since = world.seq()
    fault = inject(world.lab, ["us-east/www-1"], "crash")
    killed = world.instant(fault, "inject_began", since)

    def streams() -> list[Event]:
        """What came of new-york's messages so far."""
        return world.requests(since, client="stream", city="new-york")

    wait_until(lambda: any(e["t"] > killed + 3 * NS_PER_S for e in streams()), "3 s of messages")
    http = [e for e in world.requests(since) if e["client"] in {"http", "keepalive"}]
    assert every(http, lambda e: e["outcome"] == "ok")
    closed = [
        e
        for e in world.events(since)
        if e["kind"] == "connection" and e["client"] == "stream" and e["phase"] == "close"
    ]
    assert len(closed) == 2
    assert every(closed, lambda e: e["closed_by"] in {"peer-fin", "peer-rst"})
    assert every(closed, lambda e: e["t"] < world.after(killed, GOODBYE_NS + 10 * NS_PER_MS))
    late = [e for e in streams() if e["t"] > killed + 2 * NS_PER_S]
    assert every(late, lambda e: e["outcome"] == "ok")


def test_a_crashed_name_server_is_refused_not_silent(world):
    """Its kernel answers each query by ICMP port unreachable; the resolver takes the other one."""
    world.calm()
    since = world.seq()
    with world.capture("ns1") as here:
        fault = inject(world.lab, ["ns1"], "crash")
        killed = world.instant(fault, "inject_began", since)
        assert world.query("new-york", "ns1") == f"error {errno.ECONNREFUSED}"
        asked = here.until(lambda p: p.src == NEW_YORK_CLIENT and p.t > killed)
        refused = here.until(lambda p: p.protocol == "icmp" and p.t > asked.t)
    assert refused.sender == SITE["ns1"]
    assert refused.t < world.after(asked.t, GOODBYE_NS)
    assert refused.payload[:2] == bytes((3, 3))  # destination unreachable, port
    assert world.lookup("new-york") == [US_EAST]
    assert every(world.requests(since), lambda e: e["outcome"] == "ok")
