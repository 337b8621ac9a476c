"""Response times before, during and after faults, and what the wire carried second by second."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emulator.analysis.timeline import Client, History
from emulator.analysis.words import kind_name
from emulator.clock import NS_PER_MS, NS_PER_S
from emulator.report.page.figures import (
    Figure,
    Trace,
    figure,
    hidden_axis,
    milliseconds_axis,
    plain,
    seconds_axis,
    show_ms,
    words,
)
from emulator.report.page.lanes import end_s, fault_lanes
from emulator.report.page.palette import FAULT, GUIDE, MUTED, PERIODS, PREDICTED

WIRE_KINDS = {
    "syn": "SYN: connections begun",
    "syn-again": "SYN sent again",
    "rst": "RST",
    "fin": "FIN",
    "again": "data sent again",
}
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
_BINS_MAX = 240
_PANEL_PX = 92


@dataclass(frozen=True, slots=True)
class Responses:
    """How long the answered requests of one client took in one period, in ms."""

    count: int
    failed: int
    quantiles: tuple[float, ...]  # at 5, 25, 50, 75, 95 and 99 %; () without an answer


def responses(history: History) -> dict[Client, dict[str, Responses]]:
    """Each client's answers before the first fault, during faults, and after or between them."""
    borders, names = _periods(history)
    found = {}
    for client in history.clients():
        took: defaultdict[str, list[int]] = defaultdict(list)
        failed: Counter[str] = Counter()
        for request in history.requests[client]:
            if request.outcome == "ok":
                if request.end is not None:
                    took[names[bisect_right(borders, request.t)]].append(request.end - request.t)
            elif request.outcome != "unknown":
                failed[names[bisect_right(borders, request.t)]] += 1
        found[client] = {
            name: _responses(took[name], failed[name])
            for name in PERIODS
            if took[name] or failed[name]
        }
    return found


def _periods(history: History) -> tuple[list[int], list[str]]:
    """The instants at which a period ends, in order, and the periods before, between and after."""
    spans = [
        (life.began, life.healed if life.healed is not None else math.inf)
        for life in history.injected()
    ]
    borders = sorted({int(t) for span in spans for t in span if t < math.inf})
    names = ["before"]
    for border in borders:
        is_active = any(began <= border < healed for began, healed in spans)
        names.append("during" if is_active else "after")
    return borders, names


def _responses(took: list[int], failed: int) -> Responses:
    took.sort()
    at = [took[math.ceil(q * len(took)) - 1] / NS_PER_MS for q in _QUANTILES] if took else []
    return Responses(len(took), failed, tuple(at))


def range_ms(told: Iterable[Mapping[str, Responses]]) -> tuple[float, float]:
    """From the quickest to the slowest that strips show: one scale for all cities."""
    known = [one.quantiles for periods in told for one in periods.values() if one.quantiles]
    low, high = min((q[0] for q in known), default=1.0), max((q[4] for q in known), default=10.0)
    return max(low, 0.01), max(high, 0.1)


def response_figure(
    by_client: Mapping[Client, Mapping[str, Responses]], scale_ms: tuple[float, float]
) -> Figure:
    """A strip a period: 5 to 95 % of the answers as a whisker, the middle half as a box."""
    rows: list[tuple[str, float, Responses]] = []
    names: list[dict[str, Any]] = []
    y = 0.0
    for client, periods in by_client.items():
        names.append(words(kind_name(client.kind), 0.004, y, font={"size": 12}))
        for period, told in periods.items():
            y -= 1
            rows.append((period, y, told))
        y -= 1.25
    return figure(
        [_strips(name, rows) for name in PERIODS if any(row[0] == name for row in rows)],
        round((1.2 - y) * 20) + 34,
        margin={"l": 8, "r": 24, "t": 4, "b": 34},
        xaxis=milliseconds_axis(*scale_ms),
        yaxis=hidden_axis(y + 0.6, 0.8),
        annotations=names,
        dragmode=False,
        boxmode="overlay",
    )


def _strips(period: str, rows: Sequence[tuple[str, float, Responses]]) -> Trace:
    own = [(y, told) for name, y, told in rows if name == period and told.quantiles]
    low, first, middle, third, high = (
        [round(told.quantiles[index], 3) for _, told in own] for index in range(5)
    )
    return {
        "type": "box",
        "orientation": "h",
        "name": period,
        "y": [y for y, _ in own],
        "lowerfence": low,
        "q1": first,
        "median": middle,
        "q3": third,
        "upperfence": high,
        "width": 0.62,
        "line": {"color": PERIODS[period], "width": 1.6},
        "fillcolor": PREDICTED,
        "boxpoints": False,
        "hoverinfo": "x",
    }


