"""How long recovery can take, predicted from the plan: one pure function a client kind.

t = 0 is the fault. Recovery is the *start* of the first request of the first window in which all
are ok, and requests are judged by their start, so a request that hangs delays no other one.

* **detection**: the last good check began just before the fault. Checks keep their schedule, so
  the `fall`-th bad one begins `fall * interval` after it, and ends after its timeout where the
  region is silent, after a round trip where its kernel refuses, after two where it answers 503.
* **publish**: until the name server's next answer follows.
* **cache**: a resolver asked just before that. Its answer travels, is held for the TTL and not
  longer (Unbound counts whole seconds: at the turn of a second at which a TTL reaches 0 the answer
  is dropped, since version 1.24; before that it was held for up to 1 s more), and then the next one
  is fetched in a round trip.
* **client**: what the kind itself adds. A DNS cache of its own, filled just before the resolver's
  answer expires: its time, or, where it honours the TTL, the 1 s to which the rest of a TTL is
  rounded up (see `held_s`). `http` and `udp` look up for every request: nothing more.
  `keepalive` neither: an idle connection to a silent region fails once, after the response
  timeout, and is closed; requests take the last used one first and none is put back, so a pool of
  n is used up after n / rate, and as requests overlap only for a round trip or two in a healthy
  pool, that is long before DNS has moved (a pool that an earlier fault has blown up may take
  longer). A pool that is kept warm can be larger than that: see `_pool_s`. `stream` stalls first
  and then attempts again and again; an attempt that was given the old address holds it up: see
  `_stream_attempt_s`.
* **connect**: a handshake with the new region. **resume**: until the schedule's next request.

The bounds hold for a region cut from everybody, its name servers' paths intact, name servers alive.
The loss of a region's edge host alone is the same: nobody reaches the region but through it. Who
keeps an answer for ever has no bound: it never asks again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from emulator.plan.model import Bound, Plan, ServiceSpec
from emulator.plan.paths import round_trips_s
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
    lookup_rtt_s: float  # to the farthest name server
    old_rtt_s: float
    new_rtt_s: float

    @property
    def cache_s(self) -> float:
        return self.lookup_rtt_s / 2 + self.service.ttl_s + self.lookup_rtt_s

    @property
    def expiry_s(self) -> float:
        """From here on no resolver's answer is the old address, though it may take a fetch."""
        return self.detection_s + PUBLISH_S + self.cache_s - self.lookup_rtt_s

    @property
    def told_s(self) -> float:
        """From here on the client is not given the old address, also not by its own cache."""
        return self.expiry_s + self.held_s

    @property
    def held_s(self) -> float:
        """What the client's own cache adds. It is told the rest of a TTL in whole seconds, counted
        from the second in which it asked: until up to 1 s after the resolver drops the answer."""
        rounding_s = min(1.0, self.service.ttl_s)
        return rounding_s if self.load.cache_s == TTL_CACHE else self.load.cache_s

    @property
    def message_gap_s(self) -> float:
        """Between two messages of one stream."""
        return streams_of(self.load) / self.load.rate

    def old_fetches(self, since_s: float) -> int:
        """How often after `since_s` the resolver can still fetch the old address."""
        before_s = self.detection_s + PUBLISH_S - since_s
        return 1 + int(before_s / max(self.service.ttl_s, 1)) if before_s > 0 else 0


def moved_by_s(service: ServiceSpec) -> float:
    """After a drain began: when DNS must have moved every client that looks up, wherever it is."""
    detection_s = service.fall * service.interval_s + service.timeout_s
    return detection_s + PUBLISH_S + service.ttl_s + ROUND_TRIPS_MAX_S


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
    if fault_kind not in _MOVING:
        return ()
    service = plan.services[0]
    found: list[Failover] = []
    for city in plan.topology.cities:
        near = [name for name in plan.preferred[city.name] if name in service.addresses]
        if len(near) < 2 or near[0] != region:
            continue
        kinds = light_loads(plan) | dict(loads.get(city.name, {}))
        found += [
            _failover(plan, fault_kind, city, (near[0], near[1]), load)
            for load in kinds.values()
            if load.cache_s != CACHE_FOR_EVER
        ]
    return tuple(found)


