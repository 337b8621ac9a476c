"""A client's requests by start, in columns: a million of them take 20 MB and one pass."""

from __future__ import annotations

import math
import sys
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from emulator.analysis.periods import Interval
from emulator.analysis.timeline import Client, History
from emulator.events import Connection, Request

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
    resets: array[int]  # when a connection ended by an RST; of new ones, when its request started


def series(
    requests: Iterable[Request],
    connections: Iterable[Connection] = (),
    faults: Sequence[int] = (),
    open_since: float = math.inf,
) -> Series:
    """The columns of one client, whose requests and connections may come in any order.

    What was in flight when one of the `faults` struck (in order) and failed is that fault's, as if
    it had started then. A gap in the numbers of requests planned after `open_since` may still
    fill: the columns end there.
    """
    told: list[tuple[int, int, int, int, str]] = []
    resets = [c.t for c in connections if c.closed_by == "peer-rst"]
    for r in requests:
        region = sys.intern(r.region) if r.outcome == "ok" else ""
        span = _took_ns(r)
        t = _struck(r.t, r.end or r.t, faults) if span == FAILED else r.t
        told.append((r.planned, r.n, t, span, region))
        # Lasting connections tell of their resets themselves.
        if r.closed_by == "peer-rst" and r.client == "http":
            resets.append(t)
    told.sort()
    rows = [row[2:] for row in told[:1]]
    for before, this in pairwise(told):
        missing = min(this[1] - before[1] - 1, _GAP_MAX)
        if missing > 0:
            if this[0] > open_since:
                break
            rows += [(this[2], UNKNOWN, "")] * missing
        rows.append(this[2:])
    rows.sort(key=lambda row: row[0])
    starts, took = array("q", (row[0] for row in rows)), array("q", (row[1] for row in rows))
    return Series(starts, took, [row[2] for row in rows], array("q", sorted(resets)))


def series_of(history: History, client: Client) -> Series:
    """The columns of one client, as far as its requests have had the time to tell their end."""
    open_since = history.last_ns - history.patience_ns(client.city)
    faults = [life.began for life in history.injected()]
    requests, connections = history.requests.get(client, ()), history.connections.get(client, ())
    return series(requests, connections, faults, open_since)


def _struck(start: int, end: int, faults: Sequence[int]) -> int:
    place = bisect_right(faults, start)
    return faults[place] if place < len(faults) and faults[place] <= end else start


def _took_ns(request: Request) -> int:
    if request.outcome == "ok":
        return max(0, (request.end or request.t) - request.t)
    return FAILED if request.outcome in ("error", "timeout") else UNKNOWN


class _Part(NamedTuple):
    """The requests of one client that started in one interval."""

    series: Series
    start: int
    end: int
    interval: Interval

    def took_ns(self) -> array[int]:
        return self.series.took_ns[self.start : self.end]


def _part(s: Series, interval: Interval) -> _Part:
    first, after = (bisect_left(s.starts, t) for t in interval)
    return _Part(s, first, after, interval)


@dataclass(frozen=True, slots=True)
class Sample:
    """Requests of some clients in some intervals, seen as one heap."""

    parts: tuple[_Part, ...]

    @classmethod
    def of(cls, clients: Iterable[Series], among: Sequence[Interval]) -> Sample:
        """Every request of these clients that started within the intervals."""
        return cls(tuple(_part(s, interval) for s in clients for interval in among))

    @property
    def count(self) -> int:
        return sum(part.end - part.start for part in self.parts)

    @property
    def failed(self) -> int:
        return sum(part.took_ns().count(FAILED) for part in self.parts)

    @property
    def unknown(self) -> int:
        return sum(part.took_ns().count(UNKNOWN) for part in self.parts)

    @property
    def resets(self) -> int:
        """Connections that an RST ended in the intervals."""
        ends = [[bisect_left(p.series.resets, t) for t in p.interval] for p in self.parts]
        return sum(last - first for first, last in ends)

    def latencies_ms(self) -> list[float]:
        """Of the answered requests, in order of size."""
        spans = (span for part in self.parts for span in part.took_ns() if span >= 0)
        return [span / 1e6 for span in sorted(spans)]

    def answered(self) -> Counter[str]:
        """Answered requests by region."""
        found: Counter[str] = Counter()
        for part in self.parts:
            found.update(part.series.regions[part.start : part.end])
        return found
