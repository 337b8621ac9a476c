"""What a policy means in this topology: its regions and areas, and in which order a client meets
them, as far as that is certain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from emulator.steering import Policy
from emulator.topology.model import City, NameServer, Region, Topology

CERTAIN_KINDS = ("latency", "geo", "failover")


@dataclass(frozen=True, slots=True)
class Near:
    """How far the regions are from one site."""

    site: str
    rtt_s: Mapping[str, float]
    distance_km: Mapping[str, float]


def resolve(policy: Policy, having: tuple[str, ...], topology: Topology) -> Policy:
    """As a file says it -> as name servers need it: only regions that have the service, all of
    them where it names none, and areas by site."""
    if not policy.members:
        return replace(policy, members=having)
    members: list[str | Policy] = []
    weights: list[int] = []
    places: dict[int, int] = {}  # of a member in the file -> here
    for index, member in enumerate(policy.members):
        inner = resolve(member, having, topology) if isinstance(member, Policy) else member
        if inner.members if isinstance(inner, Policy) else inner in having:
            places[index] = len(members)
            members.append(inner)
            weights += policy.weights[index : index + 1]
    areas = _areas(policy, places, topology) if policy.areas else {}
    return replace(policy, members=tuple(members), weights=tuple(weights), areas=areas)


def _areas(
    policy: Policy, places: Mapping[int, int], topology: Topology
) -> dict[str, tuple[int, ...]]:
    """For every site that is not as all others: its own area before those of its tags before the
    default, so that another is tried where one has nothing to offer."""
    default = policy.areas.get("", ())
    # Where the default has no servers of this service, everything else that has is better than
    # nothing.
    found = {"": _kept(default, places) or tuple(places.values())}
    sites: list[Region | City | NameServer] = [
        *topology.regions,
        *topology.cities,
        *topology.name_servers,
    ]
    for site in sites:
        keys = (site.name, *(f"tag:{tag}" for tag in site.tags))
        own = tuple(index for key in keys for index in policy.areas.get(key, ()))
        if own:
            found[site.name] = _kept((*own, *default), places) or found[""]
    return found


def _kept(indices: tuple[int, ...], places: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(places[index] for index in indices if index in places))


def is_certain(policy: Policy) -> bool:
    """Whether equal clients get equal answers from equal states: no draw, no hash, no turns."""
    if len(policy.regions()) == 1:
        return True
    nested = (member for member in policy.members if isinstance(member, Policy))
    return policy.kind in CERTAIN_KINDS and all(is_certain(member) for member in nested)


def order(policy: Policy, near: Near) -> tuple[str, ...]:
    """The regions that a client at this site is sent to, each when those before it are lost. Where
    that is not certain: those that it may be sent to, nearest first."""
    regions = policy.regions()
    if not is_certain(policy):
        return tuple(sorted(regions, key=lambda region: (near.rtt_s[region], region)))
    taken: dict[str, None] = {}
    while (region := _first(policy, near, set(regions) - set(taken))) is not None:
        taken[region] = None
    return tuple(taken)


def _first(policy: Policy, near: Near, alive: set[str]) -> str | None:
    """Where a policy that is certain sends a client while only these regions live."""
    for member in ranked(policy, near, alive):
        region = _first(member, near, alive) if isinstance(member, Policy) else member
        if region is not None and region in alive:
            return region
    return None


def ranked(policy: Policy, near: Near, alive: set[str]) -> list[str | Policy]:
    """The members of a node of a certain kind, in the order in which they are given here."""
    members = list(policy.members)
    if policy.kind == "geo" and policy.areas:
        indices = policy.areas.get(near.site, policy.areas.get("", ()))
        return [members[index] for index in indices]
    if policy.kind == "latency":
        return sorted(members, key=lambda member: _far(member, near.rtt_s, alive))
    if policy.kind == "geo":
        return sorted(members, key=lambda member: _far(member, near.distance_km, alive))
    return members


def _far(member: str | Policy, to: Mapping[str, float], alive: set[str]) -> tuple[float, str]:
    """A nested policy is as far as the nearest of its regions that live."""
    regions = member.regions() if isinstance(member, Policy) else (member,)
    return min(((to[r], r) for r in regions if r in alive), default=(float("inf"), ""))
