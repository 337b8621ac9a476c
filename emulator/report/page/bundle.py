"""What makes the page one file: style, program, figures and the plotting library inside it."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from plotly.offline import get_plotlyjs

from emulator.report.page.figures import Figure
from emulator.report.page.markup import Html, el
from emulator.report.page.palette import DARK


def packed(name: str, text: str) -> Html:
    """A script element that no browser runs: gzip and base64, read by `unpack` of page.js."""
    data = base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()
    return el("script", Html(data), type="application/gzip", id=name)


def style() -> Html:
    """page.css, in the page."""
    return el("style", Html(_shipped("page.css")))


def program(figures: Sequence[Figure]) -> Html:
    """Figures, their library, and what draws them. Nothing is drawn where there are none."""
    if not figures:
        return Html("")
    told = {"figures": figures, "dark": DARK}
    data = json.dumps(told, separators=(",", ":"), allow_nan=False)
    return Html(packed("told", data) + _library() + el("script", Html(_shipped("page.js"))))


@cache
def _library() -> Html:
    return packed("plotly", get_plotlyjs())


def _shipped(name: str) -> str:
    return (files(__package__) / name).read_text(encoding="utf-8")
