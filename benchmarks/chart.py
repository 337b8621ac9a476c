"""Small charts as one SVG document: lines over axes with units, light and dark, no library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10
from xml.etree import ElementTree as ET

from emulator.report.page.palette import DARK, GROUND, GUIDE, INK, MUTED, REGIONS

_WIDTH, _HEIGHT = 340, 210  # of a panel's plane
_LEFT, _TOP, _BOTTOM, _GAP = 64, 58, 46, 30
_KEY = 18  # a line of the key


@dataclass(frozen=True, slots=True)
class Curve:
    """Points of one thing measured. Those of one `colour` belong together."""

    name: str
    points: tuple[tuple[float, float], ...]
    colour: int
    is_dashed: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """What is on it, with its unit. Logarithmic ones leave out what is not above zero."""

    title: str
    ticks: tuple[float, ...]
    is_log: bool = False

    def share(self, value: float) -> float:
        """Where a value is, 0 to 1 from the first tick to the last; what is beyond, at the end."""
        low, high = self.ticks[0], self.ticks[-1]
        if self.is_log:
            low, high, value = log10(low), log10(high), log10(max(value, low))
        return min(1.0, max(0.0, (value - low) / (high - low)))


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart."""

    title: str
    across: Axis
    up: Axis
    curves: tuple[Curve, ...]


def linear(title: str, values: Sequence[float], pieces: int = 4) -> Axis:
    """From zero to a round number above all values."""
    step = max(values) / pieces
    unit = 10 ** floor(log10(step))
    step = next(unit * m for m in (1, 2, 2.5, 5, 10) if unit * m >= step * 0.999)
    return Axis(title, tuple(step * i for i in range(ceil(max(values) / step - 0.001) + 1)))


def logarithmic(title: str, values: Sequence[float]) -> Axis:
    """Whole decades around the values above zero."""
    above = [value for value in values if value > 0]
    low, high = floor(log10(min(above))), ceil(log10(max(above)))
    return Axis(title, tuple(10.0**n for n in range(low, max(high, low + 1) + 1)), is_log=True)


def svg(title: str, panels: Sequence[Panel], columns: int = 2) -> str:
    """The panels in rows, as a document that can stand alone or in a page."""
    rows = ceil(len(panels) / columns)
    tall = _TOP + _HEIGHT + _BOTTOM + _KEY * max(len(panel.curves) for panel in panels)
    wide = _LEFT + _WIDTH + _GAP
    width, height = wide * min(columns, len(panels)), 30 + rows * tall
    root = ET.Element("svg", {
        "xmlns": "http://www.w3.org/2000/svg", "class": "netemu-chart", "role": "img",
        "viewBox": f"0 0 {width} {height}", "width": f"{width}", "height": f"{height}",
        "style": "max-width:100%;height:auto",
    })  # fmt: skip
    ET.SubElement(root, "title").text = title
    ET.SubElement(root, "style").text = _style()
    ET.SubElement(root, "rect", {"class": "ground", "width": "100%", "height": "100%"})
    for index, panel in enumerate(panels):
        x, y = index % columns * wide + _LEFT, 10 + index // columns * tall + _TOP
        _draw(ET.SubElement(root, "g", {"transform": f"translate({x} {y})"}), panel)
    ET.indent(root, " ")
    return ET.tostring(root, encoding="unicode") + "\n"


def _draw(group: ET.Element, panel: Panel) -> None:
    _text(group, (-_LEFT + 12, -36), panel.title, "name")
    _text(group, (-_LEFT + 12, -14), panel.up.title, "soft")
    _text(group, (_WIDTH / 2, _HEIGHT + 34), panel.across.title, "soft middle")
    for tick in panel.up.ticks:
        y = _HEIGHT * (1 - panel.up.share(tick))
        ET.SubElement(group, "path", {"class": "guide", "d": f"M0 {y:.1f}h{_WIDTH}"})
        _text(group, (-8, y + 4), _short(tick), "soft end")
    for tick in panel.across.ticks:
        x = _WIDTH * panel.across.share(tick)
        ET.SubElement(group, "path", {"class": "guide", "d": f"M{x:.1f} {_HEIGHT}v4"})
        _text(group, (x, _HEIGHT + 17), _short(tick), "soft middle")
    for index, curve in enumerate(panel.curves):
        _curve(group, panel, curve)
        y = _HEIGHT + _BOTTOM + _KEY * index
        kind = f"line{curve.colour}" + (" dashed" if curve.is_dashed else "")
        ET.SubElement(group, "path", {"class": kind, "d": f"M0 {y}h26"})
        _text(group, (34, y + 4), curve.name, "")


def _curve(group: ET.Element, panel: Panel, curve: Curve) -> None:
    places = [(_WIDTH * panel.across.share(x), _HEIGHT * (1 - panel.up.share(y)))
              for x, y in sorted(curve.points)]  # fmt: skip
    kind = f"line{curve.colour}" + (" dashed" if curve.is_dashed else "")
    way = "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    ET.SubElement(group, "path", {"class": kind, "d": f"M{way}"})
    for x, y in places:
        place = {"cx": f"{x:.1f}", "cy": f"{y:.1f}", "r": "3"}
        ET.SubElement(group, "circle", {"class": f"fill{curve.colour}", **place})


def _text(group: ET.Element, at: tuple[float, float], words: str, kind: str) -> None:
    text = ET.SubElement(group, "text", {"class": kind, "x": f"{at[0]:.1f}", "y": f"{at[1]:.1f}"})
    text.text = words


def _short(value: float) -> str:
    return f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"


def _style() -> str:
    """Light by default and on paper; dark where the reader's system is."""
    scope = ".netemu-chart"
    return f"""
{scope} text {{font:11px system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}}
{scope} .name {{font-size:13px;font-weight:600}}
{scope} .middle {{text-anchor:middle}}
{scope} .end {{text-anchor:end}}
{scope} path {{fill:none;stroke-width:2}}
{scope} .guide {{stroke-width:1}}
{scope} .dashed {{stroke-dasharray:5 4}}
{_colours(lambda colour: colour)}@media screen and (prefers-color-scheme:dark) {{
{_colours(DARK.__getitem__)}}}
"""


def _colours(shade: Callable[[str], str]) -> str:
    rules = {
        ".ground": f"fill:{shade(GROUND)}",
        "text": f"fill:{shade(INK)}",
        ".soft": f"fill:{shade(MUTED)}",
        ".guide": f"stroke:{shade(GUIDE)}",
    }
    for index, colour in enumerate(REGIONS):
        rules[f".line{index}"] = f"stroke:{shade(colour)}"
        rules[f".fill{index}"] = f"fill:{shade(colour)}"
    return "".join(f".netemu-chart {name} {{{rule}}}\n" for name, rule in rules.items())
