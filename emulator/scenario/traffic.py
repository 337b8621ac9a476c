"""The `traffic:` of a scenario file: who asks for what, how often, over which connections."""

from __future__ import annotations

import math

from emulator.errors import suggest
from emulator.events import OWN_CLIENT
from emulator.scalars import choice, duration, frequency, whole
from emulator.scenario.model import CACHE_FOR_EVER, NO_CACHE, TTL_CACHE, Load, Traffic
from emulator.scenario.objectives import CLIENTS
from emulator.scenario.steps import read_targets
from emulator.yamlfile import Entry

TRAFFIC_KEYS = ("rate", *CLIENTS)
LOAD_KEYS = ("from", "over", "rate", "connections", "cache", "lifetime")
SHARES = {"http": 0.4, "keepalive": 0.4, "stream": 0.1, "udp": 0.1}  # of a city's total rate
DEFAULT_RATE = 200.0  # requests/s of a city
CONNECTIONS_MAX = 1000  # of a city's client, whose open files are limited too
# How long answers are used, and failures believed. A JVM holds an answer for 30 s, with a security
# manager (as old application servers had) for ever, and a failure for 10 s: the defaults of
# networkaddress.cache.ttl and networkaddress.cache.negative.ttl. Browsers hold one for a minute,
# whatever its TTL (Firefox: network.dnsCacheExpiration). Some programs resolve when they start, and
# never again (a plain host name in nginx's configuration).
CACHES = {
    "none": (NO_CACHE, 0.0),
    "ttl": (TTL_CACHE, 0.0),
    "honours-ttl": (TTL_CACHE, 0.0),
    "browser-60s": (60.0, 0.0),
    "jvm-30s": (30.0, 10.0),
    "jvm-forever": (CACHE_FOR_EVER, 10.0),
    "resolve-once": (CACHE_FOR_EVER, math.inf),
    "forever": (CACHE_FOR_EVER, 0.0),
}
_CONNECTED = ("keepalive", "stream")  # kinds whose connections outlive a request
_RATE = frequency("1/min", "10000/s")


def default_traffic() -> Traffic:
    """What the clients do where the file says nothing of it."""
    return Traffic(_split(DEFAULT_RATE))


def read_traffic(entry: Entry) -> Traffic:
    """A city's total, split; the rate of each kind by itself, 0 for those not named; or a list of
    loads."""
    if entry.is_list():
        loads = tuple(load for written in entry.items() for load in _read_load(written))
        if not loads:
            entry.problem("names no traffic", "nothing could be measured; write {rate: 200/s}")
        return Traffic(loads)
    fields = entry.fields(TRAFFIC_KEYS)
    if "rate" in fields:
        if len(fields.members) > 1:
            entry.problem("rate is the total of all kinds", "give the total or the kinds")
        return Traffic(_split(fields.value("rate", _RATE, 0.0)))
    if not fields.members and entry.is_mapping():
        entry.problem("names no traffic", "nothing could be measured; write {rate: 200/s}")
    return Traffic(tuple(Load(kind, fields.value(kind, _RATE, 0.0)) for kind in CLIENTS))


def _split(
    total: float, cities: tuple[str, ...] = (), cache: tuple[float, float] = CACHES["none"]
) -> tuple[Load, ...]:
    cache_s, negative_s = cache
    return tuple(
        Load(kind, total * part, cities, cache_s=cache_s, negative_s=negative_s)
        for kind, part in SHARES.items()
    )


def _read_load(entry: Entry) -> tuple[Load, ...]:
    """One kind's load; every kind's, if none is named: then the rate is their total."""
    fields = entry.fields(LOAD_KEYS)
    cities, connections = fields.get("from"), fields.get("connections")
    rate = fields.required("rate", "rate: 80/s")
    per_second = rate.value(_RATE, 0.0) if rate else 0.0
    kind = fields.value("over", _kind, "")
    if connections and kind not in _CONNECTED:
        what = f"{kind} keeps no connections" if kind else "connections of which kind?"
        connections.problem(what, "connections belongs to over: keepalive or over: stream")
    where = read_targets(cities) if cities else ()
    cache = fields.value("cache", cache_of, CACHES["none"])
    lifetime = fields.get("lifetime")
    if lifetime and kind != "keepalive":
        what = f"{kind} keeps no pool" if kind else "connections of which kind?"
        lifetime.problem(what, "lifetime belongs to over: keepalive")
    if not kind:
        return _split(per_second, where, cache)
    count = connections.value(whole(1, CONNECTIONS_MAX), 1) if connections else None
    lifetime_s = lifetime.value(duration("100ms", "24h"), 1.0) if lifetime else None
    return (Load(kind, per_second, where, count, *cache, lifetime_s),)


def _kind(text: str) -> str:
    if text == OWN_CLIENT:
        raise ValueError("a client of yours makes its own requests; give it its rate by its env")
    return choice(*CLIENTS)(text)


def cache_of(text: str) -> tuple[float, float]:
    """Seconds that an answer is used, and that a failure is believed."""
    if text in CACHES:
        return CACHES[text]
    if not text[:1].isdigit():
        advice = suggest(text, CACHES) or f"write {', '.join(CACHES)} or a time like 30s"
        raise ValueError(f"{text!r} is no cache; {advice}")
    return duration("1ms", "24h")(text), 0.0
