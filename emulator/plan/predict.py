"""How long recovery will take, predicted as a distribution: the bounds' model at random phases.

A kill comes at any moment of three clocks that know nothing of each other: each name server's
checks, the resolver's cache and the whole seconds that it counts in, and the schedule of requests.
Each sample is a failover played through at one phase of each. The phases are spread evenly
(stratified in every dimension), the rest (which name server a resolver asks) is drawn; all of it
from a seed, so that equal plans have equal predictions. Constants and round trips are those of
`bounds`, and no sample is above its bound.

What is played: a check is good if the region's answer left before the fault. A name server counts
the votes of vantages as they arrive. A resolver fetches
when it is asked and holds nothing, at any name server with equal chance (Unbound prefers none
within 400 ms), and drops the answer at the turn of a second, or tells it once more while it
fetches; without one every lookup is answered by the nearest name server. Requests of `http` and
`udp` look up each for itself, unless the client's own cache holds an answer; so do those of
`keepalive` once its pool leads nowhere. Streams stall, and attempt again and again.

A drain loses no request, so there is nothing to predict. Nor is there where it is not certain to
which region a city is sent, or where a vantage is lost with its region: how long its last opinion
counts is a bound, not a distribution.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from emulator.plan.bounds import (
    PUBLISH_S,
    STREAM_BACK_OFF_S,
    Failover,
    Loads,
    failovers,
    light_loads,
    streams_of,
)
from emulator.plan.detection import TripsS, answers_after_s, failed_check_s, has_vantages
from emulator.plan.lookups import Lookups
from emulator.plan.model import Plan
from emulator.plan.paths import round_trips_s
from emulator.plan.policies import is_certain
from emulator.plan.resolvers import resolver_sites, users_of
from emulator.scenario.model import NO_CACHE, TTL_CACHE

SAMPLES = 200
POOL_BACK_OFF_S = 0.1  # of the built-in client, after the first failed attempt of its pool


@dataclass(frozen=True, slots=True)
class Prediction:
    """How long one client kind of one city takes to recover, one value a sample, in order."""

    city: str
    client: str
    seconds: tuple[float, ...]


def predict(
    plan: Plan,
    fault_kind: str,
    region: str,
    loads: Mapping[str, Loads] | None = None,
    samples: int = SAMPLES,
) -> tuple[Prediction, ...]:
    """The recovery of every kind, in every city that is sent to `region`, from a fault of the
    whole region at evenly spread phases. `loads` as in `bounds`; without a bound there is none."""
    service = plan.services[0]
    is_drawn = not is_certain(service.policy)
    if fault_kind == "drain" or is_drawn or (has_vantages(service) and region in service.checkers):
        return ()
    found = []
    for way in failovers(plan, fault_kind, region, loads or {}):
        asked_s = _asked_every_s(plan, way, loads or {})
        chance = random.Random(f"{fault_kind} {region} {way.city}")
        moments = _moments(plan, way, region, samples, chance)
        seconds = sorted(_recovery_s(way, moment, asked_s, chance) for moment in moments)
        found.append(Prediction(way.city, way.load.kind, tuple(seconds)))
    return tuple(found)


def _asked_every_s(plan: Plan, way: Failover, loads: Mapping[str, Loads]) -> float:
    """How often a city's resolver is asked by those who look up for every request, or as often
    as their own cache lets them, in all cities that ask it."""
    rate = 0.0
    for city in users_of(plan, resolver_sites(plan.topology)[way.city]):
        sent = loads.get(city) or light_loads(plan)
        for load in (sent[kind] for kind in ("http", "udp") if kind in sent):
            held_s = way.lookups.ttl_s if load.cache_s == TTL_CACHE else load.cache_s
            rate += 1 / (held_s + 1 / load.rate)
    return 1 / rate if rate else math.inf


@dataclass(frozen=True, slots=True)
class _NameServer:
    rtt_s: float  # from who asks it
    switch_s: float  # from then on it names the other region


@dataclass(frozen=True, slots=True)
class _Moment:
    """The phases at which one kill comes."""

    servers: tuple[_NameServer, ...]
    second_s: float  # the resolver's next turn of a second
    fetched: float  # how far the resolver's cache is in its cycle, 0 to 1
    asked: float  # how far the client's own cache is
    request: float  # how far the schedule is between two requests

    @property
    def settled_s(self) -> float:
        """Every name server names the other region."""
        return max(server.switch_s for server in self.servers)


def _moments(
    plan: Plan, way: Failover, region: str, samples: int, chance: random.Random
) -> Iterator[_Moment]:
    trips_s = round_trips_s(plan.paths)
    for phases in _spread(samples, 5 + len(way.service.checkers), chance):
        publish, second, fetched, asked, request, *checks = phases
        down_s = {
            checker: _down_s(way, trips_s[checker, region], check)
            for checker, check in zip(way.service.checkers, checks, strict=True)
        }
        servers = tuple(
            _NameServer(rtt_s, _decided_s(way, trips_s, name, down_s) + publish * PUBLISH_S)
            for name, rtt_s in zip(way.lookups.servers, way.lookups.trips_s, strict=True)
        )
        yield _Moment(servers, second, fetched, asked, request)


def _decided_s(way: Failover, trips_s: TripsS, server: str, down_s: Mapping[str, float]) -> float:
    """When a name server has seen enough itself, or heard enough of the vantages."""
    if not has_vantages(way.service):
        return down_s[server]
    heard_s = sorted(at_s + trips_s[site, server] / 2 for site, at_s in down_s.items())
    quorum = way.service.dns.health_check.quorum
    needed = math.ceil(round(len(heard_s) * (1 - quorum), 9))
    return heard_s[max(needed, 1) - 1]


def _spread(count: int, dimensions: int, chance: random.Random) -> list[tuple[float, ...]]:
    """Points of the unit cube; in each dimension one in every `count`-th of it."""
    columns = []
    for _ in range(dimensions):
        column = [(n + chance.random()) / count for n in range(count)]
        chance.shuffle(column)
        columns.append(column)
    return list(zip(*columns, strict=True))


def _down_s(way: Failover, rtt_s: float, phase: float) -> float:
    """When a name server marks the region DOWN whose last check before the fault began `phase` of
    an interval ago."""
    interval_s, check_s = way.service.interval_s, failed_check_s(way.fault, way.service, rtt_s)
    began_s = -phase * interval_s
    good = math.floor((-answers_after_s(way.service, rtt_s) - began_s) / interval_s)
    return began_s + (good + way.service.fall) * interval_s + check_s


class _Resolver:
    """What a city's clients are told by whom they ask, asked at instants in order."""

    def __init__(
        self, lookups: Lookups, moment: _Moment, asked_s: float, chance: random.Random
    ) -> None:
        self._way = lookups
        self._moment = moment
        self._asked_s = asked_s
        self._chance = chance
        self._fetched_s = -math.inf
        self._is_new = self._was_new = False
        # Two cycles, to come into step.
        self._expires_s = -(2 + moment.fetched) * max(lookups.ttl_s, 1)
        self.changes_s = -math.inf  # until then every lookup is answered as the last one was

    def lookup(self, at_s: float) -> tuple[float, bool]:
        """When the answer is there, and whether it is the new region."""
        way_s = self._way.ask_s / 2
        if not self._way.is_cached:
            switch_s = self._moment.servers[0].switch_s
            self.changes_s = switch_s - way_s
            return at_s + 2 * way_s, at_s + way_s >= switch_s
        told_s, is_new = self._ask(at_s + way_s)
        self.changes_s -= way_s
        return told_s + way_s, is_new

    def _ask(self, at_s: float) -> tuple[float, bool]:
        while (others_s := self._others_s()) < at_s:
            self._fetch(others_s)
        if at_s >= self._expires_s:
            self._fetch(at_s)
        if self._way.is_stale and at_s < self._fetched_s:
            self.changes_s = self._fetched_s
            return at_s, self._was_new
        self.changes_s = self._expires_s
        return max(at_s, self._fetched_s), self._is_new

    def rest_s(self, at_s: float) -> float:
        """The TTL that an answer says which arrives now: whole seconds."""
        if not self._way.is_cached:
            return self._way.ttl_s
        given_s = at_s - self._way.ask_s / 2
        if self._way.is_stale and given_s < self._fetched_s:
            return self._way.told_ttl_s
        return self._expires_s - self._second(given_s)

    def _others_s(self) -> float:
        """When the others in the city ask next after the answer has expired."""
        if math.isinf(self._asked_s):
            return math.inf
        phase_s = self._moment.fetched * self._asked_s
        return phase_s + math.ceil((self._expires_s - phase_s) / self._asked_s) * self._asked_s

    def _fetch(self, at_s: float) -> None:
        server = self._chance.choice(self._moment.servers)
        self._was_new, self._is_new = self._is_new, at_s + server.rtt_s / 2 >= server.switch_s
        self._fetched_s = at_s + server.rtt_s
        dropped_s = self._second(self._fetched_s) + self._way.ttl_s
        self._expires_s = max(dropped_s, math.nextafter(self._fetched_s, math.inf))

    def _second(self, at_s: float) -> float:
        return math.floor(at_s - self._moment.second_s) + self._moment.second_s


