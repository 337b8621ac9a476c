"""A timed list of faults with the traffic around it and the bounds it must keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

FAULT_KINDS = ("power", "crash", "freeze", "drain", "partition", "brownout")
FaultKind = Literal["power", "crash", "freeze", "drain", "partition", "brownout"]
Comparison = Literal["<=", "<", ">=", ">", "=="]


@dataclass(frozen=True, slots=True)
class Kill:
    """Break a target. For a partition `target` is one side and `peers` the other (all: everyone
    else). `settings` are the fault's own numbers: delay_s, loss, rate_bps of a brown-out,
    direction of a partition (1: out of the target only, -1: into it only; both if not said)."""

    at_s: float
    target: tuple[str, ...]
    how: FaultKind = "power"
    peers: tuple[str, ...] = ()
    settings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Heal:
    """Undo every fault on a target."""

    at_s: float
    target: tuple[str, ...]


Step = Kill | Heal


@dataclass(frozen=True, slots=True)
class Traffic:
    """Requests a second in every city, by client kind."""

    rates: Mapping[str, float]  # keys: CLIENT_KINDS


@dataclass(frozen=True, slots=True)
class Objective:
    """A bound on a measured figure: `recovery_s.p100 <= 15 s from paris over http`."""

    text: str
    figure: str  # recovery_s, outage_s, reversion_s, requests_lost, resets, availability
    statistic: str  # p100, p99, p50, or "" for plain figures
    comparison: Comparison
    bound: float  # in the figure's unit; availability in 0..1
    city: str | None = None
    client: str | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole scenario file."""

    name: str
    topology_file: str  # absolute or relative to the working directory, already resolved
    traffic: Traffic
    steps: tuple[Step, ...]
    end_s: float
    objectives: tuple[Objective, ...] = ()
    seed: int | None = None
    source: str = ""
