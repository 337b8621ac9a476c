"""What a fault is, and the questions that several of them ask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol

from emulator.controller.lab import Lab
from emulator.wan.base import FaultRecord


class FaultType(Protocol):
    """Inject returns t0, heal the instant *healed*; both on the lab's clock, in ns."""

    kind: ClassVar[str]

    def inject(self, lab: Lab, fault: FaultRecord) -> int: ...

    def heal(self, lab: Lab, fault: FaultRecord) -> int: ...


def held_by_others(lab: Lab, fault: FaultRecord, kinds: Iterable[str]) -> set[str]:
    """Hosts that another active fault of these kinds holds down as well."""
    wanted = set(kinds)
    return {
        host
        for other in lab.wan.journal()
        if other.id != fault.id and other.kind in wanted
        for host in other.hosts
    }


def site_numbers(lab: Lab) -> dict[str, int]:
    """Site name -> its number on the WAN."""
    return {site.name: site.number for site in lab.plan.sites}


def paths_between(
    lab: Lab, one_side: Iterable[str], other_side: Iterable[str]
) -> list[tuple[int, int]]:
    """Ordered pairs of site numbers from one side to the other."""
    numbers = site_numbers(lab)
    return [(numbers[a], numbers[b]) for a in one_side for b in other_side if a != b]


def paths_of(lab: Lab, sites: Iterable[str]) -> list[tuple[int, int]]:
    """Every path that starts or ends at one of these sites."""
    chosen = list(sites)
    everyone = [site.name for site in lab.plan.sites]
    pairs = paths_between(lab, chosen, everyone) + paths_between(lab, everyone, chosen)
    return list(dict.fromkeys(pairs))


def lan_hosts(lab: Lab, hosts: Iterable[str]) -> list[str]:
    """Those that have a LAN port, which can be cut there."""
    return [h for h in hosts if any(i.name == "lan0" for i in lab.spec(h).interfaces)]


def wan_sites(lab: Lab, hosts: Iterable[str]) -> list[str]:
    """Sites whose router is among these hosts: cutting the router cuts the site's paths."""
    chosen = set(hosts)
    return [site.name for site in lab.plan.sites if site.hosts[0] in chosen]
