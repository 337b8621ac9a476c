"""A client's requests by start, in columns: a million of them take 20 MB and one pass."""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from emulator.analysis.periods import Interval
from emulator.events import Request

# In the column of durations: it failed; nobody knows what became of it.
FAILED, UNKNOWN = -1, -2
# A longer gap in the numbers is a broken history, and as unclear.
_GAP_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Series:
    """One client's requests in the order of their starts; those that never told their end are
    unknown and stand where the next one started."""

    starts: array[int]
    took_ns: array[int]  # of answered ones; FAILED, UNKNOWN
    regions: Sequence[str]  # that answered

    def between(self, interval: Interval) -> tuple[int, int]:
        """The places of the requests that started in an interval."""
        return bisect_left(self.starts, interval[0]), bisect_left(self.starts, interval[1])


def series(requests: Iterable[Request]) -> Series:
    """The columns of one client's requests, which may come in any order."""
    told = sorted(
        (r.planned, r.n, r.t, _took_ns(r), sys.intern(r.region) if r.outcome == "ok" else "")
        for r in requests
    )
    rows = [row[2:] for row in told]
    for before, this in pairwise(told):
        missing = min(this[1] - before[1] - 1, _GAP_MAX)
        rows += [(this[2], UNKNOWN, "")] * missing
    rows.sort(key=lambda row: row[0])
    starts, took = array("q", (row[0] for row in rows)), array("q", (row[1] for row in rows))
    return Series(starts, took, [row[2] for row in rows])


def _took_ns(request: Request) -> int:
    if request.outcome == "ok":
        return max(0, (request.end or request.t) - request.t)
    return FAILED if request.outcome in ("error", "timeout") else UNKNOWN


@dataclass(frozen=True, slots=True)
class Sample:
    """Requests of some clients in some intervals, seen as one heap."""

    parts: tuple[tuple[Series, int, int], ...]

    @classmethod
    def of(cls, clients: Iterable[Series], among: Sequence[Interval]) -> Sample:
        """Every request of these clients that started within the intervals."""
        return cls(tuple((s, *s.between(interval)) for s in clients for interval in among))

    @property
    def count(self) -> int:
        return sum(end - start for _, start, end in self.parts)

    @property
    def failed(self) -> int:
        return sum(s.took_ns[start:end].count(FAILED) for s, start, end in self.parts)

    @property
    def unknown(self) -> int:
        return sum(s.took_ns[start:end].count(UNKNOWN) for s, start, end in self.parts)

    def latencies_ms(self) -> list[float]:
        """Of the answered requests, in order of size."""
        spans = (span for s, a, b in self.parts for span in s.took_ns[a:b] if span >= 0)
        return [span / 1e6 for span in sorted(spans)]

    def answered(self) -> Counter[str]:
        """Answered requests by region."""
        found: Counter[str] = Counter()
        for s, start, end in self.parts:
            found.update(s.regions[start:end])
        del found[""]
        return found
