"""Whom a city's clients ask for names, and where the name servers think that the clients are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from emulator.plan import addressing
from emulator.plan.model import Plan, SiteSpec
from emulator.topology.model import City, Resolver, Topology

SERVERS_MAX = 3  # that a stub resolver asks: MAXNS of resolv.conf(5)
TripsS = Mapping[tuple[str, str], float]


def own_resolvers(topology: Topology, sites: Iterable[SiteSpec]) -> dict[str, str]:
    """The address of its resolver, for every city that runs one."""
    numbers = {site.name: site.number for site in sites}
    return {
        city.name: addressing.lan_address(numbers[city.name], addressing.ROUTER)
        for city in topology.cities
        if resolver_site(city) == city.name
    }


def resolver_site(city: City) -> str:
    """The city whose resolver its clients ask; "" where they ask the name servers themselves."""
    return "" if city.resolver.kind == "none" else city.resolver.at or city.name


def resolver_sites(topology: Topology) -> dict[str, str]:
    """`resolver_site` of every city."""
    return {city.name: resolver_site(city) for city in topology.cities}


def resolver_of(topology: Topology, city: City) -> Resolver:
    """How the resolver is set that its clients ask."""
    site = resolver_site(city) or city.name
    return next(other.resolver for other in topology.cities if other.name == site)


def asked_addresses(
    topology: Topology, sites: Iterable[SiteSpec], trips_s: TripsS
) -> dict[str, tuple[str, ...]]:
    """By city, in the order in which they are tried: a resolver, or the name servers, the nearest
    first."""
    every = {site.name: site for site in sites}
    resolvers = own_resolvers(topology, every.values())
    return {
        city.name: (resolvers[site],)
        if (site := resolver_site(city))
        else tuple(
            addressing.name_server_address(every[name].number)
            for name in nearest_name_servers(every.values(), trips_s, city.name)[:SERVERS_MAX]
        )
        for city in topology.cities
    }


def nearest_name_servers(sites: Iterable[SiteSpec], trips_s: TripsS, city: str) -> tuple[str, ...]:
    """By round trip; of two equally near, the first in the file."""
    names = [site.name for site in sites if site.kind == "dns"]
    return tuple(sorted(names, key=lambda name: trips_s[city, name]))


def taken_for(topology: Topology, city: City) -> str:
    """The site that an answer to its clients is made for: that of whoever asks the name server,
    unless they are told, and heed, the client's own network."""
    is_heeded = all(service.dns.ecs for service in topology.services[:1])
    if resolver_of(topology, city).ecs and is_heeded:
        return city.name
    return resolver_site(city) or city.name


def resolver_hosts(plan: Plan) -> tuple[str, ...]:
    """Every host that runs Unbound."""
    return tuple(f"{city}/access" for city in plan.resolvers)


def users_of(plan: Plan, site: str) -> tuple[str, ...]:
    """The cities whose clients ask this city's resolver."""
    return tuple(city.name for city in plan.topology.cities if resolver_site(city) == site)
