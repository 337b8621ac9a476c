"""The topology file, read into a `Topology`. Every problem of the file is reported at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from emulator.errors import suggest
from emulator.examples import found
from emulator.scalars import decimal, duration, frequency, is_label, label, whole, zone_name
from emulator.topology.dns import LATER_DNS, POLICY_KEYS, read_dns_policy
from emulator.topology.images import IMAGE_KEYS, check_image, read_image
from emulator.topology.model import (
    City,
    DnsPolicy,
    Image,
    Location,
    NameServer,
    Region,
    Service,
    Timeouts,
    Topology,
)
from emulator.topology.paths import read_paths
from emulator.topology.places import locate
from emulator.topology.policies import Known
from emulator.topology.resolvers import check_resolvers, read_resolver
from emulator.topology.services import check_aliases, read_services, service_names
from emulator.topology.tls import check_tls
from emulator.topology.wan import check_paths, read_driver
from emulator.yamlfile import Document, Entry, Fields, read_text

TOP_KEYS = (
    "netemu", "name", "zone", "regions", "clients", "dns", "services", "paths", "kernel", "traffic",
    "wan",
)  # fmt: skip
REGION_KEYS = ("location", "servers", "services", "tags")
REGION_SERVICE_KEYS = ("servers", *IMAGE_KEYS)
CLIENT_KEYS = ("location", "timeouts", "tags", "resolver", *IMAGE_KEYS)
TIMEOUT_KEYS = ("lookup", "connect", "response")
DNS_KEYS = (*POLICY_KEYS, "servers")
NAME_SERVER_KEYS = ("location", "tags")
LOCATION_KEYS = ("lat", "lon")
TRAFFIC_KEYS = ("rate", "path")
LATER_TOP = ("underlay", "pops", "transit", "anycast", "ipv6", "sites")
LATER_PART = ("image", "command", "env", "protocols", "tls", "asn", "prefix")
SITES_MAX = 60  # containers and paths grow with it: 60 sites have 3540 paths
SERVERS_MAX = 20
SERVERS_A_REGION_MAX = 200  # their addresses share one /24
# Linux 6.18 takes both ends of every range (tried in a network namespace), and more where more
# would be of no use. The numbers are the kernel's own: counts, or whole seconds for the times.
KERNEL = {
    "tcp_syn_retries": (1, 127),
    "tcp_synack_retries": (0, 255),
    "tcp_retries1": (0, 255),
    "tcp_retries2": (0, 255),
    "tcp_orphan_retries": (0, 255),
    "tcp_fin_timeout": (1, 3600),
    "tcp_keepalive_time": (1, 32767),
    "tcp_keepalive_intvl": (1, 32767),
    "tcp_keepalive_probes": (1, 127),
    "tcp_ecn": (0, 2),
    "tcp_slow_start_after_idle": (0, 1),
}
_NOWHERE = Location("", 0.0, 0.0)  # stands in for a location with a problem, never gets out


def load_topology(path: Path) -> Topology:
    """Read a topology file, or the example of that bare name. UsageError if it cannot be read,
    FileProblems if it is wrong."""
    path = found(path)
    return parse_topology(read_text(path), str(path))


def parse_topology(text: str, file: str) -> Topology:
    """The topology that `text` describes; `file` is what messages call it, and by it traces beside
    it are found, which are in the topology's `source` then. FileProblems lists everything that is
    wrong."""
    document = Document(file)
    top = document.root(text).fields(TOP_KEYS, LATER_TOP)
    topology = _read_topology(top)
    topology = replace(topology, source=document.self_contained(text))
    document.raise_problems()
    return topology


def _read_topology(top: Fields) -> Topology:
    top.check_version()
    name_entry = top.required("name", "name: two-region")
    name = name_entry.value(label, "lab") if name_entry else "lab"
    dns = top.get("dns")
    dns_fields = dns.fields(DNS_KEYS, (*LATER_PART, *LATER_DNS)) if dns else None
    served = service_names(top.get("services"))
    regions = _read_regions(top.required("regions", "regions: {us: {location: ...}}"), served)
    cities = _read_cities(top.required("clients", "clients: {paris: {location: city:Paris/FR}}"))
    servers = _read_name_servers(dns_fields.get("servers") if dns_fields else None, regions)
    sites = _check_sites(top, regions, cities, servers)
    known = _known(regions, sites, (*regions, *cities, *servers))
    policy = read_dns_policy(dns_fields, DnsPolicy(), known) if dns_fields else DnsPolicy()
    services = read_services(top.get("services"), policy, known, regions)
    _check_service_names(top, services, servers)
    _check_images(top, regions, services)
    zone = top.value("zone", zone_name, f"{name}.test")
    _check_tls(top, services, zone)
    paths, kernel, traffic = (top.get(key) for key in ("paths", "kernel", "traffic"))
    settings, driver = read_paths(paths, sites) if paths else (), read_driver(top.get("wan"))
    rate, asked_path = _read_traffic(traffic) if traffic else (5.0, "/")
    if paths:
        check_paths(driver, paths, settings)
    return Topology(
        name=name,
        zone=zone,
        regions=regions,
        cities=cities,
        name_servers=servers,
        services=services,
        paths=settings,
        kernel=_read_kernel(kernel) if kernel else {},
        driver=driver,
        light_traffic=rate,
        asked_path=asked_path,
    )


def _known(
    regions: tuple[Region, ...],
    sites: tuple[str, ...],
    tagged: tuple[Region | City | NameServer, ...],
) -> Known:
    tags = dict.fromkeys(tag for site in tagged for tag in site.tags)
    return Known(tuple(region.name for region in regions), sites, tuple(tags))


def _read_regions(entry: Entry | None, services: tuple[str, ...]) -> tuple[Region, ...]:
    return tuple(
        _read_region(name, region.fields(REGION_KEYS, LATER_PART), services)
        for name, region in _sites(entry, "region").items()
    )


def _read_region(name: str, fields: Fields, services: tuple[str, ...]) -> Region:
    everywhere = fields.value("servers", whole(1, SERVERS_MAX), 1)
    servers = dict.fromkeys(services, everywhere)
    images: dict[str, Image] = {}
    overrides = fields.get("services")
    for service, entry in (overrides.named() if overrides else {}).items():
        if service in servers:
            override = entry.fields(REGION_SERVICE_KEYS, LATER_PART)
            servers[service] = override.value("servers", whole(0, SERVERS_MAX), everywhere)
            if image := read_image(override):
                images[service] = image
        else:
            hint = suggest(service, servers) or f"services here: {', '.join(servers)}"
            entry.problem(f"no service is called {service!r}", hint)
    if servers and not any(servers.values()):
        fields.owner.problem("has no servers at all", "give one service some, or leave it out")
    if sum(servers.values()) > SERVERS_A_REGION_MAX:
        what = f"has {sum(servers.values())} servers over all services"
        fields.owner.problem(what, f"{SERVERS_A_REGION_MAX} is the most")
    tags = _read_tags(fields.get("tags"))
    return Region(name, _read_location(fields), servers, tags, images)


def _check_images(top: Fields, regions: tuple[Region, ...], services: tuple[Service, ...]) -> None:
    """What a region changes of an image needs one, there or of the service."""
    written = top.get("regions")
    for region in regions:
        for service in services:
            if written and service.name in region.images:
                here = written.named()[region.name].named()["services"].named()[service.name]
                check_image(region.image_of(service), here)


def _check_tls(top: Fields, services: tuple[Service, ...], zone: str) -> None:
    written = top.get("services")
    for service in services:
        if written:
            check_tls(service, written.named()[service.name], zone)


def _read_cities(entry: Entry | None) -> tuple[City, ...]:
    cities, written = [], _sites(entry, "city")
    for name, city in written.items():
        fields = city.fields(CLIENT_KEYS, LATER_PART)
        timeouts, tags = _read_timeouts(fields.get("timeouts")), _read_tags(fields.get("tags"))
        resolver = read_resolver(fields.get("resolver"))
        image = read_image(fields)
        check_image(image, city)
        cities.append(City(name, _read_location(fields), timeouts, tags, resolver, image))
    check_resolvers(written, {city.name: city.resolver for city in cities})
    return tuple(cities)


def _read_timeouts(entry: Entry | None) -> Timeouts:
    if entry is None:
        return Timeouts()
    fields = entry.fields(TIMEOUT_KEYS)
    patience, default = duration("10ms", "10m"), Timeouts()
    return Timeouts(
        lookup_s=fields.value("lookup", patience, default.lookup_s),
        connect_s=fields.value("connect", patience, default.connect_s),
        response_s=fields.value("response", patience, default.response_s),
    )


def _read_name_servers(entry: Entry | None, regions: tuple[Region, ...]) -> tuple[NameServer, ...]:
    """Those of the file, or two: one beside each of the first two regions, both beside one."""
    if entry is not None:
        return tuple(
            _read_name_server(name, server.fields(NAME_SERVER_KEYS, LATER_PART))
            for name, server in _sites(entry, "name server").items()
        )
    places = [region.location for region in regions[:2]] or [_NOWHERE]
    return NameServer("ns1", places[0]), NameServer("ns2", places[-1])


def _read_name_server(name: str, fields: Fields) -> NameServer:
    return NameServer(name, _read_location(fields), _read_tags(fields.get("tags")))


def _read_tags(entry: Entry | None) -> tuple[str, ...]:
    """Words of the user's own for a site, one or a list; one given twice is a slip."""
    if entry is None:
        return ()
    tags: list[str] = []
    for written in entry.items() if entry.is_list() else [entry]:
        tag = written.value(label, "")
        if tag and tag in tags:
            written.problem(f"{tag!r} is given twice", "keep one")
        tags.append(tag)
    return tuple(tags)


