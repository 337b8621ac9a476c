"""Sites and services with their numbers, and so their addresses."""

from __future__ import annotations

from collections.abc import Iterator

from emulator.errors import UsageError
from emulator.plan import addressing
from emulator.plan.model import ServiceSpec, SiteKind, SiteSpec
from emulator.plan.policies import resolve
from emulator.topology.model import APEX, City, NameServer, Region, Service, Topology


def number_sites(topology: Topology) -> tuple[SiteSpec, ...]:
    """Regions, cities, name servers, from 1. Raises UsageError where the addresses do not reach."""
    places: list[tuple[Region | City | NameServer, SiteKind, tuple[str, ...]]] = [
        *((r, "region", (f"{r.name}/edge", *_server_names(topology, r))) for r in topology.regions),
        *((c, "client", (f"{c.name}/access", f"{c.name}/client")) for c in topology.cities),
        *((n, "dns", (n.name,)) for n in topology.name_servers),
    ]
    if len(places) > addressing.SITES_MAX:
        raise UsageError(
            f"{topology.name} has {len(places)} sites, addresses reach for {addressing.SITES_MAX}; "
            "leave some out"
        )
    return tuple(_site(i, *place) for i, place in enumerate(places, 1))


def _site(
    number: int, place: Region | City | NameServer, kind: SiteKind, hosts: tuple[str, ...]
) -> SiteSpec:
    return SiteSpec(
        number=number,
        name=place.name,
        kind=kind,
        latitude=place.location.latitude,
        longitude=place.location.longitude,
        wan_address=addressing.wan_address(number),
        lan_prefix=None if kind == "dns" else addressing.lan_prefix(number),
        public_prefix=None if kind == "client" else addressing.public_prefix(number),
        hosts=hosts,
    )


def _servers_of(region: Region, service: Service) -> tuple[str, ...]:
    count = region.servers.get(service.name, 0)
    return tuple(f"{region.name}/{service.name}-{n}" for n in range(1, count + 1))


def _server_names(topology: Topology, region: Region) -> tuple[str, ...]:
    names = tuple(_all_servers(topology, region))
    if not 0 < len(names) <= addressing.SERVERS_MAX:
        raise UsageError(
            f"region {region.name} has {len(names)} servers; "
            f"give it between 1 and {addressing.SERVERS_MAX}"
        )
    return names


def _all_servers(topology: Topology, region: Region) -> Iterator[str]:
    for service in topology.services:
        yield from _servers_of(region, service)


def address_services(topology: Topology, sites: tuple[SiteSpec, ...]) -> tuple[ServiceSpec, ...]:
    """Every service with its address, endpoint and servers in each region that has any."""
    if len(topology.services) > addressing.SERVICES_MAX:
        raise UsageError(
            f"{topology.name} has {len(topology.services)} services, "
            f"addresses reach for {addressing.SERVICES_MAX}; leave some out"
        )
    numbers = {site.name: site.number for site in sites}
    return tuple(_service(topology, s, k, numbers) for k, s in enumerate(topology.services, 1))


def _service(topology: Topology, service: Service, k: int, numbers: dict[str, int]) -> ServiceSpec:
    regions = [region for region in topology.regions if region.servers.get(service.name, 0)]
    check = service.dns.health_check
    return ServiceSpec(
        name=service.name,
        fqdn=f"{service.name}.{topology.zone}",
        port=service.port,
        balance=service.balance,
        addresses={r.name: addressing.public_address(numbers[r.name], k) for r in regions},
        health={
            r.name: (addressing.region_address(numbers[r.name]), addressing.health_port(k))
            for r in regions
        },
        servers={r.name: _servers_of(r, service) for r in regions},
        ttl_s=service.dns.ttl_s,
        interval_s=check.interval_s,
        timeout_s=check.timeout_s,
        fall=check.fall,
        rise=check.rise,
        drain_timeout_s=service.drain_timeout_s,
        names=tuple(_fqdn(name, topology.zone) for name in (service.name, *service.names)),
        policy=resolve(service.dns.policy, tuple(r.name for r in regions), topology),
        dns=service.dns,
        checkers=check.checkers or tuple(server.name for server in topology.name_servers),
        tls=service.tls,
    )


def _fqdn(name: str, zone: str) -> str:
    return zone if name == APEX else f"{name}.{zone}"
