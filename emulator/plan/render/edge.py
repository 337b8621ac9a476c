"""`edge.json`: what the edge's companion watches in HAProxy and where UDP goes."""

from __future__ import annotations

import json
from typing import Any

from emulator.plan.hosts import HAPROXY_SOCKET, lan_address
from emulator.plan.model import HostSpec, Plan, ServiceSpec, SiteSpec
from emulator.plan.render.haproxy import (
    ECHO_BACKEND,
    backend_name,
    health_frontend_name,
    server_name,
    services_of,
)


def render_edge(plan: Plan, host: HostSpec) -> str:
    site = next(s for s in plan.sites if s.name == host.site)
    services = services_of(plan, host.site)
    config = {
        "region": host.site,
        "haproxy_socket": HAPROXY_SOCKET,
        "services": [_service(service, site) for service in services],
        "echo": {"address": services[0].addresses[host.site], "backend": ECHO_BACKEND},
    }
    return json.dumps(config, indent=2) + "\n"


def _service(service: ServiceSpec, site: SiteSpec) -> dict[str, Any]:
    servers = service.servers[site.name]
    return {
        "name": service.name,
        "address": service.addresses[site.name],
        "port": service.port,
        "balance": service.balance,
        "health_frontend": health_frontend_name(service),
        "backend": backend_name(service.name),
        "servers": {server_name(host): lan_address(site, host) for host in servers},
    }
