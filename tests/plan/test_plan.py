"""What `make_plan` promises of every topology: addresses, links, routes, paths, one digest."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from emulator.errors import UsageError
from emulator.plan import make_plan, plan_to_json
from emulator.plan.model import HostSpec, Plan
from tests.plan.worlds import WIDE, host_of, plan_of, two_region, wide

GOLDEN = Path(__file__).parents[1] / "golden" / "valid" / "two-region.plan.json"


@pytest.fixture(scope="module", params=["two-region", "wide"])
def plan(request: pytest.FixtureRequest) -> Plan:
    return two_region() if request.param == "two-region" else wide()


def addresses(host: HostSpec) -> Iterator[str]:
    for interface in host.interfaces:
        yield from (address.split("/")[0] for address in interface.addresses)
    yield from (address.split("/")[0] for address in host.loopback)


def test_the_plan_of_two_region_is_the_golden_one(golden: Callable[[Path, str], None]) -> None:
    """Whoever changes what is built sees it in a diff; `--update-golden` rewrites the file."""
    golden(GOLDEN, json.dumps(plan_to_json(two_region()), indent=2) + "\n")


def test_equal_inputs_give_equal_plans() -> None:
    """A lab can be attached to from its topology's text alone."""
    assert two_region() == two_region()


@pytest.mark.parametrize("other", [two_region("another"), plan_of(WIDE, "two-region")])
def test_the_digest_tells_plans_apart(other: Plan) -> None:
    """A lab of another name or topology has another digest."""
    assert other.digest != two_region().digest


def test_nothing_is_named_or_addressed_twice(plan: Plan) -> None:
    """Addresses, MACs, ports and container names are unique in a lab."""
    interfaces = [interface for host in plan.hosts for interface in host.interfaces]
    for names in (
        [address for host in plan.hosts for address in addresses(host)],
        [mac for interface in interfaces for mac in (interface.mac, interface.port_mac)],
        [interface.port for interface in interfaces],
        [host.container for host in plan.hosts],
        [host.name for host in plan.hosts],
    ):
        assert len(names) == len(set(names))


def test_interface_names_fit_the_kernel(plan: Plan) -> None:
    """IFNAMSIZ leaves 15 characters."""
    for host in plan.hosts:
        for interface in host.interfaces:
            assert len(interface.name) <= 15
            assert len(interface.port) <= 15


def test_every_ordered_pair_of_sites_has_one_path(plan: Plan) -> None:
    """And none leads from a site to itself."""
    pairs = [(path.source, path.target) for path in plan.paths]
    names = [site.name for site in plan.sites]
    assert sorted(pairs) == sorted((a, b) for a in names for b in names if a != b)


def test_neighbours_are_the_macs_of_who_owns_the_address(plan: Plan) -> None:
    """A permanent entry that is wrong would be a black hole."""
    owners = {
        address.split("/")[0]: interface.mac
        for host in plan.hosts
        for interface in host.interfaces
        for address in interface.addresses
    }
    for host in plan.hosts:
        for _, address, mac in host.neighbours:
            assert owners[address] == mac


def test_every_gateway_is_a_neighbour_and_every_source_is_ones_own(plan: Plan) -> None:
    """No route ever needs ARP, or speaks from an address that is not there."""
    for host in plan.hosts:
        known = {address for _, address, _ in host.neighbours}
        for _, gateway, source in host.routes:
            assert gateway in known
            assert not source or source in set(addresses(host))


def test_every_host_can_answer_every_other(plan: Plan) -> None:
    """From each host, each address of the lab has a route, or a link it is on."""
    everyone = {address for host in plan.hosts for address in addresses(host)}
    for host in plan.hosts:
        own = set(addresses(host))
        links = [
            ipaddress.ip_interface(address).network
            for interface in host.interfaces
            for address in interface.addresses
        ]
        networks = [*links, *(ipaddress.ip_network(route[0]) for route in host.routes)]
        for address in everyone - own:
            assert any(ipaddress.ip_address(address) in network for network in networks)


