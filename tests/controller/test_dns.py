"""Name servers told and asked by hand: what is refused, what is waited for, who is named."""

from __future__ import annotations

import json
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from emulator.clock import NS_PER_S
from emulator.controller.dns import (
    force,
    name_server_states,
    stranded,
    tell_force,
)
from emulator.controller.explain import asking_from, explanations
from emulator.controller.inject import inject
from emulator.controller.lab import Lab
from emulator.controller.scrape import Meter, between, read_scrape, totals
from emulator.controller.status import lab_status
from emulator.errors import UsageError, WanError
from tests.controller.world import World
from tests.plan.worlds import TWO_REGION, plan_of

METRICS = """\
# HELP netemu_dns_queries_total Queries answered.
# TYPE netemu_dns_queries_total counter
netemu_dns_queries_total{qtype="A",rcode="NOERROR",transport="udp"} %d
netemu_dns_queries_total{qtype="AAAA",rcode="NOERROR",transport="udp"} 10.0
netemu_dns_queries_total{qtype="A",rcode="NXDOMAIN",transport="tcp"} 2.0
# TYPE netemu_dns_answers_total counter
netemu_dns_answers_total{region="us-east",service="www"} %d
netemu_dns_answers_total{region="eu-west",service="www"} 4.0
# TYPE netemu_dns_client_subnet_total counter
netemu_dns_client_subnet_total 0.0
# TYPE netemu_dns_checks_total counter
netemu_dns_checks_total{checker="",region="us-east",result="failed",service="www"} %d
netemu_dns_checks_total{checker="",region="eu-west",result="good",service="www"} 9.0
# TYPE netemu_dns_region_up gauge
netemu_dns_region_up{region="us-east",service="www"} 0.0
netemu_dns_region_up{region="eu-west",service="www"} 1.0
# TYPE netemu_dns_region_forced gauge
netemu_dns_region_forced{region="eu-west",service="www",state="up"} 1.0
# TYPE netemu_dns_generation gauge
netemu_dns_generation{service="www"} 3.0
"""


class DnsWorld(World):
    """Its name servers take forced states and answer by HTTP. `deaf`: forget what they are told."""

    def __init__(self) -> None:
        super().__init__()
        self.regions = {
            server: {
                region: {"health": "UP", "forced": None, "until": None, "share": 1.0}
                for region in self.plan.services[0].addresses
            }
            for server in ("ns1", "ns2")
        }
        self.deaf: set[str] = set()
        self.asked = 0
        self.queries: list[list[str]] = []

    def _answer(self, host: str, op: str, arguments: dict[str, Any]) -> dict[str, Any]:
        if op == "run" and arguments["argv"][0] == "curl":
            return {"rc": 0, "out": self._page(host, arguments["argv"][-1]), "err": ""}
        if op == "run" and "dnslib" in arguments["argv"][2]:
            self.queries.append(arguments["argv"])
            return {"rc": 0, "out": '{"rcode": "NXDOMAIN", "addresses": [], "ttl_s": 5}', "err": ""}
        if op == "send" and arguments["daemon"] == "dns":
            order = json.loads(arguments["line"])
            if order["op"] == "force" and host not in self.deaf:
                held = None if order["state"] == "auto" else order["state"]
                self.regions[host][order["region"]] |= {"forced": held, "until": order["until"]}
        return super()._answer(host, op, arguments)

    def _page(self, host: str, url: str) -> str:
        if "/metrics" in url:
            self.asked += 1
            return METRICS % (100 * self.asked, 50 * self.asked, self.asked)
        if "/explain" in url:
            return json.dumps({"url": url})
        service = {"ttl": 5, "ttl_because": "", "regions": self.regions[host]}
        return json.dumps({"server": host, "services": {"www": service}})


@pytest.fixture
def world() -> DnsWorld:
    return DnsWorld()


@pytest.fixture
def lab(world: DnsWorld) -> Lab:
    return world.up()


def test_every_name_server_is_told_and_says_so(world, lab):
    """Down for a time: the end is an instant of the lab's clock, the same for all."""
    held = force(lab, "us-east", "down", for_s=600)
    ends = {world.regions[server]["us-east"]["until"] for server in ("ns1", "ns2")}
    assert len(ends) == 1
    assert 0 <= ends.pop() - world.clock.now_ns() - 600 * NS_PER_S <= 0
    assert (held["deaf"], held["services"], held["for_s"]) == ({}, ["www"], 600)
    assert held["states"]["ns2"]["services"]["www"]["regions"]["us-east"]["forced"] == "down"


