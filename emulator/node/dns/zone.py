"""The zone's names and records. Only the regions behind a service's name ever change.

A name is a tuple of lower-case labels, so that DNS's case-insensitive match is `==`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from dnslib import NS, QTYPE, RD, SOA, A

from emulator.node.dns.config import Config, Service

Name = tuple[bytes, ...]

NS_TTL_S = SOA_TTL_S = 300  # static while a lab lives
NEGATIVE_TTL_S = 60  # SOA MINIMUM; RFC 2308: a negative answer lives for min(this, the SOA's TTL)
REFRESH_S, RETRY_S, EXPIRE_S = 3600, 600, 86400  # for secondaries; there are none


def parse_name(text: str) -> Name:
    """`www.shop.test` or `www.shop.test.` as labels. ValueError for a name DNS cannot carry."""
    labels = tuple(label.encode("ascii") for label in text.lower().rstrip(".").split("."))
    too_long = sum(len(label) + 1 for label in labels) + 1 > 255
    if too_long or any(not 1 <= len(label) <= 63 for label in labels):
        raise ValueError(f"{text!r} is not a domain name")
    return labels


@dataclass(frozen=True, slots=True)
class Zone:
    """What this server is authoritative for."""

    origin: Name
    primary: Name
    name_servers: Mapping[Name, tuple[str, ...]]
    services: Mapping[Name, Service]
    names: frozenset[Name]  # every name that exists, with those that only have names below them

    @classmethod
    def of(cls, config: Config) -> Self:
        """The zone of a configuration; ValueError where its names clash or lie outside."""
        origin = parse_name(config.zone)
        servers = {parse_name(f"{n}.{config.zone}"): a for n, a in config.name_servers.items()}
        named = [(parse_name(f), service) for service in config.services for f in service.fqdns]
        services = dict(named)
        outside = [name for name in services if name[-len(origin) :] != origin]
        if outside or servers.keys() & services.keys() or len(services) < len(named):
            raise ValueError("a service's name is outside the zone, or is used twice")
        if not servers:
            raise ValueError("a zone needs a name server")
        names = {parent for name in (*servers, *services) for parent in _up_to(origin, name)}
        return cls(origin, next(iter(servers)), servers, services, frozenset(names))

    def holds(self, name: Name) -> bool:
        """Is the name at or below the zone's apex?"""
        return name[-len(self.origin) :] == self.origin

    def soa(self, serial: int) -> RD:
        times = (serial, REFRESH_S, RETRY_S, EXPIRE_S, NEGATIVE_TTL_S)
        return SOA(self.primary, (b"hostmaster", *self.origin), times)

    def static(self, name: Name, qtype: int, serial: int) -> tuple[list[RD], int]:
        """The records of a name that no routing moves, with their TTL in seconds."""
        if name == self.origin and qtype == QTYPE.SOA:
            return [self.soa(serial)], SOA_TTL_S
        if name == self.origin and qtype == QTYPE.NS:
            return [NS(server) for server in self.name_servers], NS_TTL_S
        if name in self.name_servers and qtype == QTYPE.A:
            return [A(a) for a in self.name_servers[name] if ":" not in a], NS_TTL_S
        return [], 0


def _up_to(origin: Name, name: Name) -> Iterator[Name]:
    """The name itself and every name above it, up to the apex."""
    return (name[cut:] for cut in range(len(name) - len(origin) + 1))
