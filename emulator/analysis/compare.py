"""Two sides of runs, held against each other: what got better, what worse, what is only noise.

A side is one run or many of one scenario. Values of one fault are pooled over a side's runs, and
over its repeats within a run. With several values on both sides a rank-sum test decides; with one
each, the noise is the phase of checks and caches that the kill happened to meet, and the
prediction in side A's header says how much that is. Runs that prove nothing are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from emulator.analysis.measurements import PARTS, FaultMeasured, Measurements, Row
from emulator.analysis.noise import Shift, least_p, mann_whitney, median, phase_range, shift
from emulator.analysis.settings import setting_changes
from emulator.analysis.timeline import Client
from emulator.analysis.writes import writes_of_runs
from emulator.events import Run

Outcome = Literal["better", "worse", "same", "unclear"]
Evidence = Literal["test", "phase", "state", "none"]
SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True)
class RunSeen:
    """One run, measured."""

    run: Run
    measured: Measurements
    p99_ms: Mapping[Client, float]  # of answered requests


@dataclass(frozen=True, slots=True)
class Side:
    """One run, or many of one scenario."""

    name: str  # as the user called it
    runs: tuple[RunSeen, ...]

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why runs are not compared, one entry a run."""
        found = (
            "; ".join((*seen.measured.inconclusive, *seen.measured.late)) for seen in self.runs
        )
        return tuple(doubt for doubt in found if doubt)

    @property
    def sound(self) -> tuple[RunSeen, ...]:
        """The runs that prove something; where none does, all, and nothing is claimed of them."""
        known = tuple(
            seen for seen in self.runs if not (seen.measured.inconclusive or seen.measured.late)
        )
        return known or self.runs

    @property
    def proves_nothing(self) -> bool:
        return len(self.doubts) == len(self.runs)


@dataclass(frozen=True, slots=True)
class Pair:
    """A figure on both sides: the median of runs, None where no run tells; and the probability
    that chance alone makes such a difference, None without several runs on both sides."""

    a: float | None
    b: float | None
    p: float | None


@dataclass(frozen=True, slots=True)
class Compared:
    """One client after one fault. Recoveries in s: 0 unaffected, infinite never."""

    fault: str
    client: Client
    a: tuple[float, ...]
    b: tuple[float, ...]
    outcome: Outcome
    evidence: Evidence
    because: str  # in plain words
    p: float | None  # of the test, where one was made
    shift: Shift | None
    noise_s: float | None  # 95 % of two random phases differ by no more, where that decided
    parts: Mapping[str, float]  # by how much the medians of the parts grew
    requests_lost: Pair
    resets: Pair

    @property
    def difference_s(self) -> float | None:
        """B's median less A's; infinite where one side never recovers, None where both or nobody
        can tell."""
        if not self.a or not self.b or math.inf == median(self.a) == median(self.b):
            return None
        return median(self.b) - median(self.a)


@dataclass(frozen=True, slots=True)
class ClientFigures:
    """What a client met over whole runs."""

    client: Client
    availability: Pair  # shares
    p99_ms: Pair


@dataclass(frozen=True, slots=True)
class WriteFigures:
    """What the failovers did to acknowledged writes, by the last count of each run."""

    writes_lost: Pair
    rpo_s: Pair


@dataclass(frozen=True, slots=True)
class Comparison:
    """Everything that two sides have in common, and what was set differently."""

    a: Side
    b: Side
    changes: tuple[str, ...]
    rows: tuple[Compared, ...]
    clients: tuple[ClientFigures, ...]
    writes: WriteFigures | None  # None: one side counted none
    unmatched: tuple[str, ...]  # faults and clients that one side alone has

    def outcome(self) -> Outcome:
        """Worse if any recovery is, else unclear if any is or there is none, so that what nobody
        can tell is never taken for good; else better if any is."""
        found = {row.outcome for row in self.rows}
        order: tuple[Outcome, ...] = ("worse", "unclear", "better", "same")
        return next((outcome for outcome in order if outcome in found), "unclear")