def test_auto_gives_a_region_back_to_its_checks(world, lab):
    """And is never refused."""
    force(lab, "us-east", "down")
    world.regions["ns1"]["eu-west"]["health"] = "DOWN"
    force(lab, "us-east", "auto")
    assert {r["us-east"]["forced"] for r in world.regions.values()} == {None}


@pytest.mark.parametrize("state", ["down", "drain"])
def test_the_last_region_that_is_offered_is_not_taken_away(world, lab, state):
    """One name server that would be left with nothing is enough; nobody was told."""
    world.regions["ns2"]["eu-west"]["health"] = "DOWN"
    with pytest.raises(UsageError, match=r"ns2 would have no other region of www to offer.*--yes"):
        force(lab, "us-east", state)
    assert {r["us-east"]["forced"] for r in world.regions.values()} == {None}
    force(lab, "us-east", state, is_sure=True)
    assert {r["us-east"]["forced"] for r in world.regions.values()} == {state}


@pytest.mark.parametrize(
    ("other", "is_left"),
    [
        ({"health": "UP", "forced": None}, True),
        ({"health": "DOWN", "forced": "up"}, True),
        ({"health": "UP", "forced": "drain"}, False),
        ({"health": "UP", "forced": "down"}, False),
        ({"health": "DOWN", "forced": None}, False),
        ({"health": "UNKNOWN", "forced": None}, False),
    ],
)
def test_what_counts_as_another_region_to_offer(other, is_left):
    """UP by its checks or forced up, and not drained."""
    regions = {"us-east": {"health": "UP", "forced": None}, "eu-west": other}
    told = {"services": {"www": {"regions": regions}}}
    states: dict[str, Any] = {"ns1": told, "ns2": {"error": "mute"}}
    assert list(stranded(states, "us-east", ["www"])) == ([] if is_left else [("ns1", "www")])


def test_a_name_server_that_does_not_hold_what_it_was_told_is_an_error(world, lab):
    """It is named, after a deadline."""
    world.deaf.add("ns2")
    with pytest.raises(WanError, match="ns2 did not say within 3 s"):
        force(lab, "us-east", "drain")


def test_a_dead_name_server_is_named_and_not_waited_for(world, lab):
    """The others are told."""
    inject(lab, ["ns2"], "power")
    held = force(lab, "us-east", "drain")
    assert held["deaf"] == {"ns2": "it has no power"}
    assert world.regions["ns1"]["us-east"]["forced"] == "drain"
    inject(lab, ["ns1"], "power")
    with pytest.raises(WanError, match="no name server could be told"):
        tell_force(lab, "us-east", None, "auto")


