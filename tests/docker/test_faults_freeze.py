"""Freeze on the wire: the kernel goes on talking, nobody is behind it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from emulator.clock import NS_PER_S
from emulator.controller.inject import heal, inject
from tests.capture import ACK, FIN, RST, SYN, Captured
from tests.docker.lab import NEW_YORK_CLIENT, SITE, SLACK_NS, US_EAST, World, every

pytestmark = pytest.mark.docker


@dataclass(frozen=True)
class Story:
    """us-east is paused for 2 s; seen at its own port, with one old and one new connection."""

    packets: list[Captured]
    frozen: int  # ns: the engine has said so
    quiet: int  # what was on its way then has passed
    until: int
    old_port: int
    new_port: int
    said_frozen: list[str]
    said_after: list[str]


@pytest.fixture(scope="module")
def story(world: World) -> Story:
    world.calm()
    since = world.seq()
    with world.capture("us-east") as here, world.hold("new-york/client", US_EAST) as old:
        fault = inject(world.lab, ["us-east"], "freeze")
        frozen = world.instant(fault, "inject_ended", since)
        with world.hold("new-york/client", US_EAST) as new:
            old.send("hello-old")
            new.send("hello-new")
            here.until(lambda p: p.t > frozen + 2 * NS_PER_S)
            packets = here.catch_up()
            said_frozen = [*old.said, *new.said]
            until = world.lab.wan.now_ns()
            heal(world.lab, ["us-east"])
            new.wait_for("data hello-new")
            old.wait_for("data hello-old")
            quiet = world.after(frozen)
            return Story(packets, frozen, quiet, until, old.port, new.port, said_frozen, new.said)


def _from_us_east(story: Story) -> list[Captured]:
    """TCP of the service's address while it was frozen."""
    return [
        p
        for p in story.packets
        if p.src == US_EAST and p.protocol == "tcp" and story.quiet < p.t < story.until
    ]


def _is_beyond(packet: Captured, last: Captured) -> bool:
    """Whether it brings what its connection had not sent by then; numbers wrap (RFC 9293, 3.4)."""
    ends = [p.seq + len(p.payload) + p.has(FIN) + p.has(SYN) for p in (packet, last)]
    return 0 < (ends[0] - ends[1]) % 2**32 < 2**31


def test_handshakes_complete(story):
    """Each SYN is answered by SYN-ACK, from the backlog."""
    late = story.until - SLACK_NS
    syns = [p for p in story.packets if p.is_syn and p.dst == US_EAST and story.frozen < p.t < late]
    assert story.new_port in {p.sport for p in syns}
    answered = {p.flow for p in story.packets if p.src == US_EAST and p.has(SYN | ACK)}
    assert {p.back for p in syns} <= answered


def test_data_is_acknowledged(story):
    """On connections from before and on new ones, by the kernel."""
    for port, text in ((story.old_port, b"hello-old\n"), (story.new_port, b"hello-new\n")):
        sent = next(p for p in story.packets if p.sport == port and p.payload == text)
        acks = [p.ack for p in _from_us_east(story) if p.dport == port and p.has(ACK)]
        assert sent.seq + len(text) in acks


def test_nothing_is_answered_and_nothing_reset(story):
    """No RST while it is frozen, and not a byte nor a FIN that had not been sent before: what
    nobody acknowledged the kernel sends again by itself (RFC 6298)."""
    packets = _from_us_east(story)
    assert packets
    assert [p for p in packets if p.has(RST)] == []
    sent = {p.flow: p for p in story.packets if p.src == US_EAST and p.t <= story.quiet}
    speaking = [p for p in packets if p.payload or p.is_farewell]
    assert [p for p in speaking if p.flow not in sent or _is_beyond(p, sent[p.flow])] == []
    assert not [word for word in story.said_frozen if not word.startswith("open")]


def test_it_goes_on_where_it_was(story):
    """After heal what was sent into the freeze is answered, over the same connections."""
    assert story.said_after[-1] == "data hello-new"


def test_a_frozen_server_is_hidden_by_the_balancer(world):
    """L7: every HTTP request is answered well within the client's patience; a stream on the server
    stalls, with neither FIN nor RST; those on the other go on."""
    world.calm()
    since = world.seq()
    with world.capture("us-east") as here:
        fault = inject(world.lab, ["us-east/www-1"], "freeze")
        frozen = world.instant(fault, "inject_ended", since)
        stalled = world.stalled(since, 2)
        packets = [p for p in here.catch_up() if p.dport in stalled and p.t > frozen]
    http = [e for e in world.requests(since) if e["client"] in {"http", "keepalive"}]
    assert every(http, lambda e: e["outcome"] == "ok")
    assert len(stalled) == 2
    assert packets
    assert [p for p in packets if p.has(RST)] == []


def test_a_frozen_name_server_is_silent(world):
    """Queries go in, nothing comes out, not even ICMP; the resolver takes the other one."""
    world.calm()
    since = world.seq()
    assert world.query("new-york", "ns1") == "answer 0"
    with world.capture("ns1") as here:
        fault = inject(world.lab, ["ns1"], "freeze")
        frozen = world.after(world.instant(fault, "inject_ended", since))
        assert world.query("new-york", "ns1") == "silence"
        seen = [p for p in here.catch_up() if p.t > frozen]
    assert [p for p in seen if p.dport == 53 and p.src == NEW_YORK_CLIENT]
    packets = [p for p in seen if p.sender == SITE["ns1"]]
    assert [p for p in packets if p.protocol != "tcp" or p.payload] == []
    assert world.lookup("new-york") == [US_EAST]
    assert every(world.requests(since), lambda e: e["outcome"] == "ok")
