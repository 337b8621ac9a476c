"""Many runs of one scenario, each with the fault at another phase, seen as one."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from emulator.analysis.figures import Value, quantile
from emulator.analysis.measurements import Measurements, Row
from emulator.analysis.timeline import Client
from emulator.analysis.verdict import Verdict, decide_values
from emulator.analysis.words import plural
from emulator.errors import Exit
from emulator.events import Run

__all__ = ["Distribution", "Repeated", "RunResult", "gather", "quantile", "repeated_exit_code"]

_SHOWN = 3  # reasons of single runs that a verdict names


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run, measured and judged; its history is on disk."""

    directory: str
    run: Run | None
    measured: Measurements
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, slots=True)
class Distribution:
    """How long one client took to recover from one fault, over all runs."""

    fault: str  # "power us-east"; the second of that name in a run: "power us-east (2)"
    client: Client
    seconds: tuple[float, ...]  # in order of size; a client that was not affected took 0
    unaffected: int = 0  # how many of `seconds`
    never: int = 0  # runs in which it did not recover: longer than any of `seconds`
    unclear: int = 0  # runs in which nobody can tell: in none of the figures
    predicted: tuple[float, ...] = ()  # in order of size; (): nothing is predicted
    bound_s: float | None = None  # the worst that is predicted at all

    @property
    def runs(self) -> int:
        """Runs that the figures speak of."""
        return len(self.seconds) + self.never

    def quantile(self, share: float) -> float:
        """The value that `share` (0 to 1) of the runs do not exceed; infinite if it never was.
        Raises ValueError where no run tells."""
        return quantile((*self.seconds, *[math.inf] * self.never), share)

    def covered(self, confidence: float = 0.95) -> float:
        """The share of all kills that, with this confidence, recover no later than the slowest
        seen: distribution-free, from the largest of n values (Wilks, 1941)."""
        return float((1 - confidence) ** (1 / self.runs)) if self.runs else 0.0


@dataclass(frozen=True, slots=True)
class Repeated:
    """All runs of one scenario: what each showed, and what they show together."""

    results: tuple[RunResult, ...]
    distributions: tuple[Distribution, ...]
    verdicts: tuple[Verdict, ...]  # of the objectives, over all runs


def gather(results: Sequence[RunResult]) -> Repeated:
    """The runs as one. Faults are matched by name and order, verdicts by text and order.

    A statistic is taken of all clients in all runs; whatever is of a run as a whole has to hold
    in every one of them.
    """
    return Repeated(tuple(results), _distributions(results), _verdicts(results))


def repeated_exit_code(repeated: Repeated) -> Exit:
    """What many runs end in. Where verdicts say that enough runs were clear, they decide; without
    any, one unclear run is enough to prove nothing."""
    outcomes = {verdict.outcome for verdict in repeated.verdicts}
    if "failed" in outcomes:
        return Exit.MISSED
    unclear = not outcomes and any(
        result.measured.inconclusive or result.measured.late for result in repeated.results
    )
    return Exit.INCONCLUSIVE if "inconclusive" in outcomes or unclear else Exit.PASSED


