"""The section about many runs: how recovery was distributed, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

from emulator.analysis.repeated import Distribution
from emulator.analysis.words import kind_name, plural
from emulator.report.page.markup import Child, Html, el, join, table
from emulator.report.page.palette import (
    KINDS,
    MUTED,
)
from emulator.report.page.recoveries import (
    distribution_figure,
)
from emulator.report.page.sheet import Key, Sheet, legend


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
