"""Two sides of runs beside each other, for people and for programs.

`compare_json` returns, in seconds unless a name says otherwise; null: nobody can tell, or it does
not apply; in lists of recoveries null: never:

    schema        1; a change that breaks readers makes it 2
    a, b          name, scenario, runs, inconclusive[] (one reason for each run left out)
    outcome       worse | unclear | better | same: of all recoveries, the first of these that occurs
    changes[]     what was set differently: "www ttl 5 s -> 30 s"
    recoveries[]  fault, city, client,
                  a[], b[] (recoveries in order of size; 0: unaffected), median_a_s, median_b_s,
                  difference_s (of the medians, B less A),
                  shift (estimate_s, low_s, high_s: Hodges-Lehmann, 95 % interval),
                  outcome, because (in words),
                  evidence (test: rank-sum test of several runs, with p; phase: phase_noise_s, what
                  two random phases differ by at most, 95 % of the time; state: unaffected or never
                  on one side, or no difference; none: nobody can tell),
                  parts (detection_s, publish_s ...: how much longer each median is),
                  requests_lost, resets (a, b: medians of runs, p)
    clients[]     city, client, availability, p99_ms (a, b: medians of runs, p): over whole runs
    writes        writes_lost, rpo_s (a, b: medians of runs, p); null: a side that counted none
    unmatched[]   faults and clients that one side alone has
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from textwrap import fill
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from emulator.analysis.compare import (
    ClientFigures,
    Compared,
    Comparison,
    Outcome,
    Pair,
    Side,
    show_p,
)
from emulator.analysis.noise import median
from emulator.analysis.words import client_name, kind_name, listed, plural

SCHEMA = 1
WIDTH = 100
_COLOURS: dict[Outcome, str] = {"worse": "red", "better": "green", "unclear": "yellow", "same": ""}
_COUNTED: dict[Outcome, str] = {
    "worse": "worse",
    "better": "better",
    "same": "no more than noise",
    "unclear": "unclear",
}
_LONGEST = 8  # settings that are listed; more are counted


def compare_json(found: Comparison) -> dict[str, Any]:
    """The whole comparison as plain values; the module says what they mean."""
    return {
        "schema": SCHEMA,
        "a": _side(found.a),
        "b": _side(found.b),
        "outcome": found.outcome(),
        "changes": list(found.changes),
        "recoveries": [_recovery(row) for row in found.rows],
        "clients": [
            {
                "city": figures.client.city,
                "client": figures.client.kind,
                "availability": asdict(figures.availability),
                "p99_ms": asdict(figures.p99_ms),
            }
            for figures in found.clients
        ],
        "writes": asdict(found.writes) if found.writes else None,
        "unmatched": list(found.unmatched),
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "name": side.name,
        "scenario": side.runs[0].run.scenario or None,
        "runs": len(side.runs),
        "inconclusive": list(side.doubts),
    }


def _recovery(row: Compared) -> dict[str, Any]:
    moved = row.shift
    return {
        "fault": row.fault,
        "city": row.client.city,
        "client": row.client.kind,
        "a": [_finite(value) for value in row.a],
        "b": [_finite(value) for value in row.b],
        "median_a_s": _finite(median(row.a)) if row.a else None,
        "median_b_s": _finite(median(row.b)) if row.b else None,
        "difference_s": _finite(row.difference_s),
        "shift": moved and {"estimate_s": moved.estimate, "low_s": moved.low, "high_s": moved.high},
        "outcome": row.outcome,
        "evidence": row.evidence,
        "because": row.because,
        "p": row.p,
        "phase_noise_s": row.noise_s,
        "parts": dict(row.parts),
        "requests_lost": asdict(row.requests_lost),
        "resets": asdict(row.resets),
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def render_compare(found: Comparison, console: Console) -> None:
    """Print it: what each side is, what was set differently, each fault, what it comes to."""
    width = min(console.width, WIDTH)
    for letter, side in (("A", found.a), ("B", found.b)):
        _head(letter, side, console, width)
    _changes(found.changes, console, width)
    for fault in dict.fromkeys(row.fault for row in found.rows):
        _fault(fault, [row for row in found.rows if row.fault == fault], console, width)
    _noise(found.rows, console, width)
    _whole_runs(found.clients, console)
    if found.writes:
        lost, rpo = _counts(found.writes.writes_lost), _shown(found.writes.rpo_s, 1, " s", 2)
        _words(console, f"acknowledged writes lost: {lost}; rpo {rpo}", width)
    for line in found.unmatched:
        _words(console, line, width)
    _conclusion(found, console, width)


def _head(letter: str, side: Side, console: Console, width: int) -> None:
    scenario = side.runs[0].run.scenario or "a fault by hand"
    _words(console, f"{letter}: {side.name}, {plural(len(side.runs), 'run')} of {scenario}", width)
    for reason, count in Counter(side.doubts).items():
        left = "" if side.proves_nothing else ", left out"
        which = "" if len(side.runs) == 1 else f"{plural(count, 'run')} "
        _words(console, f"{which}inconclusive{left}: {reason}", width, "yellow", indent=3)


def _changes(changes: Sequence[str], console: Console, width: int) -> None:
    if not changes:
        _words(console, "nothing was set differently", width)
        return
    more = len(changes) - _LONGEST
    shown = [*changes[:_LONGEST], *([f"and {more} more (--json)"] if more > 0 else [])]
    _words(console, f"set differently: {'; '.join(shown)}", width)


def _fault(fault: str, rows: Sequence[Compared], console: Console, width: int) -> None:
    console.print()
    hit = [row for row in rows if any((*row.a, *row.b)) or not row.a or not row.b]
    if hit:
        console.print(Text(f"recovery from {fault}"))
        table = _table("", "A", "B", "difference", _noise_heading(hit), "", right=(1, 2, 3, 4))
        _by_city(table, hit, _recovery_cells)
        console.print(table)
        console.print()
        _by_city(lost := _table("", "most of it", "requests lost", "resets"), hit, _lost_cells)
        console.print(lost)
    spared = list(_spared(rows, hit))
    if spared:
        _words(console, f"unaffected by {fault} on both sides: {'; '.join(spared)}", width)


def _spared(rows: Sequence[Compared], hit: Sequence[Compared]) -> Iterator[str]:
    """Clients of no row in `hit`; a city whose clients all are is named alone."""
    for city in dict.fromkeys(row.client.city for row in rows):
        own = [row for row in rows if row.client.city == city]
        clients = [client_name(row.client) for row in own if row not in hit]
        yield from [city] if len(clients) == len(own) else clients


def _by_city(table: Table, rows: Sequence[Any], cells: Any) -> None:
    for city in dict.fromkeys(row.client.city for row in rows):
        table.add_row(city)
        for row in (row for row in rows if row.client.city == city):
            table.add_row(f"  {kind_name(row.client.kind)}", *cells(row))


def _recovery_cells(row: Compared) -> list[Text]:
    said: str = row.outcome if row.outcome != "same" or row.evidence == "state" else "within noise"
    said += f", {show_p(row.p)}" if row.p is not None else ""
    cells = [_middle(row.a), _middle(row.b), _difference(row), _noise_of(row)]
    return [*map(Text, cells), Text(said, style=_COLOURS[row.outcome])]


def _middle(values: Sequence[float]) -> str:
    if not values:
        return "unclear"
    return _seconds(median(values)) if median(values) else "unaffected"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if math.isfinite(value) else "never"


def _difference(row: Compared) -> str:
    """Of the medians; where the interval beside it is of a shift, that shift."""
    tested = row.shift if row.evidence == "test" else None
    difference = tested.estimate if tested else row.difference_s
    finite = difference is not None and math.isfinite(difference)
    return f"{difference:+.2f} s" if finite else "-"


def _noise_heading(rows: Sequence[Compared]) -> str:
    return "95 % interval" if any(row.evidence == "test" for row in rows) else "phase's noise"


def _noise_of(row: Compared) -> str:
    if row.evidence == "test" and row.shift is not None:
        return f"{row.shift.low:+.2f} to {row.shift.high:+.2f} s"
    return f"+-{row.noise_s:.2f} s" if row.noise_s is not None else "-"


def _most(row: Compared) -> str:
    """The part that changed most, the way the whole did."""
    sign = 1 if (row.difference_s or 0) >= 0 else -1
    name, change = max(row.parts.items(), key=lambda part: sign * part[1], default=("", 0.0))
    return f"{name.removesuffix('_s')} {change:+.2f} s" if sign * change >= 0.005 else "-"


def _lost_cells(row: Compared) -> list[str]:
    return [_most(row), _counts(row.requests_lost), _counts(row.resets)]


def _counts(pair: Pair) -> str:
    return f"{_count(pair.a)} -> {_count(pair.b)}{_chance(pair)}"


def _count(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"


def _chance(pair: Pair) -> str:
    return "" if pair.p is None or pair.a == pair.b else f" ({show_p(pair.p)})"


def _whole_runs(clients: Sequence[ClientFigures], console: Console) -> None:
    console.print()
    table = _table("over whole runs", "availability", "p99 of answered requests")
    _by_city(table, clients, _client_cells)
    console.print(table)


def _client_cells(figures: ClientFigures) -> list[str]:
    return [_shown(figures.availability, 100, " %", 2), _shown(figures.p99_ms, 1, " ms", 1)]


def _shown(pair: Pair, scale: float, unit: str, digits: int) -> str:
    old, new = (
        "?" if value is None else f"{value * scale:.{digits}f}{unit}" for value in (pair.a, pair.b)
    )
    return f"{old} -> {new}{_chance(pair) if old != new else ''}"


def _noise(rows: Sequence[Compared], console: Console, width: int) -> None:
    """What the columns rest on, and why nobody can tell where nobody can."""
    used = {row.evidence for row in rows}
    if "test" in used:
        _words(
            console,
            "p: the chance that runs alike differ so much (rank-sum test, each line by itself);"
            " more than noise: 0.05 or less.",
            width,
        )
    if "phase" in used:
        _words(
            console,
            "phase's noise: what two kills differ by, 95 % of the time, when they only meet health"
            " checks and caches at other phases, as predicted.",
            width,
        )
    for reason in dict.fromkeys(row.because for row in rows if row.outcome == "unclear"):
        _words(console, f"unclear: {reason}", width, "yellow")


def _conclusion(found: Comparison, console: Console, width: int) -> None:
    console.print()
    heads: dict[Outcome, str] = {"worse": "got worse", "better": "got better"}
    for outcome, words in heads.items():
        hit = [f"{client_name(r.client)} ({r.because})" for r in found.rows if r.outcome == outcome]
        if hit:
            _words(console, f"{words}: {'; '.join(hit)}", width, _COLOURS[outcome])
    counts = Counter(row.outcome for row in found.rows)
    told = [f"{counts[o]} {words}" for o, words in _COUNTED.items() if counts[o]]
    if told:
        _words(console, f"recoveries compared: {len(found.rows)}; {listed(told)}", width)


def _table(*headings: str, right: Sequence[int] = ()) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for index, heading in enumerate(headings):
        table.add_column(
            heading, justify="right" if index in right else "left", no_wrap=index in (*right, 0)
        )
    return table


def _words(console: Console, text: str, width: int, style: str = "", indent: int = 0) -> None:
    left = " " * indent
    wrapped = fill(text, width, initial_indent=left, subsequent_indent=left, break_on_hyphens=False)
    console.print(Text(wrapped, style=style), soft_wrap=True)
