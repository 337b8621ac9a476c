"""A failover played through second by second, to hold the bounds against.

Nothing here knows the bounds' formulas: checks run on their schedule, a resolver fetches and holds,
requests are sent, streams stall and attempt again, and recovery is read off the outcomes as the
design defines it. t = 0 is the fault; times are seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from emulator.plan.model import Plan
from emulator.plan.paths import round_trips_s

WINDOW_S = 3.0
WINDOW_REQUESTS = 10
BACK_OFF_S = 0.1
TRAFFIC_GAP_S = 0.05  # a city's lookups over all kinds: what makes its resolver fetch
HORIZON_S = 40.0
JUST = 1e-4  # "just before"

Outcome = tuple[float, bool]  # start, ok


@dataclass(frozen=True)
class World:
    """One city, the region it loses, and the one it goes to."""

    plan: Plan
    fault: str  # power, crash, freeze
    city: str
    old: str
    new: str
    asks: str = ""  # the city whose resolver answers; "": its own, "none": the name servers
    ttl_s: int = 0  # for which that resolver holds answers; 0: for the service's
    is_stale: bool = False

    def rtt_s(self, a: str, b: str) -> float:
        return round_trips_s(self.plan.paths)[a, b]

    def switch_s(self, name_server: str, spare_s: float, publish_s: float) -> float:
        """When its answers change, if the last good check had `spare_s` to spare: the region's
        answer, sent 1.5 round trips after the check began, left just before the fault."""
        service = self.plan.services[0]
        rtt_s = self.rtt_s(name_server, self.old)
        last_good = -1.5 * rtt_s - spare_s
        lasts = rtt_s if self.fault == "crash" else service.timeout_s
        return last_good + service.fall * service.interval_s + lasts + publish_s


@dataclass
class Direct:
    """No resolver: one name server answers every lookup itself."""

    switch_s: float
    rtt_s: float

    def lookup(self, t: float) -> tuple[float, bool]:
        """When the answer is there, and whether it is the new region."""
        return t + self.rtt_s, t + self.rtt_s / 2 >= self.switch_s


@dataclass
class Resolver:
    """Holds the old address until `expires_s`, then asks one name server again and again; a stale
    one tells what it holds until that has answered."""

    switch_s: float
    rtt_s: float
    ttl_s: int
    expires_s: float
    second_s: float  # where its clock's whole seconds begin
    traffic_s: float  # the city's next lookup by others
    ask_s: float = 0.0  # round trip to it
    is_stale: bool = False

    def __post_init__(self) -> None:
        self._is_new = self._was_new = False
        self._fetched_s = -math.inf

    def lookup(self, t: float) -> tuple[float, bool]:
        """When the answer is there, and whether it is the new region."""
        arrives = t + self.ask_s / 2
        while self.traffic_s < arrives:
            self._ask(self.traffic_s)
            self.traffic_s += TRAFFIC_GAP_S
        leaves, is_new = self._ask(arrives)
        return leaves + self.ask_s / 2, is_new

    def _ask(self, t: float) -> tuple[float, bool]:
        if t >= self._fetched_s and t >= self.expires_s:
            self._was_new, self._is_new = self._is_new, t + self.rtt_s / 2 >= self.switch_s
            self._fetched_s = t + self.rtt_s
            whole = math.floor(self._fetched_s - self.second_s)
            self.expires_s = whole + self.second_s + self.ttl_s
        if self.is_stale and t < self._fetched_s:
            return t, self._was_new
        return max(t, self._fetched_s), self._is_new


Asked = Resolver | Direct


def schedule(gap_s: float, phase: float) -> Iterator[float]:
    """Starts of requests, from before the fault on; `phase` in 0..1 of a gap."""
    first = -math.ceil(1 / gap_s)
    return ((n + phase) * gap_s for n in range(first, math.ceil(HORIZON_S / gap_s)))


def recovery_s(outcomes: list[Outcome]) -> float:
    """The start of the first all-ok window after the first failed request."""
    failed = next(i for i, (_, ok) in enumerate(outcomes) if not ok)
    for i in range(failed, len(outcomes)):
        begins = outcomes[i][0]
        window = [ok for start, ok in outcomes[i : i + 400] if start <= begins + WINDOW_S]
        if len(window) >= WINDOW_REQUESTS and all(window):
            return begins
    raise AssertionError("never recovered")


def play_each(world: World, resolver: Asked, gap_s: float, phase: float) -> list[Outcome]:
    """`http` and `udp`: each request looks up; the old region answers until the fault."""
    old_s = 2 * world.rtt_s(world.city, world.old)
    return [
        (start, resolver.lookup(start)[1] or start + old_s < 0) for start in schedule(gap_s, phase)
    ]


def play_keepalive(world: World, resolver: Asked, gap_s: float, phase: float) -> list[Outcome]:
    """A pool, the last used first; what fails is closed. It begins with more idle connections than
    a healthy second's requests could ever have opened."""
    pool = [(-math.inf, False)] * math.ceil(1 / gap_s)  # free from, leads to the new region
    trip = {False: world.rtt_s(world.city, world.old), True: world.rtt_s(world.city, world.new)}
    outcomes = []
    for start in schedule(gap_s, phase):
        free = [link for link in pool if link[0] <= start]
        is_new = max(free)[1] if free else resolver.lookup(start)[1]
        if free:
            pool.remove(max(free))
        ok = is_new or start + 2 * trip[False] < 0
        if ok:
            pool.append((start + 2 * trip[is_new], is_new))
        elif world.fault == "crash":
            pool = [link for link in pool if link[1]]  # FIN or RST on each of them
        outcomes.append((start, ok))
    return outcomes


def play_stream(world: World, resolver: Asked, gap_s: float, phase: float) -> list[Outcome]:
    """One stream: lost, then attempts until one is given the new region."""
    messages = list(schedule(gap_s, phase))
    timeouts = next(c.timeouts for c in world.plan.topology.cities if c.name == world.city)
    old_s, new_s = world.rtt_s(world.city, world.old), world.rtt_s(world.city, world.new)
    unanswered = next(m for m in messages if m + old_s > 0)
    t = old_s / 2 if world.fault == "crash" else unanswered + timeouts.response_s
    while True:
        answered, is_new = resolver.lookup(t)
        if is_new:
            connected = answered + new_s
            return [(m, m < unanswered or m >= connected) for m in messages]
        if world.fault == "power":
            t += timeouts.connect_s + BACK_OFF_S
        elif world.fault == "crash":
            t = answered + old_s + BACK_OFF_S
        else:  # the handshake completes; the next message stalls
            oldest = next(m for m in messages if m >= answered + old_s)
            t = oldest + timeouts.response_s + BACK_OFF_S