def compare(a: Side, b: Side) -> Comparison:
    """B held against A. ValueError, in words for the user, where that would be nonsense."""
    _check_scenarios(a, b)
    clients_a, clients_b = _clients(a), _clients(b)
    common = [client for client in clients_a if client in clients_b]
    if not common:
        raise ValueError(f"{a.name} and {b.name} have no client in common")
    faults = _common_faults(a, b)
    return Comparison(
        a=a,
        b=b,
        changes=setting_changes(a.runs[0].run, b.runs[0].run),
        rows=tuple(
            row for fault in faults for client in common for row in _compared(a, b, fault, client)
        ),
        clients=tuple(_client_figures(a, b, client) for client in common),
        writes=_write_figures(a, b),
        unmatched=_unmatched(a, b, faults, common),
    )


def _check_scenarios(a: Side, b: Side) -> None:
    for side in (a, b):
        names = sorted({seen.run.scenario for seen in side.runs})
        if len(names) != 1:
            raise ValueError(f"{side.name} holds runs of several scenarios: {', '.join(names)}")
    old, new = (side.runs[0].run.scenario or "by hand" for side in (a, b))
    if old != new:
        raise ValueError(f"{a.name} is a run of {old}, {b.name} of {new}: no two of a kind")


def _clients(side: Side) -> dict[Client, None]:
    return dict.fromkeys(client for seen in side.runs for client in seen.measured.availability)


def _faults(side: Side) -> dict[str, None]:
    return dict.fromkeys(f.life.name for seen in side.runs for f in seen.measured.faults)


def _common_faults(a: Side, b: Side) -> list[str]:
    old, new = _faults(a), _faults(b)
    common = [fault for fault in old if fault in new]
    if (old or new) and not common:
        told = (f"{s.name}: {', '.join(f) or 'none'}" for s, f in ((a, old), (b, new)))
        raise ValueError(f"no fault in common ({'; '.join(told)})")
    return common


def _unmatched(
    a: Side, b: Side, faults: Sequence[str], common: Sequence[Client]
) -> tuple[str, ...]:
    alone = []
    for side in (a, b):
        names = [fault for fault in _faults(side) if fault not in faults]
        names += [f"{city} {kind}" for city, kind in _clients(side) if (city, kind) not in common]
        alone += [f"{name}: only in {side.name}" for name in names]
    return tuple(alone)


def _compared(a: Side, b: Side, fault: str, client: Client) -> list[Compared]:
    """One comparison; none where one side's traffic had been stopped before the fault."""
    old, new = ([row for _, row in _told(side, fault, client)] for side in (a, b))
    if not old or not new:
        return []
    before, after = _recoveries(old), _recoveries(new)
    noise = phase_range(_predicted(a, fault, client) or _predicted(b, fault, client))
    judged = _unproven(a, b) or _judge(before, after, noise)
    return [
        Compared(
            fault=fault,
            client=client,
            a=before,
            b=after,
            outcome=judged.outcome,
            evidence=judged.evidence,
            because=judged.because,
            p=judged.p,
            shift=shift(before, after),
            noise_s=noise[1] if noise and judged.evidence == "phase" else None,
            parts=_part_growth(old, new),
            requests_lost=_counts(old, new, lambda row: row.requests_lost),
            resets=_counts(old, new, lambda row: row.reset),
        )
    ]


def _told(side: Side, fault: str, client: Client) -> list[tuple[FaultMeasured, Row]]:
    return [
        (measured, row)
        for seen in side.sound
        for measured in seen.measured.faults
        if measured.life.name == fault
        for row in measured.rows
        if row.client == client
    ]


def _recoveries(rows: Sequence[Row]) -> tuple[float, ...]:
    """In order of size; what nobody can tell is left out."""
    known = []
    for row in rows:
        if row.state == "unaffected":
            known.append(0.0)
        elif row.state == "not_recovered":
            known.append(math.inf)
        elif row.state == "recovered" and row.recovery_s is not None:
            known.append(row.recovery_s)
    return tuple(sorted(known))


def _predicted(side: Side, fault: str, client: Client) -> list[float]:
    """The finite recoveries that the side's header foresees for a fault on this region."""
    foreseen = side.runs[0].run.predicted
    told = _told(side, fault, client)
    keys = [fault, *(f"{measured.life.how} {row.from_region}" for measured, row in told[:1])]
    entries = next((foreseen[key] for key in keys if key in foreseen), [])
    return [
        float(seconds)
        for entry in entries
        if (entry["city"], entry["client"]) == client
        for seconds in entry["seconds"]
        if seconds is not None and math.isfinite(seconds)
    ]


