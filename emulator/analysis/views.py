"""Who saw what of a region while a fault lasted: the name servers' checks, the balancer's, the
clients of each city, and the wire between them. Each is right about what it looks at.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from statistics import median
from typing import TypeVar

from emulator.analysis.measurements import FaultMeasured, Measurements
from emulator.analysis.periods import Interval, run_interval
from emulator.analysis.timeline import Client, FaultLife, History
from emulator.clock import NS_PER_MS, NS_PER_S
from emulator.events import Check, Event, Health, Proxy, Request

# These end a region's balancer, or all that it does.
_ENDING = {"power": "without power", "crash": "crashed", "freeze": "frozen"}
_P99 = 0.99
_START = attrgetter("t")
_Timed = TypeVar("_Timed", bound=Event)


@dataclass(frozen=True, slots=True)
class Course:
    """What somebody held for true over a fault: states by seconds after it, the first at 0."""

    states: tuple[tuple[float, str], ...]

    @property
    def is_up(self) -> bool:
        """From the fault's beginning to its end."""
        return {state for _, state in self.states} == {"UP"}

    @property
    def down_s(self) -> float | None:
        """Seconds until it was first held for DOWN; None: it never was."""
        return next((after for after, state in self.states if state == "DOWN"), None)


@dataclass(frozen=True, slots=True)
class Took:
    """Checks or requests that started in a time, and how long the good ones took (ms; None: there
    was none)."""

    count: int
    ok: int
    p50_ms: float | None
    p99_ms: float | None
    max_ms: float | None

    @property
    def share(self) -> float:
        """Of those that were answered well; 1 of none."""
        return self.ok / self.count if self.count else 1.0


@dataclass(frozen=True, slots=True)
class CheckView:
    """One checker's sight of a region, and what its name server concluded."""

    server: str
    checker: str  # the vantage site that made the checks; "": the server itself
    service: str  # "" where there is only one
    before: Took
    during: Took
    course: Course


@dataclass(frozen=True, slots=True)
class BalancerView:
    """What a region's balancer held of its own servers."""

    servers: tuple[tuple[str, Course], ...]
    lost: str  # why it could see nothing itself; "": it could


@dataclass(frozen=True, slots=True)
class CityView:
    """What a city's clients met when they asked the region."""

    city: str
    before: Took
    during: Took
    met: tuple[tuple[str, str, int], ...]  # outcome, detail, how many; the most frequent first


@dataclass(frozen=True, slots=True)
class Passed:
    """Packets of a kind on a path: how many entered, how many of them arrived."""

    entered: int
    arrived: int


@dataclass(frozen=True, slots=True)
class WireView:
    """What the wire saw of handshakes between a site and a region, and what it lost each way."""

    site: str
    syn: Passed  # to the region, first ones and those sent again
    synack: Passed  # back
    lost_there: Mapping[str, int]  # telling packets dropped on the way to the region, by cause
    lost_back: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RegionViews:
    """All that looked at one region while a fault lasted."""

    region: str
    checks: tuple[CheckView, ...]
    balancer: BalancerView | None
    cities: tuple[CityView, ...]
    wire: tuple[WireView, ...]


def views(measured: Measurements, history: History) -> tuple[tuple[RegionViews, ...], ...]:
    """For every fault, each region that it concerns: how it looked, from its injection to its heal
    or the run's end. Beside it, how it looked before: from the step before the fault on."""
    _, over = run_interval(history)
    spans = [_span(fault, history, over) for fault in measured.faults]
    asked = _by_start(history)
    wire = _Traffic(history, [during for _, during in spans])
    return tuple(
        tuple(
            _Scene(history, fault, before, during, asked, wire).of(region)
            for region in concerned(fault, history)
        )
        for fault, (before, during) in zip(measured.faults, spans, strict=True)
    )


def concerned(fault: FaultMeasured, history: History) -> list[str]:
    """The regions whose sight a fault may change: its own; else those that it is between; else
    those that serve the city that it is on; else, with name servers alone, all."""
    sites = history.run.sites if history.run else []
    regions = [str(site["name"]) for site in sites if site["kind"] == "region"]
    cities = {row.client.city: row.from_region for row in fault.rows if row.from_region}
    served = {cities[site] for site in fault.life.senders if site in cities}
    for some in (fault.life.senders, fault.life.peers, served, regions):
        if found := [region for region in regions if region in some]:
            return found
    return []


