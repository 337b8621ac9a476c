"""How punctual 200 requests/s a city start, also while a region is dead."""

from __future__ import annotations

import time
from statistics import quantiles

from benchmarks.labs import RATES, fresh_lab, recorded
from benchmarks.table import Line, Say, at_least, information
from emulator.analysis.lateness import LATE_NS
from emulator.analysis.timeline import History
from emulator.controller.inject import heal, inject
from emulator.controller.traffic import even_traffic, start_traffic, stop_traffic, wait_until_idle

ON_TIME_PERCENT = 99.0
REGION = "us-east"
BEFORE_S, DEAD_S = 10.0, 20.0


def measure(say: Say) -> list[Line]:
    """Ten healthy seconds, then twenty without a region."""
    with fresh_lab() as lab:
        with recorded(lab, RATES) as history:
            start_traffic(lab, even_traffic(RATES))
            time.sleep(BEFORE_S)
            inject(lab, [REGION], "power")
            time.sleep(DEAD_S)
            heal(lab, [REGION])
            stop_traffic(lab)
            wait_until_idle(lab)
        wire_ms = [second.lag_ms_max for second in history.wire]
    say(f"the wire's worst second: a frame {max(wire_ms):.1f} ms late")
    life = history.injected()[0]
    assert life.healed is not None  # noqa: S101 - heal returned
    first = history.origin_ns
    return [
        *_lines(history, "healthy", first, life.began),
        *_lines(history, f"{REGION} dead", life.began, life.healed),
    ]


def _lines(history: History, when: str, since: int, until: int) -> list[Line]:
    found = []
    for city in sorted({client.city for client in history.requests}):
        late = [
            request.t - request.planned
            for client, requests in history.requests.items()
            for request in requests
            if client.city == city and since <= request.planned < until
        ]
        share = 100 * sum(ns <= LATE_NS for ns in late) / len(late)
        cuts = quantiles((ns / 1e6 for ns in late), n=100)
        on_time = at_least(f"{city}, {when}: within 2 ms", [share], ON_TIME_PERCENT, "%")
        lateness = information("  p50, p99, latest", [cuts[49], cuts[98], max(late) / 1e6], "ms")
        figures = f"{cuts[49]:.2f}, {cuts[98]:.2f}, {max(late) / 1e6:.1f} ms"
        found += [on_time, Line(lateness.what, "", "", figures, len(late))]
    return found