@dataclass(frozen=True, slots=True)
class _Judged:
    outcome: Outcome
    evidence: Evidence
    because: str
    p: float | None = None


def _unproven(a: Side, b: Side) -> _Judged | None:
    for side in (a, b):
        if side.proves_nothing:
            return _Judged("unclear", "none", f"{side.name} is inconclusive")
    return None


def _judge(a: Sequence[float], b: Sequence[float], noise: tuple[float, float] | None) -> _Judged:
    """By the test where there are enough values for one, else by the phase, else by what it is."""
    if not a or not b:
        return _Judged("unclear", "none", "a recovery is unclear")
    if min(len(a), len(b)) > 1 and least_p(len(a), len(b)) <= SIGNIFICANT:
        return _tested(a, b)
    old, new = median(a), median(b)
    if old == new:
        return _Judged("same", "state", "no difference")
    if noise and math.isfinite(old) and math.isfinite(new):
        return _phased(old, new, noise)
    return _by_state(old, new)


def _tested(a: Sequence[float], b: Sequence[float]) -> _Judged:
    p = mann_whitney(a, b)
    if p > SIGNIFICANT:
        return _Judged("same", "test", f"within noise, {show_p(p)}", p)
    later = sum((y > x) - (y < x) for x in a for y in b)
    return _Judged("worse" if later > 0 else "better", "test", show_p(p), p)


def _phased(old: float, new: float, noise: tuple[float, float]) -> _Judged:
    width = f"{noise[1]:.1f} s"
    if noise[0] <= new - old <= noise[1]:
        return _Judged("same", "phase", f"within noise of the phase, {width}")
    return _Judged(_direction(old, new), "phase", f"more than the phase explains, {width}")


def _by_state(old: float, new: float) -> _Judged:
    """Nothing says how much the phase does, but some changes it never makes."""
    direction, grew = _direction(old, new), new > old
    if math.inf in (old, new):
        words = "it never recovers" if grew else "it recovers now"
    elif 0 in (old, new):
        words = "it was not affected" if grew else "it is not affected now"
    else:
        return _Judged("unclear", "none", "too few runs, and no prediction of what the phase does")
    return _Judged(direction, "state", words)


def _direction(old: float, new: float) -> Outcome:
    return "worse" if new > old else "better"


def show_p(p: float) -> str:
    """`p 0.003`; never rounded to nothing."""
    return "p < 0.001" if p < 0.001 else f"p {p:.2g}"


def _part_growth(old: Sequence[Row], new: Sequence[Row]) -> dict[str, float]:
    """How much longer each part's median is; {} where a side has no recovery."""
    before, after = ([row.parts() for row in rows if row.parts()] for rows in (old, new))
    if not before or not after:
        return {}
    return {
        name: median([p[name] for p in after]) - median([p[name] for p in before])
        for name in PARTS
        if all(name in parts for parts in (*before, *after))
    }


def _counts(old: Sequence[Row], new: Sequence[Row], count: Callable[[Row], float]) -> Pair:
    """A count is only known where the row's requests are."""
    return _pair(*([count(r) for r in rows if r.state != "inconclusive"] for rows in (old, new)))


def _pair(a: Sequence[float], b: Sequence[float]) -> Pair:
    several = min(len(a), len(b)) > 1
    return Pair(
        median(a) if a else None,
        median(b) if b else None,
        mann_whitney(a, b) if several else None,
    )


def _client_figures(a: Side, b: Side, client: Client) -> ClientFigures:
    return ClientFigures(
        client,
        _pair(*(_availabilities(side, client) for side in (a, b))),
        _pair(
            *(
                [seen.p99_ms[client] for seen in side.sound if client in seen.p99_ms]
                for side in (a, b)
            )
        ),
    )


def _availabilities(side: Side, client: Client) -> list[float]:
    counts = (seen.measured.availability.get(client, (0, 0)) for seen in side.sound)
    return [ok / (ok + failed) for ok, failed in counts if ok + failed]


def _write_figures(a: Side, b: Side) -> WriteFigures | None:
    old, new = (writes_of_runs(seen.measured for seen in side.sound) for side in (a, b))
    if old is None or new is None:
        return None
    return WriteFigures(_pair(old.lost, new.lost), _pair(old.rpo_s, new.rpo_s))
