"""`app.json`: who the built-in server is and where it listens. Beside a user's image it only
echoes: `port` is null then."""

from __future__ import annotations

import json

from emulator.plan import addressing
from emulator.plan.model import HostSpec, Plan
from emulator.plan.own import own_of, service_of


def render_app(plan: Plan, host: HostSpec) -> str:
    service = service_of(plan, host.name)
    target_port = next(s.target_port for s in plan.topology.services if s.name == service.name)
    config = {
        "region": host.site,
        "server": host.name,
        "service": service.name,
        "port": None if own_of(plan, host) else target_port,
        "echo_port": addressing.ECHO_PORT,
    }
    return json.dumps(config, indent=2) + "\n"
