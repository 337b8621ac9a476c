"""A timed list of faults with the traffic around it and the bounds it must keep."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from emulator.impairment import Trace

FaultKind = Literal["power", "crash", "freeze", "drain", "partition", "flap", "brownout", "force"]
FAULT_KINDS: tuple[FaultKind, ...] = get_args(FaultKind)
# Those of `kill`: a flap needs its rhythm and to force breaks nothing, so they are steps and
# commands of their own.
KILL_KINDS: tuple[FaultKind, ...] = ("power", "crash", "freeze", "drain", "partition", "brownout")
# What `force` tells the name servers, as Kill.settings["state"] says it.
FORCED: Mapping[str, float] = {"down": 0.0, "up": 1.0, "drain": 2.0}
# Of a flap where nothing else is said: the period, and how long in all.
FLAP: Mapping[str, float] = {"every_s": 2.0, "for_s": 30.0}
Comparison = Literal["<=", "<", ">=", ">", "=="]

# What a client does with a DNS answer: asks anew for every connection, keeps it for the answer's
# TTL, for a time of its own, or for ever.
NO_CACHE, TTL_CACHE, CACHE_FOR_EVER = 0.0, -1.0, math.inf


@dataclass(frozen=True, slots=True)
class Kill:
    """Break a target. For a partition `target` is one side and `peers` the other (all: everyone
    else); of a forced region `peers` is the service (none: each that the region has).
    `settings` are the fault's own numbers: delay_s, jitter_s, loss, duplicate, corrupt, reorder,
    rate_bps of a brown-out, direction of a partition (1: out of the target only, -1: into it only;
    both if not said), every_s, down_s, for_s of a flap, state (of FORCED).
    With `for_s` this fault, and nothing else on the target, is healed again after so long."""

    at_s: float
    target: tuple[str, ...]
    how: FaultKind = "power"
    peers: tuple[str, ...] = ()
    settings: Mapping[str, float] = field(default_factory=dict)
    for_s: float | None = None
    is_after: bool = False  # at_s: after the end of the step above, not after the start

    @property
    def sides(self) -> tuple[tuple[str, ...], ...]:
        """What it is on: the target, and of a partition the other side where that is named."""
        return (
            (self.target, self.peers) if self.how == "partition" and self.peers else (self.target,)
        )


@dataclass(frozen=True, slots=True)
class Heal:
    """Undo every fault on a target."""

    at_s: float
    target: tuple[str, ...]
    is_after: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """What a step can wait for.

    ready: name servers, balancers and resolvers say what they said when the lab was ready
    recovered: every client has recovered from every fault so far, or proved unaffected
    steady: the steady state holds
    up, down: every name server that lives says so of the region `subject`
    served: every kind of the city `subject` is answered by the region `region`
    """

    text: str  # as written: "recovered", "us-east down", "paris served by eu-west"
    kind: Literal["ready", "recovered", "steady", "up", "down", "served"]
    subject: str = ""
    region: str = ""


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Go on when the condition is met. One that is not met within `within_s` ends the steps and
    is a missed objective."""

    at_s: float
    condition: Condition
    within_s: float
    is_after: bool = True


@dataclass(frozen=True, slots=True)
class SetPath:
    """Set values of paths, or let a trace play on them. With `for_s` they are cleared after so
    long."""

    at_s: float
    path: str  # "us-east..paris", "us-east->paris"; "paris": all of its paths
    values: Mapping[str, Any] = field(default_factory=dict)  # of an Impairment
    trace: Trace | None = None
    for_s: float | None = None
    is_after: bool = False


@dataclass(frozen=True, slots=True)
class ClearPath:
    """As the topology says again."""

    at_s: float
    path: str = ""  # as of SetPath; "": all there are
    is_after: bool = False


@dataclass(frozen=True, slots=True)
class Exec:
    """Run a program in a container and go on when it has ended. One that fails, or that has not
    ended within `within_s`, ends the steps and is a missed objective."""

    at_s: float
    host: str  # "eu-west/db-1:image": the user's container; "eu-west/db-1": ours beside it
    argv: tuple[str, ...]
    within_s: float
    is_after: bool = False


@dataclass(frozen=True, slots=True)
class Count(Exec):
    """Run a program that prints what the service holds, the ID of a write a line."""


Step = Kill | Heal | SetPath | ClearPath | WaitUntil | Exec


def patience_s(step: Step) -> float:
    """How long a step may last, whatever it waits for; 0 where it is done at one moment."""
    return step.within_s if isinstance(step, WaitUntil | Exec) else 0.0


