"""`client.json`, `resolv.conf`: whom a city's clients ask, what they want, how long they wait."""

from __future__ import annotations

import json
from dataclasses import asdict

from emulator.plan import addressing
from emulator.plan.model import HostSpec, Plan
from emulator.plan.tls import ROOT_FILE
from emulator.scenario.model import Load
from emulator.topology.model import CLIENT_KINDS


def render_client(plan: Plan, host: HostSpec) -> str:
    service = plan.services[0]
    timeouts = next(c.timeouts for c in plan.topology.cities if c.name == host.site)
    config = {
        "city": host.site,
        "asks": [[address, addressing.DNS_PORT] for address in plan.asks[host.site]],
        "service": {
            "name": service.name,
            "fqdn": service.fqdn,
            "port": service.port,
            "path": plan.topology.asked_path,
            **({"root": ROOT_FILE} if service.tls else {}),
            "echo_port": addressing.ECHO_PORT,
        },
        "regions": {s.name: [s.public_prefix] for s in plan.sites if s.kind == "region"},
        "timeouts": asdict(timeouts),
        "loads": _light(plan.topology.light_traffic),
    }
    return json.dumps(config, indent=2) + "\n"


def _light(rate: float) -> dict[str, object]:
    return {kind: Load(kind, rate).to_json() for kind in CLIENT_KINDS} if rate else {}


def render_resolv(plan: Plan, host: HostSpec) -> str:
    """For programs run by hand, as curl: whom the city asks, not the machine's network."""
    return "".join(f"nameserver {address}\n" for address in plan.asks[host.site])
