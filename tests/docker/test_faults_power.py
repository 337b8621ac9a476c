"""Power loss on the wire: nothing at all, then the rebooted kernel's RST."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from emulator.clock import NS_PER_MS, NS_PER_S
from emulator.controller.inject import heal, inject
from tests.capture import RST, Captured, wait_until
from tests.docker.lab import SITE, SLACK_NS, US_EAST, World, every

pytestmark = pytest.mark.docker

CUT_NS = 10 * NS_PER_MS  # how late a frame may leave; a kill takes longer


@dataclass(frozen=True)
class Story:
    """us-east loses power and comes back; seen at new-york's port, and by two connections there."""

    packets: list[Captured]
    cut: int  # ns
    dark_from: int  # what was past the cut has arrived
    dark_until: int
    healed: int
    busy_port: int  # of a connection that sends in the dark
    idle_port: int  # of one that sends after heal, and then hears an error
    heard_in_the_dark: list[str]


@pytest.fixture(scope="module")
def story(world: World) -> Story:
    world.calm()
    since = world.seq()
    with (
        world.capture("new-york") as there,
        world.hold("new-york/client", US_EAST) as busy,
        world.hold("new-york/client", US_EAST) as idle,
        world.pinging("new-york/client", US_EAST) as is_answered,
    ):
        is_answered()
        fault = inject(world.lab, ["us-east"], "power")
        busy.send("into the dark")
        cut = world.instant(fault, "inject_began", since)
        there.until(lambda p: p.t > cut + 4 * NS_PER_S)  # SYNs come again after 1 s and 3 s
        dark_until = world.lab.wan.now_ns()
        heard = [*busy.said[1:], *idle.said[1:]]
        heal(world.lab, ["us-east"])
        idle.send("from before")
        idle.wait_for("error")
        healed = world.instant(fault, "healed", since)
        dark_from = world.after(cut, world.one_way_ns("us-east", "new-york") + CUT_NS)
        return Story(
            there.catch_up(), cut, dark_from, dark_until, healed, busy.port, idle.port, heard
        )


def _from_us_east(packet: Captured) -> bool:
    return packet.sender == SITE["us-east"] or packet.src.startswith(("198.18.1.", "10.1.0."))


def test_a_region_without_power_sends_nothing(story):
    """What was past the cut arrives; after that not one packet of the region, of any kind: no
    answer to a ping every 2 ms either, though its containers live some 30 ms longer."""
    assert [p for p in story.packets if p.protocol == "icmp" and _from_us_east(p)]
    late = [
        p for p in story.packets if _from_us_east(p) and story.dark_from < p.t < story.dark_until
    ]
    assert late == []


def test_nobody_says_goodbye(story):
    """No RST from the cut on, though its containers were killed; open connections hear nothing."""
    dark = [p for p in story.packets if story.cut < p.t < story.dark_until]
    assert [p for p in dark if _from_us_east(p) and p.has(RST)] == []
    assert story.heard_in_the_dark == []


def test_syns_and_data_are_sent_again(story):
    """A client's kernel repeats its SYN after 1 s, and what was not acknowledged."""
    dark = [p for p in story.packets if story.cut < p.t < story.dark_until and p.dst == US_EAST]
    syns: dict[tuple[object, ...], list[int]] = {}
    for packet in dark:
        if packet.is_syn:
            syns.setdefault((packet.flow, packet.seq), []).append(packet.t)
    gaps = [times[1] - times[0] for times in syns.values() if len(times) > 1]
    assert gaps
    assert all(0.9 * NS_PER_S < gap < 1.3 * NS_PER_S for gap in gaps)
    data = [p.seq for p in dark if p.sport == story.busy_port and p.payload]
    assert len(data) > len(set(data))


def test_the_rebooted_kernel_refuses_old_connections(story):
    """It knows nothing of them: a segment of one from before gets RST."""
    answers = [p for p in story.packets if _from_us_east(p) and p.dport == story.idle_port]
    resets = [p for p in answers if p.has(RST)]
    assert resets
    assert min(p.t for p in resets) >= story.healed


def test_a_dead_server_is_hidden_by_the_balancer(world):
    """L7: every HTTP request is answered well, within the client's patience, by the other one;
    streams on the dead server fall silent and stall, those on the other go on."""
    world.calm()
    since = world.seq()
    inject(world.lab, ["us-east/www-1"], "power")
    stalled = world.stalled(since, 2)
    requests = [e for e in world.requests(since) if e["city"] == "new-york"]
    first_n = min(e["n"] for e in requests if e["client"] == "stream")
    http = [e for e in requests if e["client"] in {"http", "keepalive"}]
    assert [e for e in http if e["outcome"] != "ok"] == []
    last = [e for e in http if e["client"] == "http"][-5:]
    assert every(last, lambda e: e["server"] == "us-east/www-2")
    streams = [e for e in requests if e["client"] == "stream"]
    unharmed = {e["port"] for e in streams if e["n"] < first_n + 4} - stalled
    assert len(stalled) == len(unharmed) == 2
    after = [e for e in streams if e["port"] in unharmed]
    assert every(after, lambda e: e["outcome"] == "ok")


def test_a_resolver_goes_on_with_the_other_name_server(world):
    """ns1 dark: not a packet of it is seen, its queries go unanswered, ns2 answers, and no
    client's lookup fails."""
    world.calm()
    since = world.seq()
    with world.capture("new-york") as there:
        fault = inject(world.lab, ["ns1"], "power")
        cut = world.instant(fault, "inject_began", since)
        there.until(lambda p: p.t > cut + 3.5 * NS_PER_S, 15)  # a TTL, Unbound's second
        answered = world.lookup("new-york")
        dark = world.after(cut)
        packets = [p for p in there.catch_up() if p.t > dark]
    assert answered == [US_EAST]
    assert [p for p in packets if p.sender == SITE["ns1"]] == []
    assert [p for p in packets if p.sender == SITE["ns2"] and p.sport == 53]
    failed = [e for e in world.requests(since, city="new-york") if e["outcome"] != "ok"]
    assert failed == []


def test_a_city_without_power_has_no_resolver_and_no_way_out(world):
    """Its paths are cut and its resolver is dead; its load generator lives and reports; the other
    city notices nothing; after heal it is served again."""
    world.calm()
    since = world.seq()
    with world.capture("us-east") as there:
        fault = inject(world.lab, ["new-york"], "power")
        cut = world.instant(fault, "inject_began", since)
        wait_until(
            lambda: any(e["detail"] == "lookup" for e in world.requests(since, city="new-york")),
            "the load generator reports that no lookup is answered",
        )
        arrived = [p for p in there.catch_up() if p.sender == SITE["new-york"]]
    first_silent = world.after(cut, world.one_way_ns("new-york", "us-east") + SLACK_NS)
    assert [p for p in arrived if p.t > first_silent] == []
    assert [e for e in world.requests(since, city="paris") if e["outcome"] != "ok"] == []
    back = world.seq()
    heal(world.lab, ["new-york"])
    wait_until(
        lambda: any(e["outcome"] == "ok" for e in world.requests(back, city="new-york")),
        "new-york is served again",
    )
