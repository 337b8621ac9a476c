"""Objectives, promises and waits held against what was measured: passed, failed, inconclusive.

What nobody can tell may be anything: it decides nothing as long as its best and its worst lead to
the same verdict, and makes the verdict inconclusive where they do not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from emulator.analysis.figures import (
    COUNTS,
    QUERIES,
    Reading,
    Value,
    holds,
    is_of_requests,
    objectives_of,
    pooled,
    predicted_values,
    quantile,
    read_queries,
    read_requests,
    row_values,
    share_of,
    show_figure,
    speaks_of,
)
from emulator.analysis.measurements import Measurements
from emulator.analysis.periods import intervals
from emulator.analysis.series import Columns, Sample, columns_of
from emulator.analysis.steady import expectation_of, kept, steady_state_of
from emulator.analysis.timeline import History
from emulator.clock import NS_PER_S
from emulator.errors import Exit
from emulator.events import Wait
from emulator.scenario.model import Expectation, Objective

__all__ = ["Basis", "Outcome", "Verdict", "decide_values", "exit_code", "objectives_of", "verdicts"]

Outcome = Literal["passed", "failed", "inconclusive"]
_NEVER = "recovery_s"  # one that never recovered misses any bound, whatever the statistic


@dataclass(frozen=True, slots=True)
class Basis:
    """What an objective was decided on, so that runs can be taken together."""

    objective: Objective
    bound: float
    values: tuple[Value, ...] = ()  # of a statistic; (): the figure is of the run as a whole


@dataclass(frozen=True, slots=True)
class Verdict:
    """One objective, promise or wait, decided. `measured` is in the figure's unit, None where
    there is no number."""

    text: str
    figure: str  # see scenario/objectives.py; "steady_s", "wait_s"
    outcome: Outcome
    measured: float | None = None
    reason: str = ""
    basis: Basis | None = None  # None: no objective


def verdicts(measured: Measurements, history: History) -> tuple[Verdict, ...]:
    """The verdicts on a run: its objectives, its promise about the steady state, its waits."""
    if history.run is None:
        return ()
    objectives = objectives_of(history.run.objectives)
    promised = expectation_of(history.run)
    needed = promised or any(is_of_requests(objective) for objective in objectives)
    columns = columns_of(history) if needed else {}
    decided = [_decide(measured, history, columns, objective) for objective in objectives]
    return tuple(
        _doubted(verdict, measured)
        for verdict in (*decided, *_promise(history, promised, columns), *map(_wait, history.waits))
    )


def exit_code(measured: Measurements, decided: Sequence[Verdict]) -> Exit:
    """What a run ends in: a missed objective first, then a run that proves nothing."""
    outcomes = {verdict.outcome for verdict in decided}
    if "failed" in outcomes:
        return Exit.MISSED
    if "inconclusive" in outcomes or measured.inconclusive:
        return Exit.INCONCLUSIVE
    return Exit.PASSED


def _doubted(verdict: Verdict, measured: Measurements) -> Verdict:
    """Of a run from which nothing may be claimed, not even a miss is; its values are unclear. A
    prediction is not of the run."""
    basis = verdict.basis
    if not measured.inconclusive or (basis and basis.objective.is_predicted):
        return verdict
    reason = "; ".join(measured.inconclusive)
    if basis:
        basis = replace(basis, values=tuple(Value(None) for _ in basis.values))
    return replace(verdict, outcome="inconclusive", reason=reason, basis=basis)


def _decide(
    measured: Measurements,
    history: History,
    columns: Columns,
    objective: Objective,
) -> Verdict:
    if objective.is_predicted:
        foreseen = pooled(objective, predicted_values(history, objective))
        if foreseen is None:
            return _unread(objective, "nothing is predicted for what it speaks of")
        return _judged(objective, objective.bound, foreseen)
    if is_of_requests(objective):
        spoken = [s for client, s in columns.items() if speaks_of(objective, client)]
        among = intervals(history, objective.period)
        reading = read_requests(objective, Sample.of(spoken, among))
        return _judged(objective, objective.bound, reading) if reading else _nothing(objective)
    if objective.figure == QUERIES:
        asked = read_queries(history, objective)
        return _judged(objective, objective.bound, asked) if asked else _nothing(objective)
    bound = _bound(history, objective)
    if bound is None:
        return _unread(objective, "nothing is predicted for what it speaks of")
    return decide_values(Basis(objective, bound, row_values(measured, history, objective)))


def _bound(history: History, objective: Objective) -> float | None:
    if not objective.bound_predicted:
        return objective.bound
    values = predicted_values(history, objective)
    numbers = sorted(v.number for v in values if v.number is not None)
    return quantile(numbers, share_of(objective.bound_predicted)) if numbers else None


def decide_values(basis: Basis) -> Verdict:
    """The verdict on a statistic of values, of one run or of many."""
    objective = basis.objective
    reading = pooled(objective, basis.values)
    if reading is None:
        return _nothing(objective)
    verdict = _judged(objective, basis.bound, reading)
    if objective.figure == _NEVER and any(v.number == math.inf for v in basis.values):
        verdict = replace(verdict, outcome="failed")
    if objective.bound_predicted:
        said = f"predicted is {show_figure(objective.figure, basis.bound)}"
        verdict = replace(verdict, reason="; ".join(filter(None, (said, verdict.reason))))
    # Counts hold in every run or not at all: there is nothing to take together.
    return verdict if objective.figure in COUNTS else replace(verdict, basis=basis)


def _judged(objective: Objective, bound: float, reading: Reading) -> Verdict:
    outcome = _outcome(objective, bound, reading)
    finite = reading.measured is not None and math.isfinite(reading.measured)
    shown = reading.measured if finite else None
    basis = Basis(objective, bound)
    return Verdict(objective.text, objective.figure, outcome, shown, reading.because, basis)


def _outcome(objective: Objective, bound: float, reading: Reading) -> Outcome:
    low, high = reading.lowest, reading.highest
    if objective.comparison == "==" and low <= bound <= high and low != high:
        return "inconclusive"
    best, worst = (holds(objective.comparison, value, bound) for value in (low, high))
    if best != worst:
        return "inconclusive"
    return "passed" if best else "failed"


def _promise(
    history: History, expected: Expectation | None, columns: Columns
) -> tuple[Verdict, ...]:
    if history.run is None or expected is None:
        return ()
    within = f" within {expected.within_s:g} s" if expected.kind == "recovery" else ""
    seen = kept(history, steady_state_of(history.run), expected, columns)
    text = f"expect {expected.kind}{within}"
    return (Verdict(text, "steady_s", seen.outcome, seen.steady_s, seen.reason),)


def _wait(wait: Wait) -> Verdict:
    text = f"wait_until {wait.text} within {wait.within_s:g} s"
    if wait.met:
        return Verdict(text, "wait_s", "passed", (wait.t - wait.began) / NS_PER_S)
    reason = "not met, so the steps after it were not taken"
    return Verdict(
        text, "wait_s", "failed", reason=f"{reason}: {wait.detail}" if wait.detail else reason
    )


def _unread(objective: Objective, reason: str) -> Verdict:
    basis = Basis(objective, objective.bound)
    return Verdict(objective.text, objective.figure, "inconclusive", None, reason, basis)


def _nothing(objective: Objective) -> Verdict:
    if objective.figure == "reversion_s":
        return _unread(objective, "nothing was healed that a client had left")
    if is_of_requests(objective):
        when = "" if objective.period.kind == "run" else " in its period"
        return _unread(objective, f"no request{when} is what it speaks of")
    return _unread(objective, "no client of the run is what it speaks of, or no fault took effect")
