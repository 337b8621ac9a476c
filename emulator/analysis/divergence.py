"""Where those who look at a region see different things, and why, in plain sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from emulator.analysis.measurements import FaultMeasured
from emulator.analysis.timeline import History
from emulator.analysis.views import CheckView, CityView, Passed, RegionViews
from emulator.analysis.words import listed, plural
from emulator.units import show_duration

# Fewer requests or checks than these say nothing of a whole city or checker.
_TELLING = 10
# Clients are worse off when this share more of their requests fail, or when the median takes twice
# as long as before and this much longer: below it nobody notices.
_WORSE_SHARE = 0.01
_SLOWER, _SLOWER_MS = 2.0, 50.0
# Of what should pass, or be answered well: hardly any, and most.
_HARDLY, _MOST = 0.1, 0.5


def divergence(seen: RegionViews, fault: FaultMeasured, history: History) -> tuple[str, ...]:
    """Each difference of sight and its reason; empty where all saw the same. A name server speaks
    for its checks, as it is what sends clients away or not."""
    by_server = {view.server: view for view in seen.checks}
    up = [name for name, view in by_server.items() if view.course.is_up]
    down = [name for name, view in by_server.items() if view.course.down_s is not None]
    asking = [city for city in seen.cities if city.during.count >= _TELLING]
    worse = [city for city in asking if is_worse(city)]
    fine = [city for city in asking if not is_worse(city)]
    said = []
    if worse and up and not down:
        said.append(_unseen(seen, worse, up, fault, history))
    if fine and down:
        said.append(_imagined(seen, fine, down, by_server, fault))
    if up and down:
        held = [f"{name} {_after(by_server[name])}" for name in down]
        said.append(
            f"The name servers disagree: {listed(held)}, while {listed(up)} held {seen.region} for"
            " UP throughout; what a client is told depends on whom its resolver asks."
        )
    return tuple(said)


def is_worse(city: CityView) -> bool:
    """Whether a city's clients would say that something is wrong."""
    before, now = city.before, city.during
    if now.share < before.share - _WORSE_SHARE:
        return True
    if before.p50_ms is None or now.p50_ms is None:
        return False
    return now.p50_ms > _SLOWER * before.p50_ms and now.p50_ms - before.p50_ms > _SLOWER_MS


def _after(view: CheckView) -> str:
    return f"gave it up after {show_duration(view.course.down_s or 0.0)}"


def _unseen(
    seen: RegionViews,
    worse: Sequence[CityView],
    up: Sequence[str],
    fault: FaultMeasured,
    history: History,
) -> str:
    """Clients suffer and no decider acts on it."""
    failed = sum(view.during.count - view.during.ok for view in seen.checks)
    checks = sum(view.during.count for view in seen.checks)
    who = listed([f"{city.city}'s" for city in worse])
    if checks and failed > _MOST * checks:
        return (
            f"{who} clients suffered and {failed} of {plural(checks, 'check')} failed, but it was"
            f" over before {listed(up)} had enough in a row to give {seen.region} up."
        )
    said = f"{who} clients suffered while {listed(up)} saw {seen.region} UP throughout"
    said = f"{said}{_balancer(seen)}."
    return f"{said} {_why_unseen(seen, worse, failed, fault, history)}".rstrip()


def _balancer(seen: RegionViews) -> str:
    """Whether the one who decides inside the region saw it."""
    nobody = ": nobody who decides acted on it"
    if seen.balancer is None or seen.balancer.lost:
        return nobody
    gone = [
        f"{server} up after {show_duration(course.down_s)}"
        for server, course in seen.balancer.servers
        if course.down_s
    ]
    if gone:
        return f", and its balancer gave {listed(gone)}"
    return f" and its balancer all of its servers{nobody}"


def _why_unseen(
    seen: RegionViews,
    worse: Sequence[CityView],
    failed: int,
    fault: FaultMeasured,
    history: History,
) -> str:
    cut = [said for city in worse if (said := _lost_between(city.city, seen, of="requests"))]
    if cut:
        return f"{' '.join(cut)} The checks take other paths, which are whole."
    if not fault.life.sites and fault.life.hosts:
        return "A check is answered by the balancer, not by the servers behind it."
    if any(city.during.p50_ms for city in worse):
        return _small_exchange(seen, worse, failed, history)
    return ""


def _small_exchange(
    seen: RegionViews, worse: Sequence[CityView], failed: int, history: History
) -> str:
    """Why a check stays green where all is slow and lossy."""
    settings = _check_settings(history)
    checks = sum(view.during.count for view in seen.checks)
    slowest = max((v.during.p50_ms for v in seen.checks if v.during.p50_ms), default=None)
    if slowest is None or not settings:
        return ""
    limit = f"{settings['timeout_s']:g} s"
    said = (
        f"A check is one small exchange, good if it ends within {limit}: it took"
        f" {slowest:.0f} ms at the slowest checker's median; {failed} of {checks} failed, and DOWN"
        f" needs {settings['fall']} in a row."
    )
    return " ".join([said, *(_felt(city) for city in worse)])


def _felt(city: CityView) -> str:
    before, now = city.before, city.during
    told = []
    if before.p50_ms is not None and now.p50_ms is not None:
        told.append(f"took {now.p50_ms:.0f} ms at the median, {before.p50_ms:.0f} ms before")
    if now.ok < now.count:
        told.append(f"{now.count - now.ok} of {now.count} failed")
    return f"{city.city}'s requests {', and '.join(told)}."


def _imagined(
    seen: RegionViews,
    fine: Sequence[CityView],
    down: Sequence[str],
    by_server: dict[str, CheckView],
    fault: FaultMeasured,
) -> str:
    """Checks are red and whoever asks is served."""
    after = min(by_server[name].course.down_s or 0.0 for name in down)
    count = sum(city.during.count for city in fine)
    said = (
        f"{listed(down)} held {seen.region} for DOWN after {show_duration(after)} while it served"
        f" {listed([city.city for city in fine])} as before ({count} requests in that time)."
    )
    if fault.life.how == "drain":
        return f"{said} That is what a drain is: the name servers are told first."
    checkers = dict.fromkeys(v.checker or v.server for v in seen.checks if v.server in down)
    cut = [why for site in checkers if (why := _lost_between(site, seen, of="checks"))]
    return f"{said} {' '.join(cut)}".rstrip()


def _lost_between(site: str, seen: RegionViews, *, of: str) -> str:
    """Which way nothing passes between a site and the region; empty where both do."""
    wire = next((wire for wire in seen.wire if wire.site == site), None)
    if wire is None or not wire.syn.entered:
        return ""
    if _is_lost(wire.syn):
        passed = f"{wire.syn.arrived} of {wire.syn.entered} SYN arrived"
        return f"The {of} of {site} do not reach {seen.region} ({passed})."
    if _is_lost(wire.synack):
        passed = f"{wire.synack.arrived} of {wire.synack.entered} SYN-ACK came back"
        return f"The {of} of {site} reach {seen.region} and the answers are lost ({passed})."
    return ""


def _is_lost(passed: Passed) -> bool:
    return passed.entered > 0 and passed.arrived <= _HARDLY * passed.entered


def _check_settings(history: History) -> dict[str, Any]:
    """Of the first service, which the clients ask; empty in an old or bare header."""
    services = history.run.services if history.run else []
    first = services[0] if services else {}
    return first if {"fall", "timeout_s"} <= first.keys() else {}
