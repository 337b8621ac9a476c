"""Who saw what of a region, as the cells of two tables: the same on a terminal and on a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from emulator.analysis.divergence import divergence
from emulator.analysis.measurements import FaultMeasured, Loss, Measurements
from emulator.analysis.timeline import History
from emulator.analysis.views import (
    BalancerView,
    CheckView,
    CityView,
    Course,
    Passed,
    RegionViews,
    Took,
    WireView,
    views,
)
from emulator.analysis.words import listed, loss_lines, plural
from emulator.clock import NS_PER_S
from emulator.units import show_duration

HEADINGS = ("who", "ok before", "median", "ok during", "median", "p99", "and so")
FIGURES = (1, 2, 3, 4, 5)  # columns of them
WIRE_HEADINGS = ("on the wire", "SYN to it", "SYN-ACK back", "lost on the way", "and back")
_CHANGES = 3  # told one by one; more are counted
_FAULTS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Sight:
    """One region under one fault: how it looked to each, and where that differs."""

    fault: FaultMeasured
    seen: RegionViews
    differ: tuple[str, ...]

    @property
    def title(self) -> str:
        """`us-east during partition us-east, 20.0 s`."""
        span = show_duration((self.fault.ends - self.fault.life.began) / NS_PER_S)
        return f"{self.seen.region} during {self.fault.life.name}, {span}"


def sights(measured: Measurements, history: History) -> list[Sight]:
    """Of all faults; of many only those where views differ, and the first."""
    every = [
        Sight(fault, seen, divergence(seen, fault, history))
        for fault, regions in zip(measured.faults, views(measured, history), strict=True)
        for seen in regions
    ]
    if len(measured.faults) <= _FAULTS_SHOWN:
        return every
    return [one for one in every if one.differ or one.fault is measured.faults[0]]


def view_rows(seen: RegionViews) -> list[tuple[str, ...]]:
    """Each observer: how many of its checks or requests were answered well before the fault and
    while it lasted, how long they took, and what came of it."""
    rows = [_checks(view) for view in seen.checks]
    if seen.balancer is not None:
        rows.append(_balancer(seen.region, seen.balancer))
    return rows + [_clients(city) for city in seen.cities]


def wire_rows(seen: RegionViews) -> list[tuple[str, str, str, str, str]]:
    """Each site that spoke with the region: handshakes, and what was lost each way."""
    return [_wire(wire, seen.region) for wire in seen.wire]


def course_words(course: Course) -> str:
    """`UP throughout`, `DOWN after 3.4 s, UP after 12.0 s`."""
    (_, first), *changes = course.states
    if not changes:
        return f"{first} throughout"
    if len(changes) > _CHANGES:
        after, state = changes[0]
        return f"{state} after {show_duration(after)}, changed {len(changes)} times"
    return ", ".join(f"{state} after {show_duration(after)}" for after, state in changes)


def _checks(view: CheckView) -> tuple[str, ...]:
    by = f" from {view.checker}" if view.checker else ""
    of = f" of {view.service}" if view.service else ""
    name = f"{view.server}: checks{of}{by}"
    return (name, *_before(view.before), *_during(view.during), course_words(view.course))


def _balancer(region: str, view: BalancerView) -> tuple[str, ...]:
    by_course: dict[str, list[str]] = {}
    for server, course in view.servers:
        by_course.setdefault(course_words(course), []).append(server.rpartition("/")[2])
    said = [f"{listed(servers)} {words}" for words, servers in by_course.items()]
    if len(by_course) == 1:
        said = [f"{plural(len(view.servers), 'server')} {next(iter(by_course))}"]
    return (f"{region}: balancer", "", "", "", "", "", view.lost or "\n".join(said))


def _clients(city: CityView) -> tuple[str, ...]:
    losses = [Loss(outcome, detail, "", "", count) for outcome, detail, count in city.met]
    met = "\n".join(loss_lines(losses))
    calm = "all answered" if city.during.count else "did not ask it"
    return (f"{city.city}: clients", *_before(city.before), *_during(city.during), met or calm)


def _before(took: Took) -> tuple[str, str]:
    return (f"{took.share:.1%}".replace("%", " %") if took.count else "-", _ms(took.p50_ms))


def _during(took: Took) -> tuple[str, str, str]:
    counted = f"{took.ok} of {took.count}" if took.count else "-"
    return counted, _ms(took.p50_ms), _ms(took.p99_ms)


def _wire(wire: WireView, region: str) -> tuple[str, str, str, str, str]:
    return (
        f"{wire.site} .. {region}",
        _passed(wire.syn),
        _passed(wire.synack),
        _dropped(wire.lost_there),
        _dropped(wire.lost_back),
    )


def _passed(passed: Passed) -> str:
    return f"{passed.arrived} of {passed.entered} arrived" if passed.entered else "none sent"


def _dropped(causes: Mapping[str, int]) -> str:
    return ", ".join(f"{count} ({cause})" for cause, count in causes.items()) or "-"


def _ms(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f} ms" if value < 100 else f"{value:.0f} ms"
