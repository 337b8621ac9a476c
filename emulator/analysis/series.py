"""A client's requests by start, in columns: a million of them take 20 MB and one pass."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import NamedTuple

from emulator.analysis.lateness import is_late
from emulator.analysis.periods import Interval, has_ended
from emulator.analysis.timeline import Client, History
from emulator.events import Connection, Request

# In the column of durations: it failed; nobody knows what became of it; it was answered, and nobody
# knows how soon.
FAILED, UNKNOWN, UNTIMED = -1, -2, -3
# A longer gap in the numbers is a broken history, and as unclear.
_GAP_MAX = 100_000
_IN_ORDER = attrgetter("planned", "n")


@dataclass(frozen=True, slots=True)
class Series:
    """One client's requests in the order of their starts; those that never told their end are
    unknown and stand where the next one started."""

    starts: array[int]
    took_ns: array[int]  # of answered ones; FAILED, UNKNOWN, UNTIMED
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
    starts, took = array("q"), array("q")
    regions: list[str] = []
    resets = [c.t for c in connections if c.closed_by == "peer-rst"]
    due = None  # the number of the next request
    for r in sorted(requests, key=_IN_ORDER):
        if due is not None and r.n > due:
            if r.planned > open_since:
                break
            missing = min(r.n - due, _GAP_MAX)
            starts.extend([r.t] * missing)
            took.extend([UNKNOWN] * missing)
            regions.extend([""] * missing)
        due = r.n + 1
        t, span = r.t, UNKNOWN
        if r.outcome == "ok":
            span = UNTIMED if r.end is None else r.end - t
        elif r.outcome != "unknown":
            t, span = _struck(t, r.end or t, faults), FAILED
        starts.append(t)
        took.append(span)
        regions.append(r.region if r.outcome == "ok" else "")
        # Lasting connections tell of their resets themselves.
        if r.closed_by == "peer-rst" and r.client == "http":
            resets.append(t)
    return _ordered(Series(starts, took, regions, array("q", sorted(resets))))


def _ordered(columns: Series) -> Series:
    """By start; requests are planned in nearly that order."""
    starts, took, regions = columns.starts, columns.took_ns, columns.regions
    order = sorted(range(len(starts)), key=starts.__getitem__)
    if order == list(range(len(starts))):
        return columns
    return Series(
        array("q", map(starts.__getitem__, order)),
        array("q", map(took.__getitem__, order)),
        [regions[place] for place in order],
        columns.resets,
    )


Columns = Mapping[Client, Series]


def columns_of(history: History) -> Columns:
    """Every client's columns. Of a history that has not ended, as far as its requests have had
    the time to tell their end."""
    return _columns(history, iter)


def punctual_columns(history: History) -> Columns:
    """The same, where a late request is unknown unless the punctual ones around it met the same:
    started as planned, it may have met what one of them did."""
    return _columns(history, _believed)


def _believed(requests: Iterable[Request]) -> Iterator[Request]:
    late: list[Request] = []
    before: tuple[bool, str] | None = None
    for r in sorted(requests, key=_IN_ORDER):
        if is_late(r):
            late.append(r)
            continue
        yield from _agreeing(late, {before or _met(r), _met(r)})
        yield r
        late, before = [], _met(r)
    yield from _agreeing(late, {before} if before else set())


def _agreeing(late: Iterable[Request], around: set[tuple[bool, str]]) -> Iterator[Request]:
    return (r if {_met(r)} == around else replace(r, outcome="unknown") for r in late)


def _met(r: Request) -> tuple[bool, str]:
    return r.outcome == "ok", r.region


def _columns(history: History, seen: Callable[[Iterable[Request]], Iterator[Request]]) -> Columns:
    faults = [life.began for life in history.injected()]
    return {
        client: series(
            seen(history.requests[client]),
            history.connections.get(client, ()),
            faults,
            open_since=known_until(history, client.city),
        )
        for client in history.clients()
    }


def known_until(history: History, city: str) -> float:
    """Up to when the requests of a city that were planned have told their end."""
    return math.inf if has_ended(history) else history.last_ns - history.patience_ns(city)


def _struck(start: int, end: int, faults: Sequence[int]) -> int:
    place = bisect_right(faults, start)
    return faults[place] if place < len(faults) and faults[place] <= end else start


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
