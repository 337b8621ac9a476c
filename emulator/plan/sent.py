"""Where DNS sends each city while all is well, and why, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from emulator.plan.model import Plan
from emulator.plan.paths import near_to, round_trips_s
from emulator.plan.policies import CERTAIN_KINDS, Near, ranked
from emulator.plan.resolvers import taken_for
from emulator.steering import Policy


@dataclass(frozen=True, slots=True)
class Sent:
    """The regions that a city may be sent to. `because` "": the round trips say it."""

    regions: tuple[str, ...]
    because: str


def sent_cities(plan: Plan) -> Mapping[str, Sent]:
    """Of every city, by the policy of the first service, which is what its clients want."""
    trips_s, policy = round_trips_s(plan.paths), plan.services[0].policy
    return {
        city.name: sent_to(policy, near_to(plan.sites, trips_s, taken_for(plan.topology, city)))
        for city in plan.topology.cities
    }


def sent_to(policy: Policy, near: Near) -> Sent:
    """Where a client at this site is sent while every region is UP, and why. No words for plain
    latency: there the round trips say it."""
    because = (
        "" if policy.kind == "latency" and _is_flat(policy) else ", then ".join(_why(policy, near))
    )
    return Sent(tuple(dict.fromkeys(_open(policy, near))), because)


def _is_flat(policy: Policy) -> bool:
    return all(isinstance(member, str) for member in policy.members)


def _chosen(policy: Policy, near: Near) -> list[str | Policy]:
    """The members that are given while every region is UP."""
    if policy.kind in CERTAIN_KINDS:
        return ranked(policy, near, set(policy.regions()))[:1]
    weighed = [m for m, weight in zip(policy.members, policy.weights, strict=False) if weight]
    return weighed or list(policy.members)


def _open(policy: Policy, near: Near) -> Iterator[str]:
    for member in _chosen(policy, near):
        if isinstance(member, Policy):
            yield from _open(member, near)
        else:
            yield member


def _why(policy: Policy, near: Near) -> Iterator[str]:
    chosen = _chosen(policy, near)
    yield _words(policy, chosen)
    inner = [member for member in chosen if isinstance(member, Policy)]
    if len(chosen) == 1 and inner:
        yield from _why(inner[0], near)


def _words(policy: Policy, chosen: Sequence[str | Policy]) -> str:
    if policy.kind in {"weighted", "sticky"}:
        if len(chosen) == 1:
            return "the only one with a weight"
        weights = [w for w in policy.weights if w] or [1] * len(chosen)
        shares = " and ".join(f"{weight} of {sum(weights)}" for weight in weights)
        return f"by weight {shares}" if policy.kind == "weighted" else f"by hash, {shares}"
    return {
        "latency": "nearest by round trip",
        "geo": "by area" if policy.areas else "nearest by distance",
        "failover": "first",
        "multivalue": f"spread, up to {policy.count} at once",
        "round-robin": "in turn",
    }[policy.kind]
