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
    WRITES,
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
from emulator.analysis.lateness import TOO_BUSY
from emulator.analysis.measurements import Measurements
from emulator.analysis.own_figures import exit_values
from emulator.analysis.periods import intervals
from emulator.analysis.series import Columns, Sample, columns_of, punctual_columns
from emulator.analysis.steady import Kept, expectation_of, kept, steady_state_of
from emulator.analysis.timeline import History
from emulator.analysis.words import command_text
from emulator.analysis.writes import write_values
from emulator.clock import NS_PER_S
from emulator.errors import Exit
from emulator.events import Command, Wait
from emulator.scenario.model import Expectation, Objective
from emulator.scenario.objectives import EXIT_CODE

__all__ = ["Basis", "Outcome", "Verdict", "decide_values", "exit_code", "objectives_of", "verdicts"]

Outcome = Literal["passed", "failed", "inconclusive"]
# A busy machine moves these too, and nobody knows by how much.
_DISTURBED = ("latency_ms", "resets", "relapses", QUERIES)
_NEVER = "recovery_s"  # one that never recovered misses any bound, whatever the statistic


@dataclass(frozen=True, slots=True)
class Basis:
    """What an objective was decided on, so that runs can be taken together."""

    objective: Objective
    bound: float
    values: tuple[Value, ...] = ()  # of a statistic; (): the figure is of the run as a whole


@dataclass(frozen=True, slots=True)
class Verdict:
    """One objective, promise, wait or command, decided. `measured` is in the figure's unit, None
    where there is no number."""

    text: str
    figure: str  # see scenario/objectives.py; "steady_s", "wait_s", "exec_s"
    outcome: Outcome
    measured: float | None = None
    reason: str = ""
    basis: Basis | None = None  # None: no objective
    between: tuple[float, float] | None = None  # what `measured` may be, where it was read


def verdicts(measured: Measurements, history: History) -> tuple[Verdict, ...]:
    """The verdicts on a run: its objectives, its promise about the steady state, its waits."""
    if history.run is None:
        return ()
    objectives = objectives_of(history.run.objectives)
    expected = expectation_of(history.run)
    is_asked = any(is_of_requests(objective) for objective in objectives)
    columns: Columns = columns_of(history) if is_asked or expected else {}
    punctual = punctual_columns(history) if is_asked and measured.late else columns
    seen = _Seen(measured, history, columns, punctual)
    decided = [_decide(seen, objective) for objective in objectives]
    promised = _promise(seen, expected)
    waits = [_wait(wait, measured.off_by_s) for wait in history.waits]
    ran = [_command(command, measured.off_by_s) for command in history.commands]
    return tuple(_doubted(verdict, measured) for verdict in (*decided, *promised, *waits, *ran))


def exit_code(measured: Measurements, decided: Sequence[Verdict]) -> Exit:
    """What a run ends in: a missed objective first, then a run that proves nothing. A late one
    proves what its verdicts say."""
    outcomes = {verdict.outcome for verdict in decided}
    if "failed" in outcomes:
        return Exit.MISSED
    proves_nothing = measured.inconclusive or (measured.late and not decided)
    if "inconclusive" in outcomes or proves_nothing:
        return Exit.INCONCLUSIVE
    return Exit.PASSED


