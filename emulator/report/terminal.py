"""The report of a run for people: what happened, how long it took, why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from textwrap import fill

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from emulator.analysis.explain import explain
from emulator.analysis.figures import show_figure
from emulator.analysis.measurements import FaultMeasured, Measurements
from emulator.analysis.moments import moments
from emulator.analysis.timeline import History
from emulator.analysis.verdict import Verdict, verdicts
from emulator.analysis.words import client_name, listed, plural
from emulator.report.cells import city_rows, loss_cells, part_headings, path_rows, recovery_cells
from emulator.report.strip import legend, strip_lines

WIDTH = 100
_COLOURS = {"passed": "green", "failed": "red", "inconclusive": "yellow"}


def render_report(
    measured: Measurements, history: History, console: Console, saved: str = ""
) -> None:
    """Print the whole report, 100 columns wide at most where the console is a terminal.

    `saved` is where the history lies, for the last line.
    """
    if not console.is_terminal:
        console.width = WIDTH
    width = min(console.width, WIDTH)
    _head(history, console)
    _moments(measured, history, console)
    _strips(measured, history, console, width)
    for fault in measured.faults:
        _recoveries(fault, console)
        _losses(fault, console)
    _wire(measured, console)
    for paragraph in explain(measured, history):
        console.print()
        _words(console, f"Why: {paragraph}", width)
    console.print()
    for reason in measured.inconclusive:
        _words(console, f"inconclusive: {reason}", width, style="yellow")
    for verdict in verdicts(measured, history):
        _verdict(verdict, console, width, said=measured.inconclusive)
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
    table = _table("path", "rtt set", "measured", "city", "goes to", "because", right=(1, 2))
    paths, cities = path_rows(history), city_rows(history)
    for index in range(max(len(paths), len(cities))):
        left = paths[index] if index < len(paths) else ("", "", "")
        right = cities[index] if index < len(cities) else ("", "", "")
        table.add_row(*left, *right)
    _indented(console, table)


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
        _words(console, legend(history, width), width, indent=2)


def _recoveries(fault: FaultMeasured, console: Console) -> None:
    affected = [row for row in fault.rows if row.state != "unaffected"]
    if not affected:
        return
    console.print()
    console.print(Text(f"recovery from {fault.life.name}"))
    table = _table("", "recovery", *part_headings(), "bound", right=tuple(range(1, 9)), gap=1)
    for city in dict.fromkeys(row.client.city for row in affected):
        table.add_row(city)
        for row in (row for row in affected if row.client.city == city):
            table.add_row(*recovery_cells(row))
    console.print(table)
    for row in (row for row in affected if row.reason):
        state = f"{row.state.replace('_', ' ')}: {row.reason}"
        _words(console, f"{client_name(row.client)}: {state}", min(console.width, WIDTH), indent=2)


def _losses(fault: FaultMeasured, console: Console) -> None:
    """What happened to the requests and to the connections that were open."""
    affected = [row for row in fault.rows if row.state != "unaffected"]
    if not affected:
        return
    console.print()
    table = _table("what happened", "outage", "requests lost", "open connections", "after heal")
    for city in dict.fromkeys(row.client.city for row in affected):
        table.add_row(city)
        for row in (row for row in affected if row.client.city == city):
            table.add_row(*loss_cells(row))
    _indented(console, table)


def _wire(measured: Measurements, console: Console) -> None:
    width = min(console.width, WIDTH)
    for fault in measured.faults:
        wire, life = fault.wire, fault.life
        silent = sum(row.fates.get("silent", 0) for row in fault.rows)
        console.print()
        line = (
            f"On the wire, {life.name}: {wire.target_resets} RST, {wire.target_fins} FIN"
            f" from {listed(life.senders)}; {plural(silent, 'open connection')} fell silent;"
            f" {wire.syns_again} SYN and {plural(wire.data_again, 'data segment')} were sent again."
        )
        _words(console, line, width)
    agreed = measured.agreement
    if agreed.syn.count:
        line = (
            f"Clients and wire agree on {plural(agreed.syn.count, 'handshake')}: SYN within"
            f" {agreed.syn.p99_ms:.2f} ms, SYN-ACK within {agreed.synack.p99_ms:.2f} ms at p99"
            f" (at most {max(agreed.syn.max_ms, agreed.synack.max_ms):.2f} ms)"
            f"; {agreed.unmatched_client + agreed.unmatched_wire} without a counterpart."
        )
        _words(console, line, width)


def _verdict(verdict: Verdict, console: Console, width: int, said: Sequence[str]) -> None:
    style = _COLOURS[verdict.outcome]
    known = verdict.measured is not None
    figure = f" ({show_figure(verdict.figure, verdict.measured or 0.0)})" if known else ""
    reason = f": {verdict.reason}" if verdict.reason and not said else ""
    _words(console, f"{verdict.outcome}: {verdict.text}{figure}{reason}", width, style)


def _table(*headings: str, right: Sequence[int] = (), gap: int = 2) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="bold")
    for index, heading in enumerate(headings):
        table.add_column(
            heading,
            justify="right" if index in right else "left",
            no_wrap=index in right or index == 0,
        )
    return table


def _indented(console: Console, table: Table) -> None:
    console.print(Padding(table, (0, 0, 0, 2), expand=False))


def _words(console: Console, text: str, width: int, style: str = "", indent: int = 0) -> None:
    """A paragraph, wrapped at words."""
    left = " " * indent
    wrapped = fill(text, width, initial_indent=left, subsequent_indent=left, break_on_hyphens=False)
    console.print(Text(wrapped, style=style), soft_wrap=True)
