"""What every ordered pair of sites is like, and how far each region is from whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from itertools import permutations

from emulator.clock import NS_PER_S
from emulator.impairment import Impairment
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
    """Every ordered pair: predicted from the places, then what `paths:` says of it."""
    sites: list[Region | City | NameServer] = [
        *topology.regions,
        *topology.cities,
        *topology.name_servers,
    ]
    places = {site.name: site.location for site in sites}
    settings: dict[tuple[str, str], list[PathSetting]] = {}
    for setting in topology.paths:
        settings.setdefault((setting.source, setting.target), []).append(setting)
    return tuple(
        _apply(_predict(a, places[a], b, places[b]), settings.get((a, b), ()))
        for a, b in permutations(places, 2)
    )


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
        path = replace(path, impairment=_set(path.impairment, setting), because=_why(path, setting))
    return path


def _set(base: Impairment, setting: PathSetting) -> Impairment:
    said = {
        "delay_ns": _ns(setting.one_way_s),
        "jitter_ns": _ns(setting.jitter_s),
        "loss": setting.loss,
        "rate_bps": setting.rate_bps,
        "queue_ns": _ns(setting.queue_s),
    }
    changed = {key: value for key, value in said.items() if value is not None}
    return Impairment.from_json(base.to_json() | changed)


def _ns(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * NS_PER_S)


def _why(path: PathSpec, setting: PathSetting) -> str:
    line = f"paths: line {setting.line}"
    if setting.one_way_s is not None:
        return line
    places = {"source", "target", "line"}
    said = [f.name for f in fields(setting) if getattr(setting, f.name) is not None]
    words = ", ".join(name.rsplit("_", 1)[0] for name in said if name not in places)
    return f"{path.because}; {words}: {line}" if words else path.because


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
