"""Colours and letters of the drawing: light, dark and on paper."""

from __future__ import annotations

from emulator.report.page.palette import DARK, REGIONS

NAME_PX, SMALL_PX = 14, 11

# Light and dark, the same as in the charts of a page.
COLOURS = tuple((colour, DARK[colour]) for colour in REGIONS)
_LIGHT = {
    "ground": "#ffffff", "card": "#f5f7fa", "edge": "#c9d1dc", "ink": "#18212d",
    "soft": "#566376", "line": "#b4bdc9", "check": "#bcc5d0",
}  # fmt: skip
_DARK = {
    "ground": "#11161d", "card": "#1b222c", "edge": "#3b4655", "ink": "#e8edf3",
    "soft": "#a3b0c0", "line": "#566375", "check": "#4d5a6b",
}  # fmt: skip


def style_sheet() -> str:
    """Light by default and on paper; dark where the reader's system is."""
    scope = ".netemu-graph"
    shape = f"""
{scope} text {{font-family:system-ui,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;\
font-size:{SMALL_PX}px;font-variant-numeric:tabular-nums}}
{scope} .name {{font-size:{NAME_PX}px;font-weight:600}}
{scope} .title {{font-size:17px;font-weight:600}}
{scope} .heading {{font-size:{SMALL_PX}px;font-weight:600;letter-spacing:.06em}}
{scope} .rtt {{text-anchor:middle;dominant-baseline:central}}
{scope} .rtt.near {{font-weight:700}}
{scope} .middle {{text-anchor:middle}}
{scope} path {{fill:none}}
{scope} .other {{stroke-width:1}}
{scope} .check {{stroke-width:1;stroke-dasharray:3 3}}
{scope} .near path, {scope} path.near {{stroke-width:3}}
"""
    dark = f"@media screen and (prefers-color-scheme:dark) {{\n{_colours(_DARK, 1)}}}\n"
    return f"{shape}{_colours(_LIGHT, 0)}{dark}"


def _colours(tones: dict[str, str], shade: int) -> str:
    rules = {
        ".ground": f"fill:{tones['ground']}",
        "text": f"fill:{tones['ink']}",
        ".soft": f"fill:{tones['soft']}",
        ".card": f"fill:{tones['card']};stroke:{tones['edge']}",
        ".pill": f"fill:{tones['ground']};stroke:{tones['edge']}",
        ".other": f"stroke:{tones['line']}",
        ".check": f"stroke:{tones['check']}",
    }
    for index, pair in enumerate(COLOURS):
        rules[f".fill{index}"] = f"fill:{pair[shade]}"
        rules[f".line{index}"] = f"stroke:{pair[shade]}"
    return "".join(f".netemu-graph {name} {{{rule}}}\n" for name, rule in rules.items())
