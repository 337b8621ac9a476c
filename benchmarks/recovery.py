"""Recovery from `power` against its bound, ttl 5 s, interval 1 s, fall 3, at the worst phase."""

from __future__ import annotations

import time
from collections import defaultdict

from benchmarks.labs import RATES, fresh_lab, recorded, wait_for
from benchmarks.phases import checks_after, fetched_ns, place_checks, trips_ns
from benchmarks.table import Line, Say, at_most
from emulator.analysis.measurements import Row
from emulator.analysis.recovery import measure as measurements
from emulator.analysis.recovery import settled
from emulator.analysis.timeline import Client, History
from emulator.clock import NS_PER_MS, NS_PER_S
from emulator.controller.inject import heal, inject
from emulator.controller.lab import Lab
from emulator.controller.ready import missing_generations
from emulator.controller.traffic import (
    even_traffic,
    flush_caches,
    start_traffic,
    stop_traffic,
    wait_until_idle,
)
from emulator.errors import Inconclusive

RUNS = 5
ABOVE_WORST_S = 1.0
CITY, REGION = "new-york", "us-east"
STEADY_S = 3.0
STEADY_WAIT_S = 30.0
RECOVERED_S, LOOK_S = 60.0, 1.0


def measure(say: Say) -> list[Line]:
    """Five losses of power of one region, on one lab."""
    seen: defaultdict[str, list[float]] = defaultdict(list)
    bounds: dict[str, float] = {}
    with fresh_lab() as lab:
        for run in range(RUNS):
            say(f"run {run + 1}:")
            rows = _run(lab, say)
            for row in rows:
                if row.recovery_s is None or row.bound_s is None:
                    raise Inconclusive(f"{row.client}: {row.state} {row.reason}")
                seen[row.client.kind].append(row.recovery_s)
                bounds[row.client.kind] = row.bound_s
            say(", ".join(f"{row.client.kind} {row.recovery_s:.2f} s" for row in rows))
    lines = []
    for kind, values in seen.items():
        lines.append(at_most(f"{CITY}, {kind}: recovery", values, round(bounds[kind], 3), "s"))
        above = bounds[kind] - max(values)
        lines.append(at_most("  bound above the worst seen", [above], ABOVE_WORST_S, "s"))
    return lines


def _run(lab: Lab, say: Say) -> list[Row]:
    with recorded(lab, RATES) as history:
        start_traffic(lab, even_traffic(RATES))
        wait_for(lambda: len(history.answers[CITY]) > 2, STEADY_WAIT_S, "a third fetch")
        place_checks(lab, history, CITY, REGION)
        wait_for(lambda: _is_steady(lab, history), STEADY_WAIT_S, "a steady state")
        _wait_for_the_moment(lab, history)
        fault = inject(lab, [REGION], "power")
        wait_for(
            lambda: fault.id in history.faults and settled(history, fault.id, lab.wan.now_ns()),
            RECOVERED_S,
            "the end of a recovery",
            poll_s=LOOK_S,
        )
        heal(lab, [REGION])
        stop_traffic(lab)
        wait_until_idle(lab)
        wait_for(lambda: not missing_generations(lab.plan, lab.wan), 30, f"{REGION} UP again")
        flush_caches(lab)
    say(_phase(lab, history))
    found = measurements(history)
    if found.inconclusive:
        say("doubtful: " + "; ".join(found.inconclusive))
    return [row for row in found.rows() if row.client.city == CITY]


def _is_steady(lab: Lab, history: History) -> bool:
    """Every kind is served by the region, and nothing has failed for a while."""
    since = lab.wan.now_ns() - STEADY_S * NS_PER_S
    for kind in RATES:
        recent = [r for r in history.requests[Client(CITY, kind)][-400:] if r.t >= since]
        if not recent or any(r.outcome != "ok" or r.region != REGION for r in recent):
            return False
    return True


def _wait_for_the_moment(lab: Lab, history: History) -> None:
    """Return just after the good checks that make DOWN fall just after a fetch: `fall` intervals
    and the timeout before it."""
    service = lab.plan.services[0]
    lead_ns = round((service.fall * service.interval_s + service.timeout_s) * NS_PER_S)
    ttl_ns = service.ttl_s * NS_PER_S
    servers = [site.name for site in lab.plan.sites if site.kind == "dns"]
    last = fetched_ns(lab, history.answers[CITY][-1])
    ahead_ns = last + 2 * ttl_ns - lead_ns - lab.wan.now_ns()
    while ahead_ns > ttl_ns:
        ahead_ns -= ttl_ns
    if ahead_ns < 0.2 * NS_PER_S:
        ahead_ns += ttl_ns
    # A hair before the second in which those checks begin.
    time.sleep((ahead_ns - 20 * NS_PER_MS) / NS_PER_S)
    checks_after(history, lab.wan.now_ns(), REGION, servers)


def _phase(lab: Lab, history: History) -> str:
    """The phase that was reached, in words."""
    life = history.injected()[0]
    row = next(r for r in measurements(history).rows() if r.client.city == CITY)
    last_check = max(
        c.end for c in history.checks if c.ok and c.end <= life.began and c.region == REGION
    )
    words = [f"kill {(life.began - last_check) / 1e6:.0f} ms after the last good check"]
    old = [
        a
        for a in history.answers[CITY]
        if a.t < (row.recovered or 0) and history.region_of(a.addresses[0]) == REGION
    ]
    for health in history.health:
        if health.region == REGION and health.state == "DOWN" and health.t > life.began and old:
            reached = fetched_ns(lab, old[-1]) + trips_ns(lab, CITY)[health.server] // 2
            words.append(
                f"{health.server} DOWN after {(health.t - life.began) / 1e9:.3f} s, "
                f"{(health.t - reached) / 1e6:.0f} ms after the last fetch could reach it"
            )
    return "; ".join(words)
