"""The first line of a history says all that the analysis must know of the lab."""

from __future__ import annotations

import itertools

import pytest

from emulator.analysis.timeline import History
from emulator.controller.header import make_header
from emulator.controller.inject import inject
from emulator.controller.traffic import even_traffic
from emulator.events import Run
from emulator.plan.bounds import bounds
from emulator.plan.predict import predict
from emulator.scenario.model import (
    CACHE_FOR_EVER,
    FAULT_KINDS,
    Expectation,
    Heal,
    Kill,
    Load,
    Objective,
    Scenario,
    SteadyState,
    Traffic,
)
from emulator.topology.model import CLIENT_KINDS
from tests.controller.test_own import OWN
from tests.controller.world import World
from tests.plan.worlds import plan_of

OBJECTIVE = Objective("recovery_s.p100 <= 15 s", "recovery_s", "p100", "<=", 15.0)
HOLD = Objective("availability >= 99 %", "availability", "", ">=", 0.99)
TRAFFIC = Traffic((
    Load("http", 80.0),
    Load("keepalive", 20.0, ("paris",), connections=10),
    Load("http", 5.0, ("paris",), cache_s=CACHE_FOR_EVER),
))  # fmt: skip
LOSS = Scenario(
    "loss",
    "two-region.yaml",
    TRAFFIC,
    (Kill(5.0, ("us-east",)), Heal(10.0, ("us-east",))),
    20.0,
    objectives=(OBJECTIVE,),
    steady_state=SteadyState(3.0, (HOLD,)),
    expect=Expectation("recovery", 15.0),
)


@pytest.fixture
def header(lab) -> Run:
    return make_header(lab, 7, LOSS, "netemu run loss", TRAFFIC, {"ns1": 0.25, "ttl": 1.5})


def test_who_has_a_client_of_the_users_is_known():
    """Before it says a word."""
    world = World()
    world.plan = plan_of(OWN, "two-region")
    header = make_header(world.up(), 7, LOSS, "netemu run loss", TRAFFIC)
    assert header.own_clients == {"paris": "my/client"}


def test_bounds_are_found_by_fault_and_region(lab, header):
    """Under the name that the analysis gives a fault; one for each city and kind. A region's edge
    host has its region's, where a fault fits a single host."""
    regions = [region.name for region in lab.plan.topology.regions]
    of_regions = {f"{h} {r}" for h, r in itertools.product(FAULT_KINDS, regions)}
    hosts = itertools.product(("power", "crash", "freeze"), regions)
    assert set(header.bounds) == of_regions | {f"{h} {r}/edge" for h, r in hosts}
    power = header.bounds["power us-east"]
    loads = {city: TRAFFIC.of(city) for city in ("new-york", "paris")}
    wanted = bounds(lab.plan, "power", "us-east", loads)
    assert [(b["city"], b["client"], b["total_s"]) for b in power] == [
        (b.city, b.client, b.total_s) for b in wanted
    ]
    assert power
    assert header.bounds["power us-east/edge"] == power


def test_an_edge_that_crashed_still_forwards_datagrams(header):
    """Its kernel does that, so udp needs no bound for it; for the region's crash it does."""
    assert {b["client"] for b in header.bounds["crash us-east/edge"]} == set(CLIENT_KINDS) - {"udp"}
    assert {b["client"] for b in header.bounds["crash us-east"]} == set(CLIENT_KINDS)


def test_the_scenarios_own_faults_are_predicted(lab, header):
    """A value for each fortieth of all phases, from the quickest to the slowest; by hand none."""
    (http, *others) = header.predicted["power us-east"]
    assert list(header.predicted) == ["power us-east"]
    loads = {city: TRAFFIC.of(city) for city in ("new-york", "paris")}
    wanted = predict(lab.plan, "power", "us-east", loads)
    assert [(p["city"], p["client"]) for p in (http, *others)] == [
        (p.city, p.client) for p in wanted
    ]
    assert len(http["seconds"]) == 40
    assert http["seconds"] == sorted(http["seconds"])
    ends = (http["seconds"][0], http["seconds"][-1])
    assert ends == pytest.approx((wanted[0].seconds[0], wanted[0].seconds[-1]), abs=1e-3)
    by_hand = make_header(lab, 0, None, "netemu kill us-east", even_traffic({"http": 5.0}))
    assert by_hand.predicted == {}


