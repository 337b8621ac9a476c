"""One scenario for several values of a setting: what each value gains and what it costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from emulator.analysis.figures import quantile
from emulator.analysis.queries import queries_per_s
from emulator.analysis.repeated import Distribution, Repeated, RunResult, gather, repeated_exit_code
from emulator.analysis.writes import WritesOfRuns, writes_of_runs
from emulator.errors import Exit

# Whose recovery stands for a value: who looks up for every request shows what DNS does.
_TELLING = "http"


@dataclass(frozen=True, slots=True)
class Tried:
    """One value with its runs; `error`: why there are none, or fewer than there should be."""

    value: str  # as written
    directory: str
    results: tuple[RunResult, ...]
    seconds: float = 0.0  # that all of it took
    error: str = ""

    @property
    def together(self) -> Repeated:
        """All of its runs as one."""
        return gather(self.results)


@dataclass(frozen=True, slots=True)
class Sweep:
    """All values of one setting, in the order in which they are written."""

    name: str  # of the scenario
    directory: str
    setting: str  # dns.ttl
    tried: tuple[Tried, ...]

    @property
    def seconds(self) -> float:
        """What all values took."""
        return sum(one.seconds for one in self.tried)


@dataclass(frozen=True, slots=True)
class Line:
    """One value in figures. Seconds are in order of size; a client that was not affected took 0."""

    value: str
    runs: int
    clear: int  # runs that the recovery speaks of, at least
    seconds: tuple[float, ...]  # infinite: never recovered
    predicted: tuple[float, ...]
    lost: float | None  # share of the requests that failed, whole runs; None: no request
    queries_per_s: float | None  # at the name servers, of all cities
    writes: WritesOfRuns | None  # None: no run counted

    def measured(self, share: float) -> float | None:
        """The recovery that this share of kills and cities does not exceed; None: nobody tells."""
        return quantile(self.seconds, share) if self.seconds else None

    def foreseen(self, share: float) -> float | None:
        """The same of the prediction."""
        return quantile(self.predicted, share) if self.predicted else None


@dataclass(frozen=True, slots=True)
class Trade:
    """The sweep as one table: whose recovery from what, and a line a value."""

    fault: str  # "": nothing was injected
    kind: str
    cities: tuple[str, ...]  # that were affected with some value
    lines: tuple[Line, ...]


def trade(sweep: Sweep) -> Trade:
    """What each value gains and costs: the recovery from the first fault that anybody felt, of
    `http`, which looks up for every request (of the first kind, where there is none of it), pooled
    over the cities that felt it with some value."""
    found = {one.value: one.together.distributions for one in sweep.tried}
    told = [d for some in found.values() for d in some]
    kinds = dict.fromkeys(d.client.kind for d in told)
    kind = _TELLING if _TELLING in kinds else next(iter(kinds), "")
    of_kind = [d for d in told if d.client.kind == kind]
    # Where no run is clear, those of whom it is predicted.
    felt = [d for d in of_kind if d.unaffected < d.runs] or [d for d in of_kind if d.predicted]
    fault = next((d.fault for d in felt or told), "")
    cities = tuple(dict.fromkeys(d.client.city for d in felt if d.fault == fault))
    lines = (
        _line(
            one,
            [d for d in found[one.value]
             if (d.fault, d.client.kind) == (fault, kind) and d.client.city in cities],
        )
        for one in sweep.tried
    )  # fmt: skip
    return Trade(fault, kind, cities, tuple(lines))


def sweep_exit_code(sweep: Sweep) -> Exit:
    """The worst of its values; one that could not be run at all comes after everything else."""
    codes = [
        repeated_exit_code(one.together) if one.results else Exit.ENVIRONMENT for one in sweep.tried
    ]
    codes += [Exit.ENVIRONMENT for one in sweep.tried if one.error]
    order = (Exit.PASSED, Exit.INCONCLUSIVE, Exit.MISSED, Exit.ENVIRONMENT)
    return max(codes, key=order.index, default=Exit.PASSED)


def _line(one: Tried, told: Sequence[Distribution]) -> Line:
    seconds = sorted(s for d in told for s in (*d.seconds, *[math.inf] * d.never))
    counts = [c for r in one.results for c in r.measured.availability.values()]
    failed, requests = sum(f for _, f in counts), sum(ok + f for ok, f in counts)
    clear = [r.measured for r in one.results if not r.measured.inconclusive]
    return Line(
        value=one.value,
        runs=len(one.results),
        clear=min((d.runs for d in told), default=len(clear)),
        seconds=tuple(seconds),
        predicted=tuple(sorted(s for d in told for s in d.predicted)),
        lost=failed / requests if requests else None,
        queries_per_s=queries_per_s(r.measured for r in one.results),
        writes=writes_of_runs(r.measured for r in one.results),
    )
