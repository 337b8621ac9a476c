"""The sweep of `wan` as a picture: small packets over the engine and the bridge, delay as set."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import median
from typing import Any

from benchmarks.chart import Curve, Panel, linear, logarithmic, svg
from benchmarks.wan_bulk import PACKET_DELAY_MS

_ENDS = (("engine", "over the WAN, 20 ms set", 0), ("bridge", "over a kernel bridge", 3))
_DELAYS = {"engine": PACKET_DELAY_MS, "bridge": 0}
_LEAST_MS = 0.001
_LOADS = {
    "idle": "idle",
    "path loaded": "100 Mbit/s on the same path",
    "another loaded": "100 Mbit/s on another path",
}


def draw(figures: Mapping[str, Any]) -> str:
    """From what the rows found (as in the JSON file); empty when no row has a picture."""
    panels = []
    if sweep := figures.get("packets"):
        panels += [_delivered(sweep), _late(sweep)]
    if delay := figures.get("delay"):
        panels.append(_errors(delay))
    return svg("The emulated WAN beside a plain kernel bridge", panels) if panels else ""


def _delivered(sweep: Mapping[str, Any]) -> Panel:
    curves = tuple(
        Curve(name, _points(sweep[end], "delivered"), colour) for end, name, colour in _ENDS
    )
    rates = [x for curve in curves for x, _ in curve.points]
    return Panel(
        "Packets of 64 B: how many arrive",
        linear("offered, packets/s", rates, 6),
        linear("delivered, packets/s", rates),
        curves,
    )


def _late(sweep: Mapping[str, Any]) -> Panel:
    curves = tuple(
        Curve(
            f"{name}: {share}",
            tuple((x, max(_LEAST_MS, y - _DELAYS[end])) for x, y in _points(sweep[end], share)),
            colour,
            is_dashed=share == "p50",
        )
        for end, name, colour in _ENDS
        for share in ("p99", "p50")
    )
    points = [point for curve in curves for point in curve.points]
    return Panel(
        "Packets of 64 B: how late they are",
        linear("offered, packets/s", [x for x, _ in points], 6),
        logarithmic("one-way delay above what was set, ms", [y for _, y in points]),
        curves,
    )


def _points(end: Mapping[str, Any], what: str) -> tuple[tuple[float, float], ...]:
    return tuple((float(rate), median(seen[what])) for rate, seen in end.items())


def _errors(delay: Mapping[str, Any]) -> Panel:
    curves = tuple(
        Curve(
            f"{_LOADS[what]}: {share}",
            tuple((float(rtt), pair[index]) for rtt, pair in found["set"].items()),
            colour,
            is_dashed=share == "median",
        )
        for (what, found), colour in zip(delay.items(), (0, 3, 2), strict=True)
        for index, share in ((1, "p99"), (0, "median"))
    )
    points = [point for curve in curves for point in curve.points]
    return Panel(
        "How late answers to pings are",
        linear("round trip set, ms", [x for x, _ in points], 6),
        logarithmic("round trip above what was set, ms", [y for _, y in points]),
        curves,
    )
