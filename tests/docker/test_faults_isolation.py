"""A lab reaches nothing outside, and nothing of another lab."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address, ip_network

import pytest

from emulator.clock import NS_PER_S
from emulator.controller.inject import heal, inject
from emulator.plan.model import Plan
from tests.capture import Capture
from tests.docker.lab import US_EAST, World, every, running

pytestmark = pytest.mark.docker

OURS = {"lo", "wan0", "lan0"}
ABROAD = ("192.0.2.1", "8.8.8.8")  # a documentation address, and one that exists


def addresses_of_this_machine(plan: Plan) -> list[str]:
    """As its own network sees it. Loopback is every host's own, and so is what the lab uses."""
    said = subprocess.run(
        ["ip", "-4", "-j", "address"], check=True, capture_output=True, text=True
    ).stdout
    found = [entry["local"] for link in json.loads(said) for entry in link["addr_info"]]
    inside = ["127.0.0.0/8", "100.64.0.0/16", *(s.lan_prefix for s in plan.sites if s.lan_prefix)]
    nets = [ip_network(prefix) for prefix in inside]
    return [a for a in found if not any(ip_address(a) in net for net in nets)]


@pytest.fixture(scope="module", autouse=True)
def healed(world: World) -> None:
    """Every host can be asked."""
    world.calm()


def test_a_host_has_no_interface_but_ours(world: World) -> None:
    """lo, its port to the WAN, its port to its LAN; nothing that the engine made."""
    for host in world.lab.plan.hosts:
        links = json.loads(world.run(host.name, "ip", "-j", "link")["out"])
        assert {link["ifname"] for link in links} <= OURS


def test_a_router_has_no_way_out(world: World) -> None:
    """Every site's router refuses what is not of the lab: there is no default route."""
    for site in world.lab.plan.sites:
        for address in ABROAD:
            said = world.run(site.hosts[0], "ip", "route", "get", address)
            assert "unreachable" in said["err"]


@pytest.mark.parametrize("host", ["us-east/edge", "us-east/www-1", "paris/client", "ns1"])
def test_the_machine_is_not_reached(world: World, host: str) -> None:
    """Neither ping nor curl of any of its addresses is answered, whatever listens there."""
    addresses = addresses_of_this_machine(world.lab.plan)
    assert addresses  # the engine's bridge at least
    for address in addresses:
        assert world.run(host, "ping", "-n", "-c", "1", "-W", "0.5", address)["rc"] != 0
        curl = ("curl", "-s", "-m", "1", f"http://{address}/")
        assert world.run(host, *curl)["rc"] in {7, 28}  # could not connect, timeout


@pytest.fixture(scope="module")
def other(engine, image) -> Iterator[World]:
    """A second lab of the same file: the same sites, the same addresses."""
    with running(engine, image) as made:
        yield made


def test_two_labs_with_the_same_addresses_do_not_meet(world: World, other: World) -> None:
    """What is said in one to an address is heard there, by that address, and not in the other."""
    world.calm()
    with (
        world.capture("us-east") as here,
        other.capture("us-east") as there,
        world.hold("new-york/client", US_EAST) as ours,
        other.hold("new-york/client", US_EAST) as theirs,
    ):
        ours.send("ours")
        theirs.send("theirs")
        ours.wait_for("data ours")
        theirs.wait_for("data theirs")
        assert _said(here) == {b"ours\n"}
        assert _said(there) == {b"theirs\n"}


def _said(capture: Capture) -> set[bytes]:
    return {p.payload for p in capture.catch_up()} & {b"ours\n", b"theirs\n"}


def test_a_fault_in_one_lab_is_none_in_the_other(world: World, other: World) -> None:
    """us-east without power here; there every request goes on being answered by us-east."""
    world.calm()
    other.calm()
    since = other.seq()
    inject(world.lab, ["us-east"], "power")
    with other.capture("us-east") as there:
        now = other.lab.wan.now_ns()
        there.until(lambda p: p.t > now + 2 * NS_PER_S)
    assert every(other.requests(since), lambda e: e["outcome"] == "ok")
    assert every(other.requests(since, city="new-york"), lambda e: e["region"] == "us-east")
    heal(world.lab, ["us-east"])