def test_every_site_names_its_hosts_router_first(plan: Plan) -> None:
    """The first host of a site is the one on the WAN, and the only one."""
    for site in plan.sites:
        on_wan = [
            name
            for name in site.hosts
            if any(i.name == "wan0" for i in host_of(plan, name).interfaces)
        ]
        assert on_wan == [site.hosts[0]]


def test_only_routers_forward(plan: Plan) -> None:
    """A client or server that forwards would hide a wrong route."""
    for host in plan.hosts:
        forwards = host.sysctls["net.ipv4.ip_forward"] == "1"
        assert forwards == (host.role in {"edge", "access"})


def test_the_files_kernel_settings_reach_every_host() -> None:
    """`kernel: {tcp_syn_retries: 3}` is a sysctl of every host, and only of those who said it."""
    name = "net.ipv4.tcp_syn_retries"
    assert {host.sysctls.get(name) for host in wide().hosts} == {"3"}
    assert {host.sysctls.get(name) for host in two_region().hosts} == {None}


def test_every_daemon_finds_its_configuration(plan: Plan) -> None:
    """The file a daemon is told to read is one of its host's files."""
    for host in plan.hosts:
        for daemon in host.daemons:
            assert daemon.argv[-1] in host.files


def test_a_path_says_why_it_is_as_it_is() -> None:
    """Predicted from the places, or the line of the file; what a line leaves out is predicted."""
    paths = {(path.source, path.target): path for path in wide().paths}
    assert "km" in paths["us-east", "tokyo"].because
    assert paths["us-east", "paris"].because == "paths: line 19"
    assert paths["us-east", "paris"].impairment.delay_ns == 2_000_000
    assert paths["us-east", "eu-west"].because.endswith("jitter, loss: paths: line 20")
    there, back = paths["us-east", "eu-west"].impairment, paths["eu-west", "us-east"].impairment
    assert (there.delay_ns, there.jitter_ns, there.loss) == (back.delay_ns, 2_000_000, 0.001)
    assert (back.jitter_ns, back.loss) == (0, 0.0)


def test_a_name_server_in_a_regions_city_is_a_small_way_off() -> None:
    """Two sites at one place are not at distance 0."""
    paths = {(path.source, path.target): path for path in two_region().paths}
    assert 0 < paths["us-east", "ns1"].impairment.delay_ns <= 1_000_000


def test_a_city_prefers_the_region_with_the_shortest_round_trip() -> None:
    """By the map unless `paths:` says otherwise: 4 ms make us-east Paris's own."""
    assert two_region().preferred["paris"] == ("eu-west", "us-east")
    assert wide().preferred["paris"][0] == "us-east"
    assert wide().preferred["singapore"][0] == "tokyo"


def test_a_service_has_addresses_only_where_it_has_servers() -> None:
    """eu-west has no servers for api: no address, no health endpoint there."""
    api = next(service for service in wide().services if service.name == "api")
    assert set(api.addresses) == set(api.health) == set(api.servers) == {"us-east", "tokyo"}


def test_too_many_sites_are_refused_by_name() -> None:
    """Addresses reach for 254 sites; the 255th is an error, not a wrong address."""
    topology = two_region().topology
    cities = tuple(replace(topology.cities[0], name=f"city-{n}") for n in range(252))
    with pytest.raises(UsageError, match="256 sites"):
        make_plan(replace(topology, cities=cities), "test")


def test_a_region_without_servers_is_refused() -> None:
    """An edge with nothing behind it has no health to speak of."""
    topology = two_region().topology
    empty = replace(topology.regions[0], servers={})
    with pytest.raises(UsageError, match="us-east has 0 servers"):
        make_plan(replace(topology, regions=(empty, topology.regions[1])), "test")


def test_hosts_that_would_share_a_container_name_are_refused() -> None:
    """`us/east-www-1` and `us-east/www-1` are both `test-us-east-www-1` to the engine."""
    topology = two_region().topology
    more = replace(topology.services[0], name="east-www")
    us, us_east = (
        replace(region, name=name, servers={"www": 1, "east-www": 1})
        for region, name in zip(topology.regions, ("us", "us-east"), strict=True)
    )
    services = (*topology.services, more)
    with pytest.raises(UsageError, match="rename one"):
        make_plan(replace(topology, regions=(us, us_east), services=services), "test")
