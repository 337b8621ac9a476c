"""What a topology says of its names is what a real name server answers, and what it checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from emulator.engine.base import Engine
from tests.capture import wait_until
from tests.docker.lab import World, running

pytestmark = pytest.mark.docker

# Near each other: an https check takes three round trips, and must end within its interval.
TOPOLOGY = """\
netemu: 1
name: policies
zone: shop.test
regions:
  west: {location: aws:eu-west-1, services: {first: {servers: 2}}}
  central: {location: aws:eu-central-1}
clients:
  paris: {location: city:Paris/FR, tags: europe}
dns:
  ttl: 1s
  health_check: {interval: 200ms, timeout: 200ms, fall: 2, rise: 2}
  servers: {ns1: {location: aws:eu-west-3}}
services:
  drawn:
    names: ["@", shop]
    dns:
      policy: {weighted: {west: 3, central: 1}}
      health_check: {type: https, checkers: {from: [paris, west, ns1]}}
  first: {port: 81, dns: {policy: failover, min_healthy: 100%}}
  near: {port: 82, dns: {policy: {geo: {"tag:europe": central, default: west}}}}
  held: {port: 83, dns: {policy: sticky, health_check: {type: tcp}}}
  both: {port: 84, dns: {policy: {multivalue: [west, central], count: 2}}}
traffic: none
"""
NS1 = "198.18.4.53"
REGIONS = {"198.18.1": "west", "198.18.2": "central"}

# Asks so many times for A over UDP (RFC 1035, 4.1); a line an answer: its addresses, in order.
_ASK = """
import socket, struct, sys
server, name, count = sys.argv[1:]
question = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
question += bytes([0, 0, 1, 0, 1])
asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
asking.settimeout(2)
asking.connect((server, 53))
for number in range(int(count)):
    asking.send(struct.pack("!6H", number, 0, 1, 0, 0, 0) + question)
    answer = asking.recv(512)
    at, found = 12 + len(question), []
    for _ in range(struct.unpack("!H", answer[6:8])[0]):
        at += 2  # a pointer to the name
        kind, _, _, length = struct.unpack("!HHIH", answer[at : at + 10])
        at += 10 + length
        if kind == 1:
            found.append(socket.inet_ntoa(answer[at - 4 : at]))
    print(*found)
"""


@pytest.fixture(scope="module")
def lab(engine: Engine, image: str) -> Iterator[World]:
    """One lab for all that can be asked of it."""
    with running(engine, image, TOPOLOGY) as made:
        yield made


def answers(lab: World, name: str, count: int = 1, host: str = "paris/client") -> list[list[str]]:
    """The regions of each answer, in order."""
    said = lab.run(host, "python3", "-c", _ASK, NS1, name, str(count), timeout_s=10.0)
    assert said["rc"] == 0, said
    lines = str(said["out"]).splitlines()
    return [[REGIONS[address.rsplit(".", 1)[0]] for address in line.split()] for line in lines]


def live(lab: World) -> dict[str, set[str]]:
    """By service, the regions that the name server may answer now."""
    return {e["service"]: set(e["up"]) for e in lab.lab.wan.latest() if e["kind"] == "generation"}


def test_weights_are_shares_of_the_answers(lab: World) -> None:
    """3 of 4, within five standard deviations of 400 draws."""
    told = Counter(region for [region] in answers(lab, "drawn.shop.test", 400))
    assert sum(told.values()) == 400
    assert abs(told["west"] - 300) < 5 * (400 * 0.75 * 0.25) ** 0.5


def test_a_service_answers_to_all_its_names(lab: World) -> None:
    """The zone itself and a second name are drawn like the first."""
    for name in ("shop.test", "shop.shop.test"):
        assert {region for [region] in answers(lab, name, 40)} == {"west", "central"}


def test_an_area_decides_by_who_asks(lab: World) -> None:
    """A city with the tag gets its region, everybody else the default."""
    assert answers(lab, "near.shop.test") == [["central"]]
    assert answers(lab, "near.shop.test", host="central/edge") == [["west"]]


def test_a_network_stays_where_it_was_sent(lab: World) -> None:
    """A hash, no draw: fifty answers are one."""
    assert len({tuple(regions) for regions in answers(lab, "held.shop.test", 50)}) == 1


def test_several_regions_stand_in_one_answer(lab: World) -> None:
    """As many as `count` says."""
    for regions in answers(lab, "both.shop.test", 10):
        assert sorted(regions) == ["central", "west"]


def test_a_region_with_too_few_servers_is_not_well(lab: World) -> None:
    """Half of its servers is below `min_healthy`, so the failover takes the second region."""
    assert answers(lab, "first.shop.test") == [["west"]]
    lab.lab.wan.host("west/first-1", "kill")
    wait_until(lambda: live(lab)["first"] == {"central"}, "west is DOWN for first")
    assert answers(lab, "first.shop.test") == [["central"]]
    lab.lab.run_daemons(["west/first-1"])
    wait_until(lambda: live(lab)["first"] == {"west", "central"}, "west is well again")


def test_every_kind_of_check_sees_a_dead_balancer(lab: World) -> None:
    """http, https and tcp, by the name server itself or by vantages; and each sees it return."""
    since = lab.seq()
    lab.lab.wan.host("central/edge", "kill", daemons=["haproxy", "edge"])
    everything = {service.name for service in lab.lab.plan.services}
    wait_until(lambda: all(up == {"west"} for up in live(lab).values()), "central is DOWN")
    assert set(live(lab)) == everything
    assert answers(lab, "drawn.shop.test", 20) == [["west"]] * 20
    lab.lab.run_daemons(["central/edge"])
    wait_until(lambda: all(len(up) == 2 for up in live(lab).values()), "central is UP again")
    checks = [e for e in lab.events(since) if e["kind"] == "check" and e["region"] == "central"]
    assert {e["checker"] for e in checks if e["service"] == "drawn"} == {"paris", "west", "ns1"}
    assert {e["checker"] for e in checks if e["service"] == "held"} == {""}
    assert {e["service"] for e in checks if e["ok"]} == everything


def test_an_https_endpoint_speaks_tls_and_nothing_else(lab: World) -> None:
    """Whoever asks it in plain text hears no health."""
    plain = lab.run("ns1", "curl", "-s", "http://198.18.1.254:9001/healthz")
    tls = lab.run("ns1", "curl", "-sk", "-w", "%{http_code}", "https://198.18.1.254:9001/healthz")
    assert plain["rc"] != 0 or "200" not in plain["out"]
    assert str(tls["out"]).endswith("200")
