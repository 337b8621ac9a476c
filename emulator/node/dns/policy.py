"""Which regions an answer names: the nearest to the asking resolver that is not DOWN."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Self

from emulator.node.dns.config import Site

Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class LatencyPolicy:
    """Regions by round-trip time from the site that a source address belongs to."""

    sites: tuple[tuple[Network, tuple[str, ...]], ...]  # longest prefix first
    default: tuple[str, ...]

    @classmethod
    def of(cls, sites: Iterable[Site], default: tuple[str, ...]) -> Self:
        table = [
            (ip_network(prefix), tuple(sorted(site.rtt_ms, key=site.rtt_ms.__getitem__)))
            for site in sites
            for prefix in site.prefixes
        ]
        table.sort(key=lambda entry: entry[0].prefixlen, reverse=True)
        return cls(tuple(table), default)

    def order(self, source: str) -> tuple[str, ...]:
        """Regions, nearest first, for a resolver at `source`; the default for a stranger."""
        address = ip_address(source)
        return next((order for network, order in self.sites if address in network), self.default)


def choose(order: tuple[str, ...], up: Collection[str]) -> tuple[str, ...]:
    """The regions to name: the nearest that is up; all of them when none is.

    Naming all when all are DOWN fails open: the checks may be what is broken.
    """
    return next(((region,) for region in order if region in up), order)