def wire_figure(history: History, colours: Mapping[str, str]) -> Figure | None:
    """A panel for each kind of segment, a bar a second by sender; None where none was seen."""
    bin_s = max(1, math.ceil(end_s(history) / _BINS_MAX))
    counts = _wire_counts(history, bin_s)
    kinds = [what for what in WIRE_KINDS if counts[what]]
    if not kinds:
        return None
    end = end_s(history)
    height = len(kinds) * _PANEL_PX + 40
    layout: dict[str, Any] = {
        "margin": {"l": 44, "r": 12, "t": 6, "b": 34},
        "xaxis": seconds_axis(end, anchor="y" + _suffix(len(kinds) - 1)),
        "barmode": "stack",
        "bargap": 0,
        "meta": "clock",
    }
    data: list[Trace] = []
    for index, what in enumerate(kinds):
        top = 1 - index / len(kinds)
        axis = "y" + _suffix(index)
        low, high = max(0.0, top - 1 / len(kinds)), top - 0.24 / len(kinds)
        layout[f"yaxis{_suffix(index)}"] = _panel_axis(low, high)
        data += [
            _bars(axis, what, site, bins, bin_s, colours.get(site, MUTED))
            for site, bins in sorted(counts[what].items())
        ]
    layout["annotations"] = [
        words(WIRE_KINDS[what], 0, 1 - index / len(kinds), yref="paper", yanchor="top")
        for index, what in enumerate(kinds)
    ]
    layout["shapes"] = [
        {
            "type": "rect", "layer": "below", "yref": "paper", "x0": round(span.start_s, 3),
            "x1": round(span.end_s, 3), "y0": 0, "y1": 1, "line": {"width": 0},
            "fillcolor": FAULT, "opacity": 0.07,
        }
        for lane in fault_lanes(history)
        for span in lane.spans
    ]  # fmt: skip
    return figure(data, height, **layout)


def _wire_counts(history: History, bin_s: int) -> dict[str, dict[str, Counter[int]]]:
    """What was sent -> by which site -> how often in which bin."""
    packets, origin, width = history.packets, history.origin_ns, bin_s * NS_PER_S
    told = zip(packets.column("what"), packets.column("source"), packets.t, strict=False)
    counted = Counter((what, site, (t - origin) // width) for what, site, t in told)
    counts: dict[str, dict[str, Counter[int]]] = {what: {} for what in WIRE_KINDS}
    for (what, site, index), count in counted.items():
        by_site = counts.get(packets.text(what))
        if by_site is not None and index >= 0:
            by_site.setdefault(packets.text(site), Counter())[index] = count
    return counts


def wire_senders(figure_: Figure) -> list[str]:
    """The sites that the wire's picture shows."""
    return sorted({trace["meta"] for trace in figure_["data"]})


def _panel_axis(low: float, high: float) -> dict[str, Any]:
    return {
        "domain": [round(low, 4), round(high, 4)],
        "fixedrange": True,
        "nticks": 3,
        "rangemode": "tozero",
        "gridcolor": GUIDE,
        "zeroline": False,
        "tickfont": {"color": MUTED, "size": 10},
    }


def _bars(axis: str, what: str, site: str, bins: Counter[int], bin_s: int, colour: str) -> Trace:
    ordered = sorted(bins.items())
    unit = "second" if bin_s == 1 else f"{bin_s} seconds"
    return {
        "type": "bar",
        "yaxis": axis,
        "name": plain(site),
        "meta": site,
        "x": [(index + 0.5) * bin_s for index, _ in ordered],
        "y": [count for _, count in ordered],
        "width": bin_s,
        "marker": {"color": colour, "line": {"width": 0}},
        "hovertemplate": f"%{{y}} {plain(WIRE_KINDS[what])}<br>by {plain(site)}, the {unit}"
        " around %{x} s<extra></extra>",
    }


def _suffix(index: int) -> str:
    return "" if index == 0 else str(index + 1)


def told_ms(told: Responses) -> tuple[str, str, str]:
    """Median, 95 and 99 % of the answers."""
    if not told.quantiles:
        return "-", "-", "-"
    return (
        show_ms(told.quantiles[2]), show_ms(told.quantiles[4]), show_ms(told.quantiles[5])
    )  # fmt: skip
