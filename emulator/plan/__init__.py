"""From what the user wrote to what will be built. Pure: no clock, no file, no network."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from typing import Any

from emulator.plan.hosts import build_hosts
from emulator.plan.model import Plan
from emulator.plan.paths import make_paths, near_to, round_trips_s
from emulator.plan.policies import order
from emulator.plan.render import with_files
from emulator.plan.resolvers import asked_addresses, own_resolvers, taken_for
from emulator.plan.sites import address_services, number_sites
from emulator.topology.model import Topology

__all__ = ["make_plan", "plan_to_json"]


def make_plan(topology: Topology, lab: str) -> Plan:
    """Everything that `up` builds for a lab of this name; equal inputs give equal plans.
    Raises UsageError where the topology outgrows its addresses."""
    sites = number_sites(topology)
    paths = make_paths(topology)
    trips_s = round_trips_s(paths)
    services = address_services(topology, sites)
    plan = Plan(
        lab=lab,
        topology=topology,
        sites=sites,
        hosts=(),
        paths=paths,
        services=services,
        resolvers=own_resolvers(topology, sites),
        asks=asked_addresses(topology, sites, trips_s),
        preferred={
            city.name: order(services[0].policy, near_to(sites, trips_s, taken_for(topology, city)))
            for city in topology.cities
        },
    )
    plan = replace(plan, hosts=build_hosts(plan))
    plan = replace(plan, hosts=tuple(with_files(plan, host) for host in plan.hosts))
    return replace(plan, digest=_digest(plan))


def plan_to_json(plan: Plan) -> dict[str, Any]:
    """The whole plan as JSON values, in the words of `plan/model.py`."""
    data: dict[str, Any] = json.loads(json.dumps(asdict(plan)))
    return data


def _digest(plan: Plan) -> str:
    everything = {key: value for key, value in plan_to_json(plan).items() if key != "digest"}
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()
