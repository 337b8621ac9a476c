"""The report of a run for people: what happened, how long it took, why."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from emulator.analysis.explain import explain
from emulator.analysis.lateness import lateness
from emulator.analysis.measurements import FaultMeasured, Measurements
from emulator.analysis.moments import moments
from emulator.analysis.timeline import History
from emulator.analysis.verdict import verdicts
from emulator.analysis.words import client_name, flow_log_words, listed, plural
from emulator.analysis.writes import writes_sentence
from emulator.report.cells import (
    agreement_line,
    city_rows,
    disagreement_rows,
    loss_cells,
    part_headings,
    path_rows,
    recovery_cells,
)
from emulator.report.layout import WIDTH, fitted, indented, paragraph, table_of, verdict_line
from emulator.report.own import own_tables
from emulator.report.strip import legend, strip_lines
from emulator.report.views import FIGURES, HEADINGS, WIRE_HEADINGS, sights, view_rows, wire_rows


def render_report(
    measured: Measurements, history: History, console: Console, saved: str = ""
) -> None:
    """Print the whole report, 100 columns wide at most where the console is a terminal.

    `saved` is where the history lies, for the last line.
    """
    width = fitted(console)
    _head(history, console)
    _moments(measured, history, console)
    _strips(measured, history, console, width)
    for fault in measured.faults:
        _recoveries(fault, console)
        _losses(fault, console)
    _sights(measured, history, console, width)
    _wire(measured, history, console)
    _own(history, console)
    for count in measured.writes:
        console.print()
        paragraph(console, f"Writes: {writes_sentence(count)}", width)
    for why in explain(measured, history):
        console.print()
        paragraph(console, f"Why: {why}", width)
    console.print()
    for reason in measured.inconclusive:
        paragraph(console, f"inconclusive: {reason}", width, style="yellow")
    if measured.late:
        paragraph(console, f"late: {lateness(measured)}", width, style="yellow")
    for verdict in verdicts(measured, history):
        # Why nothing may be claimed stands above already.
        shown = replace(verdict, reason="") if measured.inconclusive else verdict
        verdict_line(shown, console, width)
    if saved:
        console.print(Text(f"history: {saved}"), soft_wrap=True)


def _head(history: History, console: Console) -> None:
    """What the lab is, its paths as set and as measured, and where DNS sends each city."""
    run = history.run
    if run is None:
        console.print(Text("The history has no header: no paths, bounds or objectives are known."))
        return
    kinds = Counter(str(site["kind"]) for site in run.sites)
    named = [
        plural(kinds["region"], "region"),
        f"{kinds['client']} {'city' if kinds['client'] == 1 else 'cities'}",
        plural(kinds["dns"], "name server"),
    ]
    what = f"scenario {run.scenario}" if run.scenario else run.command
    console.print(Text(f"{run.lab}: {', '.join(named)}; {what}, {run.wall}"), soft_wrap=True)
    table = table_of("path", "rtt set", "measured", "city", "goes to", "because", right=(1, 2))
    paths, cities = path_rows(history), city_rows(history)
    for index in range(max(len(paths), len(cities))):
        left = paths[index] if index < len(paths) else ("", "", "")
        right = cities[index] if index < len(cities) else ("", "", "")
        table.add_row(*left, *right)
    indented(console, table)


def _moments(measured: Measurements, history: History, console: Console) -> None:
    console.print()
    for moment in moments(measured, history):
        line = f"{history.seconds(moment.t):7.1f} s  {moment.text}"
        console.print(Text(line), soft_wrap=True)


def _strips(measured: Measurements, history: History, console: Console, width: int) -> None:
    affected = [row.client for row in measured.rows() if row.state != "unaffected"]
    if not measured.faults:
        affected = history.clients()
    lines = strip_lines(history, affected, width)
    if not lines:
        return
    console.print()
    for name, letters in lines:
        console.print(Text(f"{name:<28}{letters}"), soft_wrap=True)
    if affected:
        paragraph(console, legend(history, width), width, indent=2)


def _recoveries(fault: FaultMeasured, console: Console) -> None:
    affected = [row for row in fault.rows if row.state != "unaffected"]
    if not affected:
        return
    console.print()
    console.print(Text(f"recovery from {fault.life.name}"))
    table = table_of("", "recovery", *part_headings(), "bound", right=tuple(range(1, 9)), gap=1)
    for city in dict.fromkeys(row.client.city for row in affected):
        table.add_row(city)
        for row in (row for row in affected if row.client.city == city):
            table.add_row(*recovery_cells(row))
    console.print(table)
    for row in (row for row in affected if row.reason):
        state = f"{row.state.replace('_', ' ')}: {row.reason}"
        paragraph(
            console, f"{client_name(row.client)}: {state}", min(console.width, WIDTH), indent=2
        )


def _losses(fault: FaultMeasured, console: Console) -> None:
    """What happened to the requests and to the connections that were open."""
    affected = [row for row in fault.rows if row.state != "unaffected"]
    if not affected:
        return
    console.print()
    table = table_of("what happened", "outage", "requests lost", "open connections", "after heal")
    for city in dict.fromkeys(row.client.city for row in affected):
        table.add_row(city)
        for row in (row for row in affected if row.client.city == city):
            table.add_row(*loss_cells(row))
    indented(console, table)


def _sights(measured: Measurements, history: History, console: Console, width: int) -> None:
    """What each that looked at a region saw of it."""
    for sight in sights(measured, history):
        console.print()
        console.print(Text(f"who saw what of {sight.title}"))
        table = table_of(*HEADINGS, right=FIGURES)
        for cells in view_rows(sight.seen):
            table.add_row(*cells)
        indented(console, table)
        if rows := wire_rows(sight.seen):
            console.print()
            table = table_of(*WIRE_HEADINGS)
            for path in rows:
                table.add_row(*path)
            indented(console, table)
        if sight.differ:
            paragraph(console, f"Views differ: {' '.join(sight.differ)}", width, indent=2)


def _wire(measured: Measurements, history: History, console: Console) -> None:
    width = min(console.width, WIDTH)
    for fault in measured.faults:
        wire, life = fault.wire, fault.life
        silent = sum(row.fates.get("silent", 0) for row in fault.rows)
        console.print()
        line = (
            f"On the wire, {life.name}: {wire.target_resets} RST, {wire.target_fins} FIN"
            f" from {listed(life.senders)}; {plural(silent, 'open connection')} fell silent;"
            f" {wire.syns_again} SYN and {plural(wire.data_again, 'data segment')} were sent again."
            f" {flow_log_words(fault.flows)}"
        )
        paragraph(console, line, width)
    if line := agreement_line(measured.agreement):
        paragraph(console, line, width)
    _disagreements(measured, history, console)
    if history.run and (engine := history.run.environment.get("wan")):
        console.print(f"Packets between sites were moved by: {engine}.")


def _own(history: History, console: Console) -> None:
    """Clients of the user's: how they ended, and figures of their own."""
    for headings, kinds, rows in own_tables(history):
        console.print()
        table = table_of(*headings, right=[n for n, kind in enumerate(kinds) if kind == "r"])
        for row in rows:
            table.add_row(*row)
        indented(console, table)


def _disagreements(measured: Measurements, history: History, console: Console) -> None:
    found = measured.agreement.disagreements
    if not found:
        return
    console.print()
    console.print(
        Text(f"Clients and wire contradict each other on {plural(len(found), 'connection')}")
    )
    table = table_of("count", "the client says", "and the wire", "the first", right=(0,))
    for cells in disagreement_rows(measured.agreement, history):
        table.add_row(*cells)
    indented(console, table)