def _sites(entry: Entry | None, kind: str) -> Mapping[str, Entry]:
    """The named sites of one section, names checked; a section that is there holds one at least."""
    if entry is None:
        return {}
    named = entry.named()
    if not named and entry.is_mapping():
        entry.problem(f"names no {kind}", "a lab needs at least one")
    for name, site in named.items():
        if not is_label(name):
            site.problem(f"{name!r} is no name for a site", "use 1 to 20 of a-z, 0-9 and -")
    return named


def _read_location(fields: Fields) -> Location:
    entry = fields.required("location", "location: city:Paris/FR")
    if entry is None:
        return _NOWHERE
    if not entry.is_mapping():
        return entry.value(locate, _NOWHERE)
    point = entry.fields(LOCATION_KEYS)
    lat, lon = point.required("lat", "lat: 48.9"), point.required("lon", "lon: 2.4")
    latitude = lat.value(decimal(-90, 90), 0.0) if lat else 0.0
    longitude = lon.value(decimal(-180, 180), 0.0) if lon else 0.0
    return Location(f"{latitude:g},{longitude:g}", latitude, longitude)


def _check_sites(
    top: Fields,
    regions: tuple[Region, ...],
    cities: tuple[City, ...],
    servers: tuple[NameServer, ...],
) -> tuple[str, ...]:
    """All sites' names, in order; those used by two kinds of site and too many are problems."""
    seen: dict[str, str] = {}
    for section, group in (("regions", regions), ("clients", cities), ("dns.servers", servers)):
        for site in group:
            if seen.setdefault(site.name, section) != section:
                other = seen[site.name]
                where = _find(top, section, site.name) or _find(top, other, site.name)
                what = f"{site.name!r} is named under {other} and {section}"
                (where or top.owner).problem(what, "give every site a name of its own")
    if len(seen) > SITES_MAX:
        top.owner.problem(f"{len(seen)} sites are too many", f"{SITES_MAX} is the most")
    return tuple(seen)


