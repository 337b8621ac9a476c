"""Which regions an answer names: a policy's tree is walked for one asker, with what is offered now.

Four rounds, the next only where the one before names nothing:

1. what is offered, without the ramping regions that this draw passes over
2. all that is offered
3. what is healthy but drained
4. what `all_down` says

A node chooses among the members that have something to offer in this round; the walk is the same
in all of them, and when it is explained.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import repeat

from emulator.node.dns.config import Service
from emulator.node.dns.values import Asker, Choice, Draw, RegionState, ServiceState
from emulator.steering import Policy, PolicyKind

Member = str | Policy

_UNKNOWN = RegionState()
_TAILORED: frozenset[PolicyKind] = frozenset({"latency", "geo", "sticky", "multivalue"})
_STICKY: frozenset[PolicyKind] = frozenset({"sticky", "multivalue"})


@dataclass(frozen=True, slots=True)
class Step:
    """What one node decided, for whoever explains it."""

    policy: Policy
    depth: int
    chosen: tuple[Member, ...]


class Trial:
    """One decision: who asks, what may be named in this round, what was drawn."""

    __slots__ = ("_draw", "_ramped", "_states", "asker", "is_drawn", "round", "service", "steps")

    def __init__(self, service: Service, state: ServiceState, asker: Asker, draw: Draw) -> None:
        self.service = service
        self.asker = asker
        self.round: Round = Trial.is_given
        self.is_drawn = False
        self.steps: list[Step] | None = None  # a list: keep what every node decided
        self._draw = draw
        self._states = state.regions
        self._ramped: dict[str, bool] = {}

    def admits(self, region: str) -> bool:
        return self.round(self, region)

    def draw(self) -> float:
        self.is_drawn = True
        return self._draw()

    def is_given(self, region: str) -> bool:
        """Offered, and not passed over by this draw while it ramps up."""
        state = self.state(region)
        if not state.is_offered or state.share >= 1 or state.forced:
            return state.is_offered
        if region not in self._ramped:
            self._ramped[region] = self._ramp(region) < state.share
        return self._ramped[region]

    def is_offered(self, region: str) -> bool:
        return self.state(region).is_offered

    def is_drained(self, region: str) -> bool:
        state = self.state(region)
        return state.forced == "drain" and state.health != "DOWN"

    def is_anything(self, region: str) -> bool:
        """Where nothing is on offer."""
        return region in self.service.regions

    def state(self, region: str) -> RegionState:
        return self._states.get(region, _UNKNOWN)

    def _ramp(self, region: str) -> float:
        """A draw; but one and the same for a network that is promised to stay where it is."""
        if is_sticky(self.service.policy):
            return hashed(self.service, self.asker, f"ramp {region}")
        return self.draw()


Round = Callable[[Trial, str], bool]  # may a region be named?
_ROUNDS: tuple[Round, ...] = (Trial.is_given, Trial.is_offered, Trial.is_drained)


def choose(service: Service, state: ServiceState, asker: Asker, draw: Draw) -> Choice:
    """The regions that an answer for `asker` names, in order. Takes draws only where they matter.

    An asker whom no area of a geo policy takes in gets nothing, whatever the regions' health.
    """
    return decide(Trial(service, state, asker, draw))


def decide(trial: Trial) -> Choice:
    """`choose`, of a trial that may keep its steps."""
    policy = trial.service.policy
    for trial.round in _ROUNDS:
        regions = _pick(policy, 0, trial)
        if regions:
            return Choice(regions, trial.is_drawn)
    return _all_down(trial)


def _all_down(trial: Trial) -> Choice:
    trial.round = Trial.is_anything
    policy, kind = trial.service.policy, trial.service.all_down
    reached = tuple(dict.fromkeys(reachable(policy, trial.asker)))
    if not reached or kind == "empty":
        return Choice((), trial.is_drawn)
    if kind == "refuse":
        return Choice((), trial.is_drawn, is_refused=True)
    if kind == "primary":
        return Choice(_pick(policy, 0, trial), trial.is_drawn)
    return Choice(reached, trial.is_drawn)


def _pick(policy: Policy, depth: int, trial: Trial) -> tuple[str, ...]:
    """The regions that a node names; () where nothing below it is admitted."""
    chosen = _CHOICES[policy.kind](policy, trial)
    place = len(trial.steps) if trial.steps else 0
    if len(chosen) == 1:
        regions = _regions(chosen[0], depth, trial)
    else:
        chosen, regions = _gather(policy, chosen, depth, trial)
    if trial.steps is not None and chosen:
        trial.steps.insert(place, Step(policy, depth, chosen))
    return regions[: policy.count] if policy.kind == "multivalue" else regions


def _gather(
    policy: Policy, members: Sequence[Member], depth: int, trial: Trial
) -> tuple[tuple[Member, ...], tuple[str, ...]]:
    """The regions of many members, each once, and the members that were needed for them: a
    multivalue stops where it is full."""
    full = policy.count if policy.kind == "multivalue" else math.inf
    named: dict[str, None] = {}
    used = []
    for member in members:
        if len(named) >= full:
            break
        used.append(member)
        named.update(dict.fromkeys(_regions(member, depth, trial)))
    return tuple(used), tuple(named)


def _regions(member: Member, depth: int, trial: Trial) -> tuple[str, ...]:
    return (member,) if isinstance(member, str) else _pick(member, depth + 1, trial)


def _first(policy: Policy, trial: Trial) -> tuple[Member, ...]:
    return next(((member,) for member in policy.members if offers(member, trial)), ())


def _by_area(policy: Policy, trial: Trial) -> tuple[Member, ...]:
    if not policy.areas:
        return _least(policy, trial, trial.asker.distance_km)
    members = allowed(policy, trial.asker)
    return next(((member,) for member in members if offers(member, trial)), ())


def _nearest(policy: Policy, trial: Trial) -> tuple[Member, ...]:
    return _least(policy, trial, trial.asker.rtt_ms)


def _least(policy: Policy, trial: Trial, far: Mapping[str, float]) -> tuple[Member, ...]:
    """The member that holds the nearest region of those admitted; unknown ones are farthest."""
    leaves = [
        (far.get(region, math.inf), region, index)
        for index, member in enumerate(policy.members)
        for region in regions_of(member)
    ]
    for _, region, index in sorted(leaves):
        member = policy.members[index]
        if trial.admits(region) and offers(member, trial):
            return (member,)
    return ()


def _drawn(policy: Policy, trial: Trial) -> tuple[Member, ...]:
    """One of those that offer, by weight. A weight of 0 counts where no other does (Route 53)."""
    members = drawable(policy, trial)
    if len(members) < 2:
        return tuple(member for member, _ in members)
    left = trial.draw() * sum(weight for _, weight in members)
    for member, weight in members:
        left -= weight
        if left < 0:
            return (member,)
    return (members[-1][0],)


def drawable(policy: Policy, trial: Trial) -> list[tuple[Member, int]]:
    """The members among which a draw decides, and their weights in it."""
    offering = [pair for pair in weighed(policy) if offers(pair[0], trial)]
    return [pair for pair in offering if pair[1]] or [(member, 1) for member, _ in offering]


def _hashed(policy: Policy, trial: Trial) -> tuple[Member, ...]:
    return next(((member,) for member in ranked(policy, trial) if offers(member, trial)), ())


def _sample(policy: Policy, trial: Trial) -> tuple[Member, ...]:
    """Other networks get other ones first, the same network the same: so that all share the load
    however many addresses a client tries."""
    return tuple(member for member in ranked(policy, trial) if offers(member, trial))


def ranked(policy: Policy, trial: Trial) -> list[Member]:
    """Weighted rendezvous hashing: every member has its own number for a network, so that one
    that goes away moves only its own networks, and -ln(number) / weight is least as often as the
    weights say."""

    def score(pair: tuple[Member, int]) -> tuple[bool, float, str]:
        member, weight = pair
        name = label(member)
        number = hashed(trial.service, trial.asker, name)
        return weight == 0, -math.log(number) / (weight or 1), name

    return [member for member, _ in sorted(weighed(policy), key=score)]


def _rotated(policy: Policy, trial: Trial) -> tuple[Member, ...]:
    """All that offer, beginning with a drawn one: every one as often in the long run."""
    members = [member for member in policy.members if offers(member, trial)]
    start = int(trial.draw() * len(members)) if len(members) > 1 else 0
    return (*members[start:], *members[:start])


_CHOICES: Mapping[PolicyKind, Callable[[Policy, Trial], tuple[Member, ...]]] = {
    "failover": _first,
    "geo": _by_area,
    "latency": _nearest,
    "weighted": _drawn,
    "sticky": _hashed,
    "multivalue": _sample,
    "round-robin": _rotated,
}


def offers(member: Member, trial: Trial) -> bool:
    """Would it name a region in this round?"""
    if isinstance(member, str):
        return trial.admits(member)
    return any(offers(below, trial) for below in allowed(member, trial.asker))


def reachable(policy: Policy, asker: Asker) -> Iterator[str]:
    """Every region that the policy would give this asker, were all others DOWN; some twice."""
    for member in allowed(policy, asker):
        if isinstance(member, str):
            yield member
        else:
            yield from reachable(member, asker)


def allowed(policy: Policy, asker: Asker) -> Sequence[Member]:
    """All members, but for areas: those of the asker's, in its order."""
    if not policy.areas:
        return policy.members
    area = policy.areas.get(asker.site, policy.areas.get("", ()))
    return [policy.members[index] for index in area]


