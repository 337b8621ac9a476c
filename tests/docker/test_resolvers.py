"""Resolvers of every sort on the wire: who asks whom, with what, and what is held for how long."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dns.edns
import dns.message
import pytest

from emulator.clock import NS_PER_S
from emulator.controller.inject import heal, inject
from emulator.controller.traffic import flush_caches
from emulator.engine.docker import DockerEngine
from tests.capture import Capture, wait_until
from tests.docker.lab import EU_WEST, US_EAST, World, running

pytestmark = pytest.mark.docker

# New York's resolver tells the clients' network, Boston's does not; each has a European city of its
# own. Boston's holds answers longer than they say, and goes on with old ones.
TOPOLOGY = """\
netemu: 1
name: resolvers
zone: shop.test
regions:
  us-east: {location: aws:us-east-1}
  eu-west: {location: aws:eu-west-1}
clients:
  new-york: {location: city:New York, resolver: {ecs: yes}}
  paris: {location: city:Paris/FR, resolver: {at: new-york}}
  boston:
    location: city:Boston/US
    resolver:
      cache_min_ttl: 3s
      serve_expired: yes
      serve_expired_client_timeout: 0s
      use_caps_for_id: yes
      qname_minimisation: yes
  dublin: {location: city:Dublin/IE, resolver: {at: boston}}
  chicago: {location: city:Chicago, resolver: none}
dns: {ttl: 1s, health_check: {interval: 500ms, timeout: 500ms}}
services:
  www: {names: [deep.er.store]}
traffic: none
"""
NAME = "www.shop.test"
NEW_YORK, BOSTON, CHICAGO = "10.3.0.1", "10.5.0.1", "10.7.0.2"  # who asks from there
NAME_SERVERS = {"ns1": 8, "ns2": 9}  # their sites' numbers
MIN_TTL_S, TTL_S = 3, 1

# One query to a server: rcode, addresses, TTL and the lab's clock at the answer, as JSON.
_ASK = """
import json, socket, sys, time, dnslib
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.settimeout(4)
asking.connect((sys.argv[1], 53))
asking.send(dnslib.DNSRecord.question(sys.argv[2]).pack())
answer = dnslib.DNSRecord.parse(asking.recv(4096))
print(json.dumps({
    "t": time.monotonic_ns(),
    "rcode": dnslib.RCODE[answer.header.rcode],
    "addresses": [str(rr.rdata) for rr in answer.rr],
    "ttl": min((rr.ttl for rr in answer.rr), default=0),
}))
"""


@dataclass(frozen=True, slots=True)
class Query:
    """One that arrived at a name server."""

    t: int
    source: str
    name: str  # as it is written there
    subnet: str  # of ECS; "" without


@pytest.fixture(scope="module")
def lab(engine: DockerEngine, image: str) -> Iterator[World]:
    """One lab for all that resolvers do."""
    with running(engine, image, TOPOLOGY) as made:
        yield made


def ask(lab: World, city: str, server: str, name: str = NAME) -> dict[str, Any]:
    """What a city's client is answered by this server."""
    said = lab.run(f"{city}/client", "python3", "-c", _ASK, server, name)
    assert said["rc"] == 0, said
    answer: dict[str, Any] = json.loads(said["out"])
    return answer


@contextmanager
def watched(lab: World) -> Iterator[Callable[[], list[Query]]]:
    """What is asked of both name servers while the block lasts, in order."""
    flush_caches(lab.lab)
    one, two = (Capture(lab.engine, lab.lab.name, f"w{site}") for site in NAME_SERVERS.values())
    with one, two:
        yield lambda: sorted(
            (query for capture in (one, two) for query in _queries(capture)), key=lambda q: q.t
        )


def _queries(capture: Capture) -> Iterator[Query]:
    for packet in capture.catch_up():
        if packet.protocol == "udp" and packet.dport == 53:
            message = dns.message.from_wire(packet.payload)
            networks = [o for o in message.options if isinstance(o, dns.edns.ECSOption)]
            subnet = f"{networks[0].address}/{networks[0].srclen}" if networks else ""
            yield Query(packet.t, packet.src, str(message.question[0].name), subnet)


