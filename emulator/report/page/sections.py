"""The body of the page, section by section."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import chain

from emulator.analysis.measurements import PARTS, FaultMeasured
from emulator.analysis.moments import moments
from emulator.analysis.repeated import Distribution
from emulator.analysis.timeline import Client
from emulator.analysis.words import client_name, kind_name, listed, plural
from emulator.report.cells import loss_cells, part_headings, recovery_cells, round_trips
from emulator.report.graph_svg import graph_svg_of_run
from emulator.report.page.lanes import health_lanes
from emulator.report.page.marks import choose, failure_of
from emulator.report.page.markup import Child, Html, el, join, lines, table
from emulator.report.page.palette import (
    BOUND,
    DOWN,
    FAILURES,
    FAULT,
    INK,
    KINDS,
    MUTED,
    PERIODS,
    PREDICTED_CORE,
    UNKNOWN,
    UP,
)
from emulator.report.page.palette import (
    PARTS as PART_COLOURS,
)
from emulator.report.page.recoveries import (
    affected_of,
    distribution_figure,
    predictions,
    waterfall,
)
from emulator.report.page.sheet import Key, Sheet, legend
from emulator.report.page.timeline import Scene, city_figure
from emulator.report.page.traffic import (
    Responses,
    response_figure,
    responses,
    told_ms,
    wire_figure,
    wire_senders,
)
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
        parts.append(_timeline_legend(sheet, scene))
        for city in dict.fromkeys(client.city for client in marks.shown):
            parts.append(el("h3", city))
            parts.append(sheet.chart(city_figure(scene, city), label=f"timeline of {city}"))
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


def runs(sheet: Sheet) -> Html | None:
    """Recovery over many runs, each with its fault at another phase."""
    repeated = sheet.repeated
    if repeated is None:
        return None
    groups: dict[tuple[str, str], list[Distribution]] = {}
    for one in repeated.distributions:
        if one.unaffected < one.runs or one.unclear:
            groups.setdefault((one.fault, one.client.city), []).append(one)
    parts: list[Child] = [
        el("h2", f"Over {plural(len(repeated.results), 'run')}"),
        el(
            "p",
            "How many of the runs had recovered after how long: each run had its fault at another"
            " phase of health checks and TTL. Dashed: as predicted.",
            class_="lead",
        ),
    ]
    kinds = dict.fromkeys(one.client.kind for group in groups.values() for one in group)
    parts.append(legend(Key(kind_name(kind), KINDS.get(kind, MUTED)) for kind in kinds))
    for (fault, city), group in groups.items():
        parts.append(el("h3", f"{city}, after {fault}"))
        if any(one.seconds or one.predicted for one in group):
            parts.append(
                sheet.chart(distribution_figure(group), label=f"recovery of {city} over runs")
            )
        parts.append(_distribution_table(sheet, group))
    return el("section", *parts, id="runs")


def _distribution_table(sheet: Sheet, group: Sequence[Distribution]) -> Html:
    bounds = {
        (f"{f.life.name}", r.client): r.bound_s for f in sheet.measured.faults for r in f.rows
    }
    rows = [
        (
            kind_name(one.client.kind),
            *(_share(one, share) for share in (0.0, 0.5, 0.9, 1.0)),
            _seconds(bounds.get((one.fault, one.client))),
            _seconds(one.predicted[-1] if one.predicted else None),
            str(one.runs),
            _apart(one),
        )
        for one in group
    ]
    headings = ("", "min", "median", "p90", "max", "bound", "predicted max", "runs", "of them")
    told = [el("p", _confidence(one), class_="small") for one in group if one.runs]
    return join([table(headings, rows, "lrrrrrrrl"), *told])


def _share(one: Distribution, share: float) -> str:
    if not one.runs:
        return "-"
    value = one.quantile(share)
    return "never" if value == float("inf") else f"{value:.2f} s"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _apart(one: Distribution) -> str:
    told = [
        (one.unaffected, "not affected"), (one.never, "never recovered"), (one.unclear, "unclear"),
    ]  # fmt: skip
    return ", ".join(f"{count} {words}" for count, words in told if count) or "-"


def _confidence(one: Distribution) -> str:
    name = kind_name(one.client.kind)
    if one.never:
        return f"{name}: {one.never} of {plural(one.runs, 'run')} never recovered."
    return (
        f"{name}: with 95 % confidence, at least {one.covered():.0%} of all such faults recover"
        f" within {one.seconds[-1]:.2f} s, the slowest of {plural(one.runs, 'run')}."
    )


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
    for city in dict.fromkeys(client.city for client in told):
        own = {client: periods for client, periods in told.items() if client.city == city}
        parts.append(el("h3", city))
        if any(one.count for periods in own.values() for one in periods.values()):
            parts.append(sheet.chart(response_figure(own), label=f"response times of {city}"))
        parts.append(_response_table(own))
    parts.append(paths)
    return el("section", *parts, id="times")


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
    rows = [
        (f"{a} .. {b}", f"{meant:.1f} ms", "-" if seen is None else f"{seen:.1f} ms", because[a, b])
        for (a, b), (meant, seen) in rtts.items()
        if a < b
    ]
    return join([
        el("h3", "Round trips of the paths"),
        table(("path", "set", "measured", "one way, because"), rows, "lrrl"),
    ])  # fmt: skip


def wire(sheet: Sheet) -> Html | None:
    """TCP as the WAN saw it, and whether the clients tell the same."""
    picture = wire_figure(sheet.history, sheet.senders)
    said = [el("p", _on_the_wire(fault)) for fault in sheet.measured.faults]
    agreed = sheet.measured.agreement
    if agreed.syn.count:
        said.append(el("p", _agreement(sheet)))
    if picture is None and not agreed.syn.count:
        return None
    parts: list[Child] = [el("h2", "On the wire"), *said]
    if picture is not None:
        senders = wire_senders(sheet.history)
        parts.append(legend(Key(f"sent by {s}", sheet.senders.get(s, MUTED)) for s in senders))
        parts.append(sheet.chart(picture, label="segments a second by sender"))
    return el("section", *parts, id="wire")


def _on_the_wire(fault: FaultMeasured) -> str:
    told, life = fault.wire, fault.life
    silent = sum(row.fates.get("silent", 0) for row in fault.rows)
    return (
        f"{life.name}: {told.target_resets} RST and {told.target_fins} FIN from"
        f" {listed(life.senders)}; {plural(silent, 'open connection')} fell silent;"
        f" {told.syns_again} SYN and {plural(told.data_again, 'data segment')} were sent again."
    )


def _agreement(sheet: Sheet) -> str:
    agreed = sheet.measured.agreement
    return (
        f"Clients and wire agree on {agreed.syn.count:,} handshakes: SYN within"
        f" {agreed.syn.p99_ms:.2f} ms and SYN-ACK within {agreed.synack.p99_ms:.2f} ms at p99"
        f" (at most {max(agreed.syn.max_ms, agreed.synack.max_ms):.2f} ms);"
        f" {agreed.unmatched_client + agreed.unmatched_wire} are without a counterpart."
    )


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


def setup(sheet: Sheet) -> Html:
    """The lab, and everything that it takes to run this again."""
    run = sheet.history.run
    if run is None:
        said = "The history has no header: the lab and its settings are not known."
        return el("section", el("h2", "Setup"), el("p", said), id="setup")
    facts: list[tuple[str, Child]] = [
        ("run again with", el("code", run.command)),
        ("seed", str(run.seed)),
        *((f"phase of {name}", f"{value:.3f} s") for name, value in run.phase.items()),
        ("scenario", run.scenario or "-"),
        ("begun", run.wall),
        ("requests/s a city", ", ".join(f"{kind} {rate:g}" for kind, rate in run.rates.items())),
        *((name.replace("_", " "), value) for name, value in run.environment.items()),
    ]
    if run.expect:
        facts.append(("expected", json.dumps(run.expect)))
    if sheet.directory:
        facts.append(("history", el("code", sheet.directory)))
    told = join(join([el("dt", name), el("dd", value)]) for name, value in facts)
    picture = el("div", Html(graph_svg_of_run(run)), class_="picture")
    columns = el("div", picture, el("dl", told, class_="facts"), class_="columns")
    return el("section", el("h2", "Setup"), columns, id="setup")
