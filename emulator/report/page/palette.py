"""Colours of the charts. A figure is made in light ones; the page swaps each for its dark twin.

Regions are blues, greens, violets and golds, failures reds, and every kind of failure has a shape
of its own: who tells no red from green still tells them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

INK, MUTED, LINE, GUIDE = "#1b1f24", "#5b6672", "#d5dbe1", "#e9edf1"
FAULT, BOUND = "#d1242e", "#20262d"
UP, DOWN = "#a5d6b7", "#3f4852"
GROUND = "#ffffff"  # under charts, and words on a coloured bar
PREDICTED, PREDICTED_CORE = "#dfe5ec", "#bcc8d6"

REGIONS = (
    "#2563c9", "#0a7f6f", "#7a4fc9", "#8f6900", "#0a76a3", "#5f7112", "#8a5a3c", "#52616f",
)  # fmt: skip
PARTS = {
    "detection_s": "#c77d0a",
    "publish_s": "#8c95a0",
    "cache_s": "#3b78d8",
    "client_s": "#8457d0",
    "connect_s": "#14957f",
    "resume_s": "#7d8f1f",
}
KINDS = {"http": "#2461c6", "keepalive": "#0c907c", "stream": "#7b50ca", "udp": "#a87c02",
         "own": "#8a5a3d"}  # fmt: skip
PERIODS = {"before": "#53626e", "during": "#d1252d", "after": "#0c8f7b"}


class Look(NamedTuple):
    """How the marks of one kind of failure look."""

    words: str
    symbol: str  # plotly's name
    colour: str


FAILURES = {
    "silence": Look("silence: no handshake or no answer in time", "x", "#d1242f"),
    "reset": Look("reset (RST)", "diamond", "#b3126b"),
    "closed": Look("closed (FIN)", "triangle-down", "#c2410c"),
    "refused": Look("refused or unreachable", "square", "#c2410d"),
    "name": Look("name not resolved", "triangle-up", "#9a1750"),
    "stream": Look("stream stalled or not connected", "cross", "#d12430"),
    "status": Look("wrong answer, or another failure", "star", "#a32020"),
}
UNKNOWN = Look("outcome unknown", "circle-open", "#77818c")

# Light -> dark. A colour that stands for two things has two entries a digit apart.
DARK = {
    GROUND: "#14171b",
    INK: "#e8eaed", MUTED: "#9da7b3", LINE: "#3a424b", GUIDE: "#272d34",
    FAULT: "#ff6b6c", BOUND: "#f2f4f6", UP: "#2c6e49", DOWN: "#c3ccd6",
    PREDICTED: "#2c343d", PREDICTED_CORE: "#46525f",
    "#2563c9": "#6ea3ff", "#0a7f6f": "#3ecfb8", "#7a4fc9": "#b794ff", "#8f6900": "#e3bd4a",
    "#0a76a3": "#57c4f0", "#5f7112": "#b5cc52", "#8a5a3c": "#d6a27c", "#52616f": "#a5b3c1",
    "#c77d0a": "#f0b44c", "#8c95a0": "#aab4bf", "#3b78d8": "#7fb0ff", "#8457d0": "#bb9bff",
    "#14957f": "#46d3bc", "#7d8f1f": "#bfd35c",
    "#2461c6": "#6fa4ff", "#0c907c": "#3fcfb8", "#7b50ca": "#b895ff", "#a87c02": "#e4be4b",
    "#8a5a3d": "#d6a27d",
    "#53626e": "#a6b4c2", "#d1252d": "#ff6b6d", "#0c8f7b": "#3fceb7",
    "#d1242f": "#ff6b6b", "#b3126b": "#ff79c6", "#c2410c": "#ff9f5a", "#c2410d": "#ff9f5b",
    "#9a1750": "#f58ab0", "#d12430": "#ff6b6a", "#a32020": "#ff8f8f", "#77818c": "#9aa4ae",
}  # fmt: skip


def region_colours(regions: Sequence[str]) -> dict[str, str]:
    """A colour for every region, in their order; more regions than colours share."""
    return {region: REGIONS[index % len(REGIONS)] for index, region in enumerate(regions)}