class _Names:
    """A client's own cache before the resolver."""

    def __init__(self, resolver: _Resolver, way: Failover, moment: _Moment) -> None:
        self._resolver = resolver
        self._cache_s = way.load.cache_s
        self._until_s = -math.inf
        self._is_new = False
        if self._cache_s == TTL_CACHE:
            self.lookup(-moment.asked * way.lookups.ttl_s)
        elif self._cache_s != NO_CACHE:
            self._until_s = (1 - moment.asked) * self._cache_s

    def lookup(self, at_s: float) -> tuple[float, bool]:
        """When the answer is there, and whether it is the new region."""
        if at_s < self._until_s:
            return at_s, self._is_new
        answered_s, self._is_new = self._resolver.lookup(at_s)
        if self._cache_s == TTL_CACHE:
            self._until_s = answered_s + self._resolver.rest_s(answered_s)
        elif self._cache_s != NO_CACHE:
            self._until_s = answered_s + self._cache_s
        return answered_s, self._is_new

    @property
    def changes_s(self) -> float:
        """Until then every lookup is answered as the last one was."""
        return self._resolver.changes_s if self._cache_s == NO_CACHE else self._until_s


def _recovery_s(way: Failover, moment: _Moment, asked_s: float, chance: random.Random) -> float:
    """From the fault to the first request from which on all are answered."""
    resolver = _Resolver(way.lookups, moment, asked_s, chance)
    names = _Names(resolver, way, moment)
    if way.load.kind == "stream":
        return _streams_s(way, moment, names)
    gap_s = 1 / way.load.rate
    first_s = moment.request * gap_s
    told_s = _told_s(names, first_s, gap_s, moment.settled_s)
    if way.load.kind == "keepalive" and way.load.connections:
        refilled_s = _refilled_s(way, told_s)
        return first_s + math.ceil((refilled_s - first_s) / gap_s) * gap_s
    return told_s


