"""What a lab is and how it does, as plain values for a table or for JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emulator.controller.dns import metrics, name_server_states, name_servers
from emulator.controller.lab import Lab
from emulator.controller.scrape import read_scrape, totals
from emulator.engine.base import ContainerHandle, ContainerState
from emulator.plan.model import HostSpec, Plan
from emulator.plan.own import IMAGE
from emulator.plan.sent import sent_cities

LOOK_S = 1.0  # a host that does not answer in a second is shown as silent, never waited for


def world(lab: Lab) -> dict[str, Any]:
    """What `up` shows: sites, addresses, round-trip times, and where each city is sent and why."""
    plan = lab.plan
    one_way = {(p.source, p.target): p for p in plan.paths}
    names = [site.name for site in plan.sites]
    sent = sent_cities(plan)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    return {
        "lab": lab.name,
        "containers": plan.containers,
        "regions": [s.name for s in plan.sites if s.kind == "region"],
        "cities": [s.name for s in plan.sites if s.kind == "client"],
        "name_servers": [s.name for s in plan.sites if s.kind == "dns"],
        "hosts": [
            {"host": h.name, "role": h.role, "addresses": _addresses(lab, h.name)}
            | ({"image": h.own.image} if h.own is not None else {})
            for h in plan.hosts
        ],
        "services": _services(plan),
        "root": lab.certificates.root,
        "paths": [
            {
                "pair": f"{a}..{b}",
                "rtt_set_ms": _pair_ms(
                    a, b, {k: p.impairment.delay_ns for k, p in one_way.items()}
                ),
                "rtt_measured_ms": _pair_ms(a, b, lab.measured_ns),
                "because": one_way[a, b].because,
            }
            for a, b in pairs
        ],
        "sent_to": {
            city: {
                "region": ", ".join(sent[city].regions),
                "because": sent[city].because,
                "rtt_ms": {
                    r: _pair_ms(city, r, {k: p.impairment.delay_ns for k, p in one_way.items()})
                    for r in regions
                },
            }
            for city, regions in plan.preferred.items()
        },
        "light_traffic": plan.topology.light_traffic,
    }


def _services(plan: Plan) -> list[dict[str, Any]]:
    return [
        {
            "name": service.fqdn,
            "port": service.port,
            "balance": service.balance,
            "protocol": service.protocol,
            "addresses": dict(service.addresses),
        }
        for service in plan.services
    ]


def _pair_ms(a: str, b: str, one_way_ns: dict[tuple[str, str], int]) -> float | None:
    there, back = one_way_ns.get((a, b)), one_way_ns.get((b, a))
    return None if there is None or back is None else round((there + back) / 1e6, 3)


def _addresses(lab: Lab, host: str) -> list[str]:
    spec = lab.spec(host)
    on_links = [address for i in spec.interfaces for address in i.addresses]
    return [address.split("/")[0] for address in (*spec.loopback, *on_links)]


def lab_status(lab: Lab) -> dict[str, Any]:
    """Containers, daemons, active faults, what balancers and name servers think, the wire.

    `name_servers`: what each of them says of itself (its /state), what it counted since its start,
    or why it is mute.
    """
    containers = {c.host: c for c in lab.engine.containers(lab.name)}
    states = {host: container.state for host, container in containers.items()}
    awake = [h.name for h in lab.plan.hosts if states.get(h.name) is ContainerState.RUNNING]
    answers = lab.wan.hosts({host: ("status", {}) for host in awake}, LOOK_S)
    hears = [h for h, a in answers.items() if not (a.get("silent") or "error" in a)]
    stats = lab.wan.stats()
    latest = lab.wan.latest()
    return {
        "lab": lab.name,
        "services": _services(lab.plan),
        "hosts": [
            {
                "host": h.name,
                "role": h.role,
                "container": str(states.get(h.name, "missing")),
                "daemons": _daemons(answers.get(h.name)) | _own(h, containers),
            }
            for h in lab.plan.hosts
        ],
        "faults": [
            {"id": f.id, "kind": f.kind, "target": list(f.target), "peers": list(f.peers)}
            for f in lab.wan.journal()
        ],
        "balancers": _thoughts(
            _last(latest, "proxy", ("region", "service", "server", "state", "reason")),
            {region.name: f"{region.name}/edge" for region in lab.plan.topology.regions},
            "region",
            awake,
        ),
        "routing": _thoughts(
            _last(latest, "generation", ("server", "service", "number", "up", "down")),
            {site.name: site.hosts[0] for site in lab.plan.sites},
            "server",
            awake,
        ),
        "now_ns": lab.wan.now_ns(),
        "name_servers": _name_servers(lab, [s for s in name_servers(lab) if s in hears]),
        "traffic": _last(latest, "schedule", ("city", "started", "late", "in_flight")),
        "wire": stats.get("wire", {}),
        "paths": stats.get("paths", {}),
    }


def _name_servers(lab: Lab, servers: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Their states with `asked`, their totals; those that answered nothing just now are not asked
    again."""
    if not servers:
        return {}
    states = name_server_states(lab, servers, LOOK_S)
    counted = metrics(lab, servers, LOOK_S)
    return {server: states[server] | {"asked": _asked(counted[server])} for server in servers}


def _asked(answer: dict[str, Any]) -> dict[str, Any]:
    try:
        return totals(read_scrape(answer["text"])) if "text" in answer else dict(answer)
    except ValueError as error:
        return {"error": f"its metrics cannot be read: {error}"}


def _thoughts(
    rows: list[Any], thinkers: Mapping[str, str], key: str, awake: Sequence[str]
) -> list[Any]:
    """Only of hosts that run: what a dead or frozen one thought last says nothing of now."""
    return [row for row in rows if thinkers.get(row[key]) in awake]


def _daemons(answer: dict[str, Any] | None) -> dict[str, str]:
    if answer is None:
        return {}
    if answer.get("silent") or "error" in answer:
        return {"init": str(answer.get("error", "silent"))}
    return dict(answer.get("daemons", {}))


def _own(host: HostSpec, containers: Mapping[str, ContainerHandle]) -> dict[str, str]:
    """The user's container beside the daemons; the engine knows how it does."""
    if host.own is None:
        return {}
    found = containers.get(host.own.name)
    how = "missing" if found is None else f"ended {found.ended}" if found.ended else found.state
    return {IMAGE: str(how)}


def _last(events: tuple[dict[str, Any], ...], kind: str, keys: tuple[str, ...]) -> list[Any]:
    rows = [{k: e.get(k) for k in keys} for e in events if e["kind"] == kind]
    return sorted(rows, key=lambda row: [str(row[k]) for k in keys])
