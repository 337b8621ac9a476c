"""The clients' load, and a clean slate before a run."""

from __future__ import annotations

import json
from collections.abc import Mapping

from emulator.clock import NS_PER_S
from emulator.controller.lab import Lab
from emulator.errors import NetemuError, NotReady
from emulator.plan.resolvers import resolver_hosts
from emulator.scenario.model import Load, Traffic

SETTLING_S = 12.0  # longest a request may take with the default timeouts (8 s), and room


def cities(lab: Lab) -> list[str]:
    """Every city of the lab."""
    return [site.name for site in lab.plan.sites if site.kind == "client"]


def even_traffic(rates: Mapping[str, float]) -> Traffic:
    """The same requests a second of each kind in every city; a pool and streams as needed, no
    cache."""
    return Traffic(tuple(Load(kind, rate) for kind, rate in rates.items()))


def start_traffic(lab: Lab, traffic: Traffic) -> None:
    """Give every city its loads; a kind or a city without one is silent."""
    loads = {city: traffic.of(city) for city in cities(lab)}
    _tell_clients(
        lab,
        {
            city: {"op": "traffic", "loads": {kind: load.to_json() for kind, load in kinds.items()}}
            for city, kinds in loads.items()
        },
    )


def stop_traffic(lab: Lab) -> None:
    """No new requests; those in flight end by themselves, and what clients hold of DNS is
    forgotten."""
    _tell_clients(lab, {city: {"op": "stop"} for city in cities(lab)})


def wait_until_idle(lab: Lab) -> None:
    """Wait until no client has a request in flight. Raises NotReady when they do not end."""
    began = lab.wan.now_ns()
    deadline = lab.clock.now_ns() + round(SETTLING_S * NS_PER_S)
    busy = cities(lab)
    while busy:
        if lab.clock.now_ns() > deadline:
            raise NotReady(f"the clients of {', '.join(busy)} still have requests in flight")
        lab.clock.sleep(0.1)
        idle = {
            e["city"]
            for e in lab.wan.latest()
            if e["kind"] == "schedule" and e["t"] > began and not e["in_flight"]
        }
        busy = [city for city in cities(lab) if city not in idle]


def seed_answers(lab: Lab, seed: int) -> None:
    """Every name server draws anew from this seed: what it answers is the run's own."""
    line = json.dumps({"op": "seed", "seed": seed})
    servers = [host.name for host in lab.plan.hosts if host.role == "ns"]
    answers = lab.wan.hosts({s: ("send", {"daemon": "dns", "line": line}) for s in servers})
    deaf = [server for server, a in answers.items() if "error" in a or a.get("silent")]
    if deaf:
        raise NetemuError(f"these name servers could not be told the seed: {', '.join(deaf)}")


def flush_caches(lab: Lab) -> None:
    """Empty every resolver's caches and every client's TCP metrics: runs begin alike."""
    control = ["unbound-control", "-c", "/etc/netemu/unbound.conf"]
    zone = lab.plan.topology.zone
    resolvers = resolver_hosts(lab.plan)
    commands = {
        **{host: [*control, "flush_zone", zone] for host in resolvers},
        **{f"{city}/client": ["ip", "tcp_metrics", "flush", "all"] for city in cities(lab)},
    }
    infra = {host: [*control, "flush_infra", "all"] for host in resolvers}
    for batch in (commands, infra):
        answers = lab.wan.hosts({h: ("run", {"argv": argv}) for h, argv in batch.items()})
        for host, answer in answers.items():
            if answer.get("rc") != 0:
                raise NetemuError(f"flushing the caches of {host} failed: {answer}")


def _tell_clients(lab: Lab, commands: Mapping[str, Mapping[str, object]]) -> None:
    """To each city the command of its own."""
    answers = lab.wan.hosts(
        {
            f"{city}/client": ("send", {"daemon": "client", "line": json.dumps(command)})
            for city, command in commands.items()
        }
    )
    deaf = [host for host, a in answers.items() if "error" in a or a.get("silent")]
    if deaf:
        raise NetemuError(f"these clients could not be told about traffic: {', '.join(deaf)}")
