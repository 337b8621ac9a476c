"""The first line of a history: what the analysis must know of the lab, and of this machine."""

from __future__ import annotations

import itertools
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from emulator import __version__
from emulator.controller.inject import SITE_FAULTS
from emulator.controller.lab import Lab
from emulator.drivers import DESCRIPTIONS, SEED
from emulator.events import Run
from emulator.plan.bounds import Loads, bounds
from emulator.plan.model import PathSpec, Plan, SiteSpec
from emulator.plan.predict import predict
from emulator.plan.resolvers import resolver_of, resolver_site
from emulator.plan.sent import sent_cities
from emulator.plan.wiring import CONGESTION
from emulator.scenario.model import FAULT_KINDS, Kill, Scenario, Traffic
from emulator.topology.model import CLIENT_KINDS

PREDICTED_VALUES = 40
NO_PHASE: Mapping[str, float] = MappingProxyType({})


def make_header(
    lab: Lab,
    seed: int,
    scenario: Scenario | None,
    command: str,
    traffic: Traffic,
    phase: Mapping[str, float] = NO_PHASE,
) -> Run:
    """Everything about a run that is known before it begins. `scenario` None: by hand. `phase`:
    of the first fault, as `Run.phase` says."""
    plan = lab.plan
    loads = {city.name: traffic.of(city.name) for city in plan.topology.cities}
    return Run(
        t=lab.wan.now_ns(),
        wall=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=seed,
        lab=plan.lab,
        scenario=scenario.name if scenario else "",
        command=command,
        environment=_environment(lab),
        sites=[_site(site) for site in plan.sites],
        services=[asdict(service) for service in plan.services],
        paths=_paths(lab),
        preferred={city: list(regions) for city, regions in plan.preferred.items()},
        bounds=_bounds(plan, loads),
        predicted=_predicted(plan, loads, scenario),
        timeouts={city.name: asdict(city.timeouts) for city in plan.topology.cities},
        rates=_most(loads),
        loads={
            city: {kind: load.to_json() for kind, load in kinds.items()}
            for city, kinds in loads.items()
        },
        resolvers={
            city.name: {
                "site": resolver_site(city),
                "ecs": resolver_of(plan.topology, city).ecs,
                "settings": dict(resolver_of(plan.topology, city).settings),
            }
            for city in plan.topology.cities
        },
        phase=dict(phase),
        own_clients={h.site: h.own.image for h in plan.hosts if h.role == "client" and h.own},
        sent_to={city: asdict(sent) for city, sent in sent_cities(plan).items()},
        **_wanted(scenario),
    )


def _wanted(scenario: Scenario | None) -> dict[str, Any]:
    """What a scenario asks for; nothing by hand."""
    if scenario is None:
        return {"objectives": []}
    return {
        "objectives": [asdict(objective) for objective in scenario.objectives],
        "steady_state": asdict(scenario.steady_state),
        "expect": asdict(scenario.expect) if scenario.expect else {},
    }


def _most(loads: Mapping[str, Loads]) -> dict[str, float]:
    """Requests/s by kind, of the city that sends the most of it."""
    most = {
        kind: max((kinds[kind].rate for kinds in loads.values() if kind in kinds), default=0.0)
        for kind in CLIENT_KINDS
    }
    return {kind: rate for kind, rate in most.items() if rate}


def _site(site: SiteSpec) -> dict[str, object]:
    prefixes = [site.lan_prefix, site.public_prefix, f"{site.wan_address}/32"]
    return {
        "name": site.name,
        "kind": site.kind,
        "prefixes": [prefix for prefix in prefixes if prefix],
    }


def _paths(lab: Lab) -> list[dict[str, object]]:
    return [
        {
            "source": path.source,
            "target": path.target,
            "one_way_ms": path.impairment.delay_ns / 1e6,
            "measured_ms": _measured_ms(lab, path),
            "because": path.because,
        }
        for path in lab.plan.paths
    ]


def _measured_ms(lab: Lab, path: PathSpec) -> float | None:
    seen = lab.measured_ns.get((path.source, path.target))
    return None if seen is None else seen / 1e6


def _bounds(plan: Plan, loads: Mapping[str, Loads]) -> dict[str, list[dict[str, object]]]:
    """Predictions for a fault on each region, or on the edge that all of it is behind: "power
    us-east" -> one entry a city and kind."""
    found = {}
    for kind, region in itertools.product(FAULT_KINDS, plan.topology.regions):
        entries = [asdict(bound) for bound in bounds(plan, kind, region.name, loads)]
        found[f"{kind} {region.name}"] = entries
        if kind not in SITE_FAULTS:
            edge = f"{region.name}/edge"
            found[f"{kind} {edge}"] = [e for e in entries if _is_hit(e, kind, edge)]
    return found


def _is_hit(entry: Mapping[str, object], how: str, target: str) -> bool:
    """An edge that crashed or froze still forwards datagrams: its kernel does that."""
    return how == "power" or "/" not in target or entry["client"] != "udp"


def _predicted(
    plan: Plan, loads: Mapping[str, Loads], scenario: Scenario | None
) -> dict[str, list[dict[str, object]]]:
    """How recovery from the scenario's own faults spreads, under the names of their bounds. By
    hand nobody knows yet what will be broken."""
    regions = {region.name for region in plan.topology.regions}
    steps = scenario.steps if scenario else ()
    broken = dict.fromkeys(
        (step.how, step.target[0])
        for step in steps
        if isinstance(step, Kill) and len(step.target) == 1 and not (step.peers or step.settings)
    )
    return {
        f"{how} {target}": _spread(plan, how, target, loads)
        for how, target in broken
        if target.removesuffix("/edge") in regions
    }


def _spread(
    plan: Plan, how: str, target: str, loads: Mapping[str, Loads]
) -> list[dict[str, object]]:
    entries: list[dict[str, object]] = [
        {"city": p.city, "client": p.client, "seconds": _evenly(p.seconds)}
        for p in predict(plan, how, target.removesuffix("/edge"), loads)
    ]
    return [entry for entry in entries if _is_hit(entry, how, target)]


def _evenly(seconds: Sequence[float]) -> list[float]:
    """So many of the values as a header should hold, the first and the last among them."""
    last = len(seconds) - 1
    wanted = sorted({round(n * last / (PREDICTED_VALUES - 1)) for n in range(PREDICTED_VALUES)})
    return [round(seconds[n], 3) for n in wanted]


def _environment(lab: Lab) -> dict[str, str]:
    kernel = {
        name: value
        for host in lab.plan.hosts
        if host.role == "client"
        for name, value in host.sysctls.items()
    }
    return {
        "netemu": __version__,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "wan": _wan(lab),
        "wan_seed": str(SEED),
        "congestion_control": CONGESTION,
        "clock": "CLOCK_MONOTONIC of the lab's kernel",
        **kernel,
    }


def _wan(lab: Lab) -> str:
    """What moves the packets, as it is there: the wire falls back to plain Python by itself."""
    mover = lab.wan.stats()["wire"].get("mover")
    return DESCRIPTIONS[lab.plan.topology.driver] + (f", {mover}" if mover else "")