def _failover(plan: Plan, fault: str, city: City, regions: tuple[str, str], load: Load) -> Failover:
    trips_s = round_trips_s(plan.paths)
    service = plan.services[0]
    old, new = regions
    name_servers = [site.name for site in plan.sites if site.kind == "dns"]
    check_s = max(failed_check_s(fault, service, trips_s[name, old]) for name in name_servers)
    return Failover(
        fault=fault,
        city=city.name,
        load=load,
        service=service,
        timeouts=city.timeouts,
        detection_s=service.fall * service.interval_s + check_s,
        lookup_rtt_s=max(trips_s[city.name, name_server] for name_server in name_servers),
        old_rtt_s=trips_s[city.name, old],
        new_rtt_s=trips_s[city.name, new],
    )


def failed_check_s(fault: str, service: ServiceSpec, rtt_s: float) -> float:
    """How long a bad check takes: a refusal is one round trip away, an answer two, and silence
    lasts for the timeout."""
    lasts_s = {"crash": rtt_s, "drain": 2 * rtt_s}.get(fault, service.timeout_s)
    return min(lasts_s, service.timeout_s)


def _http(way: Failover) -> Bound:
    return _bound(way, client_s=way.held_s, connect_s=way.new_rtt_s, words="")


def _udp(way: Failover) -> Bound:
    return _bound(way, client_s=way.held_s, connect_s=0.0, words="; no handshake")


def _keepalive(way: Failover) -> Bound:
    pool_s = _pool_s(way)
    if pool_s <= way.told_s:
        words = "; idle connections to the dead region are used up before that, one a request"
    else:
        words = f"; the {way.load.connections} connections of its pool are used up one a request"
    client_s = max(way.told_s, pool_s) - way.expiry_s
    return _bound(way, client_s=client_s, connect_s=way.new_rtt_s, words=words)


def _pool_s(way: Failover) -> float:
    """When a pool that is kept warm holds no connection to the dead region any more, at the
    latest; 0 without one.

    Silent ones are used up, one a request. A crash resets them at once. A frozen region's kernel
    still completes handshakes, so the pool is refilled from it until DNS has moved.
    """
    used_up_s = (way.load.connections or 0) / way.load.rate
    if way.fault == "crash":
        return 0.0
    return way.told_s + used_up_s if way.fault == "freeze" and used_up_s else used_up_s


def _stream(way: Failover) -> Bound:
    if way.fault == "drain":
        began_s = moved_by_s(way.service) + DRAIN_CLOSE_S + way.service.drain_timeout_s
        words = "; streams stay until the soft stop's end cuts them"
    else:
        began_s = _stream_attempt_s(way)
        words = f"; the first attempt after that begins by {began_s:.1f} s"
    client_s = max(0.0, began_s - way.expiry_s)  # the attempt's own lookup may be the fetch
    return _bound(way, client_s=client_s, connect_s=way.new_rtt_s, words=words)


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
    if way.fault == "crash":  # FIN or RST arrives; each SYN is answered by RST
        period = way.old_rtt_s + STREAM_BACK_OFF_S
        return 0.0, way.old_rtt_s, period, period, way.lookup_rtt_s
    # Stalled when the oldest message without an echo is as old as the response timeout.
    first = patience_s - way.old_rtt_s
    if way.fault == "freeze":  # the kernel still completes handshakes: every attempt stalls anew
        shortest = way.old_rtt_s + patience_s + STREAM_BACK_OFF_S
        # Messages keep their schedule, so what stalls is a whole number of gaps apart; the first
        # attempt has no back-off, and a lookup may wait while the resolver fetches.
        longest = _round_up(shortest, gap_s)
        extra = STREAM_BACK_OFF_S + way.old_fetches(first) * _round_up(way.lookup_rtt_s, gap_s)
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
        f"{show_duration(last_check_s)}; a resolver that asked just before holds the old answer "
        f"for the {service.ttl_s} s of its TTL{_cache_words(way)}{words}"
    )
    rounded = {name: round(part, 4) for name, part in parts.items()}
    return Bound(way.city, way.load.kind, round(sum(rounded.values()), 4), rounded, because)


def _cache_words(way: Failover) -> str:
    held = show_duration(way.held_s)
    if way.load.cache_s == TTL_CACHE:
        return f", the client's own cache up to {held} longer, as TTLs are whole seconds"
    return f", the client's own cache for {held} more" if way.held_s else ""
