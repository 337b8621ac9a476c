"""What the keeper is told of a plan."""

from __future__ import annotations

import json
from dataclasses import asdict

from emulator.plan.wiring import host_wiring, wan_setup
from tests.plan.worlds import host_of, two_region


def test_the_wan_knows_every_site_by_the_mac_of_its_router() -> None:
    """Frames find their path by MAC: one for each site, the one its router's wan0 has."""
    plan = two_region()
    setup = wan_setup(plan)
    for site in plan.sites:
        mac = host_of(plan, site.hosts[0]).interfaces[0].mac
        assert setup.macs[mac] == site.number
    assert len(setup.macs) == len(plan.sites)


def test_the_wan_is_told_every_path_by_number() -> None:
    """The path table speaks of numbers; each has the impairment of its plan."""
    plan = two_region()
    names = {site.number: site.name for site in plan.sites}
    told = {(names[a], names[b]): impairment for a, b, impairment in wan_setup(plan).paths}
    assert told == {(p.source, p.target): p.impairment for p in plan.paths}


def test_only_name_servers_have_no_lan() -> None:
    """A LAN is a bridge in the WAN container; a name server's site has none."""
    assert {name for _, name, has_lan in wan_setup(two_region()).sites if not has_lan} == {
        "ns1",
        "ns2",
    }


def test_whoever_attaches_later_finds_the_topology_and_the_digest() -> None:
    """The keeper holds all that is needed to make the same plan again."""
    plan = two_region()
    held = wan_setup(plan).plan
    assert held == {"lab": "two-region", "topology": plan.topology.source, "digest": plan.digest}
    assert "regions:" in held["topology"]


def test_a_hosts_wiring_survives_json() -> None:
    """It goes to the keeper as one line."""
    plan = two_region()
    wiring = host_wiring(plan, host_of(plan, "us-east/edge"))
    data = json.loads(json.dumps(asdict(wiring)))
    assert data["site"] == 1
    assert [interface["port"] for interface in data["interfaces"]] == ["w1", "l1.1"]
    assert data["loopback"] == ["198.18.1.1/32", "198.18.1.254/32"]
