"""Who asks: from an address or a client subnet to the site it belongs to.

Addresses are numbers here. The sites' prefixes cut each family's whole range into stretches that
belong to one site (or to nobody), so one binary search finds a site, and the ends of the stretch
tell how long a prefix an answer holds for.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Self

from emulator.node.dns.config import Service, Site
from emulator.node.dns.policy import is_sticky
from emulator.node.dns.values import Asker

Network = IPv4Network | IPv6Network

NETWORK_BITS = {32: 24, 128: 56}  # what RFC 7871, 11.1, lets a resolver tell of a client
FOUND_MAX = 4096  # askers kept, about 2 MB: a flood of invented sources costs time, not memory

_MAPPED = "::ffff:"  # an IPv4 client of a socket that takes both families


class Askers:
    """All sites, ready to be searched. `find` and `find_network` remember whom they found."""

    find: Callable[[str], Asker]
    find_network: Callable[[Network], Asker]

    def __init__(self, sites: Sequence[Site], *, is_sticky: bool) -> None:
        self._sites = {site.name: site for site in sites}
        self._is_sticky = is_sticky
        prefixes = [(ip_network(p), site.name) for site in sites for p in site.prefixes]
        self._families = {bits: _Family.of(bits, prefixes) for bits in NETWORK_BITS}
        self.find = lru_cache(FOUND_MAX)(self._find)
        self.find_network = lru_cache(FOUND_MAX)(self._find_network)

    @classmethod
    def of(cls, sites: Sequence[Site], services: Iterable[Service]) -> Self:
        """ValueError: a prefix is none. Where any service is sticky, every scope is as long as
        the network, since that is what its answers depend on."""
        return cls(sites, is_sticky=any(is_sticky(service.policy) for service in services))

    def _find(self, source: str) -> Asker:
        """The asker at an address; ValueError: it is none."""
        address, bits = _parse(source)
        return self._asker(address, bits, bits)

    def _find_network(self, network: Network) -> Asker:
        """The asker behind a client subnet.

        The longest of our prefixes that holds all of it decides. A subnet that no prefix holds
        but that holds prefixes of one single site is that site's: whoever is known in it is there.
        With several sites in it, it is a stranger's. Where a subnet spans what gets different
        answers, the scope is longer than the subnet, as RFC 7871, 7.2.1, has it.
        """
        return self._asker(int(network.network_address), network.prefixlen, network.max_prefixlen)

    def _asker(self, address: int, length: int, bits: int) -> Asker:
        family = self._families[bits]
        first = address >> (bits - length) << (bits - length)
        last = first | ((1 << (bits - length)) - 1)
        name, scope = family.place(first, last, length)
        kept = min(length, max(NETWORK_BITS[bits], family.longest(first, length)))
        if self._is_sticky:
            scope = max(scope, kept)
        site = self._sites.get(name)
        network = f"{_format(first >> (bits - kept) << (bits - kept), bits)}/{kept}"
        if site is None:
            return Asker("", network, scope, {}, {})
        return Asker(name, network, scope, site.rtt_ms, site.distance_km)


@dataclass(frozen=True, slots=True)
class _Family:
    """One address family cut into stretches: `starts[i]` up to the next start is `names[i]`'s."""

    bits: int
    starts: tuple[int, ...]  # the first is 0
    names: tuple[str, ...]  # "": nobody's; no two alike beside each other
    prefixes: dict[int, dict[int, str]]  # length -> upper bits -> site; lengths falling

    @classmethod
    def of(cls, bits: int, prefixes: Iterable[tuple[Network, str]]) -> Self:
        ours: dict[int, dict[int, str]] = {}
        for network, name in prefixes:
            if network.max_prefixlen == bits:
                upper = int(network.network_address) >> (bits - network.prefixlen)
                ours.setdefault(network.prefixlen, {}).setdefault(upper, name)
        table = dict(sorted(ours.items(), reverse=True))
        starts, names = zip(*_stretches(bits, table), strict=True)
        return cls(bits, starts, names, table)

    def place(self, first: int, last: int, length: int) -> tuple[str, int]:
        """The site of a network, and the shortest prefix length that holds nobody else."""
        low = bisect_right(self.starts, first) - 1
        high = bisect_right(self.starts, last, lo=low) - 1
        if low == high:
            return self.names[low], self._scope(first, low)
        inside = set(self.names[low : high + 1]) - {""}
        alone = inside.pop() if len(inside) == 1 else ""
        holder = next((name for _, name in self._holders(first, length)), alone)
        edges = [(first, low), *((self.starts[i], i) for i in range(low + 1, high + 1))]
        return holder, max(self._scope(address, i) for address, i in edges)

    def longest(self, first: int, length: int) -> int:
        """The length of the longest prefix that holds a network; 0: nobody's."""
        return next((held for held, _ in self._holders(first, length)), 0)

    def _holders(self, first: int, length: int) -> Iterator[tuple[int, str]]:
        for held, names in self.prefixes.items():
            if held <= length and (name := names.get(first >> (self.bits - held))) is not None:
                yield held, name

    def _scope(self, address: int, index: int) -> int:
        """The shortest prefix of `address` that leaves out both neighbours of its stretch."""
        outside = []
        if index:
            outside.append(self.starts[index] - 1)
        if index + 1 < len(self.starts):
            outside.append(self.starts[index + 1])
        return max((self.bits + 1 - (address ^ other).bit_length() for other in outside), default=0)


def _stretches(bits: int, prefixes: dict[int, dict[int, str]]) -> Iterator[tuple[int, str]]:
    """Where the site changes, from 0 up; the longest prefix that holds an address decides."""
    edges = {0}
    for length, names in prefixes.items():
        size = 1 << (bits - length)
        edges.update(edge for upper in names for edge in (upper * size, (upper + 1) * size))
    before = None
    for edge in sorted(edges - {1 << bits}):
        found = (names.get(edge >> (bits - length)) for length, names in prefixes.items())
        name = next((name for name in found if name is not None), "")
        if name != before:
            yield edge, name
        before = name


def _parse(text: str) -> tuple[int, int]:
    """An address as a number, and its family's bits. ValueError: no address."""
    text = text.partition("%")[0].lower()  # without a link-local address's interface
    if text.startswith(_MAPPED) and "." in text:
        text = text.removeprefix(_MAPPED)
    family, bits = (AF_INET6, 128) if ":" in text else (AF_INET, 32)
    try:
        return int.from_bytes(inet_pton(family, text)), bits
    except OSError as error:
        raise ValueError(f"{text} is no address") from error


def _format(address: int, bits: int) -> str:
    return inet_ntop(AF_INET if bits == 32 else AF_INET6, address.to_bytes(bits // 8))
