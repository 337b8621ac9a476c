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
  is fetched in a round trip. Our clients have no cache of their own.
* **client**: what the kind itself adds. `http` and `udp` look up for every request: nothing.
  `keepalive` adds nothing either: an idle connection to a silent region fails once, after the
  response timeout, and is closed; requests take the last used one first and none is put back, so a
  pool of n is used up after n / rate, and as requests overlap only for a round trip or two in a
  healthy pool, that is long before DNS has moved (a pool that an earlier fault has blown up may
  take longer). `stream` stalls first and then attempts again and again; an attempt that was given
  the old address holds it up: see `_stream_attempt_s`.
* **connect**: a handshake with the new region. **resume**: until the schedule's next request.

The bounds hold for a region cut from everybody, its name servers' paths intact, name servers alive.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from emulator.plan.model import Bound, Plan, ServiceSpec
from emulator.plan.paths import round_trips_s
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


@dataclass(frozen=True, slots=True)
class _Failover:
    """One city's way from a dead region to the next; times in seconds."""

    fault: str
    city: str
    service: ServiceSpec
    timeouts: Timeouts
    detection_s: float
    lookup_rtt_s: float  # to the farthest name server
    old_rtt_s: float
    new_rtt_s: float
    gaps_s: Mapping[str, float]

    @property
    def cache_s(self) -> float:
        return self.lookup_rtt_s / 2 + self.service.ttl_s + self.lookup_rtt_s

    @property
    def moved_s(self) -> float:
        """From here on every lookup in this city is answered with the new address at once."""
        return self.detection_s + PUBLISH_S + self.cache_s

    @property
    def expiry_s(self) -> float:
        """From here on no lookup is answered with the old address, though it may wait."""
        return self.moved_s - self.lookup_rtt_s

    def old_fetches(self, since_s: float) -> int:
        """How often after `since_s` the resolver can still fetch the old address."""
        before_s = self.detection_s + PUBLISH_S - since_s
        return 1 + int(before_s / max(self.service.ttl_s, 1)) if before_s > 0 else 0


def moved_by_s(service: ServiceSpec) -> float:
    """After a drain began: when DNS must have moved every client that looks up, wherever it is."""
    detection_s = service.fall * service.interval_s + service.timeout_s
    return detection_s + PUBLISH_S + service.ttl_s + ROUND_TRIPS_MAX_S


def bounds(
    plan: Plan, fault_kind: str, region: str, rates: Mapping[str, float] | None = None
) -> tuple[Bound, ...]:
    """The worst recovery of every kind, in every city that is sent to `region`, from a fault of
    the whole region. `rates`: requests/s by kind, the light traffic unless given. Empty where
    nothing moves: a brown-out, or no other region has the service."""
    if fault_kind not in _MOVING:
        return ()
    light = plan.topology.light_traffic or STREAM_MESSAGES_PER_S
    gaps_s = _gaps_s(dict.fromkeys(CLIENT_KINDS, light) | dict(rates or {}))
    service = plan.services[0]
    found: list[Bound] = []
    for city in plan.topology.cities:
        near = [name for name in plan.preferred[city.name] if name in service.addresses]
        if len(near) > 1 and near[0] == region:
            failover = _failover(plan, fault_kind, city, (near[0], near[1]), gaps_s)
            found += [bound(failover) for bound in (_http, _keepalive, _stream, _udp)]
    return tuple(found)


def _gaps_s(rates: Mapping[str, float]) -> dict[str, float]:
    """Between two requests of a kind; of streams, between two messages of one stream."""
    gaps_s = {kind: 1 / rate if rate else 0.0 for kind, rate in rates.items()}
    streams = max(1, round(rates["stream"] / STREAM_MESSAGES_PER_S))
    return gaps_s | {"stream": streams * gaps_s["stream"]}


def _failover(
    plan: Plan, fault: str, city: City, regions: tuple[str, str], gaps_s: Mapping[str, float]
) -> _Failover:
    trips_s = round_trips_s(plan.paths)
    service = plan.services[0]
    old, new = regions
    name_servers = [site.name for site in plan.sites if site.kind == "dns"]
    check_rtt_s = max(trips_s[name_server, old] for name_server in name_servers)
    failed_check_s = {"crash": check_rtt_s, "drain": 2 * check_rtt_s}.get(fault, service.timeout_s)
    return _Failover(
        fault=fault,
        city=city.name,
        service=service,
        timeouts=city.timeouts,
        detection_s=service.fall * service.interval_s + min(failed_check_s, service.timeout_s),
        lookup_rtt_s=max(trips_s[city.name, name_server] for name_server in name_servers),
        old_rtt_s=trips_s[city.name, old],
        new_rtt_s=trips_s[city.name, new],
        gaps_s=gaps_s,
    )


def _http(way: _Failover) -> Bound:
    return _bound(way, "http", client_s=0.0, connect_s=way.new_rtt_s, words="")


def _udp(way: _Failover) -> Bound:
    return _bound(way, "udp", client_s=0.0, connect_s=0.0, words="; no handshake")


def _keepalive(way: _Failover) -> Bound:
    words = "; idle connections to the dead region are used up before that, one a request"
    return _bound(way, "keepalive", client_s=0.0, connect_s=way.new_rtt_s, words=words)


def _stream(way: _Failover) -> Bound:
    if way.fault == "drain":
        began_s = moved_by_s(way.service) + DRAIN_CLOSE_S + way.service.drain_timeout_s
        words = "; streams stay until the soft stop's end cuts them"
    else:
        began_s = _stream_attempt_s(way)
        words = f"; the first attempt after that begins by {began_s:.1f} s"
    client_s = max(0.0, began_s - way.expiry_s)  # the attempt's own lookup may be the fetch
    return _bound(way, "stream", client_s=client_s, connect_s=way.new_rtt_s, words=words)


def _stream_attempt_s(way: _Failover) -> float:
    """The latest start of a stream's first attempt that is given the new address.

    Attempts begin when the stream is lost, between `first` and `last`, and then again after
    `shortest` to `longest`, with `extra` once. The k-th can only be the first good one if the one
    before it began while the resolver still held the old address.
    """
    first, last, shortest, longest, extra = _stream_attempts(way)
    if way.expiry_s <= first:
        return last
    k = math.ceil((way.expiry_s - first) / shortest)
    return min(last + k * longest, max(last, way.expiry_s + longest)) + extra


def _stream_attempts(way: _Failover) -> tuple[float, float, float, float, float]:
    """first, last, shortest, longest, extra: see `_stream_attempt_s`."""
    gap_s, patience_s = way.gaps_s["stream"], way.timeouts.response_s
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


def _bound(way: _Failover, client: str, client_s: float, connect_s: float, words: str) -> Bound:
    service = way.service
    parts = {
        "detection_s": way.detection_s,
        "publish_s": PUBLISH_S,
        "cache_s": way.cache_s,
        "client_s": client_s,
        "connect_s": connect_s,
        "resume_s": way.gaps_s[client],
    }
    last_check_s = way.detection_s - service.fall * service.interval_s
    because = (
        f"{service.fall} checks every {service.interval_s:g} s, the last takes "
        f"{show_duration(last_check_s)}; a resolver that asked just before holds the old answer "
        f"for the {service.ttl_s} s of its TTL{words}"
    )
    rounded = {name: round(part, 4) for name, part in parts.items()}
    return Bound(way.city, client, round(sum(rounded.values()), 4), rounded, because)
