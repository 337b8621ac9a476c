"""The report of many runs for people: how recoveries are spread, beside what was predicted."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from emulator.analysis.lateness import lateness
from emulator.analysis.repeated import Distribution, Repeated, quantile
from emulator.analysis.timeline import Client
from emulator.analysis.words import client_name, kind_name, listed, plural
from emulator.analysis.writes import runs_sentence, writes_of_runs
from emulator.report.layout import fitted, paragraph, table_of, verdict_line

_HEADINGS = (
    "", "\nruns", "measured\nmin", "\nmedian", "\np90", "\nmax",
    "predicted\nmedian", "\np90", "\nmax", "worst\nbound",
)  # fmt: skip
_CONFIDENCE = 0.95


def render_repeated(repeated: Repeated, console: Console, saved: str = "") -> None:
    """Print what all runs show together, 100 columns wide at most where the console is a terminal.

    `saved` is where the runs lie, for the last line.
    """
    width = fitted(console)
    for fault in dict.fromkeys(one.fault for one in repeated.distributions):
        _fault([d for d in repeated.distributions if d.fault == fault], repeated, console)
        console.print()
    if writes := writes_of_runs(result.measured for result in repeated.results):
        paragraph(console, runs_sentence(writes), width)
    if doubt := doubt_of(repeated):
        paragraph(console, f"inconclusive: {doubt}", width, style="yellow")
    if late := lateness_of(repeated):
        paragraph(console, f"late: {late}", width, style="yellow")
    for verdict in repeated.verdicts:
        verdict_line(verdict, console, width)
    if saved:
        console.print(Text(f"runs: {saved}"), soft_wrap=True)


def _fault(found: Sequence[Distribution], repeated: Repeated, console: Console) -> None:
    width = fitted(console)
    console.print(Text(f"recovery from {found[0].fault} in {plural(len(repeated.results), 'run')}"))
    affected = [d for d in found if d.unaffected < d.runs or not d.runs]
    table = table_of(*_HEADINGS, right=tuple(range(1, len(_HEADINGS))), gap=1)
    for city in dict.fromkeys(d.client.city for d in affected):
        table.add_row(city)
        for one in (d for d in affected if d.client.city == city):
            table.add_row(*_cells(one, len(repeated.results)))
    if affected:
        console.print(table)
    if calm := _names([d.client for d in found if d not in affected]):
        paragraph(console, f"unaffected in every run: {calm}", width, indent=2)
    if affected:
        paragraph(console, covered_sentence(affected), width, indent=2)


def _names(clients: Sequence[Client]) -> str:
    """`paris over http and udp; london over http`."""
    cities: dict[str, list[str]] = {}
    for city, kind in clients:
        cities.setdefault(city, []).append(kind)
    return "; ".join(f"{city} over {listed(kinds)}" for city, kinds in cities.items())


def _cells(one: Distribution, runs: int) -> list[str]:
    told = str(one.runs) if one.runs == runs else f"{one.runs} of {runs}"
    shares = (0.0, 0.5, 0.9, 1.0)
    measured = [_seconds(one.quantile(share)) if one.runs else "-" for share in shares]
    foreseen = [_seconds(quantile(one.predicted, s)) if one.predicted else "-" for s in shares[1:]]
    bound = _seconds(one.bound_s) if one.bound_s is not None else "-"
    return [f"  {kind_name(one.client.kind)}", told, *measured, *foreseen, bound]


def _seconds(value: float) -> str:
    return "never" if math.isinf(value) else f"{value:.2f} s"


def covered_sentence(found: Sequence[Distribution]) -> str:
    """What the runs prove of all kills: `with 95 % confidence at least 86 % of kills recover within
    9.31 s (the slowest of 20)`. A kill has recovered when all of its clients have."""
    fewest = min(found, key=lambda one: one.runs)
    if not fewest.runs:
        return f"no run tells how long {client_name(fewest.client)} takes"
    slowest = max(found, key=lambda one: one.quantile(1.0))
    if slowest.never:
        name = client_name(slowest.client)
        return f"{name} never recovered in {slowest.never} of {plural(slowest.runs, 'run')}"
    share = math.floor(100 * fewest.covered(_CONFIDENCE))
    return (
        f"with {_CONFIDENCE * 100:.0f} % confidence at least {share} % of kills recover within"
        f" {slowest.quantile(1.0):.2f} s (the slowest of {fewest.runs})"
    )


def doubt_of(repeated: Repeated) -> str:
    """From how many runs nothing may be claimed, and why not from the first of them."""
    doubts = [
        (number, result.measured.inconclusive)
        for number, result in enumerate(repeated.results, 1)
        if result.measured.inconclusive
    ]
    if not doubts:
        return ""
    number, reasons = doubts[0]
    count = f"{len(doubts)} of {plural(len(repeated.results), 'run')}"
    verb = "proves" if len(doubts) == 1 else "prove"
    return f"{count} {verb} nothing; run {number}: {'; '.join(reasons)}"


def lateness_of(repeated: Repeated) -> str:
    """In how many runs the machine was busy, and what the worst of them leaves open."""
    late = [
        (result.measured.off_by_s, number, result.measured)
        for number, result in enumerate(repeated.results, 1)
        if result.measured.late
    ]
    if not late:
        return ""
    _, number, worst = max(late, key=lambda one: one[0])
    count = f"{len(late)} of {plural(len(repeated.results), 'run')}"
    return f"{count} started requests late; run {number}: {lateness(worst)}"
