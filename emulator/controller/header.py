"""The first line of a history: what the analysis must know of the lab, and of this machine."""

from __future__ import annotations

import platform
from dataclasses import asdict
from datetime import UTC, datetime

from emulator import __version__
from emulator.controller.lab import Lab
from emulator.events import Run
from emulator.plan.bounds import bounds
from emulator.plan.model import PathSpec, Plan, SiteSpec
from emulator.plan.wiring import CONGESTION
from emulator.scenario.model import FAULT_KINDS, Objective


def make_header(
    lab: Lab,
    seed: int,
    scenario: str,
    command: str,
    rates: dict[str, float],
    objectives: tuple[Objective, ...] = (),
) -> Run:
    """Everything about a run that is known before it begins."""
    plan = lab.plan
    return Run(
        t=lab.wan.now_ns(),
        wall=datetime.now(UTC).isoformat(timespec="seconds"),
        seed=seed,
        lab=plan.lab,
        scenario=scenario,
        command=command,
        environment=_environment(lab),
        sites=[_site(site) for site in plan.sites],
        services=[asdict(service) for service in plan.services],
        paths=_paths(lab),
        preferred={city: list(regions) for city, regions in plan.preferred.items()},
        bounds=_bounds(plan, rates),
        timeouts={city.name: asdict(city.timeouts) for city in plan.topology.cities},
        objectives=[asdict(objective) for objective in objectives],
        rates=rates,
    )


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


def _bounds(plan: Plan, rates: dict[str, float]) -> dict[str, list[dict[str, object]]]:
    """Predictions for a fault on each region: "power us-east" -> one entry a city and kind."""
    return {
        f"{kind} {region.name}": [asdict(bound) for bound in bounds(plan, kind, region.name, rates)]
        for kind in FAULT_KINDS
        for region in plan.topology.regions
    }


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
        "wan": "user-space wire (AF_PACKET)",
        "congestion_control": CONGESTION,
        "clock": "CLOCK_MONOTONIC of the lab's kernel",
        **kernel,
    }
