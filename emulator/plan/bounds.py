"""How long recovery can take, predicted from the plan: one pure function a client kind.

t = 0 is the fault. Recovery is the *start* of the first request of the first window in which all
are ok, and requests are judged by their start, so a request that hangs delays no other one.

* **detection**: the last good check began just before the fault; see `detection`.
* **publish**: until the name server's next answer follows.
* **cache**: a resolver asked just before that. Its answer travels, is held for the TTL and not
  longer (since version 1.24; before that for up to 1 s more), and then the next one is fetched in a
  round trip; see `lookups`. Where a stale answer is served, somebody must ask first, and the old
  answer goes on until that fetch is back. Without a resolver: a lookup's round trip.
* **client**: what the kind itself adds. A DNS cache of its own, filled just before the resolver's
  answer expires: its time, or, where it honours the TTL, the 1 s to which the rest of a TTL is
  rounded up (see `held_s`). `http` and `udp` look up for every request: nothing more.
  `keepalive` neither: an idle connection to a silent region fails once, after the response
  timeout, and is closed; requests take the last used one first and none is put back, so a pool of
  n is used up after n / rate, and as requests overlap only for a round trip or two in a healthy
  pool, that is long before DNS has moved (a pool that an earlier fault has blown up may take
  longer). A pool that is kept warm can be larger than that: see `_pool_s`; a lifetime of its
  connections ends it sooner. `stream` stalls first
  and then attempts again and again; an attempt that was given the old address holds it up: see
  `_stream_attempt_s`.
* **connect**: a handshake with the new region, and TLS 1.3's where it speaks that. **resume**:
  until the schedule's next request.

The bounds hold for a region cut from everybody, its name servers' paths intact, name servers alive.
The loss of a region's edge host alone is the same: nobody reaches the region but through it. No
lookup fails then, as another region is there, so what clients believe of failures adds nothing, and
`all_down` is never the answer. An adaptive TTL only shortens what is held. Where a policy draws,
hashes or takes turns, every region that a city may be on has its bound, to the farthest other.

No bound have: who keeps an answer for ever, as it never asks again; a policy with nowhere else to
go; a fault that no check can show (`detection.can_fail`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from emulator.plan.detection import can_fail, detection_s
from emulator.plan.lookups import Lookups, lookups_of
from emulator.plan.model import Bound, Plan, ServiceSpec
from emulator.plan.paths import round_trips_s
from emulator.plan.policies import is_certain
from emulator.plan.sent import sent_cities
from emulator.scenario.model import CACHE_FOR_EVER, TTL_CACHE, Load
from emulator.topology.model import CLIENT_KINDS, City, Timeouts
from emulator.units import show_duration

PUBLISH_S = 0.05  # one turn of the name server's loop, on a busy machine
ROUND_TRIPS_MAX_S = 1.0  # a lookup and a handshake, half around the earth and back
DRAIN_CLOSE_S = 3.0  # a pool's connections are used once more and hear "close"

# Constants of the built-in client: a message every 200 ms a stream, 100 ms back-off.
STREAM_MESSAGES_PER_S = 5.0
STREAM_BACK_OFF_S = 0.1

# A brown-out need not move anybody.
_MOVING = frozenset({"power", "crash", "freeze", "drain", "partition"})


Loads = Mapping[str, Load]  # of one city, by client kind


@dataclass(frozen=True, slots=True)
class Failover:
    """One client kind's way from a dead region to the next; times in seconds."""

    fault: str
    city: str
    load: Load
    service: ServiceSpec
    timeouts: Timeouts
    detection_s: float
    lookups: Lookups
    asked_s: float  # the longest until somebody of the city asks the resolver
    moved_by_s: float  # of a drain
    old_rtt_s: float
    new_rtt_s: float

    @property
    def cache_s(self) -> float:
        way = self.lookups
        if not way.is_cached:
            return way.ask_s
        waited_s = self.asked_s if way.is_stale else 0.0
        return way.fetch_s / 2 + way.ttl_s + waited_s + way.fetch_s

    @property
    def expiry_s(self) -> float:
        """From here on nobody who is asked gives the old address, though it may take a fetch."""
        fetched_s = self.lookups.fetch_s if self.lookups.is_cached else self.lookups.ask_s
        whole_s = self.detection_s + PUBLISH_S + self.cache_s
        return whole_s if self.lookups.is_stale else whole_s - fetched_s

    @property
    def told_s(self) -> float:
        """From here on the client is not given the old address, also not by its own cache."""
        return self.expiry_s + self.held_s

    @property
    def held_s(self) -> float:
        """What the client's own cache adds, counted from the arrival of its answer. It is told the
        rest of a TTL in whole seconds, so until up to 1 s after the resolver drops the answer."""
        held_s = self.lookups.told_ttl_s if self.load.cache_s == TTL_CACHE else self.load.cache_s
        return held_s + self.lookups.ask_s / 2 if held_s else 0.0

    @property
    def connect_s(self) -> float:
        """Until a new connection to the new region can be asked (TLS: RFC 8446, 2)."""
        is_secured = self.service.tls and self.load.kind != "stream"
        return self.new_rtt_s * (2 if is_secured else 1)

    @property
    def keeps_opening(self) -> bool:
        """Whether HTTP connections to the lost region still open: a frozen one's kernel completes
        handshakes, but not those of TLS."""
        return self.fault == "freeze" and not self.service.tls

    @property
    def message_gap_s(self) -> float:
        """Between two messages of one stream."""
        return streams_of(self.load) / self.load.rate

    def old_fetches(self, since_s: float) -> int:
        """How often after `since_s` the resolver can still fetch the old address, at most."""
        before_s = self.detection_s + PUBLISH_S - since_s
        return 1 + int(before_s / max(self.lookups.ttl_s, 1)) if before_s > 0 else 0


