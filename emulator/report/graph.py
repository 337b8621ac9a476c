"""What a drawing of a topology shows: one small model, from a plan or from a run's header.

A header lies in every run directory, so a report can draw a lab on a machine that never saw its
file. It knows no locations; everything else is the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from emulator.events import Run
from emulator.plan.model import Plan
from emulator.plan.paths import round_trips_s
from emulator.plan.sent import sent_cities
from emulator.topology.model import City, NameServer, Region


@dataclass(frozen=True, slots=True)
class RegionNode:
    """A region: a balancer in front of servers."""

    name: str
    place: str  # "aws:us-east-1"; "": not known
    servers: tuple[tuple[str, int], ...]  # service, how many


@dataclass(frozen=True, slots=True)
class SiteNode:
    """Who talks to regions: a city with its resolver and client, or a name server."""

    name: str
    place: str
    role: Literal["city", "name server"]
    nearest: str = ""  # the region a city is sent to; "": one of several


@dataclass(frozen=True, slots=True)
class Graph:
    """A whole drawing: places, round trips between them, how health is checked."""

    name: str
    regions: tuple[RegionNode, ...]
    cities: tuple[SiteNode, ...]
    name_servers: tuple[SiteNode, ...]
    rtts_ms: Mapping[tuple[str, str], float]  # as set, of every pair of sites
    services: tuple[str, ...]  # "www.shop.test:80"
    checks: str  # "every 1 s, DOWN after 3; answers hold 5 s"; "": not known

    @property
    def summary(self) -> str:
        """`2 regions, 2 cities, 2 name servers`."""
        named = (
            (len(self.regions), "region", "regions"),
            (len(self.cities), "city", "cities"),
            (len(self.name_servers), "name server", "name servers"),
        )
        return ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in named)

    def rtt(self, site: str, region: str) -> str:
        """`9.0 ms`, `83 ms`: two or three figures, as they fit on a line."""
        ms = self.rtts_ms[site, region]
        return f"{ms:.1f} ms" if ms < 10 else f"{ms:.0f} ms"


def graph_of_plan(plan: Plan) -> Graph:
    """What `netemu graph FILE` draws."""
    written: list[Region | City | NameServer] = [
        *plan.topology.regions,
        *plan.topology.cities,
        *plan.topology.name_servers,
    ]
    places = {site.name: site.location.label for site in written}
    services = [
        {
            "name": s.name, "fqdn": s.fqdn, "port": s.port, "servers": s.servers,
            "interval_s": s.interval_s, "fall": s.fall, "ttl_s": s.ttl_s,
        }
        for s in plan.services
    ]  # fmt: skip
    return _graph(
        plan.lab,
        [(site.name, site.kind, places[site.name]) for site in plan.sites],
        {pair: rtt_s * 1e3 for pair, rtt_s in round_trips_s(plan.paths).items()},
        services,
        {city: sent.regions for city, sent in sent_cities(plan).items()},
    )


def graph_of_run(run: Run) -> Graph:
    """The lab that a history speaks of, from the history's first line."""
    one_way = {(path["source"], path["target"]): float(path["one_way_ms"]) for path in run.paths}
    return _graph(
        run.lab,
        [(site["name"], site["kind"], "") for site in run.sites],
        {(a, b): ms + one_way[b, a] for (a, b), ms in one_way.items() if (b, a) in one_way},
        run.services,
        {
            city: run.sent_to.get(city, {}).get("regions", r[:1])
            for city, r in run.preferred.items()
        },
    )


def _only(regions: Sequence[str]) -> str:
    return regions[0] if len(regions) == 1 else ""


def _graph(
    name: str,
    sites: Sequence[tuple[str, str, str]],
    rtts_ms: Mapping[tuple[str, str], float],
    services: Sequence[Mapping[str, Any]],
    sent_to: Mapping[str, Sequence[str]],
) -> Graph:
    regions = tuple(
        RegionNode(site, place, _servers(services, site))
        for site, kind, place in sites
        if kind == "region"
    )
    order = [region.name for region in regions]
    cities = [
        SiteNode(site, place, "city", _only(sent_to.get(site, ())))
        for site, kind, place in sites
        if kind == "client"
    ]
    # Beside the region that serves it, so that the lines that matter cross as few as possible.
    cities.sort(key=lambda city: order.index(city.nearest) if city.nearest in order else len(order))
    return Graph(
        name=name,
        regions=regions,
        cities=tuple(cities),
        name_servers=tuple(
            SiteNode(site, place, "name server") for site, kind, place in sites if kind == "dns"
        ),
        rtts_ms=rtts_ms,
        services=tuple(f"{s['fqdn']}:{s['port']}" for s in services),
        checks=_checks(services),
    )


def _servers(services: Sequence[Mapping[str, Any]], region: str) -> tuple[tuple[str, int], ...]:
    counts = ((s["name"], len(s.get("servers", {}).get(region, ()))) for s in services)
    return tuple((name, count) for name, count in counts if count)


def _checks(services: Sequence[Mapping[str, Any]]) -> str:
    known = [s for s in services if "interval_s" in s]
    if not known:
        return ""
    every = dict.fromkeys(f"every {s['interval_s']:g} s, DOWN after {s['fall']}" for s in known)
    hold = dict.fromkeys(f"{s['ttl_s']} s" for s in known)
    return f"{' or '.join(every)}; answers hold {' or '.join(hold)}"
