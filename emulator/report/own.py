"""Tables about clients of the user's: the same on a terminal and on a page."""

from __future__ import annotations

from typing import NamedTuple

from emulator.analysis.own_figures import own_seen
from emulator.analysis.timeline import History


class OwnTable(NamedTuple):
    """`kinds` has a letter a column: l words, r figures."""

    headings: tuple[str, ...]
    kinds: str
    rows: list[list[str]]


def own_tables(history: History) -> list[OwnTable]:
    """What each is, how it ended and how often it asked; and the medians of what its lines tell.
    None where there is nothing to tell."""
    seen = own_seen(history)
    clients = [
        [one.city, one.image or "-", one.end or "runs", f"{one.attempts:,}", f"{one.failed:,}"]
        for one in seen
    ]
    figures = [
        [
            f"{one.city}: {figure.name}",
            f"{figure.count:,}",
            *(_shown(value) for value in (figure.before, figure.during, figure.after)),
        ]
        for one in seen
        for figure in one.figures
    ]
    tables = (
        OwnTable(("own client", "image", "at the end", "attempts", "failed"), "lllrr", clients),
        OwnTable(
            ("told by it, medians", "told", "before faults", "during", "after"), "lrrrr", figures
        ),
    )
    return [table for table in tables if table.rows]


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
