"""The first line of a history says all that the analysis must know of the lab."""

from __future__ import annotations

import itertools

import pytest

from emulator.analysis.timeline import History
from emulator.controller.header import make_header
from emulator.controller.inject import inject
from emulator.events import Run
from emulator.plan.bounds import bounds
from emulator.scenario.model import FAULT_KINDS, Objective
from emulator.topology.model import CLIENT_KINDS

RATES = dict.fromkeys(CLIENT_KINDS, 5.0)
OBJECTIVE = Objective("recovery_s.p100 <= 15 s", "recovery_s", "p100", "<=", 15.0)


@pytest.fixture
def header(lab) -> Run:
    return make_header(lab, 7, "loss", "netemu run loss", RATES, (OBJECTIVE,))


def test_bounds_are_found_by_fault_and_region(lab, header):
    """Under the name that the analysis gives a fault; one for each city and kind."""
    regions = [region.name for region in lab.plan.topology.regions]
    assert set(header.bounds) == {f"{h} {r}" for h, r in itertools.product(FAULT_KINDS, regions)}
    power = header.bounds["power us-east"]
    wanted = bounds(lab.plan, "power", "us-east", RATES)
    assert [(b["city"], b["client"], b["total_s"]) for b in power] == [
        (b.city, b.client, b.total_s) for b in wanted
    ]
    assert power


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
    later = make_header(lab, 7, "", "", RATES)
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
    assert header.environment["congestion_control"] == "cubic"
    assert header.t == world.clock.now_ns()
    assert header.wall.endswith("+00:00")
