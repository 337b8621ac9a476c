"""Many runs of one scenario, each with the fault at another phase, seen as one."""

from __future__ import annotations

import math
from dataclasses import dataclass

from emulator.analysis.measurements import Measurements
from emulator.analysis.timeline import Client
from emulator.analysis.verdict import Verdict
from emulator.events import Run


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

    fault: str  # "power us-east"
    client: Client
    seconds: tuple[float, ...]  # in order of size; a client that was not affected took 0
    unaffected: int = 0  # how many of `seconds`
    never: int = 0  # runs in which it did not recover: longer than any of `seconds`
    unclear: int = 0  # runs in which nobody can tell: in none of the figures
    predicted: tuple[float, ...] = ()  # in order of size; (): nothing is predicted

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


def quantile(ordered: tuple[float, ...], share: float) -> float:
    """The smallest of the values, given in order of size, that `share` of them do not exceed."""
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
