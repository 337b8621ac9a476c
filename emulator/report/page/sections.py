"""The body of the page, section by section."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from emulator.analysis.measurements import PARTS, FaultMeasured
from emulator.analysis.moments import moments
from emulator.analysis.words import client_name
from emulator.report.cells import loss_cells, part_headings, recovery_cells
from emulator.report.page.lanes import health_lanes
from emulator.report.page.marks import choose, failure_of
from emulator.report.page.markup import Child, Html, el, join, lines, table
from emulator.report.page.palette import (
    BOUND,
    DOWN,
    FAILURES,
    FAULT,
    INK,
    PREDICTED_CORE,
    UNKNOWN,
    UP,
)
from emulator.report.page.palette import (
    PARTS as PART_COLOURS,
)
from emulator.report.page.recoveries import (
    affected_of,
    predictions,
    waterfall,
)
from emulator.report.page.sheet import Key, Sheet, legend
from emulator.report.page.timeline import Scene, city_figure
from emulator.report.strip import legend as strip_legend
from emulator.report.strip import strip_lines

_STRIP_WIDTH = 100


def timeline(sheet: Sheet) -> Html:
    """Every request of every city, over what was true at the time."""
    history = sheet.history
    found = moments(sheet.measured, history)
    parts: list[Child] = [el("h2", "Timeline")]
    if history.requests:
        marks = choose(history)
        scene = Scene.of(history, marks, found, sheet.colours)
        parts.append(
            el(
                "p",
                "Each mark is a request at the moment of its start; the higher in its row, the"
                f" longer it took. {marks.caption()}",
                class_="lead needs-charts",
            )
        )
        hint = "Drag over a time to zoom, double-click for the whole run; hover for the details."
        parts.append(el("p", hint, class_="lead small needs-charts screen"))
        parts.append(_zooms(scene))
        parts.append(_timeline_legend(sheet, scene))
        cities = {
            city: _city(sheet, scene, city)
            for city in dict.fromkeys(client.city for client in marks.shown)
        }
        parts += sheet.fold(cities, "needs-charts")
        parts.append(_strip(sheet))
    listed_ = [
        el(
            "li",
            el("span", str(number), class_="number"),
            el("span", sheet.origin(moment.t), class_="at"),
            el("span", moment.text),
        )
        for number, moment in enumerate(found, 1)
    ]
    parts.append(el("ol", *listed_, class_="moments"))
    return el("section", *parts, id="timeline")


def _city(sheet: Sheet, scene: Scene, city: str) -> Html:
    chart = sheet.chart(city_figure(scene, city), label=f"timeline of {city}")
    return join([el("h3", city, class_="needs-charts"), chart])


def _zooms(scene: Scene) -> Html | None:
    """A button a fault that is small in the picture, and one for the way back."""
    short = [
        span
        for lane in scene.faults
        for span in lane.spans
        if span.end_s - span.start_s < scene.end_s / 4
    ]
    if not short:
        return None
    buttons = [
        el("button", "whole run", type="button", data_from="0", data_to=f"{scene.end_s:.2f}")
    ]
    for span in short:
        length = span.end_s - span.start_s
        start, end = max(0.0, span.start_s - 0.3 * length), span.end_s + 0.7 * length
        zoom = {"data_from": f"{start:.2f}", "data_to": f"{min(end, scene.end_s):.2f}"}
        buttons.append(el("button", f"{span.words} at {span.start_s:.0f} s", type="button", **zoom))
    return el("div", *buttons, class_="zooms needs-charts screen")


def _timeline_legend(sheet: Sheet, scene: Scene) -> Html:
    shown = list(chain.from_iterable(scene.marks.shown.values()))
    failures = {failure_of(request) for request in shown}
    keys = [Key(f"answered by {name}", colour, "circle") for name, colour in sheet.colours.items()]
    keys += [
        Key(look.words, look.colour, look.symbol)
        for name, look in FAILURES.items()
        if name in failures
    ]
    if any(request.outcome == "unknown" for request in shown):
        keys.append(Key(UNKNOWN.words, UNKNOWN.colour, UNKNOWN.symbol))
    if scene.faults:
        keys.append(Key("a fault is active", FAULT))
    if health_lanes(sheet.history):
        keys += [Key("a name server says UP", UP), Key("says DOWN", DOWN)]
    keys.append(Key("DNS answer changed", INK, "dots"))
    return legend(keys)


def _strip(sheet: Sheet) -> Html:
    """The terminal's letters, for those whose browser draws nothing."""
    affected = [row.client for row in sheet.measured.rows() if row.state != "unaffected"]
    if not sheet.measured.faults:
        affected = sheet.history.clients()
    rows = strip_lines(sheet.history, affected, _STRIP_WIDTH)
    text = "\n".join(f"{name:<28}{letters}" for name, letters in rows)
    if affected:
        text += f"\n\n{strip_legend(sheet.history, _STRIP_WIDTH)}"
    return el("pre", text, class_="fallback")


def recovery(sheet: Sheet) -> Html | None:
    """From fault to recovery, in parts, beside what was predicted."""
    faults = [fault for fault in sheet.measured.faults if affected_of(fault)]
    if not faults:
        return None
    predicted = {fault.life.id: predictions(sheet.history, fault) for fault in faults}
    keys = [Key(name.removesuffix("_s"), PART_COLOURS[name]) for name in PARTS]
    keys.append(Key("predicted bound", BOUND, "tick"))
    if any(predicted.values()):
        keys.append(Key("predicted range, darker: its middle 80 %", PREDICTED_CORE))
    parts: list[Child] = [
        el("h2", "Recovery"),
        el(
            "p",
            "From the fault to the start of the first 3 s in which nothing failed any more, cut"
            " at what each client waited for.",
            class_="lead",
        ),
        legend(keys),
    ]
    for fault in faults:
        rows = affected_of(fault)
        parts.append(el("h3", f"after {fault.life.name}"))
        parts.append(
            sheet.chart(
                waterfall(rows, predicted[fault.life.id]),
                label=f"recovery from {fault.life.name}",
            )
        )
        parts.append(_recovery_table(fault))
    return el("section", *parts, id="recovery")


def _recovery_table(fault: FaultMeasured) -> Html:
    rows: list[Sequence[Child]] = []
    affected = affected_of(fault)
    for city in dict.fromkeys(row.client.city for row in affected):
        rows.append([city])
        rows += [recovery_cells(row) for row in affected if row.client.city == city]
    reasons = [
        el("p", f"{client_name(row.client)}: {row.state.replace('_', ' ')}, {row.reason}")
        for row in affected
        if row.reason
    ]
    return join([table(("", "recovery", *part_headings(), "bound"), rows, "lrrrrrrrr"), *reasons])


def outcomes(sheet: Sheet) -> Html | None:
    """What became of requests and of the connections that were open."""
    faults = [fault for fault in sheet.measured.faults if affected_of(fault)]
    if not faults:
        return None
    parts: list[Child] = [el("h2", "What became of requests and connections")]
    headings = ("", "outage", "requests lost", "open connections", "after heal")
    for fault in faults:
        affected = affected_of(fault)
        rows: list[Sequence[Child]] = []
        for city in dict.fromkeys(row.client.city for row in affected):
            rows.append([city])
            rows += [
                [lines(cell) for cell in loss_cells(row)]
                for row in affected
                if row.client.city == city
            ]
        parts.append(el("h3", f"after {fault.life.name}"))
        parts.append(table(headings, rows, "lrlll"))
    return el("section", *parts, id="outcomes")
