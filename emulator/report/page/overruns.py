"""The section about many runs: how recovery was distributed, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence

from emulator.analysis.figures import show_figure
from emulator.analysis.repeated import Distribution, Repeated, RunResult
from emulator.analysis.verdict import exit_code
from emulator.analysis.words import kind_name, plural
from emulator.errors import Exit
from emulator.report.page.markup import Child, Html, el, table
from emulator.report.page.palette import (
    KINDS,
    MUTED,
)
from emulator.report.page.recoveries import (
    distribution_figure,
)
from emulator.report.page.sheet import Key, Sheet, legend
from emulator.report.repeated import covered_sentence


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
        parts.append(_distribution_table(group))
        parts.append(el("p", _upper(f"{covered_sentence(group)}.")))
    parts.append(_each_run(repeated))
    return el("section", *parts, id="runs")


def _distribution_table(group: Sequence[Distribution]) -> Html:
    rows = [
        (
            kind_name(one.client.kind),
            *(_share(one, share) for share in (0.0, 0.5, 0.9, 1.0)),
            _seconds(one.bound_s),
            _seconds(one.predicted[-1] if one.predicted else None),
            str(one.runs),
            _apart(one),
        )
        for one in group
    ]
    headings = ("", "min", "median", "p90", "max", "bound", "predicted max", "runs", "of them")
    return table(headings, rows, "lrrrrrrrl")


def _share(one: Distribution, share: float) -> str:
    return show_figure("recovery_s", one.quantile(share)) if one.runs else "-"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _apart(one: Distribution) -> str:
    told = [
        (one.unaffected, "not affected"), (one.never, "never recovered"), (one.unclear, "unclear"),
    ]  # fmt: skip
    return ", ".join(f"{count} {words}" for count, words in told if count) or "-"


def _each_run(repeated: Repeated) -> Html:
    """Every run with its phase, for those who look for the one that stands out."""
    rows = [
        (str(number), _slowest(one), _phase(one), _verdict(one), el("code", one.directory))
        for number, one in enumerate(repeated.results, 1)
    ]
    headings = ("run", "slowest recovery", "phase of the first fault", "verdict", "history")
    return el("details", el("summary", "every run"), table(headings, rows, "rrlll"))


def _slowest(one: RunResult) -> str:
    rows = one.measured.rows()
    if any(row.state == "not_recovered" for row in rows):
        return "never"
    took = [row.recovery_s for row in rows if row.recovery_s is not None]
    return f"{max(took):.2f} s" if took else "-"


def _phase(one: RunResult) -> str:
    phase = one.run.phase if one.run else {}
    return ", ".join(f"{name} {seconds:.2f} s" for name, seconds in phase.items()) or "-"


def _verdict(one: RunResult) -> str:
    code = exit_code(one.measured, one.verdicts)
    return {Exit.MISSED: "missed", Exit.INCONCLUSIVE: "inconclusive"}.get(code, "passed")


def _upper(text: str) -> str:
    return text[:1].upper() + text[1:]