def _span(fault: FaultMeasured, history: History, over: int) -> tuple[Interval, Interval]:
    """Before and during: what an earlier fault did is no part of before."""
    began = fault.life.began
    steps = (
        t
        for other in history.injected()
        if other is not fault.life
        for t in (other.inject_began, other.healed)
        if t is not None and t < began
    )
    since = max(steps, default=history.first_ns or 0)
    return (since, began), (began, max(began, min(fault.ends, over)))


def _by_start(history: History) -> dict[Client, list[Request]]:
    return {client: sorted(history.requests[client], key=_START) for client in history.clients()}


@dataclass(frozen=True, slots=True)
class _Scene:
    """One fault, and what was told before and during it."""

    history: History
    fault: FaultMeasured
    before: Interval
    during: Interval
    asked: Mapping[Client, Sequence[Request]]
    traffic: _Traffic

    def of(self, region: str) -> RegionViews:
        checks = self._checks(region)
        cities = self._cities(region)
        sites = dict.fromkeys([
            *(city.city for city in cities), *(check.checker or check.server for check in checks),
        ])  # fmt: skip
        wire = (self.traffic.between(site, region, self.during) for site in sites)
        return RegionViews(
            region, checks, self._balancer(region), cities, tuple(w for w in wire if w is not None)
        )

    def _checks(self, region: str) -> tuple[CheckView, ...]:
        made: dict[tuple[str, str, str], list[Check]] = {}
        for check in sorted(self.history.checks, key=_START):
            if check.region == region:
                made.setdefault((check.server, check.service, check.checker), []).append(check)
        is_alone = len({service for _, service, _ in made}) < 2
        return tuple(
            CheckView(
                server,
                checker,
                "" if is_alone else service,
                _took(_within(checks, self.before)),
                _took(_within(checks, self.during)),
                self._held(server, service, region, checks),
            )
            for (server, service, checker), checks in sorted(made.items())
        )

    def _held(self, server: str, service: str, region: str, checks: Sequence[Check]) -> Course:
        """Before the first change that the history tells of, what the last check said."""
        told = [
            event
            for event in self.history.health
            if (event.server, event.service, event.region) == (server, service, region)
        ]
        last = [check.ok for check in checks if check.end < self.during[0]][-1:]
        return _course(told, self.during, "DOWN" if last == [False] else "UP")

    def _balancer(self, region: str) -> BalancerView | None:
        """Servers of which no change was told are UP: a lab is not ready before."""
        services = self.history.run.services if self.history.run else []
        servers = [s for each in services for s in each.get("servers", {}).get(region, ())]
        if not servers:
            return None
        told: dict[str, list[Proxy]] = {server: [] for server in servers}
        for event in self.history.proxies:
            if event.region == region and event.server in told:
                told[event.server].append(event)
        courses = tuple((name, _course(told[name], self.during, "UP")) for name in told)
        return BalancerView(courses, _lost(self.fault.life, region))

    def _cities(self, region: str) -> tuple[CityView, ...]:
        found = []
        home = {row.client: row.from_region for row in self.fault.rows}
        for city in dict.fromkeys(client.city for client in self.asked):
            own = [c for c in self.asked if c.city == city]
            mine = partial(self._asked_of, region, home)
            before = [r for c in own for r in mine(c, self.before) if not self._is_struck(r)]
            during = [r for c in own for r in mine(c, self.during)]
            if before or during:
                met = Counter((r.outcome, r.detail) for r in during if r.outcome != "ok")
                counted = tuple((*how, count) for how, count in met.most_common())
                found.append(CityView(city, _took(before), _took(during), counted))
        return tuple(found)

    def _asked_of(
        self, region: str, home: Mapping[Client, str], client: Client, span: Interval
    ) -> Iterator[Request]:
        """Requests to the region's address, and those of its own clients that got no address."""
        is_home = home.get(client) == region
        for request in _within(self.asked[client], span):
            to = self.history.region_of(request.address) if request.address else ""
            if (to == region or (not to and is_home)) and request.outcome != "unknown":
                yield request

    def _is_struck(self, request: Request) -> bool:
        """In flight at the fault and lost by it."""
        return request.outcome != "ok" and (request.end or request.t) >= self.during[0]


