"""What a name server holds, as JSON for a person's eyes: the `/state` of its admin interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from emulator.node.dns.quorum import RegionHealth
from emulator.node.dns.values import RegionState, ServiceState


def service_view(
    state: ServiceState, health: Mapping[str, RegionHealth], untils: Mapping[str, int | None]
) -> dict[str, Any]:
    """One service; `untils`: the ends of its forced states, by region."""
    regions = {
        region: region_view(is_in, health[region]) | {"until": untils.get(region)}
        for region, is_in in state.regions.items()
    }
    return {"ttl": state.ttl_s, "ttl_because": state.ttl_because, "regions": regions}


def region_view(state: RegionState, health: RegionHealth) -> dict[str, Any]:
    """One region: the verdict beside what overrides it, and the opinions it comes from. `since`
    and `held_until` are None where there was no verdict, or no hold; a hold may be over."""
    opinions = {
        checker: {
            "health": opinion.health.state,
            "good_in_a_row": opinion.health.good,
            "failures": opinion.health.failures,
            "last_check": asdict(opinion.checked) if opinion.checked else None,
        }
        for checker, opinion in health.opinions.items()
    }
    checks = [opinion.checked for opinion in health.opinions.values() if opinion.checked]
    last = max(checks, key=lambda checked: checked.end_ns, default=None)
    return {
        "health": state.health,
        "since": health.since_ns or None,
        "reason": health.reason,
        "held_until": health.held_until_ns or None,
        "flaps": health.flaps,
        "forced": state.forced,
        "share": state.share,
        "last_check": asdict(last) if last else None,
        "opinions": opinions,
    }
