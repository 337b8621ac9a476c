"""How a name's regions are chosen: words that a topology, the plan and a name server share.

A policy is a tree. Its leaves are regions; a node of it chooses among its members, which are
regions or policies themselves. A member that has nothing to offer (DOWN, forced down, empty) is
passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self

PolicyKind = Literal[
    "latency", "geo", "weighted", "failover", "multivalue", "sticky", "round-robin"
]
AllDown = Literal["all", "primary", "refuse", "empty"]
CheckKind = Literal["http", "https", "tcp"]
ForcedState = Literal["down", "up", "drain"]

MULTIVALUE_MAX = 8  # addresses of one answer; Route 53's number


@dataclass(frozen=True, slots=True)
class Policy:
    """One node of the tree.

    latency: the member with the shortest round trip from the client's network
    geo: by `areas`, or without any the member at the shortest distance
    weighted: one member, drawn by `weights`; sticky: the same by a hash of the client's network
    failover: the first member; round-robin: every member, each answer begins with the next
    multivalue: up to `count` regions at once

    `members` () in a topology: every region that has the service. `areas`: for a site, the members
    to try, in order, as indices; "" for every other site. `weights`: one a member, () all alike.
    """

    kind: PolicyKind
    members: tuple[str | Policy, ...] = ()
    weights: tuple[int, ...] = ()
    count: int = MULTIVALUE_MAX
    areas: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def regions(self) -> tuple[str, ...]:
        """Every region below this node, in order, once."""
        return tuple(dict.fromkeys(self._leaves()))

    def _leaves(self) -> Iterator[str]:
        for member in self.members:
            if isinstance(member, Policy):
                yield from member.regions()
            else:
                yield member

    def to_json(self) -> dict[str, Any]:
        """For a name server's configuration."""
        members = [m.to_json() if isinstance(m, Policy) else m for m in self.members]
        return {
            "kind": self.kind,
            "members": members,
            "weights": list(self.weights),
            "count": self.count,
            "areas": {site: list(chosen) for site, chosen in self.areas.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """KeyError, TypeError, AttributeError: no policy."""
        members = tuple(m if isinstance(m, str) else cls.from_json(m) for m in data["members"])
        areas = {site: tuple(chosen) for site, chosen in data.get("areas", {}).items()}
        weights, count = tuple(data.get("weights", ())), data.get("count", MULTIVALUE_MAX)
        return cls(data["kind"], members, weights, count, areas)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One member as a policy saw it, in words for a person."""

    name: str  # the region, or the kind of a nested policy
    value: str  # "9.1 ms", "1240 km", "weight 3 of 4", "hash 0.42", "2nd"
    verdict: str  # "chosen", "farther", "not drawn", "DOWN", "forced down", "draining", "ramping"


@dataclass(frozen=True, slots=True)
class Weighing:
    """What one node of a policy decided."""

    kind: str
    depth: int  # 0: the service's own policy
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a name server answers a name so for a client, step by step; JSON of its `/explain`."""

    server: str
    name: str
    source: str  # address that asks
    by: str  # "resolver" or "client subnet": what the client's network was taken from
    network: str  # "10.3.0.0/24"
    site: str  # that the network belongs to; "": a stranger
    weighings: tuple[Weighing, ...]
    overrides: tuple[str, ...]  # "us-east is forced down for 9 min more", "no region is UP: all"
    regions: tuple[str, ...]
    addresses: tuple[str, ...]
    ttl_s: int
    ttl_because: str
    rcode: str
    serial: int

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """The reverse of `dataclasses.asdict`."""
        weighings = tuple(
            Weighing(w["kind"], w["depth"], tuple(Candidate(**c) for c in w["candidates"]))
            for w in data["weighings"]
        )
        lists = {key: tuple(data[key]) for key in ("overrides", "regions", "addresses")}
        return cls(**{**data, **lists, "weighings": weighings})
