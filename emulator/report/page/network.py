"""The sections about the network: response times, round trips, segments on the wire."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from emulator.analysis.measurements import FaultMeasured
from emulator.analysis.timeline import Client
from emulator.analysis.words import flow_log_words, kind_name, listed, plural
from emulator.report.cells import agreement_line, connection_words, disagreement_rows, round_trips
from emulator.report.page.markup import Child, Html, el, join, table
from emulator.report.page.palette import (
    MUTED,
    PERIODS,
)
from emulator.report.page.sheet import Key, Sheet, legend
from emulator.report.page.traffic import (
    Responses,
    range_ms,
    response_figure,
    responses,
    told_ms,
    wire_figure,
    wire_senders,
)

_LISTED = 100  # connections


def response_times(sheet: Sheet) -> Html | None:
    """How long answers took before, during and after faults; round trips set and measured."""
    told = responses(sheet.history)
    paths = _paths(sheet)
    if not told and paths is None:
        return None
    parts: list[Child] = [el("h2", "Response times")]
    if told:
        parts.append(
            el(
                "p",
                "Of answered requests: the box holds the middle half, the whiskers 5 to 95 %.",
                class_="lead needs-charts",
            )
        )
        named = {"before": "before the fault", "during": "while it lasted", "after": "after it"}
        parts.append(legend(Key(named[name], PERIODS[name]) for name in PERIODS))
    scale_ms = range_ms(told.values())
    cities = {
        city: _city(sheet, {c: periods for c, periods in told.items() if c.city == city}, scale_ms)
        for city in dict.fromkeys(client.city for client in told)
    }
    parts += sheet.fold(cities)
    parts.append(paths)
    return el("section", *parts, id="times")


def _city(
    sheet: Sheet, own: dict[Client, dict[str, Responses]], scale_ms: tuple[float, float]
) -> Html:
    city = next(iter(own)).city
    chart = None
    if any(one.count for periods in own.values() for one in periods.values()):
        chart = sheet.chart(response_figure(own, scale_ms), label=f"response times of {city}")
    return join([el("h3", city), chart, _response_table(own)])


def _response_table(own: dict[Client, dict[str, Responses]]) -> Html:
    rows: list[Sequence[Child]] = []
    for client, periods in own.items():
        rows.append([kind_name(client.kind)])
        rows += [
            (name, f"{told.count:,}", f"{told.failed:,}", *told_ms(told))
            for name, told in periods.items()
        ]
    headings = ("", "answered", "failed", "median", "p95", "p99")
    return el("details", el("summary", "as a table"), table(headings, rows, "lrrrrr"))


def _paths(sheet: Sheet) -> Html | None:
    rtts = round_trips(sheet.history)
    run = sheet.history.run
    if not rtts or run is None:
        return None
    because = {(p["source"], p["target"]): str(p.get("because", "")) for p in run.paths}
    cities = {(city, region) for city, regions in run.preferred.items() for region in regions}

    def rows(pairs: Iterable[tuple[str, str]]) -> Html:
        cells = [
            (f"{a} .. {b}", f"{meant:.1f} ms", "-" if seen is None else f"{seen:.1f} ms", why)
            for a, b in pairs
            for meant, seen in [rtts[a, b]]
            for why in [because[a, b]]
        ]
        return table(("path", "set", "measured", "one way, because"), cells, "lrrl")

    own = [pair for pair in rtts if pair in cities]
    others = [(a, b) for a, b in rtts if a < b and not {(a, b), (b, a)} & cities]
    more = el("details", el("summary", "all other paths"), rows(others)) if others else None
    return join([el("h3", "Round trips, as set and as measured"), rows(own), more])


def wire(sheet: Sheet) -> Html | None:
    """TCP as the WAN saw it, and whether the clients tell the same."""
    picture = wire_figure(sheet.history, sheet.senders)
    said = [el("p", _on_the_wire(fault)) for fault in sheet.measured.faults]
    agreed = agreement_line(sheet.measured.agreement)
    if agreed:
        said.append(el("p", agreed))
    if picture is None and not agreed:
        return None
    parts: list[Child] = [el("h2", "On the wire"), *said]
    if picture is not None:
        senders = wire_senders(picture)
        parts.append(legend(Key(f"sent by {s}", sheet.senders.get(s, MUTED)) for s in senders))
        parts.append(sheet.chart(picture, label="segments a second by sender"))
    parts += _disagreements(sheet)
    return el("section", *parts, id="wire")


def _on_the_wire(fault: FaultMeasured) -> str:
    told, life = fault.wire, fault.life
    silent = sum(row.fates.get("silent", 0) for row in fault.rows)
    return (
        f"{life.name}: {told.target_resets} RST and {told.target_fins} FIN from"
        f" {listed(life.senders)}; {plural(silent, 'open connection')} fell silent;"
        f" {told.syns_again} SYN and {plural(told.data_again, 'data segment')} were sent again."
        f" {flow_log_words(fault.flows)}"
    )


def _disagreements(sheet: Sheet) -> list[Child]:
    """What one side says and the other does not, with every connection behind a line."""
    agreed = sheet.measured.agreement
    if not agreed.disagreements:
        return []
    count = len(agreed.disagreements)
    headings = ("count", "the client says", "and the wire", "the first")
    shown = agreed.disagreements[:_LISTED]
    each = [(connection_words(d, sheet.history), d.told, d.seen) for d in shown]
    summary = (
        f"every one of them ({len(shown)} of {count:,} shown)" if count > len(shown) else "each"
    )
    return [
        el("h3", f"Clients and wire contradict each other on {plural(count, 'connection')}"),
        table(headings, disagreement_rows(agreed, sheet.history), "rlll"),
        el(
            "details",
            el("summary", summary),
            table(("connection", "the client says", "and the wire"), each),
        ),
    ]
