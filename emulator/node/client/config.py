"""What the plan tells a city's client: a JSON file, read once."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from emulator.clock import NS_PER_S

UDP_PORT = 20001  # first of the fixed source ports; below the kernel's range of ephemeral ones


@dataclass(frozen=True, slots=True)
class Config:
    """Timeouts in ns, rates in requests a second by kind, regions as address prefixes."""

    city: str
    resolver: tuple[str, int]
    fqdn: str
    port: int
    echo_port: int
    prefixes: tuple[tuple[str, ipaddress.IPv4Network], ...]
    lookup_ns: int
    connect_ns: int
    response_ns: int
    rates: Mapping[str, float]
    udp_port: int = UDP_PORT
    _seen: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """KeyError, ValueError: the file is not what the plan would write."""
        service, timeouts = data["service"], data["timeouts"]
        return cls(
            city=data["city"],
            resolver=(data["resolver"][0], data["resolver"][1]),
            fqdn=service["fqdn"],
            port=service["port"],
            echo_port=service["echo_port"],
            prefixes=tuple(
                (region, ipaddress.IPv4Network(prefix))
                for region, prefixes in data["regions"].items()
                for prefix in prefixes
            ),
            lookup_ns=round(timeouts["lookup_s"] * NS_PER_S),
            connect_ns=round(timeouts["connect_s"] * NS_PER_S),
            response_ns=round(timeouts["response_s"] * NS_PER_S),
            rates=data["rates"],
            udp_port=data.get("udp_port", UDP_PORT),
        )

    @property
    def host(self) -> str:
        """The Host header: with the port where it is not HTTP's own."""
        return self.fqdn if self.port == 80 else f"{self.fqdn}:{self.port}"

    def region_of(self, address: str) -> str:
        """The region whose prefix holds the address, "" if none does."""
        if address not in self._seen:
            ip = ipaddress.IPv4Address(address)
            found = (region for region, prefix in self.prefixes if ip in prefix)
            self._seen[address] = next(found, "")
        return self._seen[address]