def moved_by_s(plan: Plan, service: ServiceSpec) -> float:
    """After a drain began: when DNS must have moved every client that looks up, wherever it is."""
    seen_s = service.fall * service.interval_s + service.timeout_s
    ways = [lookups_of(plan, city) for city in plan.topology.cities]
    # Somebody of any city with traffic asks within a second.
    held_s = max(max(way.ttl_s, service.ttl_s) + way.is_stale for way in ways)
    return seen_s + PUBLISH_S + held_s + ROUND_TRIPS_MAX_S


def streams_of(load: Load) -> int:
    """How many streams carry the messages."""
    return load.connections or max(1, round(load.rate / STREAM_MESSAGES_PER_S))


def bounds(
    plan: Plan, fault_kind: str, region: str, loads: Mapping[str, Loads] | None = None
) -> tuple[Bound, ...]:
    """The worst recovery of every kind, in every city that is sent to `region`, from a fault of
    the whole region. `loads`: by city and kind, the light traffic for what is not there. Empty
    where nothing moves: a brown-out, or no other region has the service."""
    ways = failovers(plan, fault_kind, region, loads or {})
    return tuple(_BOUNDS[way.load.kind](way) for way in ways)


def light_loads(plan: Plan) -> dict[str, Load]:
    """What every city sends by itself; 5/s of every kind where that was switched off."""
    rate = plan.topology.light_traffic or STREAM_MESSAGES_PER_S
    return {kind: Load(kind, rate) for kind in CLIENT_KINDS}


def failovers(
    plan: Plan, fault_kind: str, region: str, loads: Mapping[str, Loads]
) -> tuple[Failover, ...]:
    """Who is moved by a fault of the whole region, and comes to know of it."""
    if fault_kind not in _MOVING or not can_fail(fault_kind, plan.services[0], region):
        return ()
    found: list[Failover] = []
    for city in plan.topology.cities:
        new = _next_region(plan, city, region)
        if new is None:
            continue
        sent = loads.get(city.name, light_loads(plan))
        kinds = light_loads(plan) | dict(sent)
        found += [
            _failover(plan, fault_kind, city, (region, new), (load, sent))
            for load in kinds.values()
            if load.cache_s != CACHE_FOR_EVER
        ]
    return tuple(found)


