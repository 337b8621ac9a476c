"""How long paths take now, one way: hosts' datagrams that carry the clock they share."""

from __future__ import annotations

from collections.abc import Mapping

from emulator.clock import NS_PER_S, Clock
from emulator.impairment import Impairment
from emulator.plan.model import Plan
from emulator.wan.base import Wan

PROBES = 5  # over each path; the least counts
SLACK_S = 0.05  # until the last of them was surely heard of, beside its delay
# A delay that is drawn without bound is waited for so many standard deviations.
_DEVIATIONS = 4
Path = tuple[str, str]  # names of its source and its target
Delays = dict[Path, int]  # ns


def measure(
    plan: Plan,
    wan: Wan,
    paths: Mapping[Path, Impairment],
    clock: Clock,
    timeout_s: float = 5.0,
) -> Delays:
    """The least one-way delay over each of these paths, waited for as long as they are set to
    take; those over which nothing arrived are left out."""
    routers = {site.name: site.hosts[0] for site in plan.sites}
    addresses = {site.name: site.wan_address for site in plan.sites}
    targets: dict[str, list[str]] = {}
    for source, target in paths:
        targets.setdefault(source, []).append(target)
    hearing = dict.fromkeys(target for _, target in paths)
    wan.hosts({routers[site]: ("probe_listen", {}) for site in hearing}, timeout_s)
    wan.hosts(
        {
            routers[source]: (
                "probe_send",
                {"targets": [addresses[target] for target in several], "count": PROBES},
            )
            for source, several in targets.items()
        },
        timeout_s,
    )
    clock.sleep(max((_longest_ns(path) for path in paths.values()), default=0) / NS_PER_S + SLACK_S)
    answers = wan.hosts({routers[site]: ("probe_report", {}) for site in hearing}, timeout_s)
    by_address = {address: name for name, address in addresses.items()}
    seen = {
        (by_address[address], site): minimum
        for site in hearing
        for address, minimum in answers[routers[site]].get("minimum_ns", {}).items()
    }
    return {path: minimum for path, minimum in seen.items() if path in paths}


def _longest_ns(path: Impairment) -> int:
    is_bounded = path.distribution == "uniform"
    return path.delay_ns + path.jitter_ns * (1 if is_bounded else _DEVIATIONS)
