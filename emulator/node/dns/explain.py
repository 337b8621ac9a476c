"""Why an answer is what it is, in words: the walk of `policy` itself, with its steps kept.

No draw of the server's own sequence is taken. Where an answer is drawn, the middle of the draws
stands for all of them, and the words say what share it has.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_network

from emulator.node.dns.askers import Askers
from emulator.node.dns.config import Service
from emulator.node.dns.policy import (
    Member,
    Step,
    Trial,
    allowed,
    decide,
    drawable,
    hashed,
    is_sticky,
    label,
    offers,
    ranked,
    reachable,
    regions_of,
    weighed,
)
from emulator.node.dns.values import Asker, Choice, ServiceState
from emulator.steering import Candidate, Explanation, Policy, Weighing

_MIDDLE = 0.5  # of the draws

_FAILED_OPEN = {
    "all": "all of them are named",
    "primary": "what would be chosen if all were UP is named",
    "refuse": "the query is refused",
    "empty": "the answer is empty",
}


@dataclass(frozen=True, slots=True)
class Asking:
    """A question to explain: to which server, for which name, from where."""

    server: str
    name: str
    source: str
    subnet: str = ""  # "10.4.0.0/24": the query carries it


def explain_answer(
    asking: Asking, service: Service, state: ServiceState, askers: Askers, serial: int
) -> Explanation:
    """Why `service` is answered so. ValueError: the source is no address, the subnet no network."""
    subnet = ip_network(asking.subnet, strict=False) if asking.subnet else None
    is_by_subnet = bool(service.ecs and subnet and subnet.prefixlen)
    source = askers.find(asking.source)
    asker = askers.find_network(subnet) if subnet and is_by_subnet else source
    choice = explain(service, state, asker)
    named = [service.regions[region] for region in choice.regions]
    overrides = choice.overrides
    if subnet and not service.ecs:
        overrides = (f"the client subnet {subnet} does not count (ecs: no)", *overrides)
    return Explanation(
        server=asking.server,
        name=asking.name,
        source=asking.source,
        by="client subnet" if is_by_subnet else "resolver",
        network=asker.network,
        site=asker.site,
        weighings=choice.weighings,
        overrides=overrides,
        regions=choice.regions,
        addresses=tuple(a for region in named for a in (region.address, region.address6) if a),
        ttl_s=state.ttl_s,
        ttl_because=state.ttl_because,
        rcode="REFUSED" if choice.is_refused else "NOERROR",
        serial=serial,
    )


def explain(service: Service, state: ServiceState, asker: Asker) -> Choice:
    """What `choose` would choose by a draw from the middle, with its reasons."""
    trial = Trial(service, state, asker, lambda: _MIDDLE)
    trial.steps = []
    choice = decide(trial)
    steps = trial.steps or [Step(service.policy, 0, ())]
    return replace(
        choice,
        weighings=tuple(_weighing(step, trial) for step in steps),
        overrides=(*_region_overrides(trial), *_round_overrides(trial)),
    )


def _weighing(step: Step, trial: Trial) -> Weighing:
    words = _WORDS[step.policy.kind](step.policy, trial)
    candidates = (
        Candidate(label(member), value, _verdict(step, member, loses, trial))
        for member, value, loses in words
    )
    return Weighing(step.policy.kind, step.depth, tuple(candidates))


def _verdict(step: Step, member: Member, loses: str, trial: Trial) -> str:
    """`loses`: what is said of a member that could have been chosen."""
    if member in step.chosen:
        return f"chosen{_by_draw(step, member, trial)}"
    if not isinstance(member, str):
        return loses if offers(member, trial) else "nothing to offer"
    return loses if trial.admits(member) else _obstacle(member, trial)


def _by_draw(step: Step, member: Member, trial: Trial) -> str:
    """What chance had to do with it."""
    told = []
    if step.policy.kind == "weighted" and len(drawable(step.policy, trial)) > 1:
        told.append("by this draw")
    if step.policy.kind == "round-robin" and len(step.chosen) > 1:
        told.append("begins by this draw" if member == step.chosen[0] else "follows")
    if isinstance(member, str) and trial.round is Trial.is_given and _is_ramping(member, trial):
        told.append(f"ramping: {_ramp_share(member, trial)}")
    return f" ({', '.join(told)})" if told else ""


def _obstacle(region: str, trial: Trial) -> str:
    """Why a region may not be named in this round."""
    state = trial.state(region)
    if state.forced == "down":
        return "forced down"
    if state.forced == "drain":
        return "draining" if state.health != "DOWN" else "draining, and DOWN"
    if state.health == "DOWN":
        return "DOWN"
    return f"ramping: {_ramp_share(region, trial)}"


def _is_ramping(region: str, trial: Trial) -> bool:
    state = trial.state(region)
    return state.is_offered and not state.forced and state.share < 1


def _ramp_share(region: str, trial: Trial) -> str:
    whom = "networks" if is_sticky(trial.service.policy) else "draws"
    return f"{trial.state(region).share:.0%} of the {whom}"


def _region_overrides(trial: Trial) -> Iterator[str]:
    """What is held against, or in spite of, the checks of each region."""
    for region in trial.service.policy.regions():
        state = trial.state(region)
        checks = "not checked yet" if state.health == "UNKNOWN" else f"checks: {state.health}"
        if state.forced == "drain":
            yield f"{region} is drained: used only if nothing else is offered ({checks})"
        elif state.forced:
            yield f"{region} is forced {state.forced} ({checks})"
        elif state.health == "UNKNOWN":
            yield f"{region} is not checked yet: taken as UP"
        elif _is_ramping(region, trial):
            yield f"{region} is ramping up: given to {_ramp_share(region, trial)}"


def _round_overrides(trial: Trial) -> Iterator[str]:
    policy, all_down = trial.service.policy, trial.service.all_down
    reached = set(reachable(policy, trial.asker))
    whose = "" if reached == set(policy.regions()) else " for this client"
    if not reached:
        yield "no area of the policy is for this client: nothing is named"
    elif trial.round is Trial.is_offered:
        yield f"no region{whose} is offered but ramping ones: they take all draws"
    elif trial.round is Trial.is_drained:
        yield f"no region{whose} is offered but drained ones: they are used"
    elif trial.round is Trial.is_anything:
        yield f"no region{whose} is UP: {_FAILED_OPEN[all_down]} (all_down: {all_down})"


# For each kind: its members, best first, each with its value and why it loses if it loses.
Words = Iterator[tuple[Member, str, str]]


def _latency(policy: Policy, trial: Trial) -> Words:
    return _by_far(policy, trial, trial.asker.rtt_ms, "{:.1f} ms")


def _geo(policy: Policy, trial: Trial) -> Words:
    if not policy.areas:
        yield from _by_far(policy, trial, trial.asker.distance_km, "{:.0f} km")
        return
    site = trial.asker.site
    area = site if site and site in policy.areas else "default"
    inside = allowed(policy, trial.asker)
    for place, member in enumerate(inside, 1):
        yield member, f"{_ordinal(place)} for {area}", "later in order"
    for member in policy.members:
        if member not in inside:
            yield member, f"not for {area}", "outside the area"


def _by_far(policy: Policy, trial: Trial, far: Mapping[str, float], form: str) -> Words:
    def nearest(member: Member) -> tuple[float, str]:
        below = regions_of(member)
        admitted = [region for region in below if trial.admits(region)] or below
        return min((far.get(region, math.inf), region) for region in admitted)

    for member in sorted(policy.members, key=nearest):
        value, region = nearest(member)
        words = form.format(value) if value < math.inf else "no estimate"
        yield member, words if isinstance(member, str) else f"{words} to {region}", "farther"


def _failover(policy: Policy, _trial: Trial) -> Words:
    for place, member in enumerate(policy.members, 1):
        yield member, _ordinal(place), "later in order"


def _weighted(policy: Policy, trial: Trial) -> Words:
    drawn = drawable(policy, trial)
    total = sum(weight for _, weight in drawn)
    for member, weight in weighed(policy):
        own = next((among for other, among in drawn if other == member), None)
        if own is None:
            yield member, f"weight {weight}", "used only if no other is offered"
        else:
            yield member, f"weight {own} of {total}", "not drawn"


def _sticky(policy: Policy, trial: Trial) -> Words:
    return _by_hash(policy, trial, "ranks after it")


def _multivalue(policy: Policy, trial: Trial) -> Words:
    return _by_hash(policy, trial, f"beyond {policy.count} regions")


def _by_hash(policy: Policy, trial: Trial, loses: str) -> Words:
    weights = list(weighed(policy))
    for member in ranked(policy, trial):
        number = hashed(trial.service, trial.asker, label(member))
        weight = next(weight for other, weight in weights if other == member)
        yield member, f"hash {number:.2f}" + f", weight {weight}" * bool(policy.weights), loses


def _round_robin(policy: Policy, _trial: Trial) -> Words:
    for place, member in enumerate(policy.members, 1):
        yield member, _ordinal(place), "not named"


_WORDS = {
    "latency": _latency,
    "geo": _geo,
    "weighted": _weighted,
    "failover": _failover,
    "multivalue": _multivalue,
    "sticky": _sticky,
    "round-robin": _round_robin,
}


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10)
    return f"{number}{ending or 'th'}"
