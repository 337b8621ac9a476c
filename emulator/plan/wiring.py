"""What the keeper is told of a plan: one value for the WAN, one for each host that it joins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from emulator.drivers import DriverName
from emulator.impairment import Impairment
from emulator.plan.model import HostSpec, Plan

# A machine may be tuned to another algorithm (bbr, often); a new namespace takes that over.
CONGESTION = "cubic"


@dataclass(frozen=True, slots=True)
class HostWiring:
    """All the keeper needs to join one running container to the lab."""

    host: str
    site: int
    interfaces: tuple[dict[str, Any], ...]  # name, port, mac, port_mac, addresses
    loopback: tuple[str, ...]
    routes: tuple[tuple[str, str, str], ...]
    neighbours: tuple[tuple[str, str, str], ...]
    congestion: str = CONGESTION


@dataclass(frozen=True, slots=True)
class WanSetup:
    """What a fresh keeper is told once. `plan` is opaque to it, for those who attach later."""

    sites: tuple[tuple[int, str, bool], ...]  # number, name, has a LAN
    macs: Mapping[str, int]  # MAC of each site's wan0 -> site number
    paths: tuple[tuple[int, int, Impairment], ...]
    plan: Mapping[str, str]  # lab, topology source, digest
    driver: DriverName = "userspace"


def host_wiring(plan: Plan, host: HostSpec) -> HostWiring:
    """The links, addresses, routes and neighbours of one host of the plan."""
    numbers = {site.name: site.number for site in plan.sites}
    return HostWiring(
        host=host.name,
        site=numbers[host.site],
        interfaces=tuple(asdict(interface) for interface in host.interfaces),
        loopback=host.loopback,
        routes=host.routes,
        neighbours=host.neighbours,
    )


def wan_setup(plan: Plan, beside: Mapping[str, str] | None = None) -> WanSetup:
    """The sites, the path table and what the keeper holds for those who attach later: the plan,
    and `beside` it what no plan says."""
    numbers = {site.name: site.number for site in plan.sites}
    macs = {
        interface.mac: numbers[host.site]
        for host in plan.hosts
        for interface in host.interfaces
        if interface.name == "wan0"
    }
    return WanSetup(
        sites=tuple((s.number, s.name, s.lan_prefix is not None) for s in plan.sites),
        macs=macs,
        paths=tuple((numbers[p.source], numbers[p.target], p.impairment) for p in plan.paths),
        plan={
            "lab": plan.lab,
            "topology": plan.topology.source,
            "digest": plan.digest,
            **(beside or {}),
        },
        driver=plan.topology.driver,
    )
