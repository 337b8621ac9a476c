"""The report of a sweep for people: each value's verdicts, then all values in one table."""

from __future__ import annotations

import math
from pathlib import Path

from rich.console import Console
from rich.text import Text

from emulator.analysis.figures import show_figure
from emulator.analysis.sweep import Line, Sweep, Trade, Tried, trade
from emulator.analysis.words import kind_name, listed, plural
from emulator.analysis.writes import runs_sentence
from emulator.report.layout import fitted, indented, paragraph, table_of, verdict_line
from emulator.report.repeated import doubt_of, lateness_of

_SHARES = (0.0, 0.5, 0.9, 1.0)
_HEADINGS = (
    "runs", "recovery\nmin", "\nmedian", "\np90", "\nmax",
    "predicted\nmedian", "\np90", "\nmax", "requests\nlost", "DNS\nqueries",
)  # fmt: skip
_NONE = "-"


def render_sweep(sweep: Sweep, console: Console) -> None:
    """Print every value's verdicts and the table of them all, 100 columns wide at most where the
    console is a terminal."""
    for one in sweep.tried:
        _value(sweep, one, console)
    _table(sweep, trade(sweep), console)
    console.print(Text(f"runs: {sweep.directory}"), soft_wrap=True)


def _value(sweep: Sweep, one: Tried, console: Console) -> None:
    """The usual report, shortened to what was promised."""
    width = fitted(console)
    where = Path(one.directory).name
    head = f"{sweep.setting} = {one.value}, {plural(len(one.results), 'run')}: {where}"
    console.print(Text(head, style="bold"), soft_wrap=True)
    if one.error:
        paragraph(console, f"could not be run: {one.error}", width, "red", indent=2)
    if doubt := doubt_of(one.together):
        paragraph(console, f"inconclusive: {doubt}", width, "yellow", indent=2)
    if late := lateness_of(one.together):
        paragraph(console, f"late: {late}", width, "yellow", indent=2)
    for verdict in one.together.verdicts:
        verdict_line(verdict, console, width)
    console.print()


def _table(sweep: Sweep, found: Trade, console: Console) -> None:
    if found.fault:
        where = f" of {listed(found.cities)}" if found.cities else ""
        whose = f"{kind_name(found.kind)}{where}"
        console.print(Text(f"recovery from {found.fault}: {whose}"), soft_wrap=True)
    key = sweep.setting.rpartition(".")[2]  # the whole path may take more than the table has room
    table = table_of(key, *_HEADINGS, right=tuple(range(1, 11)), gap=1)
    for line in found.lines:
        table.add_row(*_cells(line))
    indented(console, table)
    for line in found.lines:
        if line.writes:
            told = f"{key} {line.value}: {runs_sentence(line.writes)}"
            paragraph(console, told, fitted(console), indent=2)
    told = "DNS queries: at the name servers for the service's name, in a second, of all resolvers"
    paragraph(console, told, fitted(console), indent=2)


def _cells(line: Line) -> list[str]:
    runs = str(line.runs) if line.clear == line.runs else f"{line.clear} of {line.runs}"
    lost = _NONE if line.lost is None else f"{line.lost:.2%}"
    asked = line.queries_per_s
    return [
        line.value,
        runs,
        *(_seconds(line.measured(share)) for share in _SHARES),
        *(_seconds(line.foreseen(share)) for share in _SHARES[1:]),
        lost,
        _NONE if asked is None else show_figure("dns_queries_per_s", asked),
    ]


def _seconds(value: float | None) -> str:
    if value is None:
        return _NONE
    return "never" if math.isinf(value) else f"{value:.2f} s"
