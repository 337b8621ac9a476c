"""`dns.json`: the zone, the services' regions, policies and checks, and what is near to whom."""

from __future__ import annotations

import json
import zlib
from typing import Any

from emulator.plan import addressing
from emulator.plan.model import HostSpec, Plan, ServiceSpec, SiteSpec
from emulator.plan.paths import near_to, round_trips_s


def render_dns(plan: Plan, host: HostSpec) -> str:
    site = next(s for s in plan.sites if s.name == host.site)
    trips_s = round_trips_s(plan.paths)
    config = {
        "server": host.name,
        "zone": plan.topology.zone,
        "listen": [addressing.name_server_address(site.number), site.wan_address],
        "port": addressing.DNS_PORT,
        "name_servers": {name: [address] for name, address in name_servers(plan).items()},
        "services": [service_config(service) for service in plan.services],
        "sites": [_site(plan, trips_s, other) for other in plan.sites],
        # A run tells its own seed later; until then equal labs draw alike, on every machine.
        "seed": zlib.crc32(plan.lab.encode()),
    }
    if any(service.dns.health_check.checkers for service in plan.services):
        address = addressing.name_server_address(site.number)
        config["reports"] = [address, addressing.REPORTS_PORT]
    return json.dumps(config, indent=2) + "\n"


def name_servers(plan: Plan) -> dict[str, str]:
    """Every authoritative server's own address."""
    return {
        site.name: addressing.name_server_address(site.number)
        for site in plan.sites
        if site.kind == "dns"
    }


def service_config(service: ServiceSpec) -> dict[str, Any]:
    """One service as name servers and vantages are told of it."""
    dns = service.dns
    regions = {
        region: {"address": address, "health": list(service.health[region])}
        for region, address in service.addresses.items()
    }
    return {
        "name": service.name,
        "fqdns": list(service.names),
        "ttl_s": dns.ttl_s,
        "policy": service.policy.to_json(),
        "regions": regions,
        "check": _check(service),
        "degraded_ttl_s": dns.degraded_ttl_s,
        "all_down": dns.all_down,
        "ecs": dns.ecs,
        "ramp_s": dns.ramp_s,
        "checkers": list(dns.health_check.checkers),
        "quorum": dns.health_check.quorum,
    }


def _check(service: ServiceSpec) -> dict[str, Any]:
    check = service.dns.health_check
    return {
        "kind": check.kind,
        "interval_s": check.interval_s,
        "timeout_s": check.timeout_s,
        "fall": check.fall,
        "rise": check.rise,
        "clear": check.clear,
        "hold_down_s": check.hold_down_s,
    }


def _site(plan: Plan, trips_s: dict[tuple[str, str], float], site: SiteSpec) -> dict[str, Any]:
    """Every address that a query from this site may carry, and how far it is to each region."""
    prefixes = [site.lan_prefix, site.public_prefix, f"{site.wan_address}/32"]
    near = near_to(plan.sites, trips_s, site.name)
    return {
        "name": site.name,
        "prefixes": [prefix for prefix in prefixes if prefix],
        "rtt_ms": {region: round(rtt_s * 1e3, 3) for region, rtt_s in near.rtt_s.items()},
        "distance_km": dict(near.distance_km),
    }