@dataclass(frozen=True, slots=True)
class Load:
    """Requests of one kind in some cities."""

    kind: str  # of CLIENT_KINDS
    rate: float  # requests/s in each of the cities
    cities: tuple[str, ...] = ()  # (): every city
    connections: int | None = None  # keepalive: kept open at least; stream: open; None: as needed
    cache_s: float = NO_CACHE  # how long a DNS answer is used: seconds, or one of the three above
    negative_s: float = 0.0  # how long a failed lookup is believed: seconds, or for ever
    lifetime_s: float | None = None  # keepalive: a connection is given up after it; None: never

    def to_json(self) -> dict[str, float | None]:
        """As clients and histories hold it; None for a time: for ever, which JSON cannot say."""
        return {
            "rate": self.rate,
            "connections": self.connections,
            "cache_s": None if math.isinf(self.cache_s) else self.cache_s,
            "negative_s": None if math.isinf(self.negative_s) else self.negative_s,
            "lifetime_s": self.lifetime_s,
        }


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the clients do. A later load replaces an earlier one of the same city and kind."""

    loads: tuple[Load, ...]

    def of(self, city: str) -> dict[str, Load]:
        """The loads of one city by kind; kinds without a rate are left out."""
        chosen = {x.kind: x for x in self.loads if not x.cities or city in x.cities}
        return {kind: load for kind, load in chosen.items() if load.rate > 0}


@dataclass(frozen=True, slots=True)
class Period:
    """A part of a run, as an objective says it: `during us-east-down`, `outside faults`.

    run: all of it; before: until the first fault; faults: while any is active; outside: while
    none is; down: while one is active on `target`; after: from the last heal on.
    """

    kind: Literal["run", "before", "faults", "outside", "down", "after"] = "run"
    target: str = ""


@dataclass(frozen=True, slots=True)
class Objective:
    """A bound on a figure: `recovery_s.p100 <= 15 s from paris over http`."""

    text: str
    figure: str  # see scenario/objectives.py
    statistic: str  # "p100", "p99.9", "p0"; "" for plain figures
    comparison: Comparison
    bound: float  # in the figure's unit; shares in 0..1; 0 where `bound_predicted` is given
    city: str | None = None
    client: str | None = None
    region: str | None = None  # of region_share(REGION)
    period: Period = Period()
    is_predicted: bool = False  # of the prediction, not of what was measured
    bound_predicted: str = ""  # the bound is this statistic of the prediction: "p100"


@dataclass(frozen=True, slots=True)
class SteadyState:
    """What is normal. `hold` speaks of a window of `over_s`; () means: no request fails."""

    over_s: float = 2.0
    hold: tuple[Objective, ...] = ()


@dataclass(frozen=True, slots=True)
class Expectation:
    """The classic promises about the steady state. recovery: after each fault it holds again
    within `within_s`, and stays so until the next fault. isolation: it holds throughout."""

    kind: Literal["recovery", "isolation"]
    within_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Vary:
    """The whole scenario once for each value of one setting of its topology."""

    setting: str  # a path in the topology file: "dns.ttl", "services.www.dns.all_down"
    values: tuple[str, ...]  # as they would be written there


@dataclass(frozen=True, slots=True)
class Scenario:
    """A whole scenario file. Targets are names of sites and hosts: groups and tags are resolved
    by `scenario.targets.resolve_targets`, which knows the lab."""

    name: str
    topology_file: str  # absolute or relative to the working directory, already resolved
    traffic: Traffic
    steps: tuple[Step, ...]  # in the order in which they are written
    end_s: float
    end_is_after: bool = False  # end_s counts from the end of the last step
    objectives: tuple[Objective, ...] = ()
    steady_state: SteadyState = SteadyState()
    expect: Expectation | None = None
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    runs: int = 1
    vary: Vary | None = None
    seed: int | None = None
    source: str = ""

    @property
    def first_fault_s(self) -> float | None:
        """When the first fault is injected, if that is known beforehand."""
        first = next((step for step in self.steps if isinstance(step, Kill)), None)
        return None if first is None or first.is_after else first.at_s

    @property
    def longest_s(self) -> float:
        """How long a run can take at most."""
        at = 0.0
        for step in self.steps:
            at = at + step.at_s if step.is_after else max(at, step.at_s)
            at += patience_s(step)
        return at + self.end_s if self.end_is_after else max(at, self.end_s)
