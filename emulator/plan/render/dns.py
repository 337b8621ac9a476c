"""`dns.json`: the zone, the services' regions and checks, and what is near to whom."""

from __future__ import annotations

import json
from typing import Any

from emulator.plan import addressing
from emulator.plan.model import HostSpec, Plan, ServiceSpec, SiteSpec
from emulator.plan.paths import nearest_regions, round_trips_s
from emulator.topology.model import Location
from emulator.topology.places import distance_km


def render_dns(plan: Plan, host: HostSpec) -> str:
    site = next(s for s in plan.sites if s.name == host.site)
    trips_s = round_trips_s(plan.paths)
    config = {
        "server": host.name,
        "zone": plan.topology.zone,
        "listen": [addressing.name_server_address(site.number), site.wan_address],
        "port": addressing.DNS_PORT,
        "name_servers": {name: [address] for name, address in name_servers(plan).items()},
        "services": [_service(service) for service in plan.services],
        "sites": [_site(plan, trips_s, other) for other in plan.sites],
    }
    return json.dumps(config, indent=2) + "\n"


def name_servers(plan: Plan) -> dict[str, str]:
    """Every authoritative server's own address."""
    return {
        site.name: addressing.name_server_address(site.number)
        for site in plan.sites
        if site.kind == "dns"
    }


def _service(service: ServiceSpec) -> dict[str, Any]:
    regions = {
        region: {"address": address, "health": list(service.health[region])}
        for region, address in service.addresses.items()
    }
    return {
        "name": service.name,
        "fqdns": [service.fqdn],
        "ttl_s": service.ttl_s,
        "policy": service.policy.to_json(),
        "check": {
            "kind": "http",
            "interval_s": service.interval_s,
            "timeout_s": service.timeout_s,
            "fall": service.fall,
            "rise": service.rise,
        },
        "regions": regions,
    }


def _site(plan: Plan, trips_s: dict[tuple[str, str], float], site: SiteSpec) -> dict[str, Any]:
    """Every address that a query from this site may carry, and how far it is to each region."""
    prefixes = [site.lan_prefix, site.public_prefix, f"{site.wan_address}/32"]
    near = nearest_regions(plan.sites, trips_s, site.name)
    here = Location("", site.latitude, site.longitude)
    return {
        "name": site.name,
        "prefixes": [prefix for prefix in prefixes if prefix],
        "rtt_ms": {region: round(rtt_s * 1e3, 3) for region, rtt_s in near},
        "distance_km": {
            region.name: round(distance_km(here, region.location))
            for region in plan.topology.regions
        },
    }