def test_a_city_without_a_resolver_asks_the_name_servers_itself(lab: World) -> None:
    """From the client's own address, every time, and no Unbound runs there."""
    with watched(lab) as asked:
        assert [lab.lookup("chicago") for _ in range(2)] == [[US_EAST]] * 2
        queries = asked()
    assert [query.source for query in queries] == [CHICAGO] * 2
    assert lab.run("chicago/access", "pgrep", "-x", "unbound")["rc"] == 1


def test_another_citys_resolver_asks_in_its_own_name(lab: World) -> None:
    """So Dublin's clients, behind Boston's, are taken for Bostonians."""
    with watched(lab) as asked:
        assert lab.lookup("dublin") == [US_EAST]
        queries = asked()
    assert [query.source for query in queries] == [BOSTON]
    assert queries[0].subnet == ""


def test_a_client_subnet_brings_them_home(lab: World) -> None:
    """Paris' clients, behind New York's resolver, which tells their network; its own clients go on
    to be sent where they are, though they ask the same resolver for the same name."""
    since = lab.seq()
    with watched(lab) as asked:
        assert (lab.lookup("paris"), lab.lookup("new-york")) == ([EU_WEST], [US_EAST])
        queries = asked()
    assert [(q.source, q.subnet) for q in queries] == [
        (NEW_YORK, "10.4.0.0/24"),
        (NEW_YORK, "10.3.0.0/24"),
    ]
    answers = [e for e in lab.events(since) if e["kind"] == "answer"]
    told = [e for e in answers if e["source"] in NAME_SERVERS]
    assert {(e["target"], e["subnet"], *e["addresses"]) for e in told} == {
        ("new-york", "10.4.0.0/24", EU_WEST),
        ("new-york", "10.3.0.0/24", US_EAST),
    }


def test_names_are_asked_for_in_mixed_case_and_answered(lab: World) -> None:
    """0x20: the answer must repeat the case, or it is none. Four names of nine letters: that none
    of them is mixed happens once in 10^10 runs."""
    with watched(lab) as asked:
        for _ in range(4):
            assert ask(lab, "boston", BOSTON)["addresses"] == [US_EAST]
            flush_caches(lab.lab)
        names = [query.name for query in asked()]
    assert {name.lower() for name in names} == {f"{NAME}."}
    assert any(name != name.lower() for name in names)


def test_a_name_is_minimised_and_found(lab: World) -> None:
    """Label by label: names that only lead to others are there, and empty."""
    with watched(lab) as asked:
        found = ask(lab, "boston", BOSTON, "deep.er.store.shop.test")
        names = [query.name.lower() for query in asked()]
    assert (found["rcode"], found["addresses"]) == ("NOERROR", [US_EAST])
    assert names == ["store.shop.test.", "er.store.shop.test.", "deep.er.store.shop.test."]


def test_an_answer_is_held_longer_than_it_says(lab: World) -> None:
    """For 3 whole seconds, though its TTL is 1; then it is fetched again."""
    with watched(lab) as asked:
        assert ask(lab, "boston", BOSTON)["ttl"] == MIN_TTL_S
        wait_until(
            lambda: bool(ask(lab, "boston", BOSTON)) and len(asked()) > 1, "it is fetched again"
        )
        first, second, *_ = asked()
    assert MIN_TTL_S - 1 < (second.t - first.t) / NS_PER_S < MIN_TTL_S + 1.5
    assert (second.t - first.t) / NS_PER_S > TTL_S + 0.5


def test_a_stale_answer_is_better_than_none(lab: World) -> None:
    """The name servers are cut off, the TTL is over: Boston's is still answered, at once, and
    says so little of its age as ever; New York's, which drops what is old, is not."""
    flush_caches(lab.lab)
    began = ask(lab, "boston", BOSTON)["t"]
    assert lab.lookup("new-york") == [US_EAST]
    inject(lab.lab, ["ns1", "ns2"], "partition")
    try:
        wait_until(lambda: lab.lookup("new-york") == [], "New York has forgotten")

        def late() -> bool:
            answer = ask(lab, "boston", BOSTON)
            assert (answer["rcode"], answer["addresses"]) == ("NOERROR", [US_EAST])
            return bool(answer["t"] - began > (MIN_TTL_S + 1) * NS_PER_S)

        wait_until(late, "Boston's answer is older than it may be")
    finally:
        heal(lab.lab, ["ns1", "ns2"])