def _next_region(plan: Plan, city: City, lost: str) -> str | None:
    """Where this city's clients go without the region; the farthest, where that is not certain;
    None: they are not on it, or there is no other."""
    policy = plan.services[0].policy
    if lost not in sent_cities(plan)[city.name].regions:
        return None
    others = [region for region in plan.preferred[city.name] if region != lost]
    if not others or is_certain(policy):
        return next(iter(others), None)
    trips_s = round_trips_s(plan.paths)
    return max(others, key=lambda region: trips_s[city.name, region])


def _failover(
    plan: Plan, fault: str, city: City, regions: tuple[str, str], loads: tuple[Load, Loads]
) -> Failover:
    """`loads`: the one in question, and all that the city really has."""
    trips_s = round_trips_s(plan.paths)
    (old, new), (load, sent) = regions, loads
    lookups = lookups_of(plan, city)
    asking = [_asks_within_s(city, lookups, each) for each in (*_regular(sent), load)]
    return Failover(
        fault=fault,
        city=city.name,
        load=load,
        service=plan.services[0],
        timeouts=city.timeouts,
        detection_s=detection_s(plan, trips_s, fault, old, lookups.servers),
        lookups=lookups,
        asked_s=min(asking),
        moved_by_s=moved_by_s(plan, plan.services[0]),
        old_rtt_s=trips_s[city.name, old],
        new_rtt_s=trips_s[city.name, new],
    )


def _regular(sent: Loads) -> Iterator[Load]:
    """Those who look up for every request."""
    return (load for kind, load in sent.items() if kind in {"http", "udp"})


def _asks_within_s(city: City, lookups: Lookups, load: Load) -> float:
    """How long at most one kind goes without a lookup, once what it holds leads nowhere."""
    held_s = lookups.ttl_s if load.cache_s == TTL_CACHE else load.cache_s
    if load.kind != "stream":
        return held_s + 1 / load.rate
    patience = city.timeouts
    attempt_s = lookups.longest_s + patience.connect_s + patience.response_s
    return held_s + attempt_s + streams_of(load) / load.rate + STREAM_BACK_OFF_S


def _http(way: Failover) -> Bound:
    return _bound(way, client_s=way.held_s, connect_s=way.connect_s, words="")


def _udp(way: Failover) -> Bound:
    return _bound(way, client_s=way.held_s, connect_s=0.0, words="; no handshake")


def _keepalive(way: Failover) -> Bound:
    pool_s = _pool_s(way)
    if pool_s <= way.told_s:
        words = "; idle connections to the dead region are used up before that, one a request"
    else:
        words = f"; the {way.load.connections} connections of its pool are used up one a request"
    if way.lookups.is_stale and pool_s > way.expiry_s:  # nobody else may have asked meanwhile
        pool_s += way.asked_s + way.lookups.fetch_s
    client_s = max(way.told_s, pool_s) - way.expiry_s
    return _bound(way, client_s=client_s, connect_s=way.connect_s, words=words)


def _pool_s(way: Failover) -> float:
    """When a pool that is kept warm holds no connection to the dead region any more, at the
    latest; 0 without one.

    Silent ones are used up, one a request. A crash resets them at once. A frozen region's kernel
    still completes handshakes, so without TLS the pool is refilled from it until DNS has moved.
    """
    lifetime_s = math.inf if way.load.lifetime_s is None else way.load.lifetime_s
    used_up_s = min((way.load.connections or 0) / way.load.rate, lifetime_s)
    if way.fault == "crash":
        return 0.0
    return way.told_s + used_up_s if way.keeps_opening and used_up_s else used_up_s


