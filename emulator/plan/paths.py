"""What every ordered pair of sites is like, and how far each region is from whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import permutations

from emulator.clock import NS_PER_S
from emulator.errors import UsageError
from emulator.impairment import Impairment
from emulator.pathvalues import show_ms, words_of
from emulator.plan.model import PathSpec, SiteSpec
from emulator.plan.policies import Near
from emulator.topology.model import City, Location, NameServer, PathSetting, Region, Topology
from emulator.topology.places import (
    FIBRE_KM_PER_S,
    NEAREST_RTT_S,
    PATH_STRETCH,
    distance_km,
    predicted_rtt_s,
)
from emulator.units import show_duration


def make_paths(topology: Topology) -> tuple[PathSpec, ...]:
    """Every ordered pair: predicted from the places, then what `paths:` says of it. Raises
    UsageError for a jitter that exceeds its delay."""
    sites: list[Region | City | NameServer] = [
        *topology.regions,
        *topology.cities,
        *topology.name_servers,
    ]
    places = {site.name: site.location for site in sites}
    settings: dict[tuple[str, str], list[PathSetting]] = {}
    for setting in topology.paths:
        settings.setdefault((setting.source, setting.target), []).append(setting)
    paths = tuple(
        _apply(_predict(a, places[a], b, places[b]), settings.get((a, b), ()))
        for a, b in permutations(places, 2)
    )
    _refuse_jitter(paths)
    return paths


def _predict(source: str, start: Location, target: str, end: Location) -> PathSpec:
    rtt_s = predicted_rtt_s(start, end)
    return PathSpec(
        source=source,
        target=target,
        impairment=Impairment(delay_ns=round(rtt_s / 2 * NS_PER_S)),
        because=(
            f"{distance_km(start, end):,.0f} km x {PATH_STRETCH:g} at {FIBRE_KM_PER_S:,.0f} km/s, "
            f"and {show_duration(NEAREST_RTT_S / 2)}"
        ),
    )


def _apply(path: PathSpec, settings: Iterable[PathSetting]) -> PathSpec:
    """A later setting wins over an earlier one, value by value."""
    for setting in settings:
        path = replace(
            path,
            impairment=Impairment.from_json(path.impairment.to_json() | dict(setting.values)),
            because=_why(path, setting),
            trace=setting.trace or path.trace,
        )
    return path


def _why(path: PathSpec, setting: PathSetting) -> str:
    line = f"paths: line {setting.line}"
    if "delay_ns" in setting.values:
        return line
    words = ", ".join((*words_of(setting.values), *(["trace"] if setting.trace else ())))
    return f"{path.because}; {words}: {line}" if words else path.because


def _refuse_jitter(paths: Iterable[PathSpec]) -> None:
    """Where the places decide the delay, only here can be seen that a jitter exceeds it."""
    found: list[str] = []
    for path in paths:
        now = path.impairment
        for _, values in ((0, {}), *(path.trace.steps if path.trace else ())):
            now = replace(now, **values)
            if now.jitter_ns > now.delay_ns:
                jitter, delay = show_ms(now.jitter_ns), show_ms(now.delay_ns)
                found.append(f"{path.source}->{path.target}: a jitter of {jitter} exceeds the delay"
                             f" of {delay} ({path.because})")  # fmt: skip
                break
    if found:
        raise UsageError(f"paths: {'; '.join(found)}; write a smaller jitter or a longer one_way")


def round_trips_s(paths: Iterable[PathSpec]) -> dict[tuple[str, str], float]:
    """Both one-way delays of every pair, without jitter; 0 within a site."""
    delays = {(path.source, path.target): path.impairment.delay_ns for path in paths}
    trips = {(a, b): (ns + delays[b, a]) / NS_PER_S for (a, b), ns in delays.items()}
    return trips | {(a, a): 0.0 for a, _ in delays}


def near_to(sites: Iterable[SiteSpec], trips_s: Mapping[tuple[str, str], float], site: str) -> Near:
    """How far every region is from a site, on the paths and on the map."""
    everything = {other.name: other for other in sites}
    here = everything[site]
    regions = [other for other in everything.values() if other.kind == "region"]
    return Near(
        site,
        {region.name: trips_s[site, region.name] for region in regions},
        {region.name: round(distance_km(_location(here), _location(region))) for region in regions},
    )


def _location(site: SiteSpec) -> Location:
    return Location("", site.latitude, site.longitude)
