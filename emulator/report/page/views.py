"""Who saw what of a region while a fault lasted."""

from __future__ import annotations

from emulator.report.page.markup import Child, Html, el, lines, table
from emulator.report.page.sheet import Sheet
from emulator.report.views import (
    HEADINGS,
    WIRE_HEADINGS,
    Sight,
    sights,
    view_rows,
    wire_rows,
)


def views(sheet: Sheet) -> Html | None:
    """Of every fault: checks, balancer, clients and the wire side by side."""
    shown = sights(sheet.measured, sheet.history)
    if not shown:
        return None
    lead = el(
        "p",
        "Checks, balancers and clients look along different paths: each is right about its own."
        " On the wire the packets that tell something are counted: SYN, SYN-ACK, FIN, RST and"
        " what was sent again.",
        class_="lead",
    )
    parts = [part for sight in shown for part in _sight(sight)]
    return el("section", el("h2", "Who saw what"), lead, *parts, id="views")


def _sight(sight: Sight) -> list[Child]:
    rows = [[lines(cell) for cell in cells] for cells in view_rows(sight.seen)]
    told: list[Child] = [el("h3", sight.title)]
    if sight.differ:
        told.append(el("p", f"Views differ: {' '.join(sight.differ)}", class_="why"))
    told.append(table(HEADINGS, rows, "lrrrrrl"))
    if wire := wire_rows(sight.seen):
        told.append(table(WIRE_HEADINGS, wire, "lllll"))
    return told