def _find(top: Fields, section: str, name: str) -> Entry | None:
    """Where a name is given, if it is: name servers may be there by default."""
    entry: Entry | None = top.owner
    for key in (*section.split("."), name):
        entry = entry.named().get(key) if entry and entry.is_mapping() else None
    return entry


def _check_service_names(
    top: Fields, services: tuple[Service, ...], servers: tuple[NameServer, ...]
) -> None:
    for name in {s.name for s in services} & {s.name for s in servers}:
        what = f"{name!r} is the DNS name of a name server"
        where = _find(top, "services", name) or _find(top, "dns.servers", name)
        (where or top.owner).problem(what, "call the service otherwise")
    check_aliases(top.get("services"), services, [server.name for server in servers])


def _read_kernel(entry: Entry) -> dict[str, int]:
    fields = entry.fields(tuple(KERNEL))
    return {key: fields.value(key, whole(*KERNEL[key]), 0) for key in KERNEL if key in fields}


def _read_traffic(entry: Entry) -> tuple[float, str]:
    """Requests a second, and what they ask for; `none` is none."""
    if not entry.is_mapping():
        return entry.value(_no_traffic, 0.0), "/"
    fields = entry.fields(TRAFFIC_KEYS)
    rate = fields.value("rate", frequency("1/min", "1000/s"), 5.0)
    return rate, fields.value("path", _asked_path, "/")


def _asked_path(text: str) -> str:
    if not re.fullmatch(r"/[!-~]*", text):
        raise ValueError(f"{text!r} is no path to ask for; write one like /items?page=1")
    return text


def _no_traffic(text: str) -> float:
    if text != "none":
        raise ValueError(f"{text!r} says nothing about traffic; write none or {{rate: 5/s}}")
    return 0.0