def _distributions(results: Sequence[RunResult]) -> tuple[Distribution, ...]:
    rows: defaultdict[tuple[str, Client], list[_Seen]] = defaultdict(list)
    for result in results:
        for name, row in _named_rows(result.measured):
            rows[name, row.client].append(_Seen(row, is_clear=not result.measured.inconclusive))
    return tuple(
        _distribution(fault, client, found, results) for (fault, client), found in rows.items()
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one run says of a fault and a client, and whether it may be claimed."""

    row: Row
    is_clear: bool


def _named_rows(measured: Measurements) -> list[tuple[str, Row]]:
    """Every row with its fault's name, numbered where a run has several of one name."""
    seen: Counter[str] = Counter()
    named = []
    for fault in measured.faults:
        seen[fault.life.name] += 1
        number = seen[fault.life.name]
        name = fault.life.name + (f" ({number})" if number > 1 else "")
        named += [(name, row) for row in fault.rows]
    return named


def _distribution(
    fault: str, client: Client, seen: Sequence[_Seen], results: Sequence[RunResult]
) -> Distribution:
    rows = [one.row for one in seen if one.is_clear]
    states = Counter(row.state for row in rows)
    took = [row.recovery_s for row in rows if row.recovery_s is not None]
    never, unaffected = states["not_recovered"], states["unaffected"]
    bounds = [one.row.bound_s for one in seen if one.row.bound_s is not None]
    return Distribution(
        fault=fault,
        client=client,
        seconds=tuple(sorted([*took, *[0.0] * unaffected])),
        unaffected=unaffected,
        never=never,
        unclear=len(results) - len(took) - unaffected - never,
        predicted=_predicted(fault, client, results),
        bound_s=max(bounds, default=None),
    )


def _predicted(fault: str, client: Client, results: Sequence[RunResult]) -> tuple[float, ...]:
    """As the headers foresee it, which are alike in this."""
    name = fault.partition(" (")[0]
    for run in (result.run for result in results if result.run):
        for entry in run.predicted.get(name, []):
            if (entry["city"], entry["client"]) == client:
                return tuple(sorted(math.inf if s is None else s for s in entry["seconds"]))
    return ()


@dataclass(frozen=True, slots=True)
class _Told:
    """What one run says of one objective."""

    number: int  # of the run, from 1
    verdict: Verdict


def _verdicts(results: Sequence[RunResult]) -> tuple[Verdict, ...]:
    told: defaultdict[tuple[str, int], list[_Told]] = defaultdict(list)
    for number, result in enumerate(results, 1):
        seen: Counter[str] = Counter()
        for verdict in result.verdicts:
            # Why a run proves nothing is said of the run, not of each of its verdicts.
            doubted = verdict.outcome == "inconclusive" and result.measured.inconclusive
            plain = replace(verdict, reason="") if doubted else verdict
            told[verdict.text, seen[verdict.text]].append(_Told(number, plain))
            seen[verdict.text] += 1
    return tuple(_together(runs, len(results)) for runs in told.values())


def _together(told: Sequence[_Told], runs: int) -> Verdict:
    if any(one.verdict.basis and one.verdict.basis.values for one in told):
        return _of_all_values(told, runs)
    return _in_every_run(told, runs)


def _of_all_values(told: Sequence[_Told], runs: int) -> Verdict:
    """A statistic. A run that says nothing of it stands with as many unclear values as the others
    have."""
    bases = {one.number: one.verdict.basis for one in told if one.verdict.basis}
    size = max(len(basis.values) for basis in bases.values())
    numbered = [
        (number, value)
        for number in range(1, runs + 1)
        for value in (bases[number].values if number in bases else ()) or [Value(None)] * size
    ]
    known = next(basis for basis in bases.values() if basis.values)
    plain = tuple(replace(value, because="") for _, value in numbered)
    verdict = decide_values(replace(known, values=plain))
    missed = verdict.measured if verdict.outcome == "failed" else None
    of = [number for number, value in numbered if missed is not None and value.number == missed]
    reasons = [f"it is that of run {of[0]} of {runs}"] if of else []
    reasons += _few([f"run {number}: {v.because}" for number, v in numbered if v.because])
    if unclear := len({number for number, value in numbered if value.number is None}):
        reasons.append(f"unclear in {_share_of_runs(unclear, runs)}")
    return replace(verdict, reason="; ".join(filter(None, (verdict.reason, *reasons))))


def _in_every_run(told: Sequence[_Told], runs: int) -> Verdict:
    """Whatever is of a run as a whole: the worst run decides."""
    failed = [one for one in told if one.verdict.outcome == "failed"]
    unclear = [one for one in told if one.verdict.outcome == "inconclusive"]
    missing = runs - len(told)
    worst = _worst(failed or unclear or told)
    verdict, because = worst.verdict, worst.verdict.reason
    if not failed and missing:
        reason = f"nothing is said of it in {_share_of_runs(missing, runs)}"
        return replace(verdict, outcome="inconclusive", reason=reason)
    told_of = f"run {worst.number}" + (f": {because}" if because else "")
    if failed:
        return replace(
            verdict, reason=f"missed in {_share_of_runs(len(failed), runs)}, most in {told_of}"
        )
    if unclear:
        reason = f"unclear in {_share_of_runs(len(unclear), runs)}"
        return replace(verdict, reason=reason + (f", as in {told_of}" if because else ""))
    differs = len({one.verdict.measured for one in told}) > 1
    return replace(verdict, reason=f"the worst of {runs} runs is {told_of}" if differs else because)


def _worst(told: Sequence[_Told]) -> _Told:
    """The run with the worst figure, by the objective's own comparison; times are worst when
    they are longest, and no number at all is worse than any."""

    def badness(one: _Told) -> float:
        basis, measured = one.verdict.basis, one.verdict.measured
        if measured is None:
            return math.inf
        return -measured if basis and basis.objective.comparison in {">=", ">"} else measured

    return max(told, key=badness)


def _share_of_runs(count: int, runs: int) -> str:
    return f"{count} of {plural(runs, 'run')}"


def _few(reasons: list[str]) -> list[str]:
    more = len(reasons) - _SHOWN
    return [*reasons[:_SHOWN], *([f"and {more} more"] if more > 0 else [])]
