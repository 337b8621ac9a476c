"""What the plan tells a city's client: a JSON file, read once."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from emulator.clock import NS_PER_S
from emulator.node.client.cache import NO_CACHE, TTL_CACHE
from emulator.node.client.schedule import KINDS

MOST_PER_S = 1000  # of one kind; five times what a whole city is asked for
MOST_CONNECTIONS = 1000  # of one kind; far fewer than a process may have descriptors
UDP_PORT = 20001  # first of the fixed source ports; below the kernel's range of ephemeral ones


@dataclass(frozen=True, slots=True)
class Load:
    """What one kind of client does. The kind `stream` has so many connections, `keepalive` at
    least so many; None: as needed. `cache_s` and `negative_s` as `cache.Cache.keep` takes them."""

    rate: float = 0.0  # requests/s
    connections: int | None = None
    cache_s: float | None = NO_CACHE
    negative_s: float | None = 0.0  # a failed lookup is believed for so long
    lifetime_s: float | None = None  # of a keepalive connection; None: as long as it lives


def loads_from_json(data: Mapping[str, Mapping[str, Any]]) -> dict[str, Load]:
    """{"http": {"rate": 80, "connections": null, "cache_s": 0}}; what is not said has its default.

    ValueError, TypeError, AttributeError: no such loads.
    """
    if unknown := data.keys() - set(KINDS):
        raise ValueError(f"no such kind: {', '.join(sorted(unknown))}")
    loads = {kind: Load(**load) for kind, load in data.items()}
    for load in loads.values():
        if not 0 <= load.rate <= MOST_PER_S:
            raise ValueError(f"a rate is between 0 and {MOST_PER_S} requests/s")
        if load.connections is not None and not 0 < load.connections <= MOST_CONNECTIONS:
            raise ValueError(f"connections are 1 to {MOST_CONNECTIONS}")
        if load.cache_s is not None and not (load.cache_s >= 0 or load.cache_s == TTL_CACHE):
            raise ValueError(f"{load.cache_s} s is no time to hold an answer")
        if load.negative_s is not None and not load.negative_s >= 0:
            raise ValueError(f"{load.negative_s} s is no time to believe a failure")
        if load.lifetime_s is not None and not load.lifetime_s > 0:
            raise ValueError(f"{load.lifetime_s} s is no life of a connection")
    return loads


@dataclass(frozen=True, slots=True)
class Config:
    """Timeouts in ns, loads by kind, regions as address prefixes."""

    city: str
    asks: tuple[tuple[str, int], ...]  # DNS servers, in the order in which they are tried
    fqdn: str
    port: int
    path: str  # of every HTTP request
    echo_port: int
    prefixes: tuple[tuple[str, ipaddress.IPv4Network], ...]
    lookup_ns: int
    connect_ns: int
    response_ns: int
    loads: Mapping[str, Load]
    udp_port: int = UDP_PORT
    root: str = ""  # file of the certificate that https is trusted by; "": the service has none
    _seen: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """KeyError, ValueError: the file is not what the plan would write."""
        service, timeouts = data["service"], data["timeouts"]
        return cls(
            city=data["city"],
            asks=tuple((address, port) for address, port in data["asks"]),
            fqdn=service["fqdn"],
            port=service["port"],
            path=service["path"],
            echo_port=service["echo_port"],
            prefixes=tuple(
                (region, ipaddress.IPv4Network(prefix))
                for region, prefixes in data["regions"].items()
                for prefix in prefixes
            ),
            lookup_ns=round(timeouts["lookup_s"] * NS_PER_S),
            connect_ns=round(timeouts["connect_s"] * NS_PER_S),
            response_ns=round(timeouts["response_s"] * NS_PER_S),
            loads=loads_from_json(data["loads"]),
            udp_port=data.get("udp_port", UDP_PORT),
            root=service.get("root", ""),
        )

    @property
    def host(self) -> str:
        """The Host header: with the port where it is not the scheme's own."""
        return self.fqdn if self.port == (443 if self.root else 80) else f"{self.fqdn}:{self.port}"

    def region_of(self, address: str) -> str:
        """The region whose prefix holds the address, "" if none does."""
        if address not in self._seen:
            ip = ipaddress.IPv4Address(address)
            found = (region for region, prefix in self.prefixes if ip in prefix)
            self._seen[address] = next(found, "")
        return self._seen[address]
