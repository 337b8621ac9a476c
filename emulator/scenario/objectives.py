"""Objectives: the bounds that a run must keep, each a line of text.

    recovery_s.p100 <= 15 s
    recovery_s.p99 <= 12 s from paris over http
    requests_lost == 0 over keepalive
    availability >= 99.9 %

A time has a unit and a statistic over all the clients it speaks of (the worst, `p100`, if none is
said); availability is in percent; counts are plain.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import cast

from emulator.errors import suggest
from emulator.scalars import choice, duration, label, share, whole
from emulator.scenario.model import Comparison, Objective

CLIENTS = ("http", "keepalive", "stream", "udp")
TIMES = ("recovery_s", "outage_s", "reversion_s")
COUNTS = ("requests_lost", "resets")
FIGURES = (*TIMES, *COUNTS, "availability")
STATISTICS = ("p100", "p99", "p50")
_BOUND = re.compile(r"(\w+)(?:\.(\w+))?\s*(<=|>=|==|<|>)\s*(\S.*)")
_SCOPE = re.compile(r"\s(from|over)\s+(\S+)")


def parse_objective(text: str) -> Objective:
    """The objective that `text` states; times in seconds, availability 0 to 1. ValueError, with
    what to write instead, if it states none."""
    said = " ".join(text.split())
    match = _BOUND.fullmatch(_SCOPE.sub("", said))
    if match is None:
        advice = "write for example recovery_s.p100 <= 15 s from paris over http"
        raise ValueError(f"{text!r} is no objective; {advice}")
    name, statistic, comparison, bound = match.groups()
    figure = _figure(name)
    city, client = _scope(said)
    return Objective(
        text=said,
        figure=figure,
        statistic=_statistic(figure, statistic),
        comparison=cast(Comparison, comparison),
        bound=float(_bound(figure)(bound)),
        city=city,
        client=client,
    )


def _figure(text: str) -> str:
    if text not in FIGURES:
        advice = suggest(text, FIGURES) or f"figures are {', '.join(FIGURES)}"
        raise ValueError(f"{text!r} is not measured; {advice}")
    return text


def _statistic(figure: str, text: str | None) -> str:
    if figure in TIMES:
        return choice(*STATISTICS)(text or "p100")
    if text:
        raise ValueError(f"{figure} is one number, it has no {text!r}; write {figure}")
    return ""


def _bound(figure: str) -> Callable[[str], float]:
    if figure in TIMES:
        return duration("0s", "24h")
    return share if figure == "availability" else whole(0, 10**9)


def _scope(text: str) -> tuple[str | None, str | None]:
    city: str | None = None
    client: str | None = None
    for word, name in _SCOPE.findall(text):
        if (city if word == "from" else client) is not None:
            raise ValueError(f"{word!r} stands twice; write an objective for each")
        if word == "from":
            city = label(name)
        else:
            client = choice(*CLIENTS)(name)
    return city, client
