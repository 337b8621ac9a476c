"""The name server's configuration, as the plan renders it into one JSON file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from emulator.errors import UsageError

Endpoint = tuple[str, int]

TCP_IDLE_S = 10.0  # RFC 7766, 6.2.3: "on the order of seconds"


@dataclass(frozen=True, slots=True)
class Region:
    """Where a region serves one service, and where its health is asked."""

    address: str
    health: Endpoint


@dataclass(frozen=True, slots=True)
class Service:
    """One name that moves between regions. `interval_s` and `timeout_s` are of the checks."""

    name: str
    fqdn: str
    ttl_s: int
    interval_s: float
    timeout_s: float
    fall: int
    rise: int
    regions: Mapping[str, Region]

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        regions = {
            name: Region(region["address"], (region["health"][0], int(region["health"][1])))
            for name, region in data["regions"].items()
        }
        return cls(**{**data, "regions": regions})

    def __post_init__(self) -> None:
        if not 0 < self.timeout_s <= self.interval_s:
            raise ValueError(f"{self.fqdn}: timeout_s must be above 0 and at most interval_s")
        if self.fall < 1 or self.rise < 1 or not self.regions:
            raise ValueError(f"{self.fqdn}: needs fall >= 1, rise >= 1 and a region")


@dataclass(frozen=True, slots=True)
class Site:
    """The source addresses of one place, and its regions with their round-trip times in ms."""

    name: str
    prefixes: tuple[str, ...]
    order: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Config:
    """All that one name server knows at its start."""

    server: str
    zone: str
    listen: tuple[str, ...]
    port: int
    name_servers: Mapping[str, str]  # name inside the zone -> address
    services: tuple[Service, ...]
    sites: tuple[Site, ...]
    default_order: tuple[str, ...]
    tcp_idle_s: float = TCP_IDLE_S

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        return cls(
            server=data["server"],
            zone=data["zone"],
            listen=tuple(data["listen"]),
            port=int(data["port"]),
            name_servers=dict(data["name_servers"]),
            services=tuple(Service.from_json(service) for service in data["services"]),
            sites=tuple(
                Site(
                    site["name"],
                    tuple(site["prefixes"]),
                    tuple((region, float(rtt_ms)) for region, rtt_ms in site["order"]),
                )
                for site in data["sites"]
            ),
            default_order=tuple(data["default_order"]),
            tcp_idle_s=float(data.get("tcp_idle_s", TCP_IDLE_S)),
        )


def load_config(path: Path) -> Config:
    """The configuration in `path`; UsageError names the file and what is wrong with it."""
    try:
        return Config.from_json(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"cannot read the configuration {path}: {error.strerror}") from error
    except KeyError as error:
        raise UsageError(f"the configuration {path} lacks {error}") from error
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        raise UsageError(f"the configuration {path} is not valid: {error}") from error