@pytest.mark.parametrize(
    ("region", "service", "why"),
    [
        ("us-eats", None, "us-eats is no region .* did you mean us-east"),
        ("us-east", "wwww", "wwww is no service .* did you mean www"),
        ("ns1", None, "ns1 is no region"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(lab, region, service, why):
    """Before anybody is told."""
    with pytest.raises(UsageError, match=why):
        force(lab, region, "down", service)


def test_a_city_asks_as_its_resolver_does(lab):
    """An address asks as itself; a network is written as one."""
    assert str(asking_from(lab, "paris")) == "paris's resolver (10.4.0.1)"
    asking = asking_from(lab, "10.3.0.1", "10.4.0.77/24")
    assert str(asking) == "10.3.0.1 for client subnet 10.4.0.0/24"
    with pytest.raises(UsageError, match=r"pariss is no city .* did you mean paris"):
        asking_from(lab, "pariss")
    with pytest.raises(UsageError, match="--subnet"):
        asking_from(lab, "paris", "10.4/99")


@pytest.mark.parametrize(
    ("resolvers", "asks"),
    [
        ({"paris": "none"}, "paris's client (10.4.0.2)"),
        (
            {"paris": "{at: new-york}"},
            "new-york's resolver, which paris asks (10.3.0.1)",
        ),
        (
            {"paris": "{at: new-york}", "new-york": "{ecs: yes}"},
            "new-york's resolver, which paris asks (10.3.0.1) for client subnet 10.4.0.0/24",
        ),
    ],
    ids=["none", "elsewhere", "elsewhere with the client subnet"],
)
def test_a_city_may_have_a_resolver_elsewhere_or_none(world, resolvers, asks):
    """Then that one's address counts, with the client's network where it is told."""
    text = TWO_REGION.read_text(encoding="utf-8")
    for city, resolver in resolvers.items():
        before, found, after = text.partition(f"{city}: {{")
        text = f"{before}{found}resolver: {resolver}, {after}"
    lab = Lab(plan_of(text), world.engine, world.wan, clock=world.clock)
    assert str(asking_from(lab, "paris")) == asks


def test_an_explanation_is_asked_of_each_server_by_http(lab):
    """With the question in the URL, escaped; or of one."""
    answers = explanations(lab, "www.shop.test", asking_from(lab, "paris", "10.4.0.0/24"), ["ns2"])
    url = "http://127.0.0.1:9153/explain?name=www.shop.test&source=10.4.0.1&subnet=10.4.0.0%2F24"
    assert answers == {"ns2": {"url": url}}
    with pytest.raises(UsageError, match="ns3 is no name server"):
        explanations(lab, "www.shop.test", asking_from(lab, "paris"), ["ns3"])


def test_a_name_that_is_no_service_is_asked_as_a_resolver_asks(world, lab):
    """Over DNS, of each server at its own address; no policy had a part in the answer."""
    answers = explanations(lab, "nosuch.shop.test", asking_from(lab, "paris"))
    assert {s: (a["rcode"], a["ttl_s"], a["weighings"]) for s, a in answers.items()} == {
        "ns1": ("NXDOMAIN", 5, ()),
        "ns2": ("NXDOMAIN", 5, ()),
    }
    assert [argv[-2:] for argv in world.queries] == [
        ["nosuch.shop.test", "198.18.5.53"],
        ["nosuch.shop.test", "198.18.6.53"],
    ]
    with pytest.raises(UsageError, match=r"'www\.\.test' is no domain name"):
        explanations(lab, "www..test", asking_from(lab, "paris"))


def test_a_mute_name_server_says_why(world, lab):
    """Silent, off, or without its daemon: never waited for longer than a look."""
    world.wan.lab.silent.add("ns1")
    inject(lab, ["ns2"], "power")
    told = {server: state["error"] for server, state in name_server_states(lab).items()}
    assert told == {"ns1": "it did not answer within 2 s", "ns2": "it has no power"}


def test_status_shows_what_each_server_says_of_itself(world, lab):
    """Its regions as they are held, its totals."""
    force(lab, "us-east", "drain")
    told = lab_status(lab)["name_servers"]
    assert told["ns1"]["services"]["www"]["regions"]["us-east"]["forced"] == "drain"
    assert told["ns1"]["asked"]["queries"] == 112
    assert told["ns1"]["asked"]["regions"] == {"us-east": 50, "eu-west": 4}


def test_rates_are_what_happened_between_two_readings(world, lab):
    """A second later: 200 queries more (two servers are read in turn), of one type."""
    rows = Meter(lab).wait(1.0)
    assert rows["ns1"]["queries"] == 200
    assert rows["ns1"]["types"] == {"A": 200}
    assert rows["ns1"]["regions"] == {"us-east": 100}
    assert rows["ns1"]["failing"] == ["www in us-east: 2 of 2 (DOWN)"]
    assert rows["ns1"]["overrides"] == ["www in eu-west: up"]
    assert rows["ns1"]["generations"] == {"www": 3}


def test_a_server_that_began_anew_counts_from_nothing():
    """Never a negative rate."""
    old, new = read_scrape(METRICS % (900, 500, 9)), read_scrape(METRICS % (10, 5, 0))
    assert between(old, new, 1.0)["queries"] == 22
    assert totals(new)["rcodes"] == {"NOERROR": 20, "NXDOMAIN": 2}


def test_the_text_of_these_tests_is_prometheus_text():
    """Read by the format's own parser."""
    names = [family.name for family in text_string_to_metric_families(METRICS % (1, 1, 1))]
    assert "netemu_dns_queries" in names