def weighed(policy: Policy) -> Iterator[tuple[Member, int]]:
    """The members and their weights; all alike where none are given."""
    return zip(policy.members, policy.weights or repeat(1), strict=False)


def hashed(service: Service, asker: Asker, name: str) -> float:
    """A number above 0 and below 1 that belongs to a network and a name of this service, the same
    on every name server and in every run."""
    text = f"{asker.network} {name}".encode()
    digest = blake2b(text, digest_size=8, key=service.name.encode()[:64]).digest()
    return ((int.from_bytes(digest) >> 11) + 0.5) / (1 << 53)


def label(member: Member) -> str:
    """What a member is called: a region by its name."""
    return member if isinstance(member, str) else f"{member.kind} ({', '.join(member.regions())})"


def regions_of(member: Member) -> tuple[str, ...]:
    return (member,) if isinstance(member, str) else member.regions()


def is_tailored(policy: Policy) -> bool:
    """Does the asker matter at all? Where not, an answer holds for everybody: scope 0."""
    return has_kind(policy, _TAILORED)


def is_sticky(policy: Policy) -> bool:
    """Does an answer depend on the very network, not only on its site?"""
    return has_kind(policy, _STICKY)


def has_kind(policy: Policy, kinds: frozenset[PolicyKind]) -> bool:
    """Is any node of the tree of one of these kinds?"""
    nested = (member for member in policy.members if isinstance(member, Policy))
    return policy.kind in kinds or any(has_kind(below, kinds) for below in nested)