def _doubted(verdict: Verdict, measured: Measurements) -> Verdict:
    """Of a run from which nothing may be claimed, not even a miss is; its values are unclear. A
    prediction is not of the run."""
    basis = verdict.basis
    if basis and basis.objective.is_predicted:
        return verdict
    if measured.late and verdict.outcome == "inconclusive":
        verdict = replace(verdict, reason=verdict.reason or TOO_BUSY)
    if not measured.inconclusive:
        return verdict
    reason = "; ".join(measured.inconclusive)
    if basis:
        basis = replace(basis, values=tuple(Value(None) for _ in basis.values))
    return replace(verdict, outcome="inconclusive", reason=reason, basis=basis)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one run is judged by."""

    measured: Measurements
    history: History
    columns: Columns
    punctual: Columns  # in which late requests of a late run are unknown


def _decide(seen: _Seen, objective: Objective) -> Verdict:
    if objective.is_predicted:
        foreseen = pooled(objective, predicted_values(seen.history, objective))
        if foreseen is None:
            return _unread(objective, "nothing is predicted for what it speaks of")
        return _judged(objective, objective.bound, foreseen)
    if seen.measured.late and objective.figure in _DISTURBED:
        return _unread(objective, TOO_BUSY)
    if is_of_requests(objective) or objective.figure == QUERIES:
        reading = _reading(seen, objective)
        return _judged(objective, objective.bound, reading) if reading else _nothing(objective)
    bound = _bound(seen.history, objective)
    if bound is None:
        return _unread(objective, "nothing is predicted for what it speaks of")
    return decide_values(Basis(objective, bound, _values(seen, objective)))


def _values(seen: _Seen, objective: Objective) -> tuple[Value, ...]:
    if objective.figure == EXIT_CODE:
        return exit_values(seen.history, objective)
    if objective.figure in WRITES:
        return write_values(seen.measured, objective)
    return row_values(seen.measured, seen.history, objective)


def _reading(seen: _Seen, objective: Objective) -> Reading | None:
    """As all requests tell, between what the punctual ones leave open."""
    if objective.figure == QUERIES:
        return read_queries(seen.history, objective)
    among = intervals(seen.history, objective.period)
    told, known = (
        read_requests(
            objective,
            Sample.of([s for client, s in some.items() if speaks_of(objective, client)], among),
        )
        for some in (seen.columns, seen.punctual)
    )
    if told is None or known is None:
        return None
    return replace(told, lowest=known.lowest, highest=known.highest)


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
    between = (reading.lowest, reading.highest)
    return Verdict(
        objective.text, objective.figure, outcome, shown, reading.because, basis, between
    )


def _outcome(objective: Objective, bound: float, reading: Reading) -> Outcome:
    low, high = reading.lowest, reading.highest
    if objective.comparison == "==" and low <= bound <= high and low != high:
        return "inconclusive"
    best, worst = (holds(objective.comparison, value, bound) for value in (low, high))
    if best != worst:
        return "inconclusive"
    return "passed" if best else "failed"


def _promise(run: _Seen, expected: Expectation | None) -> tuple[Verdict, ...]:
    history, off_by_s = run.history, run.measured.off_by_s
    if history.run is None or expected is None:
        return ()
    within = f" within {expected.within_s:g} s" if expected.kind == "recovery" else ""
    steady = steady_state_of(history.run)

    def seen(later_s: float) -> Kept:
        within_s = max(0.0, expected.within_s + later_s)
        return kept(history, steady, replace(expected, within_s=within_s), run.columns)

    found = seen(-off_by_s)
    if off_by_s and found.outcome == "failed":
        # Late or not, what is broken that much later is; isolation knows no later.
        later = seen(off_by_s)
        is_sure = later.outcome == "failed" and expected.kind == "recovery"
        found = later if is_sure else replace(found, outcome="inconclusive")
    text = f"expect {expected.kind}{within}"
    return (Verdict(text, "steady_s", found.outcome, found.steady_s, found.reason),)


def _wait(wait: Wait, off_by_s: float) -> Verdict:
    text = f"wait_until {wait.text} within {wait.within_s:g} s"
    if wait.met:
        took_s = (wait.t - wait.began) / NS_PER_S
        is_sure = not off_by_s or took_s + off_by_s <= wait.within_s
        return Verdict(text, "wait_s", "passed" if is_sure else "inconclusive", took_s)
    reason = "not met, so the steps after it were not taken"
    reason = f"{reason}: {wait.detail}" if wait.detail else reason
    return Verdict(text, "wait_s", "inconclusive" if off_by_s else "failed", reason=reason)


def _command(command: Command, off_by_s: float) -> Verdict:
    text = command_text(command)
    if command.code == 0:
        return Verdict(text, "exec_s", "passed", (command.t - command.began) / NS_PER_S)
    why = "it did not run to its end" if command.code is None else f"it ended with {command.code}"
    said = f": {command.said}" if command.said else ""
    reason = f"{why}, so the steps after it were not taken{said}"
    # A machine that is busy makes nothing end with an error, only late.
    is_unclear = command.code is None and off_by_s
    return Verdict(text, "exec_s", "inconclusive" if is_unclear else "failed", reason=reason)


def _unread(objective: Objective, reason: str) -> Verdict:
    basis = Basis(objective, objective.bound)
    return Verdict(objective.text, objective.figure, "inconclusive", None, reason, basis)


def _nothing(objective: Objective) -> Verdict:
    if objective.figure == "reversion_s":
        return _unread(objective, "nothing was healed that a client had left")
    if objective.figure == EXIT_CODE:
        return _unread(objective, "no client of yours is what it speaks of")
    if is_of_requests(objective):
        when = "" if objective.period.kind == "run" else " in its period"
        return _unread(objective, f"no request{when} is what it speaks of")
    return _unread(objective, "no client of the run is what it speaks of, or no fault took effect")
