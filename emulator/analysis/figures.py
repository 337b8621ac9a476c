"""The figures that objectives speak of: of faults, of requests in a period, of the prediction."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from emulator.analysis.measurements import PARTS, Measurements, Row
from emulator.analysis.periods import Interval, intervals, is_on, is_within
from emulator.analysis.queries import counted_per_s
from emulator.analysis.series import Sample
from emulator.analysis.timeline import FaultLife, History
from emulator.analysis.words import client_name
from emulator.events import OWN_CLIENT
from emulator.scenario.model import Comparison, Objective, Period

COUNTS = ("requests_lost", "resets", "relapses", "writes_lost")
WRITES = ("writes_lost", "rpo_s")
SHARES = ("availability", "region_share")
QUERIES = "dns_queries_per_s"
_COMPARE: dict[Comparison, Callable[[float, float], bool]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "==": operator.eq,
}


@dataclass(frozen=True, slots=True)
class Value:
    """One of the values that a statistic is taken of: a number, infinite when it never happened,
    None when nobody can tell; and by how much it may be off."""

    number: float | None
    because: str = ""
    off: float = 0.0

    @property
    def lowest(self) -> float:
        return 0.0 if self.number is None else max(0.0, self.number - self.off)

    @property
    def highest(self) -> float:
        return math.inf if self.number is None else self.number + self.off


@dataclass(frozen=True, slots=True)
class Reading:
    """A figure as it was read, and between what it lies when what nobody can tell is anything."""

    measured: float | None  # of what is known
    lowest: float
    highest: float
    because: str = ""


def objectives_of(entries: Sequence[Mapping[str, Any]]) -> tuple[Objective, ...]:
    """The objectives in a run's header."""
    return tuple(
        Objective(**{**entry, "period": Period(**entry.get("period", {}))}) for entry in entries
    )


def quantile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the values, given in order of size, that `share` of them do not exceed.
    Raises ValueError where there is none."""
    if not ordered:
        raise ValueError("no values")
    # Rounded, since 0.55 * 100 is a little more than 55.
    return ordered[max(0, math.ceil(round(share * len(ordered), 9)) - 1)]


def share_of(statistic: str) -> float:
    """0.999 for `p99.9`; a figure without a statistic is at its worst, p100."""
    return float(statistic[1:]) / 100 if statistic else 1.0


def holds(comparison: Comparison, value: float, bound: float) -> bool:
    """Whether a value keeps a bound; 99.9 % of 1000 are 999, whatever floats make of it."""
    return _COMPARE[comparison](round(value, 9), round(bound, 9))


def speaks_of(objective: Objective, client: tuple[str, str]) -> bool:
    """Whether an objective's scope holds a client."""
    city, kind = client
    return objective.city in (None, city) and objective.client in (None, kind)


def pooled(objective: Objective, values: Sequence[Value]) -> Reading | None:
    """The statistic of all values; counts add up. None without a value."""
    if not values:
        return None
    known = [v.number for v in values if v.number is not None]
    low, high = [v.lowest for v in values], [v.highest for v in values]
    because = "; ".join(v.because for v in values if v.because)
    measured = _statistic(objective, known) if known else None
    return Reading(measured, _statistic(objective, low), _statistic(objective, high), because)


def _statistic(objective: Objective, values: Sequence[float]) -> float:
    if objective.figure in COUNTS:
        return sum(values)
    return quantile(sorted(values), share_of(objective.statistic))


def row_values(measured: Measurements, history: History, objective: Objective) -> tuple[Value, ...]:
    """One value for each client that the objective speaks of and each fault of its period."""
    value = _ROW_FIGURES[objective.figure]
    found = [value(row) for row in _rows(measured, history, objective)]
    return tuple(replace(v, off=measured.off_by_s) for v in found if v is not None)


def _rows(measured: Measurements, history: History, objective: Objective) -> list[Row]:
    period = objective.period
    among = intervals(history, period)
    return [
        row
        for fault in measured.faults
        if _is_of(fault.life, period, among)
        for row in fault.rows
        if speaks_of(objective, row.client) and not _is_unforeseen(objective, row.client.kind)
    ]


def _is_unforeseen(objective: Objective, kind: str) -> bool:
    """Nothing is predicted for clients of the user's, so nothing is held against a prediction."""
    return bool(objective.bound_predicted) and kind == OWN_CLIENT


def _is_of(life: FaultLife, period: Period, among: Sequence[Interval]) -> bool:
    """Whether a period chooses a fault: by its target, or because it struck within it."""
    if period.kind == "down":
        return is_on(life, period.target)
    return period.kind == "run" or is_within(life.began, among)


def _recovery(row: Row) -> Value:
    if row.state == "unaffected":
        return Value(0.0)
    if row.state == "not_recovered":
        return Value(math.inf, f"{client_name(row.client)}: not recovered, {row.reason}")
    return _known(row, row.recovery_s)


