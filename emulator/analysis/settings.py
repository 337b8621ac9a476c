"""What was set differently in two runs, read off their headers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from emulator.events import Run
from emulator.units import show_duration

_SERVICE = {
    "ttl_s": "ttl",
    "interval_s": "interval",
    "timeout_s": "timeout",
    "fall": "fall",
    "rise": "rise",
    "drain_timeout_s": "drain timeout",
    "balance": "balance",
    "port": "port",
}
_ABSENT = "none"


def setting_changes(a: Run, b: Run) -> tuple[str, ...]:
    """`www ttl 5 s -> 30 s`, in the order of services, loads, clients, paths, environment. What
    only one of two versions of netemu writes into a header is no difference."""
    changes: list[str] = []
    loads = _loads if a.loads and b.loads else _rates  # older headers: one rate for all cities
    for read in (_services, loads, _own_clients, _timeouts, _nearest, _paths, _environment):
        old, new = dict(read(a)), dict(read(b))
        if old and new:
            changes += [
                f"{name} {old.get(name, _ABSENT)} -> {new.get(name, _ABSENT)}"
                for name in dict.fromkeys([*old, *new])
                if old.get(name, _ABSENT) != new.get(name, _ABSENT)
            ]
    return tuple(changes)


def _services(run: Run) -> Iterator[tuple[str, str]]:
    for service in run.services:
        for key, word in _SERVICE.items():
            if key in service:
                value = service[key]
                shown = _seconds(value) if key.endswith("_s") else str(value)
                yield f"{service['name']} {word}", shown
        for region, hosts in service.get("servers", {}).items():
            yield f"{service['name']} servers in {region}", str(len(hosts))


def _loads(run: Run) -> Iterator[tuple[str, str]]:
    for city, kinds in run.loads.items():
        for kind, load in kinds.items():
            yield from ((f"{city} {kind} {name}", text) for name, text in _load(load))


def _own_clients(run: Run) -> Iterator[tuple[str, str]]:
    yield from ((f"{city} own client", image) for city, image in run.own_clients.items())


def _rates(run: Run) -> Iterator[tuple[str, str]]:
    yield from ((f"{kind} rate", f"{rate:g}/s") for kind, rate in run.rates.items())


def _load(load: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "rate" in load:
        yield "rate", f"{load['rate']:g}/s"
    if "connections" in load:
        yield "connections", str(load["connections"])
    if "cache_s" in load:
        cache = load["cache_s"]
        yield "cache", "for ever" if cache is None else _seconds(cache)
    if load.get("negative_s", 0.0) != 0.0:
        believed = load["negative_s"]
        yield "failures believed", "for ever" if believed is None else _seconds(believed)
    if load.get("lifetime_s") is not None:
        yield "connections' life", _seconds(load["lifetime_s"])


def _timeouts(run: Run) -> Iterator[tuple[str, str]]:
    for city, timeouts in run.timeouts.items():
        for name, seconds in timeouts.items():
            yield f"{city} {name.removesuffix('_s')} timeout", _seconds(seconds)


def _nearest(run: Run) -> Iterator[tuple[str, str]]:
    for city, regions in run.preferred.items():
        sent = run.sent_to.get(city, {}).get("regions", regions[:1])
        yield f"{city} goes to", ", ".join(sent) or _ABSENT


def _paths(run: Run) -> Iterator[tuple[str, str]]:
    """Round trips as they were set; one direction where the header has only that."""
    one_way = {(p["source"], p["target"]): float(p["one_way_ms"]) for p in run.paths}
    for (source, target), ms in one_way.items():
        back = one_way.get((target, source))
        if back is None:
            yield f"{source}->{target}", show_duration(ms / 1e3)
        elif (source, target) < (target, source):
            yield f"{source}..{target} round trip", show_duration((ms + back) / 1e3)


def _environment(run: Run) -> Iterator[tuple[str, str]]:
    yield from run.environment.items()


def _seconds(value: float) -> str:
    """`5 s`, `0.5 s`: as a person would have written it."""
    return f"{value:g} s"