def _lost(life: FaultLife, region: str) -> str:
    is_hit = region in life.sites or f"{region}/edge" in life.hosts
    return _ENDING.get(life.how, "") if is_hit else ""


def _within(events: Sequence[_Timed], span: Interval) -> Sequence[_Timed]:
    first, after = (bisect_left(events, t, key=_START) for t in span)
    return events[first:after]


def _took(some: Iterable[Check | Request]) -> Took:
    every = list(some)
    good = sum(map(_is_good, every))
    timed = sorted(e.end - e.t for e in every if _is_good(e) and e.end is not None)
    if not timed:
        return Took(len(every), good, None, None, None)
    p99 = timed[min(len(timed) - 1, math.ceil(_P99 * len(timed)) - 1)]
    spans = (round(median(timed)), p99, timed[-1])
    return Took(len(every), good, *(span / NS_PER_MS for span in spans))


def _is_good(event: Check | Request) -> bool:
    return event.ok if isinstance(event, Check) else event.outcome == "ok"


def _course(told: Iterable[Health | Proxy], during: Interval, otherwise: str) -> Course:
    """`otherwise`: the state, where no change before the fault tells it."""
    changes = sorted(told, key=_START)
    before = [event.state for event in changes if event.t < during[0]]
    states = [(0.0, before[-1] if before else otherwise)]
    for event in _within(changes, during):
        if event.state != states[-1][1]:
            states.append(((event.t - during[0]) / NS_PER_S, event.state))
    return Course(tuple(states))


class _Traffic:
    """Telling packets while faults lasted, counted in one pass over all of them."""

    def __init__(self, history: History, spans: Sequence[Interval]) -> None:
        packets = history.packets
        self._numbers = {text: n for n, text in enumerate(packets.texts())}
        self._texts = packets.texts()
        self._borders = sorted({t for span in spans for t in span})
        columns = (packets.column(name) for name in ("source", "target", "what", "dropped"))
        arrived = map((-1).__ne__, packets.out)
        places = map(partial(bisect_right, self._borders), packets.t)
        self._counts: dict[tuple[int, int], dict[tuple[int, int, int, bool], int]] = {}
        every = Counter(zip(places, *columns, arrived, strict=False))
        for (place, source, target, what, why, came), count in every.items():
            self._counts.setdefault((source, target), {})[place, what, why, came] = count

    def between(self, site: str, region: str, span: Interval) -> WireView | None:
        """None where nothing telling was sent either way."""
        there, back = self._way(site, region, span), self._way(region, site, span)
        if not there and not back:
            return None
        return WireView(
            site,
            _passed(there, "syn", "syn-again"),
            _passed(back, "synack", "synack-again"),
            _dropped(there),
            _dropped(back),
        )

    def _way(self, source: str, target: str, span: Interval) -> _Way:
        way = self._counts.get((self._numbers.get(source, -1), self._numbers.get(target, -1)), {})
        first, last = bisect_right(self._borders, span[0]), self._borders.index(span[1])
        found: _Way = Counter()
        for (place, what, dropped, arrived), count in way.items():
            if first <= place <= last:
                found[self._texts[what], "" if arrived else self._texts[dropped]] += count
        return found


_Way = Counter[tuple[str, str]]  # kind of packet, why it was dropped ("": it arrived)


def _passed(way: _Way, *whats: str) -> Passed:
    entered = sum(count for (what, _), count in way.items() if what in whats)
    return Passed(entered, sum(way[what, ""] for what in whats))


def _dropped(way: _Way) -> dict[str, int]:
    causes: Counter[str] = Counter()
    for (_, cause), count in way.items():
        if cause:
            causes[cause] += count
    return dict(causes)