def _reversion(row: Row) -> Value | None:
    if row.reversion is None:
        return None
    if not row.reversion.region:
        return Value(None, f"{client_name(row.client)}: the history ends too soon after the heal")
    if row.reversion.seconds is None:
        return Value(math.inf, f"{client_name(row.client)}: stays on {row.reversion.region}")
    return Value(row.reversion.seconds)


def _part(name: str) -> Callable[[Row], Value]:
    """A part of the recovery; 0 where it does not apply, unclear without a recovery."""

    def value(row: Row) -> Value:
        if row.state == "not_recovered":
            return Value(None, f"{client_name(row.client)}: not recovered, {row.reason}")
        return _known(row, row.parts().get(name, 0.0))

    return value


def _known(row: Row, number: float | None) -> Value:
    """What a row says is only known where its requests are."""
    if row.state == "inconclusive":
        return Value(None, f"{client_name(row.client)}: {row.reason}")
    return Value(number)


_ROW_FIGURES: dict[str, Callable[[Row], Value | None]] = {
    "recovery_s": _recovery,
    "reversion_s": _reversion,
    "outage_s": lambda row: _known(row, row.outage_s),
    "relapses": lambda row: _known(row, row.relapses),
    **{name: _part(name) for name in PARTS},
}


def predicted_values(history: History, objective: Objective) -> tuple[Value, ...]:
    """The predicted recoveries of the faults of the run (of all that the header foresees, before
    one is injected), for the clients that the objective speaks of."""
    foreseen = history.run.predicted if history.run else {}
    among = intervals(history, objective.period)
    lives = [x for x in history.injected() if _is_of(x, objective.period, among)]
    names = list(dict.fromkeys(x.name for x in lives)) if history.injected() else list(foreseen)
    entries = chain.from_iterable(foreseen.get(name, []) for name in names)
    return tuple(
        Value(math.inf if seconds is None else float(seconds))
        for entry in entries
        if speaks_of(objective, (entry["city"], entry["client"]))
        for seconds in entry["seconds"]
    )


def is_of_requests(objective: Objective) -> bool:
    """Whether the figure is read off requests in a period, not off the rows of the faults."""
    return objective.figure in (*SHARES, "latency_ms", "requests_lost", "resets")


def read_queries(history: History, objective: Objective) -> Reading | None:
    """Queries/s at the name servers over a period; None where there was no such time."""
    among = intervals(history, objective.period)
    rate = counted_per_s(history, among, objective.city)
    return None if rate is None else Reading(rate, rate, rate)


def read_requests(objective: Objective, sample: Sample) -> Reading | None:
    """A figure of requests; None where there is none to read it off. Raises KeyError for a
    figure that is not of requests."""
    unknown = sample.unknown
    because = f"{unknown} of {sample.count} requests have no known outcome" if unknown else ""
    found = _REQUEST_FIGURES[objective.figure](objective, sample, unknown)
    return Reading(*found, because) if found else None


Bounded = tuple[float | None, float, float] | None


def _availability(_: Objective, sample: Sample, unknown: int) -> Bounded:
    count = sample.count
    known = count - unknown
    ok = known - sample.failed
    return (ok / known if known else None, ok / count, (ok + unknown) / count) if count else None


def _requests_lost(_: Objective, sample: Sample, unknown: int) -> Bounded:
    failed = sample.failed
    return (failed, failed, failed + unknown) if sample.count else None


def _resets(_: Objective, sample: Sample, unknown: int) -> Bounded:
    resets = sample.resets
    return (resets, resets, resets + unknown) if sample.count else None


def _latency_ms(objective: Objective, sample: Sample, unknown: int) -> Bounded:
    share, known = share_of(objective.statistic), sample.latencies_ms()
    if not known:
        return None
    lowest = quantile([0.0] * unknown + known, share)
    return quantile(known, share), lowest, quantile(known + [math.inf] * unknown, share)


def _region_share(objective: Objective, sample: Sample, unknown: int) -> Bounded:
    answered = sample.answered()
    unknown += answered[""] - unknown - sample.failed  # answered, and nobody says by which
    ok = sample.count - unknown - sample.failed
    if not ok:
        return None
    by_it = answered[objective.region or ""]
    return by_it / ok, by_it / (ok + unknown), (by_it + unknown) / (ok + unknown)


_REQUEST_FIGURES: dict[str, Callable[[Objective, Sample, int], Bounded]] = {
    "availability": _availability,
    "requests_lost": _requests_lost,
    "resets": _resets,
    "latency_ms": _latency_ms,
    "region_share": _region_share,
}


def show_figure(figure: str, value: float) -> str:
    """`8.50 s`, `99.9%`, `240 ms`, `17`."""
    if math.isinf(value):
        return "never"
    if figure == QUERIES:
        return f"{value:.3g}/s"
    if figure.endswith("_s"):
        return f"{value:.2f} s"
    if figure == "latency_ms":
        return f"{value:.1f} ms"
    return f"{value:.3%}" if figure in SHARES else f"{value:g}"