def test_who_never_asks_again_has_no_bound(header):
    """Paris over http keeps its first answer for ever; over udp it asks."""
    assert {b["client"] for b in header.bounds["power eu-west"]} == {"keepalive", "stream", "udp"}


def test_the_loads_are_told_by_city(header):
    """As the clients are told; the rates are the most of any city, for ordering and gaps."""
    kept = {"negative_s": 0.0, "lifetime_s": None}
    assert header.loads == {
        "new-york": {"http": {"rate": 80.0, "connections": None, "cache_s": 0.0} | kept},
        "paris": {
            "http": {"rate": 5.0, "connections": None, "cache_s": None} | kept,
            "keepalive": {"rate": 20.0, "connections": 10, "cache_s": 0.0} | kept,
        },
    }
    assert header.rates == {"http": 80.0, "keepalive": 20.0}


def test_what_a_scenario_promises_is_told(lab, header):
    """Its steady state, what it expects, the phase it was given; by hand there is none of it."""
    assert header.steady_state["over_s"] == 3.0
    assert [held["text"] for held in header.steady_state["hold"]] == [HOLD.text]
    assert header.expect == {"kind": "recovery", "within_s": 15.0}
    assert header.phase == {"ns1": 0.25, "ttl": 1.5}
    by_hand = make_header(lab, 0, None, "netemu kill us-east", even_traffic({"http": 5.0}))
    assert (by_hand.scenario, by_hand.objectives, by_hand.phase) == ("", [], {})
    assert (by_hand.steady_state, by_hand.expect, by_hand.rates) == ({}, {}, {"http": 5.0})


def test_the_faults_name_is_the_bounds_key(world, lab, header):
    """What `inject` marks and what the header predicts meet in the analysis."""
    inject(lab, ["us-east"], "crash")
    history = History()
    history.feed(header)
    for event in world.said("fault"):
        history.feed(event)
    (life,) = history.injected()
    assert life.name in header.bounds


def test_every_path_is_told_as_set_and_as_measured(lab, header):
    """In ms, one way; None where nothing was measured."""
    assert {(p["source"], p["target"]) for p in header.paths} == set(lab.measured_ns)
    assert all(p["measured_ms"] == pytest.approx(p["one_way_ms"]) for p in header.paths)
    assert all(p["because"] for p in header.paths)
    lab.measured_ns.clear()
    later = make_header(lab, 7, None, "", TRAFFIC)
    assert {p["measured_ms"] for p in later.paths} == {None}


def test_sites_are_told_with_all_their_prefixes(header):
    """A packet's address tells whose it is."""
    sites = {site["name"]: site for site in header.sites}
    assert {name: site["kind"] for name, site in sites.items()} == {
        "us-east": "region", "eu-west": "region", "new-york": "client", "paris": "client",
        "ns1": "dns", "ns2": "dns",
    }  # fmt: skip
    assert sites["us-east"]["prefixes"] == ["10.1.0.0/24", "198.18.1.0/24", "100.64.0.1/32"]
    assert sites["paris"]["prefixes"] == ["10.4.0.0/24", "100.64.0.4/32"]


def test_it_says_what_was_asked_and_where_it_ran(world, lab, header):
    """Seed, command, objectives, patience, kernel; the only wall time of a run."""
    assert (header.seed, header.lab, header.scenario) == (7, "two-region", "loss")
    assert header.objectives[0]["text"] == OBJECTIVE.text
    assert header.timeouts["paris"] == {"lookup_s": 2.0, "connect_s": 3.0, "response_s": 3.0}
    assert header.preferred["paris"] == ["eu-west", "us-east"]
    assert header.sent_to["paris"] == {"regions": ("eu-west",), "because": ""}
    assert header.environment["congestion_control"] == "cubic"
    assert header.environment["wan"] == "user-space wire (AF_PACKET)"
    assert header.t == world.clock.now_ns()
    assert header.wall.endswith("+00:00")
