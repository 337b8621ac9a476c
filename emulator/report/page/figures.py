"""What all charts share: figures as plain dicts, as Plotly reads them. No Plotly is needed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from emulator.report.page.palette import GUIDE, INK, LINE, MUTED

Figure = dict[str, Any]
Trace = dict[str, Any]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
CLEAR = "rgba(0,0,0,0)"


def figure(data: list[Trace], height: int, **layout: Any) -> Figure:
    """A figure of this height in pixels; its width is the page's."""
    base: dict[str, Any] = {
        "height": height,
        "margin": {"l": 12, "r": 48, "t": 6, "b": 34},
        "paper_bgcolor": CLEAR,
        "plot_bgcolor": CLEAR,
        "font": {"family": FONT, "size": 12, "color": INK},
        "showlegend": False,
        "hovermode": "closest",
        "dragmode": "zoom",
        "shapes": [],
        "annotations": [],
    }
    return {"data": data, "layout": base | layout}


def seconds_axis(end_s: float, **more: Any) -> dict[str, Any]:
    """Time from left to right, from 0 to `end_s`."""
    return {
        "range": [0, round(end_s, 3)],
        "ticksuffix": " s",
        "nticks": 8,
        "ticklabeloverflow": "allow",
        "gridcolor": GUIDE,
        "linecolor": LINE,
        "tickfont": {"color": MUTED, "size": 11},
        "zeroline": False,
        "showline": True,
        **more,
    }


def hidden_axis(low: float, high: float, **more: Any) -> dict[str, Any]:
    """Rows from top to bottom, named by annotations inside; it does not zoom."""
    return {
        "range": [low, high],
        "visible": False,
        "fixedrange": True,
        **more,
    }


def milliseconds_axis(low_ms: float, high_ms: float) -> dict[str, Any]:
    """Times from `low_ms` to `high_ms`, each decade as wide as the next."""
    first, last = math.log10(low_ms * 0.8), math.log10(max(high_ms, low_ms * 2) * 1.2)
    decades = range(math.floor(first), math.ceil(last))
    steps = (1, 2, 5) if last - first < 2.5 else (1,)
    ticks = [step * 10.0**decade for decade in decades for step in steps]
    return {
        "type": "log",
        "range": [round(first, 4), round(last, 4)],
        "tickvals": ticks,
        "ticktext": [show_ms(tick) for tick in ticks],
        "gridcolor": GUIDE,
        "linecolor": LINE,
        "tickfont": {"color": MUTED, "size": 11},
        "zeroline": False,
        "showline": True,
        "fixedrange": True,
    }


def words(text: str, x: float, y: float, **more: Any) -> dict[str, Any]:
    """Words inside a chart; `x` is a share of its width unless `more` says xref="x"."""
    return {
        "text": plain(text),
        "x": x,
        "y": y,
        "xref": "paper",
        "yref": "y",
        "xanchor": "left",
        "yanchor": "middle",
        "showarrow": False,
        "font": {"size": 12, "color": INK},
        **more,
    }


def plain(text: str) -> str:
    """Text that Plotly does not read as its little HTML."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def show_ms(value: float) -> str:
    """`6.2 ms`, `1.5 s`."""
    return f"{value / 1000:.3g} s" if value >= 1000 else f"{value:.3g} ms"


def swatch(words_: str, colour: str, symbol: str = "bar") -> tuple[str, str, str]:
    """An entry of a legend: words, colour, shape."""
    return words_, colour, symbol


def rounded(values: Sequence[float], digits: int = 3) -> list[float]:
    """No more digits than a picture can show."""
    return [round(value, digits) for value in values]
