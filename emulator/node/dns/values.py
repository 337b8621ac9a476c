"""What the parts of the name server hand to each other. Nothing here does anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from emulator.steering import ForcedState, Weighing

State = Literal["UNKNOWN", "UP", "DOWN"]
Transport = Literal["udp", "tcp"]
Draw = Callable[[], float]  # the next of a seeded sequence in [0, 1)


@dataclass(frozen=True, slots=True)
class Checked:
    """The outcome of one health check; instants in ns of the lab's clock."""

    start_ns: int
    end_ns: int
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class RegionState:
    """What one name server holds about one region of one service, now."""

    health: State = "UNKNOWN"  # UNKNOWN is answered as UP: nothing speaks against the region yet
    forced: ForcedState | None = None  # overrides `health`
    share: float = 1.0  # of the draws that may be given it: below 1 while it ramps up

    @property
    def is_offered(self) -> bool:
        """May answers name it, by its health or in spite of it?"""
        return self.forced == "up" if self.forced else self.health != "DOWN"


@dataclass(frozen=True, slots=True)
class ServiceState:
    """What answers for one service follow until the next change."""

    regions: Mapping[str, RegionState]
    ttl_s: int
    ttl_because: str = ""  # "while degraded: eu-west is DOWN"


@dataclass(frozen=True, slots=True)
class Routing:
    """All of it. Never changed, only replaced as a whole, with a higher serial each time."""

    serial: int  # of the SOA
    services: Mapping[str, ServiceState]


@dataclass(frozen=True, slots=True)
class Asker:
    """Whom an answer is for, as far as a policy can tell: all addresses of one network are one.

    Two askers that are equal get equal answers from equal states (but for draws).
    """

    site: str  # "": a stranger
    network: str  # the client's network, /24 or /56 at most: what `sticky` hashes
    scope: int  # prefix length that the choice depends on, for RFC 7871
    rtt_ms: Mapping[str, float] = field(compare=False, hash=False)  # region -> from this site
    distance_km: Mapping[str, float] = field(compare=False, hash=False)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a policy decided. `is_drawn`: another draw may decide otherwise, so no answer may be
    kept. `regions` () means that there is nothing to name: `is_refused` says how."""

    regions: tuple[str, ...]
    is_drawn: bool
    is_refused: bool = False
    weighings: tuple[Weighing, ...] = ()
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What the metrics count of an answer."""

    rcode: str  # "NOERROR"
    qtype: str  # "A", "TYPE666"
    service: str = ""  # whose name was asked for
    regions: tuple[str, ...] = ()  # that the answer names
    has_subnet: bool = False  # the query carried a client subnet
    is_truncated: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to one message. `is_fixed`: the same bytes (after the id) from the same asker get
    the same bytes until the routing changes."""

    data: bytes
    facts: Facts
    is_fixed: bool
