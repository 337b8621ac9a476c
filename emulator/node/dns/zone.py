"""The zone's names and records. Only the regions behind a service's name ever change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self

from emulator.node.dns.config import Config, Service
from emulator.node.dns.records import (
    ASKED,
    TYPE_A,
    TYPE_AAAA,
    TYPE_ANY,
    TYPE_NS,
    TYPE_SOA,
    Name,
    Record,
)

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


def address_records(addresses: Iterable[str], qtype: int, ttl_s: int) -> tuple[Record, ...]:
    """The answer to a question for one family's addresses: those of it, in their order. None of
    them is of any other type; "" is no address."""
    if qtype not in (TYPE_A, TYPE_AAAA):
        return ()
    family = [a for a in addresses if a and (":" in a) == (qtype == TYPE_AAAA)]
    return tuple(Record(ASKED, qtype, ttl_s, (address,)) for address in family)


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

    def soa(self, serial: int, ttl_s: int = SOA_TTL_S) -> Record:
        times = (serial, REFRESH_S, RETRY_S, EXPIRE_S, NEGATIVE_TTL_S)
        return Record(
            self.origin, TYPE_SOA, ttl_s, (self.primary, (b"hostmaster", *self.origin), times)
        )

    def negative_soa(self, serial: int) -> Record:
        """What says that there is nothing, and for how long that may be kept (RFC 2308, 5)."""
        return self.soa(serial, min(SOA_TTL_S, NEGATIVE_TTL_S))

    def static(self, name: Name, qtype: int, serial: int) -> tuple[Record, ...]:
        """The records of a name that no routing moves. ANY: one kind of those there are."""
        if qtype == TYPE_ANY:
            kinds = (TYPE_A, TYPE_AAAA, TYPE_SOA, TYPE_NS)
            return next(filter(None, (self.static(name, kind, serial) for kind in kinds)), ())
        if name == self.origin and qtype == TYPE_SOA:
            return (self.soa(serial),)
        if name == self.origin and qtype == TYPE_NS:
            servers = self.name_servers
            return tuple(Record(self.origin, TYPE_NS, NS_TTL_S, (server,)) for server in servers)
        return address_records(self.name_servers.get(name, ()), qtype, NS_TTL_S)

    def glue(self) -> tuple[Record, ...]:
        """The addresses behind the name servers' names, both families."""
        return tuple(
            Record(name, TYPE_AAAA if ":" in address else TYPE_A, NS_TTL_S, (address,))
            for name, addresses in self.name_servers.items()
            for address in addresses
        )


def _up_to(origin: Name, name: Name) -> Iterator[Name]:
    """The name itself and every name above it, up to the apex."""
    return (name[cut:] for cut in range(len(name) - len(origin) + 1))
