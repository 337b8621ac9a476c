"""How long recovery took: in parts beside what was predicted, and over many runs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from emulator.analysis.measurements import PARTS, FaultMeasured, Row
from emulator.analysis.repeated import Distribution, quantile
from emulator.analysis.timeline import Client, History
from emulator.analysis.words import client_name, kind_name
from emulator.report.page.figures import (
    Figure,
    Trace,
    figure,
    hidden_axis,
    plain,
    rounded,
    seconds_axis,
    words,
)
from emulator.report.page.palette import (
    BOUND,
    FAULT,
    GROUND,
    GUIDE,
    KINDS,
    LINE,
    MUTED,
    PREDICTED,
    PREDICTED_CORE,
)
from emulator.report.page.palette import (
    PARTS as PART_COLOURS,
)

_ROW_PX = 62


def affected_of(fault: FaultMeasured) -> list[Row]:
    """The rows that the fault did something to."""
    return [row for row in fault.rows if row.state != "unaffected"]


def predictions(history: History, fault: FaultMeasured) -> dict[Client, list[float]]:
    """Recoveries in seconds, in order of size, that the header predicts for clients of the
    region that was hit; empty where it predicts nothing."""
    if history.run is None:
        return {}
    found: dict[Client, list[float]] = {}
    for row in affected_of(fault):
        if row.from_region not in fault.life.sites:
            continue
        for entry in history.run.predicted.get(f"{fault.life.how} {row.from_region}", ()):
            if (entry["city"], entry["client"]) == tuple(row.client) and entry["seconds"]:
                found[row.client] = sorted(float(s) for s in entry["seconds"])
    return found


def waterfall(rows: Sequence[Row], predicted: Mapping[Client, Sequence[float]]) -> Figure:
    """A bar a city and kind, its parts from left to right; bound and prediction with it."""
    known = [
        *(row.recovery_s for row in rows if row.recovery_s is not None),
        *(row.bound_s for row in rows if row.bound_s is not None),
        *(own[-1] for own in predicted.values()),
    ]
    end = max(known, default=1.0) * 1.12 + 0.1
    height = len(rows) * _ROW_PX + 40
    data = [*_predicted(rows, predicted), *_parts(rows), _bounds(rows)]
    return figure(
        data,
        height,
        xaxis=seconds_axis(end, fixedrange=True),
        yaxis=hidden_axis(-0.05, len(rows)),
        annotations=[note for index, row in enumerate(rows) for note in _names(rows, index, row)],
        barmode="overlay",
        uniformtext={"mode": "hide", "minsize": 10},
        dragmode=False,
    )


def _y(rows: Sequence[Row], index: int) -> float:
    return len(rows) - 1 - index


def _parts(rows: Sequence[Row]) -> list[Trace]:
    traces = []
    for part in PARTS:
        name = part.removesuffix("_s")
        bars = []
        for index, row in enumerate(rows):
            base = 0.0
            for other, span in row.parts().items():
                if other == part and span > 0:
                    bars.append((_y(rows, index) + 0.42, base, span, client_name(row.client)))
                base += span
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": name,
                "y": [bar[0] for bar in bars],
                "base": rounded([bar[1] for bar in bars]),
                "x": rounded([bar[2] for bar in bars]),
                "width": 0.36,
                "marker": {"color": PART_COLOURS[part], "line": {"width": 0}},
                "text": [f"{bar[2]:.2f} s" for bar in bars],
                "textposition": "inside",
                "insidetextanchor": "middle",
                "textangle": 0,
                "textfont": {"color": GROUND, "size": 11},
                "customdata": [plain(bar[3]) for bar in bars],
                "hovertemplate": f"<b>%{{customdata}}</b><br>{name} %{{x:.3f}} s,"
                " from %{base:.3f} s<extra></extra>",
            }
        )
    return traces


def _predicted(rows: Sequence[Row], predicted: Mapping[Client, Sequence[float]]) -> list[Trace]:
    """Below each bar: all that was predicted, and darker its middle eight tenths."""
    bars = [
        (_y(rows, index) + 0.12, tuple(predicted[row.client]))
        for index, row in enumerate(rows)
        if predicted.get(row.client)
    ]
    if not bars:
        return []
    shades = ((0.0, 1.0, PREDICTED), (0.1, 0.9, PREDICTED_CORE))
    return [
        {
            "type": "bar",
            "orientation": "h",
            "name": "predicted",
            "y": [y for y, _ in bars],
            "base": rounded([quantile(own, low) for _, own in bars]),
            "x": rounded([quantile(own, high) - quantile(own, low) for _, own in bars]),
            "width": 0.13,
            "marker": {"color": colour, "line": {"width": 0}},
            "customdata": [
                f"{own[0]:.2f} to {own[-1]:.2f} s, median {quantile(own, 0.5):.2f} s"
                for _, own in bars
            ],
            "hovertemplate": "predicted: %{customdata}<extra></extra>",
        }
        for low, high, colour in shades
    ]


def _bounds(rows: Sequence[Row]) -> Trace:
    known = [(index, row.bound_s) for index, row in enumerate(rows) if row.bound_s is not None]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "predicted bound",
        "x": rounded([bound for _, bound in known]),
        "y": [_y(rows, index) + 0.4 for index, _ in known],
        "marker": {
            "symbol": "line-ns",
            "size": 22,
            "color": BOUND,
            "line": {"width": 2.5, "color": BOUND},
        },
        "hovertemplate": "predicted bound %{x:.2f} s<extra></extra>",
    }


def _names(rows: Sequence[Row], index: int, row: Row) -> list[dict[str, Any]]:
    y = _y(rows, index) + 0.8
    state = row.state.replace("_", " ")
    took = state if row.recovery_s is None else f"{row.recovery_s:.2f} s"
    colour = FAULT if row.state == "not_recovered" else MUTED
    named = words("", 0.002, y)
    named["text"] = (
        f"{plain(row.client.city)}, <b>{plain(kind_name(row.client.kind))}</b>"
        f"   <span style='color:{colour}'>{took}</span>"
    )
    return [named]


def distribution_figure(distributions: Sequence[Distribution]) -> Figure:
    """The share of runs that had recovered after so long; dashed: of the kills predicted."""
    ends = [
        value
        for one in distributions
        for value in (*one.seconds[-1:], *one.predicted[-1:])
        if math.isfinite(value)
    ]
    end = max(ends, default=1.0) * 1.08 + 0.1
    data = [trace for one in distributions for trace in _steps(one, end)]
    percent = {"tickformat": ".0%", "range": [0, 1.04], "fixedrange": True}
    return figure(
        data,
        280,
        margin={"l": 46, "r": 16, "t": 10, "b": 34},
        xaxis=seconds_axis(end, fixedrange=True),
        yaxis=percent
        | {"gridcolor": GUIDE, "linecolor": LINE, "tickfont": {"color": MUTED, "size": 11}},
        dragmode=False,
    )


def _steps(one: Distribution, end: float) -> list[Trace]:
    colour = KINDS.get(one.client.kind, MUTED)
    name = plain(kind_name(one.client.kind))
    drawn = [(one.seconds, one.runs, "solid", 2.4, f"{name}, measured")]
    drawn.append((one.predicted, len(one.predicted), "dash", 1.4, f"{name}, predicted"))
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": words_,
            "x": rounded([0.0, *values, end]),
            "y": rounded([*(i / total for i in range(len(values) + 1)), len(values) / total], 4),
            "line": {"shape": "hv", "color": colour, "width": width, "dash": dash},
            "hovertemplate": f"{words_}: %{{y:.0%}} within %{{x:.2f}} s<extra></extra>",
        }
        for values, total, dash, width, words_ in drawn
        if values
    ]
