"""Services, states and askers that the policies' tests share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hypothesis import HealthCheck as HypothesisCheck
from hypothesis import settings

from emulator.node.dns.config import HealthCheck, Region, Service
from emulator.node.dns.values import Asker, Draw, RegionState, ServiceState, State
from emulator.steering import ForcedState, Policy, PolicyKind

UP, DOWN, UNKNOWN = RegionState("UP"), RegionState("DOWN"), RegionState()
DRAINED = RegionState("UP", "drain")
FORCED_DOWN, FORCED_UP = RegionState("UP", "down"), RegionState("DOWN", "up")

A, B, C, D = "us-east", "us-west", "eu-west", "ap-south"
REGIONS = (A, B, C, D)
PARIS = Asker("paris", "10.4.0.0/24", 24, {A: 79.0, B: 140.0, C: 7.0}, {A: 6200, B: 8900, C: 780})
STRANGER = Asker("", "192.0.2.0/24", 6, {}, {})

# A failure repeats, and a busy machine is no bug.
repeatable = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=[HypothesisCheck.too_slow],
)


def tree(kind: PolicyKind, *members: str | Policy, **more: Any) -> Policy:
    return Policy(kind, members, **more)


def service(policy: Policy, **changes: Any) -> Service:
    regions = {name: Region(f"198.18.{n}.1", ("", 0)) for n, name in enumerate(REGIONS)}
    check = HealthCheck("http", 1.0, 1.0, 3, 2)
    return Service("www", ("www.shop.test",), 5, policy, regions, check, **changes)


def state(**changes: RegionState) -> ServiceState:
    """All UP but for what is named, with _ for -."""
    changed = {name.replace("_", "-"): region for name, region in changes.items()}
    return state_of({name: changed.get(name, UP) for name in REGIONS})


def state_of(regions: Mapping[str, RegionState]) -> ServiceState:
    return ServiceState(dict(regions), 5)


def ramping(share: float) -> RegionState:
    return RegionState("UP", None, share)


def region(health: State, forced: ForcedState | None, share: float) -> RegionState:
    return RegionState(health, forced, share)


def networks(count: int) -> Iterator[Asker]:
    """Strangers, each of a network of its own."""
    for number in range(count):
        yield Asker("", f"10.{number >> 8}.{number & 255}.0/24", 24, {}, {})


def even(count: int) -> Iterator[Draw]:
    """Draws one by one, evenly spaced: what they decide are shares, not chance."""
    for number in range(count):
        yield lambda number=number: (number + 0.5) / count  # type: ignore[misc]


def sequence(draws: Iterable[float]) -> Draw:
    return iter(draws).__next__


def no_draw() -> float:
    raise AssertionError("nothing here is to be drawn")
