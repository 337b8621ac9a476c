"""Drain: a region leaves in order, and a client that reconnects loses nothing."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from emulator.clock import NS_PER_MS, NS_PER_S
from emulator.controller.inject import heal, inject
from emulator.plan.bounds import DRAIN_CLOSE_S, moved_by_s
from emulator.wan.base import Event
from tests.capture import RST, Captured
from tests.docker.lab import US_EAST, World, every

pytestmark = pytest.mark.docker

STEP_NS = 500 * NS_PER_MS  # the edge looks every 200 ms, and HAProxy takes its time to end
FETCH_NS = 100 * NS_PER_MS


@dataclass(frozen=True)
class Story:
    """us-east is drained until its last stream is cut, and healed; seen at new-york's port."""

    packets: list[Captured]
    events: list[Event]
    curls: list[str]
    asked: int  # ns
    closing: int  # when every answer must say `Connection: close`
    stop: int  # when HAProxy gets its soft stop
    end: int  # when what stays is cut
    held_port: int
    haproxy: str  # its state at the end, as init says
    late: str  # what a new connection to us-east met after the end


@pytest.fixture(scope="module")
def story(world: World) -> Story:
    world.calm()
    since = world.seq()
    service = world.lab.plan.services[0]
    wait_ns = round(moved_by_s(world.lab.plan, service) * NS_PER_S)
    with (
        world.capture("new-york") as there,
        world.curl("new-york/client", "http://www.shop.test/") as curls,
        world.hold("new-york/client", US_EAST) as held,
    ):
        held.send("hello")
        held.wait_for("data hello")
        fault = inject(world.lab, ["us-east"], "drain")
        asked = world.instant(fault, "inject_began", since)
        closing = asked + wait_ns
        stop = closing + round(DRAIN_CLOSE_S * NS_PER_S)
        end = stop + round(service.drain_timeout_s * NS_PER_S)
        held.wait_for(("fin", "error"), 30)
        there.until(lambda p: p.t > end + STEP_NS, 30)
        haproxy = world.lab.wan.host("us-east/edge", "status")["daemons"]["haproxy"]
        with world.hold("new-york/client", US_EAST) as refused:
            late = refused.opened
        packets = there.catch_up()
        heal(world.lab, ["us-east"])
        port = held.port
    events = world.events(since)
    return Story(packets, events, curls, asked, closing, stop, end, port, haproxy, late)


def test_no_request_of_the_load_is_lost(story):
    """New connections and keep-alive, in both cities, from the first step until after heal."""
    for client in ("http", "keepalive"):
        requests = [e for e in story.events if e["kind"] == "request" and e["client"] == client]
        assert len(requests) > 100
        assert [e for e in requests if e["outcome"] != "ok"] == []


def test_curl_in_a_loop_loses_nothing(story):
    """It looks the name up each time, and each time gets 200."""
    assert len(story.curls) > 50
    assert set(story.curls) == {"200 0"}


def test_clients_move_before_anything_ends(story):
    """When answers begin to say `close`, no new connection has come for a while; so DNS has
    moved everyone who looks up."""
    syns = [p.t for p in story.packets if p.is_syn and p.dst == US_EAST and p.dport == 80]
    assert [t for t in syns if t < story.asked + NS_PER_S]
    assert [t for t in syns if story.closing - FETCH_NS < t < story.end] == []


def _says_close(packet: Captured) -> bool:
    head = packet.payload.partition(b"\r\n\r\n")[0].lower()
    return b"\r\nconnection: close" in head


def test_connection_close_is_seen_on_the_wire(story):
    """On no answer before its time; then on every answer to a pooled connection, which ends it."""
    answers = [p for p in story.packets if p.src == US_EAST and p.payload.startswith(b"HTTP/1.1 ")]
    before = [p for p in answers if p.t < story.closing]
    after = [p for p in answers if p.t > story.closing + STEP_NS]
    told = [p for p in answers if story.closing <= p.t < story.stop and _says_close(p)]
    assert every([{"p": p} for p in before], lambda e: not _says_close(e["p"]))
    assert told
    assert [p for p in after if not _says_close(p)] == []
    last = {p.flow: p for p in answers if p.flow in {t.flow for t in told}}
    assert every([{"p": p} for p in last.values()], lambda e: _says_close(e["p"]))


def test_what_stays_is_cut_at_drain_timeout(story):
    """Open streams live until the soft stop's end, then hear FIN or RST; not before, not later."""
    echoes = [p for p in story.packets if p.src == US_EAST and p.sport == 7 and p.payload]
    spoke = {p.flow for p in echoes if p.t > story.asked or p.dport == story.held_port}
    farewells = [p for p in story.packets if p.flow in spoke and p.is_farewell]
    assert story.held_port in {p.dport for p in farewells}
    assert len({p.dport for p in farewells}) >= 5  # the load's four, and ours
    late_ms = [(p.t - story.end) / NS_PER_MS for p in farewells]
    assert max(map(abs, late_ms)) < STEP_NS / NS_PER_MS, late_ms


def test_cut_streams_are_reported_as_such(story):
    """Their clients report that the peer closed them; the balancer, that it stopped and ended."""
    closed = [
        e
        for e in story.events
        if e["kind"] == "connection"
        and (e["client"], e["phase"], e["region"]) == ("stream", "close", "us-east")
    ]
    assert every(closed, lambda e: e["closed_by"] in {"peer-fin", "peer-rst"})
    assert len(closed) == 4
    told = [
        e["state"]
        for e in story.events
        if e["kind"] == "proxy" and e["region"] == "us-east" and not e["server"]
    ]
    assert told[:4] == ["DRAIN", "CLOSING", "STOPPING", "DOWN"]


def test_haproxy_ends(story):
    """The process is gone, and its kernel refuses who comes all the same."""
    assert story.haproxy.startswith("ended")
    assert story.late == "error 111"
    assert [p for p in story.packets if p.src == US_EAST and p.has(RST) and p.t > story.end]
