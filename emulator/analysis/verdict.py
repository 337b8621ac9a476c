"""Objectives held against what was measured."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from emulator.analysis.measurements import Measurements, Row
from emulator.analysis.words import client_name
from emulator.errors import Exit
from emulator.scenario.model import Objective, Period

Outcome = Literal["passed", "failed", "inconclusive"]
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
}
_COUNTS = ("requests_lost", "resets")
_SHARES = {"p100": 1.0, "p99": 0.99, "p50": 0.5}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One objective, decided. `figure` is what was measured, None where there is no number."""

    objective: Objective
    outcome: Outcome
    figure: float | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Figure:
    """One row's value: a number, infinite when it never happened, None when nobody can tell."""

    value: float | None
    because: str = ""


def objectives_of(entries: Sequence[dict[str, Any]]) -> tuple[Objective, ...]:
    """The objectives in a run's header."""
    return tuple(
        Objective(**{**entry, "period": Period(**entry.get("period", {}))}) for entry in entries
    )


def verdicts(measured: Measurements, objectives: Sequence[Objective]) -> tuple[Verdict, ...]:
    """Each objective: passed, failed or inconclusive, over the rows it speaks of."""
    return tuple(_decide(measured, objective) for objective in objectives)


def exit_code(measured: Measurements, decided: Sequence[Verdict]) -> Exit:
    """What a run ends in: a missed objective first, then a run that proves nothing."""
    outcomes = {verdict.outcome for verdict in decided}
    if "failed" in outcomes:
        return Exit.MISSED
    if "inconclusive" in outcomes or measured.inconclusive:
        return Exit.INCONCLUSIVE
    return Exit.PASSED


def _decide(measured: Measurements, objective: Objective) -> Verdict:
    figures = _figures(measured, objective)
    known = [f.value for f in figures if f.value is not None]
    figure = _statistic(known, objective) if known else None
    shown = figure if figure is not None and math.isfinite(figure) else None
    because = "; ".join(f.because for f in figures if f.because)
    if measured.inconclusive:
        return Verdict(objective, "inconclusive", shown, "; ".join(measured.inconclusive))
    if not figures:
        return Verdict(objective, "inconclusive", None, _nothing(objective))
    # What nobody can tell may be anything between the best and the worst: it decides nothing
    # as long as both lead to the same verdict.
    best, worst = (
        _holds(objective, [f.value if f.value is not None else guess for f in figures])
        for guess in (0.0, math.inf)
    )
    if best != worst:
        return Verdict(objective, "inconclusive", shown, because)
    never = any(f.value == math.inf for f in figures) and objective.figure == "recovery_s"
    passed = best and not never
    return Verdict(objective, "passed" if passed else "failed", shown, because)


def _holds(objective: Objective, values: Sequence[float]) -> bool:
    compare = _COMPARE[objective.comparison]
    return compare(_statistic(values, objective), objective.bound)


def _statistic(values: Sequence[float], objective: Objective) -> float:
    """The value that the statistic's share of all values does not exceed; counts add up."""
    if objective.figure in _COUNTS:
        return sum(values)
    ordered = sorted(values)
    share = _SHARES.get(objective.statistic, 1.0)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _figures(measured: Measurements, objective: Objective) -> list[_Figure]:
    if objective.figure == "availability":
        return _availability(measured, objective)
    rows = [row for row in measured.rows() if _speaks_of(objective, row.client)]
    figures = [_ROW_FIGURES[objective.figure](row) for row in rows]
    return [figure for figure in figures if figure is not None]


def _speaks_of(objective: Objective, client: tuple[str, str]) -> bool:
    city, kind = client
    return objective.city in (None, city) and objective.client in (None, kind)


def _availability(measured: Measurements, objective: Objective) -> list[_Figure]:
    counts = [
        pair for client, pair in measured.availability.items() if _speaks_of(objective, client)
    ]
    ok, failed = sum(c[0] for c in counts), sum(c[1] for c in counts)
    return [_Figure(ok / (ok + failed))] if ok + failed else []


def _recovery(row: Row) -> _Figure:
    if row.state == "unaffected":
        return _Figure(0.0)
    if row.state == "not_recovered":
        return _Figure(math.inf, f"{client_name(row.client)}: not recovered, {row.reason}")
    if row.state == "inconclusive":
        return _Figure(None, f"{client_name(row.client)}: {row.reason}")
    return _Figure(row.recovery_s)


def _reversion(row: Row) -> _Figure | None:
    if row.reversion is None:
        return None
    if not row.reversion.region:
        return _Figure(None, f"{client_name(row.client)}: the history ends too soon after the heal")
    if row.reversion.seconds is None:
        return _Figure(math.inf, f"{client_name(row.client)}: stays on {row.reversion.region}")
    return _Figure(row.reversion.seconds)


def _counted(row: Row, value: float) -> _Figure:
    """A count is only known where the row's requests are."""
    if row.state == "inconclusive":
        return _Figure(None, f"{client_name(row.client)}: {row.reason}")
    return _Figure(value)


_ROW_FIGURES: dict[str, Callable[[Row], _Figure | None]] = {
    "recovery_s": _recovery,
    "reversion_s": _reversion,
    "outage_s": lambda row: _counted(row, row.outage_s),
    "requests_lost": lambda row: _counted(row, row.requests_lost),
    "resets": lambda row: _counted(row, row.reset),
}


def _nothing(objective: Objective) -> str:
    if objective.figure == "reversion_s":
        return "nothing was healed that a client had left"
    return "no client of the run is what it speaks of, or no fault took effect"
