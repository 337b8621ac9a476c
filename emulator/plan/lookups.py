"""How a city's clients come to an address, and how long they may be told an old one.

A resolver holds an answer for its TTL, kept between `cache_min_ttl` and `cache_max_ttl`, in whole
seconds: at the turn of a second at which the TTL reaches 0 it is dropped. With ECS it is the same,
a network at a time. `prefetch` changes nothing of that: what is fetched early is held no longer.

With `serve_expired` the answer is not dropped. Measured on Unbound 1.26.2, name servers reachable:
with a client timeout of 0 whoever asks first after the TTL is told the old answer at once, however
old it is by then, and so is everybody else until the fetch that he set off is back; it says of
itself that it is good for 30 s, or for its TTL where that is shorter. With the default of 1800 ms
everybody waits for the fetch, as without, unless it takes longer than that.

Without a resolver nothing is held, and the nearest name server is asked every time (a dead one
costs a try of the stub resolver; here all of them live).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emulator.plan.model import Plan
from emulator.plan.paths import round_trips_s
from emulator.plan.render.unbound import STALE_TTL_S
from emulator.plan.resolvers import nearest_name_servers, resolver_of, resolver_site
from emulator.topology.model import City

SLOW_S = 0.05  # what a fetch takes beside its way, on a busy machine


@dataclass(frozen=True, slots=True)
class Lookups:
    """Of one city and the first service; times in seconds."""

    ask_s: float  # round trip from a client to whom it asks
    fetch_s: float  # the resolver's to the farthest name server; 0 without one
    ttl_s: int  # that an answer has when it is fetched
    is_cached: bool  # by a resolver
    is_stale: bool  # the first to ask after the TTL is told the old answer
    servers: tuple[str, ...]  # name servers that may be asked
    trips_s: tuple[float, ...]  # to them, of who asks them

    @property
    def longest_s(self) -> float:
        """A lookup that finds nothing held."""
        return self.ask_s + self.fetch_s

    @property
    def told_ttl_s(self) -> int:
        """The most that an old answer says, given at the last moment: the rest of its TTL is
        rounded up to a second, a stale answer begins anew, and nobody's cache took any of it."""
        if not self.is_cached:
            return self.ttl_s
        return min(STALE_TTL_S if self.is_stale else 1, self.ttl_s)


def _held_s(settings: Mapping[str, str], ttl_s: int) -> int:
    at_least_s = max(ttl_s, int(settings.get("cache-min-ttl", 0)))
    return min(at_least_s, int(settings.get("cache-max-ttl", at_least_s)))


def lookups_of(plan: Plan, city: City) -> Lookups:
    """The way of this city's clients."""
    trips_s, service = round_trips_s(plan.paths), plan.services[0]
    site = resolver_site(city)
    if not site:
        nearest = nearest_name_servers(plan.sites, trips_s, city.name)[:1]
        rtt_s = trips_s[city.name, nearest[0]]
        return Lookups(
            ask_s=rtt_s,
            fetch_s=0.0,
            ttl_s=service.ttl_s,
            is_cached=False,
            is_stale=False,
            servers=nearest,
            trips_s=(rtt_s,),
        )
    servers = tuple(s.name for s in plan.sites if s.kind == "dns")
    to_servers = tuple(trips_s[site, server] for server in servers)
    settings = resolver_of(plan.topology, city).settings
    patience_s = int(settings.get("serve-expired-client-timeout", 0)) / 1e3
    return Lookups(
        ask_s=trips_s[city.name, site],
        fetch_s=max(to_servers),
        ttl_s=_held_s(settings, service.ttl_s),
        is_cached=True,
        is_stale=settings.get("serve-expired") == "yes" and patience_s < max(to_servers) + SLOW_S,
        servers=servers,
        trips_s=to_servers,
    )
