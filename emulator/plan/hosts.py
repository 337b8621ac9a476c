"""Every container: its links, addresses, routes, neighbours, kernel and daemons; files come last.

A host's neighbours are permanent entries, on the WAN and on LANs: a dead host is silence, as on the
internet, and nobody ever hears "host unreachable" after ARP's 3 s.
"""

from __future__ import annotations

from collections.abc import Iterator

from emulator.errors import UsageError
from emulator.plan import addressing
from emulator.plan.kernel import sysctls
from emulator.plan.model import (
    DaemonSpec,
    HostSpec,
    InterfaceSpec,
    Plan,
    Role,
    SiteKind,
    SiteSpec,
)

# Daemons need none of the user's Python settings: -E and -s leave them out.
PYTHON = ("python3", "-E", "-s", "-m")
HAPROXY_SOCKET = "/run/haproxy.sock"
CONFIGURATION = "/etc/netemu"

# A late sender spoils a measurement; a late server is what the measurement is about.
CLIENT_CPU_SHARES = 8192
CPU_SHARES = 1024

ROUTERS: tuple[Role, ...] = ("edge", "access", "ns")
_ROLES: dict[SiteKind, tuple[Role, Role]] = {  # the host on the WAN, those behind it
    "region": ("edge", "server"),
    "client": ("access", "client"),
    "dns": ("ns", "ns"),
}
# -db: in the foreground, one process. -d: the same for Unbound.
_DAEMONS: dict[Role, tuple[DaemonSpec, ...]] = {
    "edge": (
        DaemonSpec("haproxy", ("haproxy", "-db", "-f", f"{CONFIGURATION}/haproxy.cfg")),
        DaemonSpec(
            "edge", (*PYTHON, "emulator.node.edge", f"{CONFIGURATION}/edge.json"), HAPROXY_SOCKET
        ),
    ),
    "server": (DaemonSpec("app", (*PYTHON, "emulator.node.app", f"{CONFIGURATION}/app.json")),),
    "access": (DaemonSpec("unbound", ("unbound", "-d", "-c", f"{CONFIGURATION}/unbound.conf")),),
    "client": (
        DaemonSpec("client", (*PYTHON, "emulator.node.client", f"{CONFIGURATION}/client.json")),
    ),
    "ns": (DaemonSpec("dns", (*PYTHON, "emulator.node.dns", f"{CONFIGURATION}/dns.json")),),
}
VANTAGE = "vantage"
_VANTAGE = DaemonSpec(
    VANTAGE, (*PYTHON, "emulator.node.dns.vantage", f"{CONFIGURATION}/{VANTAGE}.json")
)
# The edge writes nft rules for the UDP path; a client's TCP metrics are flushed before a run.
_CAPABILITIES: dict[Role, tuple[str, ...]] = {"edge": ("NET_ADMIN",), "client": ("NET_ADMIN",)}


def build_hosts(plan: Plan) -> tuple[HostSpec, ...]:
    """Every host of every site, routers first, without files.
    Raises UsageError when two would get one container name."""
    hosts = tuple(_host(plan, site, name) for site in plan.sites for name in site.hosts)
    owners: dict[str, str] = {}
    for host in hosts:
        other = owners.setdefault(host.container, host.name)
        if other != host.name:
            raise UsageError(
                f"hosts {other} and {host.name} would both be called {host.container}; rename one"
            )
    return hosts


def _host(plan: Plan, site: SiteSpec, name: str) -> HostSpec:
    is_router = name == site.hosts[0]
    role = _ROLES[site.kind][0 if is_router else 1]
    return HostSpec(
        name=name,
        site=site.name,
        role=role,
        container=f"{plan.lab}-{name.replace('/', '-')}",
        interfaces=tuple(_interfaces(site, name)),
        loopback=tuple(_loopback(plan, site)) if is_router else (),
        routes=tuple(_wan_routes(plan, site) if is_router else _default_route(site)),
        neighbours=tuple(_neighbours(plan, site, name)),
        sysctls=sysctls(role, plan.topology.kernel),
        files={},
        daemons=_daemons(plan, site, role),
        cap_add=_CAPABILITIES.get(role, ()),
        cpu_shares=CLIENT_CPU_SHARES if role == "client" else CPU_SHARES,
    )


def _daemons(plan: Plan, site: SiteSpec, role: Role) -> tuple[DaemonSpec, ...]:
    """Those of the role; a city whose clients ask elsewhere has no resolver to run. A vantage's
    checks are made by the site's router."""
    without = role == "access" and site.name not in plan.resolvers
    own = () if without else _DAEMONS[role]
    return (*own, _VANTAGE) if role in ROUTERS and is_vantage(plan, site.name) else own


def is_vantage(plan: Plan, site: str) -> bool:
    """Whether the site checks any service for the name servers."""
    return any(site in service.dns.health_check.checkers for service in plan.services)


def _lan_number(site: SiteSpec, name: str) -> int:
    index = site.hosts.index(name)
    if index == 0:
        return addressing.ROUTER
    return addressing.CLIENT if site.kind == "client" else addressing.FIRST_SERVER + index - 1


def lan_address(site: SiteSpec, name: str) -> str:
    """The address of a host on its site's LAN."""
    return addressing.lan_address(site.number, _lan_number(site, name))


def own_address(site: SiteSpec) -> str:
    """What a site's router speaks from when it speaks for itself."""
    if site.kind == "region":
        return addressing.region_address(site.number)
    if site.kind == "dns":
        return addressing.name_server_address(site.number)
    return addressing.lan_address(site.number, addressing.ROUTER)


def _interfaces(site: SiteSpec, name: str) -> Iterator[InterfaceSpec]:
    if name == site.hosts[0]:
        yield addressing.wan_interface(site.number)
    if site.lan_prefix:
        yield addressing.lan_interface(site.number, _lan_number(site, name))


def _loopback(plan: Plan, site: SiteSpec) -> Iterator[str]:
    """A region's or name server's public addresses live on lo: they belong to no link."""
    for service in plan.services:
        if site.name in service.addresses:
            yield f"{service.addresses[site.name]}/32"
    if site.public_prefix:
        yield f"{own_address(site)}/32"


def _wan_routes(plan: Plan, site: SiteSpec) -> Iterator[tuple[str, str, str]]:
    """Every other site's prefixes, straight over the WAN."""
    for other in plan.sites:
        if other == site:
            continue
        for prefix in (other.lan_prefix, other.public_prefix):
            if prefix:
                yield prefix, other.wan_address, own_address(site)


def _default_route(site: SiteSpec) -> Iterator[tuple[str, str, str]]:
    yield "0.0.0.0/0", addressing.lan_address(site.number, addressing.ROUTER), ""


def _neighbours(plan: Plan, site: SiteSpec, name: str) -> Iterator[tuple[str, str, str]]:
    if name == site.hosts[0]:
        for other in plan.sites:
            if other != site:
                yield "wan0", other.wan_address, addressing.mac(other.number, addressing.WAN)
    if site.lan_prefix:
        for other_name in site.hosts:
            if other_name != name:
                number = _lan_number(site, other_name)
                yield "lan0", lan_address(site, other_name), addressing.mac(site.number, number)