def _stream(way: Failover) -> Bound:
    if way.fault == "drain":
        began_s = way.moved_by_s + DRAIN_CLOSE_S + way.service.drain_timeout_s
        words = "; streams stay until the soft stop's end cuts them"
    else:
        began_s = _stream_attempt_s(way)
        words = f"; the first attempt after that begins by {began_s:.1f} s"
    client_s = max(0.0, began_s - way.expiry_s)  # the attempt's own lookup may be the fetch
    return _bound(way, client_s=client_s, connect_s=way.connect_s, words=words)


_BOUNDS = {"http": _http, "keepalive": _keepalive, "stream": _stream, "udp": _udp}


def _stream_attempt_s(way: Failover) -> float:
    """The latest start of a stream's first attempt that is given the new address.

    Attempts begin when the stream is lost, between `first` and `last`, and then again after
    `shortest` to `longest`, with `extra` once. The k-th can only be the first good one if the one
    before it began while the resolver, or its own cache, still held the old address.
    """
    first, last, shortest, longest, extra = _stream_attempts(way)
    if way.told_s <= first:
        return last
    k = math.ceil((way.told_s - first) / shortest)
    return min(last + k * longest, max(last, way.told_s + longest)) + extra


def _stream_attempts(way: Failover) -> tuple[float, float, float, float, float]:
    """first, last, shortest, longest, extra: see `_stream_attempt_s`."""
    gap_s, patience_s = way.message_gap_s, way.timeouts.response_s
    ask_s = way.lookups.ask_s  # an attempt that its own cache serves is shorter by it
    if way.fault == "crash":  # FIN or RST arrives; each SYN is answered by RST
        period = way.old_rtt_s + STREAM_BACK_OFF_S
        return 0.0, way.old_rtt_s, period, ask_s + period, way.lookups.longest_s
    # Stalled when the oldest message without an echo is as old as the response timeout.
    first = patience_s - way.old_rtt_s
    if way.fault == "freeze":  # the kernel still completes handshakes: every attempt stalls anew
        shortest = way.old_rtt_s + patience_s + STREAM_BACK_OFF_S
        # Messages keep their schedule, so what stalls is a whole number of gaps apart; the first
        # attempt has no back-off, and a lookup may wait while the resolver fetches.
        longest = _round_up(ask_s + shortest, gap_s)
        fetches = way.old_fetches(first)
        extra = STREAM_BACK_OFF_S + fetches * _round_up(way.lookups.fetch_s, gap_s)
        return first, first + gap_s, shortest, longest, extra
    period = way.timeouts.connect_s + STREAM_BACK_OFF_S
    return first, first + gap_s, period, period, 0.0


def _round_up(seconds: float, gap_s: float) -> float:
    return math.ceil(seconds / gap_s) * gap_s


def _bound(way: Failover, client_s: float, connect_s: float, words: str) -> Bound:
    service = way.service
    parts = {
        "detection_s": way.detection_s,
        "publish_s": PUBLISH_S,
        "cache_s": way.cache_s,
        "client_s": client_s,
        "connect_s": connect_s,
        "resume_s": 1 / way.load.rate,
    }
    last_check_s = way.detection_s - service.fall * service.interval_s
    because = (
        f"{service.fall} checks every {service.interval_s:g} s, the last takes "
        f"{show_duration(last_check_s)}; {_resolver_words(way)}{_cache_words(way)}{words}"
    )
    rounded = {name: round(part, 4) for name, part in parts.items()}
    return Bound(way.city, way.load.kind, round(sum(rounded.values()), 4), rounded, because)


def _resolver_words(way: Failover) -> str:
    if not way.lookups.is_cached:
        return "clients ask the nearest name server themselves"
    stale = ", then tells it once more while it asks" if way.lookups.is_stale else ""
    return (
        "a resolver that asked just before holds the old answer "
        f"for the {way.lookups.ttl_s} s of its TTL{stale}"
    )


def _cache_words(way: Failover) -> str:
    held = show_duration(way.held_s)
    if way.load.cache_s == TTL_CACHE and not way.lookups.is_stale and way.lookups.is_cached:
        return f", the client's own cache up to {held} longer, as TTLs are whole seconds"
    return f", the client's own cache for {held} more" if way.held_s else ""
