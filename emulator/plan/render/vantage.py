"""`vantage.json`: what a vantage site checks, and which name servers hear what it saw."""

from __future__ import annotations

import json

from emulator.plan import addressing
from emulator.plan.model import HostSpec, Plan, ServiceSpec
from emulator.plan.render.dns import name_servers, service_config


def watched_services(plan: Plan, site: str) -> list[ServiceSpec]:
    """The services that this site checks for the name servers."""
    return [service for service in plan.services if site in service.dns.health_check.checkers]


def render_vantage(plan: Plan, host: HostSpec) -> str:
    config = {
        "site": host.site,
        "services": [service_config(service) for service in watched_services(plan, host.site)],
        "report_to": [
            [address, addressing.REPORTS_PORT] for address in name_servers(plan).values()
        ],
    }
    return json.dumps(config, indent=2) + "\n"
