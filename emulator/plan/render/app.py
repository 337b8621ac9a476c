"""`app.json`: who the built-in server is and where it listens."""

from __future__ import annotations

import json

from emulator.plan import addressing
from emulator.plan.model import HostSpec, Plan


def render_app(plan: Plan, host: HostSpec) -> str:
    service = next(s for s in plan.services if host.name in s.servers.get(host.site, ()))
    target_port = next(s.target_port for s in plan.topology.services if s.name == service.name)
    config = {
        "region": host.site,
        "server": host.name,
        "service": service.name,
        "port": target_port,
        "echo_port": addressing.ECHO_PORT,
    }
    return json.dumps(config, indent=2) + "\n"
