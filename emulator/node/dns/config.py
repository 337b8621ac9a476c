"""The name server's configuration, as the plan renders it into one JSON file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar, get_args

from emulator.errors import UsageError
from emulator.steering import AllDown, CheckKind, Policy, PolicyKind

Endpoint = tuple[str, int]
T = TypeVar("T")

TCP_IDLE_S = 10.0  # RFC 7766, 6.2.3: "on the order of seconds"
STATE_FILE = "/var/lib/netemu/forced.json"  # forced states outlive a restart of the host


@dataclass(frozen=True, slots=True)
class Region:
    """Where a region serves one service, by family ("": not at all), and where its health is
    asked."""

    address: str
    health: Endpoint
    address6: str = ""


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How a region is checked, and when its state changes. `clear` None: `fall` failures in a row
    are DOWN; a number: `fall` failures, unless so many good checks in a row came between (gdnsd's
    ok_thresh). DOWN lasts for `hold_down_s` at least."""

    kind: CheckKind
    interval_s: float
    timeout_s: float
    fall: int
    rise: int
    clear: int | None = None
    hold_down_s: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.timeout_s <= self.interval_s:
            raise ValueError("timeout_s must be above 0 and at most interval_s")
        if self.fall < 1 or self.rise < 1 or (self.clear is not None and self.clear < 1):
            raise ValueError("fall, rise and clear are 1 at least")
        if self.hold_down_s < 0:
            raise ValueError("hold_down_s is 0 at least")


@dataclass(frozen=True, slots=True)
class Service:
    """Names that move between regions together."""

    name: str
    fqdns: tuple[str, ...]  # the first is its own, the others are aliases
    ttl_s: int
    policy: Policy
    regions: Mapping[str, Region]
    check: HealthCheck
    degraded_ttl_s: int | None = None  # while not every region is well; None: as ever
    all_down: AllDown = "all"
    ecs: bool = True  # a query's client subnet counts, not its sender
    ramp_s: float = 0.0  # a region that comes back is given to more and more, for so long
    checkers: tuple[str, ...] = ()  # sites whose checks count; (): this server's own
    quorum: float = 0.5  # a region is UP while more than this share of the checkers say so

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        regions = {
            name: Region(
                region["address"],
                (region["health"][0], int(region["health"][1])),
                region.get("address6", ""),
            )
            for name, region in data["regions"].items()
        }
        return cls(
            **{
                **data,
                "fqdns": tuple(data["fqdns"]),
                "policy": Policy.from_json(data["policy"]),
                "check": HealthCheck(**data["check"]),
                "checkers": tuple(data.get("checkers", ())),
                "regions": regions,
            }
        )

    def __post_init__(self) -> None:
        if not self.regions or not self.fqdns:
            raise ValueError(f"{self.name}: needs a name and a region")
        if not set(self.policy.regions()) <= set(self.regions):
            raise ValueError(f"{self.name}: its policy names a region that does not have it")
        if not 0 <= self.quorum < 1 or self.ramp_s < 0:
            raise ValueError(f"{self.name}: quorum is in [0, 1), ramp_s is 0 at least")
        _check_policy(self.policy)


def _check_policy(policy: Policy) -> None:
    """An answer is too late to find out."""
    kind, size = policy.kind, len(policy.members)
    if kind not in get_args(PolicyKind):
        raise ValueError(f"there is no policy {kind!r}")
    if not size or policy.count < 1:
        raise ValueError(f"a policy ({kind}) has no members")
    if len(policy.weights) not in (0, size) or min(policy.weights, default=0) < 0:
        raise ValueError(f"a policy ({kind}) needs one weight a member, 0 at least")
    if not {index for area in policy.areas.values() for index in area} <= set(range(size)):
        raise ValueError(f"an area of a policy ({kind}) has a member that is not there")
    for member in policy.members:
        if isinstance(member, Policy):
            _check_policy(member)


@dataclass(frozen=True, slots=True)
class Site:
    """The source addresses of one place, and how far its regions are."""

    name: str
    prefixes: tuple[str, ...]
    rtt_ms: Mapping[str, float]
    distance_km: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Config:
    """All that one name server knows at its start."""

    server: str
    zone: str
    listen: tuple[str, ...]
    port: int
    name_servers: Mapping[str, tuple[str, ...]]  # name inside the zone -> addresses, both families
    services: tuple[Service, ...]
    sites: tuple[Site, ...]
    seed: int = 0  # of the draws
    tcp_idle_s: float = TCP_IDLE_S
    admin: Endpoint = ("127.0.0.1", 9153)  # metrics, state and explanations over HTTP
    reports: Endpoint | None = None  # where vantage sites send what they saw, UDP
    state_file: str = STATE_FILE

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        plain = ("seed", "tcp_idle_s", "state_file")
        known: dict[str, Any] = {key: data[key] for key in plain if key in data}
        endpoints: dict[str, Any] = {
            key: (data[key][0], int(data[key][1])) for key in ("admin", "reports") if data.get(key)
        }
        return cls(
            server=data["server"],
            zone=data["zone"],
            listen=tuple(data["listen"]),
            port=int(data["port"]),
            name_servers={name: tuple(a) for name, a in data["name_servers"].items()},
            services=tuple(Service.from_json(service) for service in data["services"]),
            sites=tuple(
                Site(site["name"], tuple(site["prefixes"]), site["rtt_ms"], site["distance_km"])
                for site in data["sites"]
            ),
            **known,
            **endpoints,
        )


def load_config(path: Path) -> Config:
    """The name server's configuration in `path`; UsageError as `read_config`."""
    return read_config(path, Config.from_json)


def read_config(path: Path, parse: Callable[[Mapping[str, Any]], T]) -> T:
    """What `parse` makes of the JSON in `path`; UsageError names the file and what is wrong."""
    try:
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"cannot read the configuration {path}: {error.strerror}") from error
    except KeyError as error:
        raise UsageError(f"the configuration {path} lacks {error}") from error
    except (ValueError, TypeError, IndexError, AttributeError) as error:
        raise UsageError(f"the configuration {path} is not valid: {error}") from error
