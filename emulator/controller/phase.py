"""The phase of a run: where in the cycles of the health checks and of the TTL its fault falls.

Two cycles decide how long a failover takes. Each name server, or each vantage site where a service
has some, checks a region every interval, on a schedule that a command can move. A resolver that is
busy asks again at the turn of a second of the wall clock, when its answer's TTL has run out
(Unbound counts whole seconds), so every TTL from its first question on; emptying its cache just
after such a turn begins the cycle anew. Which of the name servers it asks is random, and stays so.

With light traffic a resolver asks later than planned: its question comes with the first request
after the turn, so a phase of the TTL is known no better than the gap between two requests.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emulator.clock import NS_PER_S
from emulator.controller.clocks import wall_offset_ns
from emulator.controller.lab import Lab
from emulator.controller.traffic import cities
from emulator.errors import NetemuError
from emulator.plan.hosts import VANTAGE
from emulator.plan.lookups import lookups_of
from emulator.plan.model import Plan
from emulator.plan.resolvers import resolver_hosts

TTL = "ttl"  # its name beside those of the sites that check
# Before the first step of a preparation: telling everyone takes about 50 ms when both cores are
# idle, and ten times as much when they are not.
LEAD_S = 0.5
# A cache is emptied this far into a second, so that all of it, and the fetch after it, which takes
# a round trip, is over before the second is.
INTO_SECOND_S = 0.1
MOVING = 1.5  # intervals until a check comes on a schedule that was moved
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Phase:
    """At the instant at which the first fault is planned. `checks_s`: so long ago each site that
    checks began its last check of the region; `ttl_s`: so long ago every resolver asked last."""

    checks_s: Mapping[str, float]
    ttl_s: float

    def to_json(self) -> dict[str, float]:
        """As the header of a run says it."""
        return {**self.checks_s, TTL: self.ttl_s}

    @classmethod
    def from_json(cls, told: Mapping[str, float]) -> Phase:
        """Of a run's header. Raises ValueError where that run had no planned phase."""
        if TTL not in told:
            raise ValueError("its fault was not planned at any phase")
        return cls({name: s for name, s in told.items() if name != TTL}, told[TTL])


@dataclass(frozen=True, slots=True)
class Placed:
    """Instants of netemu's own clock (ns): the traffic begins; the resolvers' caches are emptied,
    which may be before it or after."""

    start_ns: int
    flush_ns: int


def cycles(plan: Plan) -> dict[str, float]:
    """How long each cycle of the first service is, in seconds: that of every site that checks it,
    and the TTL's: for which every resolver holds an answer, if all hold it as long. A TTL of 0
    leaves the resolver's second."""
    service = plan.services[0]
    checks = dict.fromkeys(service.checkers, service.interval_s)
    return {**checks, TTL: max(1.0, float(_held_s(plan)))}


def _held_s(plan: Plan) -> int:
    ways = [lookups_of(plan, city) for city in plan.topology.cities]
    held = {way.ttl_s for way in ways if way.is_cached}
    return held.pop() if len(held) == 1 else plan.services[0].ttl_s


def random_phase(plan: Plan, rng: random.Random) -> Phase:
    """Any phase, all equally likely."""
    return _phase({name: rng.uniform(0, length) for name, length in cycles(plan).items()})


def spread_phases(plan: Plan, count: int, seed: int) -> list[Phase]:
    """`count` phases that cover every cycle evenly, and each cycle independently of the others
    (a Latin hypercube)."""
    rng = random.Random(seed)
    columns = {
        name: [(n + rng.random()) / count * length for n in rng.sample(range(count), count)]
        for name, length in cycles(plan).items()
    }
    return [_phase({name: column[n] for name, column in columns.items()}) for n in range(count)]


def _phase(shares: Mapping[str, float]) -> Phase:
    checks_s = {name: value for name, value in shares.items() if name != TTL}
    return Phase(checks_s, shares[TTL])


def checked_region(plan: Plan, target: Sequence[str]) -> str:
    """Whose checks a phase speaks of: the first region in `target`, be it named by a host of its,
    else the service's first."""
    regions = list(plan.services[0].addresses)
    sites = [name.partition("/")[0] for name in target]
    return next((site for site in sites if site in regions), regions[0])


def place(lab: Lab, phase: Phase, first_fault_s: float, region: str) -> Placed:
    """Move the checks of the region, and find the start from which a fault `first_fault_s` later
    falls into `phase`; `begin_ttl` is due at `flush_ns`. All at most a TTL from now, or one check
    and a half."""
    interval_s = lab.plan.services[0].interval_s
    begin_s = since_flush_s(phase.ttl_s, cycles(lab.plan)[TTL], first_fault_s)
    ahead_s = LEAD_S + max(first_fault_s, begin_s, MOVING * interval_s)
    began = lab.wan.now_ns()
    fault_ns = next_at(began + _ns(ahead_s), wall_offset_ns(lab), _ns(phase.ttl_s))
    routers = {site.name: site.hosts[0] for site in lab.plan.sites}
    daemon = VANTAGE if lab.plan.services[0].dns.health_check.checkers else "dns"
    for checker, since_s in phase.checks_s.items():
        command = {"op": "phase", "t": fault_ns - _ns(since_s), "region": region}
        lab.wan.host(routers[checker], "send", daemon=daemon, line=json.dumps(command))
    ours = fault_ns - _offset_ns(lab)
    return Placed(ours - _ns(first_fault_s), ours - _ns(begin_s - INTO_SECOND_S))


def since_flush_s(ttl_s: float, cycle_s: float, first_fault_s: float) -> float:
    """How long before the fault a cache's cycle is begun, so that it was renewed last `ttl_s`
    before. It is renewed at the turn of a second only after it was begun by a flush, so it is
    begun one cycle before at least, where the traffic lasts long enough to renew it."""
    if first_fault_s < ttl_s:
        return ttl_s
    return ttl_s + max(1, int((first_fault_s - ttl_s) / cycle_s)) * cycle_s


def next_at(earliest_ns: int, wall_offset_ns: int, ttl_ns: int) -> int:
    """The first instant from `earliest_ns` on that is `ttl_ns` after a turn of a wall second."""
    return earliest_ns + (ttl_ns - wall_offset_ns - earliest_ns) % NS_PER_S


def begin_ttl(lab: Lab) -> None:
    """Every resolver forgets the zone and asks at once, whether there is traffic or not."""
    control = ["unbound-control", "-c", "/etc/netemu/unbound.conf"]
    argv = [*control, "flush_zone", lab.plan.topology.zone]
    lookup = json.dumps({"op": "lookup"})
    flushed = lab.wan.hosts({h: ("run", {"argv": argv}) for h in resolver_hosts(lab.plan)})
    failed = [host for host, answer in flushed.items() if answer.get("rc") != 0]
    if failed:
        raise NetemuError(f"emptying the caches of {', '.join(failed)} failed: {flushed}")
    lab.wan.hosts(
        {f"{city}/client": ("send", {"daemon": "client", "line": lookup}) for city in cities(lab)}
    )


def _offset_ns(lab: Lab) -> int:
    """The lab's clock less netemu's own, by the quickest of some questions."""
    found = []
    for _ in range(_TRIES):
        asked = lab.clock.now_ns()
        theirs = lab.wan.now_ns()
        took = lab.clock.now_ns() - asked
        found.append((took, theirs - asked - took // 2))
    return min(found)[1]


def _ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)