def _told_s(names: _Names, first_s: float, gap_s: float, settled_s: float) -> float:
    """The first request from which on every lookup is answered with the new region."""
    told_s, n = math.inf, 0
    while True:
        at_s = first_s + n * gap_s
        if not names.lookup(at_s)[1]:
            told_s = math.inf
        else:
            told_s = min(told_s, at_s)
            if at_s >= settled_s:
                return told_s
        n = max(n + 1, math.ceil((names.changes_s - first_s) / gap_s))


def _refilled_s(way: Failover, told_s: float) -> float:
    """When a pool that is kept warm serves its requests again, DNS having moved at `told_s`.

    The last used connection is the next, so replacements of lost ones are used before those that
    lead nowhere: as many are needed as requests overlap in a round trip. They come as fast as
    requests find out lost connections, and as attempts to the old address give up. What is silent
    beneath them may still cost a request in a burst.
    """
    load, patience_s = way.load, way.timeouts.response_s
    if way.fault == "crash":  # all were reset at once
        return told_s
    lifetime_s = math.inf if load.lifetime_s is None else load.lifetime_s
    used_up_s = min((load.connections or 0) / load.rate, lifetime_s)
    used_up_s += told_s if way.keeps_opening else 0.0
    if used_up_s <= told_s:
        return told_s
    since_s = max(told_s, patience_s)
    attempting = 0.0 if way.keeps_opening else load.rate * (since_s - patience_s)
    cycle_s = way.timeouts.connect_s + POOL_BACK_OFF_S
    needed = 1 + math.ceil(load.rate * way.new_rtt_s)
    replaced_s = since_s + needed / (load.rate + attempting / cycle_s) + way.connect_s
    return max(told_s, min(used_up_s, replaced_s))


def _streams_s(way: Failover, moment: _Moment, names: _Names) -> float:
    """The message after the last that was due on a stream without a connection."""
    count, gap_s = streams_of(way.load), way.message_gap_s
    firsts_s = [(moment.request + n) / way.load.rate - gap_s for n in range(count)]
    attempts = [(_lost_s(way, first_s), first_s) for first_s in firsts_s]
    heapq.heapify(attempts)
    last_s = 0.0
    while attempts:
        at_s, first_s = heapq.heappop(attempts)
        answered_s, is_new = names.lookup(at_s)
        if is_new:
            due = math.ceil((answered_s + way.new_rtt_s - first_s) / gap_s) - 1
            last_s = max(last_s, first_s + due * gap_s)
        else:
            heapq.heappush(attempts, (_attempt_s(way, at_s, answered_s, first_s), first_s))
    return last_s + 1 / way.load.rate


def _lost_s(way: Failover, first_s: float) -> float:
    """When a stream with a message at `first_s` knows that its connection is lost."""
    if way.fault == "crash":
        return way.old_rtt_s / 2
    return _message_s(way, first_s, -way.old_rtt_s / 2) + way.timeouts.response_s


def _attempt_s(way: Failover, at_s: float, answered_s: float, first_s: float) -> float:
    """When a stream attempts again whose attempt at `at_s` was given the old address."""
    if way.fault == "crash":
        return answered_s + way.old_rtt_s + STREAM_BACK_OFF_S
    if way.fault == "freeze":  # the handshake completes; the next message stalls
        stalled_s = _message_s(way, first_s, answered_s + way.old_rtt_s) + way.timeouts.response_s
        return stalled_s + STREAM_BACK_OFF_S
    return at_s + way.timeouts.connect_s + STREAM_BACK_OFF_S


def _message_s(way: Failover, first_s: float, since_s: float) -> float:
    """A stream's first message from `since_s` on."""
    gap_s = way.message_gap_s
    return first_s + math.ceil((since_s - first_s) / gap_s) * gap_s
